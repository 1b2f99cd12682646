// The archive when the file system fails, and when weir dies: at each of its calls in turn.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_fixture.h"

#define HOUR_NS (3600 * NS_PER_S)

// Each call in turn; under a sanitizer, which takes its time, some.
#ifdef __SANITIZE_THREAD__
#define STRIDE 7
#elif defined(__SANITIZE_ADDRESS__)
#define STRIDE 4
#else
#define STRIDE 1
#endif

enum {
	N_RECORDS = 950,
	ALL_CALLS = (1 << FAULT_CALLS) - 1,
	MAX_CALLS = 2000,
};

// Archived, or given up.
static void wait_for_archived(const struct archive *archive, uint64_t n) {
	struct archive_stats stats;

	for (int i = 0; i < 20000; i++) {
		archive_stats(archive, &stats);
		if (stats.archived + stats.lost_error >= n)
			return;
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS / 2}, NULL);
	}
	fail_msg("%llu records were to be archived", (unsigned long long)n);
}

// Two files of a few row groups, one of which is not full.
static void fill(struct archive *archive) {
	fixture_add(archive, 0, 330, FIXTURE_BEGIN_NS);
	wait_for_archived(archive, 330);
	fixture_add(archive, 330, 320, FIXTURE_BEGIN_NS + HOUR_NS - 1);
	fixture_add(archive, 650, 300, FIXTURE_BEGIN_NS + HOUR_NS);
}

static void all_are_there_once(const char *dir, const char *call, uint64_t number) {
	static struct found found;

	fixture_find(dir, &found);
	for (uint32_t i = 0; i < N_RECORDS; i++)
		if (found.seen[i] != 1)
			fail_msg(
				"%s %llu: record %u is there %u times",
				call,
				(unsigned long long)number,
				i,
				found.seen[i]
			);
	assert_int_equal(found.records, N_RECORDS);
	assert_int_equal(found.files, 2);
	assert_int_equal(found.open, 0);
	assert_int_equal(found.others, 0);
}

// Returns whether there was such a call.
static bool no_copies;

static bool run_with_fault(unsigned calls, uint64_t from, uint64_t n, int error, const char *name) {
	char dir[FIXTURE_DIR_BYTES];
	struct archive_stats stats;

	fixture_dir(dir);
	struct archive_config config = fixture_config(dir);
	config.no_copies = no_copies;
	faults = (struct faults
	){.calls = calls, .from = from, .n = n, .error = error, .half = from % 2 == 1};
	struct archive *archive = fixture_open(&config);
	fill(archive);
	archive_stop(archive);
	archive_stats(archive, &stats);
	archive_free(archive);
	bool reached = atomic_load(&faults.count) >= from;
	assert_int_equal(stats.records, N_RECORDS);
	assert_int_equal(stats.archived, N_RECORDS);
	assert_int_equal(stats.errors > 0, reached);
	fixture_recover(dir, &stats);
	all_are_there_once(dir, name, from);
	fixture_remove(dir);
	return reached;
}

static void one_call_that_fails_loses_nothing(void **state) {
	static const int errors[] = {ENOSPC, EIO, EROFS};
	(void)state;

	for (unsigned call = 0; call < FAULT_CALLS; call++) {
		uint64_t number = 1;
		while (run_with_fault(1U << call, number, 1, errors[number % 3], fault_names[call]))
			number += STRIDE;
		print_message(
			"# %s: up to the %lluth, calls failed once\n",
			fault_names[call],
			(unsigned long long)number - STRIDE
		);
	}
}

static void writes_may_be_short(void **state) {
	char dir[FIXTURE_DIR_BYTES];
	(void)state;

	fixture_dir(dir);
	struct archive_config config = fixture_config(dir);
	config.no_copies = no_copies;
	faults = (struct faults){.short_writes = true};
	struct archive *archive = fixture_open(&config);
	fill(archive);
	archive_free(archive);
	all_are_there_once(dir, "short writes", 0);
	fixture_remove(dir);
}

// From some call on nothing works until the end: what was archived is there after the next start,
// and what was not is counted.
static void a_disk_that_fails_for_good_loses_what_was_not_flushed(void **state) {
	static struct found found;
	char dir[FIXTURE_DIR_BYTES];
	struct archive_stats stats, after;
	bool reached = true;
	(void)state;

	for (uint64_t from = 1; reached; from += 3 * STRIDE) {
		fixture_dir(dir);
		struct archive_config config = fixture_config(dir);
		config.no_copies = no_copies;
		config.patience_ns = 3 * NS_PER_MS;
		faults = (struct faults
		){.calls = ALL_CALLS,
		  .from = from,
		  .n = UINT64_MAX,
		  .error = from % 2 == 0 ? EIO : ENOSPC};
		struct archive *archive = fixture_open(&config);
		fill(archive);
		archive_stop(archive);
		archive_stats(archive, &stats);
		archive_free(archive);
		reached = atomic_load(&faults.count) >= from;
		assert_int_equal(stats.records, N_RECORDS);
		assert_int_equal(
			stats.archived + stats.lost_error + stats.lost_full, stats.records
		);
		fixture_recover(dir, &after);
		assert_int_equal(after.damaged, 0);
		fixture_find(dir, &found);
		assert_int_equal(found.open, 0);
		assert_int_equal(found.others, 0);
		// What reached the disk though its sync failed is there, and counted as lost.
		assert_true(found.records >= stats.archived);
		for (uint32_t i = 0; i < N_RECORDS; i++)
			assert_in_range(found.seen[i], i < stats.archived ? 1 : 0, 1);
		fixture_remove(dir);
	}
}

// What a process that died had flushed.
static struct flushed {
	_Atomic(uint64_t) records;
	_Atomic(uint64_t) calls;
} * flushed;
static struct archive *running;

static void note_and_die(void) {
	struct archive_stats stats;

	archive_stats(running, &stats);
	atomic_store(&flushed->records, stats.archived);
	_exit(3);
}

static bool die_at(uint64_t number) {
	static struct found found;
	char dir[FIXTURE_DIR_BYTES];
	struct archive_stats stats;
	int status;

	fixture_dir(dir);
	atomic_store(&flushed->records, N_RECORDS);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct archive_config config = fixture_config(dir);
		config.no_copies = no_copies;
		char error[ARCHIVE_ERROR_BYTES];
		faults = (struct faults
		){.calls = ALL_CALLS, .from = number, .n = 1, .half = true, .at = note_and_die};
		running = archive_open(&config, error);
		if (running == NULL || archive_start(running, error) < 0)
			_exit(1);
		fill(running);
		archive_stop(running);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3);
	bool died = WEXITSTATUS(status) == 3;
	fixture_recover(dir, &stats);
	assert_int_equal(stats.damaged, 0);
	fixture_find(dir, &found);
	assert_int_equal(found.open, 0);
	assert_int_equal(found.others, 0);
	for (uint32_t i = 0; i < N_RECORDS; i++)
		if (found.seen[i] > 1 || (i < flushed->records && found.seen[i] != 1))
			fail_msg(
				"died at call %llu with %llu flushed: record %u is there %u times",
				(unsigned long long)number,
				(unsigned long long)flushed->records,
				i,
				found.seen[i]
			);
	fixture_remove(dir);
	return died;
}

static void a_death_at_any_call_loses_nothing_that_was_flushed(void **state) {
	uint64_t number = 1;
	(void)state;

	flushed = mmap(
		NULL, sizeof(*flushed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0
	);
	assert_true(flushed != MAP_FAILED);
	while (number < MAX_CALLS && die_at(number))
		number += STRIDE;
	print_message("# died at up to the %lluth call\n", (unsigned long long)number - STRIDE);
	assert_in_range(number, 30, MAX_CALLS - 1);
	munmap(flushed, sizeof(*flushed));
}

static int with_copies(void **state) {
	(void)state;
	no_copies = false;
	return 0;
}

static int without_copies(void **state) {
	(void)state;
	no_copies = true;
	return 0;
}

#define BOTH_WAYS(test)                                                                            \
	{#test, test, with_copies, NULL, NULL}, {                                                  \
#test "_without_copies", test, without_copies, NULL, NULL                          \
	}

int main(void) {
	const struct CMUnitTest tests[] = {
		BOTH_WAYS(writes_may_be_short),
		BOTH_WAYS(one_call_that_fails_loses_nothing),
		BOTH_WAYS(a_disk_that_fails_for_good_loses_what_was_not_flushed),
		BOTH_WAYS(a_death_at_any_call_loses_nothing_that_was_flushed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
