#include "destination.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "collector_internal.h"
#include "ring.h"

enum {
	MAX_HOLD_MS = 1000,          // a record waits no longer than this for its message to fill
	REFUSED_HOLD_MS = 200,       // live, while nobody may listen: templates wait with it
	REPLAY_QUEUE_RECORDS = 1024, // within the second-level cache
	LIVE_QUEUE_RECORDS = 65536,  // 6 MiB: over 100 ms at the rate that is the default
	WAKE_RECORDS = 512,          // most of a run of datagrams
	PUBLISH_RECORDS = 64,        // shown to a thread that is awake
	READ_RECORDS = 256,          // at once
	CONNECT_MS = 100,            // at a time
	LEAST_RECORDS_PER_S = 1000,  // in a hurry
};

// Live, at the end: without a slot that becomes free within this time, none is waited for.
#define STALL_NS (500 * NS_PER_MS)
#define STOP_NS (1 * NS_PER_S)
// Between looks at a session while there is nothing to send.
#define LOOK_NS (1 * NS_PER_S)
// For a thread that was told to give up.
#define ABORT_NS (500 * NS_PER_MS)

// What travels the queue beside records, in their clothes (FLOW_END_NONE).
enum mark {
	MARK_CLOCK,    // of the records that follow
	MARK_FLUSH,    // what is under construction has waited long enough
	MARK_SAMPLING, // of the records that follow
};

struct destination {
	bool live;
	struct collector *collector;
	struct ring *ring;
	pthread_t thread;
	bool started, joined;

	// Of the thread that adds.
	alignas(64) bool pending; // records have been added that no flush has followed
	int64_t begun_ms;         // the clock when the first of them came
	int64_t now_ms;           // the clock of the last
	bool has_clock;
	int64_t clock_ms; // of the last mark
	uint32_t interval;
	uint8_t algorithm;
	uint32_t n_unheard; // slots since the thread was last woken
	bool given_up;      // the end came, and no room
	// Written by that thread. Relaxed: each counter stands for itself.
	atomic_ullong records;
	atomic_ullong lost_queue;
	struct troubles troubles;

	// Of the thread that sends.
	alignas(64) int64_t record_ms;
	uint64_t packets_told, flows_told;

	// Of both. Guarded by the mutex, but for what is atomic.
	alignas(64) pthread_mutex_t mutex;
	pthread_cond_t wake, room, done;
	bool awake, room_wanted, ended, over;
	bool interfaces_new;
	size_t n_interfaces;
	struct export_interface interfaces[EXPORT_MOST_INTERFACES];
	// Relaxed, all: they may be seen late.
	atomic_ullong packets_dropped, flows_dropped;
	_Atomic(int64_t) patience_ns; // monotonic, until when; 0 = none
	atomic_bool stuck;            // the thread did not end when it was told to
};

static void add(atomic_ullong *counter, uint64_t n) {
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static uint64_t get(const atomic_ullong *counter) {
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct timespec timespec_of(time_ns_t ns) {
	return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static time_ns_t patience_of(const struct destination *destination) {
	return atomic_load_explicit(&destination->patience_ns, memory_order_relaxed);
}

// The side that adds.

static void wake(struct destination *destination) {
	ring_publish(destination->ring);
	destination->n_unheard = 0;
	pthread_mutex_lock(&destination->mutex);
	destination->awake = true;
	pthread_cond_signal(&destination->wake);
	pthread_mutex_unlock(&destination->mutex);
}

// Until half of the queue is free: two threads that took turns for each slot would do nothing
// else. No longer than until `until_ns`, where that is not 0.
static void wait_for_half(struct destination *destination, time_ns_t until_ns) {
	struct timespec until = timespec_of(until_ns);
	uint32_t half = (destination->ring->mask + 1) / 2;
	int rc = 0;

	pthread_mutex_lock(&destination->mutex);
	destination->room_wanted = true;
	while (rc == 0 && !ring_has_room(destination->ring, half))
		rc = until_ns == 0 ? pthread_cond_wait(&destination->room, &destination->mutex)
				   : pthread_cond_timedwait(
					   &destination->room, &destination->mutex, &until
				   );
	destination->room_wanted = false;
	pthread_mutex_unlock(&destination->mutex);
}

// A slot of a full queue, or NULL: what should stand there is to be lost.
[[gnu::noinline, gnu::cold]] static struct flow_record *slot_of_full(struct destination *destination
) {
	wake(destination);
	if (!destination->live) {
		wait_for_half(destination, 0);
		return ring_reserve(destination->ring);
	}
	time_ns_t until_ns = patience_of(destination);
	if (until_ns != 0 && !destination->given_up) {
		time_ns_t stalled_ns = collector_now() + STALL_NS;
		wait_for_half(destination, stalled_ns < until_ns ? stalled_ns : until_ns);
	}
	struct flow_record *slot = ring_reserve(destination->ring);
	destination->given_up = until_ns != 0 && slot == NULL;
	return slot;
}

static struct flow_record *next_slot(struct destination *destination) {
	struct ring *ring = destination->ring;
	struct flow_record *slot;

	// Those before it have been written.
	if (destination->n_unheard >= WAKE_RECORDS)
		wake(destination);
	else if (ring_unpublished(ring) >= PUBLISH_RECORDS)
		ring_publish(ring);
	slot = ring_reserve(ring);
	if (slot == NULL)
		slot = slot_of_full(destination);
	if (slot == NULL)
		return NULL;
	ring_push(ring);
	destination->n_unheard++;
	return slot;
}

static bool
put_mark(struct destination *destination, enum mark mark, uint64_t value, uint8_t more) {
	struct flow_record *slot = next_slot(destination);

	if (slot == NULL)
		return false;
	*slot = (struct flow_record){
		.end = FLOW_END_NONE,
		.first_ticks = mark,
		.last_ticks = value,
		.tos = more,
	};
	return true;
}

void destination_tick(struct destination *destination, int64_t now_ms) {
	int64_t hold_ms = MAX_HOLD_MS;

	if (destination->live && collector_refused(destination->collector))
		hold_ms = REFUSED_HOLD_MS;
	// Also what belongs before a clock that was set back.
	if (!destination->pending
	    || (now_ms - destination->begun_ms < hold_ms && now_ms >= destination->now_ms))
		return;
	if (put_mark(destination, MARK_FLUSH, 0, 0)) {
		destination->pending = false;
		wake(destination);
	}
}

static void lose(struct destination *destination, size_t n) {
	add(&destination->lost_queue, n);
	trouble_seen(&destination->troubles, TROUBLE_QUEUE, collector_now(), n, NULL);
}

void destination_add(
	struct destination *destination,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
) {
	destination_tick(destination, now_ms);
	if (!destination->pending) {
		destination->pending = true;
		destination->begun_ms = now_ms;
	}
	destination->now_ms = now_ms;
	add(&destination->records, n_records);

	if (!destination->has_clock || destination->clock_ms != now_ms) {
		if (!put_mark(destination, MARK_CLOCK, (uint64_t)now_ms, 0)) {
			lose(destination, n_records);
			return;
		}
		destination->has_clock = true;
		destination->clock_ms = now_ms;
	}
	for (size_t i = 0; i < n_records; i++) {
		struct flow_record *slot = next_slot(destination);
		if (slot == NULL) {
			lose(destination, n_records - i);
			return;
		}
		*slot = records[i];
	}
	if (destination->troubles.n_on > 0)
		trouble_tick(&destination->troubles, collector_now());
}

void destination_distribute(
	struct destination *const *destinations,
	unsigned n_destinations,
	enum distribution distribution,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
) {
	if (distribution == DISTRIBUTE_MIRROR || n_destinations < 2) {
		for (unsigned i = 0; i < n_destinations; i++)
			destination_add(destinations[i], records, n_records, now_ms);
		return;
	}
	// By a secret that is always the same, so that a restart moves no conversation.
	for (size_t i = 0; i < n_records; i++) {
		unsigned to = flow_key_worker(&records[i].key, &flow_secret_fixed, n_destinations);
		destination_add(destinations[to], &records[i], 1, now_ms);
	}
}

void destination_set_sampling(
	struct destination *destination, uint32_t interval, uint8_t algorithm
) {
	if (interval == destination->interval && algorithm == destination->algorithm)
		return;
	if (!put_mark(destination, MARK_SAMPLING, interval, algorithm))
		return;
	destination->interval = interval;
	destination->algorithm = algorithm;
}

void destination_set_interfaces(
	struct destination *destination, const struct export_interface *interfaces, size_t n
) {
	if (n > EXPORT_MOST_INTERFACES)
		n = EXPORT_MOST_INTERFACES;
	pthread_mutex_lock(&destination->mutex);
	memcpy(destination->interfaces, interfaces, n * sizeof(*interfaces));
	destination->n_interfaces = n;
	destination->interfaces_new = true;
	pthread_mutex_unlock(&destination->mutex);
}

void destination_set_dropped(struct destination *destination, uint64_t packets, uint64_t flows) {
	atomic_store_explicit(&destination->packets_dropped, packets, memory_order_relaxed);
	atomic_store_explicit(&destination->flows_dropped, flows, memory_order_relaxed);
}

void destination_end(struct destination *destination) {
	ring_publish(destination->ring);
	pthread_mutex_lock(&destination->mutex);
	destination->ended = true;
	pthread_cond_signal(&destination->wake);
	pthread_mutex_unlock(&destination->mutex);
}

// The side that sends.

static bool is_mark(const struct flow_record *slot) {
	return slot->end == FLOW_END_NONE;
}

static void obey(struct destination *destination, const struct flow_record *mark) {
	switch ((enum mark)mark->first_ticks) {
	case MARK_CLOCK:
		destination->record_ms = (int64_t)mark->last_ticks;
		break;
	case MARK_FLUSH:
		// With the clock of the last record, not of whatever made us flush: what is sent
		// depends on the records alone.
		collector_flush(destination->collector, destination->record_ms);
		break;
	case MARK_SAMPLING:
		collector_set_sampling(
			destination->collector, (uint32_t)mark->last_ticks, mark->tos
		);
		break;
	}
}

// The records before the next mark among the first `ready` slots from slot `i` on, as far as
// they are one array.
static uint32_t count_records(const struct ring *ring, uint32_t i, uint32_t ready) {
	const struct flow_record *records = ring_at(ring, i);
	uint32_t most = ring_contiguous(ring, i);
	uint32_t n = 0;

	if (most > ready - i)
		most = ready - i;
	while (n < most && !is_mark(&records[n]))
		n++;
	return n;
}

static void give_room(struct destination *destination, uint32_t n) {
	ring_release(destination->ring, n);
	pthread_mutex_lock(&destination->mutex);
	if (destination->room_wanted)
		pthread_cond_signal(&destination->room);
	pthread_mutex_unlock(&destination->mutex);
}

// Live: a replay drops nothing, and says nothing that depends on when it is said.
static void tell_dropped(struct destination *destination) {
	uint64_t packets = get(&destination->packets_dropped);
	uint64_t flows = get(&destination->flows_dropped) + get(&destination->lost_queue);

	if (packets == destination->packets_told && flows == destination->flows_told)
		return;
	destination->packets_told = packets;
	destination->flows_told = flows;
	collector_set_counts(
		destination->collector,
		&(struct export_counts){.packets_dropped = packets, .flows_dropped = flows}
	);
}

// Sends what there is. In parts, so that who adds need not wait for all of it.
static void drain(struct destination *destination) {
	struct ring *ring = destination->ring;
	uint32_t ready;

	while ((ready = ring_ready(ring)) > 0) {
		if (!collector_ready(destination->collector, CONNECT_MS))
			continue;
		if (ready > READ_RECORDS)
			ready = READ_RECORDS;
		tell_dropped(destination);
		for (uint32_t i = 0, n; i < ready; i += n) {
			const struct flow_record *slot = ring_at(ring, i);
			n = count_records(ring, i, ready);
			if (n == 0) {
				obey(destination, slot);
				n = 1;
			} else {
				collector_add(
					destination->collector, slot, n, destination->record_ms
				);
			}
		}
		give_room(destination, ready);
	}
}

// Returns whether more may follow.
static bool wait_for_work(struct destination *destination) {
	bool looks = collector_has_sessions(destination->collector);
	struct timespec until = timespec_of(collector_now() + LOOK_NS);
	int rc = 0;

	pthread_mutex_lock(&destination->mutex);
	while (rc == 0 && !destination->awake && !destination->ended)
		rc = looks ? pthread_cond_timedwait(&destination->wake, &destination->mutex, &until)
			   : pthread_cond_wait(&destination->wake, &destination->mutex);
	destination->awake = false;
	if (destination->interfaces_new)
		collector_set_interfaces(
			destination->collector, destination->interfaces, destination->n_interfaces
		);
	destination->interfaces_new = false;
	bool ended = destination->ended;
	pthread_mutex_unlock(&destination->mutex);
	return !ended;
}

static void *run(void *arg) {
	struct destination *destination = arg;
	bool more;

	do {
		// A session is begun, and looked after, also without records.
		(void)collector_ready(destination->collector, CONNECT_MS);
		more = wait_for_work(destination);
		drain(destination);
	} while (more);
	collector_flush(destination->collector, destination->record_ms);
	pthread_mutex_lock(&destination->mutex);
	destination->over = true;
	pthread_cond_signal(&destination->done);
	pthread_mutex_unlock(&destination->mutex);
	return NULL;
}

// Open and close.

static void destination_free(struct destination *destination) {
	collector_close(destination->collector);
	ring_free(destination->ring);
	pthread_cond_destroy(&destination->wake);
	pthread_cond_destroy(&destination->room);
	pthread_cond_destroy(&destination->done);
	pthread_mutex_destroy(&destination->mutex);
	free(destination);
}

static void init_waits(struct destination *destination) {
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&destination->mutex, NULL);
	pthread_cond_init(&destination->wake, &monotonic);
	pthread_cond_init(&destination->room, &monotonic);
	pthread_cond_init(&destination->done, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static int start(struct destination *destination, const struct destination_config *config) {
	uint32_t n_slots = config->queue_records;

	if (n_slots == 0)
		n_slots = config->live ? LIVE_QUEUE_RECORDS : REPLAY_QUEUE_RECORDS;
	destination->ring = ring_new(n_slots, sizeof(struct flow_record));
	if (destination->ring == NULL)
		return errno;
	int rc = pthread_create(&destination->thread, NULL, run, destination);
	destination->started = rc == 0;
	return rc;
}

struct destination *destination_open(const struct destination_config *config, char *error) {
	struct collector_config collector = config->collector;
	struct destination *destination =
		aligned_alloc(alignof(struct destination), sizeof(*destination));

	if (destination == NULL) {
		snprintf(error, COLLECTOR_ERROR_BYTES, "%s", strerror(errno));
		return NULL;
	}
	memset(destination, 0, sizeof(*destination));
	init_waits(destination);
	destination->live = config->live;
	destination->interval = collector.encoder.sampling_interval;
	destination->algorithm = collector.encoder.sampling_algorithm;
	// Its own thread may wait for a full socket.
	collector.live = config->live;
	collector.wait = true;
	destination->collector = collector_open(&collector, error);
	if (destination->collector == NULL) {
		destination_free(destination);
		return NULL;
	}
	destination->troubles = (struct troubles){
		.name = collector_name(destination->collector),
		.on_message = collector.on_message,
		.arg = collector.arg,
	};
	int rc = start(destination, config);
	if (rc != 0) {
		snprintf(
			error,
			COLLECTOR_ERROR_BYTES,
			"collector %s: %s",
			config->collector.destination,
			strerror(rc)
		);
		destination_free(destination);
		return NULL;
	}
	return destination;
}

void destination_hurry(struct destination *destination, uint64_t n_records, time_ns_t patience_ns) {
	// Half of it for the pacing; and what is in the queue leaves too.
	uint64_t per_s =
		(n_records + destination->ring->mask) * 2 * NS_PER_S / (uint64_t)patience_ns;

	collector_hurry(
		destination->collector, per_s > LEAST_RECORDS_PER_S ? per_s : LEAST_RECORDS_PER_S
	);
	atomic_store_explicit(
		&destination->patience_ns, collector_now() + patience_ns, memory_order_relaxed
	);
}

// Returns whether the thread is over.
static bool wait_for_thread(struct destination *destination, time_ns_t until_ns) {
	struct timespec until = timespec_of(until_ns);
	int rc = 0;

	pthread_mutex_lock(&destination->mutex);
	while (rc == 0 && !destination->over)
		rc = until_ns == 0 ? pthread_cond_wait(&destination->done, &destination->mutex)
				   : pthread_cond_timedwait(
					   &destination->done, &destination->mutex, &until
				   );
	bool over = destination->over;
	pthread_mutex_unlock(&destination->mutex);
	return over;
}

void destination_stop(struct destination *destination) {
	time_ns_t until_ns = 0;

	if (destination->joined)
		return;
	if (destination->live) {
		until_ns = patience_of(destination);
		if (until_ns == 0)
			until_ns = collector_now() + STOP_NS;
	}
	if (!wait_for_thread(destination, until_ns)) {
		collector_abort(destination->collector);
		if (!wait_for_thread(destination, collector_now() + ABORT_NS)) {
			atomic_store_explicit(&destination->stuck, true, memory_order_relaxed);
			return;
		}
	}
	pthread_join(destination->thread, NULL);
	destination->joined = true;
}

void destination_close(struct destination *destination) {
	if (destination == NULL)
		return;
	destination_end(destination);
	destination_stop(destination);
	// A thread that waits for a name server cannot be woken: it ends with weir, and has what it
	// needs until then.
	if (destination->joined)
		destination_free(destination);
}

const struct collector *destination_collector(const struct destination *destination) {
	return destination->collector;
}

void destination_stats(const struct destination *destination, struct destination_stats *stats) {
	struct collector_stats *collector = &stats->collector;

	*stats = (struct destination_stats){
		.records = get(&destination->records),
		.lost_queue = get(&destination->lost_queue),
	};
	collector_stats(destination->collector, collector);
	stats->lost_stopped = collector->lost_stopped;
	// What is in the queue of a thread that hangs.
	uint64_t reached = collector->records + stats->lost_queue;
	if (atomic_load_explicit(&destination->stuck, memory_order_relaxed)
	    && stats->records > reached)
		stats->lost_stopped += stats->records - reached;
}
