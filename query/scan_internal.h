// The inside of a scan, for the modules that it is made of.

#pragma once

#include <pthread.h>

#include "scan.h"

// A file that row groups are being taken from. It closes with the last of them.
struct scan_file {
	struct archive_reader *reader;
	const struct archive_file *listed;
	unsigned n_users; // tasks, and the planner while it takes tasks from the file
	bool told;        // on_error knows of it
};

// One row group to be read.
struct scan_task {
	struct scan_file *file;
	unsigned group;
	uint64_t row_id;
	// Those of the scan's filters that statistics do not answer.
	bool filter[SCAN_MAX_FILTERS];
};

// Finds the row groups to read, in order. Under the scan's lock.
struct scan_plan {
	struct archive_files files;
	const struct scan_config *config;
	bool *skip;    // for each file
	size_t n_next; // file
	struct scan_file *file;
	unsigned group;
	uint64_t files_opened;
	struct scan_progress progress;
};

// Lists the files. Negative errno with a line in `error`.
[[nodiscard]] int
scan_plan_init(struct scan_plan *plan, const struct scan_config *config, char *error);
void scan_plan_done(struct scan_plan *plan);

// Returns 1 with another row group, which has a share in its file; 0 at the end; -EAGAIN after the
// work of one file, so that its lock need not be held for all that are passed over; -ENOMEM.
[[nodiscard]] int scan_plan_next(struct scan_plan *plan, struct scan_task *task);

// Gives up a share in a file.
void scan_file_leave(struct scan_file *file);

// Tells an error of a file, if none of it was told.
void scan_file_tell(struct scan_plan *plan, struct scan_file *file, const char *error);

// Reads and filters. A batch keeps its memory for the next task. Negative errno with one line in
// `error` (PARQUET_ERROR_BYTES).
[[nodiscard]] int scan_batch_read(
	struct scan_batch *batch,
	const struct scan_config *config,
	const struct scan_task *task,
	char *error
);
void scan_batch_done(struct scan_batch *batch);
