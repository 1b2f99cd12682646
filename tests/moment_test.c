// Points in time as people write them.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "moment.h"

#define NOW_NS (INT64_C(1800000000) * NS_PER_S)
#define DAY_NS (INT64_C(1795478400) * NS_PER_S) // 2026-11-24, as date(1) has it

static void moments_are_utc_to_the_digit_that_is_given(void **state) {
	static const struct {
		const char *text;
		time_ns_t ns;
	} good[] = {
		{"2026-11-24", DAY_NS},
		{"2026-11-24T10", DAY_NS + 36000 * NS_PER_S},
		{"2026-11-24T10:30", DAY_NS + 37800 * NS_PER_S},
		{"2026-11-24 10:30:15", DAY_NS + 37815 * NS_PER_S},
		{"2026-11-24T10:30:15Z", DAY_NS + 37815 * NS_PER_S},
		{"2026-11-24T10:30:15.250Z", DAY_NS + 37815 * NS_PER_S + 250 * NS_PER_MS},
		{"2026-11-24T10:30:15.123456789", DAY_NS + 37815 * NS_PER_S + 123456789},
		{"2024-02-29", INT64_C(1709164800) * NS_PER_S},
		{"1970-01-01", 0},
		{"@0", 0},
		{"@1795478400", DAY_NS},
		{"@1795478400.5", DAY_NS + NS_PER_S / 2},
		{"now", NOW_NS},
	};
	time_ns_t ns;
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(moment_parse(good[i].text, NOW_NS, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
}

static void what_is_no_moment_is_refused(void **state) {
	static const char *const bad[] = {
		"",
		"yesterday",
		"2026",
		"2026-11",
		"2026-13-01",
		"2026-00-01",
		"2026-11-00",
		"2026-11-31",
		"2026-02-29",
		"2026-11-24T",
		"2026-11-24T24",
		"2026-11-24T10:60",
		"2026-11-24T10:30:60",
		"2026-11-24T10:30:15.",
		"2026-11-24T10:30:15.1234567890",
		"2026-11-24T10:30:15+01:00",
		"2026-11-24x",
		"26-11-24",
		"1969-12-31",
		"2263-01-01",
		"9999-12-31",
		"@",
		"@-1",
		"@x",
		"@9999999999",
		"@1.",
		"now ",
	};
	time_ns_t ns;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(moment_parse(bad[i], NOW_NS, &ns), -EINVAL);
}

static void a_moment_is_written_as_it_is_read(void **state) {
	char text[MOMENT_TEXT_BYTES];
	time_ns_t ns;
	(void)state;

	moment_text(text, DAY_NS + 37815 * NS_PER_S + 7 * NS_PER_MS);
	assert_string_equal(text, "2026-11-24T10:30:15.007Z");
	assert_int_equal(moment_parse(text, NOW_NS, &ns), 0);
	assert_int_equal(ns, DAY_NS + 37815 * NS_PER_S + 7 * NS_PER_MS);
	moment_text(text, TIME_NS_MAX);
	assert_string_equal(text, "2262-04-11T23:47:16.854Z");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moments_are_utc_to_the_digit_that_is_given),
		cmocka_unit_test(what_is_no_moment_is_refused),
		cmocka_unit_test(a_moment_is_written_as_it_is_read),
	};
	return cmocka_run_group_tests_name("moment", tests, NULL, NULL);
}
