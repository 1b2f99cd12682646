// The compact protocol, from bytes made by hand after its specification.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "thrift_read.h"

#define READER(...)                                                                                \
	thrift_read_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void fields_come_with_their_ids_and_values(void **state) {
	// 1: i32 -3; 2: true; 4: "ab"; 1000 by its long form: i64 2^63-1; 1001: false
	struct thrift_reader in =
		READER(0x15,
		       0x05,
		       0x11,
		       0x28,
		       2,
		       'a',
		       'b',
		       0x06,
		       0xd0,
		       0x0f,
		       0xfe,
		       0xff,
		       0xff,
		       0xff,
		       0xff,
		       0xff,
		       0xff,
		       0xff,
		       0xff,
		       0x01,
		       0x12,
		       0x00);
	const uint8_t *text;
	uint32_t n;
	(void)state;

	thrift_read_enter(&in);
	assert_true(thrift_read_next(&in));
	assert_int_equal(in.field, 1);
	assert_int_equal(thrift_read_int32(&in), -3);
	assert_true(thrift_read_next(&in));
	assert_int_equal(in.field, 2);
	assert_true(thrift_read_bool(&in));
	assert_true(thrift_read_next(&in));
	assert_int_equal(in.field, 4);
	text = thrift_read_binary(&in, &n);
	assert_int_equal(n, 2);
	assert_memory_equal(text, "ab", 2);
	assert_true(thrift_read_next(&in));
	assert_int_equal(in.field, 1000);
	assert_true(thrift_read_int(&in) == INT64_MAX);
	assert_true(thrift_read_next(&in));
	assert_int_equal(in.field, 1001);
	assert_false(thrift_read_bool(&in));
	assert_false(thrift_read_next(&in));
	assert_null(in.error);
	assert_ptr_equal(in.at, in.end);
}

static void lists_of_structs_are_walked(void **state) {
	// 3: two structs of 1: i32, then 5: i32
	struct thrift_reader in =
		READER(0x39, 0x2c, 0x15, 0x02, 0x00, 0x15, 0x04, 0x00, 0x25, 0x06, 0x00);
	(void)state;

	thrift_read_enter(&in);
	assert_true(thrift_read_next(&in));
	assert_int_equal(thrift_read_list(&in, THRIFT_KIND_STRUCT), 2);
	for (int i = 1; i <= 2; i++) {
		thrift_read_enter(&in);
		assert_true(thrift_read_next(&in));
		assert_int_equal(in.field, 1);
		assert_int_equal(thrift_read_int32(&in), i);
		assert_false(thrift_read_next(&in));
	}
	assert_true(thrift_read_next(&in));
	assert_int_equal(in.field, 5);
	assert_int_equal(thrift_read_int32(&in), 3);
	assert_false(thrift_read_next(&in));
	assert_null(in.error);
}

static void values_of_every_kind_are_skipped(void **state) {
	struct thrift_reader in =
		READER(0x11,
		       0x12, // true, false
		       0x13,
		       0xff, // i8
		       0x14,
		       0x81,
		       0x01, // i16
		       0x17,
		       1,
		       2,
		       3,
		       4,
		       5,
		       6,
		       7,
		       8, // double
		       0x18,
		       3,
		       'x',
		       'y',
		       'z', // binary
		       0x19,
		       0x31,
		       1,
		       2,
		       1, // list of bool
		       0x1a,
		       0x25,
		       0x02,
		       0x04, // set of i32
		       0x1b,
		       1,
		       0x58,
		       0x02,
		       1,
		       'v', // map of i32 to binary
		       0x1b,
		       0, // empty map
		       0x1c,
		       0x1c,
		       0x15,
		       0x02,
		       0x00,
		       0x00, // struct in a struct
		       0x1d,
		       0,
		       1,
		       2,
		       3,
		       4,
		       5,
		       6,
		       7,
		       8,
		       9,
		       10,
		       11,
		       12,
		       13,
		       14,
		       15, // uuid
		       0x15,
		       0x02,
		       0x00);
	int64_t last = 0;
	(void)state;

	for (thrift_read_enter(&in); thrift_read_next(&in);)
		if (in.field == 13)
			last = thrift_read_int(&in);
		else
			thrift_read_skip(&in);
	assert_null(in.error);
	assert_int_equal(last, 1);
	assert_ptr_equal(in.at, in.end);
}

// Walks whatever comes, and returns the error.
static const char *error_of(const uint8_t *bytes, size_t n) {
	struct thrift_reader in = thrift_read_of(bytes, n);

	for (thrift_read_enter(&in); thrift_read_next(&in);)
		thrift_read_skip(&in);
	return in.error;
}

static void every_cut_is_an_error(void **state) {
	static const uint8_t whole[] = {
		0x15, 0x85, 0x01, 0x18, 2, 'a', 'b', 0x19, 0x2c, 0x15, 0x02, 0x00, 0x17, 1,
		2,    3,    4,    5,    6, 7,   8,   0x00, 0x1b, 1,    0x55, 0x02, 0x02, 0x00,
	};
	(void)state;

	assert_null(error_of(whole, sizeof(whole)));
	for (size_t n = 0; n < sizeof(whole); n++)
		assert_non_null(error_of(whole, n));
}

#define ERROR_OF(...)                                                                              \
	error_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void lengths_beyond_the_bytes_are_errors(void **state) {
	(void)state;

	assert_string_equal(ERROR_OF(0x18, 0xff, 0xff, 0xff, 0xff, 0x0f, 0), "cut short");
	assert_string_equal(
		ERROR_OF(0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0),
		"cut short"
	);
	assert_string_equal(
		ERROR_OF(0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f, 0),
		"a list of more elements than octets"
	);
	assert_string_equal(
		ERROR_OF(0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x33, 0),
		"cut short"
	);
	assert_string_equal(
		ERROR_OF(0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0),
		"a number of more than 64 bits"
	);
}

static void depth_is_bounded(void **state) {
	uint8_t structs[1000], lists[1000];
	struct thrift_reader in;
	(void)state;

	memset(structs, 0x1c, sizeof(structs));
	memset(lists, 0x19, sizeof(lists));
	assert_string_equal(error_of(structs, sizeof(structs)), "nested too deep");
	assert_string_equal(error_of(lists, sizeof(lists)), "nested too deep");
	in = thrift_read_of(structs, sizeof(structs));
	do
		thrift_read_enter(&in);
	while (thrift_read_next(&in));
	assert_string_equal(in.error, "nested too deep");
}

static void another_type_than_asked_for_is_an_error(void **state) {
	struct thrift_reader text = READER(0x15, 0x02, 0x00), list = text, number = text;
	uint32_t n = 7;
	(void)state;

	thrift_read_enter(&text);
	assert_true(thrift_read_next(&text));
	assert_non_null(thrift_read_binary(&text, &n));
	assert_int_equal(n, 0);
	assert_non_null(text.error);
	thrift_read_enter(&list);
	assert_true(thrift_read_next(&list));
	assert_int_equal(thrift_read_list(&list, THRIFT_KIND_I32), 0);
	assert_non_null(list.error);

	number = READER(0x18, 0x00, 0x00);
	thrift_read_enter(&number);
	assert_true(thrift_read_next(&number));
	assert_int_equal(thrift_read_int(&number), 0);
	assert_non_null(number.error);
	assert_false(thrift_read_next(&number));
	assert_non_null(ERROR_OF(0x1e, 0x00));
	assert_non_null(ERROR_OF(0x19, 0x1f, 0x00, 0x00));
}

static void numbers_of_more_than_32_bits_are_told(void **state) {
	struct thrift_reader in = READER(0x16, 0x80, 0x80, 0x80, 0x80, 0x10, 0x00);
	(void)state;

	thrift_read_enter(&in);
	assert_true(thrift_read_next(&in));
	assert_int_equal(thrift_read_int32(&in), 0);
	assert_string_equal(in.error, "a number of more than 32 bits");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_come_with_their_ids_and_values),
		cmocka_unit_test(lists_of_structs_are_walked),
		cmocka_unit_test(values_of_every_kind_are_skipped),
		cmocka_unit_test(every_cut_is_an_error),
		cmocka_unit_test(lengths_beyond_the_bytes_are_errors),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(another_type_than_asked_for_is_an_error),
		cmocka_unit_test(numbers_of_more_than_32_bits_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
