// The inside of an archive, for the modules that it is made of.

#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "archive.h"
#include "archive_part.h"
#include "parquet_writer.h"
#include "ring.h"

// A file to be closed.
struct archive_job {
	struct archive_job *next;
	bool recovered; // of an earlier run
	char path[ARCHIVE_NAME_BYTES];
};

// The thread that closes files.
struct archive_closer {
	pthread_t thread;
	bool started;
	bool failing; // the last try of a job
	pthread_mutex_t lock;
	pthread_cond_t wake; // by CLOCK_MONOTONIC
	// Under the lock.
	struct archive_job *first, **last;
	unsigned n_jobs;
	bool closing;
	bool retain; // is to be looked after now
};

// The thread that writes.
struct archive_flusher {
	pthread_t thread;
	bool started;
	struct parquet_writer *writer;
	struct byte_buffer entry;
	struct archive_part part;
	struct flow_record *batch;
	uint32_t n_batch;
	time_ns_t batch_ns;           // the monotonic clock when the first of them came
	time_ns_t clock_ns;           // of the records that come next
	time_ns_t begin_ns;           // of the file, by that clock
	enum archive_sync begin_sync; // what waited for the disk then
	bool rotate;                  // before another record is taken
	bool unsynced;
	time_ns_t synced_ns;
	// Of writing that fails, by the monotonic clock.
	unsigned n_failed; // tries one after the other
	time_ns_t failing_since_ns;
	time_ns_t retry_at_ns;
	bool given_up;
	uint64_t lost_before; // records, until it began to fail
};

// What may become other while it runs. Relaxed, all: each counts by itself, and soon is soon
// enough.
struct archive_settings {
	_Atomic(time_ns_t) rotate_ns, longest_rotate_ns; // the latter of any file that was begun
	_Atomic(uint64_t) rotate_bytes;
	_Atomic(time_ns_t) flush_ns;
	_Atomic(int) level;
	_Atomic(time_ns_t) retain_ns;
	_Atomic(uint64_t) retain_bytes;
};

#define archive_setting(archive, name)                                                             \
	atomic_load_explicit(&(archive)->settings.name, memory_order_relaxed)

struct archive {
	struct archive_config config; // but for what is in the settings
	struct archive_settings settings;
	char *dir, *sampler_address;
	struct archive_place place;
	int lock_fd;
	char lock_path[ARCHIVE_NAME_BYTES];
	struct ring *ring;

	// The exporter's.
	int64_t marked_s; // the clock of the last mark, -1 = none yet
	alignas(64) _Atomic(uint64_t) records;
	_Atomic(uint64_t) lost_full;
	_Atomic(time_ns_t) now_ns;

	alignas(64) atomic_bool closing; // no more records come
	atomic_bool hurry;
	_Atomic(uint64_t) archived, lost_error, recovered, damaged, files, bytes, deleted, errors;

	struct archive_flusher flusher;
	struct archive_closer closer;
};

// Says something, with the folder's name before it.
[[gnu::format(printf, 3, 4)]] void
archive_say(const struct archive *archive, bool bad, const char *format, ...);

time_ns_t archive_monotonic_ns(void);

// Adds to a counter that is read elsewhere.
static inline void archive_count(_Atomic(uint64_t) *counter, uint64_t n) {
	// Relaxed: a number by itself. Some have two writers, none is on a packet's path.
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

// archive_flush.c
void *archive_flusher_run(void *archive);

// archive_close.c
[[nodiscard]] int archive_closer_init(struct archive_closer *closer);
[[nodiscard]] int archive_closer_start(struct archive *archive);
// A file to be closed. -ENOMEM leaves it for the next start.
[[nodiscard]] int
archive_closer_add(struct archive_closer *closer, const char *path, bool recovered);
// The disk is full: is there something to delete?
void archive_closer_retain(struct archive_closer *closer);
// Ends when all is closed, or cannot be.
void archive_closer_stop(struct archive_closer *closer);
void archive_closer_done(struct archive_closer *closer);

// archive_recover.c: gives the closer what earlier runs left.
[[nodiscard]] int archive_recover(struct archive *archive, char *error);

// archive_retain.c: deletes what is not to be kept at `now_ns`.
[[nodiscard]] int archive_retain(struct archive *archive, time_ns_t now_ns, char *error);
