// Archive files: what stands on disk under an archive's folder, for those who read it. Times in
// UTC, by the wall clock when a file was begun:
//
//   DIR/date=YYYY-MM-DD/hour=HH/SENSOR-YYYYMMDDTHHMMSS.NNNZ.parquet        closed: never changes
//   DIR/date=YYYY-MM-DD/hour=HH/SENSOR-YYYYMMDDTHHMMSS.NNNZ.parquet.part   open, appended to
//   DIR/date=YYYY-MM-DD/hour=HH/SENSOR-YYYYMMDDTHHMMSS.NNNZ.parquet.notes  beside it: what of it
//                                                                          is whole
//
// A weir may be writing there meanwhile. Each file is listed once, whatever it becomes; one that
// is gone when it is opened (ENOENT) is one that retention took: pass it over.
//
// Threads: any. Time: none is read.
// Errors: negative errno, or NULL and errno, and one line in `error` (ARCHIVE_ERROR_BYTES).

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "parquet_reader.h"

enum {
	ARCHIVE_ERROR_BYTES = 512,
	ARCHIVE_SENSOR_BYTES = 65, // of a sensor's name, with its end
	ARCHIVE_NAME_BYTES = 192,  // of a path inside an archive, with its end
};

struct archive_file {
	char *path;
	time_ns_t begin_ns; // when it was begun, by its name
	uint64_t bytes;
	bool open; // a .part
};

struct archive_files {
	struct archive_file *files;
	size_t n;
};

// All files, oldest first. What else lies in the folders is passed over.
[[nodiscard]] int archive_files_list(const char *dir, struct archive_files *files, char *error);

// The same of a folder that is open. The paths begin with `dir`, or where that is "" in it.
[[nodiscard]] int
archive_files_list_at(int dir_fd, const char *dir, struct archive_files *files, char *error);

void archive_files_free(struct archive_files *files);

struct archive_reader {
	int fd;
	struct parquet_reader *parquet;
};

// Opens a file, or of a .part the row groups that were flushed whole. Where a .part was closed
// meanwhile, opens what became of it. What is open can be read to its end, even when the file is
// deleted.
[[nodiscard]] struct archive_reader *archive_reader_open(const char *path, char *error);
void archive_reader_close(struct archive_reader *reader);

// Paths within an archive.

// "date=2026-11-24/hour=22/SENSOR-20261124T220653.123Z.parquet" into `path` (ARCHIVE_NAME_BYTES).
// Milliseconds are rounded down.
void archive_path(char *path, const char *sensor, time_ns_t begin_ns);

// The parts of a name without its folders and of any of the three kinds. False where it is none.
struct archive_name {
	char sensor[ARCHIVE_SENSOR_BYTES];
	time_ns_t begin_ns;
	const char *suffix; // behind ".parquet": "", ".part", ".notes" or whatever stands there
};
[[nodiscard]] bool archive_name_parse(const char *name, struct archive_name *parts);
