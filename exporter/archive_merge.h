// Archive merge: the records of archive files as one stream in the order of their ends, which is
// the order in which a collector saw them, to within the timeouts.
//
// A file keeps its records in the order that compresses best, and the row groups of a file, or
// the files of several sensors, overlap in time. So row groups are taken in the order of the
// earliest end that their statistics tell, and a record waits until no row group that is still
// to come can hold an earlier one. Where more than `most_held` records would have to wait, the
// earliest of them leave all the same: every record comes, and the order is then a little less.
//
// What cannot be read is told once by `on_error`, counted by records, and passed over.
//
// Threads: one at a time. Time: none but that of the records.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "flow_columns.h"

struct archive_merge;

struct archive_merge_config {
	const char *const *paths; // archive_reader_open() takes them; in any order
	size_t n_paths;
	bool pass_over_gone;         // files that are not there are counted, and not reported
	time_ns_t from_ns, until_ns; // records that ended in this time alone, `until_ns` excluded
	size_t most_held;            // records, beside those of one row group; 0 = 4,000,000
	void (*on_error)(const char *message, void *arg);
	void *arg;
};

// How the packets of a batch were sampled.
struct archive_sampling {
	uint32_t interval; // 1 = every packet
	bool random;
};

struct archive_merge_stats {
	uint64_t files;                   // opened
	uint64_t files_failed;            // could not be opened
	uint64_t files_gone;              // of these, those that are not there (any more)
	uint64_t records;                 // in the row groups of those that were opened
	uint64_t records_read;            // handed out
	uint64_t outside;                 // ended outside the time asked for
	uint64_t unreadable;              // in row groups that could not be read
	uint64_t records_ahead;           // in row groups that were not read yet
	uint64_t records_held;            // read, and not handed out yet
	uint64_t bytes_total, bytes_read; // of row groups, as they stand in the files
	uint64_t most_held;               // at once
	uint64_t out_of_order;            // handed out before a record that ended earlier
};

// Opens every file once and reads its footer. Files that cannot be read are reported; the others
// are merged. NULL with errno ENOMEM.
[[nodiscard]] struct archive_merge *archive_merge_new(const struct archive_merge_config *config);
void archive_merge_free(struct archive_merge *merge);

// The next records, which are alike in sampling and whose ends do not go back. They are the
// merge's, until its next call. 0 = no more, or -ENOMEM.
[[nodiscard]] int archive_merge_next(
	struct archive_merge *merge,
	const struct flow_record **records,
	struct archive_sampling *sampling
);

void archive_merge_stats(const struct archive_merge *merge, struct archive_merge_stats *stats);
