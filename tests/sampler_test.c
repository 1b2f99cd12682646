// Packet sampling: how many, which, and that nothing depends on how bursts are cut.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random.h"
#include "sampler.h"

enum {
	MOST = 64,
};

// Sends `n` packets in bursts of random size; tells for each whether it was taken.
static void sample(struct sampler *sampler, uint8_t *taken, uint32_t n, uint64_t burst_seed) {
	struct random random = {burst_seed};
	struct frame frames[MOST];

	for (uint32_t done = 0; done < n;) {
		uint32_t burst = 1 + random_below(&random, MOST);
		if (burst > n - done)
			burst = n - done;
		for (uint32_t i = 0; i < burst; i++)
			frames[i] = (struct frame){.captured_bytes = 60, .wire_bytes = 60};
		sampler_mark(sampler, frames, burst);
		for (uint32_t i = 0; i < burst; i++) {
			taken[done + i] = frames[i].mark == FRAME_PLAIN;
			if (!taken[done + i])
				assert_int_equal(frames[i].mark, FRAME_NOT_SAMPLED);
			assert_int_equal(frames[i].captured_bytes, taken[done + i] ? 60 : 0);
		}
		done += burst;
	}
}

static uint8_t taken[1000000], again[1000000];

static void deterministic_takes_every_nth(void **state) {
	static const uint32_t intervals[] = {1, 2, 3, 10, 1000};
	(void)state;

	for (unsigned i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
		struct sampler sampler;
		sampler_init(&sampler, SAMPLER_DETERMINISTIC, intervals[i], i);
		sample(&sampler, taken, 20000, 1 + i);
		for (uint32_t j = 0; j < 20000; j++)
			assert_int_equal(taken[j], (j + 1) % intervals[i] == 0);
	}
}

static void random_takes_one_of_each_n_at_every_place_alike(void **state) {
	enum { N = 10, ROUNDS = 100000 };
	uint32_t at_place[N] = {0};
	uint32_t pairs[N][N] = {0}; // places of neighbours
	uint32_t before = 0;
	struct sampler sampler;
	(void)state;

	sampler_init(&sampler, SAMPLER_RANDOM, N, 42);
	sample(&sampler, taken, N * ROUNDS, 1);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		unsigned n = 0;
		uint32_t place = 0;
		for (uint32_t i = 0; i < N; i++)
			if (taken[round * N + i]) {
				place = i;
				n++;
			}
		assert_int_equal(n, 1);
		at_place[place]++;
		pairs[before][place]++;
		before = place;
	}
	// Six standard deviations of the binomial: 570 of 10,000, and 189 of 1,000.
	for (unsigned i = 0; i < N; i++) {
		assert_in_range(at_place[i], ROUNDS / N - 570, ROUNDS / N + 570);
		for (unsigned j = 0; j < N; j++)
			assert_in_range(pairs[i][j], ROUNDS / N / N - 189, ROUNDS / N / N + 189);
	}
}

static void seed_and_packets_alone_decide(void **state) {
	struct sampler sampler;
	unsigned differ = 0;
	(void)state;

	sampler_init(&sampler, SAMPLER_RANDOM, 7, 3);
	sample(&sampler, taken, 100000, 1);
	sampler_init(&sampler, SAMPLER_RANDOM, 7, 3);
	sample(&sampler, again, 100000, 2);
	assert_memory_equal(taken, again, 100000);
	sampler_init(&sampler, SAMPLER_RANDOM, 7, 4);
	sample(&sampler, again, 100000, 1);
	for (unsigned i = 0; i < 100000; i++)
		differ += taken[i] != again[i];
	assert_true(differ > 20000);
}

static void largest_interval_takes_what_it_says(void **state) {
	struct sampler sampler;
	(void)state;

	sampler_init(&sampler, SAMPLER_RANDOM, SAMPLER_MOST_INTERVAL, 1);
	for (unsigned i = 0; i < 1000; i++) {
		// The whole of the interval before the next one begins.
		assert_true(sampler.skip < 2 * (uint64_t)SAMPLER_MOST_INTERVAL);
		assert_true(sampler.rest < SAMPLER_MOST_INTERVAL);
		sampler.skip = 0;
		sample(&sampler, taken, 1, 1);
		assert_int_equal(taken[0], 1);
	}
}

static void marked_frames_are_neither_counted_nor_marked_anew(void **state) {
	struct sampler sampler;
	struct frame frames[] = {
		{.mark = FRAME_FILTERED},
		{.captured_bytes = 60},
		{.mark = FRAME_DUPLICATE},
		{.captured_bytes = 60},
	};
	(void)state;

	sampler_init(&sampler, SAMPLER_DETERMINISTIC, 2, 0);
	sampler_mark(&sampler, frames, 4);
	assert_int_equal(frames[0].mark, FRAME_FILTERED);
	assert_int_equal(frames[1].mark, FRAME_NOT_SAMPLED);
	assert_int_equal(frames[2].mark, FRAME_DUPLICATE);
	assert_int_equal(frames[3].mark, FRAME_PLAIN);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deterministic_takes_every_nth),
		cmocka_unit_test(random_takes_one_of_each_n_at_every_place_alike),
		cmocka_unit_test(seed_and_packets_alone_decide),
		cmocka_unit_test(largest_interval_takes_what_it_says),
		cmocka_unit_test(marked_frames_are_neither_counted_nor_marked_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
