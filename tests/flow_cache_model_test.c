// The flow cache against a model that is obviously right: an array with a place for every
// flow there can be, 64-bit times, no buckets, no hands, no pipeline.

#include "flow_cache_fixture.h"

#define T0 (1700000000 * NS_PER_S)

enum {
	N_IDS = 5000,
};

struct model_flow {
	bool live;
	struct flow_record record;
};

struct model {
	uint64_t active_ticks, idle_ticks, linger_ticks;
	struct model_flow flows[N_IDS];
	struct fixture out;
};

static uint64_t random_state;

// xorshift64*: the same traffic in every run.
static uint64_t random64(void) {
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint32_t random_below(uint32_t n) {
	return (uint32_t)((random64() >> 32) * n >> 32);
}

static enum flow_end model_end(const struct model *model, const struct flow_record *r, uint64_t t) {
	bool finished = (r->tcp_flags & 0x05) != 0;
	uint64_t idle_end = r->last_ticks + (finished ? model->linger_ticks : model->idle_ticks);
	uint64_t active_end = r->first_ticks + model->active_ticks;

	if (t < idle_end && t < active_end)
		return FLOW_END_NONE;
	if (active_end < idle_end)
		return FLOW_END_ACTIVE;
	return finished ? FLOW_END_DETECTED : FLOW_END_IDLE;
}

static void model_add(struct model *model, uint32_t id, const struct packet *packet) {
	struct model_flow *flow = &model->flows[id];
	struct flow_record *record = &flow->record;
	uint64_t t = ticks_of_ns(packet->time_ns);

	if (flow->live) {
		enum flow_end end = model_end(model, record, t);
		if (end == FLOW_END_NONE && (record->tcp_flags & 0x05) != 0
		    && (packet->tcp_flags & 0x02) != 0)
			end = FLOW_END_DETECTED;
		if (end != FLOW_END_NONE) {
			record->end = (uint8_t)end;
			keep(record, &model->out);
			flow->live = false;
		}
	}
	if (!flow->live) {
		flow->live = true;
		*record = (struct flow_record){
			.key = packet->key,
			.first_ticks = t,
			.last_ticks = t,
			.in_if = packet->in_if,
			.inner_vlan_id = packet->inner_vlan_id,
			.tos = packet->tos,
			.ttl_min = 255,
		};
		memcpy(record->src_mac, packet->src_mac, 6);
		memcpy(record->dst_mac, packet->dst_mac, 6);
	}
	record->last_ticks = t > record->last_ticks ? t : record->last_ticks;
	record->packets++;
	record->octets += packet->octets;
	record->tcp_flags |= packet->tcp_flags;
	record->ttl_min = packet->ttl < record->ttl_min ? packet->ttl : record->ttl_min;
	record->ttl_max = packet->ttl > record->ttl_max ? packet->ttl : record->ttl_max;
}

static void model_end_all(struct model *model, uint64_t now) {
	for (uint32_t id = 0; id < N_IDS; id++) {
		struct flow_record *record = &model->flows[id].record;
		if (!model->flows[id].live)
			continue;
		enum flow_end end = model_end(model, record, now);
		record->end = (uint8_t)(end != FLOW_END_NONE ? end : FLOW_END_FORCED);
		keep(record, &model->out);
	}
}

static struct packet random_packet(uint32_t *id, time_ns_t now_ns) {
	static const uint8_t flags[] = {0x10, 0x10, 0x10, 0x10, 0x18, 0x18, 0x02, 0x11, 0x04, 0x12};
	// Half of the packets belong to few flows, the rest to many.
	*id = random_below(2) ? random_below(50) : random_below(N_IDS);
	struct packet packet = packet_of(*id, now_ns);
	uint64_t bits = random64();

	packet.octets = 40 + bits % 1461;
	packet.ttl = (uint8_t)(bits >> 16);
	packet.tos = (uint8_t)(bits >> 24);
	packet.src_mac[5] = (uint8_t)(bits >> 32);
	packet.dst_mac[0] = (uint8_t)(bits >> 40);
	packet.inner_vlan_id = (uint16_t)(bits >> 48 & 0xfff);
	if (*id % 3 == 0) {
		packet.key.family = FLOW_IPV6;
		memset(packet.key.dst6, (int)(*id & 0xff), 16);
	}
	if (*id % 4 == 0)
		packet.key.proto = 17;
	else
		packet.tcp_flags = flags[random_below(sizeof(flags))];
	if (packet.key.proto == 17)
		packet.tcp_flags = 0;
	return packet;
}

static int by_content(const void *a, const void *b) {
	return memcmp(a, b, sizeof(struct flow_record));
}

static void assert_same_records(struct fixture *left, struct fixture *right) {
	assert_int_equal(left->n_records, right->n_records);
	qsort(left->records, left->n_records, sizeof(left->records[0]), by_content);
	qsort(right->records, right->n_records, sizeof(right->records[0]), by_content);
	assert_memory_equal(
		left->records, right->records, left->n_records * sizeof(left->records[0])
	);
}

// `n` packets, the time between two of them up to `most_gap_ns`; the ager is called as often
// or rarely as chance has it.
static void
compare(uint64_t seed, unsigned n, time_ns_t active_ns, time_ns_t idle_ns, time_ns_t most_gap_ns) {
	struct fixture *f = fixture_new(4 * N_IDS, active_ns, idle_ns);
	struct model *model = calloc(1, sizeof(*model));
	time_ns_t day = FLOW_CACHE_LONGEST_TIMEOUT_NS;
	time_ns_t now = T0;

	assert_non_null(model);
	model->active_ticks = ticks_of_ns(active_ns ? active_ns : day);
	model->idle_ticks = ticks_of_ns(idle_ns ? idle_ns : day);
	model->linger_ticks = ticks_of_ns(FLOW_CACHE_LINGER_NS);
	if (model->linger_ticks > model->idle_ticks)
		model->linger_ticks = model->idle_ticks;
	random_state = seed;
	flow_cache_restart(f->cache, now);
	for (unsigned i = 0; i < n; i++) {
		uint32_t id;
		struct packet packet = random_packet(&id, now);
		push(f, &packet);
		model_add(model, id, &packet);
		if (random_below(4) != 0) // equal times are common in bursts
			now += (time_ns_t)(random64() % (uint64_t)most_gap_ns);
		if (random_below(100000) == 0) { // a long silence
			now += random_below(200) * NS_PER_S;
			flow_cache_advance(f->cache, now);
		}
		if (random_below(500) == 0) {
			flow_cache_advance(f->cache, now);
			flow_cache_age(f->cache, random_below(100));
		}
	}
	age_all(f, now);
	flow_cache_flush(f->cache);
	model_end_all(model, ticks_of_ns(now));

	struct flow_cache_stats stats;
	flow_cache_stats(f->cache, &stats);
	// With room for four times the flows a bucket may still be full now and then; in these
	// runs none was, or the comparison would mean nothing.
	assert_int_equal(stats.records[FLOW_END_RESOURCES], 0);
	assert_int_equal(stats.packets, n);
	assert_int_equal(stats.record_packets, n);
	assert_int_equal(stats.record_octets, stats.octets);
	assert_same_records(f, &model->out);
	free(model->out.records);
	free(model);
	fixture_free(f);
}

static void records_equal_the_models_at_high_rate(void **state) {
	(void)state;
	compare(1, 2000000, 60 * NS_PER_S, 15 * NS_PER_S, 100 * NS_PER_US);
}

static void records_equal_the_models_at_low_rate(void **state) {
	(void)state;
	compare(2, 500000, 60 * NS_PER_S, 15 * NS_PER_S, 50 * NS_PER_MS);
}

static void records_equal_the_models_with_short_timeouts(void **state) {
	(void)state;
	compare(3, 500000, 100 * NS_PER_MS, 10 * NS_PER_MS, 10 * NS_PER_US);
}

static void records_equal_the_models_without_timeouts(void **state) {
	(void)state;
	compare(4, 500000, 0, 0, 2 * NS_PER_S);
}

static void records_equal_the_models_with_idle_above_active(void **state) {
	(void)state;
	compare(5, 500000, 5 * NS_PER_S, 60 * NS_PER_S, 20 * NS_PER_MS);
}

// A cache a hundred times too small, and times that go back: what is counted is conserved for
// every flow, and each record lies within the times of its packets.
static void overfull_cache_conserves_every_flow(void **state) {
	static struct { uint64_t packets, octets, first, last; } want[N_IDS], got[N_IDS];
	struct fixture *f = fixture_new(50, 60 * NS_PER_S, 15 * NS_PER_S);
	time_ns_t now = T0;
	(void)state;

	random_state = 6;
	flow_cache_restart(f->cache, now);
	for (unsigned i = 0; i < 1000000; i++) {
		uint32_t id;
		time_ns_t late = random_below(3) == 0 ? random_below(1000) * NS_PER_MS : 0;
		struct packet packet = random_packet(&id, now - late);
		uint64_t t = ticks_of_ns(packet.time_ns);
		push(f, &packet);
		want[id].first = want[id].packets == 0 || t < want[id].first ? t : want[id].first;
		want[id].last = t > want[id].last ? t : want[id].last;
		want[id].packets++;
		want[id].octets += packet.octets;
		now += random_below(1000000);
		if (random_below(1000) == 0)
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
	uint32_t next = 0;
	(void)state;

	flow_cache_restart(f->cache, now);
	// A sliding window of 500 flows, each seen about ten times, then never again.
	for (unsigned i = 0; i < 2000000; i++) {
		if (i % 10 == 0)
			next++;
		struct packet packet = packet_of(next + random_below(500), now);
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
		cmocka_unit_test(overfull_cache_conserves_every_flow),
		cmocka_unit_test(eviction_spares_what_was_just_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
