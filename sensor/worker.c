#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

enum {
	RECORD_SLOTS = 1 << 14, // 1.5 MiB: some milliseconds of a flood
	BURST_SLOTS = 32,
	PUBLISH_RECORDS = 64, // shown to the exporter at once
	FULL_SLEEP_US = 50,   // while the exporter is behind
	EMPTY_SLEEP_US = 50,  // while the reader is
	LONG_SLEEP_US = 1000, // when it has been for long
	LONG_EMPTY = 100,     // sleeps
	AGE_SLICE_BLOCKS = 32,
	BLOCK_FLOWS = 64,
};

// Live, a round through all flows begins this often.
#define AGE_EVERY_NS (250 * NS_PER_MS)
// The exporter is told the time.
#define MARK_EVERY_NS (1 * NS_PER_MS)

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define PREFAULT_BYTES ((size_t)2 << 20)

struct worker {
	struct flow_cache *cache;
	void *memory; // the cache's
	size_t cache_bytes;
	struct ring *records;
	struct ring *bursts;
	pthread_t thread;
	bool started;
	time_ns_t clock_ns; // of the last mark

	// Live.
	bool live;
	time_ns_t round_ns;      // when ageing last began a round
	uint32_t n_blocks_left;  // of the round
	struct flow_record lost; // where a record is written that finds no room
	atomic_ullong n_lost;
	// Timeouts that the cache has, and those that it is to have. Relaxed: a round may begin
	// with one of two new ones, and the next has both.
	time_ns_t active_ns, idle_ns;
	_Atomic(time_ns_t) wanted_active_ns, wanted_idle_ns;
	time_ns_t busy_since_ns; // 0 = it is not
	atomic_ullong busy_ns;
};

static void sleep_us(long us) {
	nanosleep(&(struct timespec){.tv_nsec = us * NS_PER_US}, NULL);
}

// Where a record goes when the ring is full. A replay loses nothing: it waits for a slot, and so
// does a live worker that has ended its packets. NULL: the record is to be lost.
[[gnu::noinline, gnu::cold]] static struct flow_record *slot_of_full(struct worker *worker) {
	struct flow_record *slot;

	ring_publish(worker->records);
	if (worker->live)
		return ring_reserve(worker->records);
	while ((slot = ring_reserve(worker->records)) == NULL)
		sleep_us(FULL_SLEEP_US);
	return slot;
}

// The next slot of the record ring, to be written before the next call. All before it have
// been, so those are what may be shown.
static struct flow_record *next_slot(struct worker *worker) {
	struct ring *records = worker->records;

	if (ring_unpublished(records) >= PUBLISH_RECORDS)
		ring_publish(records);
	struct flow_record *slot = ring_reserve(records);
	if (unlikely(slot == NULL)) {
		slot = slot_of_full(worker);
		if (slot == NULL)
			return NULL;
	}
	ring_push(records);
	return slot;
}

static struct flow_record *place_record(void *arg) {
	struct worker *worker = arg;
	struct flow_record *slot = next_slot(worker);

	if (unlikely(slot == NULL)) {
		// Relaxed: the one writer; a reader may see it late.
		uint64_t n = atomic_load_explicit(&worker->n_lost, memory_order_relaxed);
		atomic_store_explicit(&worker->n_lost, n + 1, memory_order_relaxed);
		return &worker->lost;
	}
	return slot;
}

static void *map_cache(size_t bytes, bool hugepages) {
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (hugepages ? MAP_HUGETLB : 0);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	// Advice: without huge pages the cache is slower, not wrong.
	if (bytes >= HUGE_PAGE_BYTES && !hugepages)
		(void)madvise(memory, bytes, MADV_HUGEPAGE);
	return memory;
}

static struct worker *make(const struct flow_cache_config *config, bool hugepages) {
	struct worker *worker = calloc(1, sizeof(*worker));
	if (worker == NULL)
		return NULL;

	worker->active_ns = config->active_timeout_ns;
	worker->idle_ns = config->idle_timeout_ns;
	atomic_init(&worker->wanted_active_ns, config->active_timeout_ns);
	atomic_init(&worker->wanted_idle_ns, config->idle_timeout_ns);
	struct flow_cache_config own = *config;
	own.on_evict = place_record;
	own.arg = worker;
	worker->cache_bytes = flow_cache_size(&own);
	if (worker->cache_bytes == 0) {
		free(worker);
		errno = EINVAL;
		return NULL;
	}
	if (hugepages) // of which munmap() takes whole ones alone
		worker->cache_bytes = RTE_ALIGN_CEIL(worker->cache_bytes, HUGE_PAGE_BYTES);
	worker->memory = map_cache(worker->cache_bytes, hugepages);
	worker->records = ring_new(RECORD_SLOTS, sizeof(struct flow_record));
	if (worker->memory == NULL || worker->records == NULL) {
		worker_free(worker);
		errno = ENOMEM;
		return NULL;
	}
	worker->cache = flow_cache_init(worker->memory, &own);
	if (worker->cache == NULL) { // a path that this machine has not
		worker_free(worker);
		errno = EINVAL;
		return NULL;
	}
	return worker;
}

struct worker *worker_new(const struct flow_cache_config *config) {
	return make(config, false);
}

struct worker *worker_new_in_hugepages(const struct flow_cache_config *config) {
	return make(config, true);
}

void worker_free(struct worker *worker) {
	if (worker == NULL)
		return;
	if (worker->memory != NULL)
		munmap(worker->memory, worker->cache_bytes);
	ring_free(worker->records);
	ring_free(worker->bursts);
	free(worker);
}

void worker_prefault(struct worker *worker, const atomic_bool *stop) {
	char *memory = worker->memory;

	// In parts, so that the worker's own faults do not wait for all of it. Where the kernel
	// knows no such advice (before 5.14), pages come as they are needed.
	for (size_t at = 0; at < worker->cache_bytes; at += PREFAULT_BYTES) {
		size_t n = RTE_MIN(worker->cache_bytes - at, PREFAULT_BYTES);
		// Relaxed: late is soon enough.
		if (atomic_load_explicit(stop, memory_order_relaxed)
		    || madvise(memory + at, n, MADV_POPULATE_WRITE) < 0)
			return;
	}
}

struct flow_cache *worker_cache(struct worker *worker) {
	return worker->cache;
}

struct ring *worker_records(struct worker *worker) {
	return worker->records;
}

void worker_meter(
	struct worker *worker,
	const struct meter *meter,
	const struct frame *frames,
	unsigned n,
	struct meter_counts *counts
) {
	flow_cache_meter(worker->cache, meter, frames, n, counts);
	// Most bursts end no flow; then the exporter's sight of the ring is left alone.
	if (ring_unpublished(worker->records) > 0)
		ring_publish(worker->records);
}

void worker_mark(struct worker *worker, uint64_t order, time_ns_t now_ns) {
	struct flow_record *slot = next_slot(worker);
	// Live, one that finds no room is made up for by the next.
	if (slot != NULL)
		*slot = record_mark(order, ticks_of_ns(now_ns));
	worker->clock_ns = now_ns;
}

void worker_do(struct worker *worker, enum worker_task task, uint64_t order, time_ns_t now_ns) {
	// What ends all flows waits for the exporter to take them.
	bool live = worker->live;

	// What is in flight belongs to the order before.
	flow_cache_drain(worker->cache);
	switch (task) {
	case WORKER_PACKETS:
		break;
	case WORKER_ADVANCE:
		worker_mark(worker, order, now_ns);
		flow_cache_advance(worker->cache, now_ns);
		flow_cache_age(worker->cache, flow_cache_blocks(worker->cache));
		break;
	case WORKER_RESTART:
		// The flows end by the clock they lived by. Under this order, not under that of
		// the last burst: which one that was depends on how the threads ran.
		worker->live = false;
		worker_mark(worker, order, worker->clock_ns);
		flow_cache_restart(worker->cache, now_ns);
		worker_mark(worker, order, now_ns);
		worker->live = live;
		worker->n_blocks_left = 0;
		worker->round_ns = now_ns;
		break;
	case WORKER_END:
		worker->live = false;
		worker_mark(worker, order, now_ns);
		flow_cache_flush(worker->cache);
		worker_mark(worker, RECORD_ORDER_END, now_ns);
		break;
	}
	ring_publish(worker->records);
}

void worker_publish(struct worker *worker) {
	ring_publish(worker->records);
}

void worker_go_live(struct worker *worker) {
	worker->live = true;
}

uint64_t worker_lost(const struct worker *worker) {
	return atomic_load_explicit(&worker->n_lost, memory_order_relaxed);
}

void worker_set_timeouts(
	struct worker *worker, time_ns_t active_timeout_ns, time_ns_t idle_timeout_ns
) {
	atomic_store_explicit(&worker->wanted_active_ns, active_timeout_ns, memory_order_relaxed);
	atomic_store_explicit(&worker->wanted_idle_ns, idle_timeout_ns, memory_order_relaxed);
}

// Once a round of ageing, so that no burst pays for it.
static void take_timeouts(struct worker *worker) {
	time_ns_t active_ns = atomic_load_explicit(&worker->wanted_active_ns, memory_order_relaxed);
	time_ns_t idle_ns = atomic_load_explicit(&worker->wanted_idle_ns, memory_order_relaxed);

	if (active_ns == worker->active_ns && idle_ns == worker->idle_ns)
		return;
	(void)!flow_cache_set_timeouts(worker->cache, active_ns, idle_ns);
	worker->active_ns = active_ns;
	worker->idle_ns = idle_ns;
}

bool worker_tick(struct worker *worker, time_ns_t now_ns) {
	bool aged = false;

	if (now_ns - worker->round_ns >= AGE_EVERY_NS && worker->n_blocks_left == 0) {
		worker->round_ns = now_ns;
		take_timeouts(worker);
		worker->n_blocks_left = flow_cache_blocks(worker->cache);
	}
	if (worker->n_blocks_left > 0) {
		uint32_t n = RTE_MIN(worker->n_blocks_left, (uint32_t)AGE_SLICE_BLOCKS);
		// The mark, and what the next burst evicts, want some too.
		aged = ring_has_room(worker->records, 2 * AGE_SLICE_BLOCKS * BLOCK_FLOWS);
		if (aged) {
			flow_cache_advance(worker->cache, now_ns);
			flow_cache_age(worker->cache, n);
			worker->n_blocks_left -= n;
		}
	}
	if (now_ns - worker->clock_ns >= MARK_EVERY_NS)
		worker_mark(worker, (uint64_t)now_ns, now_ns);
	if (ring_unpublished(worker->records) > 0)
		ring_publish(worker->records);
	return aged && worker->n_blocks_left > 0;
}

// Live: bursts say what time it is, and the marks between records come by time alone.
static void count_live(struct worker *worker, const struct worker_burst *burst) {
	flow_cache_push(worker->cache, burst->packets, burst->n_packets);
	if (burst->n_packets == 0)
		flow_cache_drain(worker->cache);
	(void)worker_tick(worker, burst->now_ns);
}

static void count_burst(struct worker *worker, const struct worker_burst *burst) {
	// A mark for each burst, even without packets: the exporter learns how far this worker
	// is, and need not hold back the records of the others.
	worker_mark(worker, burst->order, burst->now_ns);
	flow_cache_push(worker->cache, burst->packets, burst->n_packets);
	// So that every record is made under the order of its packet, however bursts are cut.
	flow_cache_drain(worker->cache);
	ring_publish(worker->records);
}

uint64_t worker_busy_ns(const struct worker *worker) {
	return atomic_load_explicit(&worker->busy_ns, memory_order_relaxed);
}

static time_ns_t monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// Counts the time since the thread became busy, or was last counted.
static void count_busy(struct worker *worker) {
	time_ns_t now_ns = monotonic_ns();

	if (worker->busy_since_ns > 0) {
		// Relaxed: one writer, and readers want the number alone.
		uint64_t busy_ns = atomic_load_explicit(&worker->busy_ns, memory_order_relaxed);
		busy_ns += (uint64_t)(now_ns - worker->busy_since_ns);
		atomic_store_explicit(&worker->busy_ns, busy_ns, memory_order_relaxed);
	}
	worker->busy_since_ns = now_ns;
}

static void *run(void *arg) {
	struct worker *worker = arg;
	unsigned n_empty = 0;

	for (;;) {
		if (ring_ready(worker->bursts) == 0) {
			if (worker->n_blocks_left > 0 && worker_tick(worker, worker->clock_ns))
				continue;
			if (worker->busy_since_ns > 0)
				count_busy(worker);
			worker->busy_since_ns = 0;
			sleep_us(n_empty++ < LONG_EMPTY ? EMPTY_SLEEP_US : LONG_SLEEP_US);
			continue;
		}
		n_empty = 0;
		count_busy(worker);
		const struct worker_burst *burst = ring_at(worker->bursts, 0);
		enum worker_task task = burst->task;
		if (task == WORKER_PACKETS && worker->live)
			count_live(worker, burst);
		else if (task == WORKER_PACKETS)
			count_burst(worker, burst);
		else
			worker_do(worker, task, burst->order, burst->now_ns);
		ring_release(worker->bursts, 1);
		if (task == WORKER_END)
			return NULL;
	}
}

int worker_start(struct worker *worker) {
	worker->bursts = ring_new(BURST_SLOTS, sizeof(struct worker_burst));
	if (worker->bursts == NULL)
		return -errno;
	int rc = pthread_create(&worker->thread, NULL, run, worker);
	if (rc != 0)
		return -rc;
	worker->started = true;
	return 0;
}

bool worker_has_thread(const struct worker *worker) {
	return worker->started;
}

struct worker_burst *worker_reserve(struct worker *worker) {
	return ring_reserve(worker->bursts);
}

void worker_submit(struct worker *worker) {
	ring_push(worker->bursts);
	ring_publish(worker->bursts);
}

void worker_join(struct worker *worker) {
	if (worker->started)
		pthread_join(worker->thread, NULL);
	worker->started = false;
}
