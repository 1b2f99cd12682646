// Streams over TCP: sessions, how they end, and what comes after. TLS has a test of its own.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "random.h"
#include "stream_fixture.h"

static uint8_t message[STREAM_MAX_MESSAGE_BYTES];

static void mistakes_in_a_destination_are_told_apart(void **state) {
	static const struct {
		const char *address, *said;
	} cases[] = {
		{"127.0.0.1", "no port"},
		{"127.0.0.1:ipfix", "the port is not a number"},
		{"127.0.0.1:65536", "from 1 to 65535"},
		{"::1:4739", "brackets"},
		{"no..host:4739", "cannot resolve no..host"}, // no name server need be asked
	};
	(void)state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[STREAM_ERROR_BYTES] = "";
		assert_null(stream_open(
			&(struct stream_config){.address = cases[i].address, .name = "tcp://x"},
			error
		));
		if (strstr(error, cases[i].said) == NULL || strstr(error, "tcp://x") == NULL)
			fail_msg("%s: %s", cases[i].address, error);
	}
	stream_close(NULL);
}

static void messages_of_every_size_arrive_whole(void **state) {
	static const size_t sizes[] = {1, 16, 1400, 16384, 16385, 65535};
	uint64_t n = 0, sum = 0;
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_reads_all);
	peer_start(&peer);
	struct stream *stream = open_stream(&(struct stream_config){.address = peer.address});
	assert_int_equal(stream_write(stream, message, 1), -ENOTCONN);
	assert_int_equal(stream_sessions(stream), 0);
	must_connect(stream);
	assert_int_equal(stream_sessions(stream), 1);
	assert_true(stats_of(stream).up);
	for (unsigned i = 0; i < 5 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
		assert_int_equal(stream_write(stream, message, size), 0);
		sum += peer_sum(message, size, n);
		n += size;
	}
	struct stream_stats stats = stats_of(stream);
	assert_int_equal(stats.messages, 30);
	assert_int_equal(stats.octets, n);
	assert_int_equal(stats.attempts, 1);
	assert_int_equal(failures_of(stream), 0);
	stream_close(stream);
	peer_stop(&peer);
	assert_int_equal(peer.octets, n);
	assert_int_equal(peer.sum, sum);
}

static void addresses_are_those_of_the_session(void **state) {
	struct sockaddr_storage source, destination;
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_reads_all);
	peer_start(&peer);
	struct stream *stream = open_stream(&(struct stream_config){.address = peer.address});
	assert_int_equal(stream_addresses(stream, &source, &destination), -ENOTCONN);
	assert_int_equal(source.ss_family, AF_UNSPEC);
	assert_int_equal(
		ntohs(((struct sockaddr_in *)&destination)->sin_port), strtoul(peer.port, NULL, 10)
	);
	must_connect(stream);
	assert_int_equal(stream_addresses(stream, &source, &destination), 0);
	assert_int_equal(source.ss_family, AF_INET);
	assert_int_equal(
		((struct sockaddr_in *)&destination)->sin_addr.s_addr, htonl(INADDR_LOOPBACK)
	);
	stream_close(stream);
	peer_stop(&peer);
}

static void refused_is_told_and_a_collector_that_appears_is_found(void **state) {
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_reads_all);
	struct stream *stream = open_stream(&(struct stream_config){
		.address = peer.address,
		.seed = 1,
	});
	must_fail(stream, STREAM_REFUSED, "connection refused: nobody listens at port");
	assert_false(stats_of(stream).up);
	int64_t begin_ms = now_ms();
	peer_start(&peer);
	must_connect(stream);
	// The first wait is 250 ms at most, and begun already.
	assert_true(now_ms() - begin_ms < 250 * TEST_SLOWNESS);
	assert_int_equal(stats_of(stream).sessions, 1);
	stream_close(stream);
	peer_stop(&peer);
}

// Each wait is at least half of what it is drawn from: 1, 2, 4, 8, ... ms.
static void attempts_become_rare(void **state) {
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_reads_all);
	struct stream *stream = open_stream(&(struct stream_config){
		.address = peer.address,
		.retry_ms = 1,
		.seed = 1,
	});
	int64_t begin_ms = now_ms();
	while (stats_of(stream).attempts < 9)
		assert_int_equal(stream_connect(stream, 10), 0);
	assert_true(now_ms() - begin_ms >= 255 / 2 - 8);
	assert_int_equal(stats_of(stream).failures[STREAM_REFUSED], stats_of(stream).attempts);
	stream_close(stream);
	peer_stop(&peer);
}

// A session that lasted 40 first waits makes the next wait a first one; one that did not, does
// not.
static void a_session_that_lasted_resets_the_wait(void **state) {
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_closes_when_told);
	struct stream *stream = open_stream(&(struct stream_config){
		.address = peer.address,
		.retry_ms = 5,
		.seed = 1,
	});
	while (stats_of(stream).attempts < 8) // the next wait is of 640 ms or more
		assert_int_equal(stream_connect(stream, 10), 0);
	peer_start(&peer);
	must_connect(stream);
	int64_t up_ms = now_ms();
	while (now_ms() - up_ms < 40 * 5 + 1)
		assert_int_equal(stream_connect(stream, 0), 1);
	peer_tell(&peer);
	while (stream_connect(stream, 0) == 1)
		sched_yield();
	int64_t down_ms = now_ms();
	must_connect(stream);
	assert_true(now_ms() - down_ms < 100 * TEST_SLOWNESS);
	assert_int_equal(stream_sessions(stream), 2);
	assert_int_equal(stats_of(stream).failures[STREAM_CLOSED], 1);
	stream_close(stream);
	peer_stop(&peer);
}

static void a_close_is_noticed_while_nothing_is_written(void **state) {
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_closes_when_told);
	peer_start(&peer);
	struct stream *stream = open_stream(&(struct stream_config){
		.address = peer.address,
		.retry_ms = 1,
	});
	must_connect(stream);
	peer_tell(&peer);
	must_fail(stream, STREAM_CLOSED, "closed by the peer");
	must_connect(stream);
	assert_int_equal(stream_sessions(stream), 2);
	assert_int_equal(stream_write(stream, message, 100), 0);
	stream_close(stream);
	peer_stop(&peer);
}

static void a_peer_that_does_not_read_is_given_up(void **state) {
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_waits);
	peer_start(&peer);
	struct stream *stream = open_stream(&(struct stream_config){
		.address = peer.address,
		.stall_ms = 200,
	});
	must_connect(stream);
	int64_t begin_ms = now_ms();
	assert_int_equal(write_until_error(stream, message, sizeof(message)), -ETIMEDOUT);
	assert_true(now_ms() - begin_ms >= 200);
	assert_non_null(strstr(stream_error(stream), "stalled"));
	struct stream_stats stats = stats_of(stream);
	assert_int_equal(stats.failures[STREAM_STALLED], 1);
	assert_int_equal(stats.octets, stats.messages * sizeof(message)); // not the torn one
	assert_false(stats.up);
	assert_int_equal(stream_write(stream, message, 1), -ENOTCONN);
	assert_int_equal(failures_of(stream), 1);
	stream_close(stream);
	peer_stop(&peer);
}

static void a_reset_in_the_middle_ends_the_session_alone(void **state) {
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_resets_in_the_middle);
	peer_start(&peer);
	struct stream *stream = open_stream(&(struct stream_config){
		.address = peer.address,
		.retry_ms = 1,
	});
	must_connect(stream);
	assert_int_equal(write_until_error(stream, message, sizeof(message)), -ECONNRESET);
	assert_non_null(strstr(stream_error(stream), "reset"));
	assert_int_equal(stats_of(stream).failures[STREAM_RESET], 1);
	must_connect(stream);
	assert_int_equal(stream_sessions(stream), 2);
	stream_close(stream);
	peer_stop(&peer);
}

static void what_a_peer_says_is_not_listened_to(void **state) {
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_talks);
	peer_start(&peer);
	struct stream *stream = open_stream(&(struct stream_config){.address = peer.address});
	must_connect(stream);
	for (unsigned i = 0; i < 200 || stats_of(stream).octets_discarded == 0; i++)
		assert_int_equal(stream_write(stream, message, 1000), 0);
	assert_int_equal(failures_of(stream), 0);
	uint64_t sent = stats_of(stream).octets;
	stream_close(stream);
	peer_stop(&peer);
	// Nothing was lost to a reset at the end.
	assert_int_equal(peer.octets, sent);
}

static void a_hundred_sessions_leave_no_file_open(void **state) {
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_reads_all);
	peer_start(&peer);
	unsigned before = n_files();
	for (unsigned i = 0; i < 100; i++) {
		struct stream *stream =
			open_stream(&(struct stream_config){.address = peer.address});
		must_connect(stream);
		assert_int_equal(stream_write(stream, message, 1000), 0);
		stream_close(stream);
	}
	assert_int_equal(n_files(), before);
	peer_stop(&peer);
	assert_int_equal(peer.octets, 100000);
	assert_int_equal(peer.n_connections, 100);
}

static void sessions_of_one_stream_leave_no_file_open(void **state) {
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_closes);
	peer_start(&peer);
	struct stream *stream = open_stream(&(struct stream_config){
		.address = peer.address,
		.retry_ms = 1,
	});
	unsigned before = n_files();
	while (stream_sessions(stream) < 7)
		if (stream_connect(stream, PATIENCE_MS) == 1)
			(void)!stream_write(stream, message, 1);
	assert_true(n_files() <= before + 2); // the last one's two ends
	stream_close(stream);
	peer_stop(&peer);
}

static void an_abort_ends_the_wait_for_the_next_attempt(void **state) {
	struct peer peer;
	pthread_t thread;
	(void)state;

	peer_bind(&peer, peer_reads_all);
	struct stream *stream = open_stream(&(struct stream_config){
		.address = peer.address,
		.retry_ms = 30000,
	});
	assert_int_equal(pthread_create(&thread, NULL, abort_soon, stream), 0);
	int64_t begin_ms = now_ms();
	assert_int_equal(stream_connect(stream, 60000), -ECANCELED);
	assert_true(now_ms() - begin_ms < 10000);
	pthread_join(thread, NULL);
	assert_int_equal(stream_connect(stream, 60000), -ECANCELED);
	stream_close(stream);
	peer_stop(&peer);
}

static void an_abort_ends_the_wait_for_a_peer_that_does_not_read(void **state) {
	struct peer peer;
	pthread_t thread;
	(void)state;

	peer_bind(&peer, peer_waits);
	peer_start(&peer);
	struct stream *stream = open_stream(&(struct stream_config){.address = peer.address});
	must_connect(stream);
	assert_int_equal(pthread_create(&thread, NULL, abort_soon, stream), 0);
	assert_int_equal(write_until_error(stream, message, sizeof(message)), -ECANCELED);
	pthread_join(thread, NULL);
	assert_false(stats_of(stream).up);
	stream_close(stream);
	peer_stop(&peer);
}

static void an_aborted_session_still_takes_what_needs_no_waiting(void **state) {
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_reads_all);
	peer_start(&peer);
	struct stream *stream = open_stream(&(struct stream_config){.address = peer.address});
	must_connect(stream);
	stream_abort(stream);
	assert_int_equal(stream_connect(stream, PATIENCE_MS), 1);
	assert_int_equal(stream_write(stream, message, 1000), 0);
	// It does not wait for the peer to take its leave, so the test does.
	stream_close(stream);
	for (int64_t until_ms = now_ms() + PATIENCE_MS; peer.octets < 1000 && now_ms() < until_ms;)
		sched_yield();
	peer_stop(&peer);
	assert_int_equal(peer.octets, 1000);
}

// localhost is 127.0.0.1 and, with most systems, ::1 too, where nobody listens.
static void a_name_is_looked_up_and_its_addresses_tried_in_turn(void **state) {
	char address[32];
	struct peer peer;
	(void)state;

	peer_bind(&peer, peer_closes);
	peer_start(&peer);
	snprintf(address, sizeof(address), "localhost:%s", peer.port);
	struct stream *stream = open_stream(&(struct stream_config){
		.address = address,
		.retry_ms = 1,
	});
	assert_true(stream_needs_names(stream));
	must_connect(stream);
	assert_int_equal(stream_write(stream, message, 1), 0);
	while (stream_sessions(stream) < 2)
		assert_true(stream_connect(stream, 10) >= 0);
	assert_non_null(strstr(stream_error(stream), "127.0.0.1: closed by the peer"));
	stream_close(stream);
	// One that is in the middle of a lookup.
	stream = open_stream(&(struct stream_config){.address = address});
	assert_true(stream_connect(stream, 0) >= 0);
	stream_close(stream);
	peer_stop(&peer);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_in_a_destination_are_told_apart),
		cmocka_unit_test(messages_of_every_size_arrive_whole),
		cmocka_unit_test(addresses_are_those_of_the_session),
		cmocka_unit_test(refused_is_told_and_a_collector_that_appears_is_found),
		cmocka_unit_test(attempts_become_rare),
		cmocka_unit_test(a_session_that_lasted_resets_the_wait),
		cmocka_unit_test(a_close_is_noticed_while_nothing_is_written),
		cmocka_unit_test(a_peer_that_does_not_read_is_given_up),
		cmocka_unit_test(a_reset_in_the_middle_ends_the_session_alone),
		cmocka_unit_test(what_a_peer_says_is_not_listened_to),
		cmocka_unit_test(a_hundred_sessions_leave_no_file_open),
		cmocka_unit_test(sessions_of_one_stream_leave_no_file_open),
		cmocka_unit_test(an_abort_ends_the_wait_for_the_next_attempt),
		cmocka_unit_test(an_abort_ends_the_wait_for_a_peer_that_does_not_read),
		cmocka_unit_test(an_aborted_session_still_takes_what_needs_no_waiting),
		cmocka_unit_test(a_name_is_looked_up_and_its_addresses_tried_in_turn),
	};
	struct random random = {1};

	random_fill(&random, message, sizeof(message));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
