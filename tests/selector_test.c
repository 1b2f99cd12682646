// The selector: filter, copies and sampling, in this order, and what each leaves to the next.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "selector.h"
#include "wire.h"

enum {
	N_FRAMES = 60,
	FRAME_OCTETS = 60,
};

// UDP over IPv4: packet `i` differs from others in its identification; port 53 for even ones.
static void make(uint8_t *octets, unsigned i) {
	memset(octets, 0, FRAME_OCTETS);
	wire_put16(octets + 12, 0x0800);
	octets[14] = 0x45;
	wire_put16(octets + 16, 46);
	wire_put16(octets + 18, (uint16_t)(i + 1));
	octets[22] = 64;
	octets[23] = 17;
	wire_put16(octets + 36, i % 2 == 0 ? 53 : 80);
}

struct frames {
	uint8_t octets[N_FRAMES][FRAME_OCTETS];
	struct frame frames[N_FRAMES];
};

// Each packet comes twice, a microsecond later, unless `copies` is false.
static void make_all(struct frames *all, bool copies) {
	for (unsigned i = 0; i < N_FRAMES; i++) {
		make(all->octets[i], copies ? i / 2 : i);
		all->frames[i] = (struct frame){
			.data = all->octets[i],
			.captured_bytes = FRAME_OCTETS,
			.wire_bytes = FRAME_OCTETS,
			.time_ns = NS_PER_S + i * NS_PER_US,
		};
	}
}

static unsigned count(const struct frames *all, enum frame_mark mark) {
	unsigned n = 0;
	for (unsigned i = 0; i < N_FRAMES; i++)
		n += all->frames[i].mark == mark;
	return n;
}

static const struct meter meter = {.link = LINK_ETHERNET, .in_if = 3};

static void each_step_sees_what_the_one_before_left(void **state) {
	char error[PACKET_FILTER_ERROR_BYTES];
	struct packet_filter *filter = packet_filter_new("udp port 53", NULL, error);
	const struct selector_config config = {
		.filter = filter,
		.duplicate_window_ns = 5 * NS_PER_MS,
		.duplicate_copies = 1,
		.sampling_algorithm = SAMPLER_DETERMINISTIC,
		.sampling_interval = 5,
	};
	struct selector *selector = selector_new(&config);
	struct duplicate_stats duplicates = {0};
	struct frames all;
	(void)state;

	assert_non_null(filter);
	assert_non_null(selector);
	assert_true(selector_selects(&config));
	make_all(&all, true);
	selector_mark(selector, &meter, all.frames, N_FRAMES);
	// 60 frames: 30 of port 53, 15 of them copies, and of the other 15 every fifth.
	assert_int_equal(count(&all, FRAME_FILTERED), 30);
	assert_int_equal(count(&all, FRAME_DUPLICATE), 15);
	assert_int_equal(count(&all, FRAME_PLAIN), 3);
	assert_int_equal(count(&all, FRAME_NOT_SAMPLED), 12);

	selector_duplicates(selector, &duplicates);
	selector_duplicates(selector, &duplicates); // adds
	assert_int_equal(duplicates.n_pairs, 1);
	assert_int_equal(duplicates.pairs[0].first_if, 3);
	assert_int_equal(duplicates.pairs[0].second_if, 3);
	assert_int_equal(duplicates.pairs[0].count.packets, 30);
	assert_int_equal(duplicates.duplicates, 30);
	selector_free(selector);
	packet_filter_free(filter);
}

static void pairs_of_several_selectors_add_up(void **state) {
	const struct selector_config config = {
		.duplicate_window_ns = 5 * NS_PER_MS,
		.duplicate_copies = 1,
	};
	struct duplicate_stats sum = {0};
	(void)state;

	for (uint16_t port = 1; port <= 3; port++) {
		struct selector *selector = selector_new(&config);
		const struct meter other = {.link = LINK_ETHERNET, .in_if = port % 2};
		struct frames all;
		assert_non_null(selector);
		make_all(&all, true);
		selector_mark(selector, &other, all.frames, N_FRAMES);
		selector_duplicates(selector, &sum);
		selector_free(selector);
	}
	assert_int_equal(sum.n_pairs, 2);
	assert_int_equal(sum.pairs[0].first_if, 1);
	assert_int_equal(sum.pairs[0].count.packets, 2 * N_FRAMES / 2);
	assert_int_equal(sum.pairs[1].first_if, 0);
	assert_int_equal(sum.pairs[1].count.packets, N_FRAMES / 2);
}

static void without_anything_to_select_all_are_metered(void **state) {
	const struct selector_config config = {.sampling_interval = 1};
	struct selector *selector = selector_new(&config);
	struct duplicate_stats sum = {0};
	struct frames all;
	(void)state;

	assert_false(selector_selects(&config));
	assert_non_null(selector);
	make_all(&all, true);
	selector_mark(selector, &meter, all.frames, N_FRAMES);
	assert_int_equal(count(&all, FRAME_PLAIN), N_FRAMES);
	selector_duplicates(selector, &sum);
	assert_int_equal(sum.n_pairs, 0);
	selector_free(selector);
	selector_free(NULL);
}

static void numbers_out_of_range_are_refused(void **state) {
	(void)state;
	errno = 0;
	assert_null(selector_new(&(struct selector_config){
		.duplicate_window_ns = 2 * DUPLICATE_MOST_WINDOW_NS,
		.duplicate_copies = 1,
	}));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(selector_new(&(struct selector_config){.sampling_interval = UINT32_MAX}));
	assert_int_equal(errno, EINVAL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step_sees_what_the_one_before_left),
		cmocka_unit_test(pairs_of_several_selectors_add_up),
		cmocka_unit_test(without_anything_to_select_all_are_metered),
		cmocka_unit_test(numbers_out_of_range_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
