// The inside of closing a part (archive_part.h), for the two modules that it is made of.

#pragma once

#include "archive_part.h"

// A part that is being closed.
struct finish {
	const struct archive_place *place;
	const struct archive_finish_config *config;
	const char *path;
	char part[ARCHIVE_NAME_BYTES], notes[ARCHIVE_NAME_BYTES], copy[ARCHIVE_NAME_BYTES];
	char *error;
	int fd;                  // of the part
	struct byte_buffer text; // the notes
	struct parquet_writer *writer;
	struct parquet_bytes footer; // for the part in place
	uint64_t end;                // of what is whole in the part
	uint32_t sampling_rate;
	struct archive_sum sum; // of the row groups that are good
	uint64_t damaged;
	bool named; // the closed file has its name
};

// Says what could not be done to what. Returns `rc`.
int archive_finish_fail(const struct finish *finish, int rc, const char *what, const char *path);

// The footer of a file with the records of the part, made by `writer` for row groups up to `end`.
[[nodiscard]] int archive_finish_footer(
	struct finish *finish,
	struct parquet_writer *writer,
	uint64_t end,
	struct parquet_bytes *footer
);

// Lets the disk have a file, unless nothing is synced.
[[nodiscard]] int archive_finish_sync(const struct finish *finish, int fd, const char *path);

// archive_copy.c: writes what is good in the part to `finish->copy`, in large sorted row groups,
// with a footer, synced. -ECANCELED when it would take too long.
[[nodiscard]] int archive_copy(struct finish *finish, uint64_t *n_bytes);
