// The flow cache against a model that is obviously right (flow_model.h), where there is room
// for every flow.

#include "flow_cache_fixture.h"
#include "flow_model.h"
#include "flow_traffic.h"
#include "random.h"

#define T0 (1700000000 * NS_PER_S)

enum {
	N_IDS = 5000,
};

// Half of the packets belong to few flows, the rest to many.
static struct packet random_packet(struct random *random, uint32_t *id, time_ns_t now_ns) {
	*id = random_below(random, random_below(random, 2) ? 50 : N_IDS);
	return varied_packet(random, *id, now_ns);
}

// `n` packets, the time between two of them up to `most_gap_ns`; the ager is called as often
// or rarely as chance has it.
static void
compare(uint64_t seed, unsigned n, time_ns_t active_ns, time_ns_t idle_ns, time_ns_t most_gap_ns) {
	struct fixture *f = fixture_new(4 * N_IDS, active_ns, idle_ns);
	struct fixture want = {0};
	struct flow_model *model = flow_model_new(&(struct flow_model_config){
		.active_timeout_ns = active_ns,
		.idle_timeout_ns = idle_ns,
		.on_record = keep_record,
		.arg = &want,
	});
	struct random random = {seed};
	time_ns_t now = T0;

	flow_cache_restart(f->cache, now);
	for (unsigned i = 0; i < n; i++) {
		uint32_t id;
		struct packet packet = random_packet(&random, &id, now);
		push(f, &packet);
		flow_model_add(model, &packet);
		if (random_below(&random, 4) != 0) // equal times are common in bursts
			now += (time_ns_t)(random64(&random) % (uint64_t)most_gap_ns);
		if (random_below(&random, 100000) == 0) { // a long silence
			now += random_below(&random, 200) * NS_PER_S;
			flow_cache_advance(f->cache, now);
		}
		if (random_below(&random, 500) == 0) {
			flow_cache_advance(f->cache, now);
			flow_cache_age(f->cache, random_below(&random, 100));
		}
	}
	age_all(f, now);
	flow_cache_flush(f->cache);
	flow_model_flush(model, now);

	struct flow_cache_stats stats;
	flow_cache_stats(f->cache, &stats);
	// With room for four times the flows a bucket may still be full now and then; in these
	// runs none was, or the comparison would mean nothing.
	assert_int_equal(stats.records[FLOW_END_RESOURCES], 0);
	assert_int_equal(stats.packets, n);
	assert_int_equal(stats.record_packets, n);
	assert_int_equal(stats.record_octets, stats.octets);
	assert_same_records(f, &want);
	flow_model_free(model);
	free(want.records);
	fixture_free(f);
}

static void records_equal_the_models_at_high_rate(void **state) {
	(void)state;
	compare(1, TEST_ROUNDS(2000000), 60 * NS_PER_S, 15 * NS_PER_S, 100 * NS_PER_US);
}

static void records_equal_the_models_at_low_rate(void **state) {
	(void)state;
	compare(2, TEST_ROUNDS(500000), 60 * NS_PER_S, 15 * NS_PER_S, 50 * NS_PER_MS);
}

static void records_equal_the_models_with_short_timeouts(void **state) {
	(void)state;
	compare(3, TEST_ROUNDS(500000), 100 * NS_PER_MS, 10 * NS_PER_MS, 10 * NS_PER_US);
}

static void records_equal_the_models_without_timeouts(void **state) {
	(void)state;
	compare(4, TEST_ROUNDS(500000), 0, 0, 2 * NS_PER_S);
}

static void records_equal_the_models_with_idle_above_active(void **state) {
	(void)state;
	compare(5, TEST_ROUNDS(500000), 5 * NS_PER_S, 60 * NS_PER_S, 20 * NS_PER_MS);
}

// With late packets and jumps of time too. Both are aged at the same moments, as a replay does
// it: a late packet finds its flow or finds it gone.
static void compare_traffic(enum pick pick, enum course course, unsigned n) {
	struct fixture *f = fixture_new(10000, 10 * NS_PER_S, 3 * NS_PER_S), want = {0};
	struct flow_model *model = flow_model_new(&(struct flow_model_config){
		.active_timeout_ns = 10 * NS_PER_S,
		.idle_timeout_ns = 3 * NS_PER_S,
		.on_record = keep_record,
		.arg = &want,
	});
	struct flow_traffic traffic;
	struct flow_cache_stats stats;

	flow_traffic_init(&traffic, pick, course, f->cache);
	flow_cache_restart(f->cache, traffic.now_ns);
	time_ns_t aged_ns = traffic.now_ns;
	for (unsigned i = 0; i < n; i++) {
		uint32_t id;
		struct packet packet = flow_traffic_next(&traffic, &id);
		if (traffic.now_ns - aged_ns >= 250 * NS_PER_MS) {
			aged_ns = traffic.now_ns;
			age_all(f, aged_ns);
			flow_model_age(model, aged_ns);
		}
		push(f, &packet);
		flow_model_add(model, &packet);
	}
	age_all(f, traffic.now_ns);
	flow_cache_flush(f->cache);
	flow_model_flush(model, traffic.now_ns);
	flow_cache_stats(f->cache, &stats);
	assert_int_equal(stats.records[FLOW_END_RESOURCES], 0);
	assert_same_records(f, &want);
	flow_model_free(model);
	free(want.records);
	fixture_free(f);
}

static void records_equal_the_models_in_every_kind_of_traffic(void **state) {
	(void)state;
	for (enum pick pick = 0; pick < PICK_COUNT; pick++) {
		if (pick == PICK_COLLIDING) // one bucket does not hold its flows
			continue;
		for (enum course course = 0; course < COURSE_COUNT; course++) {
			// Few packets too: what hides among many flows shows with one.
			compare_traffic(pick, course, 100);
			compare_traffic(pick, course, 1000);
			compare_traffic(pick, course, TEST_ROUNDS(20000));
		}
	}
}

// A cache a hundred times too small, and times that go back: what is counted is conserved for
// every flow, and each record lies within the times of its packets.
static void overfull_cache_conserves_every_flow(void **state) {
	static struct { uint64_t packets, octets, first, last; } want[N_IDS], got[N_IDS];
	struct fixture *f = fixture_new(50, 60 * NS_PER_S, 15 * NS_PER_S);
	struct random random = {6};
	time_ns_t now = T0;
	(void)state;

	flow_cache_restart(f->cache, now);
	for (unsigned i = 0; i < TEST_ROUNDS(1000000); i++) {
		uint32_t id;
		time_ns_t late =
			random_below(&random, 3) == 0 ? random_below(&random, 1000) * NS_PER_MS : 0;
		struct packet packet = random_packet(&random, &id, now - late);
		uint64_t t = ticks_of_ns(packet.time_ns);
		push(f, &packet);
		want[id].first = want[id].packets == 0 || t < want[id].first ? t : want[id].first;
		want[id].last = t > want[id].last ? t : want[id].last;
		want[id].packets++;
		want[id].octets += packet.octets;
		now += random_below(&random, 1000000);
		if (random_below(&random, 1000) == 0)
			age_all(f, now);
	}
	flow_cache_flush(f->cache);
	for (size_t i = 0; i < f->n_records; i++) {
		const struct flow_record *record = &f->records[i];
		uint32_t id = id_of(record);
		uint64_t first = record->first_ticks;
		assert_true(record->packets > 0);
		assert_true(first <= record->last_ticks);
		got[id].first =
			got[id].packets == 0 || first < got[id].first ? first : got[id].first;
		if (record->last_ticks > got[id].last)
			got[id].last = record->last_ticks;
		got[id].packets += record->packets;
		got[id].octets += record->octets;
	}
	assert_memory_equal(got, want, sizeof(want));
	fixture_free(f);
}

// With room for twice the flows that are alive at once, exact LRU evicts none of them; the
// adaptive hand must never have to.
static void eviction_spares_what_was_just_seen(void **state) {
	struct fixture *f = fixture_new(2000, 60 * NS_PER_S, 15 * NS_PER_S);
	time_ns_t now = T0;
	struct random random = {7};
	uint32_t next = 0;
	(void)state;

	flow_cache_restart(f->cache, now);
	// A sliding window of 500 flows, each seen about ten times, then never again.
	for (unsigned i = 0; i < 2000000; i++) {
		if (i % 10 == 0)
			next++;
		struct packet packet = packet_of(next + random_below(&random, 500), now);
		push(f, &packet);
		now += 10 * NS_PER_US;
	}
	flow_cache_drain(f->cache);
	unsigned young = 0;
	for (size_t i = 0; i < f->n_records; i++)
		if (f->records[i].end == FLOW_END_RESOURCES && f->records[i].packets < 2)
			young++;
	assert_true(f->n_records > 190000);
	// A flow of about ten packets that left with one is a flow that was split; of those that
	// truly have one packet there are few (e^-10 of them, times nine).
	assert_true(young < f->n_records / 200);
	fixture_free(f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_equal_the_models_at_high_rate),
		cmocka_unit_test(records_equal_the_models_at_low_rate),
		cmocka_unit_test(records_equal_the_models_with_short_timeouts),
		cmocka_unit_test(records_equal_the_models_without_timeouts),
		cmocka_unit_test(records_equal_the_models_with_idle_above_active),
		cmocka_unit_test(records_equal_the_models_in_every_kind_of_traffic),
		cmocka_unit_test(overfull_cache_conserves_every_flow),
		cmocka_unit_test(eviction_spares_what_was_just_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
