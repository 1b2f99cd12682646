// The archive: records in, files out, at their times and sizes; what is deleted, and what is lost.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_fixture.h"

#define HOUR_NS (3600 * NS_PER_S)

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

static void assert_files(unsigned n, const char *const *names) {
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_files files;

	assert_int_equal(archive_files_list(dir, &files, error), 0);
	assert_int_equal(files.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(files.files[i].path + strlen(dir) + 1, names[i]);
	archive_files_free(&files);
}

static void files_change_at_whole_hours_of_the_records_clock(void **state) {
	struct archive_config config = fixture_config(dir);
	struct archive_stats stats;
	(void)state;

	struct archive *archive = fixture_open(&config);
	fixture_add(archive, 0, 10, FIXTURE_BEGIN_NS + 1234567890);
	fixture_add(archive, 10, 10, FIXTURE_BEGIN_NS + HOUR_NS - 1);
	fixture_add(archive, 20, 10, FIXTURE_BEGIN_NS + HOUR_NS);
	fixture_add(archive, 30, 10, FIXTURE_BEGIN_NS + 25 * HOUR_NS);
	archive_stop(archive);
	archive_stats(archive, &stats);
	archive_free(archive);
	assert_int_equal(stats.archived, 40);
	assert_int_equal(stats.files, 3);
	assert_files(
		3,
		(const char *const[]){
			"date=2023-11-14/hour=23/north-20231114T230001.234Z.parquet",
			"date=2023-11-15/hour=00/north-20231115T000000.000Z.parquet",
			"date=2023-11-16/hour=00/north-20231116T000000.000Z.parquet",
		}
	);
	fixture_find(dir, &found);
	assert_int_equal(found.records, 40);
	assert_int_equal(found.others, 0);
}

static void a_file_ends_at_its_size_and_the_next_has_another_name(void **state) {
	struct archive_config config = fixture_config(dir);
	struct archive_stats stats;
	(void)state;

	config.rotate_bytes = 1; // after each row group
	struct archive *archive = fixture_open(&config);
	for (uint32_t i = 0; i < 5; i++) {
		fixture_add(archive, 100 * i, 100, FIXTURE_BEGIN_NS);
		fixture_wait(archive, 100 * (i + 1));
	}
	archive_stop(archive);
	archive_stats(archive, &stats);
	archive_free(archive);
	assert_int_equal(stats.files, 5);
	fixture_find(dir, &found);
	assert_int_equal(found.files, 5);
	assert_int_equal(found.records, 500);
}

static void a_closed_file_has_large_sorted_row_groups_and_says_what_it_holds(void **state) {
	struct archive_config config = fixture_config(dir);
	char error[ARCHIVE_ERROR_BYTES], path[512];
	struct parquet_range range;
	(void)state;

	config.sampling_rate = 10;
	config.sampler_address = "192.0.2.77";
	struct archive *archive = fixture_open(&config);
	for (uint32_t i = 0; i < 7; i++) {
		fixture_add(archive, 50 * i, 50, FIXTURE_BEGIN_NS);
		fixture_wait(archive, 50 * (i + 1));
	}
	archive_free(archive);
	fixture_find(dir, &found);
	assert_int_equal(found.records, 350);
	snprintf(path, sizeof(path), "%s", found.first);
	struct archive_reader *reader = archive_reader_open(path, error);
	assert_non_null(reader);
	assert_int_equal(parquet_reader_row_groups(reader->parquet), 2);
	assert_int_equal(parquet_reader_group_rows(reader->parquet, 0), 250);
	assert_string_equal(parquet_reader_value(reader->parquet, "weir.sensor"), "north");
	assert_string_equal(parquet_reader_value(reader->parquet, "weir.version"), WEIR_VERSION);
	assert_string_equal(parquet_reader_value(reader->parquet, "weir.sampling"), "10");
	assert_string_equal(parquet_reader_value(reader->parquet, "weir.records"), "350");
	// Packets 1 + ... + 350; octets 100 * (0 + ... + 349) + 350 * 40.
	assert_string_equal(
		parquet_reader_value(reader->parquet, "weir.ledger"),
		"{\"records\":350,\"packets\":61425,\"bytes\":6121500}"
	);
	assert_string_equal(
		parquet_reader_value(reader->parquet, "weir.begin_ns"), "1700002800000000000"
	);
	assert_string_equal(
		parquet_reader_value(reader->parquet, "weir.end_ns"), "1700002800022125000"
	);
	parquet_reader_range(reader->parquet, 1, COLUMN_SAMPLING_RATE, &range);
	assert_int_equal(range.max, 10);
	archive_reader_close(reader);
}

static void what_is_flushed_can_be_read_while_the_file_is_open_and_when_it_is_closed(void **state) {
	struct archive_config config = fixture_config(dir);
	char error[ARCHIVE_ERROR_BYTES], path[512];
	(void)state;

	struct archive *archive = fixture_open(&config);
	fixture_add(archive, 0, 100, FIXTURE_BEGIN_NS);
	fixture_wait(archive, 100);
	fixture_find(dir, &found);
	assert_int_equal(found.open, 1);
	assert_int_equal(found.records, 100);
	snprintf(path, sizeof(path), "%s", found.first);
	struct archive_reader *before = archive_reader_open(path, error);
	assert_non_null(before);
	fixture_add(archive, 100, 100, FIXTURE_BEGIN_NS);
	archive_free(archive);
	// Listed as open, and closed since.
	struct archive_reader *after = archive_reader_open(path, error);
	assert_non_null(after);
	assert_int_equal(parquet_reader_rows(before->parquet), 100);
	assert_int_equal(parquet_reader_rows(after->parquet), 200);
	struct flow_record records[100];
	struct flow_source source;
	assert_int_equal(parquet_reader_records(before->parquet, 0, records, &source, error), 0);
	archive_reader_close(before);
	archive_reader_close(after);
	path[strlen(path) - 6] = 'x';
	errno = 0;
	assert_null(archive_reader_open(path, error));
	assert_int_equal(errno, ENOENT);
}

static void a_name_is_one_archives_at_a_time(void **state) {
	struct archive_config config = fixture_config(dir);
	char error[ARCHIVE_ERROR_BYTES] = "", pid[32];
	(void)state;

	struct archive *north = fixture_open(&config);
	errno = 0;
	assert_null(archive_open(&config, error));
	assert_int_equal(errno, EBUSY);
	snprintf(pid, sizeof(pid), "(process %d)", (int)getpid());
	assert_non_null(strstr(error, pid));
	assert_non_null(strstr(error, "--sensor"));
	config.sensor = "south";
	struct archive *south = fixture_open(&config);
	fixture_add(north, 0, 10, FIXTURE_BEGIN_NS);
	fixture_add(south, 10, 10, FIXTURE_BEGIN_NS);
	archive_free(north);
	archive_free(south);
	fixture_find(dir, &found);
	assert_int_equal(found.files, 2);
	assert_int_equal(found.records, 20);
	assert_int_equal(found.others, 0);
}

static void names_of_sensors_lose_what_a_path_cannot_have(void **state) {
	char name[ARCHIVE_SENSOR_BYTES];
	(void)state;

	archive_sensor_name(name, "../.etc/pass wd-1_a.b");
	assert_string_equal(name, "etcpasswd-1_a.b");
	archive_sensor_name(name, "/");
	assert_string_equal(name, "weir");
	char longest[200];
	memset(longest, 'x', sizeof(longest));
	longest[199] = '\0';
	archive_sensor_name(name, longest);
	assert_int_equal(strlen(name), ARCHIVE_SENSOR_BYTES - 1);
	char path[ARCHIVE_NAME_BYTES];
	archive_path(path, name, FIXTURE_BEGIN_NS);
	struct archive_name parts;
	assert_true(archive_name_parse(strrchr(path, '/') + 1, &parts));
	assert_string_equal(parts.sensor, name);
	assert_true(parts.begin_ns == FIXTURE_BEGIN_NS);
}

static void other_names_are_none(void **state) {
	static const char *const names[] = {
		"",
		".parquet",
		"north.parquet",
		"north-20231114T230000.000Z.orc",
		"-20231114T230000.000Z.parquet",
		"north-20231114T230000.00xZ.parquet",
		"north-2023111xT230000.000Z.parquet",
		"north-00001114T230000.000Z.parquet",
	};
	struct archive_name parts;
	(void)state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (archive_name_parse(names[i], &parts))
			fail_msg("'%s' is taken for a name", names[i]);
	assert_true(archive_name_parse("a.parquet-20231114T230000.000Z.parquet.part", &parts));
	assert_string_equal(parts.sensor, "a.parquet");
	assert_string_equal(parts.suffix, ".part");
}

// Live, with a disk that is full for a while.
static char said[4][ARCHIVE_ERROR_BYTES * 2];
static bool said_bad[4];
static unsigned n_said;

static void hear(const char *message, bool bad, void *arg) {
	(void)arg;
	if (n_said < 4) {
		snprintf(said[n_said], sizeof(said[0]), "%s", message);
		said_bad[n_said] = bad;
	}
	n_said++;
}

static void a_full_disk_is_told_once_and_costs_what_finds_no_room_in_memory(void **state) {
	struct archive_config config = fixture_config(dir);
	struct archive_stats stats;
	(void)state;

	n_said = 0;
	config.wait = false;
	config.on_message = hear;
	faults = (struct faults
	){.calls = 1 << FAULT_WRITE, .from = 1, .n = UINT64_MAX, .error = ENOSPC};
	struct archive *archive = fixture_open(&config);
	fixture_add(archive, 0, 1, FIXTURE_BEGIN_NS);
	do {
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
		archive_stats(archive, &stats);
	} while (stats.errors < 3);
	// The exporter is not held up, though nobody reads: 100 wait in a batch, 1024 in the ring,
	// one slot of which was the mark's.
	fixture_add(archive, 1, 2999, FIXTURE_BEGIN_NS);
	archive_stats(archive, &stats);
	assert_int_equal(stats.records, 3000);
	assert_int_equal(stats.archived, 0);
	assert_in_range(stats.lost_full, 3000 - 1024 - 100, 3000 - 1024);
	faults.n = 0;
	stats = fixture_wait(archive, 3000 - stats.lost_full);
	fixture_add(archive, 3000, 50, FIXTURE_BEGIN_NS);
	archive_stop(archive);
	archive_stats(archive, &stats);
	archive_free(archive);
	assert_int_equal(stats.archived + stats.lost_full, 3050);
	assert_int_equal(stats.lost_error, 0);
	assert_int_equal(n_said, 2);
	assert_true(said_bad[0]);
	assert_non_null(strstr(said[0], "No space left on device"));
	assert_false(said_bad[1]);
	assert_non_null(strstr(said[1], "writing again"));
	char lost[64];
	snprintf(lost, sizeof(lost), "; %llu records", (unsigned long long)stats.lost_full);
	assert_non_null(strstr(said[1], lost));
	fixture_find(dir, &found);
	assert_int_equal(found.records, stats.archived);
	assert_int_equal(found.seen[0], 1);
	assert_int_equal(found.seen[3049], 1);
}

static void live_a_file_ends_with_its_hour_though_no_record_comes(void **state) {
	struct archive_config config = fixture_config(dir);
	struct archive_stats stats;
	(void)state;

	config.wait = false;
	struct archive *archive = fixture_open(&config);
	fixture_add(archive, 0, 10, FIXTURE_BEGIN_NS);
	fixture_wait(archive, 10);
	archive_tick(archive, FIXTURE_BEGIN_NS + HOUR_NS - 1);
	archive_tick(archive, FIXTURE_BEGIN_NS + HOUR_NS);
	do {
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
		archive_stats(archive, &stats);
	} while (stats.files == 0);
	fixture_find(dir, &found);
	assert_int_equal(found.open, 0);
	// Set back by more than a file, the clock begins one.
	fixture_add(archive, 10, 10, FIXTURE_BEGIN_NS + HOUR_NS);
	fixture_add(archive, 20, 10, FIXTURE_BEGIN_NS - HOUR_NS);
	archive_free(archive);
	fixture_find(dir, &found);
	assert_int_equal(found.files, 3);
	assert_int_equal(found.records, 30);
}

static void one_that_was_never_started_counts_all_as_lost(void **state) {
	struct archive_config config = fixture_config(dir);
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_stats stats;
	(void)state;

	config.wait = false;
	struct archive *archive = archive_open(&config, error);
	assert_non_null(archive);
	fixture_add(archive, 0, 1500, FIXTURE_BEGIN_NS);
	archive_stop(archive);
	archive_stats(archive, &stats);
	assert_int_equal(stats.records, 1500);
	assert_int_equal(stats.lost_error + stats.lost_full, 1500);
	archive_free(archive);
	archive_free(NULL);
}

// A file in each of `n` hours, of about the same size.
static void fill_hours(const char *sensor, unsigned n) {
	struct archive_config config = fixture_config(dir);

	config.sensor = sensor;
	struct archive *archive = fixture_open(&config);
	for (uint32_t i = 0; i < n; i++)
		fixture_add(archive, 100 * i, 100, FIXTURE_BEGIN_NS + i * HOUR_NS);
	archive_free(archive);
}

static void what_is_older_than_it_is_kept_is_deleted_with_its_folders(void **state) {
	struct archive_config config = fixture_config(dir);
	struct archive_stats stats;
	char folder[512];
	(void)state;

	fill_hours("north", 5);
	fill_hours("south", 5); // has its own ideas
	config.retain_ns = 2 * HOUR_NS;
	struct archive *archive = fixture_open(&config);
	// The third file may have a record of the hour's end, which is not yet two hours old.
	fixture_add(archive, 1000, 1, FIXTURE_BEGIN_NS + 5 * HOUR_NS - 1);
	archive_stop(archive);
	archive_stats(archive, &stats);
	archive_free(archive);
	assert_int_equal(stats.deleted, 2);
	fixture_find(dir, &found);
	assert_int_equal(found.files, 3 + 1 + 5);
	snprintf(folder, sizeof(folder), "%s/date=2023-11-14/hour=23", dir);
	assert_int_equal(access(folder, F_OK), 0); // of the other's
	assert_int_equal(found.others, 0);
}

static void the_oldest_are_deleted_while_all_are_too_large(void **state) {
	struct archive_config config = fixture_config(dir);
	struct archive_stats stats;
	char error[ARCHIVE_ERROR_BYTES], folder[512];
	struct archive_files files;
	(void)state;

	fill_hours("north", 5);
	assert_int_equal(archive_files_list(dir, &files, error), 0);
	uint64_t bytes = files.files[0].bytes;
	archive_files_free(&files);
	config.retain_bytes = 3 * bytes + bytes / 2;
	struct archive *archive = fixture_open(&config);
	fixture_add(archive, 1000, 100, FIXTURE_BEGIN_NS + 6 * HOUR_NS);
	archive_stop(archive);
	archive_stats(archive, &stats);
	archive_free(archive);
	assert_int_equal(stats.deleted, 3);
	fixture_find(dir, &found);
	assert_int_equal(found.files, 3);
	assert_int_equal(found.seen[299], 0);
	assert_int_equal(found.seen[300], 1);
	assert_int_equal(found.seen[1099], 1);
	snprintf(folder, sizeof(folder), "%s/date=2023-11-14", dir);
	assert_int_equal(access(folder, F_OK), -1);
}

static void wait_for(const struct archive *archive, bool (*is)(const struct archive_stats *)) {
	struct archive_stats stats;

	for (unsigned i = 0; i < 20000; i++) {
		archive_stats(archive, &stats);
		if (is(&stats))
			return;
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
	}
	fail_msg("it did not come to that");
}

static bool two_are_closed(const struct archive_stats *stats) {
	return stats->files == 2;
}

static bool four_are_closed(const struct archive_stats *stats) {
	return stats->files == 4;
}

static bool some_are_deleted(const struct archive_stats *stats) {
	return stats->deleted > 0;
}

static void what_is_set_later_applies_to_the_open_file_and_to_those_that_are_kept(void **state) {
	struct archive_config config = fixture_config(dir);
	struct archive_stats stats;
	(void)state;

	config.wait = false;
	struct archive *archive = fixture_open(&config);
	fixture_add(archive, 0, 100, FIXTURE_BEGIN_NS);
	fixture_add(archive, 100, 100, FIXTURE_BEGIN_NS + HOUR_NS);
	fixture_add(archive, 200, 100, FIXTURE_BEGIN_NS + 2 * HOUR_NS);
	wait_for(archive, two_are_closed);
	// Half an hour from now on, for the file of the third hour as well.
	config.rotate_ns = HOUR_NS / 2;
	assert_int_equal(archive_set(archive, &config), 0);
	fixture_add(archive, 300, 100, FIXTURE_BEGIN_NS + 2 * HOUR_NS + HOUR_NS / 2);
	fixture_add(archive, 400, 100, FIXTURE_BEGIN_NS + 3 * HOUR_NS);
	wait_for(archive, four_are_closed);
	archive_stats(archive, &stats);
	assert_int_equal(stats.deleted, 0);
	// The first may have records up to the end of its hour, since that was the rotation.
	config.retain_ns = 2 * HOUR_NS - NS_PER_S;
	assert_int_equal(archive_set(archive, &config), 0);
	wait_for(archive, some_are_deleted);
	config.level = 20;
	assert_int_equal(archive_set(archive, &config), -EINVAL);
	archive_stop(archive);
	archive_stats(archive, &stats);
	assert_int_equal(stats.records, 500);
	assert_int_equal(stats.archived, 500);
	assert_int_equal(stats.deleted, 1);
	archive_free(archive);
	fixture_find(dir, &found);
	assert_int_equal(found.seen[99], 0);
	assert_int_equal(found.seen[100], 1);
	assert_int_equal(found.seen[499], 1);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(files_change_at_whole_hours_of_the_records_clock),
		IN_A_FOLDER(a_file_ends_at_its_size_and_the_next_has_another_name),
		IN_A_FOLDER(a_closed_file_has_large_sorted_row_groups_and_says_what_it_holds),
		IN_A_FOLDER(what_is_flushed_can_be_read_while_the_file_is_open_and_when_it_is_closed
		),
		IN_A_FOLDER(a_name_is_one_archives_at_a_time),
		cmocka_unit_test(names_of_sensors_lose_what_a_path_cannot_have),
		cmocka_unit_test(other_names_are_none),
		IN_A_FOLDER(a_full_disk_is_told_once_and_costs_what_finds_no_room_in_memory),
		IN_A_FOLDER(live_a_file_ends_with_its_hour_though_no_record_comes),
		IN_A_FOLDER(one_that_was_never_started_counts_all_as_lost),
		IN_A_FOLDER(what_is_older_than_it_is_kept_is_deleted_with_its_folders),
		IN_A_FOLDER(the_oldest_are_deleted_while_all_are_too_large),
		IN_A_FOLDER(what_is_set_later_applies_to_the_open_file_and_to_those_that_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
