// The thread that writes: records out of the ring into a batch, and the batch as a row group to
// the end of the open file, when it is full or its time has come.

#include "archive_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <zlib.h>

#include "archive_error.h"
#include "record_ring.h"

#define IDLE_SLEEP_NS (5 * NS_PER_MS)

enum {
	TAKE = 4096,    // slots at once, so that the exporter finds room
	LAST_TRIES = 3, // when weir ends
};

// A new clock of the records. The file that is open may not be theirs.
static void set_clock(struct archive *archive, time_ns_t clock_ns) {
	struct archive_flusher *flusher = &archive->flusher;

	flusher->clock_ns = clock_ns;
	if (flusher->part.fd < 0 && flusher->n_batch == 0)
		return;
	// Back too, where the wall clock was set back; the clocks of captures jump as they like.
	// The end of a time is a multiple of its length, by the clock on the wall.
	time_ns_t rotate_ns = archive_setting(archive, rotate_ns);
	if (clock_ns >= (flusher->begin_ns / rotate_ns + 1) * rotate_ns
	    || (!archive->config.wait && clock_ns < flusher->begin_ns - rotate_ns)
	    // The folders of a file that waited for nothing may not be on the disk.
	    || (archive->place.sync == ARCHIVE_SYNC_FLUSH
		&& flusher->begin_sync != ARCHIVE_SYNC_FLUSH))
		flusher->rotate = true;
}

// Returns how many slots were taken.
static uint32_t take(struct archive *archive) {
	struct archive_flusher *flusher = &archive->flusher;
	uint32_t ready = ring_ready(archive->ring), n = 0;

	if (ready > TAKE)
		ready = TAKE;
	while (n < ready && !flusher->rotate && flusher->n_batch < archive->config.batch_records) {
		const struct flow_record *slot = ring_at(archive->ring, n++);
		if (record_is_mark(slot)) {
			set_clock(archive, ns_of_ticks(record_mark_now(slot)));
			continue;
		}
		if (flusher->n_batch == 0) {
			flusher->batch_ns = archive_monotonic_ns();
			if (flusher->part.fd < 0) {
				flusher->begin_ns = flusher->clock_ns;
				flusher->begin_sync = archive->place.sync;
			}
		}
		flusher->batch[flusher->n_batch++] = *slot;
	}
	if (n > 0)
		ring_release(archive->ring, n);
	return n;
}

static void end_file(struct archive *archive) {
	struct archive_flusher *flusher = &archive->flusher;

	flusher->rotate = false;
	if (flusher->part.fd < 0)
		return;
	archive_part_end(&flusher->part);
	if (archive_closer_add(&archive->closer, flusher->part.path, false) < 0)
		archive_say(
			archive,
			true,
			"no memory to close %s; the next start will",
			flusher->part.path
		);
}

static int append(struct archive *archive, bool sync, char *error) {
	struct archive_flusher *flusher = &archive->flusher;
	struct archive_note note = {
		.offset = flusher->part.end,
		.sampling_rate = archive->config.sampling_rate,
	};
	struct parquet_bytes data;

	parquet_writer_reset(flusher->writer);
	int rc = parquet_writer_row_group(
		flusher->writer, flusher->batch, flusher->n_batch, note.offset, &data, &note.note
	);
	if (rc == 0) {
		archive_sum_records(&note.sum, flusher->batch, flusher->n_batch);
		note.bytes = data.n;
		note.crc = (uint32_t)crc32_z(0, data.bytes, data.n);
		byte_buffer_reset(&flusher->entry);
		archive_note_put(&flusher->entry, &note);
		if (flusher->entry.failed)
			rc = -ENOMEM;
	}
	if (rc < 0)
		return archive_error(error, rc, "row group: %s", strerror(-rc));
	return archive_part_append(
		&flusher->part,
		&archive->place,
		data,
		(struct parquet_bytes){flusher->entry.bytes, flusher->entry.n},
		flusher->n_batch,
		sync,
		error
	);
}

static int try_to_flush(struct archive *archive, bool sync, char *error) {
	struct archive_flusher *flusher = &archive->flusher;
	int rc = 0;

	if (flusher->part.fd < 0)
		rc = archive_part_begin(&flusher->part, &archive->place, flusher->begin_ns, error);
	if (rc == 0 && flusher->n_batch > 0)
		rc = append(archive, sync, error);
	else if (rc == 0 && sync)
		rc = archive_part_sync(&flusher->part, &archive->place, error);
	return rc;
}

static uint64_t lost(const struct archive *archive) {
	// Relaxed: for a message.
	return atomic_load_explicit(&archive->lost_full, memory_order_relaxed)
	       + atomic_load_explicit(&archive->lost_error, memory_order_relaxed);
}

static void on_failure(struct archive *archive, time_ns_t now_ns, bool closing, const char *error) {
	struct archive_flusher *flusher = &archive->flusher;

	archive_count(&archive->errors, 1);
	if (flusher->n_failed++ == 0) {
		flusher->failing_since_ns = now_ns;
		flusher->lost_before = lost(archive);
		archive_say(
			archive, true, "%s; records wait in memory, and it is tried again", error
		);
	}
	flusher->retry_at_ns = now_ns + archive->config.retry_ns;
	archive_closer_retain(&archive->closer);
	if (closing ? flusher->n_failed >= LAST_TRIES
		    : archive->config.wait
			      && now_ns - flusher->failing_since_ns >= archive->config.patience_ns)
		flusher->given_up = true;
	if (!flusher->given_up)
		return;
	archive_count(&archive->lost_error, flusher->n_batch);
	flusher->n_batch = 0;
	flusher->unsynced = false;
}

static void on_success(struct archive *archive) {
	struct archive_flusher *flusher = &archive->flusher;

	if (flusher->n_failed > 0)
		archive_say(
			archive,
			false,
			"writing again; %llu records were lost meanwhile",
			(unsigned long long)(lost(archive) - flusher->lost_before)
		);
	flusher->n_failed = 0;
	flusher->given_up = false;
}

static void flush(struct archive *archive, time_ns_t now_ns, bool closing) {
	struct archive_flusher *flusher = &archive->flusher;
	char error[ARCHIVE_ERROR_BYTES];
	bool sync = archive->place.sync == ARCHIVE_SYNC_FLUSH
		    && now_ns - flusher->synced_ns >= archive_setting(archive, flush_ns);

	if (try_to_flush(archive, sync, error) < 0) {
		on_failure(archive, now_ns, closing, error);
		return;
	}
	if (flusher->n_batch > 0)
		flusher->unsynced = archive->place.sync == ARCHIVE_SYNC_FLUSH;
	if (sync) {
		flusher->synced_ns = now_ns;
		flusher->unsynced = false;
	}
	archive_count(&archive->archived, flusher->n_batch);
	flusher->n_batch = 0;
	on_success(archive);
	if (flusher->part.end >= archive_setting(archive, rotate_bytes))
		end_file(archive);
}

// Whether to flush now. While it fails, at the times of its tries only.
static bool is_due(const struct archive *archive, time_ns_t now_ns, bool closing, bool idle) {
	const struct archive_flusher *flusher = &archive->flusher;

	if (flusher->n_failed > 0 && !flusher->given_up && !closing
	    && now_ns < flusher->retry_at_ns)
		return false;
	if (flusher->unsynced && now_ns - flusher->synced_ns >= archive_setting(archive, flush_ns))
		return true;
	if (flusher->n_batch == 0)
		return false;
	return flusher->rotate || flusher->n_batch == archive->config.batch_records
	       || now_ns - flusher->batch_ns >= archive_setting(archive, flush_ns)
	       || (closing && idle);
}

void *archive_flusher_run(void *arg) {
	struct archive *archive = arg;
	struct archive_flusher *flusher = &archive->flusher;

	for (;;) {
		// Acquire, with the releases of archive_stop() and archive_tick(): the ring that is
		// looked into next has all that came before.
		bool closing = atomic_load_explicit(&archive->closing, memory_order_acquire);
		time_ns_t clock_ns = atomic_load_explicit(&archive->now_ns, memory_order_acquire);
		uint32_t n = take(archive);
		bool idle = n == 0 && ring_ready(archive->ring) == 0;
		if (idle && !archive->config.wait && clock_ns > 0)
			set_clock(archive, clock_ns);
		time_ns_t now_ns = archive_monotonic_ns();
		if (is_due(archive, now_ns, closing, idle))
			flush(archive, now_ns, closing);
		if (flusher->rotate && flusher->n_batch == 0)
			end_file(archive);
		if (idle && closing && flusher->n_batch == 0)
			break;
		if (n == 0)
			nanosleep(&(struct timespec){.tv_nsec = IDLE_SLEEP_NS}, NULL);
	}
	end_file(archive);
	return NULL;
}
