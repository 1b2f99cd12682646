// Archive walk: every file with a name of the archive's in the folders of its hours.
//
// Threads: any. Errors: negative errno, with a line in `error` (ARCHIVE_ERROR_BYTES).

#pragma once

#include "archive_files.h"

struct archive_walk_file {
	const char *path; // from the archive's folder on
	struct archive_name name;
	uint64_t bytes;
};

// Returns 0 to go on, or what archive_walk() is to return.
typedef int (*archive_walk_fn)(const struct archive_walk_file *file, void *arg);

// Calls `on_file` for each file, hour by hour, in no order. Each folder is read `n_passes` times:
// one pass may miss a file that is renamed under its eyes, its old name, which it comes to too
// late, and its new one, which it has passed; the second finds it.
[[nodiscard]] int
archive_walk(int dir_fd, unsigned n_passes, archive_walk_fn on_file, void *arg, char *error);
