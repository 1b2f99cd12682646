// What repair and compact share: one of them at a time in an archive, and the folder in which
// compact makes an hour anew.
//
// Threads: one. Errors: negative errno.

#pragma once

#include "archive_command.h"

enum {
	UPKEEP_PATH_BYTES = 4096,
};

// Keeps another repair or compact out of the archive until the descriptor is closed, or this
// program ends. Negative, and a complaint, where one runs.
[[nodiscard]] int upkeep_lock(struct archive_command *command);

// Removes what a compact that was ended left behind. The lock is held.
void upkeep_clean(struct archive_command *command);

// Finishes the files that sensors which are no more left open; those of a sensor that runs are left
// alone. Tells what it did.
void upkeep_finish(struct archive_command *command);

// DIR/.compact/hour: readers of an archive pass over names with a dot.
[[nodiscard]] int upkeep_folder(const struct archive_command *command, char *path);

// Lets the disk know of the names in the folder that `path` is in.
[[nodiscard]] int upkeep_sync_folder(const char *path);

// Calls `on_name` with each name in a folder, but for . and .., until it returns other than 0.
[[nodiscard]] int
upkeep_each(const char *folder, int (*on_name)(const char *name, void *arg), void *arg);
