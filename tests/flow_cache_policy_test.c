// Which flow leaves when there is no room, told precisely, and the memory that a cache lives in.

#include <sys/mman.h>
#include <unistd.h>

#include "flow_cache_fixture.h"
#include "flow_cache_internal.h"
#include "flow_model.h"
#include "flow_traffic.h"
#include "random.h"

enum {
	LOOKS = 16, // of the evicting hand for one victim, at most
};

// Slots that the hand passed, and what it knew of them then.
static int32_t age_of(const struct flow_cache *cache, uint32_t slot) {
	return (int32_t)(flow_cache_tick(cache->now) - cache->slab[slot].last);
}

// Whether a victim that was chosen with the hand at `from` and `limit` for evict_age is the one
// of the policy: the first that is at least so old, else the oldest of 16.
static bool victim_is_due(const struct flow_cache *cache, uint32_t from, uint32_t limit) {
	uint32_t victim = cache->victims[0].slot;
	uint32_t looks = (cache->evict_slot + cache->n_used - from) % cache->n_used;
	int32_t age = age_of(cache, victim);
	uint32_t slot = from;

	if (looks == 0)
		looks = cache->n_used;
	if (looks > LOOKS)
		return false;
	for (uint32_t look = 0; look < looks; look++, slot = (slot + 1) % cache->n_used) {
		if (slot == victim && age >= (int32_t)limit)
			return look + 1 == looks; // the hand stopped here
		if (age_of(cache, slot) >= (int32_t)limit)
			return false; // this one was old enough and came first
		if (age_of(cache, slot) > age)
			return false;
	}
	return looks == LOOKS;
}

// A cache so small that one victim is chosen at a time, so that each choice can be watched.
static void watch_victims(uint32_t n_flows, enum pick pick) {
	struct fixture *f = fixture_new(n_flows, 60 * NS_PER_S, 15 * NS_PER_S);
	struct flow_cache *cache = f->cache;
	struct flow_traffic traffic;
	unsigned n_chosen = 0, n_wrong = 0, n_left = 0;

	assert_int_equal(cache->evict_batch, 1);
	flow_traffic_init(&traffic, pick, COURSE_STEADY, cache);
	flow_cache_restart(cache, traffic.now_ns);
	for (unsigned i = 0; i < 30000; i++) {
		uint32_t id, from = cache->evict_slot, limit = cache->evict_age;
		struct packet packet = flow_traffic_next(&traffic, &id);
		bool chosen_before = cache->n_victims == 1;
		struct victim victim = cache->victims[0];
		bool waits = chosen_before && cache->slab[victim.slot].home != NO_FLOW
			     && cache->slab[victim.slot].last == victim.last;
		struct flow_key key = cache->slab[victim.slot].key;
		size_t n_records = f->n_records;
		add(f, packet);
		if (cache->evict_slot == from)
			continue;
		n_chosen++;
		// The first time two are chosen, one to leave at once; likewise where the one
		// chosen before was seen since.
		if (!waits)
			continue;
		n_wrong += !victim_is_due(cache, from, limit);
		n_left++;
		// And the one chosen before has left.
		bool gone = false;
		for (size_t r = n_records; r < f->n_records; r++)
			gone |= flow_key_equal(&f->records[r].key, &key);
		n_wrong += !gone;
		assert_true(cache->evict_age <= cache->idle_ticks);
	}
	assert_int_equal(n_wrong, 0);
	assert_true(n_left > 100 && n_left <= n_chosen);
	fixture_free(f);
}

static void victim_is_the_first_old_enough_or_the_oldest_of_sixteen(void **state) {
	(void)state;
	for (enum pick pick = 0; pick < PICK_COUNT; pick++) {
		if (pick == PICK_COLLIDING || pick == PICK_REUSE) // never full
			continue;
		watch_victims(16, pick);
		watch_victims(17, pick);
		watch_victims(300, pick);
	}
}

// A victim is chosen when the one before it leaves. If it is seen in between it is no longer
// the least recently seen.
static void victim_that_is_seen_again_stays(void **state) {
	struct fixture *f = fixture_new(64, 60 * NS_PER_S, 15 * NS_PER_S);
	time_ns_t now = 1700000000 * NS_PER_S;
	(void)state;

	flow_cache_restart(f->cache, now);
	for (uint32_t id = 0; id < 1000; id++) {
		add(f, packet_of(id, now += NS_PER_MS));
		if (f->cache->n_victims == 0)
			continue;
		struct flow *flow = &f->cache->slab[f->cache->victims[0].slot];
		struct packet packet = packet_of(id, now += NS_PER_MS);
		packet.key = flow->key;
		size_t n_records = f->n_records;
		add(f, packet);
		assert_int_equal(f->n_records, n_records);
		add(f, packet_of(100000 + id, now));
		for (; n_records < f->n_records; n_records++)
			assert_memory_not_equal(
				&f->records[n_records].key, &packet.key, sizeof(packet.key)
			);
	}
	assert_true(f->n_records > 1000);
	fixture_free(f);
}

// How many of the flows in the cache were seen less recently than the one that just left, in
// thousandths.
static unsigned rank_of(const struct flow_cache *cache, const struct flow_record *record) {
	uint32_t n = 0, older = 0;
	for (uint32_t slot = 0; slot < cache->n_used; slot++) {
		if (cache->slab[slot].home == NO_FLOW)
			continue;
		n++;
		older += flow_cache_full_ticks(cache->now, cache->slab[slot].last)
			 < record->last_ticks;
	}
	return older * 1000 / n;
}

// Means in thousandths, as bounds for what is printed: of the flows that are older than a victim,
// and of the victims that are younger than half of the flows. Exact LRU has 0 and 0.
static void rank_victims(enum pick pick, unsigned most_mean, unsigned most_share_of_young) {
	struct fixture *f = fixture_new(2000, 0, 0);
	struct flow_traffic traffic;
	unsigned n = 0, n_young = 0;
	uint64_t sum = 0;

	flow_traffic_init(&traffic, pick, COURSE_STEADY, f->cache);
	flow_cache_restart(f->cache, traffic.now_ns);
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t id;
		struct packet packet = flow_traffic_next(&traffic, &id);
		size_t before = f->n_records;
		add(f, packet);
		if (i % 8 != 0 || f->n_records == before || i < 20000)
			continue;
		const struct flow_record *record = &f->records[f->n_records - 1];
		if (record->end != FLOW_END_RESOURCES)
			continue;
		unsigned rank = rank_of(f->cache, record);
		n++;
		sum += rank;
		n_young += rank >= 500;
	}
	assert_true(n > 100);
	print_message(
		"# %s: %u evictions, %.1f %% of the flows are older, %.2f %% of the victims in the "
		"younger half\n",
		pick_names[pick],
		n,
		(double)sum / n / 10,
		100.0 * n_young / n
	);
	assert_true(sum / n <= most_mean);
	assert_true(n_young * 1000 <= n * most_share_of_young);
	fixture_free(f);
}

static void those_evicted_are_among_the_least_recently_seen(void **state) {
	(void)state;
	rank_victims(PICK_ZIPF, 100, 10);
	rank_victims(PICK_CHURN, 120, 10);
	rank_victims(PICK_NEW, 120, 10);
	rank_victims(PICK_ELEPHANTS, 200, 80);
}

// More flows of one bucket than it has ways, in any order: what happens is what happens in a
// cache of ten flows with exact LRU.
static void full_bucket_is_exact_lru(void **state) {
	struct fixture *f = fixture_new(5000, 60 * NS_PER_S, 15 * NS_PER_S), want = {0};
	struct flow_model *model = flow_model_new(&(struct flow_model_config){
		.n_flows = BUCKET_WAYS,
		.active_timeout_ns = 60 * NS_PER_S,
		.idle_timeout_ns = 15 * NS_PER_S,
		.on_record = keep_record,
		.arg = &want,
	});
	struct flow_traffic traffic;
	(void)state;

	flow_traffic_init(&traffic, PICK_COLLIDING, COURSE_STEADY, f->cache);
	flow_cache_restart(f->cache, traffic.now_ns);
	for (unsigned i = 0; i < TEST_ROUNDS(200000); i++) {
		uint32_t id;
		struct packet packet = flow_traffic_next(&traffic, &id);
		// No two in one tick: LRU would have nothing to tell them apart by.
		traffic.now_ns += NS_PER_TICK;
		push(f, &packet);
		flow_model_add(model, &packet);
	}
	flow_cache_drain(f->cache);
	flow_model_age(model, flow_cache_now(f->cache));
	flow_cache_age(f->cache, flow_cache_blocks(f->cache));
	flow_cache_flush(f->cache);
	flow_model_flush(model, flow_cache_now(f->cache));
	assert_same_records(f, &want);
	flow_model_free(model);
	free(want.records);
	fixture_free(f);
}

// No more flows than there is room for, no bucket full: nobody has to leave.
static void nothing_is_evicted_while_there_is_room(void **state) {
	struct flow_cache_stats stats;
	(void)state;

	for (enum pick pick = 0; pick < PICK_COUNT; pick++) {
		if (pick == PICK_COLLIDING)
			continue;
		struct fixture *f = fixture_new(60000, 60 * NS_PER_S, 15 * NS_PER_S);
		struct flow_traffic traffic;
		flow_traffic_init(&traffic, pick, COURSE_STEADY, f->cache);
		flow_cache_restart(f->cache, traffic.now_ns);
		for (unsigned i = 0; i < TEST_ROUNDS(40000); i++) {
			uint32_t id;
			struct packet packet = flow_traffic_next(&traffic, &id);
			push(f, &packet);
			if (i % 1000 == 0)
				age_all(f, traffic.now_ns);
		}
		flow_cache_flush(f->cache);
		flow_cache_stats(f->cache, &stats);
		assert_int_equal(stats.records[FLOW_END_RESOURCES], 0);
		fixture_free(f);
	}
}

// Memory of exactly `bytes` between two pages that may not be touched. It begins or ends at
// one; the rest of the pages it lies in is filled with a pattern.
struct guarded {
	uint8_t *pages;
	size_t n_bytes, mapped_bytes;
	uint8_t *memory;
};

#define PATTERN 0xa5

static struct guarded guarded_new(size_t bytes, bool at_end) {
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t inner = (bytes + page - 1) / page * page;
	struct guarded guarded = {.n_bytes = bytes, .mapped_bytes = inner + 2 * page};

	guarded.pages =
		mmap(NULL,
		     guarded.mapped_bytes,
		     PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS,
		     -1,
		     0);
	assert_true(guarded.pages != MAP_FAILED);
	memset(guarded.pages, PATTERN, guarded.mapped_bytes);
	guarded.memory = guarded.pages + page + (at_end ? inner - bytes : 0);
	memset(guarded.memory, 0, bytes);
	assert_int_equal(mprotect(guarded.pages, page, PROT_NONE), 0);
	assert_int_equal(mprotect(guarded.pages + page + inner, page, PROT_NONE), 0);
	return guarded;
}

static void guarded_free(struct guarded *guarded) {
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const uint8_t *end = guarded->pages + guarded->mapped_bytes - page;

	for (const uint8_t *at = guarded->pages + page; at < guarded->memory; at++)
		assert_int_equal(*at, PATTERN);
	for (const uint8_t *at = guarded->memory + guarded->n_bytes; at < end; at++)
		assert_int_equal(*at, PATTERN);
	munmap(guarded->pages, guarded->mapped_bytes);
}

static void live_in(const struct guarded *guarded, struct flow_cache_config *config) {
	struct flow_cache_stats stats;
	struct flow_record records[FLOW_CACHE_BUCKET_FLOWS];
	struct flow_cache *cache = flow_cache_init(guarded->memory, config);
	struct flow_traffic traffic;
	unsigned n = 3 * config->n_flows + 1000, n_read = 0;

	assert_non_null(cache);
	flow_traffic_init(&traffic, PICK_NEW, COURSE_STEADY, cache);
	flow_cache_restart(cache, traffic.now_ns);
	for (unsigned i = 0; i < n; i++) {
		uint32_t id;
		struct packet packet = flow_traffic_next(&traffic, &id);
		flow_cache_push(cache, &packet, 1);
		if (i % 1000 == 0) {
			flow_cache_advance(cache, traffic.now_ns);
			flow_cache_age(cache, i % 3000 == 0 ? 1 : flow_cache_blocks(cache));
		}
		if (i == n / 2)
			flow_cache_flush(cache);
	}
	flow_cache_drain(cache);
	for (uint32_t bucket = 0; bucket < flow_cache_buckets(cache); bucket++)
		n_read += flow_cache_read(cache, bucket, records);
	flow_cache_stats(cache, &stats);
	assert_int_equal(stats.packets, n);
	assert_int_equal(n_read, stats.flows);
	assert_true(stats.flows <= config->n_flows);
	// Every slot had its turn.
	assert_int_equal(cache->n_used, config->n_flows);
	flow_cache_flush(cache);
	flow_cache_stats(cache, &stats);
	assert_int_equal(stats.record_packets, n);
}

static void memory_beside_the_caches_own_is_never_touched(void **state) {
	static const uint32_t sizes[] = {16, 17, 63, 64, 65, 101, 1000, 1024, 9973, 65537};
	struct flow_record spare;
	(void)state;

	for (const char *const *path = flow_cache_paths(); *path != NULL; path++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct flow_cache_config config = {
				.n_flows = sizes[i],
				.idle_timeout_ns = 200 * NS_PER_S,
				.secret = flow_secret_fixed,
				.on_evict = spare_record,
				.arg = &spare,
				.path = *path,
			};
			// The large ones on one path only: they take their time.
			if (sizes[i] > 5000 && path[1] != NULL)
				continue;
			for (unsigned at_end = 0; at_end < 2; at_end++) {
				struct guarded guarded =
					guarded_new(flow_cache_size(&config), at_end == 1);
				live_in(&guarded, &config);
				guarded_free(&guarded);
			}
		}
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(victim_is_the_first_old_enough_or_the_oldest_of_sixteen),
		cmocka_unit_test(victim_that_is_seen_again_stays),
		cmocka_unit_test(those_evicted_are_among_the_least_recently_seen),
		cmocka_unit_test(full_bucket_is_exact_lru),
		cmocka_unit_test(nothing_is_evicted_while_there_is_room),
		cmocka_unit_test(memory_beside_the_caches_own_is_never_touched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
