#include "archive.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive_error.h"
#include "archive_internal.h"
#include "record_ring.h"

enum {
	QUEUE_RECORDS = 1 << 19, // 48 MiB
	BATCH_RECORDS = 1 << 17,
	GROUP_RECORDS = 1 << 19,
	FLUSH_LEVEL = 1, // of zstd, in what will be written anew
	FULL_SLEEP_US = 500,
	LOCK_TRIES = 10,
};

#define RETRY_NS (1 * NS_PER_S)
#define PATIENCE_NS (10 * NS_PER_S)

void archive_say(const struct archive *archive, bool bad, const char *format, ...) {
	char message[ARCHIVE_ERROR_BYTES * 2];
	va_list args;

	if (archive->config.on_message == NULL)
		return;
	int used = snprintf(message, sizeof(message), "archive %.400s: ", archive->dir);
	va_start(args, format);
	vsnprintf(message + used, sizeof(message) - (size_t)used, format, args);
	va_end(args);
	archive->config.on_message(message, bad, archive->config.arg);
}

time_ns_t archive_monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void archive_sensor_name(char *out, const char *name) {
	size_t n = 0;

	// No dot in front, which would hide the files.
	for (; *name != '\0' && n < ARCHIVE_SENSOR_BYTES - 1; name++)
		if (isalnum((unsigned char)*name) || *name == '_' || *name == '-'
		    || (*name == '.' && n > 0))
			out[n++] = *name;
	out[n] = '\0';
	if (n == 0)
		memcpy(out, "weir", sizeof("weir"));
}

static int open_dir(struct archive *archive, char *error) {
	const char *dir = archive->dir;
	bool made = mkdir(dir, 0755) == 0;

	if (!made && errno != EEXIST)
		return archive_error(
			error,
			-errno,
			"archive %s: cannot make this folder: %s%s",
			dir,
			strerror(errno),
			errno == ENOENT ? "; make the folder above it" : ""
		);
	archive->place.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (archive->place.dir_fd < 0)
		return archive_error(error, -errno, "archive %s: %s", dir, strerror(errno));
	if (made && archive->config.owner != ARCHIVE_KEEP_OWNER
	    && fchown(archive->place.dir_fd, archive->config.owner, archive->config.group) < 0)
		return archive_error(
			error, -errno, "archive %s: cannot give it away: %s", dir, strerror(errno)
		);
	return 0;
}

static int refuse_second(const struct archive *archive, int fd, char *error) {
	char pid[16] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
	return archive_error(
		error,
		-EBUSY,
		"archive %s: another weir (process %s) writes there as sensor '%s'; --sensor gives "
		"this one a name of its own",
		archive->dir,
		pid[0] != '\0' ? pid : "unknown",
		archive->place.sensor
	);
}

// Takes the lock of the sensor's name. The file may be removed by its last owner between our
// opening and locking it: then it is nobody's lock, and the next one is tried.
static int lock_name(struct archive *archive, char *error) {
	struct stat ours, named;
	int dir_fd = archive->place.dir_fd;

	snprintf(archive->lock_path, sizeof(archive->lock_path), ".%s.lock", archive->place.sensor);
	for (int i = 0; i < LOCK_TRIES; i++) {
		int fd = openat(
			dir_fd, archive->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644
		);
		if (fd < 0)
			return archive_error(
				error,
				-errno,
				"archive %s: cannot write there: %s",
				archive->dir,
				strerror(errno)
			);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			int rc = errno == EWOULDBLOCK ? refuse_second(archive, fd, error)
						      : archive_error(
							      error,
							      -errno,
							      "archive %s: cannot lock %s: %s",
							      archive->dir,
							      archive->lock_path,
							      strerror(errno)
						      );
			close(fd);
			return rc;
		}
		if (fstat(fd, &ours) == 0
		    && fstatat(dir_fd, archive->lock_path, &named, AT_SYMLINK_NOFOLLOW) == 0
		    && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) {
			archive->lock_fd = fd;
			return 0;
		}
		close(fd);
	}
	return archive_error(error, -EAGAIN, "archive %s: cannot lock it", archive->dir);
}

// For whoever is refused. Nothing depends on it.
static void sign_lock(const struct archive *archive) {
	char pid[16];
	int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

	if (archive->config.owner != ARCHIVE_KEEP_OWNER
	    && fchown(archive->lock_fd, archive->config.owner, archive->config.group) < 0)
		return;
	if (ftruncate(archive->lock_fd, 0) == 0)
		(void)!pwrite(archive->lock_fd, pid, (size_t)n, 0);
}

static void fill_in(struct archive_config *config) {
	if (config->io == NULL)
		config->io = &archive_io_system;
	if (config->queue_records == 0)
		config->queue_records = QUEUE_RECORDS;
	if (config->batch_records == 0)
		config->batch_records = BATCH_RECORDS;
	if (config->group_records == 0)
		config->group_records = GROUP_RECORDS;
	if (config->retry_ns == 0)
		config->retry_ns = RETRY_NS;
	if (config->patience_ns == 0)
		config->patience_ns = PATIENCE_NS;
}

static int make_memory(struct archive *archive, char *error) {
	struct archive_config *config = &archive->config;
	struct archive_flusher *flusher = &archive->flusher;

	archive->ring = ring_new(config->queue_records, sizeof(struct flow_record));
	flusher->batch = malloc(config->batch_records * sizeof(*flusher->batch));
	if (archive->ring == NULL || flusher->batch == NULL)
		return archive_error(
			error, -ENOMEM, "archive %s: %s", archive->dir, strerror(ENOMEM)
		);
	flusher->writer = parquet_writer_new(&(struct parquet_writer_config){
		.level = FLUSH_LEVEL,
		.sort = true, // smaller, in no more time
		.source = {config->sampling_rate, archive->sampler_address},
	});
	return flusher->writer == NULL ? archive_error(
		       error, -errno, "archive %s: %s", archive->dir, strerror(errno)
	       )
				       : 0;
}

static int copy_texts(struct archive *archive, const struct archive_config *config, char *error) {
	archive->dir = strdup(config->dir);
	if (config->sampler_address != NULL)
		archive->sampler_address = strdup(config->sampler_address);
	archive->config.dir = archive->dir;
	archive->config.sampler_address = archive->sampler_address;
	archive->config.sensor = archive->place.sensor;
	archive_sensor_name(archive->place.sensor, config->sensor);
	if (archive->dir != NULL
	    && (config->sampler_address == NULL || archive->sampler_address != NULL))
		return 0;
	return archive_error(error, -ENOMEM, "archive: %s", strerror(ENOMEM));
}

static bool in_range(const struct archive_config *config) {
	return config->rotate_ns >= NS_PER_S && config->rotate_ns % NS_PER_S == 0
	       && config->rotate_bytes > 0 && config->flush_ns > 0 && config->level >= 1
	       && config->level <= 19;
}

static void put_settings(struct archive *archive, const struct archive_config *config) {
	struct archive_settings *settings = &archive->settings;

	if (config->rotate_ns > archive_setting(archive, longest_rotate_ns))
		atomic_store_explicit(
			&settings->longest_rotate_ns, config->rotate_ns, memory_order_relaxed
		);
	atomic_store_explicit(&settings->rotate_ns, config->rotate_ns, memory_order_relaxed);
	atomic_store_explicit(&settings->rotate_bytes, config->rotate_bytes, memory_order_relaxed);
	atomic_store_explicit(&settings->flush_ns, config->flush_ns, memory_order_relaxed);
	atomic_store_explicit(&settings->level, config->level, memory_order_relaxed);
	atomic_store_explicit(&settings->retain_ns, config->retain_ns, memory_order_relaxed);
	atomic_store_explicit(&settings->retain_bytes, config->retain_bytes, memory_order_relaxed);
	atomic_store_explicit(&archive->place.sync, config->sync, memory_order_relaxed);
}

int archive_set(struct archive *archive, const struct archive_config *config) {
	if (!in_range(config))
		return -EINVAL;
	put_settings(archive, config);
	// There may be something to delete now.
	archive_closer_retain(&archive->closer);
	return 0;
}

struct archive *archive_open(const struct archive_config *config, char *error) {
	struct archive *archive = NULL;

	if (!in_range(config)) {
		archive_error(error, 0, "archive: %s", strerror(EINVAL));
		errno = EINVAL;
		return NULL;
	}
	archive = aligned_alloc(alignof(struct archive), sizeof(*archive));
	int rc = archive == NULL ? -ENOMEM : 0;
	if (rc == 0) {
		*archive = (struct archive){
			.config = *config,
			.place = {.dir_fd = -1},
			.lock_fd = -1,
			.marked_s = -1,
			.flusher = {.part = ARCHIVE_NO_PART},
		};
		rc = archive_closer_init(&archive->closer);
	}
	if (rc < 0) {
		archive_error(error, rc, "archive: %s", strerror(-rc));
		free(archive);
		errno = -rc;
		return NULL;
	}
	put_settings(archive, config);
	fill_in(&archive->config);
	archive->place.io = archive->config.io;
	rc = copy_texts(archive, config, error);
	if (rc == 0)
		rc = make_memory(archive, error);
	if (rc == 0)
		rc = open_dir(archive, error);
	if (rc == 0)
		rc = lock_name(archive, error);
	if (rc < 0) {
		archive_free(archive);
		errno = -rc;
		return NULL;
	}
	sign_lock(archive);
	return archive;
}

// Whether this user, who may not be the one who opened it, can make files there. A disk that is
// full now may have room later.
static int probe(const struct archive *archive, char *error) {
	char path[ARCHIVE_NAME_BYTES];
	int dir_fd = archive->place.dir_fd;

	snprintf(path, sizeof(path), ".%s.probe", archive->place.sensor);
	int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd >= 0) {
		close(fd);
		unlinkat(dir_fd, path, 0);
		return 0;
	}
	if (errno == EACCES || errno == EPERM)
		return archive_error(
			error,
			-errno,
			"archive %s: user %u cannot write there; 'chown -R %u %s' lets it",
			archive->dir,
			(unsigned)geteuid(),
			(unsigned)geteuid(),
			archive->dir
		);
	if (errno == EROFS)
		return archive_error(
			error, -errno, "archive %s: %s", archive->dir, strerror(errno)
		);
	return 0;
}

int archive_start(struct archive *archive, char *error) {
	char cause[ARCHIVE_ERROR_BYTES];
	int rc = probe(archive, error);

	if (rc < 0)
		return rc;
	rc = archive_recover(archive, cause);
	if (rc < 0)
		return archive_error(error, rc, "archive %s: %.300s", archive->dir, cause);
	rc = archive_closer_start(archive);
	if (rc == 0) {
		rc = -pthread_create(&archive->flusher.thread, NULL, archive_flusher_run, archive);
		archive->flusher.started = rc == 0;
	}
	return rc < 0 ? archive_error(
		       error,
		       rc,
		       "archive %s: cannot start a thread: %s",
		       archive->dir,
		       strerror(-rc)
	       )
		      : 0;
}

// A counter with one writer: a load and a store, and no lock prefix.
static void add_own(_Atomic(uint64_t) *counter, uint64_t n) {
	atomic_store_explicit(
		counter,
		atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed
	);
}

// NULL where there is no room and none is waited for.
static struct flow_record *reserve(struct archive *archive) {
	struct flow_record *slot = ring_reserve(archive->ring);

	if (slot != NULL || !archive->config.wait || !archive->flusher.started)
		return slot;
	ring_publish(archive->ring);
	while ((slot = ring_reserve(archive->ring)) == NULL)
		nanosleep(&(struct timespec){.tv_nsec = FULL_SLEEP_US * NS_PER_US}, NULL);
	return slot;
}

static bool mark(struct archive *archive, time_ns_t now_ns) {
	// Files change at whole seconds.
	if (now_ns / NS_PER_S == archive->marked_s)
		return true;
	struct flow_record *slot = reserve(archive);
	if (slot == NULL)
		return false;
	*slot = record_mark(0, ticks_of_ns(now_ns));
	ring_push(archive->ring);
	archive->marked_s = now_ns / NS_PER_S;
	return true;
}

void archive_add(
	struct archive *archive, const struct flow_record *records, size_t n, time_ns_t now_ns
) {
	size_t done = 0;

	add_own(&archive->records, n);
	if (mark(archive, now_ns))
		for (struct flow_record *slot; done < n && (slot = reserve(archive)) != NULL;) {
			*slot = records[done++];
			ring_push(archive->ring);
		}
	if (done < n)
		add_own(&archive->lost_full, n - done);
	ring_publish(archive->ring);
	archive_tick(archive, now_ns);
}

void archive_tick(struct archive *archive, time_ns_t now_ns) {
	// Release, with the acquire of the thread that writes: when it sees this clock and an empty
	// ring, there were no records before it.
	atomic_store_explicit(&archive->now_ns, now_ns, memory_order_release);
}

void archive_stop(struct archive *archive) {
	if (archive == NULL)
		return;
	atomic_store_explicit(&archive->hurry, true, memory_order_relaxed);
	// Release, with the acquire of the thread that writes: all records are in the ring.
	atomic_store_explicit(&archive->closing, true, memory_order_release);
	if (archive->flusher.started) {
		pthread_join(archive->flusher.thread, NULL);
	} else {
		uint64_t n = 0;
		for (uint32_t i = 0; i < ring_ready(archive->ring); i++)
			n += !record_is_mark(ring_at(archive->ring, i));
		archive_count(&archive->lost_error, n);
		ring_release(archive->ring, ring_ready(archive->ring));
	}
	archive->flusher.started = false;
	archive_closer_stop(&archive->closer);
	if (archive->lock_fd >= 0) {
		// While it is ours: whoever waits for it sees that it is no more.
		unlinkat(archive->place.dir_fd, archive->lock_path, 0);
		close(archive->lock_fd);
		archive->lock_fd = -1;
	}
}

static uint64_t read_counter(const _Atomic(uint64_t) *counter) {
	// Relaxed: a number by itself.
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void archive_stats(const struct archive *archive, struct archive_stats *stats) {
	*stats = (struct archive_stats){
		.records = read_counter(&archive->records),
		.archived = read_counter(&archive->archived),
		.lost_full = read_counter(&archive->lost_full),
		.lost_error = read_counter(&archive->lost_error),
		.recovered = read_counter(&archive->recovered),
		.damaged = read_counter(&archive->damaged),
		.files = read_counter(&archive->files),
		.bytes = read_counter(&archive->bytes),
		.deleted = read_counter(&archive->deleted),
		.errors = read_counter(&archive->errors),
	};
}

const char *archive_dir(const struct archive *archive) {
	return archive->dir;
}

void archive_free(struct archive *archive) {
	if (archive == NULL)
		return;
	if (archive->ring != NULL)
		archive_stop(archive);
	archive_closer_done(&archive->closer);
	parquet_writer_free(archive->flusher.writer);
	byte_buffer_done(&archive->flusher.entry);
	free(archive->flusher.batch);
	if (archive->ring != NULL)
		ring_free(archive->ring);
	if (archive->place.dir_fd >= 0)
		close(archive->place.dir_fd);
	free(archive->dir);
	free(archive->sampler_address);
	free(archive);
}
