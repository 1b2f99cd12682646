#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "history.h"

#define BEGIN_NS (INT64_C(1795651200) * NS_PER_S)

static struct history history;

// Counters that each grow at a pace of their own.
static struct history_counts counts_at(time_ns_t uptime_ns) {
	uint64_t ms = (uint64_t)(uptime_ns / NS_PER_MS);

	return (struct history_counts){
		.taken_ns = 77 * NS_PER_S + uptime_ns,
		.packets = 1000 + 10 * ms,
		.bytes = 2000 + 900 * ms,
		.flows = 3000 + 2 * ms,
		.packets_lost = 4 * ms,
		.records_lost = 3 * ms,
		.cached = ms,
	};
}

static bool add_at(time_ns_t uptime_ns) {
	const struct history_counts counts = counts_at(uptime_ns);
	return history_add(&history, &counts, BEGIN_NS + uptime_ns);
}

static int setup(void **state) {
	const struct history_counts counts = counts_at(0);

	(void)state;
	memset(&history, 0, sizeof(history));
	history_begin(&history, &counts);
	return 0;
}

static char *printed(unsigned most) {
	char *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	history_print(&history, most, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void a_sample_covers_five_seconds(void **state) {
	unsigned n = 0;

	(void)state;
	for (unsigned s = 1; s <= 20; s++) {
		bool made = add_at(s * NS_PER_S);
		assert_int_equal(made, s % HISTORY_EVERY_S == 0);
		n += made;
	}
	assert_int_equal(n, 4);
	const struct history_sample *sample = history_get(&history, 3);
	assert_non_null(sample);
	assert_int_equal(sample->end_ms, BEGIN_NS / NS_PER_MS + 20000);
	assert_int_equal(sample->span_ms, 5000);
	assert_int_equal(sample->packets, 50000);
	assert_int_equal(sample->bytes, 4500000);
	assert_int_equal(sample->flows, 10000);
	assert_int_equal(sample->packets_lost, 20000);
	assert_int_equal(sample->records_lost, 15000);
	assert_int_equal(sample->cached, 20000);
}

static void who_calls_a_little_early_makes_no_sample_late(void **state) {
	(void)state;
	for (unsigned s = 1; s < 5; s++)
		assert_false(add_at(s * NS_PER_S - s * NS_PER_MS));
	assert_true(add_at(5 * NS_PER_S - 5 * NS_PER_MS));
	assert_int_equal(history_get(&history, 0)->span_ms, 4995);
}

static void samples_add_up_to_the_counters_also_after_a_pause(void **state) {
	static const unsigned times_s[] = {5, 10, 47, 52, 60};
	uint64_t packets = 0, span_ms = 0;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_true(add_at(times_s[i] * NS_PER_S));
	for (unsigned i = 0; i < 5; i++) {
		packets += history_get(&history, i)->packets;
		span_ms += history_get(&history, i)->span_ms;
	}
	assert_int_equal(packets, 600000);
	assert_int_equal(span_ms, 60000);
	assert_int_equal(history_get(&history, 2)->span_ms, 37000);
}

static void the_last_hour_is_there_and_no_more(void **state) {
	const unsigned n = HISTORY_SAMPLES + 100;

	(void)state;
	for (unsigned i = 1; i <= n; i++)
		assert_true(add_at(i * HISTORY_EVERY_S * NS_PER_S));
	assert_null(history_get(&history, 99));
	assert_null(history_get(&history, n));
	assert_int_equal(history_get(&history, 100)->end_ms, BEGIN_NS / NS_PER_MS + 101 * 5000);
	assert_int_equal(history_get(&history, n - 1)->cached, n * 5000);
	char *text = printed(HISTORY_SAMPLES);
	assert_memory_equal(text, "{\"first\":100,", 13);
	free(text);
	text = printed(2);
	assert_memory_equal(text, "{\"first\":818,", 13);
	free(text);
}

static void a_counter_that_begins_anew_makes_no_huge_sample(void **state) {
	struct history_counts counts = counts_at(5 * NS_PER_S);

	(void)state;
	assert_true(add_at(5 * NS_PER_S));
	counts.taken_ns += 5 * NS_PER_S;
	counts.records_lost = 1;
	assert_true(history_add(&history, &counts, BEGIN_NS + 10 * NS_PER_S));
	assert_int_equal(history_get(&history, 1)->records_lost, 0);
}

static void it_is_printed_in_columns(void **state) {
	(void)state;
	char *text = printed(HISTORY_SAMPLES);
	assert_string_equal(
		text,
		"{\"first\":0,\"end_ms\":[],\"span_ms\":[],\"packets\":[],\"bytes\":[],\"flows\":[]"
		","
		"\"cached\":[],\"packets_lost\":[],\"records_lost\":[]}"
	);
	free(text);
	add_at(5 * NS_PER_S);
	add_at(11 * NS_PER_S);
	text = printed(HISTORY_SAMPLES);
	assert_string_equal(
		text,
		"{\"first\":0,\"end_ms\":[1795651205000,1795651211000],\"span_ms\":[5000,6000],"
		"\"packets\":[50000,60000],\"bytes\":[4500000,5400000],\"flows\":[10000,12000],"
		"\"cached\":[5000,11000],\"packets_lost\":[20000,24000],"
		"\"records_lost\":[15000,18000]}"
	);
	free(text);
}

static void the_largest_is_of_bounded_size(void **state) {
	struct history_counts counts = {0};

	(void)state;
	for (unsigned i = 1; i <= HISTORY_SAMPLES; i++) {
		uint64_t most = i % 2 == 0 ? 0 : UINT64_MAX;
		counts = (struct history_counts){
			.taken_ns = counts.taken_ns + 100 * NS_PER_S,
			.packets = most,
			.bytes = most,
			.flows = most,
			.packets_lost = most,
			.records_lost = most,
			.cached = UINT64_MAX,
		};
		history_add(&history, &counts, BEGIN_NS);
	}
	char *text = printed(HISTORY_SAMPLES);
	assert_true(strlen(text) < 170 * HISTORY_SAMPLES);
	free(text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_sample_covers_five_seconds, setup),
		cmocka_unit_test_setup(who_calls_a_little_early_makes_no_sample_late, setup),
		cmocka_unit_test_setup(samples_add_up_to_the_counters_also_after_a_pause, setup),
		cmocka_unit_test_setup(the_last_hour_is_there_and_no_more, setup),
		cmocka_unit_test_setup(a_counter_that_begins_anew_makes_no_huge_sample, setup),
		cmocka_unit_test_setup(it_is_printed_in_columns, setup),
		cmocka_unit_test_setup(the_largest_is_of_bounded_size, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
