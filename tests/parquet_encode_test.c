// Parquet's encodings: the examples of the format's specification octet for octet, and any
// values read back by a decoder written apart (parquet_peer.h).

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parquet_encode.h"
#include "parquet_peer.h"
#include "random.h"

enum {
	MOST = 2000,
};

static struct byte_buffer out;

static int begin(void **state) {
	(void)state;
	byte_buffer_done(&out);
	return 0;
}

static void check_hybrid(const uint32_t *values, size_t n, unsigned width) {
	uint32_t *back = calloc(n + 1, sizeof(*back));
	byte_buffer_reset(&out);
	parquet_encode_hybrid(&out, values, n, width);
	assert_false(out.failed);
	assert_int_equal(peer_hybrid(out.bytes, out.n, width, back, n), out.n);
	assert_memory_equal(back, values, n * sizeof(*back));
	free(back);
}

static void the_numbers_1_to_7_pack_as_the_format_shows(void **state) {
	(void)state;
	// Encodings.md: 0 to 7 with 3 bits are 10001000 11000110 11111010.
	static const uint32_t values[] = {0, 1, 2, 3, 4, 5, 6, 7};
	static const uint8_t wanted[] = {1 << 1 | 1, 0x88, 0xc6, 0xfa};
	parquet_encode_hybrid(&out, values, 8, 3);
	assert_int_equal(out.n, sizeof(wanted));
	assert_memory_equal(out.bytes, wanted, sizeof(wanted));
}

static void a_run_is_its_length_and_its_value(void **state) {
	(void)state;
	uint32_t values[1000];
	for (unsigned i = 0; i < 1000; i++)
		values[i] = 0x1234;
	parquet_encode_hybrid(&out, values, 1000, 13);
	assert_int_equal(out.n, 4); // 2000 as a varint, then two octets
	assert_memory_equal(out.bytes, "\xd0\x0f\x34\x12", 4);
	byte_buffer_reset(&out);
	parquet_encode_run(&out, 0x1234, 1000, 13);
	assert_memory_equal(out.bytes, "\xd0\x0f\x34\x12", 4);
}

static void any_indexes_of_any_width_read_back(void **state) {
	(void)state;
	struct random random = {1};
	uint32_t values[MOST];
	for (unsigned width = 1; width <= 32; width++) {
		for (unsigned round = 0; round < TEST_ROUNDS(100) + 1; round++) {
			size_t n = random_below(&random, round % 2 == 0 ? 40 : MOST);
			unsigned stay = random_below(&random, 40); // mean length of runs
			for (size_t i = 0; i < n; i++)
				values[i] = i > 0 && random_below(&random, stay + 1) != 0
						    ? values[i - 1]
						    : (uint32_t)(random64(&random) >> (64 - width));
			check_hybrid(values, n, width);
		}
	}
}

static void runs_of_any_length_at_any_place_read_back(void **state) {
	(void)state;
	uint32_t values[100];
	for (unsigned from = 0; from < 40; from++)
		for (unsigned n = 1; n < 50; n++) {
			for (unsigned i = 0; i < 100; i++)
				values[i] = i >= from && i < from + n ? 5 : i % 2;
			check_hybrid(values, 100, 3);
			check_hybrid(values, from + n, 3);
		}
}

static void deltas_are_as_the_format_shows(void **state) {
	(void)state;
	// Encodings.md, example 1: 1 to 5. Blocks of 128 in 4 miniblocks, 5 values, the first 1;
	// then the least delta 1 and widths of nothing.
	static const int64_t values[] = {1, 2, 3, 4, 5};
	static const uint8_t wanted[] = {0x80, 1, 4, 5, 2, 2, 0, 0, 0, 0};
	parquet_encode_delta(&out, values, 5, 1);
	assert_int_equal(out.n, sizeof(wanted));
	assert_memory_equal(out.bytes, wanted, sizeof(wanted));

	// Example 2: 7 5 3 1 2 3 4 5. The deltas are -2 -2 -2 1 1 1 1, above the least 0 0 0 3 3
	// 3 3.
	static const int64_t others[] = {7, 5, 3, 1, 2, 3, 4, 5};
	static const uint8_t others_wanted[] = {
		0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0};
	byte_buffer_reset(&out);
	parquet_encode_delta(&out, others, 8, 1);
	assert_int_equal(out.n, sizeof(others_wanted));
	assert_memory_equal(out.bytes, others_wanted, sizeof(others_wanted));
}

static void check_delta(const int64_t *values, size_t n, unsigned align) {
	int64_t *back = calloc(n + 1, sizeof(*back));
	byte_buffer_reset(&out);
	parquet_encode_delta(&out, values, n, align);
	assert_false(out.failed);
	peer_delta(out.bytes, out.n, back, n);
	assert_memory_equal(back, values, n * sizeof(*back));
	free(back);
}

static void any_numbers_read_back_from_deltas(void **state) {
	(void)state;
	struct random random = {2};
	int64_t values[MOST];
	for (unsigned bits = 1; bits <= 64; bits++)
		for (unsigned round = 0; round < TEST_ROUNDS(50) + 1; round++) {
			size_t n = random_below(&random, round % 2 == 0 ? 140 : MOST);
			for (size_t i = 0; i < n; i++)
				values[i] = (int64_t)(random64(&random) >> (64 - bits));
			check_delta(values, n, 1);
			check_delta(values, n, 8);
		}
}

static void the_ends_of_the_numbers_read_back_from_deltas(void **state) {
	(void)state;
	static const int64_t values[] = {INT64_MIN, INT64_MAX, 0, INT64_MAX, INT64_MIN, -1, 1};
	for (size_t n = 0; n <= 7; n++) {
		check_delta(values, n, 1);
		check_delta(values, n, 8);
	}
}

static void plain_numbers_are_little_endian(void **state) {
	(void)state;
	static const int64_t values[] = {0x0102030405060708, -2};
	parquet_encode_plain(&out, values, 2, 8);
	assert_int_equal(out.n, 16);
	assert_memory_equal(
		out.bytes, "\x8\x7\x6\x5\x4\x3\x2\x1\xfe\xff\xff\xff\xff\xff\xff\xff", 16
	);
	byte_buffer_reset(&out);
	parquet_encode_plain(&out, values, 2, 4);
	assert_int_equal(out.n, 8);
	assert_memory_equal(out.bytes, "\x8\x7\x6\x5\xfe\xff\xff\xff", 8);
}

static void a_width_is_that_of_the_greatest_and_never_0(void **state) {
	(void)state;
	assert_int_equal(parquet_width(0), 1);
	assert_int_equal(parquet_width(1), 1);
	assert_int_equal(parquet_width(2), 2);
	assert_int_equal(parquet_width(255), 8);
	assert_int_equal(parquet_width(256), 9);
	assert_int_equal(parquet_width(UINT64_MAX), 64);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_numbers_1_to_7_pack_as_the_format_shows, begin),
		cmocka_unit_test_setup(a_run_is_its_length_and_its_value, begin),
		cmocka_unit_test_setup(any_indexes_of_any_width_read_back, begin),
		cmocka_unit_test_setup(runs_of_any_length_at_any_place_read_back, begin),
		cmocka_unit_test_setup(deltas_are_as_the_format_shows, begin),
		cmocka_unit_test_setup(any_numbers_read_back_from_deltas, begin),
		cmocka_unit_test_setup(the_ends_of_the_numbers_read_back_from_deltas, begin),
		cmocka_unit_test_setup(plain_numbers_are_little_endian, begin),
		cmocka_unit_test_setup(a_width_is_that_of_the_greatest_and_never_0, begin),
	};
	return cmocka_run_group_tests_name("parquet_encode", tests, NULL, begin);
}
