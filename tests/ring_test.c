// The ring between two threads.

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record_ring.h"
#include "ring.h"

static void sizes_that_are_no_power_of_two_are_refused(void **state) {
	(void)state;
	errno = 0;
	assert_null(ring_new(3, 8));
	assert_int_equal(errno, EINVAL);
	assert_null(ring_new(0, 8));
	assert_null(ring_new(4, 0));
	ring_free(NULL);
}

static void full_ring_takes_no_more_until_slots_are_released(void **state) {
	struct ring *ring = ring_new(4, sizeof(int));
	(void)state;

	assert_non_null(ring);
	for (int i = 0; i < 4; i++) {
		*(int *)ring_reserve(ring) = i;
		ring_push(ring);
	}
	assert_null(ring_reserve(ring));
	assert_int_equal(ring_ready(ring), 0); // not published yet
	assert_int_equal(ring_unpublished(ring), 4);
	ring_publish(ring);
	assert_int_equal(ring_unpublished(ring), 0);
	assert_int_equal(ring_ready(ring), 4);
	assert_int_equal(*(const int *)ring_at(ring, 0), 0);
	assert_int_equal(*(const int *)ring_at(ring, 3), 3);
	ring_release(ring, 1);
	assert_non_null(ring_reserve(ring));
	ring_free(ring);
}

static void counts_run_across_their_wrap(void **state) {
	struct ring *ring = ring_new(4, sizeof(uint32_t));
	(void)state;

	assert_non_null(ring);
	// As if 2^32 - 6 slots had passed through.
	ring->pushed = ring->released_seen = ring->taken = ring->published_seen = UINT32_MAX - 5;
	atomic_store(&ring->published, UINT32_MAX - 5);
	atomic_store(&ring->released, UINT32_MAX - 5);
	for (uint32_t i = 0; i < 20; i++) {
		*(uint32_t *)ring_reserve(ring) = i;
		ring_push(ring);
		ring_publish(ring);
		assert_int_equal(ring_ready(ring), 1);
		assert_int_equal(*(const uint32_t *)ring_at(ring, 0), i);
		ring_release(ring, 1);
	}
	ring_free(ring);
}

static void slots_are_one_array_up_to_the_end_of_the_ring(void **state) {
	struct ring *ring = ring_new(4, sizeof(int));
	(void)state;

	assert_non_null(ring);
	for (int i = 0; i < 7; i++) {
		// Slot i of all lies at i % 4.
		for (uint32_t ahead = 0; ahead < 4; ahead++)
			assert_int_equal(
				ring_contiguous(ring, ahead), 4 - ((uint32_t)i + ahead) % 4
			);
		assert_non_null(ring_reserve(ring));
		ring_push(ring);
		ring_publish(ring);
		assert_int_equal(ring_ready(ring), 1);
		ring_release(ring, 1);
	}
	ring_free(ring);
}

enum {
	N_PASSED = 3000000,
};

static void *produce(void *arg) {
	struct ring *ring = arg;
	for (uint64_t i = 0; i < N_PASSED; i++) {
		uint64_t *slot;
		while ((slot = ring_reserve(ring)) == NULL)
			ring_publish(ring);
		slot[0] = i;
		slot[1] = ~i;
		ring_push(ring);
		if (i % 7 == 0)
			ring_publish(ring);
	}
	ring_publish(ring);
	return NULL;
}

// Also a test of the memory orders, under ThreadSanitizer.
static void every_slot_arrives_once_whole_and_in_order(void **state) {
	struct ring *ring = ring_new(64, 2 * sizeof(uint64_t));
	pthread_t producer;
	uint64_t next = 0;
	uint64_t n_wrong = 0;
	(void)state;

	assert_non_null(ring);
	assert_int_equal(pthread_create(&producer, NULL, produce, ring), 0);
	while (next < N_PASSED) {
		uint32_t n = ring_ready(ring);
		for (uint32_t i = 0; i < n; i++, next++) {
			const uint64_t *slot = ring_at(ring, i);
			n_wrong += slot[0] != next || slot[1] != ~next;
		}
		ring_release(ring, n);
	}
	pthread_join(producer, NULL);
	assert_int_equal(n_wrong, 0);
	ring_free(ring);
}

static void marks_are_told_from_records(void **state) {
	struct flow_record mark = record_mark(UINT64_MAX, 5);
	struct flow_record record = {.end = FLOW_END_IDLE};
	(void)state;

	assert_true(record_is_mark(&mark));
	assert_false(record_is_mark(&record));
	assert_int_equal(record_mark_order(&mark), RECORD_ORDER_END);
	assert_int_equal(record_mark_now(&mark), 5);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_that_are_no_power_of_two_are_refused),
		cmocka_unit_test(full_ring_takes_no_more_until_slots_are_released),
		cmocka_unit_test(counts_run_across_their_wrap),
		cmocka_unit_test(slots_are_one_array_up_to_the_end_of_the_ring),
		cmocka_unit_test(every_slot_arrives_once_whole_and_in_order),
		cmocka_unit_test(marks_are_told_from_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
