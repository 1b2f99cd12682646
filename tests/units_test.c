// Numbers as people write them.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "units.h"

static void durations_have_a_number_and_a_unit(void **state) {
	static const struct {
		const char *text;
		time_ns_t ns;
	} good[] = {
		{"60s", 60 * NS_PER_S},
		{"500ms", 500 * NS_PER_MS},
		{"1.5m", 90 * NS_PER_S},
		{"2h", 7200 * NS_PER_S},
		{"1d", 86400 * NS_PER_S},
		{"250us", 250 * NS_PER_US},
		{"7ns", 7},
		{"0", 0},
		{"0s", 0},
		{"2min", 120 * NS_PER_S},
	};
	time_ns_t ns;
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(units_duration(good[i].text, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
}

static void what_is_no_duration_is_refused(void **state) {
	static const char *const bad[] = {
		"",
		"15",
		"-1",
		"-1s",
		"s",
		"1 s",
		" 1s",
		"1x",
		"0x10s",
		"inf",
		"nan",
		"1s1",
		"1.2.3s",
		"+1s",
	};
	time_ns_t ns;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(units_duration(bad[i], &ns), -EINVAL);
	assert_int_equal(units_duration("999999999999d", &ns), -ERANGE);
}

static void counts_and_sizes_have_their_multiples(void **state) {
	uint64_t n;
	(void)state;

	assert_int_equal(units_count("1048576", &n), 0);
	assert_int_equal(n, 1048576);
	assert_int_equal(units_count("4M", &n), 0);
	assert_int_equal(n, 4000000);
	assert_int_equal(units_count("1.5k", &n), 0);
	assert_int_equal(n, 1500);
	assert_int_equal(units_count("1.5", &n), -EINVAL);
	assert_int_equal(units_count("-1", &n), -EINVAL);
	assert_int_equal(units_count("1e99", &n), -ERANGE);
	assert_int_equal(units_bytes("1GiB", &n), 0);
	assert_int_equal(n, 1 << 30);
	assert_int_equal(units_bytes("1GB", &n), 0);
	assert_int_equal(n, 1000000000);
	assert_int_equal(units_bytes("512MiB", &n), 0);
	assert_int_equal(n, 512 << 20);
	assert_int_equal(units_bytes("1Gib", &n), -EINVAL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_a_number_and_a_unit),
		cmocka_unit_test(what_is_no_duration_is_refused),
		cmocka_unit_test(counts_and_sizes_have_their_multiples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
