// Encodings: examples by hand after Encodings.md of the format, every width against a packer
// that sets one bit at a time, and what an enemy could write.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parquet_decode.h"
#include "parquet_unpack.h"
#include "random.h"

enum {
	MAX_VALUES = 5000,
	MAX_BYTES = 64 * 1024,
};

// Bytes on the way, and a block of exactly their size: a sanitizer sees what reads beyond.
struct bytes {
	uint8_t at[MAX_BYTES];
	size_t n, n_bits; // bits of the last octet
};

static void put(struct bytes *bytes, uint8_t octet) {
	assert_true(bytes->n < MAX_BYTES);
	bytes->at[bytes->n++] = octet;
	bytes->n_bits = 0;
}

static void put_varint(struct bytes *bytes, uint64_t value) {
	for (; value >= 0x80; value >>= 7)
		put(bytes, (uint8_t)(value | 0x80));
	put(bytes, (uint8_t)value);
}

static void put_zigzag(struct bytes *bytes, int64_t value) {
	put_varint(bytes, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static void put_bits(struct bytes *bytes, uint64_t value, unsigned width) {
	for (unsigned i = 0; i < width; i++) {
		if (bytes->n_bits == 0) {
			put(bytes, 0);
			bytes->n_bits = 8;
		}
		bytes->at[bytes->n - 1] |= (uint8_t)((value >> i & 1) << (8 - bytes->n_bits));
		bytes->n_bits--;
	}
}

static uint8_t *exact(const struct bytes *bytes) {
	uint8_t *copy = malloc(bytes->n > 0 ? bytes->n : 1);
	assert_non_null(copy);
	memcpy(copy, bytes->at, bytes->n);
	return copy;
}

static uint64_t below_width(struct random *random, unsigned width) {
	return width == 0 ? 0 : random64(random) >> (64 - width);
}

static void every_width_is_unpacked(void **state) {
	struct random random = {1};
	static struct bytes bytes;
	(void)state;

	for (unsigned width = 0; width <= 64; width++) {
		uint64_t wanted[UNPACK_VALUES], got[UNPACK_VALUES];
		uint32_t got32[UNPACK_VALUES];
		bytes.n = bytes.n_bits = 0;
		for (unsigned i = 0; i < UNPACK_VALUES; i++) {
			wanted[i] = below_width(&random, width);
			put_bits(&bytes, wanted[i], width);
		}
		for (unsigned i = 0; i < UNPACK_SLACK_BYTES; i++)
			put(&bytes, 0xff);
		uint8_t *copy = exact(&bytes);
		unpack_64(copy, width, got);
		assert_memory_equal(got, wanted, sizeof(got));
		if (width <= 32) {
			unpack_32(copy, width, got32);
			for (unsigned i = 0; i < UNPACK_VALUES; i++)
				assert_int_equal(got32[i], wanted[i]);
		}
		free(copy);
	}
}

// The example of Encodings.md: 0 to 7 in 3 bits.
static void the_packed_example_of_the_format_is_read(void **state) {
	static const uint8_t bytes[] = {0x03, 0x88, 0xc6, 0xfa};
	struct parquet_hybrid hybrid = parquet_hybrid_of(bytes, sizeof(bytes), 3);
	uint32_t out[8];
	(void)state;

	assert_null(parquet_decode_hybrid(&hybrid, out, 8));
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(out[i], i);
	assert_null(parquet_hybrid_end(&hybrid));
}

// The example of Encodings.md: 7, 5, 3, 1, 2, 3, 4, 5; a block of 8 there, which no writer has,
// so here of 128. And 1 to 5, which need no bits.
static void the_examples_of_differences_are_read(void **state) {
	static const int64_t first[] = {7, 5, 3, 1, 2, 3, 4, 5};
	static struct bytes bytes;
	int64_t out[8];
	(void)state;

	bytes.n = 0;
	put_varint(&bytes, 128);
	put_varint(&bytes, 4);
	put_varint(&bytes, 8);
	put_zigzag(&bytes, 7);
	put_zigzag(&bytes, -2);
	for (unsigned i = 0; i < 4; i++)
		put(&bytes, i == 0 ? 2 : 0);
	for (unsigned i = 0; i < 32; i++)
		put_bits(&bytes, i < 3 ? 0 : i < 7 ? 3 : 0, 2);
	assert_null(parquet_decode_delta(bytes.at, bytes.n, 4, out, 8));
	assert_memory_equal(out, first, sizeof(first));

	static const uint8_t no_bits[] = {0x80, 1, 4, 5, 2, 2, 0, 0, 0, 0};
	assert_null(parquet_decode_delta(no_bits, sizeof(no_bits), 8, out, 5));
	for (int64_t i = 0; i < 5; i++)
		assert_int_equal(out[i], i + 1);
}

// Runs and groups in any order, taken in pieces of any size.
static void random_hybrids_are_read_in_any_pieces(void **state) {
	struct random random = {2};
	static struct bytes bytes;
	static uint32_t wanted[MAX_VALUES], got[MAX_VALUES];
	(void)state;

	for (unsigned round = 0; round < TEST_ROUNDS(2000); round++) {
		unsigned width = random_below(&random, 33), n = 0;
		size_t n_wanted = 1 + random_below(&random, MAX_VALUES - 600);
		bytes.n = bytes.n_bits = 0;
		while (n < n_wanted) {
			if (random_below(&random, 2) == 0) {
				uint32_t run = 1 + random_below(&random, 100);
				uint32_t value = (uint32_t)below_width(&random, width);
				run = (uint32_t)RTE_MIN(run, n_wanted - n);
				put_varint(&bytes, (uint64_t)run << 1);
				for (unsigned i = 0; i < (width + 7) / 8; i++)
					put(&bytes, (uint8_t)(value >> 8 * i));
				while (run-- > 0)
					wanted[n++] = value;
			} else {
				uint64_t groups = 1 + random_below(&random, 40);
				groups = RTE_MIN(groups, (n_wanted - n + 7) / 8);
				put_varint(&bytes, groups << 1 | 1);
				for (unsigned i = 0; i < groups * 8; i++) {
					wanted[n++] = (uint32_t)below_width(&random, width);
					put_bits(&bytes, wanted[n - 1], width);
				}
			}
		}
		uint8_t *copy = exact(&bytes);
		struct parquet_hybrid hybrid = parquet_hybrid_of(copy, bytes.n, width);
		for (size_t done = 0, count; done < n_wanted; done += count) {
			count = RTE_MIN(1 + random_below(&random, 200), n_wanted - done);
			assert_null(parquet_decode_hybrid(&hybrid, got + done, count));
		}
		assert_null(parquet_hybrid_end(&hybrid));
		assert_memory_equal(got, wanted, n_wanted * sizeof(*got));
		free(copy);
	}
}

static void put_delta(struct bytes *bytes, const int64_t *values, size_t n, unsigned narrow) {
	put_varint(bytes, 128);
	put_varint(bytes, 4);
	put_varint(bytes, n);
	put_zigzag(bytes, n > 0 ? values[0] : 0);
	for (size_t at = 1; at < n; at += 128) {
		// No least is sought: any will do where all 64 bits are there.
		int64_t least = narrow ? INT32_MIN : -77;
		put_zigzag(bytes, least);
		for (unsigned i = 0; i < 4; i++)
			put(bytes, narrow ? 33 : 64);
		for (size_t i = at; i < at + (RTE_MIN(n - at, 128u) + 31) / 32 * 32; i++) {
			uint64_t above = i < n ? (uint64_t)values[i] - (uint64_t)values[i - 1] : 0;
			if (narrow)
				above = (uint64_t)(int64_t)(int32_t)above;
			above = i < n ? above - (uint64_t)least : 0;
			put_bits(bytes, above, narrow ? 33 : 64);
		}
	}
}

static void differences_wrap_around(void **state) {
	struct random random = {3};
	static struct bytes bytes;
	static int64_t values[MAX_VALUES], got[MAX_VALUES];
	(void)state;

	for (unsigned round = 0; round < TEST_ROUNDS(100); round++)
		for (unsigned narrow = 0; narrow < 2; narrow++) {
			size_t n = round < 3 ? round : random_below(&random, 1000);
			for (size_t i = 0; i < n; i++) {
				values[i] = (int64_t)random64(&random);
				if (narrow)
					values[i] = (int32_t)values[i];
			}
			bytes.n = bytes.n_bits = 0;
			put_delta(&bytes, values, n, narrow);
			uint8_t *copy = exact(&bytes);
			assert_null(parquet_decode_delta(copy, bytes.n, narrow ? 4 : 8, got, n));
			assert_memory_equal(got, values, n * sizeof(*got));
			for (size_t cut = 0; cut < bytes.n; cut += 1 + cut / 20) {
				uint8_t *part = malloc(cut + 1);
				memcpy(part + 1, copy, cut);
				assert_non_null(
					parquet_decode_delta(part + 1, cut, narrow ? 4 : 8, got, n)
				);
				free(part);
			}
			free(copy);
		}
}

static void plain_and_split_numbers_are_read(void **state) {
	struct random random = {4};
	static uint8_t plain[8 * MAX_VALUES], split[8 * MAX_VALUES];
	static int64_t values[MAX_VALUES], got[MAX_VALUES];
	(void)state;

	for (unsigned round = 0; round < 20; round++) {
		unsigned value_bytes = round % 2 == 0 ? 4 : 8;
		size_t n = random_below(&random, MAX_VALUES);
		for (size_t i = 0; i < n; i++) {
			values[i] = (int64_t)random64(&random);
			if (value_bytes == 4)
				values[i] = (int32_t)values[i];
			for (unsigned j = 0; j < value_bytes; j++)
				plain[i * value_bytes + j] = split[j * n + i] =
					(uint8_t)((uint64_t)values[i] >> 8 * j);
		}
		assert_null(parquet_decode_plain(plain, n * value_bytes, value_bytes, got, n));
		assert_memory_equal(got, values, n * sizeof(*got));
		memset(got, 0, sizeof(got));
		assert_null(parquet_decode_split(split, n * value_bytes, value_bytes, got, n));
		assert_memory_equal(got, values, n * sizeof(*got));
		assert_non_null(
			parquet_decode_plain(plain, n * value_bytes + 1, value_bytes, got, n)
		);
		assert_non_null(
			parquet_decode_split(split, (n + 1) * value_bytes, value_bytes, got, n)
		);
	}
}

static void levels_are_counted(void **state) {
	// 3 ones, 8 packed of which 4, 2 nulls
	static const uint8_t bytes[] = {0x06, 1, 0x03, 0x55, 0x04, 0};
	static const uint8_t wanted[] = {1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0};
	uint8_t out[13];
	size_t n_ones;
	(void)state;

	assert_null(parquet_decode_levels(bytes, sizeof(bytes), out, 13, &n_ones));
	assert_memory_equal(out, wanted, sizeof(wanted));
	assert_int_equal(n_ones, 7);
	assert_non_null(parquet_decode_levels(bytes, sizeof(bytes), out, 12, &n_ones));
	assert_non_null(parquet_decode_levels(bytes, sizeof(bytes) - 1, out, 13, &n_ones));
}

static void an_index_beyond_the_dictionary_is_an_error(void **state) {
	static const uint8_t bytes[] = {3, 0x03, 0x88, 0xc6, 0xfa};
	static const int64_t dictionary[8] = {10, 11, 12, 13, 14, 15, 16, -17};
	uint32_t index[8];
	int64_t out[8];
	(void)state;

	assert_null(parquet_decode_indexes(bytes, sizeof(bytes), 8, index, 8));
	assert_int_equal(index[7], 7);
	assert_string_equal(
		parquet_decode_indexes(bytes, sizeof(bytes), 7, index, 8),
		"an index beyond the dictionary"
	);
	assert_null(parquet_decode_indexed(bytes, sizeof(bytes), dictionary, 8, out, 8));
	assert_memory_equal(out, dictionary, sizeof(out));
	assert_non_null(parquet_decode_indexed(bytes, sizeof(bytes), dictionary, 7, out, 8));
	assert_non_null(parquet_decode_indexed(bytes, sizeof(bytes), dictionary, 0, out, 8));
}

static void what_no_writer_writes_is_an_error(void **state) {
	static const uint8_t empty_run[] = {0x00, 0}, wide_run[] = {0x02, 8},
			     groups[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
			     block[] = {0, 1, 2, 0}, odd[] = {0x80, 1, 3, 2, 0, 0, 0, 0, 0, 0},
			     wide[] = {0x80, 1, 4, 2, 0, 0, 65, 0, 0, 0},
			     more[] = {0x80, 1, 4, 9, 0, 0, 0, 0, 0, 0};
	struct parquet_hybrid hybrid;
	uint32_t out[100];
	int64_t values[2];
	(void)state;

	hybrid = parquet_hybrid_of(empty_run, sizeof(empty_run), 3);
	assert_string_equal(parquet_decode_hybrid(&hybrid, out, 1), "a run of no values");
	hybrid = parquet_hybrid_of(wide_run, sizeof(wide_run), 3);
	assert_non_null(parquet_decode_hybrid(&hybrid, out, 1));
	hybrid = parquet_hybrid_of(groups, sizeof(groups), 1);
	assert_string_equal(parquet_decode_hybrid(&hybrid, out, 1), "values cut short");
	hybrid = parquet_hybrid_of(groups, 0, 1);
	assert_string_equal(parquet_decode_hybrid(&hybrid, out, 1), "values cut short");
	assert_non_null(parquet_decode_delta(block, sizeof(block), 8, values, 2));
	assert_non_null(parquet_decode_delta(odd, sizeof(odd), 8, values, 2));
	assert_non_null(parquet_decode_delta(wide, sizeof(wide), 8, values, 2));
	assert_non_null(parquet_decode_delta(more, sizeof(more), 8, values, 2));
	assert_non_null(parquet_decode_indexes((const uint8_t[]){33}, 1, 8, out, 1));
	assert_non_null(parquet_decode_indexes((const uint8_t[]){33}, 0, 8, out, 1));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_width_is_unpacked),
		cmocka_unit_test(the_packed_example_of_the_format_is_read),
		cmocka_unit_test(the_examples_of_differences_are_read),
		cmocka_unit_test(random_hybrids_are_read_in_any_pieces),
		cmocka_unit_test(differences_wrap_around),
		cmocka_unit_test(plain_and_split_numbers_are_read),
		cmocka_unit_test(levels_are_counted),
		cmocka_unit_test(an_index_beyond_the_dictionary_is_an_error),
		cmocka_unit_test(what_no_writer_writes_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
