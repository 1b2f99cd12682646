// Archive maker: archives of random flow records for tests, and the records themselves, so that
// what a query answers can be worked out in another way.
//
// Threads: one at a time.

#pragma once

#include "flow_columns.h"
#include "random.h"

enum {
	MADE_PATH_BYTES = 512,
};

struct made_archive {
	char dir[128]; // of mkdtemp()
	struct random random;
	struct flow_record *records;
	uint32_t n;
	struct flow_source source;
};

// Makes an empty folder under $TMPDIR or /tmp.
void made_archive_begin(struct made_archive *archive, uint64_t seed);

// Removes all files and forgets the records.
void made_archive_end(struct made_archive *archive);

// A record as the archive is to have it: of few different values, so that conditions and groups
// find some. It begins within an hour after `from_ns`.
struct flow_record made_record(struct random *random, int64_t from_ns);

// Adds a closed file that a sensor began at `begin_ns`, of `n` new records that begin within an
// hour after `from_ns`, in row groups of `group_rows`. `columns` as in parquet_writer.h. Its path
// into `path` unless NULL.
void made_archive_add(
	struct made_archive *archive,
	const char *sensor,
	int64_t begin_ns,
	int64_t from_ns,
	uint32_t n,
	uint32_t group_rows,
	uint64_t columns,
	char *path
);

// Writes records as a Parquet file, with its folders.
void made_file(
	const char *path,
	const struct flow_source *source,
	const struct flow_record *records,
	uint32_t n,
	uint32_t group_rows,
	uint64_t columns
);
