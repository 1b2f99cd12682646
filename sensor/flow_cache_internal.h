// The layout of the flow cache, shared by its hot path (flow_cache.c) and by what makes room
// in it (flow_cache_evict.c). For no one else.
//
//   bucket, one line:  10 tags (hash bits 48-63, 0 = empty) | 10 slab indexes
//   flow, one line:    key 40 | first, last | packets and octets | home | flags, TOS, TTLs
//   cold, 16 octets:   what a record needs besides: written at start, read at eviction
//   due, 4 octets a block of 64 flows: no flow of the block ends before this tick
//
// A packet touches two lines, its bucket and its flow; both are prefetched well before.

#pragma once

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>

#include "flow_cache.h"

enum {
	BUCKET_WAYS = 10,
	BLOCK_FLOWS = 64,     // flows that share a due time
	PIPELINE_DEPTH = 16,  // packets between two stages: enough to hide a DRAM access
	PIPELINE_WINDOW = 64, // > 2 * PIPELINE_DEPTH, a power of two
	RESERVE_SLOTS = 64,   // free slots at hand
	CHUNK_SLOTS = 13,     // free slots listed in one free slot
};

#define NO_FLOW UINT32_MAX

// A flow's packets and octets in one word: one add counts both, and whoever reads the word
// reads a pair that belongs together. 26 bits of packets, 38 of octets; the flow is cut when
// the top bit of either is set, and no packet (of at most 2^32 + 40 octets) can carry past it.
#define COUNT_PACKET (UINT64_C(1) << 38)
#define COUNT_OCTETS_MASK (COUNT_PACKET - 1)
#define COUNT_CUT_MASK ((UINT64_C(1) << 63) | (UINT64_C(1) << 37))

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04

struct bucket {
	uint16_t tags[BUCKET_WAYS];
	uint32_t flows[BUCKET_WAYS];
	uint32_t reserved; // for the sequence number by which other threads will read
};

static_assert(sizeof(struct bucket) == 64, "one line");

struct flow {
	union {
		struct {
			struct flow_key key;
			uint32_t first; // ticks, the low 32 bits
			uint32_t last;
			uint64_t counts;
			uint32_t home; // bucket * 16 + way; NO_FLOW = this slot is free
			uint8_t tcp_flags;
			uint8_t tos;
			uint8_t ttl_min;
			uint8_t ttl_max;
		};
		// A free slot may list others: the free list costs one line for 14 slots.
		struct {
			uint32_t next_chunk; // NO_FLOW = the last
			uint32_t free[CHUNK_SLOTS];
		};
	};
};

static_assert(sizeof(struct flow) == 64, "one line");
static_assert(
	offsetof(struct flow, home) >= offsetof(struct flow, free) + 4 * CHUNK_SLOTS,
	"a chunk leaves the free mark alone"
);

struct flow_cold {
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	uint16_t inner_vlan_id;
	uint16_t in_if;
};

static_assert(sizeof(struct flow_cold) == 16, "four a line");

struct flow_cache {
	// The pipeline. Free-running counts of packets; differences are right across their wrap.
	uint32_t n_pushed;
	uint32_t n_matched;
	uint32_t n_counted;
	uint32_t n_buckets;
	struct bucket *buckets;
	struct flow *slab;
	struct flow_cold *cold;
	uint32_t *due;

	uint64_t now; // ticks; the low 32 bits are what flow times are compared with
	uint32_t active_ticks;
	uint32_t idle_ticks;
	uint32_t linger_ticks;

	uint32_t n_slots;
	uint32_t n_used; // slots below this have been in use since the last flush
	uint32_t chunk;  // first slot of the free list, NO_FLOW = empty
	uint32_t n_reserve;
	uint32_t reserve[RESERVE_SLOTS];

	uint32_t age_block;  // the ageing hand
	uint32_t evict_slot; // the evicting hand
	uint32_t evict_age;  // it takes what is at least this old, ticks
	uint32_t evict_batch;

	flow_evict_fn on_evict;
	void *arg;
	struct flow_cache_stats stats;
	struct flow_secret secret;

	uint32_t bucket_of[PIPELINE_WINDOW];
	uint32_t flow_of[PIPELINE_WINDOW];
	alignas(64) struct packet window[PIPELINE_WINDOW];
};

static inline uint32_t flow_cache_tick(uint64_t ticks) {
	return (uint32_t)ticks;
}

static inline uint16_t flow_cache_tag(uint64_t hash) {
	uint16_t tag = (uint16_t)(hash >> 48);
	return tag == 0 ? 1 : tag;
}

// Any number of buckets, no division: the low 32 bits scaled (Lemire, 2016, fast alternative
// to modulo). Bits 48-63 are left to the tag, 32-47 to the choice of a worker.
static inline uint32_t flow_cache_bucket(const struct flow_cache *cache, uint64_t hash) {
	return (uint32_t)(((hash & UINT32_MAX) * cache->n_buckets) >> 32);
}

// Whether the flow has ended by tick `t`, and why; what would have ended it first counts.
enum flow_end
flow_cache_end_at(const struct flow_cache *cache, const struct flow *flow, uint32_t t);

// Makes a record of the flow. It stays where it is.
void flow_cache_emit(struct flow_cache *cache, uint32_t slot, enum flow_end end);

// Takes the flow out of its bucket and frees its slot, after making a record of it.
void flow_cache_evict(struct flow_cache *cache, uint32_t slot, enum flow_end end);

// A free slot; evicts if there is none.
uint32_t flow_cache_take_slot(struct flow_cache *cache);

// The flow of `slot` may end at tick `t` already.
static inline void flow_cache_due_by(struct flow_cache *cache, uint32_t slot, uint32_t t) {
	uint32_t *due = &cache->due[slot / BLOCK_FLOWS];
	if ((int32_t)(t - *due) < 0)
		*due = t;
}

// Ways of `bucket` that carry `tag`, one bit each. The scalar form is the reference.
uint32_t flow_cache_match_scalar(const struct bucket *bucket, uint16_t tag);

#ifdef __SSE2__
#include <emmintrin.h>

static inline uint32_t flow_cache_match(const struct bucket *bucket, uint16_t tag) {
	__m128i wanted = _mm_set1_epi16((short)tag);
	__m128i low = _mm_loadu_si128((const __m128i *)(const void *)&bucket->tags[0]);
	__m128i high = _mm_loadu_si128((const __m128i *)(const void *)&bucket->tags[2]);
	uint32_t both = (uint32_t)_mm_movemask_epi8(
		_mm_packs_epi16(_mm_cmpeq_epi16(low, wanted), _mm_cmpeq_epi16(high, wanted))
	);
	return (both & 0xff) | (both >> 8) << 2;
}
#else
static inline uint32_t flow_cache_match(const struct bucket *bucket, uint16_t tag) {
	return flow_cache_match_scalar(bucket, tag);
}
#endif
