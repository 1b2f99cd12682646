// The packet path as compiled for each instruction set, held to the one in plain C: by its
// parts, and by all that a cache says after the same traffic.

#include "flow_cache_fixture.h"
#include "flow_cache_internal.h"
#include "frame_maker.h"
#include "random.h"

#define T0 (1700000000 * NS_PER_S)

enum {
	MOST_FRAMES = 200, // in a burst
	N_HOSTS = 700,
};

// By its name, among those that this machine can run.
static const struct flow_cache_path *path_of(const char *name) {
	static const struct flow_cache_path *const all[] = {
		&flow_cache_path_scalar,
#ifdef __x86_64__
		&flow_cache_path_sse42,
		&flow_cache_path_avx2,
		&flow_cache_path_avx512,
#endif
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	fail();
	return NULL;
}

// Calls `check` with every path but the scalar one, which is the first.
static void for_each_path(void (*check)(const struct flow_cache_path *path)) {
	const char *const *names = flow_cache_paths();

	assert_string_equal(names[0], "scalar");
	print_message("# plain C, and:");
	for (const char *const *name = names + 1; *name != NULL; name++)
		print_message(" %s", *name);
	print_message("\n");
	for (const char *const *name = names + 1; *name != NULL; name++)
		check(path_of(*name));
}

static void check_match(const struct flow_cache_path *path) {
	struct random random = {1};
	alignas(64) struct bucket bucket;
	uint64_t n_wrong = 0, n_matches = 0;

	for (unsigned i = 0; i < TEST_ROUNDS(2000000); i++) {
		// The tag behind the last and the one before the first must not be taken.
		uint16_t tag = i % 16 == 0 ? 0 : (uint16_t)random64(&random);
		uint64_t equal = random64(&random) & random64(&random);
		if (i % 8 == 0) // many equal, or all
			equal |= random64(&random);
		random_fill(&random, &bucket, sizeof(bucket));
		for (unsigned way = 0; way < 32; way++) {
			uint16_t *at = (uint16_t *)(void *)&bucket + way;
			if ((equal >> way & 1) != 0)
				*at = tag;
			else if (random_below(&random, 2) == 0) // one bit off
				*at = (uint16_t)(tag ^ 1u << random_below(&random, 16));
		}
		uint32_t want = 0;
		for (unsigned way = 0; way < BUCKET_WAYS; way++)
			want |= (uint32_t)(bucket.tags[way] == tag) << way;
		n_wrong += path->match(&bucket, tag) != want;
		n_wrong += flow_cache_path_scalar.match(&bucket, tag) != want;
		n_matches += (unsigned)__builtin_popcount(want);
	}
	assert_int_equal(n_wrong, 0);
	assert_true(n_matches > 0);
}

static void every_path_finds_the_same_tags(void **state) {
	(void)state;
	for_each_path(check_match);
}

static void check_key_equal(const struct flow_cache_path *path) {
	struct random random = {2};
	// Loads wider than a key must not let what lies behind it matter.
	struct {
		struct flow_key key;
		uint64_t behind[3];
	} a, b;
	uint64_t n_wrong = 0;

	for (unsigned i = 0; i < TEST_ROUNDS(100000); i++) {
		random_fill(&random, &a, sizeof(a));
		random_fill(&random, &b, sizeof(b));
		b.key = a.key;
		n_wrong += !path->key_equal(&a.key, &b.key);
		for (unsigned bit = 0; bit < 8 * sizeof(a.key); bit++) {
			b.key.words[bit / 64] ^= UINT64_C(1) << bit % 64;
			n_wrong += path->key_equal(&a.key, &b.key);
			n_wrong += flow_cache_path_scalar.key_equal(&a.key, &b.key);
			b.key.words[bit / 64] ^= UINT64_C(1) << bit % 64;
		}
		// Differences that would cancel each other out if words were added or xored.
		unsigned word = random_below(&random, 5), other = random_below(&random, 5);
		uint64_t bits = random64(&random) | 1;
		b.key.words[word] ^= bits;
		b.key.words[other] ^= word == other ? 0 : bits;
		n_wrong += path->key_equal(&a.key, &b.key);
		random_fill(&random, &b.key, sizeof(b.key));
		n_wrong += path->key_equal(&a.key, &b.key);
	}
	assert_int_equal(n_wrong, 0);
}

static void every_path_tells_keys_apart_by_any_bit(void **state) {
	(void)state;
	for_each_path(check_key_equal);
}

// What a run over random traffic leaves.
struct outcome {
	struct fixture *fixture;
	struct meter_counts counts;
	struct flow_cache_stats stats;
};

// A burst of frames, each in a block of exactly its size.
static unsigned
make_burst(struct random *random, enum link_type link, struct frame *frames, time_ns_t *now_ns) {
	unsigned n = 1 + random_below(random, MOST_FRAMES);
	uint8_t octets[MADE_FRAME_MAX];

	for (unsigned i = 0; i < n; i++) {
		uint32_t n_bytes = make_frame(random, link, octets, N_HOSTS);
		uint8_t *copy = malloc(n_bytes > 0 ? n_bytes : 1);
		assert_non_null(copy);
		memcpy(copy, octets, n_bytes);
		if (random_below(random, 3) != 0)
			*now_ns += random_below(random, 20000000);
		bool late = random_below(random, 50) == 0;
		frames[i] = (struct frame){
			.data = copy,
			.captured_bytes = n_bytes,
			.wire_bytes = n_bytes + random_below(random, 2) * 60,
			.time_ns = *now_ns - (late ? random_below(random, 2000) * NS_PER_MS : 0),
		};
		if (random_below(random, 20) == 0)
			frame_set_mark(&frames[i], 1 + random_below(random, FRAME_MARK_COUNT - 1));
	}
	return n;
}

// On the path of that name. With `apart` the frames are parsed by meter_parse() and pushed.
static struct outcome
run(const char *path, enum link_type link, uint64_t seed, unsigned n_bursts, bool apart) {
	struct outcome outcome = {
		.fixture = fixture_new_on(path, 500, 3 * NS_PER_S, 2 * NS_PER_S),
	};
	struct flow_cache *cache = outcome.fixture->cache;
	struct random random = {seed};
	struct frame frames[MOST_FRAMES];
	struct packet packets[MOST_FRAMES];
	const struct meter meter = {.link = link, .in_if = 3};
	time_ns_t now = T0;

	assert_string_equal(flow_cache_path(cache), path);
	flow_cache_restart(cache, now);
	for (unsigned burst = 0; burst < n_bursts; burst++) {
		unsigned n = make_burst(&random, link, frames, &now);
		if (apart) {
			unsigned n_packets = meter_parse(
				&meter, &flow_secret_fixed, frames, n, packets, &outcome.counts
			);
			flow_cache_push(cache, packets, n_packets);
		} else {
			flow_cache_meter(cache, &meter, frames, n, &outcome.counts);
		}
		for (unsigned i = 0; i < n; i++)
			free((void *)(uintptr_t)frames[i].data);
		if (random_below(&random, 8) == 0)
			flow_cache_drain(cache);
		if (random_below(&random, 4) == 0) {
			flow_cache_advance(cache, now);
			flow_cache_age(cache, random_below(&random, 20));
		}
		if (random_below(&random, 500) == 0)
			flow_cache_flush(cache);
	}
	flow_cache_flush(cache);
	flow_cache_stats(cache, &outcome.stats);
	return outcome;
}

static void assert_same_outcome(const struct outcome *got, const struct outcome *want) {
	assert_memory_equal(&got->counts, &want->counts, sizeof(want->counts));
	assert_memory_equal(&got->stats, &want->stats, sizeof(want->stats));
	assert_int_equal(got->fixture->n_records, want->fixture->n_records);
	// In the same order too.
	assert_memory_equal(
		got->fixture->records,
		want->fixture->records,
		want->fixture->n_records * sizeof(want->fixture->records[0])
	);
}

static void compare_paths(enum link_type link, uint64_t seed, unsigned n_bursts) {
	struct outcome want = run("scalar", link, seed, n_bursts, false);

	for (const char *const *path = flow_cache_paths(); *path != NULL; path++) {
		for (unsigned apart = 0; apart < 2; apart++) {
			struct outcome got = run(*path, link, seed, n_bursts, apart == 1);
			assert_same_outcome(&got, &want);
			fixture_free(got.fixture);
		}
	}
	if (link == LINK_ETHERNET) { // or the comparison would say little
		for (unsigned i = FRAME_PLAIN + 1; i < FRAME_MARK_COUNT; i++)
			assert_true(want.counts.marked[i].packets > 0);
		for (unsigned i = PACKET_METERED + 1; i < PACKET_VERDICT_COUNT; i++)
			assert_true(want.counts.unmetered[i].packets > 0);
		for (unsigned end = FLOW_END_IDLE; end < FLOW_END_COUNT; end++)
			assert_true(want.stats.records[end] > 0);
	}
	assert_int_equal(want.stats.packets, meter_counts_metered(&want.counts).packets);
	assert_int_equal(want.stats.octets, want.counts.metered_octets);
	assert_int_equal(want.stats.record_octets, want.counts.metered_octets);
	fixture_free(want.fixture);
}

static void every_path_gives_the_same_records_and_counts(void **state) {
	(void)state;
	compare_paths(LINK_ETHERNET, 3, TEST_ROUNDS(3000));
}

static void every_path_gives_the_same_on_every_link_layer(void **state) {
	(void)state;
	for (enum link_type link = LINK_UNKNOWN; link <= LINK_SLL2; link++)
		if (link != LINK_ETHERNET)
			compare_paths(link, 4, TEST_ROUNDS(200));
}

// A burst cut in two, anywhere, is the same traffic.
static void length_of_bursts_changes_nothing(void **state) {
	struct random random = {5};
	struct fixture *one = fixture_new(500, 10 * NS_PER_S, 3 * NS_PER_S);
	struct fixture *many = fixture_new(500, 10 * NS_PER_S, 3 * NS_PER_S);
	struct packet packets[MOST_FRAMES];
	time_ns_t now = T0;
	(void)state;

	for (unsigned burst = 0; burst < TEST_ROUNDS(5000); burst++) {
		unsigned n = 1 + random_below(&random, MOST_FRAMES);
		for (unsigned i = 0; i < n; i++) {
			packets[i] = packet_of(random_below(&random, 2000), now);
			now += random_below(&random, 2000000);
		}
		for (unsigned i = 0; i < n; i++)
			flow_cache_push(one->cache, &packets[i], 1);
		unsigned cut = random_below(&random, n + 1);
		flow_cache_push(many->cache, packets, cut);
		flow_cache_push(many->cache, packets + cut, n - cut);
	}
	flow_cache_flush(one->cache);
	flow_cache_flush(many->cache);
	assert_int_equal(one->n_records, many->n_records);
	assert_memory_equal(
		one->records, many->records, many->n_records * sizeof(many->records[0])
	);
	fixture_free(one);
	fixture_free(many);
}

// The ageing hand's comparison, around the clock and around the wrap of 16 bits.
static void due_flows_are_those_of_the_scalar_reference(void **state) {
	alignas(16) due_t due[BLOCK_FLOWS];
	struct random random = {5};
	(void)state;

	for (unsigned round = 0; round < TEST_ROUNDS(200000); round++) {
		due_t now = (due_t)random64(&random);
		for (unsigned i = 0; i < BLOCK_FLOWS; i++)
			due[i] = random_below(&random, 2)
					 ? (due_t)random64(&random)
					 : (due_t)(now + random_below(&random, 5) - 2);
		assert_int_equal(
			flow_cache_due_mask(due, now), flow_cache_due_mask_scalar(due, now)
		);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_path_finds_the_same_tags),
		cmocka_unit_test(every_path_tells_keys_apart_by_any_bit),
		cmocka_unit_test(every_path_gives_the_same_records_and_counts),
		cmocka_unit_test(every_path_gives_the_same_on_every_link_layer),
		cmocka_unit_test(length_of_bursts_changes_nothing),
		cmocka_unit_test(due_flows_are_those_of_the_scalar_reference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
