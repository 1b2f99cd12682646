// Archive rewrite: the records of closed files in one new file, in large sorted row groups. What
// cannot be read is told and left out, a row group at a time.
//
// Threads: any. Time: none. Errors: negative errno, and one line in `error`.

#pragma once

#include <stdint.h>

#include "archive_check.h"
#include "archive_notes.h"

struct archive_rewrite_config {
	const char *path; // of the new file, which must not be there
	const char *const *from;
	size_t n_from; // whose sampling is the same
	const char *sensor;
	int level; // of zstd
	const volatile int *stop;
	archive_fault_fn on_fault; // what could not be read
	void *arg;
};

struct archive_rewritten {
	struct archive_sum sum; // of what the new file holds
	uint64_t lost;          // records in row groups that could not be read
	uint64_t bytes;
};

// Writes it and lets the disk know. Where there is nothing to write, no file is left and the sum is
// 0. On failure none is left either; -EINTR where it was stopped.
[[nodiscard]] int archive_rewrite(
	const struct archive_rewrite_config *config, struct archive_rewritten *done, char *error
);
