// Flow cache: maps a flow key to its running flow, as a router's route cache maps a
// destination to its next hop. Fixed memory, handed in by the caller. A packet finds its
// flow or starts one; when there is no room the least recently seen flow leaves, never the
// new one. What leaves becomes a flow record: nothing that was counted is forgotten.
//
// Packets pass through a rolling pipeline in groups of 16: while one group is parsed and its
// buckets are prefetched, the one before it is matched and its flows are prefetched, and the one
// before that is counted. So a packet is counted up to 48 packets after it was handed in;
// flow_cache_drain() waits for none. Order and results are those of counting each at once.
//
// Threads: one writer, the worker that owns the cache. Any other may call the functions under
// "readers" at the bottom at any time; the writer never waits for them and does not know them.
// Time: only packet times and `now_ns` arguments, never a clock, so replays repeat. The cache's
// clock never goes back but by flow_cache_restart(). Packet times may lie up to half an
// hour ahead of it, or behind it as far as they like that the caller calls late rather than
// restarts.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "flow_key.h"
#include "flow_record.h"
#include "frame.h"
#include "meter.h"
#include "packet.h"

struct flow_cache;

// Says where the next record that leaves the cache is to be written, on the writer's thread:
// 96 octets, all of which are. The record is whole when the function is called again or the
// call into the cache returns, whichever is first.
typedef struct flow_record *(*flow_evict_fn)(void *arg);

// Flow times are kept in 32 bits of 1/16 ms. So no flow may run for longer than this without
// a record, and no timeout may be longer; "never" means this.
#define FLOW_CACHE_LONGEST_TIMEOUT_NS (24 * 3600 * NS_PER_S)

// How far packet times may run ahead of the cache's clock before flow_cache_advance().
#define FLOW_CACHE_LONGEST_STEP_NS (1800 * NS_PER_S)

// A TCP flow that has seen FIN or RST ends after this silence, not at once: the peer's FIN is
// still to be acknowledged, and a retransmitted segment must not start a flow of its own.
#define FLOW_CACHE_LINGER_NS (5 * NS_PER_S)

#define FLOW_CACHE_MIN_FLOWS 16
#define FLOW_CACHE_MAX_FLOWS (UINT32_C(1) << 30)

struct flow_cache_config {
	uint32_t n_flows;            // flows held at once, within the limits above
	time_ns_t active_timeout_ns; // a running flow is reported this often; 0 = never (24 h)
	time_ns_t idle_timeout_ns;   // a gap this long between packets ends it; 0 = never (24 h)
	struct flow_secret secret;   // of the hash
	flow_evict_fn on_evict;
	void *arg;        // passed to on_evict
	bool mpls_labels; // keep them, which takes 4 octets a flow more
	const char *path; // of flow_cache_paths(); NULL = the fastest that this machine can run
};

struct flow_cache_stats {
	uint64_t packets; // counted, each to one flow
	uint64_t octets;  // of IP
	uint64_t flows;   // in the cache now
	uint64_t started; // flows that took a slot
	uint64_t records[FLOW_END_COUNT];
	uint64_t record_packets; // packets and octets in those records:
	uint64_t record_octets;  // packets = record_packets + those of the flows still cached
};

// Octets of memory that flow_cache_init() needs, about 95 a flow, 99 with labels; 0 where `config`
// is out of range.
size_t flow_cache_size(const struct flow_cache_config *config);

// The same for a number of flows alone; 0 where that is out of range.
size_t flow_cache_memory(uint32_t n_flows);

// Makes a cache of flow_cache_size() octets of zeroed memory at `memory`, which must be
// aligned to 64. The memory remains the caller's and is the cache until he frees it. NULL
// with errno EINVAL where `config` is out of range.
[[nodiscard]] struct flow_cache *
flow_cache_init(void *memory, const struct flow_cache_config *config);

// Other timeouts, within the limits of the config, for running flows too: those that have ended by
// them leave within two rounds of flow_cache_age(). Drains. Returns 0, or -EINVAL beyond the
// limits.
[[nodiscard]] int flow_cache_set_timeouts(
	struct flow_cache *cache, time_ns_t active_timeout_ns, time_ns_t idle_timeout_ns
);

// Parses `n` frames and takes those with an IP header into the pipeline; adds what became of
// them to `counts`. Hot path: no allocation, no system call, no lock, no log, no atomic
// read-modify-write; the work for a frame is bounded.
void flow_cache_meter(
	struct flow_cache *cache,
	const struct meter *meter,
	const struct frame *frames,
	unsigned n,
	struct meter_counts *counts
);

// Takes `n` packets, parsed elsewhere, into the pipeline. Hot path.
void flow_cache_push(struct flow_cache *cache, const struct packet *packets, unsigned n);

// Counts every packet that is still in the pipeline.
void flow_cache_drain(struct flow_cache *cache);

// Drains, and moves the clock on to `now_ns`; earlier times are ignored. Ageing is up to
// flow_cache_age(), but for steps above FLOW_CACHE_LONGEST_STEP_NS, over which flows are
// evicted here as if the silence had been lived through.
void flow_cache_advance(struct flow_cache *cache, time_ns_t now_ns);

// Evicts what has timed out in the next `n_blocks` blocks of 64 flows, going round the cache
// from call to call; flows that cannot be due cost two lines a block. Returns the number of
// flows evicted. It must go round once in half an hour. Call it only with the pipeline drained: a
// packet in flight must not find its flow aged by a time later than its own.
unsigned flow_cache_age(struct flow_cache *cache, uint32_t n_blocks);

// Blocks that are in use: flow_cache_age() with this number goes round once.
uint32_t flow_cache_blocks(const struct flow_cache *cache);

// Drains and evicts every flow with reason FLOW_END_FORCED, in an order that depends only on
// what was pushed. Cost is that of the flows started since the last flush.
void flow_cache_flush(struct flow_cache *cache);

// Flushes, and sets the clock, which may go back.
void flow_cache_restart(struct flow_cache *cache, time_ns_t now_ns);

// The cache's clock.
time_ns_t flow_cache_now(const struct flow_cache *cache);

// The instruction sets that the packet path was compiled for, the slowest (plain C) first;
// ends with NULL. Those that this machine cannot run are left out.
const char *const *flow_cache_paths(void);

// The one that the cache uses.
const char *flow_cache_path(const struct flow_cache *cache);

// Readers.

// The counts as they were at the end of the writer's last call into the cache, all of the same
// moment.
void flow_cache_stats(const struct flow_cache *cache, struct flow_cache_stats *stats);

#define FLOW_CACHE_BUCKET_FLOWS 10

// How many buckets there are to read.
uint32_t flow_cache_buckets(const struct flow_cache *cache);

// Copies the running flows of a bucket, each as it was between two packets, `end` being
// FLOW_END_NONE. Returns how many. What is in the pipeline is not counted yet, and what has
// timed out may still be there.
unsigned flow_cache_read(
	const struct flow_cache *cache,
	uint32_t bucket,
	struct flow_record records[FLOW_CACHE_BUCKET_FLOWS]
);

// Finds one running flow. False where there is none.
bool flow_cache_find(
	const struct flow_cache *cache, const struct flow_key *key, struct flow_record *record
);
