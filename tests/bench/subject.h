// Subject: a flow cache under a bench, with the traffic it meters and the records that leave it,
// and the proof that nothing was lost between them.
//
// Threads: one subject is one thread's; readers may be at its cache.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "flow_cache.h"
#include "measure.h"
#include "ring.h"
#include "rows.h"
#include "traffic.h"

enum {
	SUBJECT_CHUNK = 8192, // frames timed at once
	SUBJECT_BURST = 64,   // frames handed over at once, as a port would
};

struct subject {
	const struct row *row;
	enum pages pages;
	void *memory;
	size_t memory_bytes;
	struct flow_cache *cache;
	struct traffic *traffic;
	struct ring *records;
	struct meter_counts counts;
	uint32_t age_blocks;                               // of each chunk
	uint64_t record_packets, record_octets, n_records; // of the records read
};

// Makes the cache and fills it to where the row's traffic has settled. False with a line on
// standard error where there is no memory of the kind.
bool subject_open(
	struct subject *subject,
	const struct row *row,
	enum pages pages,
	const char *path,
	bool out_of_cache,
	uint64_t seed
);
void subject_close(struct subject *subject);

// Makes the next chunk of frames, not timed.
const struct frame *subject_next(struct subject *subject);

// ns for metering a chunk in bursts, ageing included.
int64_t subject_meter(struct subject *subject, const struct frame *frames);

// Reads what left, not timed.
void subject_read(struct subject *subject);

// Flushes the cache, and whether all packets and octets that were made came out in records.
// Says on standard error what did not.
bool subject_conserved(struct subject *subject);
