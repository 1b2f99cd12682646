// What other threads see of a flow cache whose writer never waits for them. Everything about a
// flow follows from its number, so that a record put together from two flows, or from two
// moments of one, cannot hold.

#include <pthread.h>
#include <stdatomic.h>

#include "flow_cache_fixture.h"
#include "flow_cache_internal.h"
#include "random.h"

enum {
	N_READERS = 2,
	N_SLOTS = 1000,
	N_IDS = 4096,
	BURST = 64,
	ROUND_IDS = 64, // a flow is seen at ticks that leave the rest that its number leaves
	OCTETS = 1000,  // of two packets that follow each other, on average
	ACTIVE_MS = 50,
	IDLE_MS = 15,
};

// The clock is set from the one of these epochs to the other and back. Flows of the one are
// not flows of the other.
#define EPOCH_TICKS(epoch) (ticks_of_ns(1700000000 * NS_PER_S) * ((epoch) + 1) / 2)
#define EPOCH_LENGTH_TICKS (UINT64_C(3600) * TICKS_PER_S)

struct shared {
	struct flow_cache *cache;
	atomic_bool done;
	atomic_uint epoch; // the one under way, or to come
};

struct reader {
	struct shared *shared;
	pthread_t thread;
	uint64_t n_records;
	uint64_t n_found;
	uint64_t n_stats;
	uint64_t n_wrong;
	struct flow_record wrong;
};

// Of even numbers as much above the mean as of the odd number that follows below.
static uint64_t octets_of_flow(uint32_t id) {
	uint32_t off = (id / 2) % 400;
	return id % 2 == 0 ? OCTETS + off : OCTETS - off;
}

static uint64_t scramble(uint32_t id) {
	return (id + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct packet packet_of_flow(uint32_t id, unsigned epoch, uint64_t ticks) {
	uint64_t bits = scramble(id);
	struct packet packet = {
		.time_ns = ns_of_ticks(ticks),
		.octets = octets_of_flow(id),
		.tcp_flags = (uint8_t)(bits >> 8 & 0xf8), // neither FIN, SYN nor RST
		.tos = (uint8_t)(bits >> 16),
		.ttl = (uint8_t)(bits >> 24),
		.inner_vlan_id = (uint16_t)(bits >> 32 & 0xfff),
		.in_if = (uint16_t)(1 + id),
	};
	packet.key.words[0] = id | (uint64_t)6 << 32 | (uint64_t)FLOW_IPV6 << 40;
	packet.key.vlan_id = (uint16_t)epoch;
	for (unsigned i = 1; i < 5; i++)
		packet.key.words[i] = bits * (2 * i + 1);
	memcpy(packet.src_mac, &bits, 6);
	memcpy(packet.dst_mac, (uint8_t *)&bits + 2, 6);
	return packet;
}

// Whether the record can be one of the flow that it says.
static bool record_holds(const struct flow_record *record) {
	uint32_t id = (uint32_t)record->key.words[0];
	unsigned epoch = record->key.vlan_id;
	if (id >= N_IDS || epoch > 1)
		return false;

	struct packet packet = packet_of_flow(id, epoch, 0);
	uint64_t lasted = record->last_ticks - record->first_ticks;
	bool holds = memcmp(&record->key, &packet.key, sizeof(packet.key)) == 0;
	holds &= record->octets == record->packets * packet.octets && record->packets > 0;
	holds &= record->first_ticks >= EPOCH_TICKS(epoch);
	holds &= record->last_ticks < EPOCH_TICKS(epoch) + EPOCH_LENGTH_TICKS;
	holds &= record->first_ticks % ROUND_IDS == id % ROUND_IDS;
	holds &= lasted < ACTIVE_MS * TICKS_PER_MS && lasted % ROUND_IDS == 0;
	// No two packets of a flow come in one tick.
	holds &= record->packets <= lasted / ROUND_IDS + 1;
	holds &= (record->packets == 1) == (lasted == 0);
	holds &= memcmp(record->src_mac, packet.src_mac, 6) == 0;
	holds &= memcmp(record->dst_mac, packet.dst_mac, 6) == 0;
	holds &= record->inner_vlan_id == packet.inner_vlan_id && record->in_if == packet.in_if;
	holds &= record->tcp_flags == packet.tcp_flags && record->tos == packet.tos;
	holds &= record->ttl_min == packet.ttl && record->ttl_max == packet.ttl;
	return holds && record->end == FLOW_END_NONE;
}

static void check_record(struct reader *reader, const struct flow_record *record, bool right) {
	if (right && record_holds(record))
		return;
	reader->wrong = *record;
	reader->n_wrong++;
}

// All of one moment: every flow that is cached has its packets, and those that are not have
// left as records.
static bool stats_hold(const struct flow_cache_stats *now, const struct flow_cache_stats *before) {
	uint64_t records = 0;
	bool holds = true;

	for (unsigned end = 0; end < FLOW_END_COUNT; end++) {
		records += now->records[end];
		holds &= now->records[end] >= before->records[end];
	}
	holds &= now->packets >= before->packets && now->octets >= before->octets;
	holds &= now->started >= before->started;
	holds &= now->record_packets >= before->record_packets;
	holds &= now->record_octets >= before->record_octets;
	holds &= now->octets == now->packets * OCTETS;
	holds &= now->flows <= N_SLOTS && now->started >= now->flows;
	holds &= now->packets >= now->record_packets + now->flows;
	holds &= now->record_packets >= records;
	holds &= records >= now->started - now->flows;
	// Only a cut makes a record of a flow that stays.
	holds &= records - (now->started - now->flows)
		 <= now->records[FLOW_END_ACTIVE] + now->records[FLOW_END_IDLE];
	return holds;
}

static void *read_all(void *arg) {
	struct reader *reader = arg;
	const struct flow_cache *cache = reader->shared->cache;
	struct flow_record records[FLOW_CACHE_BUCKET_FLOWS], found;
	struct flow_cache_stats stats, before = {0};
	uint32_t n_buckets = flow_cache_buckets(cache);
	struct random random = {(uintptr_t)reader};

	// Acquire, with the release in write_all(): nothing hangs on it but the end.
	while (!atomic_load_explicit(&reader->shared->done, memory_order_acquire)) {
		uint32_t bucket = random_below(&random, n_buckets);
		unsigned n = flow_cache_read(cache, bucket, records);
		for (unsigned i = 0; i < n; i++) {
			uint64_t hash = flow_key_hash(&records[i].key, &flow_secret_fixed);
			check_record(reader, &records[i], flow_cache_bucket(cache, hash) == bucket);
			for (unsigned j = 0; j < i; j++)
				reader->n_wrong += flow_key_equal(&records[i].key, &records[j].key);
		}
		reader->n_records += n;

		unsigned epoch = atomic_load(&reader->shared->epoch);
		uint32_t id = random_below(&random, N_IDS);
		struct flow_key key = packet_of_flow(id, epoch, 0).key;
		if (flow_cache_find(cache, &key, &found)) {
			check_record(reader, &found, flow_key_equal(&found.key, &key));
			reader->n_found++;
		}

		flow_cache_stats(cache, &stats);
		if (!stats_hold(&stats, &before))
			reader->n_wrong++;
		reader->n_stats += stats.packets != before.packets;
		before = stats;
	}
	return NULL;
}

// Bursts of two halves: a few flows that are hit all the time and cut by the active timeout;
// and many that start, go idle and are pushed out.
static void write_all(struct shared *shared, uint64_t n_bursts, uint32_t n_ids, uint64_t age_each) {
	struct packet packets[BURST];
	struct random random = {7};
	unsigned epoch = 0;
	uint64_t t = EPOCH_TICKS(0);

	flow_cache_restart(shared->cache, ns_of_ticks(t));
	for (uint64_t burst = 0; burst < n_bursts; burst++) {
		for (unsigned i = 0; i < BURST; i += 2, t += 2) {
			uint32_t n = random_below(&random, 2) ? 2 * ROUND_IDS : n_ids;
			uint32_t id = random_below(&random, n / ROUND_IDS) * ROUND_IDS;
			id += (uint32_t)(t % ROUND_IDS);
			packets[i] = packet_of_flow(id, epoch, t);
			packets[i + 1] = packet_of_flow(id + 1, epoch, t + 1);
		}
		flow_cache_push(shared->cache, packets, BURST);
		if (burst % age_each == 0) {
			t += 2 * (t % 97);
			flow_cache_advance(shared->cache, ns_of_ticks(t));
			flow_cache_age(shared->cache, 5);
		}
		if (burst % 1000 == 999)
			flow_cache_flush(shared->cache);
		if (burst % 5000 == 4999) {
			epoch = 1 - epoch;
			t = EPOCH_TICKS(epoch) + burst % 100 * ROUND_IDS;
			atomic_store(&shared->epoch, epoch);
			flow_cache_restart(shared->cache, ns_of_ticks(t));
		}
	}
	atomic_store_explicit(&shared->done, true, memory_order_release);
}

static void read_while_writing(const char *path, uint32_t n_ids, uint64_t n_bursts) {
	struct flow_record spare;
	struct flow_cache_config config = {
		.n_flows = N_SLOTS,
		.active_timeout_ns = ACTIVE_MS * NS_PER_MS,
		.idle_timeout_ns = IDLE_MS * NS_PER_MS,
		.secret = flow_secret_fixed,
		.on_evict = spare_record,
		.arg = &spare,
		.path = path,
	};
	void *memory = zeroed_memory(flow_cache_size(&config));
	struct shared shared = {.cache = flow_cache_init(memory, &config)};
	struct reader readers[N_READERS] = {0};

	assert_non_null(shared.cache);
	for (unsigned i = 0; i < N_READERS; i++) {
		readers[i].shared = &shared;
		assert_int_equal(
			pthread_create(&readers[i].thread, NULL, read_all, &readers[i]), 0
		);
	}
	write_all(&shared, n_bursts, n_ids, 20);
	flow_cache_drain(shared.cache);

	struct flow_cache_stats stats;
	flow_cache_stats(shared.cache, &stats);
	for (unsigned i = 0; i < N_READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		print_message(
			"# %s reader %u: %lu records, %lu found, %lu times new counts\n",
			flow_cache_path(shared.cache),
			i,
			(unsigned long)readers[i].n_records,
			(unsigned long)readers[i].n_found,
			(unsigned long)readers[i].n_stats
		);
		assert_int_equal(readers[i].n_wrong, 0);
		assert_true(readers[i].n_records > 0);
		assert_true(readers[i].n_found > 0);
		assert_true(readers[i].n_stats > 0);
	}
	assert_int_equal(stats.packets, n_bursts * BURST);
	// All that a writer does was done.
	assert_true(stats.records[FLOW_END_ACTIVE] > 0);
	assert_true(stats.records[FLOW_END_IDLE] > 0);
	assert_true(stats.records[FLOW_END_FORCED] > 0);
	if (n_ids > N_SLOTS)
		assert_true(stats.records[FLOW_END_RESOURCES] > 0);
	free(memory);
}

static void no_record_is_torn_while_flows_are_pushed_out(void **state) {
	(void)state;
	for (const char *const *path = flow_cache_paths(); *path != NULL; path++)
		read_while_writing(*path, N_IDS, TEST_ROUNDS(25000));
}

static void no_record_is_torn_while_flows_are_hit_and_cut(void **state) {
	(void)state;
	read_while_writing(NULL, 4 * ROUND_IDS, TEST_ROUNDS(100000));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_record_is_torn_while_flows_are_pushed_out),
		cmocka_unit_test(no_record_is_torn_while_flows_are_hit_and_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
