#include "flow_cache.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <rte_common.h>
#include <rte_prefetch.h>

#include "flow_cache_internal.h"

static size_t round_line(size_t bytes) {
	return (bytes + 63) & ~(size_t)63;
}

static uint32_t buckets_for(uint32_t n_flows) {
	// Five slots a bucket of ten ways: at 80 % fill one insert in a thousand finds it full.
	return n_flows / 5 + 1;
}

static uint32_t blocks_for(uint32_t n_flows) {
	return (n_flows + BLOCK_FLOWS - 1) / BLOCK_FLOWS;
}

static bool timeout_in_range(time_ns_t timeout_ns) {
	return timeout_ns >= 0 && timeout_ns <= FLOW_CACHE_LONGEST_TIMEOUT_NS;
}

size_t flow_cache_memory(uint32_t n_flows) {
	if (n_flows < FLOW_CACHE_MIN_FLOWS || n_flows > FLOW_CACHE_MAX_FLOWS)
		return 0;
	return round_line(sizeof(struct flow_cache))
	       + (size_t)buckets_for(n_flows) * sizeof(struct bucket)
	       + (size_t)n_flows * sizeof(struct flow)
	       + round_line((size_t)n_flows * sizeof(struct flow_cold))
	       + round_line((size_t)blocks_for(n_flows) * sizeof(uint32_t));
}

size_t flow_cache_size(const struct flow_cache_config *config) {
	if (!timeout_in_range(config->active_timeout_ns)
	    || !timeout_in_range(config->idle_timeout_ns) || config->on_evict == NULL)
		return 0;
	return flow_cache_memory(config->n_flows);
}

static uint32_t timeout_ticks(time_ns_t timeout_ns) {
	if (timeout_ns == 0)
		timeout_ns = FLOW_CACHE_LONGEST_TIMEOUT_NS;
	// Round up: a flow must not end before its timeout.
	return (uint32_t)((timeout_ns + NS_PER_TICK - 1) / NS_PER_TICK);
}

struct flow_cache *flow_cache_init(void *memory, const struct flow_cache_config *config) {
	if (flow_cache_size(config) == 0 || (uintptr_t)memory % 64 != 0) {
		errno = EINVAL;
		return NULL;
	}

	struct flow_cache *cache = memory;
	uint8_t *at = (uint8_t *)memory + round_line(sizeof(*cache));
	*cache = (struct flow_cache){
		.n_slots = config->n_flows,
		.n_buckets = buckets_for(config->n_flows),
		.active_ticks = timeout_ticks(config->active_timeout_ns),
		.idle_ticks = timeout_ticks(config->idle_timeout_ns),
		.chunk = NO_FLOW,
		.secret = config->secret,
		.on_evict = config->on_evict,
		.arg = config->arg,
	};
	cache->linger_ticks = RTE_MIN(timeout_ticks(FLOW_CACHE_LINGER_NS), cache->idle_ticks);
	cache->evict_age = cache->idle_ticks;
	// Small enough that one batch cannot meet the same flow twice on its way round.
	cache->evict_batch = RTE_MIN(RTE_MAX(cache->n_slots / 512, 1u), 16u);
	cache->buckets = (struct bucket *)(void *)at;
	at += (size_t)cache->n_buckets * sizeof(struct bucket);
	cache->slab = (struct flow *)(void *)at;
	at += (size_t)cache->n_slots * sizeof(struct flow);
	cache->cold = (struct flow_cold *)(void *)at;
	at += round_line((size_t)cache->n_slots * sizeof(struct flow_cold));
	cache->due = (uint32_t *)(void *)at;
	return cache;
}

uint32_t flow_cache_match_scalar(const struct bucket *bucket, uint16_t tag) {
	uint32_t ways = 0;
	for (unsigned way = 0; way < BUCKET_WAYS; way++)
		ways |= (uint32_t)(bucket->tags[way] == tag) << way;
	return ways;
}

// The flow of `key` in `bucket`, or NO_FLOW. The tag picks candidates, the key decides:
// hashes do collide.
static uint32_t find_flow(
	const struct flow_cache *cache,
	const struct bucket *bucket,
	uint16_t tag,
	const struct flow_key *key
) {
	for (uint32_t ways = flow_cache_match(bucket, tag); ways != 0; ways &= ways - 1) {
		uint32_t slot = bucket->flows[__builtin_ctz(ways)];
		if (flow_key_equal(&cache->slab[slot].key, key))
			return slot;
	}
	return NO_FLOW;
}

// Gives up the least recently seen flow of a full bucket and returns its way. One insert in a
// thousand at 80 % fill; under attack, the bound of the work that colliding keys can cause.
[[gnu::noinline, gnu::cold]] static unsigned
clear_way(struct flow_cache *cache, const struct bucket *bucket) {
	uint32_t now = flow_cache_tick(cache->now);
	unsigned oldest = 0;
	int32_t oldest_age = INT32_MIN;

	for (unsigned way = 0; way < BUCKET_WAYS; way++) {
		int32_t age = (int32_t)(now - cache->slab[bucket->flows[way]].last);
		if (age > oldest_age) {
			oldest_age = age;
			oldest = way;
		}
	}

	uint32_t slot = bucket->flows[oldest];
	enum flow_end end = flow_cache_end_at(cache, &cache->slab[slot], now);
	flow_cache_evict(cache, slot, end != FLOW_END_NONE ? end : FLOW_END_RESOURCES);
	return oldest;
}

// Begins the flow of `packet` in `slot`, over whatever was counted there before.
static void
begin_flow(struct flow_cache *cache, uint32_t slot, const struct packet *packet, uint32_t t) {
	struct flow *flow = &cache->slab[slot];
	struct flow_cold *cold = &cache->cold[slot];

	flow->first = t;
	flow->last = t;
	flow->counts = COUNT_PACKET + packet->octets;
	flow->tcp_flags = packet->tcp_flags;
	flow->tos = packet->tos;
	flow->ttl_min = packet->ttl;
	flow->ttl_max = packet->ttl;
	memcpy(cold->src_mac, packet->src_mac, sizeof(cold->src_mac));
	memcpy(cold->dst_mac, packet->dst_mac, sizeof(cold->dst_mac));
	cold->inner_vlan_id = packet->inner_vlan_id;
	cold->in_if = packet->in_if;

	uint32_t idle =
		packet->tcp_flags & (TCP_FIN | TCP_RST) ? cache->linger_ticks : cache->idle_ticks;
	flow_cache_due_by(cache, slot, t + RTE_MIN(idle, cache->active_ticks));
}

[[gnu::noinline]] static void start_flow(
	struct flow_cache *cache,
	uint32_t bucket_index,
	uint16_t tag,
	const struct packet *packet,
	uint32_t t
) {
	// The slot first: making room may empty a way of this very bucket.
	uint32_t slot = flow_cache_take_slot(cache);
	struct bucket *bucket = &cache->buckets[bucket_index];
	uint32_t empty = flow_cache_match(bucket, 0);
	unsigned way =
		likely(empty != 0) ? (unsigned)__builtin_ctz(empty) : clear_way(cache, bucket);

	bucket->tags[way] = tag;
	bucket->flows[way] = slot;
	cache->slab[slot].key = packet->key;
	cache->slab[slot].home = bucket_index * 16 + way;
	begin_flow(cache, slot, packet, t);
	cache->stats.started++;
	cache->stats.flows++;
}

// Stage 3: counts packet `i` of the window.
static inline void count_packet(struct flow_cache *cache, uint32_t i) {
	const struct packet *packet = &cache->window[i];
	uint64_t ticks = ticks_of_ns(packet->time_ns);
	uint32_t t = flow_cache_tick(ticks);
	uint32_t slot = cache->flow_of[i];

	if (ticks > cache->now)
		cache->now = ticks;
	cache->stats.packets++;
	cache->stats.octets += packet->octets;

	// The candidate was found 16 packets ago and may have left, or its slot changed hands.
	if (unlikely(
		    slot == NO_FLOW || cache->slab[slot].home == NO_FLOW
		    || !flow_key_equal(&cache->slab[slot].key, &packet->key)
	    )) {
		uint16_t tag = flow_cache_tag(packet->hash);
		slot = find_flow(cache, &cache->buckets[cache->bucket_of[i]], tag, &packet->key);
		if (slot == NO_FLOW) {
			start_flow(cache, cache->bucket_of[i], tag, packet, t);
			return;
		}
	}

	struct flow *flow = &cache->slab[slot];
	int32_t since_last = (int32_t)(t - flow->last);
	int32_t since_first = (int32_t)(t - flow->first);
	bool finished = (flow->tcp_flags & (TCP_FIN | TCP_RST)) != 0;
	int32_t idle = (int32_t)(finished ? cache->linger_ticks : cache->idle_ticks);

	// Ask the times, not the ager: what is reported must not depend on its pace.
	if (unlikely(
		    since_last >= idle || since_first >= (int32_t)cache->active_ticks
		    || (flow->counts & COUNT_CUT_MASK) != 0
		    || (finished && (packet->tcp_flags & TCP_SYN) != 0)
	    )) {
		enum flow_end end = flow_cache_end_at(cache, flow, t);
		if (end == FLOW_END_NONE) // a counter is full, or the ports are used again
			end = flow->counts & COUNT_CUT_MASK ? FLOW_END_ACTIVE : FLOW_END_DETECTED;
		flow_cache_emit(cache, slot, end);
		begin_flow(cache, slot, packet, t);
		return;
	}

	if (likely(since_last >= 0))
		flow->last = t;
	else if (since_first < 0)
		flow->first = t;
	flow->counts += COUNT_PACKET + packet->octets;
	flow->ttl_min = RTE_MIN(flow->ttl_min, packet->ttl);
	flow->ttl_max = RTE_MAX(flow->ttl_max, packet->ttl);
	flow->tcp_flags |= packet->tcp_flags;
	if (unlikely((packet->tcp_flags & (TCP_FIN | TCP_RST)) != 0))
		flow_cache_due_by(cache, slot, flow->last + cache->linger_ticks);
}

// Stage 2: finds the candidate of packet `i` and asks for its line.
static inline void match_packet(struct flow_cache *cache, uint32_t i) {
	const struct bucket *bucket = &cache->buckets[cache->bucket_of[i]];
	uint32_t ways = flow_cache_match(bucket, flow_cache_tag(cache->window[i].hash));

	if (likely(ways != 0)) {
		uint32_t slot = bucket->flows[__builtin_ctz(ways)];
		cache->flow_of[i] = slot;
		__builtin_prefetch(&cache->slab[slot], 1);
	} else {
		cache->flow_of[i] = NO_FLOW;
	}
}

struct packet *flow_cache_next(struct flow_cache *cache) {
	return &cache->window[cache->n_pushed % PIPELINE_WINDOW];
}

void flow_cache_push(struct flow_cache *cache) {
	// Stage 1: hash, and ask for the bucket.
	uint32_t i = cache->n_pushed++ % PIPELINE_WINDOW;
	struct packet *packet = &cache->window[i];

	packet->hash = flow_key_hash(&packet->key, &cache->secret);
	cache->bucket_of[i] = flow_cache_bucket(cache, packet->hash);
	rte_prefetch0(&cache->buckets[cache->bucket_of[i]]);

	if (likely(cache->n_pushed - cache->n_matched > PIPELINE_DEPTH))
		match_packet(cache, cache->n_matched++ % PIPELINE_WINDOW);
	if (likely(cache->n_matched - cache->n_counted > PIPELINE_DEPTH))
		count_packet(cache, cache->n_counted++ % PIPELINE_WINDOW);
}

void flow_cache_drain(struct flow_cache *cache) {
	while (cache->n_matched != cache->n_pushed)
		match_packet(cache, cache->n_matched++ % PIPELINE_WINDOW);
	while (cache->n_counted != cache->n_pushed)
		count_packet(cache, cache->n_counted++ % PIPELINE_WINDOW);
}

time_ns_t flow_cache_now(const struct flow_cache *cache) {
	return ns_of_ticks(cache->now);
}

void flow_cache_stats(const struct flow_cache *cache, struct flow_cache_stats *stats) {
	*stats = cache->stats;
}
