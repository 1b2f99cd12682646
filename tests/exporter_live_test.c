// The live exporter: rings are read as they fill, and its destinations and timeouts may change.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "exporter.h"
#include "random.h"
#include "record_ring.h"

static struct flow_record record_of(uint16_t port) {
	struct flow_record record = {
		.first_ticks = 16,
		.last_ticks = 40,
		.packets = 3,
		.octets = 1234,
		.in_if = 1,
		.end = FLOW_END_IDLE,
	};
	record.key.family = FLOW_IPV4;
	record.key.proto = 6;
	record.key.src_port = port;
	return record;
}

static void push(struct ring *ring, struct flow_record record) {
	struct flow_record *slot = ring_reserve(ring);
	assert_non_null(slot);
	*slot = record;
	ring_push(ring);
	ring_publish(ring);
}

// Each is printed once all that came before has been.
static void wait_for_flows(const struct lateness *lateness, uint64_t n) {
	struct ledger_lateness read = {0};
	for (unsigned i = 0; i < 10000 && read.n_flows < n; i++) {
		lateness_read(lateness, &read);
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
	}
	assert_int_equal(read.n_flows, n);
}

static void live_records_wait_for_no_other_ring_and_their_lateness_is_counted(void **state) {
	static struct lateness lateness;
	struct ring *rings[2];
	struct ledger_lateness read;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct print *print = print_new(PRINT_CSV, out);
	(void)state;

	assert_non_null(print);
	for (unsigned i = 0; i < 2; i++) {
		rings[i] = ring_new(64, sizeof(struct flow_record));
		assert_non_null(rings[i]);
	}
	struct exporter *exporter = exporter_start(&(struct exporter_config){
		.rings = rings,
		.n_rings = 2,
		.print = print,
		.sampling_rate = 1,
		.live = true,
		.lateness = &lateness,
		.idle_timeout_ticks = 10 * TICKS_PER_S,
		.clock_lag_ticks = 20 * TICKS_PER_MS,
	});
	assert_non_null(exporter);

	// The first ring says nothing at all: in a replay everything would wait for it.
	struct flow_record record = record_of(1);
	record.last_ticks = 1000 * TICKS_PER_S;
	push(rings[1], record_mark(7, 1010 * TICKS_PER_S + 130 * TICKS_PER_MS));
	push(rings[1], record);
	wait_for_flows(&lateness, 1);
	lateness_read(&lateness, &read);
	assert_int_equal(read.max_ms, 150); // the lag counts as late

	// An order that falls is no matter, and what did not end idle is not late.
	push(rings[0], record_mark(3, 1010 * TICKS_PER_S));
	record.end = FLOW_END_ACTIVE;
	push(rings[0], record);
	record.end = FLOW_END_IDLE;
	record.last_ticks = 999 * TICKS_PER_S;
	push(rings[0], record);
	wait_for_flows(&lateness, 2);
	lateness_read(&lateness, &read);
	assert_in_range(read.max_ms, 1020, 1150);
	for (unsigned i = 0; i < 2; i++)
		push(rings[i], record_mark(RECORD_ORDER_END, 1011 * TICKS_PER_S));
	exporter_join(exporter);

	struct print_stats stats;
	print_stats(print, &stats);
	assert_int_equal(stats.written, 3);
	print_free(print);
	fclose(out);
	free(text);
	for (unsigned i = 0; i < 2; i++)
		ring_free(rings[i]);
}

static void lateness_is_counted_by_the_timeout_that_a_flow_left_by(void **state) {
	static struct lateness lateness;
	struct ring *ring = ring_new(64, sizeof(struct flow_record));
	struct flow_record record = record_of(1);
	struct ledger_lateness read;
	(void)state;

	assert_non_null(ring);
	struct exporter *exporter = exporter_start(&(struct exporter_config){
		.rings = &ring,
		.n_rings = 1,
		.sampling_rate = 1,
		.live = true,
		.lateness = &lateness,
		.idle_timeout_ticks = 60 * TICKS_PER_S,
	});
	assert_non_null(exporter);
	push(ring, record_mark(1, 1000 * TICKS_PER_S));
	record.last_ticks = 940 * TICKS_PER_S;
	push(ring, record);
	wait_for_flows(&lateness, 1);

	// By a shorter timeout one leaves at once that has ended long ago, which is not late.
	exporter_set_idle_timeout(exporter, 10 * TICKS_PER_S);
	push(ring, record_mark(2, 1001 * TICKS_PER_S));
	record.last_ticks = 950 * TICKS_PER_S;
	push(ring, record);
	wait_for_flows(&lateness, 2);
	lateness_read(&lateness, &read);
	assert_int_equal(read.max_ms, 0);
	// Later it would be.
	push(ring, record_mark(3, 1010 * TICKS_PER_S));
	record.last_ticks = 999 * TICKS_PER_S;
	push(ring, record);
	wait_for_flows(&lateness, 3);
	lateness_read(&lateness, &read);
	assert_int_equal(read.max_ms, 1000);

	// Without a timeout nothing is late; with one again it is.
	exporter_set_idle_timeout(exporter, 0);
	push(ring, record_mark(4, 1020 * TICKS_PER_S));
	push(ring, record);
	push(ring, record_mark(5, 1030 * TICKS_PER_S));
	push(ring, record);
	while (exporter_delivered(exporter) < 5)
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
	exporter_set_idle_timeout(exporter, 20 * TICKS_PER_S);
	push(ring, record_mark(6, 1040 * TICKS_PER_S));
	push(ring, record); // the first that is counted by the new one: not yet
	push(ring, record_mark(7, 1050 * TICKS_PER_S));
	record.last_ticks = 1028 * TICKS_PER_S;
	push(ring, record);
	wait_for_flows(&lateness, 4);
	lateness_read(&lateness, &read);
	assert_int_equal(read.max_ms, 2000);
	push(ring, record_mark(RECORD_ORDER_END, 1051 * TICKS_PER_S));
	exporter_join(exporter);
	ring_free(ring);
}

// A UDP socket that a collector could have, and a destination that sends there.
struct place {
	int fd;
	struct destination *destination;
};

static struct place place_open(void) {
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(in);
	char name[32], error[COLLECTOR_ERROR_BYTES];
	struct place place = {.fd = socket(AF_INET, SOCK_DGRAM, 0)};

	assert_true(place.fd >= 0);
	assert_int_equal(bind(place.fd, (void *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(place.fd, (void *)&in, &length), 0);
	snprintf(name, sizeof(name), "127.0.0.1:%u", ntohs(in.sin_port));
	place.destination = destination_open(
		&(struct destination_config){
			.collector =
				{
					.destination = name,
					.encoder =
						{
							.source_id = 1,
							.template_interval_ms = 30000,
							.template_packets = 100,
							.sampling_interval = 1,
						},
				},
			.live = true,
		},
		error
	);
	assert_non_null(place.destination);
	return place;
}

// Ends it, and tells how many records it was given; all of them are accounted for.
static uint64_t place_close(struct place *place) {
	struct destination_stats stats;

	destination_end(place->destination);
	destination_stop(place->destination);
	destination_stats(place->destination, &stats);
	assert_int_equal(
		stats.records,
		stats.collector.records_sent + stats.lost_queue + stats.lost_stopped
			+ stats.collector.lost_full
	);
	destination_close(place->destination);
	close(place->fd);
	return stats.records;
}

struct source {
	struct ring *ring;
	uint64_t n;
	atomic_bool stop;
};

static void *make_records(void *arg) {
	struct source *source = arg;
	uint64_t clock = 1000 * TICKS_PER_S;

	while (!atomic_load(&source->stop)) {
		struct flow_record *slot = ring_reserve(source->ring);
		if (slot == NULL) {
			nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
			continue;
		}
		bool mark = source->n % 50 == 0 && clock++ % 2 == 0;
		*slot = mark ? record_mark(clock, clock) : record_of((uint16_t)source->n);
		source->n += !mark;
		ring_push(source->ring);
		ring_publish(source->ring);
	}
	return NULL;
}

static void every_record_goes_to_the_destinations_of_its_time(void **state) {
	struct source source = {.ring = ring_new(1024, sizeof(struct flow_record))};
	struct place first = place_open(), second = place_open();
	pthread_t thread;
	uint64_t n_delivered = 0, since = 0;
	(void)state;

	assert_non_null(source.ring);
	struct exporter *exporter = exporter_start(&(struct exporter_config){
		.rings = &source.ring,
		.n_rings = 1,
		.destinations = &first.destination,
		.n_destinations = 1,
		.sampling_rate = 1,
		.live = true,
	});
	assert_non_null(exporter);
	assert_int_equal(pthread_create(&thread, NULL, make_records, &source), 0);
	for (int i = 0; i < 20; i++) {
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
		// One, both, none, then the other alone and a new first.
		struct destination *both[] = {first.destination, second.destination};
		assert_int_equal(
			exporter_replace(exporter, both, 2, DISTRIBUTE_MIRROR, &n_delivered), 0
		);
		assert_true(n_delivered >= since);
		uint64_t second_since = n_delivered;
		assert_int_equal(
			exporter_replace(
				exporter, &second.destination, 1, DISTRIBUTE_MIRROR, &n_delivered
			),
			0
		);
		assert_int_equal(place_close(&first), n_delivered - since);
		since = second_since;
		first = second;
		second = place_open();
	}
	assert_int_equal(exporter_replace(exporter, NULL, 0, DISTRIBUTE_MIRROR, &n_delivered), 0);
	assert_int_equal(place_close(&first), n_delivered - since);
	atomic_store(&source.stop, true);
	pthread_join(thread, NULL);
	assert_true(source.n > 1000);
	while (!ring_has_room(source.ring, 1)) // of a ring that may be full
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
	push(source.ring, record_mark(RECORD_ORDER_END, 1001 * TICKS_PER_S));
	while (exporter_delivered(exporter) < source.n)
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
	exporter_join(exporter);
	place_close(&second);
	ring_free(source.ring);
}

static void an_exporter_that_hangs_keeps_its_destinations(void **state) {
	struct ring *ring = ring_new(64, sizeof(struct flow_record));
	struct place first = place_open(), second = place_open();
	uint64_t n_delivered;
	char octets[65536];
	int fds[2];
	(void)state;

	// A pipe that is full, so that print waits.
	assert_non_null(ring);
	assert_int_equal(pipe(fds), 0);
	memset(octets, 'x', sizeof(octets));
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	while (write(fds[1], octets, sizeof(octets)) > 0)
		;
	assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
	FILE *out = fdopen(fds[1], "w");
	struct print *print = print_new(PRINT_CSV, out);
	assert_non_null(print);
	struct exporter *exporter = exporter_start(&(struct exporter_config){
		.rings = &ring,
		.n_rings = 1,
		.destinations = &first.destination,
		.n_destinations = 1,
		.print = print,
		.sampling_rate = 1,
		.live = true,
	});
	assert_non_null(exporter);
	push(ring, record_mark(1, 1000 * TICKS_PER_S));
	push(ring, record_of(1));
	push(ring, record_mark(2, 1002 * TICKS_PER_S));
	push(ring, record_of(2)); // now the first is printed
	// Until it has come to that, it may yet take others.
	const struct place *places[] = {&first, &second};
	unsigned now = 0;
	int rc;
	while ((rc = exporter_replace(
			exporter, &places[1 - now]->destination, 1, DISTRIBUTE_MIRROR, &n_delivered
		))
	       == 0)
		now = 1 - now;
	assert_int_equal(rc, -EBUSY);
	push(ring, record_mark(RECORD_ORDER_END, 1003 * TICKS_PER_S));
	close(fds[0]);
	exporter_join(exporter);
	// The second record went to the one that was there before it hung, the first to it or to
	// the other.
	uint64_t n[] = {place_close(&first), place_close(&second)};
	assert_int_equal(n[0] + n[1], 2);
	assert_true(n[now] >= 1);
	print_free(print);
	fclose(out);
	ring_free(ring);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(live_records_wait_for_no_other_ring_and_their_lateness_is_counted),
		cmocka_unit_test(lateness_is_counted_by_the_timeout_that_a_flow_left_by),
		cmocka_unit_test(every_record_goes_to_the_destinations_of_its_time),
		cmocka_unit_test(an_exporter_that_hangs_keeps_its_destinations),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
