// What a crash left of an archive, made by hand, and what the next start makes of it.

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_fixture.h"

static struct found found;
static char dir[FIXTURE_DIR_BYTES];

static int make_folder(void **state) {
	(void)state;
	faults = (struct faults){0};
	fixture_dir(dir);
	return 0;
}

static int remove_folder(void **state) {
	(void)state;
	fixture_remove(dir);
	return 0;
}

// What a crash may leave, made by hand.
static void leave_part(unsigned n_groups) {
	struct archive_config config = fixture_config(dir);
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		char error[ARCHIVE_ERROR_BYTES];
		struct archive *archive = archive_open(&config, error);
		if (archive == NULL || archive_start(archive, error) < 0)
			_exit(1);
		for (unsigned i = 0; i < n_groups; i++) {
			fixture_add(archive, 100 * i, 100, FIXTURE_BEGIN_NS);
			fixture_wait(archive, 100 * (i + 1));
		}
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	fixture_find(dir, &found);
	assert_int_equal(found.open, 1);
	assert_int_equal(found.records, 100 * n_groups);
}

static int open_left(const char *suffix, int flags) {
	char path[600];

	snprintf(
		path,
		sizeof(path),
		"%.*s%s",
		(int)(strlen(found.first) - strlen(".part")),
		found.first,
		suffix
	);
	int fd = open(path, flags | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	return fd;
}

static void notes_that_were_cut_anywhere_are_good_up_to_there(void **state) {
	struct archive_stats stats;
	struct stat status;
	(void)state;

	leave_part(2);
	int fd = open_left(".notes", O_RDWR);
	assert_int_equal(fstat(fd, &status), 0);
	static uint8_t notes[1 << 16];
	assert_in_range(status.st_size, 100, sizeof(notes));
	assert_int_equal(pread(fd, notes, sizeof(notes), 0), status.st_size);
	uint64_t seen = 2;
	for (off_t n = status.st_size; n >= 0; n -= 37) {
		// An open file is read up to there.
		assert_int_equal(ftruncate(fd, n), 0);
		fixture_find(dir, &found);
		assert_true(found.records / 100 == seen || found.records / 100 == seen - 1);
		seen = found.records / 100;
		assert_int_equal(found.records % 100, 0);
	}
	assert_int_equal(seen, 0);
	assert_int_equal(pwrite(fd, notes, (size_t)status.st_size - 1, 0), status.st_size - 1);
	close(fd);
	fixture_recover(dir, &stats);
	assert_int_equal(stats.recovered, 100);
	assert_int_equal(stats.damaged, 0);
	fixture_find(dir, &found);
	assert_int_equal(found.records, 100);
	assert_int_equal(found.open + found.others, 0);
}

static void what_was_being_written_when_it_died_is_cut_off(void **state) {
	static const char rest[5000] = "half a row group";
	struct archive_stats stats;
	(void)state;

	leave_part(3);
	int fd = open_left(".part", O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, rest, sizeof(rest)), sizeof(rest));
	close(fd);
	fd = open_left(".notes", O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, rest, 20), 20);
	close(fd);
	fd = open_left(".new", O_WRONLY | O_CREAT);
	assert_int_equal(write(fd, rest, 20), 20);
	close(fd);
	fixture_recover(dir, &stats);
	assert_int_equal(stats.recovered, 300);
	fixture_find(dir, &found);
	assert_int_equal(found.records, 300);
	assert_int_equal(found.open + found.others, 0);
}

static void a_row_group_that_rotted_is_counted_and_the_others_are_kept(void **state) {
	struct archive_stats stats;
	(void)state;

	leave_part(3);
	int fd = open_left(".part", O_WRONLY);
	assert_int_equal(pwrite(fd, "rot", 3, 100), 3);
	close(fd);
	fixture_recover(dir, &stats);
	assert_int_equal(stats.recovered, 200);
	assert_int_equal(stats.damaged, 100);
	fixture_find(dir, &found);
	assert_int_equal(found.records, 200);
	assert_int_equal(found.seen[0], 0);
	assert_int_equal(found.seen[100], 1);
	assert_int_equal(found.open + found.others, 0);
}

static void what_is_not_ours_stays(void **state) {
	struct archive_stats stats;
	char path[600];
	(void)state;

	leave_part(1);
	int fd = open_left("-mine.txt", O_WRONLY | O_CREAT);
	close(fd);
	snprintf(path, sizeof(path), "%s/README", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	close(fd);
	snprintf(path, sizeof(path), "%s/date=2023-11-14/hour=99", dir);
	assert_int_equal(symlink("/etc", path), 0);
	fixture_recover(dir, &stats);
	assert_int_equal(stats.recovered, 100);
	fixture_find(dir, &found);
	assert_int_equal(found.records, 100);
	assert_int_equal(found.others, 2);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(notes_that_were_cut_anywhere_are_good_up_to_there),
		IN_A_FOLDER(what_was_being_written_when_it_died_is_cut_off),
		IN_A_FOLDER(a_row_group_that_rotted_is_counted_and_the_others_are_kept),
		IN_A_FOLDER(what_is_not_ours_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
