// Archive: keeps every flow record, in Parquet files compressed with zstd (archive_files.h says
// where they stand, archive_part.h how they come to be). What has been flushed is never lost:
// after a crash the next archive of the same name in the same folder closes what is there, up to
// the last row group that was flushed.
//
// A file covers a time between whole multiples of `rotate_ns`, by the clock of the records that
// it is given; live that is the wall clock, in a replay the packets'.
//
// What goes wrong on the disk is told once, counted, and tried again until it works; meanwhile
// records wait in bounded memory. Live, what finds no room there is lost and counted; a replay
// waits, though not for ever.
//
// Threads: archive_add() and archive_tick() from one, the exporter's; archive_stats() from any;
// the rest from the one that opened it. Two of its own: one writes, one of low priority closes
// files, recovers and deletes old ones. `on_message` is called from these two.
// Time: an argument, but for how long records wait, by the monotonic clock.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "archive_files.h"
#include "archive_part.h"
#include "clock.h"
#include "flow_record.h"

#define ARCHIVE_KEEP_OWNER ((uid_t)-1)

struct archive;

struct archive_config {
	const char *dir;    // is made if it is missing; its parent is not
	const char *sensor; // archive_sensor_name()
	uint32_t sampling_rate;
	const char *sampler_address; // or NULL
	time_ns_t rotate_ns;         // whole seconds
	uint64_t rotate_bytes;       // a file ends at this size too
	time_ns_t flush_ns;          // records are in a file this long after they came, at most
	enum archive_sync sync;
	int level;             // of zstd, in closed files
	time_ns_t retain_ns;   // closed files whose records are older are deleted; 0 = never
	uint64_t retain_bytes; // and the oldest, where all have more; 0 = no limit
	bool wait;             // replay: for room in memory
	uid_t owner;           // of what is made before archive_start(), or ARCHIVE_KEEP_OWNER
	gid_t group;
	void (*on_message)(const char *message, bool bad, void *arg); // or NULL
	void *arg;

	// For tests; 0 or NULL for what is right.
	const struct archive_io *io;
	uint32_t queue_records; // that wait in memory, a power of two
	uint32_t batch_records; // of a row group that is flushed
	uint32_t group_records; // of one of a closed file
	bool no_copies;         // files are closed in place
	time_ns_t retry_ns;
	time_ns_t patience_ns; // of a replay with a disk that fails
};

struct archive_stats {
	uint64_t records;    // given to archive_add()
	uint64_t archived;   // flushed
	uint64_t lost_full;  // no room in memory
	uint64_t lost_error; // could not be written, and there was no more time to try
	uint64_t recovered;  // of earlier runs, beside `records`
	uint64_t damaged;    // had been flushed, and could not be read back
	uint64_t files;      // closed
	uint64_t bytes;      // of closed files
	uint64_t deleted;    // files, by retention
	uint64_t errors;     // calls to the file system that failed, and are tried again
};

// `name` as a sensor's name, in which only letters, digits, '.', '_' and '-' are left, into `out`
// (ARCHIVE_SENSOR_BYTES).
void archive_sensor_name(char *out, const char *name);

// Makes the folder, and takes the name in it: nobody else writes under it then. NULL with errno
// and a line in `error` (ARCHIVE_ERROR_BYTES) that names the cause and the remedy.
[[nodiscard]] struct archive *archive_open(const struct archive_config *config, char *error);

// Starts the threads, as the user who is to own the files. -EACCES and others where that user
// cannot write, with a line in `error`.
[[nodiscard]] int archive_start(struct archive *archive, char *error);

// From here on rotation, flushing, what waits for the disk, the level and what is retained are as
// in `config`, of which nothing else counts. A file that is open ends by the new rotation. -EINVAL
// for what archive_open() would not take either. Any thread.
[[nodiscard]] int archive_set(struct archive *archive, const struct archive_config *config);

// Adds records, whose clock is `now_ns`. They are copied.
void archive_add(
	struct archive *archive, const struct flow_record *records, size_t n, time_ns_t now_ns
);

// Live: tells the time when there are no records.
void archive_tick(struct archive *archive, time_ns_t now_ns);

// Flushes and closes what there is, and ends the threads. Live it does not wait for a large file
// to be written anew. To be called when no more records come; also where none was started.
void archive_stop(struct archive *archive);

void archive_stats(const struct archive *archive, struct archive_stats *stats);
const char *archive_dir(const struct archive *archive); // as it was given

// Stops first, if need be. NULL is fine.
void archive_free(struct archive *archive);
