// What the tests of streams share.

#pragma once

#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "stream.h"
#include "stream_peer.h"

#define PATIENCE_MS 20000 // for what comes at once unless something is wrong

static inline int64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static inline struct stream *open_stream(const struct stream_config *config) {
	char error[STREAM_ERROR_BYTES] = "";
	struct stream *stream = stream_open(config, error);
	if (stream == NULL)
		fail_msg("%s", error);
	return stream;
}

static inline struct stream_stats stats_of(const struct stream *stream) {
	struct stream_stats stats;
	stream_stats(stream, &stats);
	return stats;
}

static inline uint64_t failures_of(const struct stream *stream) {
	struct stream_stats stats = stats_of(stream);
	uint64_t n = 0;
	for (unsigned i = 0; i < STREAM_FAILURES; i++)
		n += stats.failures[i];
	return n;
}

static inline void must_connect(struct stream *stream) {
	if (stream_connect(stream, PATIENCE_MS) != 1)
		fail_msg("not connected: %s", stream_error(stream));
}

// Looks after the session until something has failed, which is to be `failure` and to say `said`.
static inline void must_fail(struct stream *stream, enum stream_failure failure, const char *said) {
	int64_t until_ms = now_ms() + PATIENCE_MS;

	while (failures_of(stream) == 0 && now_ms() < until_ms) {
		assert_true(stream_connect(stream, 10) >= 0);
		sched_yield();
	}
	if (stats_of(stream).failures[failure] == 0 || strstr(stream_error(stream), said) == NULL)
		fail_msg("not \"%s\", but \"%s\"", said, stream_error(stream));
}

// Messages of `n` octets until one is not taken; returns why.
static inline int write_until_error(struct stream *stream, const void *octets, size_t n) {
	int rc = 0;
	for (unsigned i = 0; i < 100000 && rc == 0; i++)
		rc = stream_write(stream, octets, n);
	return rc;
}

static inline unsigned n_files(void) {
	unsigned n = 0;
	DIR *files = opendir("/proc/self/fd");
	assert_non_null(files);
	while (readdir(files) != NULL)
		n++;
	closedir(files);
	return n;
}

static inline void *abort_soon(void *arg) {
	struct stream *stream = arg;
	// Most often the stream waits by then; when it does not yet, the abort must hold as well.
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	stream_abort(stream);
	return NULL;
}
