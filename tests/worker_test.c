// A worker: a flow cache, and the ring that its records leave by.

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "flow_cache_fixture.h"
#include "random.h"
#include "replay.h"
#include "worker.h"

#define T0 (1700000000 * NS_PER_S)

enum {
	RING_SLOTS = 1 << 14, // of a worker's record ring
	MOST_WORKERS = 5,
};

static void sleep_us(long us) {
	nanosleep(&(struct timespec){.tv_nsec = us * NS_PER_US}, NULL);
}

static struct worker *worker_of(uint32_t n_flows) {
	struct worker *worker = worker_new(&(struct flow_cache_config){
		.n_flows = n_flows,
		.active_timeout_ns = 10 * NS_PER_S,
		.idle_timeout_ns = 3 * NS_PER_S,
		.secret = flow_secret_fixed,
	});
	assert_non_null(worker);
	return worker;
}

// The records that came out of a ring, and the marks between them.
struct received {
	struct fixture records;
	struct mark {
		uint64_t order, now_ticks;
	} * marks; // the one before each record
	size_t n_orders;
	uint64_t n_marks;
	uint64_t order, now_ticks; // of the last mark
	bool begun, ended;
	uint64_t n_wrong;
};

static void receive(struct received *received, const struct flow_record *slot) {
	if (record_is_mark(slot)) {
		received->n_wrong += received->begun && record_mark_order(slot) < received->order;
		received->n_wrong += received->ended;
		received->begun = true;
		received->order = record_mark_order(slot);
		received->now_ticks = record_mark_now(slot);
		received->ended = received->order == RECORD_ORDER_END;
		received->n_marks++;
		return;
	}
	// A record outside of every order, or behind the end.
	received->n_wrong += !received->begun || received->ended;
	size_t room = received->records.n_room;
	keep_record(slot, &received->records);
	if (received->records.n_room != room) {
		received->marks =
			realloc(received->marks,
				received->records.n_room * sizeof(received->marks[0]));
		assert_non_null(received->marks);
	}
	received->marks[received->n_orders++] = (struct mark){received->order, received->now_ticks};
}

// What there is. Returns how many slots.
static uint32_t receive_ready(struct received *received, struct ring *ring, uint32_t most) {
	uint32_t n = RTE_MIN(ring_ready(ring), most);
	for (uint32_t i = 0; i < n; i++)
		receive(received, ring_at(ring, i));
	ring_release(ring, n);
	return n;
}

static void received_done(struct received *received) {
	free(received->records.records);
	free(received->marks);
}

static void config_out_of_range_is_refused(void **state) {
	(void)state;
	errno = 0;
	assert_null(worker_new(&(struct flow_cache_config){.n_flows = 1}));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(worker_new(&(struct flow_cache_config){.n_flows = 100, .path = "abacus"}));
	assert_int_equal(errno, EINVAL);
	worker_free(NULL);
}

// The next burst to fill. Waits for room.
static struct worker_burst *next_burst(struct worker *worker) {
	struct worker_burst *burst;
	while ((burst = worker_reserve(worker)) == NULL)
		sleep_us(20);
	return burst;
}

// Who feeds a worker while another takes its records.
struct feeder {
	pthread_t thread;
	struct worker *worker;
	unsigned n_bursts;
	uint64_t n_packets, n_octets;
	atomic_uint n_submitted;
};

// The traffic that the tests feed, burst by burst.
struct bursts {
	struct random random;
	time_ns_t now_ns;
};

static bool is_restart(uint64_t i) {
	return i % 999 == 0;
}

// Burst `i`, an order of its own, its packets all of new flows: many records come at once, and
// the order of a flow can be read from its number. Now and then a clock step, or one back.
static void fill_burst(struct bursts *bursts, unsigned i, struct worker_burst *burst) {
	burst->task = is_restart(i)   ? WORKER_RESTART
		      : i % 100 == 50 ? WORKER_ADVANCE
				      : WORKER_PACKETS;
	bursts->now_ns += burst->task == WORKER_RESTART ? -NS_PER_S : NS_PER_MS;
	burst->order = i;
	burst->now_ns = bursts->now_ns;
	burst->n_packets = 0;
	if (burst->task == WORKER_PACKETS)
		burst->n_packets = random_below(&bursts->random, WORKER_BURST_PACKETS + 1);
	for (unsigned p = 0; p < burst->n_packets; p++) {
		burst->packets[p] = packet_of(i * WORKER_BURST_PACKETS + p, bursts->now_ns);
		burst->packets[p].octets = 40 + random_below(&bursts->random, 1461);
	}
}

static const struct bursts first_burst = {.random = {41}, .now_ns = T0};

static void *feed(void *arg) {
	struct feeder *feeder = arg;
	struct bursts bursts = first_burst;

	for (unsigned i = 0; i < feeder->n_bursts; i++) {
		struct worker_burst *burst = next_burst(feeder->worker);
		fill_burst(&bursts, i, burst);
		for (unsigned p = 0; p < burst->n_packets; p++)
			feeder->n_octets += burst->packets[p].octets;
		feeder->n_packets += burst->n_packets;
		worker_submit(feeder->worker);
		atomic_store(&feeder->n_submitted, i + 1);
	}
	struct worker_burst *burst = next_burst(feeder->worker);
	burst->task = WORKER_END;
	burst->order = feeder->n_bursts;
	burst->now_ns = bursts.now_ns;
	worker_submit(feeder->worker);
	return NULL;
}

// The consumer rests longer than a worker needs to fill the ring, so that it has to wait.
static void records_pass_a_slow_consumer_in_order_and_whole(void **state) {
	struct worker *worker = worker_of(1000);
	struct feeder feeder = {.worker = worker, .n_bursts = TEST_ROUNDS(4000)};
	struct received received = {0};
	struct ring *ring = worker_records(worker);
	uint64_t octets = 0, n_full = 0;
	(void)state;

	assert_int_equal(worker_start(worker), 0);
	assert_true(worker_has_thread(worker));
	assert_int_equal(pthread_create(&feeder.thread, NULL, feed, &feeder), 0);
	while (!received.ended) {
		n_full += ring_ready(ring) == RING_SLOTS;
		receive_ready(&received, ring, 3000);
		sleep_us(received.n_marks % 4 == 0 ? 3000 : 500);
	}
	pthread_join(feeder.thread, NULL);
	worker_join(worker);
	assert_false(worker_has_thread(worker));

	assert_int_equal(received.n_wrong, 0);
	assert_int_equal(ring_ready(ring), 0);
	assert_int_equal(received.records.n_records, feeder.n_packets);
	// Each burst has its mark, a restart has two, and the end has its own and the last.
	assert_true(received.n_marks >= feeder.n_bursts + 2);
	for (size_t i = 0; i < received.records.n_records; i++) {
		const struct flow_record *record = &received.records.records[i];
		assert_int_equal(record->packets, 1);
		assert_true(id_of(record) / WORKER_BURST_PACKETS <= received.marks[i].order);
		assert_true(record->last_ticks <= received.marks[i].now_ticks);
		if (record->end == FLOW_END_FORCED)
			assert_true(
				is_restart(received.marks[i].order)
				|| received.marks[i].order == feeder.n_bursts
			);
		octets += record->octets;
	}
	assert_int_equal(octets, feeder.n_octets);
	if (!TEST_SANITIZED)
		assert_true(n_full > 0);
	received_done(&received);
	worker_free(worker);
}

// Nobody takes the records: the worker stands still, and all is there once somebody does.
static void full_ring_is_waited_for_and_loses_nothing(void **state) {
	struct worker *worker = worker_of(100);
	struct feeder feeder = {.worker = worker, .n_bursts = 600};
	struct received received = {0};
	struct ring *ring = worker_records(worker);
	unsigned n_submitted, n_before;
	(void)state;

	assert_int_equal(worker_start(worker), 0);
	assert_int_equal(pthread_create(&feeder.thread, NULL, feed, &feeder), 0);
	while (atomic_load_explicit(&ring->published, memory_order_acquire) < RING_SLOTS)
		sleep_us(100);
	// The feeder's ring fills up as well. Then neither moves.
	n_submitted = 0;
	do {
		n_before = n_submitted;
		sleep_us(20000);
		n_submitted = atomic_load(&feeder.n_submitted);
	} while (n_submitted != n_before);
	assert_true(n_submitted < feeder.n_bursts);
	assert_int_equal(ring_ready(ring), RING_SLOTS);
	while (!received.ended)
		if (receive_ready(&received, ring, UINT32_MAX) == 0)
			sleep_us(50);
	pthread_join(feeder.thread, NULL);
	worker_join(worker);
	assert_int_equal(received.n_wrong, 0);
	assert_int_equal(received.records.n_records, feeder.n_packets);
	received_done(&received);
	worker_free(worker);
}

// The counts of a worker at work, as its ledger would show them live.
static void live_counts_rise_to_the_last(void **state) {
	struct worker *worker = worker_of(1000);
	struct feeder feeder = {.worker = worker, .n_bursts = TEST_ROUNDS(4000)};
	struct received received = {0};
	struct flow_cache_stats now, before = {0};
	unsigned n_changes = 0, n_wrong = 0;
	(void)state;

	assert_int_equal(worker_start(worker), 0);
	assert_int_equal(pthread_create(&feeder.thread, NULL, feed, &feeder), 0);
	while (!received.ended) {
		if (receive_ready(&received, worker_records(worker), UINT32_MAX) == 0)
			sleep_us(20);
		flow_cache_stats(worker_cache(worker), &now);
		n_wrong += now.packets < before.packets || now.octets < before.octets;
		n_wrong += now.record_packets < before.record_packets;
		n_wrong += now.packets != now.record_packets + now.flows; // one packet each
		n_changes += now.packets != before.packets;
		before = now;
	}
	pthread_join(feeder.thread, NULL);
	worker_join(worker);
	flow_cache_stats(worker_cache(worker), &now);
	assert_int_equal(n_wrong, 0);
	assert_true(n_changes > 0);
	assert_int_equal(now.packets, feeder.n_packets);
	assert_int_equal(now.octets, feeder.n_octets);
	assert_int_equal(now.record_packets, feeder.n_packets);
	assert_int_equal(now.flows, 0);
	received_done(&received);
	worker_free(worker);
}

// The same traffic to one worker on the caller's thread: no ring of bursts, the same records.
static void worker_with_a_thread_gives_the_records_of_one_without(void **state) {
	struct worker *with = worker_of(1000), *without = worker_of(1000);
	struct feeder feeder = {.worker = with, .n_bursts = TEST_ROUNDS(4000)};
	struct received got = {0}, want = {0};
	static struct worker_burst burst;
	struct bursts bursts = first_burst;
	(void)state;

	assert_int_equal(worker_start(with), 0);
	assert_int_equal(pthread_create(&feeder.thread, NULL, feed, &feeder), 0);
	while (!got.ended)
		if (receive_ready(&got, worker_records(with), UINT32_MAX) == 0)
			sleep_us(20);
	pthread_join(feeder.thread, NULL);
	worker_join(with);

	for (unsigned i = 0; i < feeder.n_bursts; i++) {
		fill_burst(&bursts, i, &burst);
		if (burst.task != WORKER_PACKETS) {
			worker_do(without, burst.task, i, burst.now_ns);
		} else {
			unsigned cut = burst.n_packets / 3; // bursts are cut anywhere
			worker_mark(without, i, burst.now_ns);
			flow_cache_push(worker_cache(without), burst.packets, cut);
			flow_cache_push(
				worker_cache(without), burst.packets + cut, burst.n_packets - cut
			);
			flow_cache_drain(worker_cache(without));
		}
		worker_publish(without);
		receive_ready(&want, worker_records(without), UINT32_MAX);
	}
	worker_do(without, WORKER_END, feeder.n_bursts, bursts.now_ns);
	receive_ready(&want, worker_records(without), UINT32_MAX);

	assert_true(want.ended);
	assert_int_equal(want.n_wrong + got.n_wrong, 0);
	assert_int_equal(got.n_marks, want.n_marks);
	assert_int_equal(got.now_ticks, want.now_ticks);
	assert_int_equal(got.n_orders, want.n_orders);
	assert_memory_equal(got.marks, want.marks, want.n_orders * sizeof(want.marks[0]));
	assert_memory_equal(
		got.records.records,
		want.records.records,
		want.n_orders * sizeof(want.records.records[0])
	);
	received_done(&got);
	received_done(&want);
	worker_free(with);
	worker_free(without);
}

// A replay, and who takes its records.
struct run {
	struct replay *replay;
	pthread_t thread;
	int rc;
	struct received received[MOST_WORKERS];
};

static void *run_replay(void *arg) {
	struct run *run = arg;
	run->rc = replay_run(run->replay);
	return NULL;
}

static void say_error(const char *message, void *arg) {
	(void)arg;
	print_message("# %s\n", message);
}

// All records of a replay of `file` with so many workers, in `all`.
static void replay_with(char *file, unsigned n_workers, struct fixture *all) {
	struct run run = {
		.replay = replay_new(&(struct replay_config){
			.files = &file,
			.n_files = 1,
			.n_workers = n_workers,
			.n_flows = 100000,
			.active_timeout_ns = 5 * NS_PER_S,
			.idle_timeout_ns = NS_PER_S,
			.secret = flow_secret_fixed,
			.on_error = say_error,
		}),
	};
	struct ledger ledger;
	char error[LEDGER_ERROR_BYTES];
	unsigned n_ended = 0;

	assert_non_null(run.replay);
	assert_int_equal(pthread_create(&run.thread, NULL, run_replay, &run), 0);
	while (n_ended < n_workers) {
		uint32_t n = 0;
		n_ended = 0;
		for (unsigned i = 0; i < n_workers; i++) {
			struct ring *ring = replay_rings(run.replay)[i];
			n += receive_ready(&run.received[i], ring, UINT32_MAX);
			n_ended += run.received[i].ended;
		}
		if (n == 0)
			sleep_us(50);
	}
	pthread_join(run.thread, NULL);
	assert_int_equal(run.rc, 0);
	for (unsigned i = 0; i < n_workers; i++) {
		const struct fixture *records = &run.received[i].records;
		assert_int_equal(run.received[i].n_wrong, 0);
		for (size_t r = 0; r < records->n_records; r++) {
			// Both directions of a conversation are one worker's.
			const struct flow_key *key = &records->records[r].key;
			assert_int_equal(flow_key_worker(key, &flow_secret_fixed, n_workers), i);
			keep_record(&records->records[r], all);
		}
		received_done(&run.received[i]);
	}
	replay_ledger(run.replay, &ledger);
	assert_int_equal(ledger_check(&ledger, error), 0);
	assert_int_equal(ledger_records(&ledger), all->n_records);
	assert_int_equal(ledger.records[FLOW_END_RESOURCES], 0);
	replay_free(run.replay);
}

static void any_number_of_workers_gives_the_same_records(void **state) {
	static const char *const names[] = {"mixed.pcap.gz", "tcp-end.pcap.zst", "fragments.pcap"};
	static const unsigned counts[] = {2, 3, 5};
	const char *folder = getenv("WEIR_OWN_CAPTURES");
	(void)state;

	assert_non_null(folder);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char file[512];
		struct fixture one = {0};
		snprintf(file, sizeof(file), "%s/%s", folder, names[i]);
		replay_with(file, 1, &one);
		for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
			struct fixture several = {0};
			replay_with(file, counts[c], &several);
			assert_same_records(&several, &one);
			free(several.records);
		}
		free(one.records);
	}
}

static struct flow_key flow_key_ipv4_of(uint32_t i) {
	struct flow_key key = {.proto = 17, .family = FLOW_IPV4};
	memcpy(key.src4, &i, sizeof(i));
	return key;
}

static void push_flow(struct worker *worker, uint32_t i, time_ns_t time_ns) {
	struct packet packet = {
		.time_ns = time_ns,
		.octets = 100,
		.in_if = 1,
	};
	packet.key = flow_key_ipv4_of(i);
	packet.hash = flow_key_hash(&packet.key, &flow_secret_fixed);
	flow_cache_push(worker_cache(worker), &packet, 1);
}

static void live_worker_counts_what_finds_no_room_and_goes_on(void **state) {
	struct worker *worker = worker_of(64);
	struct received received = {0};
	uint64_t n_flows = 3 * RING_SLOTS;
	(void)state;

	// Nobody reads: a small cache full of flows that make room for each other.
	worker_go_live(worker);
	(void)worker_tick(worker, T0);
	for (uint32_t i = 0; i < n_flows; i++)
		push_flow(worker, i, T0);
	flow_cache_drain(worker_cache(worker));
	worker_publish(worker);
	uint64_t lost = worker_lost(worker);
	assert_true(lost > RING_SLOTS);

	receive_ready(&received, worker_records(worker), UINT32_MAX);
	worker_do(worker, WORKER_END, 1, T0);
	receive_ready(&received, worker_records(worker), UINT32_MAX);
	assert_true(received.ended);
	assert_int_equal(received.records.n_records + lost, n_flows);
	assert_int_equal(worker_lost(worker), lost);
	received_done(&received);
	worker_free(worker);
}

static void live_ageing_waits_for_room_and_loses_nothing(void **state) {
	uint32_t n_flows = 5 * RING_SLOTS / 2;
	struct worker *worker = worker_of(2 * n_flows);
	struct received received = {0};
	time_ns_t now_ns = T0 + NS_PER_S;
	(void)state;

	worker_go_live(worker);
	for (uint32_t i = 0; i < n_flows; i++)
		push_flow(worker, i, T0);
	flow_cache_drain(worker_cache(worker));
	(void)worker_tick(worker, now_ns);
	// All time out at once; nobody reads for a while, then someone does.
	now_ns = T0 + 4 * NS_PER_S;
	for (unsigned i = 0; i < 10000; i++)
		(void)worker_tick(worker, now_ns);
	for (unsigned i = 0; i < 100; i++) {
		receive_ready(&received, worker_records(worker), UINT32_MAX);
		while (worker_tick(worker, now_ns))
			;
	}
	assert_int_equal(received.records.n_records, n_flows);
	assert_int_equal(worker_lost(worker), 0);
	assert_int_equal(received.now_ticks, ticks_of_ns(now_ns));
	worker_do(worker, WORKER_END, (uint64_t)now_ns, now_ns);
	received_done(&received);
	worker_free(worker);
}

static void live_worker_with_a_thread_ages_by_the_time_it_is_told(void **state) {
	struct worker *worker = worker_of(1024);
	struct received received = {0};
	time_ns_t now_ns = T0;
	(void)state;

	worker_go_live(worker);
	assert_int_equal(worker_start(worker), 0);
	for (unsigned i = 0; i < 100; i++, now_ns += 50 * NS_PER_MS) {
		struct worker_burst *burst;
		while ((burst = worker_reserve(worker)) == NULL)
			sleep_us(100);
		*burst = (struct worker_burst){
			.task = WORKER_PACKETS,
			.order = (uint64_t)now_ns,
			.now_ns = now_ns,
		};
		if (i == 0) {
			burst->n_packets = 1;
			burst->packets[0] = (struct packet){.time_ns = T0, .octets = 1, .in_if = 1};
			burst->packets[0].key = flow_key_ipv4_of(1);
			burst->packets[0].hash =
				flow_key_hash(&burst->packets[0].key, &flow_secret_fixed);
		}
		worker_submit(worker);
	}
	for (unsigned i = 0; i < 10000 && received.records.n_records == 0; i++) {
		receive_ready(&received, worker_records(worker), UINT32_MAX);
		sleep_us(1000);
	}
	assert_int_equal(received.records.n_records, 1);
	assert_int_equal(received.records.records[0].end, FLOW_END_IDLE);

	struct worker_burst *burst;
	while ((burst = worker_reserve(worker)) == NULL)
		sleep_us(100);
	burst->task = WORKER_END;
	burst->n_packets = 0;
	burst->now_ns = now_ns;
	worker_submit(worker);
	worker_join(worker);
	receive_ready(&received, worker_records(worker), UINT32_MAX);
	assert_true(received.ended);
	received_done(&received);
	worker_free(worker);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_out_of_range_is_refused),
		cmocka_unit_test(records_pass_a_slow_consumer_in_order_and_whole),
		cmocka_unit_test(full_ring_is_waited_for_and_loses_nothing),
		cmocka_unit_test(live_counts_rise_to_the_last),
		cmocka_unit_test(worker_with_a_thread_gives_the_records_of_one_without),
		cmocka_unit_test(any_number_of_workers_gives_the_same_records),
		cmocka_unit_test(live_worker_counts_what_finds_no_room_and_goes_on),
		cmocka_unit_test(live_ageing_waits_for_room_and_loses_nothing),
		cmocka_unit_test(live_worker_with_a_thread_ages_by_the_time_it_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
