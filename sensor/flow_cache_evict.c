// What makes room in the flow cache: records, the free list, the evicting and the ageing hand.
// Once a flow rather than once a packet, and the same for every build of the packet path.

#include <string.h>

#include <rte_common.h>
#include <rte_prefetch.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "flow_cache.h"
#include "flow_cache_internal.h"

enum {
	EVICT_LOOKS = 16,    // flows looked at for a victim, at most
	EVICT_PREFETCH = 24, // how far ahead of the hand the slab is asked for
};

enum flow_end
flow_cache_end_at(const struct flow_cache *cache, const struct flow *flow, uint32_t t) {
	bool finished = (flow->tcp_flags & (TCP_FIN | TCP_RST)) != 0;
	uint32_t idle = finished ? cache->linger_ticks : cache->idle_ticks;
	// Both relative to `first`, which is never after `last`.
	uint32_t idle_end = flow->last - flow->first + idle;
	int32_t age = (int32_t)(t - flow->first);

	if (age >= 0 && (uint32_t)age >= RTE_MIN(idle_end, cache->active_ticks)) {
		if (cache->active_ticks < idle_end)
			return FLOW_END_ACTIVE;
		return finished ? FLOW_END_DETECTED : FLOW_END_IDLE;
	}
	return FLOW_END_NONE;
}

void flow_cache_emit(struct flow_cache *cache, uint32_t slot, enum flow_end end) {
	const struct flow *flow = &cache->slab[slot];
	const struct flow_cold *cold = &cache->cold[slot];
	struct flow_record *record = cache->on_evict(cache->arg);

	record->key = flow->key;
	record->first_ticks = flow_cache_full_ticks(cache->now, flow->first);
	record->last_ticks = flow_cache_full_ticks(cache->now, flow->last);
	record->packets = count_packets(flow->counts);
	record->octets = count_octets(flow->counts);
	memcpy(record->src_mac, cold->src_mac, sizeof(record->src_mac));
	memcpy(record->dst_mac, cold->dst_mac, sizeof(record->dst_mac));
	record->inner_vlan_id = cold->inner_vlan_id & VLAN_ID_MASK;
	record->in_if = cold->in_if;
	record->tcp_flags = flow->tcp_flags;
	record->tos = flow->tos;
	record->ttl_min = flow->ttl_min;
	record->ttl_max = flow->ttl_max;
	record->end = (uint8_t)end;
	memset(record->mpls_label, 0, sizeof(record->mpls_label));
	if (unlikely((cold->inner_vlan_id & PACKET_LABELLED) != 0))
		memcpy(record->mpls_label, &cache->labels[slot], sizeof(record->mpls_label));

	cache->stats.records[end]++;
	cache->stats.record_packets += record->packets;
	cache->stats.record_octets += record->octets;
}

void flow_cache_cut(
	struct flow_cache *cache,
	uint32_t slot,
	const struct packet *packet,
	uint32_t t,
	enum flow_end end
) {
	struct bucket *bucket = &cache->buckets[cache->slab[slot].home / 16];

	flow_cache_emit(cache, slot, end);
	seqlock_begin(&bucket->seq);
	flow_cache_begin(cache, slot, packet, t);
	seqlock_end(&bucket->seq);
}

// Takes the flow out of its bucket. Its slot is neither free nor in use then.
static void unlink_flow(struct flow_cache *cache, uint32_t slot) {
	struct flow *flow = &cache->slab[slot];
	struct bucket *bucket = &cache->buckets[flow->home / 16];

	seqlock_begin(&bucket->seq);
	seqlock_put(&bucket->tags[flow->home % 16], 0);
	seqlock_end(&bucket->seq);
	// A packet in the pipeline may have this slot for its candidate: no key equals this.
	seqlock_put(&flow->free_key, 0);
	flow->home = NO_FLOW;
}

// Puts a slot on the free list. When the reserve is full, 11 of its slots are written into
// this one, whose line is at hand anyway, and which heads the list from now on.
static void free_slot(struct flow_cache *cache, uint32_t slot) {
	struct flow *flow = &cache->slab[slot];

	if (likely(cache->n_reserve < RESERVE_SLOTS)) {
		cache->reserve[cache->n_reserve++] = slot;
		return;
	}
	cache->n_reserve -= CHUNK_SLOTS;
	// A reader may be looking at this line yet; what he makes of it he will throw away.
	for (unsigned i = 0; i < CHUNK_SLOTS; i++)
		seqlock_put(&flow->free[i], cache->reserve[cache->n_reserve + i]);
	seqlock_put(&flow->next_chunk, cache->chunk);
	cache->chunk = slot;
}

void flow_cache_evict(struct flow_cache *cache, uint32_t slot, enum flow_end end) {
	flow_cache_emit(cache, slot, end);
	unlink_flow(cache, slot);
	free_slot(cache, slot);
	cache->stats.flows--;
}

// Evicts a flow that must leave before it ends, or just as it has.
static void evict_early(struct flow_cache *cache, uint32_t slot) {
	enum flow_end end =
		flow_cache_end_at(cache, &cache->slab[slot], flow_cache_tick(cache->now));
	flow_cache_evict(cache, slot, end != FLOW_END_NONE ? end : FLOW_END_RESOURCES);
}

// One insert in a thousand at 80 % fill; under attack, the bound of the work that colliding
// keys can cause.
[[gnu::cold]] unsigned flow_cache_clear_way(struct flow_cache *cache, const struct bucket *bucket) {
	uint32_t now = flow_cache_tick(cache->now);
	unsigned oldest = 0;
	int32_t oldest_age = INT32_MIN;

	for (unsigned way = 0; way < BUCKET_WAYS; way++)
		rte_prefetch0(&cache->slab[bucket->flows[way]]);
	for (unsigned way = 0; way < BUCKET_WAYS; way++) {
		int32_t age = (int32_t)(now - cache->slab[bucket->flows[way]].last);
		if (age > oldest_age) {
			oldest_age = age;
			oldest = way;
		}
	}
	evict_early(cache, bucket->flows[oldest]);
	return oldest;
}

// The next flow to give up: the first that is at least `evict_age` old, or the oldest of 16.
// Adds the flows looked at to `looks`.
static uint32_t next_victim(struct flow_cache *cache, unsigned *looks) {
	uint32_t now = flow_cache_tick(cache->now);
	uint32_t victim = NO_FLOW;
	int32_t victim_age = INT32_MIN;

	for (unsigned look = 0; look < EVICT_LOOKS || victim == NO_FLOW; look++) {
		uint32_t slot = cache->evict_slot;
		const struct flow *flow = &cache->slab[slot];

		cache->evict_slot = slot + 1 < cache->n_used ? slot + 1 : 0;
		if (slot + EVICT_PREFETCH < cache->n_used)
			rte_prefetch0(&cache->slab[slot + EVICT_PREFETCH]);
		++*looks;
		if (flow->home == NO_FLOW) // cannot be while all slots are taken, but costs nothing
			continue;

		int32_t age = (int32_t)(now - flow->last);
		if (age > victim_age) {
			victim = slot;
			victim_age = age;
		}
		if (age >= (int32_t)cache->evict_age)
			break;
	}
	return victim;
}

// Chooses the next flows to evict, and asks for what evicting them will touch.
static void choose_victims(struct flow_cache *cache) {
	unsigned looks = 0;
	uint32_t n = cache->evict_batch;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = next_victim(cache, &looks);
		cache->victims[i] = (struct victim){slot, cache->slab[slot].last};
		__builtin_prefetch(&cache->buckets[cache->slab[slot].home / 16], 1);
		rte_prefetch0(&cache->cold[slot]);
	}
	cache->n_victims = n;

	// Steer for three to four looks a victim: fewer, and younger flows than need be are taken;
	// more, and the walk costs too much. Never beyond the idle timeout: those are due anyway.
	if (looks > 4 * n)
		cache->evict_age -= cache->evict_age / 16 + (cache->evict_age > 0);
	else if (looks < 3 * n)
		cache->evict_age =
			RTE_MIN(cache->evict_age + cache->evict_age / 16 + 1, cache->idle_ticks);
}

// Evicts a batch of the flows least recently seen: those that were chosen when the last batch
// left, so that their buckets are at hand by now. One that was seen since, or is gone, is not
// evicted.
[[gnu::noinline]] static void make_room(struct flow_cache *cache) {
	do {
		for (uint32_t i = 0; i < cache->n_victims; i++) {
			const struct victim *victim = &cache->victims[i];
			const struct flow *flow = &cache->slab[victim->slot];
			if (flow->home != NO_FLOW && flow->last == victim->last)
				evict_early(cache, victim->slot);
		}
		choose_victims(cache);
	} while (cache->n_reserve == 0);
}

[[gnu::noinline]] static void fill_reserve(struct flow_cache *cache) {
	if (cache->chunk != NO_FLOW) {
		const struct flow *chunk = &cache->slab[cache->chunk];
		memcpy(cache->reserve, chunk->free, sizeof(chunk->free));
		cache->reserve[CHUNK_SLOTS] = cache->chunk;
		cache->n_reserve = CHUNK_SLOTS + 1;
		cache->chunk = chunk->next_chunk;
		for (unsigned i = 0; i < CHUNK_SLOTS; i++)
			__builtin_prefetch(&cache->slab[cache->reserve[i]], 1);
		return;
	}
	if (cache->n_used < cache->n_slots) {
		uint32_t n = RTE_MIN(cache->n_slots - cache->n_used, 16u);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t slot = cache->n_used + n - 1 - i; // the lowest is taken first
			cache->slab[slot].home = NO_FLOW;
			cache->reserve[i] = slot;
		}
		cache->n_reserve = n;
		cache->n_used += n;
		return;
	}
	make_room(cache);
}

uint32_t flow_cache_take_slot(struct flow_cache *cache) {
	if (unlikely(cache->n_reserve == 0))
		fill_reserve(cache);
	return cache->reserve[--cache->n_reserve];
}

uint64_t flow_cache_due_mask_scalar(const due_t due[BLOCK_FLOWS], due_t now) {
	uint64_t mask = 0;
	for (unsigned i = 0; i < BLOCK_FLOWS; i++)
		mask |= (uint64_t)((int16_t)(due_t)(due[i] - now) <= 0) << i;
	return mask;
}

uint64_t flow_cache_due_mask(const due_t due[BLOCK_FLOWS], due_t now) {
#ifdef __SSE2__
	const __m128i *at = (const __m128i *)(const void *)due;
	__m128i clock = _mm_set1_epi16((short)now);
	uint64_t later = 0;

	for (unsigned i = 0; i < BLOCK_FLOWS / 16; i++) {
		__m128i low = _mm_sub_epi16(_mm_load_si128(at + 2 * i), clock);
		__m128i high = _mm_sub_epi16(_mm_load_si128(at + 2 * i + 1), clock);
		__m128i both = _mm_packs_epi16(
			_mm_cmpgt_epi16(low, _mm_setzero_si128()),
			_mm_cmpgt_epi16(high, _mm_setzero_si128())
		);
		later |= (uint64_t)(uint32_t)_mm_movemask_epi8(both) << 16 * i;
	}
	return ~later;
#else
	return flow_cache_due_mask_scalar(due, now);
#endif
}

// Looks at the flows of a block that are due, evicts those that have ended and puts down when
// the others are to be looked at again. In two rounds, so that what evicting touches is at hand.
[[gnu::noinline]] static unsigned
age_block(struct flow_cache *cache, uint32_t block, uint64_t mask) {
	uint32_t now = flow_cache_tick(cache->now);
	uint32_t begin = block * BLOCK_FLOWS;
	uint32_t due[BLOCK_FLOWS];
	uint8_t reason[BLOCK_FLOWS];
	unsigned n_due = 0;

	for (uint64_t left = mask; left != 0; left &= left - 1)
		rte_prefetch0(&cache->slab[begin + (uint32_t)__builtin_ctzll(left)]);
	for (; mask != 0; mask &= mask - 1) {
		uint32_t slot = begin + (uint32_t)__builtin_ctzll(mask);
		const struct flow *flow = &cache->slab[slot];

		if (flow->home == NO_FLOW) {
			flow_cache_set_due(cache, slot, now + INT32_MAX);
			continue;
		}
		enum flow_end why = flow_cache_end_at(cache, flow, now);
		if (why != FLOW_END_NONE) {
			__builtin_prefetch(&cache->buckets[flow->home / 16], 1);
			rte_prefetch0(&cache->cold[slot]);
			reason[n_due] = (uint8_t)why;
			due[n_due++] = slot;
			continue;
		}
		bool finished = (flow->tcp_flags & (TCP_FIN | TCP_RST)) != 0;
		uint32_t idle = finished ? cache->linger_ticks : cache->idle_ticks;
		int32_t idle_left = (int32_t)(flow->last + idle - now);
		int32_t active_left = (int32_t)(flow->first + cache->active_ticks - now);
		flow_cache_set_due(cache, slot, now + (uint32_t)RTE_MIN(idle_left, active_left));
	}
	for (unsigned i = 0; i < n_due; i++)
		flow_cache_evict(cache, due[i], reason[i]);
	return n_due;
}

uint32_t flow_cache_blocks(const struct flow_cache *cache) {
	return (cache->n_used + BLOCK_FLOWS - 1) / BLOCK_FLOWS;
}

unsigned flow_cache_age(struct flow_cache *cache, uint32_t n_blocks) {
	due_t now = flow_cache_due_now(cache);
	uint32_t n_all = flow_cache_blocks(cache);
	unsigned n = 0;

	for (n_blocks = RTE_MIN(n_blocks, n_all); n_blocks > 0; n_blocks--) {
		if (cache->age_block >= n_all) {
			cache->age_block = 0;
			cache->n_rechecks -= cache->n_rechecks > 0;
		}
		uint32_t block = cache->age_block++;
		uint32_t left = cache->n_used - block * BLOCK_FLOWS;
		uint64_t mask = flow_cache_due_mask(cache->due + (size_t)block * BLOCK_FLOWS, now);
		if (unlikely(cache->n_rechecks > 0))
			mask = UINT64_MAX;
		if (left < BLOCK_FLOWS) // what is behind has never been in use
			mask &= (UINT64_C(1) << left) - 1;
		if (mask != 0)
			n += age_block(cache, block, mask);
	}
	if (n > 0)
		flow_cache_show_stats(cache);
	return n;
}

// Nothing is in use: starts again at the bottom of the slab.
static void start_again(struct flow_cache *cache) {
	cache->stats.flows = 0;
	cache->n_used = 0;
	cache->n_reserve = 0;
	cache->n_victims = 0;
	cache->chunk = NO_FLOW;
	cache->age_block = 0;
	cache->evict_slot = 0;
}

void flow_cache_advance(struct flow_cache *cache, time_ns_t now_ns) {
	uint64_t target = ticks_of_ns(now_ns);
	uint64_t step = ticks_of_ns(FLOW_CACHE_LONGEST_STEP_NS);

	flow_cache_drain(cache);
	// Step by step while there are flows, so that none, and no due time, grows older than its
	// bits can tell; within a day the active timeout has ended every one of them.
	while (target > cache->now && target - cache->now > step && cache->stats.flows > 0) {
		flow_cache_set_now(cache, cache->now + step);
		flow_cache_age(cache, flow_cache_blocks(cache));
	}
	if (target > cache->now) {
		// Due times of an empty cache mean nothing, but they must not seem far away.
		if (cache->stats.flows == 0)
			start_again(cache);
		flow_cache_set_now(cache, target);
	}
}

void flow_cache_flush(struct flow_cache *cache) {
	flow_cache_drain(cache);
	for (uint32_t slot = 0; slot < cache->n_used; slot++) {
		if (cache->slab[slot].home == NO_FLOW)
			continue;
		if (slot + 8 < cache->n_used && cache->slab[slot + 8].home != NO_FLOW)
			__builtin_prefetch(&cache->buckets[cache->slab[slot + 8].home / 16], 1);
		flow_cache_emit(cache, slot, FLOW_END_FORCED);
		unlink_flow(cache, slot);
	}
	start_again(cache);
	flow_cache_show_stats(cache);
}

void flow_cache_restart(struct flow_cache *cache, time_ns_t now_ns) {
	flow_cache_flush(cache);
	flow_cache_set_now(cache, ticks_of_ns(now_ns));
}
