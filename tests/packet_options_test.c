// What --deduplicate and --sample take, and what they do not.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "packet_options.h"

static void copies_have_a_window_and_what_else_was_said(void **state) {
	struct copies_options copies;
	(void)state;

	assert_int_equal(packet_options_copies("5ms", &copies), 0);
	assert_int_equal(copies.window_ns, 5 * NS_PER_MS);
	assert_int_equal(copies.most, 1);
	assert_false(copies.routed);
	assert_int_equal(packet_options_copies("250us,routed,copies=3", &copies), 0);
	assert_int_equal(copies.window_ns, 250 * NS_PER_US);
	assert_int_equal(copies.most, 3);
	assert_true(copies.routed);
}

static void sampling_has_an_interval_and_a_way(void **state) {
	struct sampling_options sampling;
	(void)state;

	assert_int_equal(packet_options_sampling("1000", &sampling), 0);
	assert_int_equal(sampling.algorithm, SAMPLER_DETERMINISTIC);
	assert_int_equal(sampling.interval, 1000);
	assert_int_equal(packet_options_sampling("random:4k", &sampling), 0);
	assert_int_equal(sampling.algorithm, SAMPLER_RANDOM);
	assert_int_equal(sampling.interval, 4000);
}

static void all_else_is_refused_and_changes_nothing(void **state) {
	static const char *const not_copies[] = {
		"",
		"5",
		"0",
		"2s",
		"1us",
		"5ms,",
		",routed",
		"5ms,copies=",
		"5ms,fast",
		"5ms,copies=0",
		"5ms routed",
		"5ms,copies=16",
		"5ms,routed,0000000000000000000000000000000000000000000000000000",
	};
	static const char *const not_sampling[] = {
		"",
		"0",
		"-1",
		"1.5",
		"random",
		"random:",
		"random:0",
		"every:3",
		"2000000000",
	};
	struct copies_options copies = {.most = 77};
	struct sampling_options sampling = {.interval = 77};
	(void)state;

	for (unsigned i = 0; i < sizeof(not_copies) / sizeof(not_copies[0]); i++)
		assert_int_equal(packet_options_copies(not_copies[i], &copies), -EINVAL);
	for (unsigned i = 0; i < sizeof(not_sampling) / sizeof(not_sampling[0]); i++)
		assert_int_equal(packet_options_sampling(not_sampling[i], &sampling), -EINVAL);
	assert_int_equal(copies.most, 77);
	assert_int_equal(sampling.interval, 77);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_have_a_window_and_what_else_was_said),
		cmocka_unit_test(sampling_has_an_interval_and_a_way),
		cmocka_unit_test(all_else_is_refused_and_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
