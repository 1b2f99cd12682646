// Archive part: an open file of the archive, its sidecar of notes, and how it is closed.
//
//   begun     .notes is made first, then .part: whoever finds a .part finds its notes
//   flushed   a row group's octets go to the end of .part, then its note to the end of .notes
//   closed    what the notes vouch for is written anew to .new, in large sorted row groups, with
//             its footer; that is synced and renamed; then .part is removed, and then .notes
//   or        without a copy: the footer goes to the end of .part, which is synced and renamed;
//             then .notes is removed
//
// A weir that dies anywhere between leaves the file under one of its names: where the closed one
// stands it is whole, and what else is left is removed (archive_recover()).
//
// Threads: one for each part. Time: an argument.
// Errors: negative errno; `error` (ARCHIVE_ERROR_BYTES) gets one line.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "archive_files.h"
#include "archive_io.h"
#include "archive_notes.h"

enum archive_sync {
	ARCHIVE_SYNC_NONE,  // the kernel writes when it likes
	ARCHIVE_SYNC_CLOSE, // a file is on the disk once closed
	ARCHIVE_SYNC_FLUSH, // and each flush at its time
};

// Where files are made, for all who make them.
struct archive_place {
	const struct archive_io *io;
	int dir_fd;
	_Atomic(enum archive_sync) sync; // may become another
	char sensor[ARCHIVE_SENSOR_BYTES];
};

struct archive_part {
	char path[ARCHIVE_NAME_BYTES]; // that it will have when closed
	int fd, notes_fd;              // -1 = no part is open
	uint64_t end, notes_end;       // of what is whole
	uint64_t records;
};

#define ARCHIVE_NO_PART ((struct archive_part){.fd = -1, .notes_fd = -1})

// Makes a part named by `begin_ns`, or where there is one the next millisecond that is free. On
// failure nothing is left, if it can be helped.
[[nodiscard]] int archive_part_begin(
	struct archive_part *part,
	const struct archive_place *place,
	time_ns_t begin_ns,
	char *error
);

// Appends a row group that was made for the offset `part->end`, and its entry of the notes. On
// failure the part is as before, and the same may be tried again: then all of it is written again,
// since after a failed sync the kernel takes for written what is not.
[[nodiscard]] int archive_part_append(
	struct archive_part *part,
	const struct archive_place *place,
	struct parquet_bytes data,
	struct parquet_bytes entry,
	uint64_t n_records,
	bool sync,
	char *error
);

// Lets the disk have what was appended.
[[nodiscard]] int
archive_part_sync(struct archive_part *part, const struct archive_place *place, char *error);

// Lets go of it. It stays on disk, to be closed by archive_finish().
void archive_part_end(struct archive_part *part);

struct archive_finish_config {
	int level;              // of zstd
	uint32_t group_records; // of a row group of the closed file, at most
	bool in_place;          // without a copy
	// Or NULL: while set, a copy is given up where more than `hurry_records` are left, and the
	// file closed in place.
	const atomic_bool *hurry;
	uint64_t hurry_records;
};

struct archive_finished {
	uint64_t records; // in the closed file; 0 = there were none, and no file is left
	uint64_t bytes;
	uint64_t damaged; // records of row groups that could not be read back
	bool copied;      // in large sorted row groups
};

// Closes the part of `path` (as it will be when closed). On failure the part remains, to be
// closed later. `error` may hold a line after success too, on what was wrong; else it is "".
[[nodiscard]] int archive_finish(
	const struct archive_place *place,
	const char *path,
	const struct archive_finish_config *config,
	struct archive_finished *finished,
	char *error
);

// Names beside that of a closed file.
void archive_part_path(char out[ARCHIVE_NAME_BYTES], const char *path);
void archive_notes_path(char out[ARCHIVE_NAME_BYTES], const char *path);
void archive_new_path(char out[ARCHIVE_NAME_BYTES], const char *path);
