// The layout of the flow cache, shared by its hot path (flow_cache_path.h), by what makes room
// in it (flow_cache_evict.c) and by what others may read of it (flow_cache_read.c). For no one
// else but the tests.
//
//   bucket, one line:  10 tags (hash bits 49-63, 0 = empty) | 10 slab indexes
//   flow, one line:    key 40 | first, last | packets and octets | home | flags, TOS, TTLs
//   cold, 16 octets:   what a record needs besides: written at start, read at eviction
//   labels, 4 octets:  of MPLS, where they are wanted
//   due, 2 octets:     when the ageing hand is to look at the flow again
//
// A packet touches two lines, its bucket and its flow; both are prefetched well before.

#pragma once

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "flow_cache.h"
#include "seqlock.h"

enum {
	BUCKET_WAYS = 10,
	BLOCK_FLOWS = 64,     // flows whose due times are compared at once
	PIPELINE_GROUP = 16,  // packets that take a step together
	PIPELINE_WINDOW = 64, // four groups: two between the stages, one that fills up
	RESERVE_SLOTS = 64,   // free slots at hand
	EVICT_BATCH = 16,     // flows evicted at once, at most
	CHUNK_SLOTS = 11,     // free slots listed in one free slot
};

#define NO_FLOW UINT32_MAX

// A flow's packets and octets in one word: one add counts both, and whoever reads the word
// reads a pair that belongs together. 26 bits of packets, 37 of octets; the flow is cut when
// the top bit of either is set, and no packet (of at most 2^32 + 40 octets) can carry past it.
// Bit 0 says that the flow is being changed: the word is also the number by which readers
// tell whether they read a flow whole (seqlock.h), since every packet changes it. A packet so
// marks no line but the one it counts in; the number of the bucket guards the rest, which only
// changes when a flow starts, is cut or leaves.
#define COUNT_BUSY UINT64_C(1)
#define COUNT_PACKET (UINT64_C(1) << 38)
#define COUNT_CUT_MASK ((UINT64_C(1) << 63) | (UINT64_C(1) << 37))

static inline uint64_t count_of(uint64_t octets) {
	return COUNT_PACKET + (octets << 1);
}

static inline uint64_t count_packets(uint64_t counts) {
	return counts / COUNT_PACKET;
}

static inline uint64_t count_octets(uint64_t counts) {
	return (counts & (COUNT_PACKET - 1)) >> 1;
}

// Due times are kept in 16 bits of 128 ms, so the hand reads two lines for 64 flows and only the
// flows that may have ended. They are rounded down: a flow may be looked at once in vain, but
// leaves as soon as it has ended. They reach 70 min either way; what is due later than half an
// hour from now is looked at then, and again.
#define TICKS_PER_DUE 2048
#define DUE_MOST 14000

typedef uint16_t due_t;

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04

struct bucket {
	uint16_t tags[BUCKET_WAYS];
	uint32_t flows[BUCKET_WAYS];
	uint32_t seq; // odd while the bucket, or what it says of a flow's beginning, changes
};

static_assert(sizeof(struct bucket) == 64, "one line");

struct flow {
	union {
		struct {
			struct flow_key key; // family 0: this slot is free
			uint32_t first;      // ticks, the low 32 bits
			uint32_t last;
			uint64_t counts;
			uint32_t home; // bucket * 16 + way; NO_FLOW = this slot is free
			union {
				struct {
					uint8_t tcp_flags;
					uint8_t tos;
					uint8_t ttl_min;
					uint8_t ttl_max;
				};
				uint32_t seen; // these four
			};
		};
		// A free slot may list others: the free list costs one line for 12 slots.
		struct {
			uint64_t free_key;   // 0 where a key has its family
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
static_assert(
	offsetof(struct flow, tos) == offsetof(struct flow, tcp_flags) + 1
		&& offsetof(struct packet, tos) == offsetof(struct packet, tcp_flags) + 1
		&& offsetof(struct packet, ttl) == offsetof(struct packet, tcp_flags) + 2,
	"add_packet() works on both as words"
);

struct flow_cold {
	union {
		struct {
			uint8_t dst_mac[6];
			uint8_t src_mac[6];
			uint16_t inner_vlan_id;
			uint16_t in_if;
		};
		uint64_t words[2];
	};
};

static_assert(sizeof(struct flow_cold) == 16, "four a line");

// A packet on its way through the pipeline. Two lines, so that no load of a key crosses one.
struct in_flight {
	alignas(64) struct packet packet;
	struct bucket *bucket;
	struct flow *flow; // the candidate
};

static_assert(sizeof(struct in_flight) == 128, "64 of them are 8 KiB of L1");

struct flow_cache {
	// The pipeline: how many packets each stage has done since it was last drained. But for
	// the first they are whole groups.
	uint64_t n_pushed;
	uint64_t n_asked;
	uint64_t n_matched;
	uint64_t n_counted;
	uint32_t n_buckets;
	struct bucket *buckets;
	struct flow *slab;
	struct flow_cold *cold;
	due_t *due;
	uint32_t *labels;    // MPLS label by slot, as on the wire, or NULL
	uint16_t inner_mask; // of inner_vlan_id: what is kept

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
	uint32_t n_rechecks; // it looks at every flow until it has come to the end so many times
	uint32_t evict_slot; // the evicting hand
	uint32_t evict_age;  // it takes what is at least this old, ticks
	uint32_t evict_batch;
	uint32_t n_victims; // chosen, their buckets asked for, to be evicted next
	struct victim {
		uint32_t slot;
		uint32_t last; // when it was chosen
	} victims[EVICT_BATCH];

	const struct flow_cache_path *path;
	flow_evict_fn on_evict;
	void *arg;
	struct flow_cache_stats stats; // the writer's own
	struct flow_secret secret;

	// What other threads see of them, as they were at the end of a call into the cache: lines
	// of their own, so that a reader takes none from the packet path.
	alignas(64) struct flow_cache_stats shown;
	uint32_t shown_seq;

	struct in_flight window[PIPELINE_WINDOW];
};

// The packet path as compiled for one instruction set (flow_cache_path.h).
struct flow_cache_path {
	const char *name;
	bool (*here)(void); // whether this machine can run it
	void (*meter
	)(struct flow_cache *cache,
	  const struct meter *meter,
	  const struct frame *frames,
	  unsigned n,
	  struct meter_counts *counts);
	void (*push)(struct flow_cache *cache, const struct packet *packets, unsigned n);
	void (*drain)(struct flow_cache *cache);

	// What differs between them; for the tests, which hold each to the scalar one.
	uint32_t (*match)(const struct bucket *bucket, uint16_t tag); // ways, one bit each
	bool (*key_equal)(const struct flow_key *a, const struct flow_key *b);
};

extern const struct flow_cache_path flow_cache_path_scalar;
#ifdef __x86_64__
extern const struct flow_cache_path flow_cache_path_sse42;
extern const struct flow_cache_path flow_cache_path_avx2;
extern const struct flow_cache_path flow_cache_path_avx512;
#endif

static inline uint32_t flow_cache_tick(uint64_t ticks) {
	return (uint32_t)ticks;
}

// Readers know it too.
static inline void flow_cache_set_now(struct flow_cache *cache, uint64_t ticks) {
	// Release, with the acquire in flow_cache_read.c: who sees a clock that was set back sees
	// that the flows from before have left.
	__atomic_store_n(&cache->now, ticks, __ATOMIC_RELEASE);
}

// Shows other threads the counts: at the end of every call that may have changed them. Some
// 5 ns, so less than 0.1 ns for each packet of a burst of 64.
void flow_cache_show_stats(struct flow_cache *cache);

// Full ticks of 32 bits that lie within 37 h of `now`.
static inline uint64_t flow_cache_full_ticks(uint64_t now, uint32_t t) {
	return now + (uint64_t)(int64_t)(int32_t)(t - flow_cache_tick(now));
}

static inline uint16_t flow_cache_tag(uint64_t hash) {
	return (uint16_t)(hash >> 48 | 1); // 0 is an empty way
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

// Which of a block's flows are due at `now`, one bit each; and in plain C, for the tests.
uint64_t flow_cache_due_mask(const due_t due[BLOCK_FLOWS], due_t now);
uint64_t flow_cache_due_mask_scalar(const due_t due[BLOCK_FLOWS], due_t now);

// A free slot; evicts if there is none.
uint32_t flow_cache_take_slot(struct flow_cache *cache);

// The clock in dues, rounded down.
static inline due_t flow_cache_due_now(const struct flow_cache *cache) {
	return (due_t)(cache->now / TICKS_PER_DUE);
}

// The flow of `slot` ends at tick `t` if nothing more is seen of it.
static inline void flow_cache_set_due(struct flow_cache *cache, uint32_t slot, uint32_t t) {
	int32_t left = (int32_t)(t - flow_cache_tick(cache->now));
	uint64_t ticks = cache->now + (uint64_t)RTE_MAX(left, 0);

	cache->due[slot] =
		(due_t)RTE_MIN(ticks / TICKS_PER_DUE, cache->now / TICKS_PER_DUE + DUE_MOST);
}

// The flow of `slot` may end at tick `t` already.
static inline void flow_cache_due_by(struct flow_cache *cache, uint32_t slot, uint32_t t) {
	due_t before = cache->due[slot];

	flow_cache_set_due(cache, slot, t);
	if ((int16_t)(before - cache->due[slot]) < 0)
		cache->due[slot] = before;
}

// Makes a record of the flow, which remains, and begins it anew with `packet`.
void flow_cache_cut(
	struct flow_cache *cache,
	uint32_t slot,
	const struct packet *packet,
	uint32_t t,
	enum flow_end end
);

// Empties a way of a full bucket by giving up its least recently seen flow. Returns the way.
unsigned flow_cache_clear_way(struct flow_cache *cache, const struct bucket *bucket);

// TCP flags, TOS, TTL and TTL again: what a flow of this packet alone has seen.
static inline uint32_t packet_seen(const struct packet *packet) {
	uint32_t seen;
	memcpy(&seen, &packet->tcp_flags, sizeof(seen));
	return seen;
}

// Begins the flow of `packet` in `slot`, over whatever was counted there before. Inside
// seqlock_begin() of its bucket.
static inline void
flow_cache_begin(struct flow_cache *cache, uint32_t slot, const struct packet *packet, uint32_t t) {
	struct flow *flow = &cache->slab[slot];
	struct flow_cold cold = {
		.inner_vlan_id = packet->inner_vlan_id & cache->inner_mask,
		.in_if = packet->in_if,
	};

	memcpy(cold.dst_mac, packet->dst_mac, sizeof(cold.dst_mac) + sizeof(cold.src_mac));
	seqlock_put(&cache->cold[slot].words[0], cold.words[0]);
	seqlock_put(&cache->cold[slot].words[1], cold.words[1]);
	if (unlikely((cold.inner_vlan_id & PACKET_LABELLED) != 0)) {
		uint32_t label;
		memcpy(&label, packet->mpls_label, sizeof(label));
		seqlock_put(&cache->labels[slot], label);
	}
	seqlock_put(&flow->first, t);
	seqlock_put(&flow->last, t);
	seqlock_put(&flow->seen, packet_seen(packet));
	seqlock_put(&flow->counts, count_of(packet->octets));

	uint32_t idle =
		packet->tcp_flags & (TCP_FIN | TCP_RST) ? cache->linger_ticks : cache->idle_ticks;
	flow_cache_set_due(cache, slot, t + RTE_MIN(idle, cache->active_ticks));
}
