// What stands on the disk, and what may happen to it, under `weir query`: files that are skipped,
// damaged, deleted, renamed; and what is stopped.

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_maker.h"
#include "clock.h"
#include "database.h"

#define BEGIN_NS (INT64_C(1795514400) * NS_PER_S)
#define HOUR_NS (3600 * NS_PER_S)

enum {
	MOST_ERRORS = 8,
	N_ROWS = 400, // of each file
};

struct fixture {
	struct made_archive archive;
	char paths[4][MADE_PATH_BYTES];
	atomic_bool stop;
	unsigned n_errors;
	char errors[MOST_ERRORS][1024];
	struct scan_progress progress;
};

static void on_error(void *arg, const char *line) {
	struct fixture *fixture = arg;

	assert_true(fixture->n_errors < MOST_ERRORS);
	snprintf(fixture->errors[fixture->n_errors++], sizeof(fixture->errors[0]), "%s", line);
}

static void on_progress(void *arg, const struct scan_progress *progress) {
	((struct fixture *)arg)->progress = *progress;
}

// Four files, an hour each, of 400 rows in 4 row groups.
static int setup(void **state) {
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	made_archive_begin(&fixture->archive, 21);
	for (int hour = 0; hour < 4; hour++)
		made_archive_add(
			&fixture->archive,
			"a",
			BEGIN_NS + (hour + 1) * HOUR_NS,
			BEGIN_NS + hour * HOUR_NS,
			N_ROWS,
			100,
			0,
			fixture->paths[hour]
		);
	*state = fixture;
	return 0;
}

static int teardown(void **state) {
	struct fixture *fixture = *state;

	made_archive_end(&fixture->archive);
	free(fixture);
	return 0;
}

// Runs a statement with one thread. Returns the result of database_run(), and the value in the
// first column of the last row.
static int run(struct fixture *fixture, const char *sql, bool plain, int64_t *value, char *error) {
	struct database *database = database_open(
		&(struct database_config){
			.archive =
				{
					.dir = fixture->archive.dir,
					.n_threads = 1,
					.stop = &fixture->stop,
					.on_error = on_error,
					.on_progress = on_progress,
					.arg = fixture,
				},
			.plain = plain,
		},
		error
	);
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	struct output *output =
		output_new(&(struct output_config){.format = OUTPUT_CSV, .out = out});

	assert_non_null(database);
	error[0] = '\0';
	int rc = database_run(database, sql, output, error);
	output_free(output);
	fclose(out);
	const char *line = strchr(text, '\n');
	*value = line == NULL ? -1 : strtoll(line + 1, NULL, 10);
	free(text);
	database_close(database);
	return rc;
}

static int64_t count(struct fixture *fixture, const char *where) {
	char sql[512], error[DATABASE_ERROR_BYTES];
	int64_t slow, fast;

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM flows %s", where);
	assert_int_equal(run(fixture, sql, true, &slow, error), 0);
	unsigned n_errors = fixture->n_errors;
	fixture->n_errors = 0;
	assert_int_equal(run(fixture, sql, false, &fast, error), 0);
	assert_int_equal(slow, fast);
	assert_int_equal(n_errors, fixture->n_errors);
	return fast;
}

static void names_and_statistics_spare_what_a_time_excludes(void **state) {
	struct fixture *fixture = *state;
	char where[128];

	// By the second name the first file was closed at BEGIN_NS + 2 h, an hour and more before;
	// the next one was not, and its statistics say it.
	snprintf(
		where,
		sizeof(where),
		"WHERE time_flow_start_ns >= %lld",
		(long long)(BEGIN_NS + 3 * HOUR_NS)
	);
	assert_int_equal(count(fixture, where), N_ROWS);
	assert_int_equal(fixture->progress.files_skipped, 1);
	assert_int_equal(fixture->progress.rows_skipped, 2 * N_ROWS);
	assert_int_equal(fixture->progress.rows, N_ROWS);

	// Names say nothing of what ends early: statistics do.
	snprintf(
		where,
		sizeof(where),
		"WHERE time_flow_start_ns < %lld",
		(long long)(BEGIN_NS + HOUR_NS)
	);
	assert_int_equal(count(fixture, where), N_ROWS);
	assert_int_equal(fixture->progress.files_skipped, 0);
	assert_int_equal(fixture->progress.rows_skipped, 3 * N_ROWS);
}

static void another_sensor_says_nothing_of_a_file(void **state) {
	struct fixture *fixture = *state;

	// Begun before all others, and the only one of its sensor: may have been written until now.
	made_archive_add(
		&fixture->archive, "b", BEGIN_NS, BEGIN_NS + 10 * HOUR_NS, 50, 100, 0, NULL
	);
	char where[128];
	snprintf(
		where,
		sizeof(where),
		"WHERE time_flow_start_ns >= %lld",
		(long long)(BEGIN_NS + 10 * HOUR_NS)
	);
	assert_int_equal(count(fixture, where), 50);
	assert_int_equal(fixture->progress.files_skipped, 3);
}

static void statistics_spare_what_an_address_excludes(void **state) {
	struct fixture *fixture = *state;

	assert_int_equal(count(fixture, "WHERE src_mac = '~'"), 0);
	assert_int_equal(fixture->progress.rows, 0);
	assert_int_equal(fixture->progress.rows_skipped, 4 * N_ROWS);
	// Above "fe80::", the greatest text of all.
	assert_int_equal(count(fixture, "WHERE ip_in(src_addr, 'ff00::1/128')"), 0);
	assert_int_equal(fixture->progress.rows, 0);
	assert_int_equal(count(fixture, "WHERE src_addr IN ('~', '}')"), 0);
	assert_int_equal(fixture->progress.rows, 0);
}

static void damage(const char *path, long offset, int octet) {
	FILE *file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
	fputc(octet, file);
	fclose(file);
}

static void a_damaged_file_is_named_and_the_others_are_read(void **state) {
	struct fixture *fixture = *state;

	damage(fixture->paths[1], -1, 'x'); // the magic at the end
	assert_int_equal(count(fixture, "WHERE bytes > 0"), 3 * N_ROWS);
	assert_int_equal(fixture->n_errors, 1);
	assert_non_null(strstr(fixture->errors[0], fixture->paths[1]));
	assert_true(strlen(fixture->errors[0]) > strlen(fixture->paths[1]) + 5);
}

static void a_file_with_a_damaged_column_is_told_once(void **state) {
	struct fixture *fixture = *state;

	// The first row group begins with its first column.
	for (long i = 4; i < 200; i++)
		damage(fixture->paths[2], i, 0xff);
	int64_t n = count(fixture, "WHERE time_flow_start_ns % 2 < 9");
	assert_int_equal(n, 4 * N_ROWS - 100);
	assert_int_equal(fixture->n_errors, 1);
	assert_non_null(strstr(fixture->errors[0], fixture->paths[2]));
	assert_non_null(strstr(fixture->errors[0], "time_flow_start_ns"));
}

static void a_file_without_a_column_has_nothing_in_it(void **state) {
	struct fixture *fixture = *state;
	uint64_t columns = (UINT64_C(1) << COLUMN_SRC_ADDR) | (UINT64_C(1) << COLUMN_PROTO);

	made_archive_add(
		&fixture->archive, "a", BEGIN_NS + 9 * HOUR_NS, BEGIN_NS, 50, 100, columns, NULL
	);
	assert_int_equal(count(fixture, ""), 4 * N_ROWS + 50);
	assert_int_equal(count(fixture, "WHERE bytes IS NULL"), 50);
	assert_int_equal(count(fixture, "WHERE bytes >= 0"), 4 * N_ROWS);
	// What cannot be added up is added up by SQLite.
	char error[DATABASE_ERROR_BYTES];
	int64_t slow, fast;
	const char *sql = "SELECT min(bytes) + count(*) + max(bytes) FROM flows";
	assert_int_equal(run(fixture, sql, true, &slow, error), 0);
	assert_int_equal(run(fixture, sql, false, &fast, error), 0);
	assert_int_equal(slow, fast);
	sql = "SELECT ifnull(sum(bytes), -7) FROM flows WHERE time_flow_start_ns IS NULL";
	assert_int_equal(run(fixture, sql, false, &fast, error), 0);
	assert_int_equal(fast, -7);
}

static void an_archive_that_is_not_there_is_named(void **state) {
	struct fixture *fixture = *state;
	struct fixture other = {.archive = {.dir = "/nonexistent/archive"}};
	char error[DATABASE_ERROR_BYTES];
	int64_t value;
	(void)fixture;

	assert_int_equal(run(&other, "SELECT count(*) FROM flows", false, &value, error), -EIO);
	assert_string_equal(error, "/nonexistent/archive: No such file or directory");
	assert_int_equal(run(&other, "SELECT bytes FROM flows", true, &value, error), -EIO);
}

static void what_is_stopped_gives_no_more(void **state) {
	struct fixture *fixture = *state;
	char error[DATABASE_ERROR_BYTES];
	int64_t value;

	atomic_store(&fixture->stop, true);
	assert_int_equal(
		run(fixture, "SELECT sum(bytes) FROM flows", false, &value, error), -EINTR
	);
	assert_int_equal(value, -1);
	assert_int_equal(run(fixture, "SELECT * FROM flows", true, &value, error), -EINTR);
}

// A statement that is done early leaves workers that wait; and one that reads twice begins twice.
static void what_is_left_early_ends_well(void **state) {
	struct fixture *fixture = *state;
	char error[DATABASE_ERROR_BYTES];
	int64_t value;

	assert_int_equal(
		run(fixture, "SELECT bytes > 0 FROM flows LIMIT 1", true, &value, error), 0
	);
	assert_int_equal(value, 1);
	assert_int_equal(
		run(fixture,
		    "SELECT count(*) FROM (VALUES (6), (17)) v, flows WHERE proto = v.column1",
		    false,
		    &value,
		    error),
		0
	);
	assert_int_equal(value, count(fixture, "WHERE proto IN (6, 17)"));
}

// Renames files to and from as a writer that closes them does, and deletes one.
struct writer {
	struct fixture *fixture;
	atomic_bool end;
};

static void *rename_files(void *arg) {
	struct writer *writer = arg;
	struct fixture *fixture = writer->fixture;
	char hidden[MADE_PATH_BYTES + 8];

	for (unsigned i = 0; !atomic_load(&writer->end); i++) {
		const char *path = fixture->paths[i % 4];
		// What is moved away for a while is listed and then not found.
		snprintf(hidden, sizeof(hidden), "%s.hidden", path);
		if (rename(path, hidden) != 0 || rename(hidden, path) != 0)
			return arg; // failed
	}
	return NULL;
}

static void files_that_come_and_go_are_counted_once_or_told(void **state) {
	struct fixture *fixture = *state;
	struct writer writer = {.fixture = fixture};
	char error[DATABASE_ERROR_BYTES];
	pthread_t thread;
	unsigned n_told = 0;
	void *failed;

	assert_int_equal(pthread_create(&thread, NULL, rename_files, &writer), 0);
	for (unsigned i = 0; i < TEST_ROUNDS(1000) + 20; i++) {
		int64_t n;
		assert_int_equal(
			run(fixture, "SELECT count(*) FROM flows", i % 2 == 0, &n, error), 0
		);
		// Files are there whole or not at all, and never twice.
		assert_int_equal(n % N_ROWS, 0);
		assert_in_range(n, 0, 4 * N_ROWS);
		// One that was listed, and then not found, is told.
		assert_true(n + fixture->n_errors * (int64_t)N_ROWS <= 4 * (int64_t)N_ROWS);
		n_told += fixture->n_errors;
		fixture->n_errors = 0;
	}
	atomic_store(&writer.end, true);
	pthread_join(thread, &failed);
	assert_null(failed);
	print_message("# %u told\n", n_told);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_and_statistics_spare_what_a_time_excludes),
		TEST(another_sensor_says_nothing_of_a_file),
		TEST(statistics_spare_what_an_address_excludes),
		TEST(a_damaged_file_is_named_and_the_others_are_read),
		TEST(a_file_with_a_damaged_column_is_told_once),
		TEST(a_file_without_a_column_has_nothing_in_it),
		TEST(an_archive_that_is_not_there_is_named),
		TEST(what_is_stopped_gives_no_more),
		TEST(what_is_left_early_ends_well),
		TEST(files_that_come_and_go_are_counted_once_or_told),
	};
	return cmocka_run_group_tests_name("query archive", tests, NULL, NULL);
}
