// Archive check: whether a file of the archive is what it says. Every page of every column is
// read, which verifies its checksum; the statistics are held against the values, and the file's
// metadata against their sums.
//
// Threads: any. Time: none.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "archive_files.h"

// What a file says of itself, as its footer has it.
struct archive_facts {
	uint64_t records;
	uint32_t row_groups;
	uint32_t sampling_rate;
	time_ns_t begin_ns, end_ns; // earliest packet, latest packet; 0 where it has no records
	uint64_t packets, octets;   // of `weir.ledger`; 0 where that is not there
};

// From the footer alone.
void archive_facts(const struct archive_reader *reader, struct archive_facts *facts);

struct archive_check {
	uint64_t records; // whose columns could all be read
	uint64_t packets, octets;
	uint64_t bytes; // of pages that were read
	unsigned faults;
	bool stopped;
};

// Called with one line for each thing that is wrong with the file.
typedef void (*archive_fault_fn)(const char *what, void *arg);

// Reads all of it. `*stop` ends it early, where it is set meanwhile.
void archive_check(
	const struct archive_reader *reader,
	const volatile int *stop,
	archive_fault_fn on_fault,
	void *arg,
	struct archive_check *check
);
