// Thrift compact protocol: octets as its specification gives them.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "thrift_write.h"

static struct byte_buffer out;

static int begin(void **state) {
	(void)state;
	byte_buffer_done(&out);
	return 0;
}

#define EXPECT(...)                                                                                \
	do {                                                                                       \
		static const uint8_t wanted[] = {__VA_ARGS__};                                     \
		assert_false(out.failed);                                                          \
		assert_int_equal(out.n, sizeof(wanted));                                           \
		assert_memory_equal(out.bytes, wanted, sizeof(wanted));                            \
		byte_buffer_done(&out);                                                            \
	} while (0)

static void numbers_are_zigzag_varints(void **state) {
	struct thrift_writer thrift;
	(void)state;
	thrift_begin(&thrift, &out);
	thrift_i32(&thrift, 1, 0);
	thrift_i32(&thrift, 2, -1);
	thrift_i32(&thrift, 3, 1);
	thrift_i32(&thrift, 4, 150); // 300 = 0b10_0101100
	thrift_i64(&thrift, 5, INT64_MIN);
	thrift_i16(&thrift, 6, -64);
	thrift_end(&thrift);
	EXPECT(0x15,
	       0,
	       0x15,
	       1,
	       0x15,
	       2,
	       0x15,
	       0xac,
	       0x02, //
	       0x16,
	       0xff,
	       0xff,
	       0xff,
	       0xff,
	       0xff,
	       0xff,
	       0xff,
	       0xff,
	       0xff,
	       0x01, //
	       0x14,
	       0x7f,
	       0);
}

static void ids_far_apart_are_written_whole(void **state) {
	struct thrift_writer thrift;
	(void)state;
	thrift_begin(&thrift, &out);
	thrift_i32(&thrift, 15, 1); // 15 on: still a difference
	thrift_i32(&thrift, 31, 1); // 16 on: the type, then zigzag 31
	thrift_end(&thrift);
	EXPECT(0xf5, 2, 0x05, 62, 2, 0);
}

static void a_bool_is_in_its_type(void **state) {
	struct thrift_writer thrift;
	(void)state;
	thrift_begin(&thrift, &out);
	thrift_bool(&thrift, 1, true);
	thrift_bool(&thrift, 2, false);
	thrift_end(&thrift);
	EXPECT(0x11, 0x12, 0);
}

static void structs_count_their_own_ids(void **state) {
	struct thrift_writer thrift;
	(void)state;
	thrift_begin(&thrift, &out);
	thrift_struct(&thrift, 3);
	thrift_i32(&thrift, 1, 1);
	thrift_empty(&thrift, 2);
	thrift_end(&thrift);
	thrift_i32(&thrift, 4, 1);
	thrift_end(&thrift);
	EXPECT(0x3c, 0x15, 2, 0x1c, 0, 0, 0x15, 2, 0);
}

static void lists_tell_their_length_and_type(void **state) {
	struct thrift_writer thrift;
	(void)state;
	thrift_begin(&thrift, &out);
	thrift_list(&thrift, 1, THRIFT_I32, 2);
	thrift_value_i32(&thrift, 3);
	thrift_value_i32(&thrift, -3);
	thrift_list(&thrift, 2, THRIFT_BINARY, 1);
	thrift_value_text(&thrift, "ab");
	thrift_list(&thrift, 3, THRIFT_STRUCT, 1);
	thrift_value_struct(&thrift);
	thrift_text(&thrift, 1, "c");
	thrift_end(&thrift);
	thrift_end(&thrift);
	EXPECT(0x19, 0x25, 6, 5, 0x19, 0x18, 2, 'a', 'b', 0x19, 0x1c, 0x18, 1, 'c', 0, 0);
}

static void a_list_of_15_tells_its_length_apart(void **state) {
	struct thrift_writer thrift;
	(void)state;
	thrift_begin(&thrift, &out);
	thrift_list(&thrift, 1, THRIFT_I32, 14);
	thrift_list(&thrift, 2, THRIFT_I32, 15);
	thrift_list(&thrift, 3, THRIFT_I32, 300);
	EXPECT(0x19, 0xe5, 0x19, 0xf5, 15, 0x19, 0xf5, 0xac, 0x02);
}

static void a_failed_buffer_stays_as_it_was(void **state) {
	struct thrift_writer thrift;
	(void)state;
	thrift_begin(&thrift, &out);
	thrift_i32(&thrift, 1, 1);
	assert_false(byte_buffer_reserve(&out, SIZE_MAX - 1));
	assert_true(out.failed);
	thrift_i32(&thrift, 2, 1);
	assert_int_equal(out.n, 2);
	byte_buffer_done(&out);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(numbers_are_zigzag_varints, begin),
		cmocka_unit_test_setup(ids_far_apart_are_written_whole, begin),
		cmocka_unit_test_setup(a_bool_is_in_its_type, begin),
		cmocka_unit_test_setup(structs_count_their_own_ids, begin),
		cmocka_unit_test_setup(lists_tell_their_length_and_type, begin),
		cmocka_unit_test_setup(a_list_of_15_tells_its_length_apart, begin),
		cmocka_unit_test_setup(a_failed_buffer_stays_as_it_was, begin),
	};
	return cmocka_run_group_tests_name("thrift_write", tests, NULL, NULL);
}
