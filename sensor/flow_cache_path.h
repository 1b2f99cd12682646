// The packet path: frame -> packet -> bucket -> flow, in one loop, so that nothing is handed
// from call to call. Compiled once for each instruction set, in flow_cache_scalar.c,
// flow_cache_sse42.c, flow_cache_avx2.c and flow_cache_avx512.c; the best that the machine has
// is chosen when a cache is made. The scalar one is the reference that tests hold the others to.
//
// What a hit costs is counted in docs/flow-cache.md. No store of the loop is read again by a
// wider load while it may still be under way.

#include <rte_prefetch.h>

#include "flow_cache_internal.h"
#include "meter.h"

#if defined(FLOW_CACHE_VECTOR)
#include <immintrin.h>
#endif

#if defined(FLOW_CACHE_VECTOR) && defined(__AVX512BW__) && defined(__AVX512VL__)

// Ways of `bucket` that carry `tag`, one bit each.
static inline uint32_t match_tag(const struct bucket *bucket, uint16_t tag) {
	__m256i tags = _mm256_load_si256((const __m256i *)(const void *)bucket);
	uint32_t ways = _mm256_cmpeq_epi16_mask(tags, _mm256_set1_epi16((short)tag));
	return ways & ((1u << BUCKET_WAYS) - 1);
}

#elif defined(FLOW_CACHE_VECTOR) && defined(__SSE4_2__)

static inline uint32_t match_tag(const struct bucket *bucket, uint16_t tag) {
	__m128i wanted = _mm_set1_epi16((short)tag);
	__m128i low = _mm_load_si128((const __m128i *)(const void *)&bucket->tags[0]);
	__m128i high = _mm_loadu_si128((const __m128i *)(const void *)&bucket->tags[2]);
	// Ways 0-7, and 2-9 of which the last two are new.
	uint32_t both = (uint32_t)_mm_movemask_epi8(
		_mm_packs_epi16(_mm_cmpeq_epi16(low, wanted), _mm_cmpeq_epi16(high, wanted))
	);
	return (both & 0xff) | (both >> 14) << 8;
}

#else

static inline uint32_t match_tag(const struct bucket *bucket, uint16_t tag) {
	uint32_t ways = 0;
	for (unsigned way = 0; way < BUCKET_WAYS; way++)
		ways |= (uint32_t)(bucket->tags[way] == tag) << way;
	return ways;
}

#endif

#if defined(FLOW_CACHE_VECTOR) && defined(__AVX512BW__) && defined(__AVX512VL__)

static inline bool key_equal(const struct flow_key *a, const struct flow_key *b) {
	const __mmask8 words = 0x1f;
	return _mm512_mask_cmpneq_epi64_mask(
		       words, _mm512_maskz_loadu_epi64(words, a), _mm512_maskz_loadu_epi64(words, b)
	       )
	       == 0;
}

#elif defined(FLOW_CACHE_VECTOR) && defined(__AVX2__)

static inline bool key_equal(const struct flow_key *a, const struct flow_key *b) {
	__m256i differ = _mm256_xor_si256(
		_mm256_loadu_si256((const __m256i *)(const void *)a),
		_mm256_loadu_si256((const __m256i *)(const void *)b)
	);
	__m256i last =
		_mm256_zextsi128_si256(_mm_cvtsi64_si128((long long)(a->words[4] ^ b->words[4])));
	differ = _mm256_or_si256(differ, last);
	return _mm256_testz_si256(differ, differ);
}

#elif defined(FLOW_CACHE_VECTOR) && defined(__SSE4_2__)

static inline bool key_equal(const struct flow_key *a, const struct flow_key *b) {
	const __m128i *x = (const __m128i *)(const void *)a, *y = (const __m128i *)(const void *)b;
	__m128i differ = _mm_or_si128(
		_mm_xor_si128(_mm_loadu_si128(x), _mm_loadu_si128(y)),
		_mm_xor_si128(_mm_loadu_si128(x + 1), _mm_loadu_si128(y + 1))
	);
	differ = _mm_or_si128(differ, _mm_cvtsi64_si128((long long)(a->words[4] ^ b->words[4])));
	return _mm_testz_si128(differ, differ);
}

#else

static inline bool key_equal(const struct flow_key *a, const struct flow_key *b) {
	return flow_key_equal(a, b);
}

#endif

// The flow of `key` in `bucket`, or NO_FLOW. The tag picks candidates, the key decides:
// hashes do collide.
static uint32_t find_flow(
	const struct flow_cache *cache,
	const struct bucket *bucket,
	uint16_t tag,
	const struct flow_key *key
) {
	for (uint32_t ways = match_tag(bucket, tag); ways != 0; ways &= ways - 1) {
		uint32_t slot = bucket->flows[__builtin_ctz(ways)];
		if (key_equal(&cache->slab[slot].key, key))
			return slot;
	}
	return NO_FLOW;
}

static inline void
start_flow(struct flow_cache *cache, const struct in_flight *item, uint16_t tag, uint32_t t) {
	const struct packet *packet = &item->packet;
	// The slot first: making room may empty a way of this very bucket.
	uint32_t slot = flow_cache_take_slot(cache);
	struct bucket *bucket = &cache->buckets[item->bucket];
	uint32_t empty = match_tag(bucket, 0);
	unsigned way = likely(empty != 0) ? (unsigned)__builtin_ctz(empty)
					  : flow_cache_clear_way(cache, bucket);
	struct flow *flow = &cache->slab[slot];

	seqlock_begin(&bucket->seq);
	for (unsigned i = 0; i < 5; i++)
		seqlock_put(&flow->key.words[i], packet->key.words[i]);
	flow->home = item->bucket * 16 + way;
	flow_cache_begin(cache, slot, packet, t);
	seqlock_put(&bucket->flows[way], slot);
	seqlock_put(&bucket->tags[way], tag);
	seqlock_end(&bucket->seq);
	cache->stats.started++;
	cache->stats.flows++;
}

// Counts the packet to its running flow.
static inline void add_packet(struct flow *flow, const struct packet *packet, uint32_t t) {
	uint64_t counts = flow->counts;
	uint32_t seen = flow->seen;
	uint32_t ttl_min = RTE_MIN(seen >> 16 & 0xff, packet->ttl);
	uint32_t ttl_max = RTE_MAX(seen >> 24, packet->ttl);

	seen = (seen & 0xffff) | packet->tcp_flags | ttl_min << 16 | ttl_max << 24;
	// Relaxed: the puts that follow are released after it, as in seqlock_begin().
	__atomic_store_n(&flow->counts, counts | COUNT_BUSY, __ATOMIC_RELAXED);
	seqlock_put(&flow->last, t);
	seqlock_put(&flow->seen, seen);
	seqlock_put(&flow->counts, counts + count_of(packet->octets));
}

// A packet that is not the plain next one of the candidate.
[[gnu::noinline]] static void
count_rare(struct flow_cache *cache, const struct in_flight *item, uint32_t t) {
	const struct packet *packet = &item->packet;
	uint32_t slot = item->slot;

	// The candidate was found 16 packets ago and may have left, or its slot changed hands.
	if (!key_equal(&cache->slab[slot].key, &packet->key)) {
		uint16_t tag = flow_cache_tag(packet->hash);
		slot = find_flow(cache, &cache->buckets[item->bucket], tag, &packet->key);
		if (slot == NO_FLOW) {
			start_flow(cache, item, tag, t);
			return;
		}
	}

	struct flow *flow = &cache->slab[slot];
	int32_t since_last = (int32_t)(t - flow->last);
	int32_t since_first = (int32_t)(t - flow->first);
	bool finished = (flow->tcp_flags & (TCP_FIN | TCP_RST)) != 0;
	int32_t idle = (int32_t)(finished ? cache->linger_ticks : cache->idle_ticks);

	// Ask the times, not the ager: what is reported must not depend on its pace.
	if (since_last >= idle || since_first >= (int32_t)cache->active_ticks
	    || (flow->counts & COUNT_CUT_MASK) != 0
	    || (finished && (packet->tcp_flags & TCP_SYN) != 0)) {
		enum flow_end end = flow_cache_end_at(cache, flow, t);
		if (end == FLOW_END_NONE) // a counter is full, or the ports are used again
			end = flow->counts & COUNT_CUT_MASK ? FLOW_END_ACTIVE : FLOW_END_DETECTED;
		flow_cache_cut(cache, slot, packet, t, end);
		return;
	}

	if (since_first < 0) {
		struct bucket *bucket = &cache->buckets[flow->home / 16];
		seqlock_begin(&bucket->seq);
		seqlock_put(&flow->first, t);
		seqlock_end(&bucket->seq);
	}
	add_packet(flow, packet, since_last >= 0 ? t : flow->last);
	if ((packet->tcp_flags & (TCP_FIN | TCP_RST)) != 0)
		flow_cache_due_by(cache, slot, flow->last + cache->linger_ticks);
}

// Stage 3: counts a packet.
static inline __attribute__((always_inline)) void
count_packet(struct flow_cache *cache, const struct in_flight *item) {
	const struct packet *packet = &item->packet;
	struct flow *flow = &cache->slab[item->slot];
	uint64_t ticks = ticks_of_ns(packet->time_ns);
	uint32_t t = flow_cache_tick(ticks);

	if (unlikely(ticks > cache->now))
		flow_cache_set_now(cache, ticks);
	cache->stats.packets++;
	cache->stats.octets += packet->octets;

	if (unlikely(!key_equal(&flow->key, &packet->key))) {
		count_rare(cache, item, t);
		return;
	}
	// One branch for all that keeps a flow from going on as it is. The linger is the
	// shortest silence that ends a flow, and a late packet's is huge.
	bool plain = (uint32_t)(t - flow->last) < cache->linger_ticks;
	plain &= (uint32_t)(t - flow->first) < cache->active_ticks;
	plain &= (flow->counts & COUNT_CUT_MASK) == 0;
	plain &= ((flow->tcp_flags | packet->tcp_flags) & (TCP_FIN | TCP_RST)) == 0;
	if (unlikely(!plain)) {
		count_rare(cache, item, t);
		return;
	}
	add_packet(flow, packet, t);
}

// Stage 2: finds the candidate of a packet and asks for its line.
static inline __attribute__((always_inline)) void
match_packet(const struct flow_cache *cache, struct in_flight *item) {
	const struct bucket *bucket = &cache->buckets[item->bucket];
	uint32_t ways = match_tag(bucket, flow_cache_tag(item->packet.hash));
	// Without a candidate any flow will do, its key will not be equal: no branch here that
	// new flows would have mispredicted. (Behind flows[9] stands seq.)
	uint32_t slot = bucket->flows[__builtin_ctz(ways | 1u << BUCKET_WAYS)];

	slot = ways != 0 ? slot : 0;
	item->slot = slot;
	__builtin_prefetch(&cache->slab[slot], 1);
}

// Stage 1: hashes a packet and asks for its bucket.
static inline __attribute__((always_inline)) void
hash_packet(const struct flow_cache *cache, struct in_flight *item) {
	item->packet.hash = flow_key_hash(&item->packet.key, &cache->secret);
	item->bucket = flow_cache_bucket(cache, item->packet.hash);
	rte_prefetch0(&cache->buckets[item->bucket]);
}

// The pipeline's counts, held in registers for a burst.
struct cursor {
	uint32_t pushed;
	uint32_t matched;
	uint32_t counted;
};

static inline struct cursor cursor_of(const struct flow_cache *cache) {
	return (struct cursor){cache->n_pushed, cache->n_matched, cache->n_counted};
}

static inline void keep_cursor(struct flow_cache *cache, struct cursor at) {
	cache->n_pushed = at.pushed;
	cache->n_matched = at.matched;
	cache->n_counted = at.counted;
}

// Takes the item that was filled last into the pipeline, and the others a step on.
static inline __attribute__((always_inline)) void
step(struct flow_cache *cache, struct cursor *at) {
	hash_packet(cache, &cache->window[at->pushed++ % PIPELINE_WINDOW]);
	if (likely(at->pushed - at->matched > PIPELINE_DEPTH))
		match_packet(cache, &cache->window[at->matched++ % PIPELINE_WINDOW]);
	if (likely(at->matched - at->counted > PIPELINE_DEPTH))
		count_packet(cache, &cache->window[at->counted++ % PIPELINE_WINDOW]);
}

static void
meter(struct flow_cache *cache,
      const struct meter *meter,
      const struct frame *frames,
      unsigned n,
      struct meter_counts *counts) {
	struct cursor at = cursor_of(cache);
	uint64_t wire_bytes = 0, octets = 0;

	for (unsigned i = 0; i < RTE_MIN(n, METER_PREFETCH_FRAMES + 0u); i++)
		meter_prefetch(&frames[i]);
	for (unsigned i = 0; i < n; i++) {
		struct packet *packet = &cache->window[at.pushed % PIPELINE_WINDOW].packet;

		meter_prefetch(&frames[RTE_MIN(i + METER_PREFETCH_FRAMES, n - 1)]);
		wire_bytes += frames[i].wire_bytes;
		if (unlikely(!meter_frame(meter, &frames[i], packet, counts)))
			continue;
		octets += packet->octets;
		step(cache, &at);
	}
	keep_cursor(cache, at);
	counts->received.packets += n;
	counts->received.bytes += wire_bytes;
	counts->metered_octets += octets;
}

static void push(struct flow_cache *cache, const struct packet *packets, unsigned n) {
	struct cursor at = cursor_of(cache);

	for (unsigned i = 0; i < n; i++) {
		cache->window[at.pushed % PIPELINE_WINDOW].packet = packets[i];
		step(cache, &at);
	}
	keep_cursor(cache, at);
}

static void drain(struct flow_cache *cache) {
	struct cursor at = cursor_of(cache);

	while (at.matched != at.pushed)
		match_packet(cache, &cache->window[at.matched++ % PIPELINE_WINDOW]);
	while (at.counted != at.pushed)
		count_packet(cache, &cache->window[at.counted++ % PIPELINE_WINDOW]);
	keep_cursor(cache, at);
}

// For the tests, out of line.
static uint32_t match(const struct bucket *bucket, uint16_t tag) {
	return match_tag(bucket, tag);
}

static bool equal(const struct flow_key *a, const struct flow_key *b) {
	return key_equal(a, b);
}
