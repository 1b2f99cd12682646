// Scan: the rows of an archive, a row group at a time, by several threads. Files are opened when
// their turn comes, and never all at once. What names, statistics and dictionaries exclude is not
// read; of the rest only the columns that are asked for.
//
// Threads: one owner calls these functions. Workers of the scan's own read and filter; with
// `on_batch` they also hand each batch over, else scan_next() gives the batches to the owner, in
// the order of the archive.
// Errors: a file that cannot be read is told to `on_error` once and the others go on. A file that
// was deleted since it was listed is no error.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive_files.h"
#include "parquet_reader.h"
#include "scan_filter.h"

enum {
	SCAN_MAX_THREADS = 64,
	SCAN_MAX_FILTERS = 32,
};

struct scan;

// Rows of one row group that pass. A column that was not asked for, or that the file has not, has
// neither values nor index.
struct scan_batch {
	struct parquet_vector columns[FLOW_COLUMN_COUNT];
	uint32_t n_rows; // that pass
	uint32_t *rows;  // their numbers in the vectors, ascending; unless `all`
	bool all;        // rows 0 to n_rows - 1
	uint64_t row_id; // of row 0; different for each row of a scan
	void *internal;
};

static inline uint32_t scan_batch_row(const struct scan_batch *batch, uint32_t i) {
	return batch->all ? i : batch->rows[i];
}

// How far a scan is.
struct scan_progress {
	uint64_t bytes_done, bytes_total; // of files
	uint64_t rows;                    // looked at
	uint64_t rows_skipped;            // of row groups that the statistics exclude
	uint64_t files_skipped;           // by their names alone
};

struct scan_config {
	const char *dir;
	uint64_t columns;                  // wanted, a bit for each enum flow_column
	const struct scan_filter *filters; // all are to pass; they stay the caller's
	unsigned n_filters;
	unsigned n_threads;      // 0 = as many as there are cores
	const atomic_bool *stop; // set by anyone, also a signal handler: the scan ends soon

	// Called by one thread at a time, though not always the same one.
	void (*on_error)(void *arg, const char *line);
	// Called by the owner's thread while it waits.
	void (*on_progress)(void *arg, const struct scan_progress *progress);
	void *arg;

	// Called by worker `worker`, below scan_threads(). A negative errno ends the scan.
	int (*on_batch
	)(void *arg, struct scan *scan, unsigned worker, const struct scan_batch *batch);
	void *batch_arg;
};

// Lists the files and starts the workers. NULL with errno and a line in `error`
// (ARCHIVE_ERROR_BYTES). The config's filters are to stay until scan_free().
[[nodiscard]] struct scan *scan_new(const struct scan_config *config, char *error);
void scan_free(struct scan *scan);

unsigned scan_threads(const struct scan *scan);

// Without `on_batch`: gives the next batch, which is the owner's until the next call. Returns 1,
// 0 at the end, -EINTR where it was stopped, or another negative errno.
[[nodiscard]] int scan_next(struct scan *scan, const struct scan_batch **batch);

// With `on_batch`: waits until all is handed over, or `*wake` is set, which scan_wake() follows.
// Returns 1 where it was woken, and 0 at the end; else as scan_next().
[[nodiscard]] int scan_wait(struct scan *scan, const atomic_bool *wake);
void scan_wake(struct scan *scan);
