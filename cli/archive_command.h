// What the actions of `weir archive` share.
//
// Threads: one.

#pragma once

#include <stdbool.h>

#include "archive_files.h"
#include "upkeep_options.h"

struct archive_command {
	struct upkeep_options options;
	struct archive_files files; // of the archive or as named, oldest first
	volatile int stop;          // an interrupt came
	bool failed;                // something is wrong; a line told it
};

// A line on standard error. It makes the exit status 1.
[[gnu::format(printf, 2, 3)]] void
archive_complain(struct archive_command *command, const char *format, ...);

// The path as the user knows it: inside the archive's folder, where there is one.
const char *archive_short_path(const struct archive_command *command, const char *path);

void archive_ls(struct archive_command *command);
void archive_verify(struct archive_command *command);
void archive_repair(struct archive_command *command);
void archive_compact(struct archive_command *command);
