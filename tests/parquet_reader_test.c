// The reader over files made by hand: what there is in the format beside what weir's writer
// writes, and what must be refused. The writer's own files: parquet_round_trip_test.c.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "parquet_maker.h"
#include "parquet_reader.h"

static char error[PARQUET_ERROR_BYTES];

// Opens a made file; what opens is a copy of exactly its size.
static struct parquet_reader *open_made(const struct made_file *file, uint8_t **copy) {
	struct byte_buffer bytes = {0};
	struct parquet_reader *reader;

	parquet_make(&bytes, file);
	*copy = test_malloc(bytes.n);
	memcpy(*copy, bytes.bytes, bytes.n);
	error[0] = '\0';
	reader = parquet_reader_open_memory(*copy, bytes.n, error);
	assert_int_equal(reader == NULL, error[0] != '\0');
	byte_buffer_done(&bytes);
	return reader;
}

static enum flow_column column_of(const struct made_column *column) {
	int found = flow_column_find(column->name);
	assert_in_range(found, 0, FLOW_COLUMN_COUNT - 1);
	return (enum flow_column)found;
}

static void check_vector(
	const struct made_file *file,
	const struct made_column *column,
	const struct parquet_vector *vector
) {
	assert_int_equal(vector->n_rows, file->n_rows);
	assert_int_equal(vector->valid == NULL, column->valid == NULL);
	for (unsigned i = 0; i < file->n_rows; i++) {
		bool valid = column->valid == NULL || column->valid[i] != 0;
		if (column->valid != NULL)
			assert_int_equal(vector->valid[i], valid);
		if (column->texts == NULL) {
			assert_true(vector->values[i] == (valid ? column->numbers[i] : 0));
			continue;
		}
		uint32_t index = vector->index[i];
		if (!valid) {
			assert_int_equal(index, 0);
			continue;
		}
		assert_true(index < vector->n_texts);
		assert_int_equal(vector->text_bytes[index], strlen(column->texts[i]));
		assert_memory_equal(
			vector->texts[index], column->texts[i], vector->text_bytes[index]
		);
	}
}

static void check_file(const struct made_file *file) {
	struct parquet_vector vector = {0};
	uint8_t *copy;
	struct parquet_reader *reader = open_made(file, &copy);

	if (reader == NULL)
		fail_msg("%s", error);
	assert_int_equal(parquet_reader_row_groups(reader), file->n_groups);
	assert_int_equal(parquet_reader_rows(reader), (uint64_t)file->n_rows * file->n_groups);
	for (unsigned group = 0; group < file->n_groups; group++) {
		assert_int_equal(parquet_reader_group_rows(reader, group), file->n_rows);
		for (unsigned i = 0; i < file->n_columns; i++) {
			enum flow_column column = column_of(&file->columns[i]);
			if (parquet_reader_column(reader, group, column, &vector, error) < 0)
				fail_msg("%s", error);
			check_vector(file, &file->columns[i], &vector);
		}
	}
	parquet_vector_done(&vector);
	parquet_reader_close(reader);
	test_free(copy);
}

static void every_page_version_codec_and_encoding_is_read(void **state) {
	static const int codings[] = {0, 5, 8, 9};
	(void)state;

	for (unsigned round = 0; round < 2 * 2 * 2 * 2 * 4 * 3; round++) {
		struct made_file file = made_example();
		unsigned of = round;
		file.version = 1 + of % 2;
		file.codec = (of /= 2) % 2 == 0 ? 0 : 6;
		file.crc = (of /= 2) % 2 == 0;
		file.plain_v2 = (of /= 2) % 2 == 0;
		of /= 2;
		for (unsigned i = 1; i < file.n_columns; i++)
			file.columns[i].coding = codings[(of + i) % 4];
		file.page_rows = 1 + of / 4 * 2;
		check_file(&file);
	}
}

static void rows_may_all_be_null(void **state) {
	static const uint8_t none[5];
	struct made_file file = made_example();
	(void)state;

	for (unsigned version = 1; version <= 2; version++) {
		file.version = version;
		file.columns[4].valid = none;
		file.columns[4].n_null = 5;
		check_file(&file);
		// A text too, which then needs no dictionary.
		file.columns[0].name = "sampler_address";
		file.columns[0].repetition = 1;
		file.columns[0].valid = none;
		file.columns[0].n_null = 5;
		file.columns[0].coding = 6; // DELTA_LENGTH_BYTE_ARRAY, as DuckDB does
		check_file(&file);
	}
}

static void columns_that_are_not_known_are_passed_over(void **state) {
	struct made_file file = made_example();
	uint8_t *copy;
	struct parquet_reader *reader;
	struct parquet_vector vector = {0};
	(void)state;

	file.columns[1].name = "of_a_later_weir";
	file.columns[1].type = 2;
	reader = open_made(&file, &copy);
	assert_non_null(reader);
	assert_false(parquet_reader_has(reader, COLUMN_DST_PORT));
	assert_true(parquet_reader_has(reader, COLUMN_BYTES));
	assert_int_equal(
		parquet_reader_column(reader, 0, COLUMN_DST_PORT, &vector, error), -ENOENT
	);
	assert_string_equal(error, "there is no column dst_port");
	assert_int_equal(parquet_reader_column(reader, 1, COLUMN_BYTES, &vector, error), 0);
	check_vector(&file, &file.columns[2], &vector);
	assert_int_equal(parquet_reader_column(reader, 2, COLUMN_BYTES, &vector, error), -EINVAL);
	parquet_vector_done(&vector);
	parquet_reader_close(reader);
	test_free(copy);
}

static void statistics_and_metadata_are_told(void **state) {
	struct made_file file = made_example();
	struct parquet_range range;
	struct parquet_text_range text;
	uint8_t *copy;
	struct parquet_reader *reader = open_made(&file, &copy);
	(void)state;

	assert_non_null(reader);
	parquet_reader_range(reader, 0, COLUMN_DST_PORT, &range);
	assert_true(range.known);
	assert_int_equal(range.min, 53);
	assert_int_equal(range.max, 65535);
	assert_int_equal(range.n_null, 0);
	parquet_reader_range(reader, 0, COLUMN_BYTES, &range);
	assert_false(range.known);
	parquet_reader_range(reader, 1, COLUMN_ICMP_TYPE, &range);
	assert_false(range.known);
	assert_int_equal(range.n_null, 2);
	assert_false(parquet_reader_text_range(reader, 0, COLUMN_SRC_ADDR, &text));
	assert_string_equal(parquet_reader_value(reader, "maker"), "by hand");
	assert_string_equal(parquet_reader_value(reader, "empty"), "");
	assert_null(parquet_reader_value(reader, "nobody"));
	assert_true(parquet_reader_column_bytes(reader, 0, COLUMN_SRC_ADDR) > 0);
	assert_true(parquet_reader_column_bytes(reader, 0, COLUMN_DST_ADDR) == 0);
	parquet_reader_close(reader);
	test_free(copy);
}

static void check_refused(const struct made_file *file, const char *wanted, int code) {
	uint8_t *copy;
	struct parquet_reader *reader = open_made(file, &copy);

	assert_int_equal(errno, code);
	assert_null(reader);
	assert_string_equal(error, wanted);
	test_free(copy);
}

static void what_weir_does_not_write_is_refused_by_name(void **state) {
	struct made_file file = made_example();
	(void)state;

	file.codec = 2;
	check_refused(&file, "column src_addr: codec GZIP is not read; weir writes ZSTD", ENOTSUP);
	file = made_example();
	file.columns[1].repetition = 2;
	check_refused(
		&file, "column dst_port: repeated columns are not read; weir writes none", ENOTSUP
	);
	file = made_example();
	file.columns[2].type = 1;
	check_refused(
		&file,
		"column bytes: not INT64, as weir writes it; other types are not read",
		ENOTSUP
	);
	file = made_example();
	file.columns[3].unit = 2;
	check_refused(
		&file,
		"column time_flow_start_ns: not TIMESTAMP(NANOS), as weir writes it; other types "
		"are not read",
		ENOTSUP
	);
	file = made_example();
	file.columns[1].converted = 14; // UINT_32
	check_refused(
		&file,
		"column dst_port: not a signed integer, as weir writes it; other types are not "
		"read",
		ENOTSUP
	);
	file = made_example();
	file.columns[0].logical = 0;
	check_refused(
		&file,
		"column src_addr: not STRING, as weir writes it; other types are not read",
		ENOTSUP
	);
	file = made_example();
	file.columns[0].logical = 0;
	file.columns[0].converted = 1; // UTF8, as older writers have it
	check_file(&file);
}

static void a_footer_that_contradicts_itself_is_refused(void **state) {
	static const int64_t wrong_order[] = {2, 1};
	struct made_file file = made_example();
	(void)state;

	file.more_rows = 1;
	check_refused(&file, "footer: 10 rows in its row groups and 11 in all", EBADMSG);
	file = made_example();
	file.columns[1].more_in_footer = -1;
	check_refused(
		&file,
		"column dst_port, row group 0: not as many values as the row group has rows",
		EBADMSG
	);
	file = made_example();
	file.columns[2].more_octets = 1 << 20;
	check_refused(
		&file, "column bytes, row group 0: its octets are not within the file", EBADMSG
	);
	file = made_example();
	file.columns[2].more_unpacked = 1 << 30;
	check_refused(
		&file, "column bytes, row group 0: more octets than its values could need", EBADMSG
	);
	file = made_example();
	file.columns[1].name_in_group = "src_port";
	check_refused(
		&file,
		"column dst_port, row group 0: not the column that the schema has in its place",
		EBADMSG
	);
	file = made_example();
	file.columns[1].min_max = wrong_order;
	check_refused(
		&file,
		"column dst_port, row group 0: statistics whose least is more than their greatest",
		EBADMSG
	);
	file = made_example();
	file.columns[1].name = "proto";
	file.columns[4].name = "proto";
	check_refused(&file, "column proto is there twice", EBADMSG);
}

static void check_broken(const struct made_file *file, unsigned column, const char *wanted) {
	struct parquet_vector vector = {0};
	uint8_t *copy;
	struct parquet_reader *reader = open_made(file, &copy);
	int rc;

	if (reader == NULL)
		fail_msg("%s", error);
	rc = parquet_reader_column(reader, 0, column_of(&file->columns[column]), &vector, error);
	assert_true(rc == -EBADMSG || rc == -ENOTSUP);
	if (strstr(error, wanted) == NULL)
		fail_msg("'%s' is not in '%s'", wanted, error);
	assert_non_null(strstr(error, file->columns[column].name));
	assert_int_equal(vector.n_rows, 0);
	parquet_vector_done(&vector);
	parquet_reader_close(reader);
	test_free(copy);
}

static void pages_that_lie_are_errors(void **state) {
	static const int64_t narrow[] = {53, 8080};
	struct made_file file = made_example();
	(void)state;

	file.columns[1].more_unpacked = 1;
	check_broken(&file, 1, "zstd: not the 9 octets that the page tells");
	file.columns[1].more_unpacked = 2000;
	check_broken(&file, 1, "a page of more octets than its values could need");
	file.columns[1].more_unpacked = 0;
	file.columns[1].more_values = 1;
	check_broken(&file, 1, "values are not as many octets as their number says");
	file.columns[1].more_values = 10;
	check_broken(&file, 1, "a page of more values than the row group has rows");
	file = made_example();
	file.columns[1].min_max = narrow;
	check_broken(&file, 1, "values that the statistics exclude");
	file = made_example();
	file.columns[4].n_null = 1;
	check_broken(&file, 4, "2 NULLs, where the statistics tell 1");
	file = made_example();
	file.columns[0].twice = true;
	check_broken(&file, 0, "a text twice in the dictionary");
	file = made_example();
	file.columns[0].coding = 7;
	check_broken(
		&file, 0, "column src_addr: encoding DELTA_BYTE_ARRAY is not read; weir writes a"
	);
	file = made_example();
	file.columns[1].coding = 3;
	check_broken(&file, 1, "column dst_port: encoding RLE is not read; weir writes a");
	file = made_example();
	file.columns[2].more_octets = 1; // of the next column
	check_broken(&file, 2, "offset");
	file.columns[2].more_octets = -1;
	check_broken(&file, 2, "a page that ends behind its chunk");
}

// A text longer than any column of weir has.
static void long_texts_are_errors(void **state) {
	static const char longest[] = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
			  longer[] = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%";
	const char *texts[5] = {longest, longest, "", "a", "b"};
	struct made_file file = made_example();
	(void)state;

	file.columns[0].texts = texts;
	check_file(&file);
	texts[1] = longer;
	check_broken(&file, 0, "a text longer than any column has");
}

static void a_changed_octet_of_a_page_fails_its_checksum(void **state) {
	struct made_file file = made_example();
	struct parquet_vector vector = {0};
	uint8_t *copy;
	struct parquet_reader *reader;
	(void)state;

	file.codec = 0;
	reader = open_made(&file, &copy);
	assert_non_null(reader);
	// 8080 and 65535 of dst_port, the second page of the first row group.
	uint8_t *at = copy;
	while (memcmp(at, (const uint8_t[]){0xbb, 0x01, 0, 0, 0x90, 0x1f, 0, 0}, 8) != 0)
		at++;
	at[4] ^= 1;
	assert_int_equal(
		parquet_reader_column(reader, 0, COLUMN_DST_PORT, &vector, error), -EBADMSG
	);
	assert_non_null(strstr(error, "checksum does not match"));
	assert_non_null(strstr(error, "column dst_port, row group 0, offset "));
	at[4] ^= 1;
	assert_int_equal(parquet_reader_column(reader, 0, COLUMN_DST_PORT, &vector, error), 0);
	parquet_vector_done(&vector);
	parquet_reader_close(reader);
	test_free(copy);
}

static void what_is_no_parquet_file_is_told(void **state) {
	int pipes[2], fd = memfd_create("test", MFD_CLOEXEC);
	(void)state;

	assert_null(parquet_reader_open(fd, error));
	assert_int_equal(errno, EBADMSG);
	assert_string_equal(error, "no Parquet file: too short");
	assert_int_equal(write(fd, "PAR1, and no more of it", 23), 23);
	assert_null(parquet_reader_open(fd, error));
	assert_string_equal(error, "cut short: it does not end with PAR1");
	assert_int_equal(pwrite(fd, "PAR2", 4, 0), 4);
	assert_null(parquet_reader_open(fd, error));
	assert_string_equal(error, "no Parquet file: it does not begin with PAR1");
	assert_int_equal(pwrite(fd, "PAR1", 4, 0), 4);
	assert_int_equal(pwrite(fd, "\xff\xff\xff\x7fPAR1", 8, 15), 8);
	assert_null(parquet_reader_open(fd, error));
	assert_string_equal(
		error, "footer of 2147483647 octets in a file of 23; up to 67108864 are read"
	);
	close(fd);
	assert_null(parquet_reader_open(fd, error));
	assert_int_equal(errno, EBADF);
	assert_int_equal(pipe(pipes), 0);
	assert_null(parquet_reader_open(pipes[0], error));
	assert_string_equal(error, "not a file: Parquet is read from its end");
	close(pipes[0]);
	close(pipes[1]);
}

static void a_file_cut_while_it_is_read_is_an_error(void **state) {
	struct made_file file = made_example();
	struct byte_buffer bytes = {0};
	struct parquet_vector vector = {0};
	struct parquet_reader *reader;
	int fd = memfd_create("test", MFD_CLOEXEC);
	(void)state;

	parquet_make(&bytes, &file);
	assert_int_equal(write(fd, bytes.bytes, bytes.n), bytes.n);
	reader = parquet_reader_open(fd, error);
	assert_non_null(reader);
	assert_int_equal(parquet_reader_column(reader, 1, COLUMN_BYTES, &vector, error), 0);
	check_vector(&file, &file.columns[2], &vector);
	assert_int_equal(ftruncate(fd, 10), 0);
	assert_int_equal(
		parquet_reader_column(reader, 0, COLUMN_SRC_ADDR, &vector, error), -EBADMSG
	);
	assert_string_equal(error, "cut at offset 10 while it was read");
	assert_int_equal(parquet_reader_column(reader, 1, COLUMN_BYTES, &vector, error), -EBADMSG);
	parquet_vector_done(&vector);
	parquet_reader_close(reader);
	byte_buffer_done(&bytes);
	close(fd);
}

static void records_need_numbers_that_fit(void **state) {
	static const int64_t ports[] = {1, 2, 3, 4, 65536};
	struct made_file file = made_example();
	struct flow_record records[5];
	struct flow_source source;
	uint8_t *copy;
	struct parquet_reader *reader = open_made(&file, &copy);
	(void)state;

	assert_int_equal(parquet_reader_records(reader, 1, records, &source, error), 0);
	assert_int_equal(records[0].key.dst_port, rte_cpu_to_be_16(443));
	assert_int_equal(records[0].key.family, FLOW_IPV4);
	assert_int_equal(records[2].key.family, FLOW_IPV6);
	assert_memory_equal(records[3].key.src4, "\300\0\2\1\0\0\0\0", 8);
	assert_true(records[1].octets == UINT64_MAX);
	assert_true(records[1].first_ticks == UINT64_C(1795000000000062500) / 62500);
	assert_int_equal(records[0].packets, 0);
	assert_int_equal(source.sampling_rate, 0);
	assert_null(source.sampler_address);
	assert_int_equal(parquet_reader_records(reader, 2, records, &source, error), -EINVAL);
	parquet_reader_close(reader);
	test_free(copy);

	file.columns[1].numbers = ports;
	file.columns[1].min_max = NULL;
	reader = open_made(&file, &copy);
	assert_int_equal(parquet_reader_records(reader, 0, records, &source, error), -EBADMSG);
	assert_string_equal(
		error, "column dst_port, row group 0: a number that no flow record has"
	);
	parquet_reader_close(reader);
	test_free(copy);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_page_version_codec_and_encoding_is_read),
		cmocka_unit_test(rows_may_all_be_null),
		cmocka_unit_test(columns_that_are_not_known_are_passed_over),
		cmocka_unit_test(statistics_and_metadata_are_told),
		cmocka_unit_test(what_weir_does_not_write_is_refused_by_name),
		cmocka_unit_test(a_footer_that_contradicts_itself_is_refused),
		cmocka_unit_test(pages_that_lie_are_errors),
		cmocka_unit_test(long_texts_are_errors),
		cmocka_unit_test(a_changed_octet_of_a_page_fails_its_checksum),
		cmocka_unit_test(what_is_no_parquet_file_is_told),
		cmocka_unit_test(a_file_cut_while_it_is_read_is_an_error),
		cmocka_unit_test(records_need_numbers_that_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
