// Destinations: each by itself, whatever another does; what is shared out, what is waited for and
// what is lost. The other ends are sockets of the test, on loopback.

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
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
#include "destination.h"
#include "netflow9_decode.h"
#include "pacer.h"
#include "trouble.h"
#include "wire.h"

#define NOW_MS INT64_C(1795000000000)

enum {
	WAIT_MS = 20000, // for what comes at once on a machine with nothing else to do
};

// Where messages of destinations go.
static struct {
	atomic_uint n_bad, n_good;
	char last[512];
} heard;
static pthread_mutex_t hearing = PTHREAD_MUTEX_INITIALIZER;

static void on_message(const char *message, bool bad, void *arg) {
	(void)arg;
	pthread_mutex_lock(&hearing);
	snprintf(heard.last, sizeof(heard.last), "%s", message);
	pthread_mutex_unlock(&hearing);
	atomic_fetch_add(bad ? &heard.n_bad : &heard.n_good, 1);
}

static int forget(void **state) {
	(void)state;
	memset(&heard, 0, sizeof(heard));
	return 0;
}

// A socket of loopback and what to call it, with `scheme` before it.
static int listen_on(int type, const char *scheme, char *name, uint16_t port) {
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, type, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4 << 20}, sizeof(int));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	snprintf(name, 64, "%s127.0.0.1:%u", scheme, ntohs(address.sin_port));
	return fd;
}

static uint16_t port_of(const char *name) {
	return (uint16_t)strtoul(strrchr(name, ':') + 1, NULL, 10);
}

static struct destination_config config_of(const char *name, bool live) {
	return (struct destination_config){
		.collector =
			{
				.destination = name,
				.encoder =
					{
						.source_id = 7,
						.template_interval_ms = 30000,
						.template_packets = 4800,
						.sampling_interval = 1,
					},
				.on_message = on_message,
			},
		.live = live,
	};
}

static struct destination *open_with(const struct destination_config *config) {
	char error[COLLECTOR_ERROR_BYTES];
	struct destination *destination = destination_open(config, error);
	if (destination == NULL)
		fail_msg("%s", error);
	return destination;
}

static struct destination *open_to(const char *name, bool live) {
	struct destination_config config = config_of(name, live);
	return open_with(&config);
}

static struct flow_record record_of(unsigned client, bool reply) {
	struct flow_record record = {
		.first_ticks = (uint64_t)NOW_MS * TICKS_PER_MS,
		.last_ticks = (uint64_t)NOW_MS * TICKS_PER_MS,
		.packets = 1,
		.octets = client,
		.in_if = 1,
		.end = FLOW_END_IDLE,
	};
	uint8_t ends[2][4] = {{10, 0, 0, 1}, {192, 0, 2, 1}};
	uint16_t ports[2] = {rte_cpu_to_be_16((uint16_t)(1024 + client)), rte_cpu_to_be_16(443)};

	record.key.family = FLOW_IPV4;
	record.key.proto = 6;
	memcpy(record.key.src4, ends[reply], 4);
	memcpy(record.key.dst4, ends[!reply], 4);
	record.key.src_port = ports[reply];
	record.key.dst_port = ports[!reply];
	return record;
}

// Records of so many clients from `first` on.
static void give(struct destination *destination, unsigned first, unsigned n, int64_t now_ms) {
	for (unsigned i = 0; i < n; i++) {
		struct flow_record record = record_of(first + i, false);
		destination_add(destination, &record, 1, now_ms);
	}
}

static void finish(struct destination *destination, struct destination_stats *stats) {
	destination_end(destination);
	destination_stop(destination);
	destination_stats(destination, stats);
	const struct collector_stats *collector = &stats->collector;
	assert_int_equal(
		stats->records,
		stats->lost_queue + stats->lost_stopped + collector->records_sent
			+ collector->lost_full + collector->lost_refused
			+ collector->lost_unreachable + collector->lost_session
			+ collector->lost_untold + collector->lost_other
	);
	destination_close(destination);
}

static bool is_readable(int fd, int wait_ms) {
	return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, wait_ms) == 1;
}

// The next datagram; nothing that does not decode is taken.
static void take(int fd, struct decoder *decoder) {
	uint8_t datagram[65536];

	assert_true(is_readable(fd, WAIT_MS));
	ssize_t n = recv(fd, datagram, sizeof(datagram), 0);
	assert_true(n > 0);
	const char *wrong = decode_datagram(decoder, datagram, (size_t)n);
	if (wrong != NULL)
		fail_msg("%s", wrong);
}

static void take_records(int fd, struct decoder *decoder, size_t n) {
	while (decoder->n_records < n)
		take(fd, decoder);
	assert_int_equal(decoder->n_records, n);
}

static void wait_for(atomic_uint *counter) {
	for (unsigned i = 0; i < WAIT_MS && atomic_load(counter) == 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
	assert_true(atomic_load(counter) > 0);
}

static void a_good_one_gets_all_beside_a_dead_and_a_slow_one(void **state) {
	char names[3][64];
	struct decoder decoder = {0};
	struct destination *all[3];
	struct destination_stats stats;
	(void)state;

	int good = listen_on(SOCK_DGRAM, "", names[0], 0);
	int slow = listen_on(SOCK_DGRAM, "", names[1], 0);
	close(listen_on(SOCK_DGRAM, "", names[2], 0));
	all[0] = open_to(names[0], true);
	struct destination_config one_a_second = config_of(names[1], true);
	one_a_second.collector.rate = (struct pacer_rate){1, PACER_DATAGRAMS};
	one_a_second.queue_records = 1024;
	all[1] = open_with(&one_a_second);
	all[2] = open_to(names[2], true);

	for (unsigned i = 0; i < 5000; i++) {
		struct flow_record record = record_of(i, false);
		destination_distribute(all, 3, DISTRIBUTE_MIRROR, &record, 1, NOW_MS + i);
	}
	for (unsigned i = 0; i < 3; i++)
		destination_tick(all[i], NOW_MS + 10000);
	// All of it, while the slow one has hardly begun.
	take_records(good, &decoder, 5000);
	destination_stats(all[1], &stats);
	assert_int_equal(stats.records, 5000);
	assert_true(stats.lost_queue > 0);
	assert_true(stats.collector.records_sent < 1000);

	finish(all[0], &stats);
	assert_int_equal(stats.collector.records_sent, 5000);
	finish(all[1], &stats);
	assert_true(stats.lost_stopped > 0);
	finish(all[2], &stats);
	assert_true(stats.collector.refusals > 0);
	decoder_free(&decoder);
	close(good);
	close(slow);
}

static void both_directions_of_a_conversation_go_to_the_same_one(void **state) {
	enum { CLIENTS = 1000 };
	char names[2][64];
	struct decoder decoders[2] = {0};
	struct destination *all[2];
	struct destination_stats stats;
	uint8_t where[CLIENTS + 1] = {0}; // bit n: destination n has seen it
	size_t n_seen = 0;
	int fds[2];
	(void)state;

	for (unsigned i = 0; i < 2; i++) {
		fds[i] = listen_on(SOCK_DGRAM, "", names[i], 0);
		all[i] = open_to(names[i], false);
	}
	for (unsigned i = 1; i <= CLIENTS; i++)
		for (unsigned reply = 0; reply < 2; reply++) {
			struct flow_record record = record_of(i, reply);
			destination_distribute(all, 2, DISTRIBUTE_BALANCE, &record, 1, NOW_MS);
		}
	for (unsigned i = 0; i < 2; i++) {
		finish(all[i], &stats);
		// Halves, as far as chance has it.
		assert_in_range(stats.records, CLIENTS * 2 * 4 / 10, CLIENTS * 2 * 6 / 10);
		take_records(fds[i], &decoders[i], stats.records);
		for (size_t j = 0; j < decoders[i].n_records; j++)
			where[decoders[i].records[j].values[1]] |= (uint8_t)(1u << i);
		n_seen += decoders[i].n_records;
		decoder_free(&decoders[i]);
		close(fds[i]);
	}
	assert_int_equal(n_seen, 2 * CLIENTS);
	for (unsigned i = 1; i <= CLIENTS; i++)
		assert_true(where[i] == 1 || where[i] == 2);
	// The secret is fixed: these go where they went in every run before.
	struct flow_record record = record_of(1, false);
	assert_int_equal(flow_key_worker(&record.key, &flow_secret_fixed, 2), where[1] - 1);
}

// All octets that arrive, as one number.
static uint64_t checksum_of(int fd, size_t n_datagrams) {
	uint8_t datagram[65536];
	uint64_t checksum = 0;

	for (size_t i = 0; i < n_datagrams; i++) {
		assert_true(is_readable(fd, WAIT_MS));
		ssize_t n = recv(fd, datagram, sizeof(datagram), 0);
		for (ssize_t j = 0; j < n; j++)
			checksum = (checksum ^ datagram[j]) * UINT64_C(0x100000001b3);
		checksum = (checksum ^ (uint64_t)n) * UINT64_C(0x100000001b3);
	}
	return checksum;
}

static void a_replay_sends_the_same_octets_to_one_and_to_two(void **state) {
	uint64_t checksums[4];
	unsigned n = 0;
	(void)state;

	// A queue of a few slots too, which is waited for most of the time.
	for (unsigned round = 0; round < 3; round++) {
		unsigned n_destinations = round == 1 ? 2 : 1;
		struct destination *all[2];
		char names[2][64];
		int fds[2];
		for (unsigned i = 0; i < n_destinations; i++) {
			fds[i] = listen_on(SOCK_DGRAM, "", names[i], 0);
			struct destination_config config = config_of(names[i], false);
			config.queue_records = round == 2 ? 4 : 0;
			all[i] = open_with(&config);
		}
		for (unsigned i = 0; i < 8000; i++) {
			struct flow_record record = record_of(i, false);
			int64_t now_ms = NOW_MS + i / 10 * 7;
			if (i % 3 == 0)
				record.key.family = FLOW_IPV6;
			destination_distribute(
				all, n_destinations, DISTRIBUTE_MIRROR, &record, 1, now_ms
			);
			if (i % 500 == 0)
				for (unsigned j = 0; j < n_destinations; j++)
					destination_tick(all[j], now_ms + 3000);
		}
		for (unsigned i = 0; i < n_destinations; i++) {
			struct destination_stats stats;
			finish(all[i], &stats);
			assert_int_equal(stats.collector.records_sent, 8000);
			checksums[n++] = checksum_of(fds[i], stats.collector.datagrams_sent);
			close(fds[i]);
		}
	}
	for (unsigned i = 1; i < n; i++)
		assert_true(checksums[i] == checksums[0]);
}

static void a_record_leaves_when_it_has_waited_a_second_and_not_before(void **state) {
	char name[64];
	struct decoder decoder = {0};
	struct destination_stats stats;
	(void)state;

	int fd = listen_on(SOCK_DGRAM, "", name, 0);
	struct destination *destination = open_to(name, true);
	give(destination, 1, 3, NOW_MS);
	destination_tick(destination, NOW_MS + 999);
	give(destination, 4, 1, NOW_MS + 999);
	// There is no event for what does not happen: it has not by now.
	assert_false(is_readable(fd, 20));
	destination_tick(destination, NOW_MS + 1000);
	take(fd, &decoder);
	assert_int_equal(decoder.n_records, 4);
	// A clock that goes back lets out what belongs before.
	give(destination, 5, 1, NOW_MS + 5000);
	destination_tick(destination, NOW_MS);
	take(fd, &decoder);
	assert_int_equal(decoder.n_records, 5);
	finish(destination, &stats);
	assert_int_equal(stats.collector.datagrams_sent, 2);
	decoder_free(&decoder);
	close(fd);
}

static void what_finds_no_room_live_is_lost_counted_and_told_once(void **state) {
	char name[64];
	struct destination_stats stats;
	(void)state;

	int fd = listen_on(SOCK_DGRAM, "", name, 0);
	struct destination_config config = config_of(name, true);
	config.collector.rate = (struct pacer_rate){1, PACER_RECORDS};
	config.queue_records = 64;
	struct destination *destination = open_with(&config);
	give(destination, 1, 20000, NOW_MS);
	destination_stats(destination, &stats);
	assert_true(stats.lost_queue >= 20000 - 64 - 2 * 32 * 20);
	assert_int_equal(atomic_load(&heard.n_bad), 1);
	assert_non_null(strstr(heard.last, "falls behind"));
	assert_non_null(strstr(heard.last, name));
	finish(destination, &stats);
	close(fd);
}

static void a_stop_hurries_and_loses_nothing_that_it_has_time_for(void **state) {
	char name[64];
	struct decoder decoder = {0};
	struct destination_stats stats;
	(void)state;

	int fd = listen_on(SOCK_DGRAM, "", name, 0);
	struct destination_config config = config_of(name, true);
	// Days, without the hurry; and the queue is too short for what comes.
	config.collector.rate = (struct pacer_rate){1, PACER_BITS};
	config.queue_records = 256;
	struct destination *destination = open_with(&config);
	destination_hurry(destination, 3000, 60 * NS_PER_S);
	destination_hurry(destination, 300000, 60 * NS_PER_S);
	give(destination, 1, 3000, NOW_MS);
	finish(destination, &stats);
	assert_int_equal(stats.lost_queue, 0);
	assert_int_equal(stats.collector.records_sent, 3000);
	take_records(fd, &decoder, 3000);
	decoder_free(&decoder);
	close(fd);
}

// The first message of a session: its sequence begins at 0, and templates come before all else.
static void take_first_message(int fd) {
	static uint8_t message[65536];

	assert_true(is_readable(fd, WAIT_MS));
	assert_int_equal(recv(fd, message, 16, MSG_WAITALL), 16);
	assert_int_equal(wire_get16(message), 10);
	ssize_t rest = wire_get16(message + 2) - 16;
	assert_true(rest > 4);
	assert_int_equal(recv(fd, message + 16, (size_t)rest, MSG_WAITALL), rest);
	assert_int_equal(wire_get32(message + 8), 0);
	assert_int_equal(wire_get16(message + 16), 2);
}

static void each_session_begins_with_templates_and_a_sequence_of_its_own(void **state) {
	char name[64];
	struct destination_stats stats;
	(void)state;

	int listener = listen_on(SOCK_STREAM, "ipfix+tcp://", name, 0);
	struct destination_config config = config_of(name, true);
	config.collector.retry_ms = 10;
	struct destination *destination = open_with(&config);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(is_readable(listener, WAIT_MS));
		int fd = accept(listener, NULL, NULL);
		assert_true(fd >= 0);
		give(destination, 1, 3, NOW_MS + i * 5000);
		destination_tick(destination, NOW_MS + i * 5000 + 1000);
		take_first_message(fd);
		// The reset is noticed before there is anything to send.
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, 8);
		close(fd);
	}
	wait_for(&heard.n_good);
	finish(destination, &stats);
	assert_true(stats.collector.sessions >= 3);
	assert_int_equal(stats.collector.records_sent + stats.lost_stopped, 9);
	close(listener);
}

static void a_peer_that_stalls_holds_no_stop_up_and_its_records_are_counted(void **state) {
	char name[64];
	struct destination_stats stats;
	(void)state;

	// Accepted by the kernel, read by nobody.
	int listener = listen_on(SOCK_STREAM, "ipfix+tcp://", name, 0);
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
	struct destination *destination = open_to(name, true);
	give(destination, 1, 200000, NOW_MS);
	destination_hurry(destination, 0, NS_PER_S / 5);
	give(destination, 1, 200000, NOW_MS + 1);
	finish(destination, &stats);
	assert_int_equal(stats.records, 400000);
	assert_true(stats.lost_stopped > 0);
	assert_true(stats.lost_queue > 0);
	close(listener);
}

static void a_replay_gives_a_session_up_and_counts_what_it_would_have_sent(void **state) {
	char name[64];
	struct destination_stats stats;
	(void)state;

	close(listen_on(SOCK_STREAM, "ipfix+tcp://", name, 0));
	struct destination_config config = config_of(name, false);
	config.collector.give_up_ms = 100;
	config.collector.retry_ms = 10;
	struct destination *destination = open_with(&config);
	give(destination, 1, 10000, NOW_MS); // more than the queue holds
	finish(destination, &stats);
	assert_int_equal(stats.collector.lost_session, 10000);
	assert_true(stats.collector.gave_up);
	assert_int_equal(atomic_load(&heard.n_bad), 1);
	assert_non_null(strstr(heard.last, "no session"));
}

static void a_collector_that_comes_back_gets_templates_first(void **state) {
	char name[64];
	struct decoder decoder = {0};
	struct destination_stats stats;
	(void)state;

	int fd = listen_on(SOCK_DGRAM, "", name, 0);
	struct destination *destination = open_to(name, true);
	give(destination, 1, 1, NOW_MS);
	destination_tick(destination, NOW_MS + 1000);
	take(fd, &decoder);
	decoder_free(&decoder);
	close(fd);
	// One datagram goes nowhere; the answer to it tells.
	give(destination, 2, 1, NOW_MS + 2000);
	destination_tick(destination, NOW_MS + 3000);
	wait_for(&heard.n_bad);
	assert_non_null(strstr(heard.last, "nobody listens"));

	fd = listen_on(SOCK_DGRAM, "", name, port_of(name));
	decoder = (struct decoder){0};
	destination_tick(destination, NOW_MS + 3500);
	give(destination, 3, 1, NOW_MS + 3500);
	destination_tick(destination, NOW_MS + 4500);
	uint8_t datagram[2048];
	assert_true(is_readable(fd, WAIT_MS));
	ssize_t n = recv(fd, datagram, sizeof(datagram), 0);
	decoder.next_sequence = wire_get32(datagram + 12);
	assert_null(decode_datagram(&decoder, datagram, (size_t)n));
	assert_int_equal(decoder.n_with_templates, 1);
	assert_int_equal(decoder.n_records, 1);
	finish(destination, &stats);
	assert_int_equal(stats.collector.refusals, 1);
	decoder_free(&decoder);
	close(fd);
}

static void rates_are_kept_in_every_unit(void **state) {
	static const struct {
		struct pacer_rate rate;
		double per_datagram;
	} cases[] = {
		{{20000, PACER_DATAGRAMS}, 1},
		{{500000, PACER_RECORDS}, 20},
		{{100000000, PACER_BITS}, 1384 * 8},
		{{10, PACER_DATAGRAMS}, 1},
		{{100, PACER_RECORDS}, 20},
	};
	const struct pacer_cost each = {1, 20, 1384};
	(void)state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pacer pacer = {.rate = cases[i].rate, .catch_up_ns = NS_PER_MS};
		double per_s = (double)cases[i].rate.per_s / cases[i].per_datagram;
		time_ns_t begun_ns = 1000 * NS_PER_S, now_ns = begun_ns;
		unsigned n_sent = 0, most = 0;
		// Each sleep takes 70 us more than it should, as they do.
		while (now_ns < begun_ns + 100 * NS_PER_S) {
			unsigned n = pacer_burst(&pacer, 32, &each);
			struct pacer_cost cost = {n, 20 * n, 1384 * n};
			time_ns_t leaves_ns = pacer_take(&pacer, now_ns, &cost);
			if (leaves_ns > now_ns)
				now_ns = leaves_ns + 70 * NS_PER_US;
			n_sent += n;
			most = n > most ? n : most;
		}
		assert_true(n_sent > per_s * 100 * 0.95 && n_sent < per_s * 100 * 1.05 + 2);
		assert_true(most <= 16);
	}
}

static void without_a_rate_nothing_waits(void **state) {
	const struct pacer_cost each = {1, 20, 1384};
	struct pacer pacer = {0};
	(void)state;

	assert_int_equal(pacer_burst(&pacer, 32, &each), 32);
	assert_int_equal(pacer_take(&pacer, 5, &each), 5);
}

static void a_trouble_is_told_when_it_begins_and_when_it_is_over(void **state) {
	struct troubles troubles = {.name = "there:2055", .on_message = on_message};
	time_ns_t now_ns = 500 * NS_PER_S;
	(void)state;

	trouble_seen(&troubles, TROUBLE_UNREACHABLE, now_ns, 5, "No route to host");
	assert_string_equal(
		heard.last,
		"collector there:2055: cannot be reached; check the route to it (No route to host)"
	);
	trouble_seen(&troubles, TROUBLE_UNREACHABLE, now_ns + 4 * NS_PER_S, 6, NULL);
	// It comes and goes, which is no end.
	trouble_tick(&troubles, now_ns + 8 * NS_PER_S);
	assert_int_equal(heard.n_bad, 1);
	assert_int_equal(heard.n_good, 0);
	assert_int_equal(
		trouble_lasts(&troubles, TROUBLE_UNREACHABLE, now_ns + 8 * NS_PER_S), 8 * NS_PER_S
	);
	trouble_tick(&troubles, now_ns + 9 * NS_PER_S);
	assert_string_equal(
		heard.last,
		"collector there:2055: can be reached again, after 9 s; 11 records were lost"
	);
	// Again within the minute: neither is told. Another kind is.
	trouble_seen(&troubles, TROUBLE_UNREACHABLE, now_ns + 20 * NS_PER_S, 1, NULL);
	trouble_seen(&troubles, TROUBLE_FULL, now_ns + 20 * NS_PER_S, 1, NULL);
	trouble_tick(&troubles, now_ns + 30 * NS_PER_S);
	assert_int_equal(heard.n_bad, 2);
	assert_int_equal(heard.n_good, 2);
	trouble_seen(&troubles, TROUBLE_UNREACHABLE, now_ns + 61 * NS_PER_S, 1, NULL);
	assert_int_equal(heard.n_bad, 3);
	// A session ends by its own word alone.
	trouble_seen(&troubles, TROUBLE_SESSION, now_ns, 0, NULL);
	trouble_tick(&troubles, now_ns + 1000 * NS_PER_S);
	assert_true(trouble_lasts(&troubles, TROUBLE_SESSION, now_ns + 1000 * NS_PER_S) > 0);
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_good_one_gets_all_beside_a_dead_and_a_slow_one),
		TEST(both_directions_of_a_conversation_go_to_the_same_one),
		TEST(a_replay_sends_the_same_octets_to_one_and_to_two),
		TEST(a_record_leaves_when_it_has_waited_a_second_and_not_before),
		TEST(what_finds_no_room_live_is_lost_counted_and_told_once),
		TEST(a_stop_hurries_and_loses_nothing_that_it_has_time_for),
		TEST(each_session_begins_with_templates_and_a_sequence_of_its_own),
		TEST(a_peer_that_stalls_holds_no_stop_up_and_its_records_are_counted),
		TEST(a_replay_gives_a_session_up_and_counts_what_it_would_have_sent),
		TEST(a_collector_that_comes_back_gets_templates_first),
		TEST(rates_are_kept_in_every_unit),
		TEST(without_a_rate_nothing_waits),
		TEST(a_trouble_is_told_when_it_begins_and_when_it_is_over),
	};
	return cmocka_run_group_tests_name("destination", tests, NULL, NULL);
}
