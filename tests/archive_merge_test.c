// Records of many files as one stream: all of them, once, in the order of their ends.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_merge.h"
#include "archive_notes.h"
#include "parquet_writer.h"
#include "random.h"

enum {
	MOST_FILES = 16,
	MOST_RECORDS = 100000,
};

#define BEGIN_TICKS (UINT64_C(1795478400) * TICKS_PER_S)

struct fixture {
	char folder[32];
	char *paths[MOST_FILES];
	const char *list[MOST_FILES];
	unsigned n_files;
	uint64_t seen[MOST_RECORDS]; // how often each record came
	unsigned n_records;
	unsigned n_errors;
	struct random random;
	char error[1024];
};

static int setup(void **state) {
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	fixture->random.state = 1;
	strcpy(fixture->folder, "/tmp/weir-merge-XXXXXX");
	*state = fixture;
	return mkdtemp(fixture->folder) == NULL ? -1 : 0;
}

static int teardown(void **state) {
	struct fixture *fixture = *state;
	for (unsigned i = 0; i < fixture->n_files; i++) {
		unlink(fixture->paths[i]);
		free(fixture->paths[i]);
	}
	rmdir(fixture->folder);
	free(fixture);
	return 0;
}

static void on_error(const char *message, void *arg) {
	struct fixture *fixture = arg;
	fixture->n_errors++;
	snprintf(fixture->error, sizeof(fixture->error), "%s", message);
}

// A file of `n_groups` row groups of `rows` records, whose ends lie within `span_ticks` from
// `from_ticks` on. The number of a record is its `packets`.
static void add_file(
	struct fixture *fixture,
	unsigned n_groups,
	unsigned rows,
	uint64_t from_ticks,
	uint64_t span_ticks,
	uint32_t sampling_rate
) {
	struct flow_record *records = calloc(rows, sizeof(*records));
	struct archive_metadata metadata;
	struct archive_sum sum = {0};
	struct parquet_bytes data, note;
	uint64_t offset = PARQUET_MAGIC_BYTES;
	struct parquet_writer *writer = parquet_writer_new(&(struct parquet_writer_config
	){.level = 1, .sort = true, .source = {sampling_rate, NULL}});

	int n_path = asprintf(
		&fixture->paths[fixture->n_files],
		"%s/%u.parquet",
		fixture->folder,
		fixture->n_files
	);
	assert_true(n_path > 0);
	char *path = fixture->paths[fixture->n_files];
	fixture->list[fixture->n_files++] = path;
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fwrite(PARQUET_MAGIC, 1, PARQUET_MAGIC_BYTES, file);
	for (unsigned group = 0; group < n_groups; group++) {
		for (unsigned i = 0; i < rows; i++) {
			uint64_t end =
				from_ticks + random_below(&fixture->random, (uint32_t)span_ticks);
			records[i] = (struct flow_record){
				.key = {.family = FLOW_IPV4,
					.proto = 17,
					.src4 = {10, 0, 0, (uint8_t)i}},
				.first_ticks = end - 5,
				.last_ticks = end,
				.packets = ++fixture->n_records,
				.octets = 100,
				.end = FLOW_END_IDLE,
			};
		}
		archive_sum_records(&sum, records, rows);
		assert_int_equal(
			parquet_writer_row_group(writer, records, rows, offset, &data, &note), 0
		);
		fwrite(data.bytes, 1, data.n, file);
		offset += data.n;
	}
	archive_metadata_make(&metadata, "test", sampling_rate, &sum);
	assert_int_equal(
		parquet_writer_footer(writer, metadata.pairs, metadata.n_pairs, offset, &data), 0
	);
	fwrite(data.bytes, 1, data.n, file);
	fclose(file);
	parquet_writer_free(writer);
	free(records);
}

static struct archive_merge_config config_of(struct fixture *fixture) {
	return (struct archive_merge_config){
		.paths = fixture->list,
		.n_paths = fixture->n_files,
		.until_ns = TIME_NS_MAX,
		.on_error = on_error,
		.arg = fixture,
	};
}

// Takes all; every sum is checked. Returns how many records came before one that ended earlier.
static uint64_t take_all(
	struct fixture *fixture,
	const struct archive_merge_config *config,
	struct archive_merge_stats *stats
) {
	struct archive_merge *merge = archive_merge_new(config);
	const struct flow_record *records;
	struct archive_sampling sampling;
	uint64_t last = 0, n = 0, back = 0;
	int got;

	assert_non_null(merge);
	while ((got = archive_merge_next(merge, &records, &sampling)) > 0)
		for (int i = 0; i < got; i++) {
			assert_in_range(records[i].packets, 1, fixture->n_records);
			fixture->seen[records[i].packets - 1]++;
			back += records[i].last_ticks < last;
			if (records[i].last_ticks > last)
				last = records[i].last_ticks;
			n++;
		}
	assert_int_equal(got, 0);
	archive_merge_stats(merge, stats);
	assert_int_equal(stats->records_read, n);
	assert_int_equal(stats->records_ahead + stats->records_held, 0);
	assert_int_equal(stats->records, n + stats->outside + stats->unreadable);
	assert_int_equal(stats->out_of_order, back);
	archive_merge_free(merge);
	return back;
}

static void assert_each_came_once(const struct fixture *fixture) {
	for (unsigned i = 0; i < fixture->n_records; i++)
		assert_int_equal(fixture->seen[i], 1);
}

static void files_that_overlap_come_in_the_order_of_their_ends(void **state) {
	struct fixture *fixture = *state;
	struct archive_merge_config config;
	struct archive_merge_stats stats;

	// Given from the latest to the earliest, each reaching into its neighbours.
	for (unsigned i = MOST_FILES; i-- > 0;)
		add_file(fixture, 3, 500, BEGIN_TICKS + i * 1000, 2500, 1);
	config = config_of(fixture);
	assert_int_equal(take_all(fixture, &config, &stats), 0);
	assert_each_came_once(fixture);
	assert_int_equal(stats.files, MOST_FILES);
	assert_int_equal(fixture->n_errors, 0);
	// What lies side by side is not kept all at once.
	assert_in_range(stats.most_held, 1, fixture->n_records / 2);
}

static void memory_is_bounded_and_every_record_comes_all_the_same(void **state) {
	struct fixture *fixture = *state;
	struct archive_merge_config config;
	struct archive_merge_stats stats;

	for (unsigned i = 0; i < 8; i++)
		add_file(fixture, 10, 100, BEGIN_TICKS, 100000, 1);
	config = config_of(fixture);
	config.most_held = 1000;
	assert_true(take_all(fixture, &config, &stats) > 0);
	assert_each_came_once(fixture);
	assert_in_range(stats.most_held, 1, 1100);
}

static void a_range_leaves_out_row_groups_and_records(void **state) {
	struct fixture *fixture = *state;
	struct archive_merge_config config;
	struct archive_merge_stats stats;

	for (unsigned i = 0; i < 4; i++)
		add_file(fixture, 1, 1000, BEGIN_TICKS + i * 1000, 1000, 1);
	config = config_of(fixture);
	config.from_ns = ns_of_ticks(BEGIN_TICKS + 1500);
	config.until_ns = ns_of_ticks(BEGIN_TICKS + 2000);
	take_all(fixture, &config, &stats);
	for (unsigned i = 0; i < fixture->n_records; i++)
		assert_true(fixture->seen[i] == 0 || i / 1000 == 1);
	assert_in_range(stats.records_read, 300, 700);
	// Three of the row groups were not read.
	assert_in_range(stats.most_held, 300, 700);
}

static void the_ends_of_a_range_are_exact(void **state) {
	struct fixture *fixture = *state;
	struct archive_merge_config config;
	struct archive_merge_stats stats;

	add_file(fixture, 1, 1, BEGIN_TICKS, 1, 1);
	config = config_of(fixture);
	config.from_ns = ns_of_ticks(BEGIN_TICKS);
	config.until_ns = config.from_ns + 1;
	take_all(fixture, &config, &stats);
	assert_int_equal(stats.records_read, 1);
	config.until_ns = config.from_ns;
	config.from_ns = 0;
	take_all(fixture, &config, &stats);
	assert_int_equal(stats.records_read, 0);
	config.until_ns = TIME_NS_MAX;
	config.from_ns = ns_of_ticks(BEGIN_TICKS) + 1;
	take_all(fixture, &config, &stats);
	assert_int_equal(stats.records_read, 0);
}

static void files_of_another_sampling_are_not_mixed(void **state) {
	struct fixture *fixture = *state;
	struct archive_merge_config config;
	const struct flow_record *records;
	struct archive_sampling sampling;
	int got;

	for (unsigned i = 0; i < 6; i++)
		add_file(fixture, 2, 50, BEGIN_TICKS + i * 10, 1000, i % 2 == 0 ? 1 : 100);
	config = config_of(fixture);
	struct archive_merge *merge = archive_merge_new(&config);
	assert_non_null(merge);
	while ((got = archive_merge_next(merge, &records, &sampling)) > 0)
		for (int i = 0; i < got; i++) {
			unsigned file = (unsigned)(records[i].packets - 1) / 100;
			assert_int_equal(sampling.interval, file % 2 == 0 ? 1 : 100);
			fixture->seen[records[i].packets - 1]++;
		}
	assert_each_came_once(fixture);
	archive_merge_free(merge);
}

static void what_is_damaged_is_counted_and_the_rest_comes(void **state) {
	struct fixture *fixture = *state;
	struct archive_merge_config config;
	struct archive_merge_stats stats;

	for (unsigned i = 0; i < 3; i++)
		add_file(fixture, 2, 500, BEGIN_TICKS + i * 1000, 1000, 1);
	FILE *file = fopen(fixture->paths[0], "r+");
	fseek(file, 200, SEEK_SET);
	fputs("damaged", file);
	fclose(file);
	assert_int_equal(truncate(fixture->paths[1], 100), 0);
	config = config_of(fixture);
	take_all(fixture, &config, &stats);
	assert_int_equal(stats.files, 2);
	assert_int_equal(stats.files_failed, 1);
	assert_int_equal(stats.files_gone, 0);
	assert_int_equal(stats.unreadable, 500);
	assert_int_equal(stats.records_read, 1500);
	assert_int_equal(fixture->n_errors, 2);
}

static void files_that_are_gone_are_counted(void **state) {
	struct fixture *fixture = *state;
	struct archive_merge_config config;
	struct archive_merge_stats stats;

	add_file(fixture, 1, 10, BEGIN_TICKS, 1000, 1);
	add_file(fixture, 1, 10, BEGIN_TICKS, 1000, 1);
	unlink(fixture->paths[0]);
	config = config_of(fixture);
	config.pass_over_gone = true;
	take_all(fixture, &config, &stats);
	assert_int_equal(stats.files_gone, 1);
	assert_int_equal(fixture->n_errors, 0);
	config.pass_over_gone = false;
	take_all(fixture, &config, &stats);
	assert_int_equal(fixture->n_errors, 1);
	assert_non_null(strstr(fixture->error, fixture->paths[0]));
}

static void no_files_are_no_records(void **state) {
	struct fixture *fixture = *state;
	struct archive_merge_config config = config_of(fixture);
	struct archive_merge_stats stats;

	take_all(fixture, &config, &stats);
	assert_int_equal(stats.records, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			files_that_overlap_come_in_the_order_of_their_ends, setup, teardown
		),
		cmocka_unit_test_setup_teardown(
			memory_is_bounded_and_every_record_comes_all_the_same, setup, teardown
		),
		cmocka_unit_test_setup_teardown(
			a_range_leaves_out_row_groups_and_records, setup, teardown
		),
		cmocka_unit_test_setup_teardown(the_ends_of_a_range_are_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(
			files_of_another_sampling_are_not_mixed, setup, teardown
		),
		cmocka_unit_test_setup_teardown(
			what_is_damaged_is_counted_and_the_rest_comes, setup, teardown
		),
		cmocka_unit_test_setup_teardown(files_that_are_gone_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(no_files_are_no_records, setup, teardown),
	};
	return cmocka_run_group_tests_name("archive_merge", tests, NULL, NULL);
}
