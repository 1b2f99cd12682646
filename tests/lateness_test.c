// Lateness: percentiles of what was added.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lateness.h"

static struct lateness lateness;

static int clear(void **state) {
	(void)state;
	for (unsigned ms = 0; ms <= LATENESS_MOST_MS; ms++)
		atomic_store(&lateness.counts[ms], 0);
	return 0;
}

static void assert_read(uint64_t n, uint32_t p50, uint32_t p99, uint32_t max) {
	struct ledger_lateness read;

	lateness_read(&lateness, &read);
	assert_int_equal(read.n_flows, n);
	assert_int_equal(read.p50_ms, p50);
	assert_int_equal(read.p99_ms, p99);
	assert_int_equal(read.max_ms, max);
}

static void nothing_was_late_before_the_first_flow(void **state) {
	(void)state;
	assert_read(0, 0, 0, 0);
}

static void one_flow_is_all_percentiles(void **state) {
	(void)state;
	lateness_add(&lateness, 7);
	assert_read(1, 7, 7, 7);
}

static void percentiles_bound_their_share_of_flows(void **state) {
	(void)state;
	for (int i = 1; i <= 1000; i++)
		lateness_add(&lateness, i);
	assert_read(1000, 500, 990, 1000);
	// Half and half: the median is the lower one, of which there are as many as are needed.
	clear(NULL);
	for (int i = 0; i < 10; i++)
		lateness_add(&lateness, i < 5 ? 3 : 9);
	assert_read(10, 3, 9, 9);
}

static void early_counts_as_on_time_and_hours_as_the_most(void **state) {
	(void)state;
	lateness_add(&lateness, -100);
	assert_read(1, 0, 0, 0);
	lateness_add(&lateness, 3600 * 1000);
	assert_read(2, 0, LATENESS_MOST_MS, LATENESS_MOST_MS);
}

static void a_histogram_counts_all_within_each_bound(void **state) {
	struct lateness_histogram read;

	(void)state;
	lateness_add(&lateness, 0);
	lateness_add(&lateness, 5);
	lateness_add(&lateness, 6);
	lateness_add(&lateness, 2500);
	lateness_add(&lateness, 9999);
	lateness_read_histogram(&lateness, &read);
	assert_int_equal(read.n_flows, 5);
	assert_int_equal(read.sum_ms, 5 + 6 + 2500 + LATENESS_MOST_MS);
	assert_int_equal(read.counts[0], 2);
	assert_int_equal(read.counts[1], 3);
	assert_int_equal(read.counts[LATENESS_BUCKETS - 2], 3);
	assert_int_equal(read.counts[LATENESS_BUCKETS - 1], 4);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_was_late_before_the_first_flow, clear),
		cmocka_unit_test_setup(one_flow_is_all_percentiles, clear),
		cmocka_unit_test_setup(percentiles_bound_their_share_of_flows, clear),
		cmocka_unit_test_setup(early_counts_as_on_time_and_hours_as_the_most, clear),
		cmocka_unit_test_setup(a_histogram_counts_all_within_each_bound, clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
