// What the flow cache does, one behaviour a test.

#include "flow_cache_fixture.h"

#include "flow_cache_internal.h"
#include "random.h"

#define T0 (1700000000 * NS_PER_S)

static int setup(void **state) {
	struct fixture *fixture = fixture_new(64, 60 * NS_PER_S, 15 * NS_PER_S);
	flow_cache_restart(fixture->cache, T0);
	*state = fixture;
	return 0;
}

static int teardown(void **state) {
	fixture_free(*state);
	return 0;
}

static void config_out_of_range_is_refused(void **state) {
	struct flow_cache_config good = {.n_flows = 16, .on_evict = next_record};
	struct flow_cache_config bad;
	(void)state;

	assert_true(flow_cache_size(&good) > 16 * 64);
	bad = good;
	bad.n_flows = FLOW_CACHE_MIN_FLOWS - 1;
	assert_int_equal(flow_cache_size(&bad), 0);
	bad = good;
	bad.n_flows = FLOW_CACHE_MAX_FLOWS + 1;
	assert_int_equal(flow_cache_size(&bad), 0);
	bad = good;
	bad.idle_timeout_ns = -1;
	assert_int_equal(flow_cache_size(&bad), 0);
	bad = good;
	bad.active_timeout_ns = FLOW_CACHE_LONGEST_TIMEOUT_NS + 1;
	assert_int_equal(flow_cache_size(&bad), 0);
	bad = good;
	bad.on_evict = NULL;
	assert_int_equal(flow_cache_size(&bad), 0);
}

static void memory_stays_below_96_octets_a_flow(void **state) {
	(void)state;
	assert_true(flow_cache_memory(1000000) < UINT64_C(96) * 1000000);
}

// Records of a labelled and of a plain flow, which take each other's slot in the second round.
static void labels_are_kept_where_they_are_wanted(void **state) {
	(void)state;
	for (int wanted = 0; wanted < 2; wanted++) {
		struct fixture f = {0};
		struct flow_cache_config config = {
			.n_flows = 16,
			.secret = flow_secret_fixed,
			.on_evict = next_record,
			.arg = &f,
			.mpls_labels = wanted,
		};
		size_t bytes = flow_cache_size(&config);
		assert_int_equal(bytes, flow_cache_memory(16) + (wanted ? 64 : 0));
		f.cache = flow_cache_init(zeroed_memory(bytes), &config);
		assert_non_null(f.cache);
		flow_cache_restart(f.cache, T0);
		for (uint32_t round = 0; round < 2; round++) {
			struct packet plain = packet_of(1 + round, T0);
			struct packet labelled = packet_of(2 - round, T0 + NS_PER_MS);
			plain.inner_vlan_id = 8;
			memset(plain.mpls_label, 0xee, 4);
			labelled.inner_vlan_id = PACKET_LABELLED | 9;
			memcpy(labelled.mpls_label, "\x12\x34\x57\x40", 4);
			add(&f, plain);
			add(&f, labelled);
			flow_cache_drain(f.cache);
			struct flow_record live;
			assert_true(flow_cache_find(f.cache, &labelled.key, &live));
			assert_int_equal(live.inner_vlan_id, 9);
			assert_memory_equal(live.mpls_label, wanted ? "\x12\x34\x57" : "\0\0\0", 3);
			flow_cache_flush(f.cache);
			assert_int_equal(f.n_records, 2 * round + 2);
			for (unsigned i = 0; i < 2; i++) {
				const struct flow_record *record = &f.records[2 * round + i];
				bool has = id_of(record) == 2 - round;
				assert_int_equal(record->inner_vlan_id, has ? 9 : 8);
				assert_memory_equal(
					record->mpls_label,
					has && wanted ? "\x12\x34\x57" : "\0\0\0",
					3
				);
			}
		}
		free(f.cache);
		free(f.records);
	}
}

static void packets_of_a_key_are_one_record(void **state) {
	struct fixture *f = *state;
	struct packet packet = packet_of(1, T0);

	packet.tos = 0xb8;
	packet.ttl = 60;
	packet.tcp_flags = 0x02;
	packet.inner_vlan_id = 7;
	memcpy(packet.src_mac, "\2\0\0\0\0\1", 6);
	memcpy(packet.dst_mac, "\2\0\0\0\0\2", 6);
	add(f, packet);
	packet.time_ns += 5 * NS_PER_MS + 999999;
	packet.tos = 0;
	packet.ttl = 70;
	packet.octets = 1500;
	packet.tcp_flags = 0x18;
	memset(packet.src_mac, 9, 6);
	add(f, packet);
	flow_cache_flush(f->cache);

	assert_int_equal(f->n_records, 1);
	const struct flow_record *record = &f->records[0];
	assert_memory_equal(&record->key, &packet.key, sizeof(packet.key));
	assert_int_equal(record->packets, 2);
	assert_int_equal(record->octets, 1600);
	assert_int_equal(ms_of_ticks(record->first_ticks), T0 / NS_PER_MS);
	assert_int_equal(ms_of_ticks(record->last_ticks), T0 / NS_PER_MS + 5);
	assert_int_equal(record->tcp_flags, 0x1a);
	assert_int_equal(record->tos, 0xb8); // of the first packet, as are the MACs
	assert_int_equal(record->ttl_min, 60);
	assert_int_equal(record->ttl_max, 70);
	assert_int_equal(record->inner_vlan_id, 7);
	assert_memory_equal(record->src_mac, "\2\0\0\0\0\1", 6);
	assert_memory_equal(record->dst_mac, "\2\0\0\0\0\2", 6);
	assert_int_equal(record->in_if, 1);
	assert_int_equal(record->end, FLOW_END_FORCED);
}

static void keys_that_differ_in_one_field_are_different_flows(void **state) {
	struct fixture *f = *state;
	struct packet base = packet_of(1, T0), other;

	add(f, base);
	other = base, other.key.src_port = 1, add(f, other);
	other = base, other.key.dst_port = 1, add(f, other);
	other = base, other.key.proto = 17, add(f, other);
	other = base, other.key.vlan_id = 1, add(f, other);
	other = base, other.key.family = FLOW_IPV6, add(f, other);
	other = base, other.key.dst4[3] = 1, add(f, other);
	other = base, other.key.dst6[15] = 1, add(f, other);
	flow_cache_flush(f->cache);
	assert_int_equal(f->n_records, 8);
}

// RFC 3954 section 3.2, condition 2. The gap is exactly the timeout.
static void flow_ends_when_idle_for_the_timeout(void **state) {
	struct fixture *f = *state;

	add(f, packet_of(1, T0));
	assert_int_equal(age_all(f, T0 + 15 * NS_PER_S - NS_PER_TICK), 0);
	assert_int_equal(age_all(f, T0 + 15 * NS_PER_S), 1);
	assert_int_equal(f->records[0].end, FLOW_END_IDLE);
}

// Without the ager's help: the packets' own times decide.
static void gap_of_the_idle_timeout_starts_a_new_record(void **state) {
	struct fixture *f = *state;

	add(f, packet_of(1, T0));
	add(f, packet_of(1, T0 + 15 * NS_PER_S - NS_PER_TICK));
	assert_int_equal(f->n_records, 0);
	add(f, packet_of(1, T0 + 30 * NS_PER_S - NS_PER_TICK));
	assert_int_equal(f->n_records, 1);
	assert_int_equal(f->records[0].packets, 2);
	assert_int_equal(f->records[0].end, FLOW_END_IDLE);
}

static void running_flow_is_cut_at_the_active_timeout(void **state) {
	struct fixture *f = *state;

	for (int i = 0; i < 130; i++) {
		add(f, packet_of(1, T0 + i * NS_PER_S));
		age_all(f, T0 + i * NS_PER_S);
	}
	flow_cache_flush(f->cache);
	assert_int_equal(f->n_records, 3);
	assert_int_equal(f->records[0].packets, 60);
	assert_int_equal(f->records[1].packets, 60);
	assert_int_equal(f->records[2].packets, 10);
	assert_int_equal(f->records[0].end, FLOW_END_ACTIVE);
	assert_int_equal(f->records[1].first_ticks, ticks_of_ns(T0 + 60 * NS_PER_S));
	assert_int_equal(f->records[1].end, FLOW_END_ACTIVE);
}

static void idle_flow_leaves_at_the_active_timeout_if_that_is_sooner(void **state) {
	(void)state;
	struct fixture *f = fixture_new(16, 10 * NS_PER_S, 0);

	flow_cache_restart(f->cache, T0);
	add(f, packet_of(1, T0));
	assert_int_equal(age_all(f, T0 + 10 * NS_PER_S - NS_PER_TICK), 0);
	assert_int_equal(age_all(f, T0 + 10 * NS_PER_S), 1);
	assert_int_equal(f->records[0].end, FLOW_END_ACTIVE);
	fixture_free(f);
}

static void timeouts_of_zero_mean_a_record_a_day(void **state) {
	(void)state;
	struct fixture *f = fixture_new(16, 0, 0);

	flow_cache_restart(f->cache, T0);
	add(f, packet_of(1, T0));
	for (int hour = 1; hour < 24; hour++)
		assert_int_equal(age_all(f, T0 + hour * 3600 * NS_PER_S), 0);
	assert_int_equal(age_all(f, T0 + 24 * 3600 * NS_PER_S), 1);
	fixture_free(f);
}

// The last ACK of a close comes after this side's FIN, and FINs are repeated.
static void close_gives_one_record_with_its_late_segments(void **state) {
	struct fixture *f = *state;
	struct packet packet = packet_of(1, T0);

	add(f, packet);
	packet.tcp_flags = 0x11;
	add(f, packet);
	packet.time_ns += 4 * NS_PER_S;
	add(f, packet); // FIN again
	packet.time_ns += 4 * NS_PER_S;
	packet.tcp_flags = 0x10;
	add(f, packet); // the last ACK
	assert_int_equal(age_all(f, packet.time_ns + FLOW_CACHE_LINGER_NS - NS_PER_TICK), 0);
	assert_int_equal(age_all(f, packet.time_ns + FLOW_CACHE_LINGER_NS), 1);
	assert_int_equal(f->n_records, 1);
	assert_int_equal(f->records[0].packets, 4);
	assert_int_equal(f->records[0].end, FLOW_END_DETECTED);
}

static void reset_flow_ends_soon(void **state) {
	struct fixture *f = *state;
	struct packet packet = packet_of(1, T0);

	packet.tcp_flags = 0x04;
	add(f, packet);
	assert_int_equal(age_all(f, T0 + FLOW_CACHE_LINGER_NS), 1);
	assert_int_equal(f->records[0].end, FLOW_END_DETECTED);
}

static void syn_after_fin_starts_a_new_flow(void **state) {
	struct fixture *f = *state;
	struct packet packet = packet_of(1, T0);

	packet.tcp_flags = 0x11;
	add(f, packet);
	packet.tcp_flags = 0x02;
	packet.time_ns += NS_PER_MS;
	add(f, packet);
	assert_int_equal(f->n_records, 1);
	assert_int_equal(f->records[0].end, FLOW_END_DETECTED);
	flow_cache_flush(f->cache);
	assert_int_equal(f->n_records, 2);
	assert_int_equal(f->records[1].tcp_flags, 0x02);
}

static void repeated_syn_belongs_to_its_flow(void **state) {
	struct fixture *f = *state;
	struct packet packet = packet_of(1, T0);

	packet.tcp_flags = 0x02;
	add(f, packet);
	packet.time_ns += NS_PER_S;
	add(f, packet);
	flow_cache_flush(f->cache);
	assert_int_equal(f->n_records, 1);
}

static void full_cache_gives_up_its_longest_idle_flow(void **state) {
	struct fixture *f = *state;

	for (uint32_t id = 0; id < 64; id++)
		add(f, packet_of(id, T0 + id * NS_PER_MS));
	assert_int_equal(f->n_records, 0);
	add(f, packet_of(0, T0 + 100 * NS_PER_MS)); // flow 0 is seen again: now 1 is the oldest
	add(f, packet_of(1000, T0 + 101 * NS_PER_MS));
	assert_int_equal(f->n_records, 1);
	assert_int_equal(f->records[0].end, FLOW_END_RESOURCES);
	assert_int_equal(id_of(&f->records[0]), 1);

	struct flow_cache_stats stats;
	flow_cache_stats(f->cache, &stats);
	assert_int_equal(stats.flows, 64);
}

static void new_flow_is_never_refused(void **state) {
	struct fixture *f = *state;
	struct flow_cache_stats stats;

	for (uint32_t id = 0; id < 10000; id++)
		add(f, packet_of(id, T0 + id));
	flow_cache_stats(f->cache, &stats);
	assert_int_equal(stats.packets, 10000);
	assert_int_equal(stats.started, 10000);
	assert_int_equal(stats.flows + f->n_records, 10000);
	assert_true(stats.flows > 32 && stats.flows <= 64);
}

// 40 keys of one bucket: the secret is known here, so they can be searched for.
static void bucket_of_colliding_keys_gives_up_its_longest_idle_flow(void **state) {
	struct fixture *f = *state;
	uint32_t ids[40];
	unsigned n = 0;

	for (uint32_t id = 0; n < 40; id++) {
		struct packet packet = packet_of(id, T0);
		uint64_t hash = flow_key_hash(&packet.key, &flow_secret_fixed);
		if (flow_cache_bucket(f->cache, hash) == 3)
			ids[n++] = id;
	}
	for (unsigned i = 0; i < 40; i++)
		add(f, packet_of(ids[i], T0 + i * NS_PER_MS));
	assert_int_equal(f->n_records, 30);
	for (unsigned i = 0; i < 30; i++) {
		assert_int_equal(id_of(&f->records[i]), ids[i]);
		assert_int_equal(f->records[i].end, FLOW_END_RESOURCES);
	}
}

static void flow_is_cut_before_its_octets_overflow(void **state) {
	struct fixture *f = *state;
	struct packet packet = packet_of(1, T0);
	uint64_t packets = 0, octets = 0;

	packet.octets = (UINT64_C(1) << 32) + 39; // the longest jumbogram
	for (int i = 0; i < 100; i++)
		add(f, packet);
	flow_cache_flush(f->cache);
	assert_true(f->n_records > 1);
	for (size_t i = 0; i < f->n_records; i++) {
		packets += f->records[i].packets;
		octets += f->records[i].octets;
	}
	assert_int_equal(f->records[0].end, FLOW_END_ACTIVE);
	assert_int_equal(packets, 100);
	assert_int_equal(octets, 100 * packet.octets);
}

static void flow_is_cut_before_its_packets_overflow(void **state) {
	struct fixture *f = *state;
	uint64_t n = (UINT64_C(1) << 26) + 5, packets = 0, octets = 0;
	uint64_t n_left = n;
	struct packet burst[128];

	for (unsigned i = 0; i < 128; i++) {
		burst[i] = packet_of(1, T0);
		burst[i].octets = 1;
	}
	if (TEST_SANITIZED) { // as if most of them had been counted
		uint64_t n_counted = (UINT64_C(1) << 25) - 1000;
		n = n_counted + 5000;
		n_left = 5000 - 1;
		add(f, burst[0]);
		f->cache->slab[0].counts += n_counted * count_of(1);
	}
	for (uint64_t some; n_left > 0; n_left -= some) {
		some = RTE_MIN(n_left, 128u);
		flow_cache_push(f->cache, burst, (unsigned)some);
	}
	flow_cache_flush(f->cache);
	assert_true(f->n_records > 1);
	for (size_t i = 0; i < f->n_records; i++) {
		packets += f->records[i].packets;
		octets += f->records[i].octets;
	}
	assert_int_equal(packets, n);
	assert_int_equal(octets, n);
}

static void late_packet_moves_first_and_not_last(void **state) {
	struct fixture *f = *state;

	add(f, packet_of(1, T0 + 10 * NS_PER_S));
	add(f, packet_of(1, T0 + 5 * NS_PER_S));
	flow_cache_flush(f->cache);
	assert_int_equal(f->n_records, 1);
	assert_int_equal(f->records[0].first_ticks, ticks_of_ns(T0 + 5 * NS_PER_S));
	assert_int_equal(f->records[0].last_ticks, ticks_of_ns(T0 + 10 * NS_PER_S));
}

// Alone, so that no other flow has its block looked at.
static void flow_that_a_late_packet_begins_leaves_with_the_next_ageing(void **state) {
	struct fixture *f = *state;
	static const time_ns_t late_ns[] = {
		16 * NS_PER_S, 61 * NS_PER_S, 3600 * NS_PER_S, 10 * 3600 * NS_PER_S};

	for (unsigned i = 0; i < 4; i++) {
		time_ns_t now = T0 + i * NS_PER_S;
		flow_cache_advance(f->cache, now);
		add(f, packet_of(i, now - late_ns[i]));
		assert_int_equal(age_all(f, now), 1);
		assert_int_equal(f->records[i].end, FLOW_END_IDLE);
	}
	// A block that an ageing has found empty, too.
	add(f, packet_of(9, T0 + 5 * NS_PER_S));
	assert_int_equal(age_all(f, T0 + 100 * NS_PER_S), 1);
	add(f, packet_of(9, T0 + 50 * NS_PER_S));
	assert_int_equal(age_all(f, T0 + 100 * NS_PER_S), 1);
}

static void times_are_exact_across_the_wrap_of_32_bits(void **state) {
	struct fixture *f = *state;
	// The low 32 bits of the tick wrap between the two packets.
	uint64_t wrap = ((ticks_of_ns(T0) >> 32) + 1) << 32;

	flow_cache_restart(f->cache, ns_of_ticks(wrap - 5));
	add(f, packet_of(1, ns_of_ticks(wrap - 5)));
	add(f, packet_of(1, ns_of_ticks(wrap + 3)));
	assert_int_equal(age_all(f, ns_of_ticks(wrap + 3) + 15 * NS_PER_S - NS_PER_TICK), 0);
	assert_int_equal(age_all(f, ns_of_ticks(wrap + 3) + 15 * NS_PER_S), 1);
	assert_int_equal(f->records[0].first_ticks, wrap - 5);
	assert_int_equal(f->records[0].last_ticks, wrap + 3);
}

static void silence_of_years_ends_every_flow_with_its_own_times(void **state) {
	struct fixture *f = *state;

	add(f, packet_of(1, T0));
	age_all(f, T0 + 5 * 365 * 86400 * NS_PER_S);
	assert_int_equal(f->n_records, 1);
	assert_int_equal(f->records[0].first_ticks, ticks_of_ns(T0));
	assert_int_equal(f->records[0].end, FLOW_END_IDLE);
	add(f, packet_of(1, T0 + 5 * 365 * 86400 * NS_PER_S));
	flow_cache_flush(f->cache);
	assert_int_equal(f->records[1].first_ticks, ticks_of_ns(T0 + 5 * 365 * 86400 * NS_PER_S));
}

static void restart_lets_the_clock_go_back(void **state) {
	struct fixture *f = *state;

	add(f, packet_of(1, T0));
	flow_cache_restart(f->cache, 0);
	assert_int_equal(f->n_records, 1);
	assert_int_equal(f->records[0].last_ticks, ticks_of_ns(T0));
	add(f, packet_of(1, 0));
	assert_int_equal(age_all(f, 15 * NS_PER_S), 1);
	assert_int_equal(f->records[1].first_ticks, 0);
}

static void advance_never_goes_back(void **state) {
	struct fixture *f = *state;

	flow_cache_advance(f->cache, T0 + NS_PER_S);
	flow_cache_advance(f->cache, T0);
	assert_int_equal(flow_cache_now(f->cache), T0 + NS_PER_S);
}

static void freed_slots_are_used_again(void **state) {
	(void)state;
	struct fixture *f = fixture_new(16384, 60 * NS_PER_S, NS_PER_S);
	struct flow_cache_stats stats;

	flow_cache_restart(f->cache, T0);
	for (int round = 0; round < 20; round++) {
		time_ns_t now = T0 + round * 10 * NS_PER_S;
		for (uint32_t id = 0; id < 3000; id++)
			add(f, packet_of(id, now));
		assert_int_equal(age_all(f, now + NS_PER_S), 3000);
	}
	flow_cache_stats(f->cache, &stats);
	assert_int_equal(stats.records[FLOW_END_IDLE], 60000);
	assert_int_equal(stats.records[FLOW_END_RESOURCES], 0);
	assert_true(flow_cache_blocks(f->cache) <= (3000 + 63) / 64 + 1);
	fixture_free(f);
}

static void ageing_goes_round_block_by_block(void **state) {
	(void)state;
	struct fixture *f = fixture_new(1024, 60 * NS_PER_S, NS_PER_S);
	unsigned n = 0;

	flow_cache_restart(f->cache, T0);
	for (uint32_t id = 0; id < 640; id++)
		add(f, packet_of(id, T0));
	flow_cache_advance(f->cache, T0 + NS_PER_S);
	for (int i = 0; i < 10; i++) {
		unsigned evicted = flow_cache_age(f->cache, 1);
		assert_int_equal(evicted, 64);
		n += evicted;
	}
	assert_int_equal(n, 640);
	fixture_free(f);
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(config_out_of_range_is_refused),
		T(memory_stays_below_96_octets_a_flow),
		T(labels_are_kept_where_they_are_wanted),
		T(packets_of_a_key_are_one_record),
		T(keys_that_differ_in_one_field_are_different_flows),
		T(flow_ends_when_idle_for_the_timeout),
		T(gap_of_the_idle_timeout_starts_a_new_record),
		T(running_flow_is_cut_at_the_active_timeout),
		T(idle_flow_leaves_at_the_active_timeout_if_that_is_sooner),
		T(timeouts_of_zero_mean_a_record_a_day),
		T(close_gives_one_record_with_its_late_segments),
		T(reset_flow_ends_soon),
		T(syn_after_fin_starts_a_new_flow),
		T(repeated_syn_belongs_to_its_flow),
		T(full_cache_gives_up_its_longest_idle_flow),
		T(new_flow_is_never_refused),
		T(bucket_of_colliding_keys_gives_up_its_longest_idle_flow),
		T(flow_is_cut_before_its_octets_overflow),
		T(flow_is_cut_before_its_packets_overflow),
		T(late_packet_moves_first_and_not_last),
		T(flow_that_a_late_packet_begins_leaves_with_the_next_ageing),
		T(times_are_exact_across_the_wrap_of_32_bits),
		T(silence_of_years_ends_every_flow_with_its_own_times),
		T(restart_lets_the_clock_go_back),
		T(advance_never_goes_back),
		T(freed_slots_are_used_again),
		T(ageing_goes_round_block_by_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
