// Timeouts that become others while flows run, in a cache and in a worker.

#include <errno.h>

#include "flow_cache_fixture.h"
#include "worker.h"

#define T0 (1700000000 * NS_PER_S)

static struct fixture *cache_of(time_ns_t active_timeout_ns, time_ns_t idle_timeout_ns) {
	struct fixture *f = fixture_new(1024, active_timeout_ns, idle_timeout_ns);
	flow_cache_restart(f->cache, T0);
	return f;
}

static void flows_that_have_ended_by_a_shorter_timeout_leave_within_two_rounds(void **state) {
	struct fixture *f = cache_of(600 * NS_PER_S, 300 * NS_PER_S);
	(void)state;

	for (uint32_t id = 0; id < 640; id++)
		add(f, packet_of(id, T0 + (id % 2) * 50 * NS_PER_S));
	assert_int_equal(flow_cache_set_timeouts(f->cache, -1, NS_PER_S), -EINVAL);
	// The hand is in the midst of them.
	flow_cache_advance(f->cache, T0 + 60 * NS_PER_S);
	assert_int_equal(flow_cache_age(f->cache, 3), 0);
	assert_int_equal(flow_cache_set_timeouts(f->cache, 600 * NS_PER_S, 30 * NS_PER_S), 0);
	unsigned n = age_all(f, T0 + 60 * NS_PER_S);
	n += age_all(f, T0 + 60 * NS_PER_S);
	assert_int_equal(n, 320);
	for (size_t i = 0; i < f->n_records; i++) {
		assert_int_equal(f->records[i].last_ticks, ticks_of_ns(T0));
		assert_int_equal(f->records[i].end, FLOW_END_IDLE);
	}
	// The others by the new one too, to the tick, and without a change in between.
	assert_int_equal(age_all(f, T0 + 80 * NS_PER_S - NS_PER_TICK), 0);
	assert_int_equal(age_all(f, T0 + 80 * NS_PER_S), 320);
	fixture_free(f);
}

static void flows_stay_for_a_longer_timeout(void **state) {
	struct fixture *f = cache_of(600 * NS_PER_S, 10 * NS_PER_S);
	(void)state;

	add(f, packet_of(1, T0));
	assert_int_equal(flow_cache_set_timeouts(f->cache, 600 * NS_PER_S, 100 * NS_PER_S), 0);
	for (int s = 1; s < 100; s++)
		assert_int_equal(age_all(f, T0 + s * NS_PER_S), 0);
	assert_int_equal(age_all(f, T0 + 100 * NS_PER_S), 1);
	fixture_free(f);
}

static void running_flows_are_cut_at_a_shorter_active_timeout(void **state) {
	struct fixture *f = cache_of(0, 15 * NS_PER_S);
	(void)state;

	for (int s = 0; s <= 100; s++)
		add(f, packet_of(1, T0 + s * NS_PER_S));
	assert_int_equal(flow_cache_set_timeouts(f->cache, 60 * NS_PER_S, 15 * NS_PER_S), 0);
	assert_int_equal(age_all(f, T0 + 100 * NS_PER_S), 1);
	assert_int_equal(f->records[0].end, FLOW_END_ACTIVE);
	assert_int_equal(f->records[0].packets, 101);
	// The next one by the packets' own times, with no hand's help.
	for (int s = 101; s <= 161; s++)
		add(f, packet_of(1, T0 + s * NS_PER_S));
	assert_int_equal(f->n_records, 2);
	assert_int_equal(f->records[1].packets, 60);
	fixture_free(f);
}

static void packets_and_octets_are_kept_over_changes(void **state) {
	struct fixture *f = fixture_new(256, 20 * NS_PER_S, 5 * NS_PER_S);
	uint64_t packets = 0, octets = 0;
	(void)state;

	flow_cache_restart(f->cache, T0);
	for (int i = 0; i < 20000; i++) {
		time_ns_t now_ns = T0 + i * 10 * NS_PER_MS;
		struct packet packet = packet_of((uint32_t)(i * 7919) % 1000, now_ns);
		packets++;
		octets += packet.octets;
		add(f, packet);
		if (i % 100 == 0)
			age_all(f, now_ns);
		if (i % 700 == 0)
			assert_int_equal(
				flow_cache_set_timeouts(
					f->cache,
					(1 + i / 700 % 5 * 7) * NS_PER_S,
					i / 700 % 4 * NS_PER_S // 0 = never, among them
				),
				0
			);
	}
	flow_cache_flush(f->cache);
	for (size_t i = 0; i < f->n_records; i++) {
		packets -= f->records[i].packets;
		octets -= f->records[i].octets;
	}
	assert_int_equal(packets, 0);
	assert_int_equal(octets, 0);
	fixture_free(f);
}

// Ticks of a live worker over a span, every 50 ms. Returns the records that came.
static unsigned ticks_until(struct worker *worker, time_ns_t *now_ns, time_ns_t until_ns) {
	unsigned n = 0;

	for (; *now_ns <= until_ns; *now_ns += 50 * NS_PER_MS) {
		while (worker_tick(worker, *now_ns))
			;
		struct ring *ring = worker_records(worker);
		uint32_t ready = ring_ready(ring);
		for (uint32_t i = 0; i < ready; i++)
			n += !record_is_mark(ring_at(ring, i));
		ring_release(ring, ready);
	}
	return n;
}

static void live_worker_takes_other_timeouts_within_a_second(void **state) {
	struct worker *worker = worker_new(&(struct flow_cache_config){
		.n_flows = 1024,
		.active_timeout_ns = 0,
		.idle_timeout_ns = 0,
		.secret = flow_secret_fixed,
	});
	time_ns_t now_ns = T0;
	(void)state;

	assert_non_null(worker);
	worker_go_live(worker);
	(void)worker_tick(worker, now_ns);
	for (uint32_t id = 0; id < 100; id++) {
		struct packet packet = packet_of(id, T0);
		flow_cache_push(worker_cache(worker), &packet, 1);
	}
	flow_cache_drain(worker_cache(worker));
	assert_int_equal(ticks_until(worker, &now_ns, T0 + 20 * NS_PER_S), 0);
	worker_set_timeouts(worker, 60 * NS_PER_S, 5 * NS_PER_S);
	assert_int_equal(ticks_until(worker, &now_ns, T0 + 21 * NS_PER_S), 100);
	worker_do(worker, WORKER_END, (uint64_t)now_ns, now_ns);
	worker_free(worker);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_that_have_ended_by_a_shorter_timeout_leave_within_two_rounds
		),
		cmocka_unit_test(flows_stay_for_a_longer_timeout),
		cmocka_unit_test(running_flows_are_cut_at_a_shorter_active_timeout),
		cmocka_unit_test(packets_and_octets_are_kept_over_changes),
		cmocka_unit_test(live_worker_takes_other_timeouts_within_a_second),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
