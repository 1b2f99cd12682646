// A collector's socket: destinations and their mistakes, what is sent, what is lost and why.

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "collector.h"
#include "netflow9_decode.h"

#define NOW_MS INT64_C(1795000000000)

static struct collector *open_collector(const char *destination, uint32_t rate, char *error) {
	return collector_open(
		&(struct collector_config){
			.destination = destination,
			.encoder =
				{
					.source_id = 7,
					.template_interval_ms = 30000,
					.template_packets = 4800,
					.sampling_interval = 1,
				},
			.rate = {rate, PACER_DATAGRAMS},
			.wait = true,
		},
		error
	);
}

// A UDP socket on loopback; `destination` (64 octets) says where.
static int listen_on(int family, char *destination) {
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *address = family == AF_INET6 ? (void *)&six : (void *)&four;
	socklen_t bytes = family == AF_INET6 ? sizeof(six) : sizeof(four);
	int fd = socket(family, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, address, bytes), 0);
	assert_int_equal(getsockname(fd, address, &bytes), 0);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5}, 16), 0
	);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4 << 20}, sizeof(int));
	if (family == AF_INET6)
		snprintf(destination, 64, "[::1]:%u", ntohs(six.sin6_port));
	else
		snprintf(destination, 64, "127.0.0.1:%u", ntohs(four.sin_port));
	return fd;
}

static void add(struct collector *collector, unsigned n) {
	struct flow_record record = {
		.first_ticks = (uint64_t)NOW_MS * TICKS_PER_MS,
		.last_ticks = (uint64_t)NOW_MS * TICKS_PER_MS,
		.packets = 1,
		.octets = 40,
		.in_if = 1,
		.end = FLOW_END_IDLE,
	};
	record.key.family = FLOW_IPV4;
	while (n-- > 0)
		collector_add(collector, &record, 1, NOW_MS);
}

static void check_balance(const struct collector_stats *stats) {
	assert_int_equal(
		stats->records,
		stats->records_sent + stats->lost_full + stats->lost_refused
			+ stats->lost_unreachable + stats->lost_other
	);
}

static void mistakes_in_a_destination_are_told_apart(void **state) {
	(void)state;
	static const struct {
		const char *destination, *said;
	} cases[] = {
		{"127.0.0.1", "no port"},
		{"127.0.0.1:", "the port is not a number"},
		{"127.0.0.1:netflow", "the port is not a number"},
		{"127.0.0.1:-1", "the port is not a number"},
		{"127.0.0.1:2055x", "the port is not a number"},
		{"127.0.0.1:0", "from 1 to 65535"},
		{"127.0.0.1:65536", "from 1 to 65535"},
		{"127.0.0.1:99999999999999999999", "from 1 to 65535"},
		{":2055", "no host"},
		{"[]:2055", "no host"},
		{"::1:2055", "brackets"},
		{"[::1]", "not [ADDRESS]:PORT"},
		{"[::1:2055", "not [ADDRESS]:PORT"},
		{"no-such-host.invalid:2055", "cannot resolve no-such-host.invalid"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[COLLECTOR_ERROR_BYTES] = "";
		assert_null(open_collector(cases[i].destination, 0, error));
		if (strstr(error, cases[i].said) == NULL || strchr(error, '\n') != NULL)
			fail_msg("%s: %s", cases[i].destination, error);
		assert_non_null(strstr(error, cases[i].destination));
	}
	collector_close(NULL);
}

static void a_name_as_long_as_memory_allows_is_refused(void **state) {
	(void)state;
	char destination[4096], error[COLLECTOR_ERROR_BYTES];
	memset(destination, 'a', sizeof(destination));
	strcpy(destination + sizeof(destination) - 6, ":2055");
	assert_null(open_collector(destination, 0, error));
	assert_true(strlen(error) < sizeof(error));
}

static void records_arrive(int family, unsigned most_octets) {
	char destination[64], error[COLLECTOR_ERROR_BYTES];
	struct decoder decoder = {0};
	uint8_t datagram[65536];
	struct collector_stats stats;
	int fd = listen_on(family, destination);
	struct collector *collector = open_collector(destination, 0, error);

	assert_non_null(collector);
	assert_string_equal(collector_name(collector), destination);
	add(collector, 1000);
	collector_flush(collector, NOW_MS);
	while (decoder.n_records < 1000) {
		ssize_t n = recv(fd, datagram, sizeof(datagram), 0);
		assert_true(n > 0);
		assert_true(n <= most_octets);
		const char *wrong = decode_datagram(&decoder, datagram, (size_t)n);
		if (wrong != NULL)
			fail_msg("%s", wrong);
	}
	collector_stats(collector, &stats);
	assert_int_equal(stats.records, 1000);
	assert_int_equal(stats.records_sent, 1000);
	assert_int_equal(stats.datagrams_sent, decoder.n_datagrams);
	assert_int_equal(stats.refusals, 0);
	check_balance(&stats);
	decoder_free(&decoder);
	collector_close(collector);
	close(fd);
}

static void records_arrive_over_ipv4(void **state) {
	(void)state;
	records_arrive(AF_INET, 1400);
}

static void datagrams_over_ipv6_fit_its_least_mtu(void **state) {
	(void)state;
	records_arrive(AF_INET6, 1232);
}

static void nobody_listening_is_noticed_and_the_next_gets_templates(void **state) {
	(void)state;
	char destination[64], error[COLLECTOR_ERROR_BYTES];
	struct collector_stats stats;
	struct decoder decoder = {0};
	uint8_t datagram[2048];
	int fd = listen_on(AF_INET, destination);
	struct sockaddr_in address;
	socklen_t bytes = sizeof(address);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	close(fd);

	struct collector *collector = open_collector(destination, 0, error);
	assert_non_null(collector);
	add(collector, 3);
	collector_flush(collector, NOW_MS);
	collector_stats(collector, &stats);
	// One datagram is enough to know.
	assert_int_equal(stats.refusals, 1);
	add(collector, 200);
	collector_flush(collector, NOW_MS);
	collector_stats(collector, &stats);
	assert_true(stats.refusals > 1);
	check_balance(&stats);

	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5}, 16);
	add(collector, 3);
	collector_flush(collector, NOW_MS);
	ssize_t n = recv(fd, datagram, sizeof(datagram), 0);
	assert_true(n > 0);
	assert_null(decode_datagram(&decoder, datagram, (size_t)n));
	assert_int_equal(decoder.n_with_templates, 1);
	assert_int_equal(decoder.n_records, 3);
	decoder_free(&decoder);
	collector_close(collector);
	close(fd);
}

static void no_route_is_an_error_at_start(void **state) {
	(void)state;
	char error[COLLECTOR_ERROR_BYTES];
	// A multicast scope without an interface can be reached from nowhere.
	assert_null(open_collector("[fe80::1]:2055", 0, error));
	assert_non_null(strstr(error, "cannot be reached from here"));
}

static void datagrams_leave_no_faster_than_the_rate(void **state) {
	(void)state;
	char destination[64], error[COLLECTOR_ERROR_BYTES];
	struct collector_stats stats;
	struct timespec begin, end;
	int fd = listen_on(AF_INET, destination);
	struct collector *collector = open_collector(destination, 1000, error);

	assert_non_null(collector);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	add(collector, 19 * 100);
	collector_flush(collector, NOW_MS);
	clock_gettime(CLOCK_MONOTONIC, &end);
	collector_stats(collector, &stats);
	double seconds =
		(double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
	// The first two bursts may leave at once.
	assert_true(stats.datagrams_sent >= 96);
	assert_true(seconds >= ((double)stats.datagrams_sent - 48) / 1000);
	collector_close(collector);
	close(fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_in_a_destination_are_told_apart),
		cmocka_unit_test(a_name_as_long_as_memory_allows_is_refused),
		cmocka_unit_test(records_arrive_over_ipv4),
		cmocka_unit_test(datagrams_over_ipv6_fit_its_least_mtu),
		cmocka_unit_test(nobody_listening_is_noticed_and_the_next_gets_templates),
		cmocka_unit_test(no_route_is_an_error_at_start),
		cmocka_unit_test(datagrams_leave_no_faster_than_the_rate),
	};
	return cmocka_run_group_tests_name("collector", tests, NULL, NULL);
}
