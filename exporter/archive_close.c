// The thread that closes files: writes them anew, recovers what a crash left, deletes what is
// not to be kept. It may be slow: it has the least priority, and flushing does not wait for it.

#include "archive_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define RETAIN_EVERY_NS (60 * NS_PER_S)
// When weir ends. Some 2 s.
#define HURRY_RECORDS 2000000

enum {
	NICE = 15,
	MANY_JOBS = 3,     // then files come faster than they can be copied
	RETRY_FACTOR = 10, // of the time between tries to flush: each reads the whole file
};

int archive_closer_init(struct archive_closer *closer) {
	pthread_condattr_t attributes;

	closer->last = &closer->first;
	int rc = pthread_mutex_init(&closer->lock, NULL);
	if (rc != 0)
		return -rc;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	rc = pthread_cond_init(&closer->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	if (rc != 0)
		pthread_mutex_destroy(&closer->lock);
	return -rc;
}

void archive_closer_done(struct archive_closer *closer) {
	for (struct archive_job *job; (job = closer->first) != NULL; free(job))
		closer->first = job->next;
	pthread_cond_destroy(&closer->wake);
	pthread_mutex_destroy(&closer->lock);
}

static void put_last(struct archive_closer *closer, struct archive_job *job) {
	job->next = NULL;
	*closer->last = job;
	closer->last = &job->next;
	closer->n_jobs++;
}

int archive_closer_add(struct archive_closer *closer, const char *path, bool recovered) {
	struct archive_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return -ENOMEM;
	snprintf(job->path, sizeof(job->path), "%s", path);
	job->recovered = recovered;
	pthread_mutex_lock(&closer->lock);
	put_last(closer, job);
	pthread_cond_signal(&closer->wake);
	pthread_mutex_unlock(&closer->lock);
	return 0;
}

void archive_closer_retain(struct archive_closer *closer) {
	pthread_mutex_lock(&closer->lock);
	closer->retain = true;
	pthread_cond_signal(&closer->wake);
	pthread_mutex_unlock(&closer->lock);
}

void archive_closer_stop(struct archive_closer *closer) {
	pthread_mutex_lock(&closer->lock);
	closer->closing = true;
	pthread_cond_signal(&closer->wake);
	pthread_mutex_unlock(&closer->lock);
	if (closer->started)
		pthread_join(closer->thread, NULL);
	closer->started = false;
}

// Says what failed, once until something has worked again.
static void failed(struct archive *archive, const char *error) {
	archive_count(&archive->errors, 1);
	if (!archive->closer.failing)
		archive_say(archive, true, "%s; it is tried again", error);
	archive->closer.failing = true;
}

static bool do_job(struct archive *archive, const struct archive_job *job, bool in_place) {
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_finished finished;
	struct archive_finish_config config = {
		.level = archive_setting(archive, level),
		.group_records = archive->config.group_records,
		.in_place = in_place,
		.hurry = archive->config.wait ? NULL : &archive->hurry,
		.hurry_records = HURRY_RECORDS,
	};

	if (archive_finish(&archive->place, job->path, &config, &finished, error) < 0) {
		failed(archive, error);
		return false;
	}
	if (error[0] != '\0') {
		archive_count(&archive->errors, 1);
		archive_say(archive, true, "%s", error);
	}
	archive->closer.failing = false;
	archive_count(&archive->damaged, finished.damaged);
	if (job->recovered)
		archive_count(&archive->recovered, finished.records);
	if (finished.records == 0)
		return true;
	archive_count(&archive->files, 1);
	archive_count(&archive->bytes, finished.bytes);
	if (job->recovered)
		archive_say(
			archive,
			false,
			"%llu records that an earlier run had flushed are in %s",
			(unsigned long long)finished.records,
			job->path
		);
	return true;
}

static void retain(struct archive *archive) {
	char error[ARCHIVE_ERROR_BYTES];
	// Relaxed: a clock, which is about right.
	time_ns_t now_ns = atomic_load_explicit(&archive->now_ns, memory_order_relaxed);

	if (now_ns > 0 && archive_retain(archive, now_ns, error) < 0)
		failed(archive, error);
}

// Waits for a job, or until it is time to do something else. What is returned is the caller's.
static struct archive_job *
next_job(struct archive_closer *closer, time_ns_t until_ns, bool *closing, unsigned *n_jobs) {
	struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};

	pthread_mutex_lock(&closer->lock);
	while (closer->first == NULL && !closer->closing && !closer->retain)
		if (pthread_cond_timedwait(&closer->wake, &closer->lock, &until) == ETIMEDOUT)
			break;
	struct archive_job *job = closer->first;
	*n_jobs = closer->n_jobs;
	if (job != NULL) {
		closer->first = job->next;
		closer->n_jobs--;
		if (closer->first == NULL)
			closer->last = &closer->first;
	}
	*closing = closer->closing;
	closer->retain = false;
	pthread_mutex_unlock(&closer->lock);
	return job;
}

// Until it is time, or all is to end.
static bool wait_until(struct archive_closer *closer, time_ns_t until_ns) {
	struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};

	pthread_mutex_lock(&closer->lock);
	while (!closer->closing
	       && pthread_cond_timedwait(&closer->wake, &closer->lock, &until) != ETIMEDOUT)
		;
	bool closing = closer->closing;
	pthread_mutex_unlock(&closer->lock);
	return closing;
}

// A job that fails stands in for all: the others would fail too, and are not to be lost from
// sight.
static void persist(struct archive *archive, const struct archive_job *job, bool in_place) {
	struct archive_closer *closer = &archive->closer;
	time_ns_t retry_ns = archive->config.retry_ns * RETRY_FACTOR;

	while (!do_job(archive, job, in_place)) {
		retain(archive); // may make room
		if (!wait_until(closer, archive_monotonic_ns() + retry_ns))
			continue;
		if (!do_job(archive, job, in_place))
			archive_say(
				archive,
				true,
				"%s is left as a .part, which the next start closes",
				job->path
			);
		return;
	}
}

// Whether a file is to be closed without a copy: when there is no time for one.
static bool is_in_haste(
	const struct archive *archive, const struct archive_job *job, unsigned n_jobs, bool closing
) {
	if (archive->config.no_copies)
		return true;
	if (closing && !archive->config.wait)
		return n_jobs > 1;
	return n_jobs > MANY_JOBS && !job->recovered;
}

static void *run(void *arg) {
	struct archive *archive = arg;
	struct archive_closer *closer = &archive->closer;
	struct archive_job *job;
	unsigned n_jobs;
	bool closing = false;

	// Of this thread alone, on Linux.
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	for (;;) {
		retain(archive);
		job = next_job(closer, archive_monotonic_ns() + RETAIN_EVERY_NS, &closing, &n_jobs);
		if (job == NULL && closing)
			break;
		if (job != NULL)
			persist(archive, job, is_in_haste(archive, job, n_jobs, closing));
		free(job);
	}
	return NULL;
}

int archive_closer_start(struct archive *archive) {
	int rc = pthread_create(&archive->closer.thread, NULL, run, archive);
	archive->closer.started = rc == 0;
	return -rc;
}
