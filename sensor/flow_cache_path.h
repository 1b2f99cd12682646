// The packet path: frame -> packet -> bucket -> flow, in one function, so that nothing is handed
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
	const __mmask16 all = (1u << BUCKET_WAYS) - 1;
	return _mm256_mask_cmpeq_epi16_mask(all, tags, _mm256_set1_epi16((short)tag));
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

// The first of `ways`, 0 where there is none.
static inline uint32_t first_way(uint32_t ways) {
#if defined(FLOW_CACHE_VECTOR) && defined(__BMI__)
	return _tzcnt_u32(ways) & 15; // of 0 it is 32
#else
	return (uint32_t)__builtin_ctz(ways | 1u << 16) & 15;
#endif
}

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
	struct bucket *bucket = item->bucket;
	uint32_t empty = match_tag(bucket, 0);
	unsigned way = likely(empty != 0) ? (unsigned)__builtin_ctz(empty)
					  : flow_cache_clear_way(cache, bucket);
	struct flow *flow = &cache->slab[slot];

	seqlock_begin(&bucket->seq);
	for (unsigned i = 0; i < 5; i++)
		seqlock_put(&flow->key.words[i], packet->key.words[i]);
	flow->home = (uint32_t)(bucket - cache->buckets) * 16 + way;
	flow_cache_begin(cache, slot, packet, t);
	seqlock_put(&bucket->flows[way], slot);
	seqlock_put(&bucket->tags[way], tag);
	seqlock_end(&bucket->seq);
	cache->stats.started++;
	cache->stats.flows++;
}

// Counts the packet to its running flow, which has seen `seen` with it.
static inline void
add_packet(struct flow *flow, const struct packet *packet, uint32_t seen, uint32_t last) {
	uint64_t counts = flow->counts;

	// Relaxed: the puts that follow are released after it, as in seqlock_begin().
	__atomic_store_n(&flow->counts, counts | COUNT_BUSY, __ATOMIC_RELAXED);
	seqlock_put(&flow->last, last);
	seqlock_put(&flow->seen, seen);
	seqlock_put(&flow->counts, counts + count_of(packet->octets));
}

// A packet that is not the plain next one of the candidate.
[[gnu::noinline]] static void
count_rare(struct flow_cache *cache, const struct in_flight *item, uint32_t t) {
	const struct packet *packet = &item->packet;
	struct flow *flow = item->flow;

	// The candidate was found a group ago and may have left, or its slot changed hands.
	if (!key_equal(&flow->key, &packet->key)) {
		uint16_t tag = flow_cache_tag(packet->hash);
		uint32_t found = find_flow(cache, item->bucket, tag, &packet->key);
		if (found == NO_FLOW) {
			start_flow(cache, item, tag, t);
			return;
		}
		flow = &cache->slab[found];
	}

	uint32_t slot = (uint32_t)(flow - cache->slab);
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
		flow_cache_due_by(cache, slot, t + cache->active_ticks);
	}
	uint32_t ttl_min = RTE_MIN(flow->ttl_min, packet->ttl);
	uint32_t ttl_max = RTE_MAX(flow->ttl_max, packet->ttl);
	uint32_t seen = (flow->seen & 0xffff) | packet->tcp_flags | ttl_min << 16 | ttl_max << 24;
	add_packet(flow, packet, seen, since_last >= 0 ? t : flow->last);
	if ((packet->tcp_flags & (TCP_FIN | TCP_RST)) != 0)
		flow_cache_due_by(cache, slot, flow->last + cache->linger_ticks);
}

// Stage 3: counts a packet.
static inline __attribute__((always_inline)) void
count_packet(struct flow_cache *cache, const struct in_flight *item) {
	const struct packet *packet = &item->packet;
	struct flow *flow = item->flow;
	uint64_t ticks = ticks_of_ns(packet->time_ns);
	uint32_t t = flow_cache_tick(ticks);

	if (unlikely(ticks > cache->now))
		flow_cache_set_now(cache, ticks);

	uint32_t seen = flow->seen;
	uint32_t fresh = packet_seen(packet);
	uint32_t with = seen | (fresh & 0xff);
	// What keeps a flow from going on as it is, a branch for each since none is ever taken
	// but for those flows. The linger is the shortest silence that ends a flow, and a late
	// packet's is huge.
	if (likely(key_equal(&flow->key, &packet->key))
	    && likely(t - flow->last < cache->linger_ticks)
	    && likely(t - flow->first < cache->active_ticks)
	    && likely((flow->counts & COUNT_CUT_MASK) == 0)
	    && likely((with & (TCP_FIN | TCP_RST)) == 0)
	    && likely(((seen ^ fresh) & UINT32_C(0xffff0000)) == 0))
		add_packet(flow, packet, with, t);
	else
		count_rare(cache, item, t);
}

// Stage 2: finds the candidate of a packet and asks for its line.
static inline __attribute__((always_inline)) void
match_packet(const struct flow_cache *cache, struct in_flight *item) {
	uint32_t ways = match_tag(item->bucket, flow_cache_tag(item->packet.hash));
	// Without a candidate the flow of way 0 will do, its key will not be equal: no branch
	// here that new flows would have mispredicted.
	uint32_t slot = item->bucket->flows[first_way(ways)];

	item->flow = &cache->slab[slot];
	__builtin_prefetch(item->flow, 1);
}

// The last of stage 1: asks for the bucket of a packet that is parsed and hashed.
static inline __attribute__((always_inline)) void
ask_bucket(const struct flow_cache *cache, struct in_flight *item) {
	item->bucket = &cache->buckets[flow_cache_bucket(cache, item->packet.hash)];
	rte_prefetch0(item->bucket);
}

// Packet `n` of the pipeline, and behind it those of its group that follow.
static inline struct in_flight *in_flight(struct flow_cache *cache, uint64_t n) {
	return &cache->window[n % PIPELINE_WINDOW];
}

// Takes a group of packets, parsed and hashed, into the pipeline, and the two groups before it
// a stage on: what they asked for is at hand.
//
// In groups, since a prefetch that misses the TLB holds up all that follows until the page
// table has been walked: one after the other, with a packet parsed between them, only as many
// walks are under way as packets fit into the reorder buffer, which is two. For the same reason
// a group is no longer than it is: of what it asks for, some would wait.
[[gnu::noinline]] static void step(struct flow_cache *cache) {
	uint64_t n = cache->n_asked;
	struct in_flight *group = in_flight(cache, n);

	for (unsigned i = 0; i < PIPELINE_GROUP; i++)
		ask_bucket(cache, &group[i]);
	cache->n_asked = n + PIPELINE_GROUP;
	if (unlikely(n < PIPELINE_GROUP))
		return;

	group = in_flight(cache, n - PIPELINE_GROUP);
	for (unsigned i = 0; i < PIPELINE_GROUP; i++)
		match_packet(cache, &group[i]);
	cache->n_matched = n;
	if (unlikely(n < 2 * PIPELINE_GROUP))
		return;

	uint64_t octets = 0;
	group = in_flight(cache, n - 2 * PIPELINE_GROUP);
	for (unsigned i = 0; i < PIPELINE_GROUP; i++) {
		count_packet(cache, &group[i]);
		octets += group[i].packet.octets;
	}
	cache->n_counted = n - PIPELINE_GROUP;
	cache->stats.packets += PIPELINE_GROUP;
	cache->stats.octets += octets;
}

static void
meter(struct flow_cache *cache,
      const struct meter *meter,
      const struct frame *frames,
      unsigned n,
      struct meter_counts *counts) {
	uint64_t wire_bytes = 0, octets = 0;
	const struct meter own = *meter; // in registers: no store of the loop is to it
	const struct frame *end = frames + n;
	const struct frame *asked = RTE_MIN(frames + PIPELINE_GROUP, end); // for whose headers
	uint64_t at = cache->n_pushed;
	struct in_flight *item = in_flight(cache, at);

	for (const struct frame *frame = frames; frame < asked; frame++)
		meter_prefetch(frame);
	for (const struct frame *frame = frames, *next = frames; frame < end; frame++) {
		if (unlikely(frame == next)) { // a group begins: ask for the one behind it
			next = asked;
			for (; asked < RTE_MIN(next + PIPELINE_GROUP, end); asked++)
				meter_prefetch(asked);
		}
		wire_bytes += frame->wire_bytes;
		if (unlikely(!meter_frame(&own, &cache->secret, frame, &item->packet, counts)))
			continue;
		octets += item->packet.octets;
		item++;
		if (unlikely(++at % PIPELINE_GROUP == 0)) {
			step(cache);
			item = in_flight(cache, at);
		}
	}
	cache->n_pushed = at;
	counts->received.packets += n;
	counts->received.bytes += wire_bytes;
	counts->metered_octets += octets;
}

static void push(struct flow_cache *cache, const struct packet *packets, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		struct packet *packet = &in_flight(cache, cache->n_pushed)->packet;

		*packet = packets[i];
		packet->ttl_again = packet->ttl;
		packet->hash = flow_key_hash(&packet->key, &cache->secret);
		if (++cache->n_pushed % PIPELINE_GROUP == 0)
			step(cache);
	}
}

static void drain(struct flow_cache *cache) {
	for (; cache->n_asked != cache->n_pushed; cache->n_asked++)
		ask_bucket(cache, in_flight(cache, cache->n_asked));
	for (; cache->n_matched != cache->n_pushed; cache->n_matched++)
		match_packet(cache, in_flight(cache, cache->n_matched));
	for (; cache->n_counted != cache->n_pushed; cache->n_counted++) {
		const struct in_flight *item = in_flight(cache, cache->n_counted);
		count_packet(cache, item);
		cache->stats.packets++;
		cache->stats.octets += item->packet.octets;
	}
	// Groups begin at multiples of their size, and the pipeline is empty again.
	cache->n_pushed = cache->n_asked = cache->n_matched = cache->n_counted = 0;
}

// For the tests, out of line.
static uint32_t match(const struct bucket *bucket, uint16_t tag) {
	return match_tag(bucket, tag);
}

static bool equal(const struct flow_key *a, const struct flow_key *b) {
	return key_equal(a, b);
}

#define FLOW_CACHE_PATH(text)                                                                      \
	{                                                                                          \
		.name = (text), .here = here, .meter = meter, .push = push, .drain = drain,        \
		.match = match, .key_equal = equal,                                                \
	}
