// Worker: one flow cache and the ring of records that leave it. Either the caller's thread
// drives it (a replay with one worker), or it runs a thread of its own that is fed bursts of
// parsed packets over a second ring.
//
// Both ways do the same to the cache in the same order, so the records are the same.
//
// A replay waits for room in the record ring. A live worker (worker_go_live()) never does: a
// record for which there is no room is counted as lost, and ageing, which can wait, waits.
//
// Threads: one drives a worker. The exporter reads its record ring.
// worker_lost(), worker_busy_ns() and worker_set_timeouts() may be called from any.
// Time: only arguments, but for how long its thread is busy.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "flow_cache.h"
#include "record_ring.h"

enum {
	WORKER_BURST_PACKETS = 128,
};

enum worker_task {
	WORKER_PACKETS, // count the packets
	WORKER_ADVANCE, // move the clock on to now_ns and age
	WORKER_RESTART, // flush, and set the clock to now_ns, which may be back
	WORKER_END,     // flush, and end
};

struct worker_burst {
	enum worker_task task;
	unsigned n_packets;
	uint64_t order;   // never falls from burst to burst
	time_ns_t now_ns; // the clock
	struct packet packets[WORKER_BURST_PACKETS];
};

struct worker;

// A worker with memory for config->n_flows flows (huge pages where the kernel has them to
// spare); on_evict and arg are the worker's to set. NULL with errno EINVAL or ENOMEM.
[[nodiscard]] struct worker *worker_new(const struct flow_cache_config *config);

// The same in pages of hugetlbfs alone, which the owner of the machine has set aside; ENOMEM where
// there are too few.
[[nodiscard]] struct worker *worker_new_in_hugepages(const struct flow_cache_config *config);
void worker_free(struct worker *worker);

// Has the kernel give the cache's memory now rather than flow by flow: the first packets of new
// flows would wait for it. From any thread, while the worker works; ends early when `stop` is set.
void worker_prefault(struct worker *worker, const atomic_bool *stop);

struct flow_cache *worker_cache(struct worker *worker);
struct ring *worker_records(struct worker *worker);

// Meters frames on the caller's thread, and shows the exporter the records that left. Hot path.
void worker_meter(
	struct worker *worker,
	const struct meter *meter,
	const struct frame *frames,
	unsigned n,
	struct meter_counts *counts
);

// Begins a new order for the records that follow. Waits while the ring is full.
void worker_mark(struct worker *worker, uint64_t order, time_ns_t now_ns);

// WORKER_ADVANCE, WORKER_RESTART and WORKER_END on the caller's thread.
void worker_do(struct worker *worker, enum worker_task task, uint64_t order, time_ns_t now_ns);

// Shows the exporter every record made so far.
void worker_publish(struct worker *worker);

// Live from here on. Before worker_start().
void worker_go_live(struct worker *worker);

// Live: moves the clock on, tells it to the exporter, and ages some of the flows that are due to
// be looked at; each is within half a second. Returns whether it is best called again soon: only
// then may `now_ns` be the same. Hot path.
bool worker_tick(struct worker *worker, time_ns_t now_ns);

// Other timeouts (flow_cache_set_timeouts()), live, from any thread: they apply within a second.
void worker_set_timeouts(
	struct worker *worker, time_ns_t active_timeout_ns, time_ns_t idle_timeout_ns
);

// Records for which the ring had no room.
uint64_t worker_lost(const struct worker *worker);

// How long the worker's own thread had something to do.
uint64_t worker_busy_ns(const struct worker *worker);

// Starts the worker's own thread, fed by worker_reserve() and worker_submit(). Returns 0 or
// a negative errno (ENOMEM, EAGAIN).
[[nodiscard]] int worker_start(struct worker *worker);

bool worker_has_thread(const struct worker *worker);

// The next burst to fill, NULL while the worker has more than enough to do.
struct worker_burst *worker_reserve(struct worker *worker);
void worker_submit(struct worker *worker);

// Waits for the thread, which WORKER_END ends. Fine if it was never started.
void worker_join(struct worker *worker);
