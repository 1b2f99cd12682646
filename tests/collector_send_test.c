// How a collector hands runs of datagrams to the kernel, against a kernel that the test plays:
// sendmsg() here takes the place of the C library's, cuts segments as udp(7) says, and fails
// when it is told to.

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "collector.h"
#include "netflow9_decode.h"
#include "wire.h"

#define NOW_MS INT64_C(1795000000000)

enum {
	MAX_CALLS = 4096,
	UNHEARD_PORT = 9, // nothing goes there: the kernel that is asked is this one
};

// What the kernel of these tests did, and what it is to do.
static struct {
	bool real;             // pass calls on to Linux
	int errors[MAX_CALLS]; // of each call to come, 0 = takes it
	int segment_error;     // of every call with several segments
	unsigned n_calls, n_segmented_calls;
	unsigned most_segments;
	uint32_t n_missing; // datagrams that those it took left out, by their sequence

	struct decoder decoder; // of what it took
	uint8_t *octets;        // of the same, with the length before each datagram
	size_t n_octets, capacity;
} kernel;

static void take_datagram(const uint8_t *datagram, size_t bytes) {
	uint32_t sequence = wire_get32(datagram + 12);

	// Lost datagrams leave a gap in the sequence, for the collector to see.
	assert_true(sequence >= kernel.decoder.next_sequence);
	kernel.n_missing += sequence - kernel.decoder.next_sequence;
	kernel.decoder.next_sequence = sequence;
	const char *wrong = decode_datagram(&kernel.decoder, datagram, bytes);
	if (wrong != NULL)
		fail_msg("datagram %lu: %s", kernel.decoder.n_datagrams, wrong);
	if (kernel.n_octets + sizeof(bytes) + bytes > kernel.capacity) {
		kernel.capacity = 2 * kernel.capacity + sizeof(bytes) + bytes;
		kernel.octets = realloc(kernel.octets, kernel.capacity);
		assert_non_null(kernel.octets);
	}
	memcpy(kernel.octets + kernel.n_octets, &bytes, sizeof(bytes));
	memcpy(kernel.octets + kernel.n_octets + sizeof(bytes), datagram, bytes);
	kernel.n_octets += sizeof(bytes) + bytes;
}

// udp(7), UDP_SEGMENT.
static size_t segment_bytes(const struct msghdr *message) {
	const struct cmsghdr *control = CMSG_FIRSTHDR(message);
	uint16_t bytes;

	if (control == NULL)
		return 0;
	assert_int_equal(control->cmsg_level, IPPROTO_UDP);
	assert_int_equal(control->cmsg_type, UDP_SEGMENT);
	assert_int_equal(control->cmsg_len, CMSG_LEN(sizeof(bytes)));
	memcpy(&bytes, CMSG_DATA(control), sizeof(bytes));
	return bytes;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
	size_t each = segment_bytes(message);
	size_t bytes = message->msg_iov->iov_len;
	const uint8_t *octets = message->msg_iov->iov_base;

	assert_int_equal(message->msg_iovlen, 1);
	assert_true(bytes > 0 && bytes <= 65507);
	assert_true(kernel.n_calls < MAX_CALLS);
	int error = kernel.errors[kernel.n_calls++];
	if (each > 0) {
		unsigned n = (unsigned)((bytes + each - 1) / each);
		assert_in_range(n, 2, 64);
		kernel.n_segmented_calls++;
		if (n > kernel.most_segments)
			kernel.most_segments = n;
		if (kernel.segment_error != 0)
			error = kernel.segment_error;
	}
	if (error != 0) {
		errno = error;
		return -1;
	}
	if (kernel.real)
		return syscall(SYS_sendmsg, fd, message, flags);
	for (size_t at = 0, n; at < bytes; at += n) {
		n = each > 0 && each < bytes - at ? each : bytes - at;
		take_datagram(octets + at, n);
	}
	return (ssize_t)bytes;
}

static int reset_kernel(void **state) {
	(void)state;
	decoder_free(&kernel.decoder);
	free(kernel.octets);
	memset(&kernel, 0, sizeof(kernel));
	return 0;
}

static struct collector *open_collector(struct collector_config config) {
	char destination[64], error[COLLECTOR_ERROR_BYTES];

	snprintf(destination, sizeof(destination), "127.0.0.1:%u", UNHEARD_PORT);
	config.destination = destination;
	config.encoder.source_id = 7;
	config.encoder.template_interval_ms = 30000;
	if (config.encoder.template_packets == 0)
		config.encoder.template_packets = 4800;
	config.encoder.sampling_interval = 1;
	struct collector *collector = collector_open(&config, error);
	if (collector == NULL)
		fail_msg("%s", error);
	return collector;
}

// Adds `n` records, one in `ipv6_in` of them IPv6 (0 = none), some at a time.
static void add(struct collector *collector, unsigned n, unsigned ipv6_in) {
	enum { AT_ONCE = 50 };
	struct flow_record records[AT_ONCE] = {0};

	for (unsigned i = 0; i < n; i++) {
		struct flow_record *record = &records[i % AT_ONCE];
		record->first_ticks = record->last_ticks = (uint64_t)NOW_MS * TICKS_PER_MS;
		record->packets = 1;
		record->octets = 40 + i;
		record->in_if = 1;
		record->end = FLOW_END_IDLE;
		record->key.family = ipv6_in > 0 && i % ipv6_in == 0 ? FLOW_IPV6 : FLOW_IPV4;
		if (i % AT_ONCE == AT_ONCE - 1 || i == n - 1)
			collector_add(collector, records, i % AT_ONCE + 1, NOW_MS);
	}
}

static struct collector_stats checked_stats(const struct collector *collector) {
	struct collector_stats stats;

	collector_stats(collector, &stats);
	assert_int_equal(
		stats.records,
		stats.records_sent + stats.lost_full + stats.lost_refused + stats.lost_unreachable
			+ stats.lost_other
	);
	if (!kernel.real) {
		assert_true(kernel.n_missing == 0 || stats.records > stats.records_sent);
		assert_int_equal(stats.records_sent, kernel.decoder.n_records);
		assert_int_equal(stats.datagrams_sent, kernel.decoder.n_datagrams);
		assert_int_equal(
			stats.octets_sent,
			kernel.n_octets - sizeof(size_t) * kernel.decoder.n_datagrams
		);
	}
	return stats;
}

// Past the datagram that brings the templates, which always leaves alone.
static struct collector *open_past_templates(struct collector_config config) {
	struct collector *collector = open_collector(config);
	add(collector, 1, 0);
	collector_flush(collector, NOW_MS);
	assert_int_equal(kernel.n_calls, 1);
	kernel.n_calls = 0;
	return collector;
}

static void full_datagrams_of_a_family_leave_in_one_call(void **state) {
	(void)state;
	struct collector *collector = open_past_templates((struct collector_config){0});

	// 20 records of 68 octets in a datagram, 32 datagrams in a run.
	add(collector, 32 * 20, 0);
	assert_int_equal(kernel.n_calls, 0);
	add(collector, 1, 0);
	assert_int_equal(kernel.n_calls, 1);
	assert_int_equal(kernel.most_segments, 32);
	assert_int_equal(kernel.decoder.n_records, 1 + 32 * 20);
	// What is left is one datagram, and one more of the other family is one more call.
	collector_flush(collector, NOW_MS);
	assert_int_equal(kernel.n_calls, 2);
	assert_int_equal(kernel.n_segmented_calls, 1);
	add(collector, 32 * 14 + 1, 1);
	assert_int_equal(kernel.n_calls, 3);
	assert_int_equal(kernel.n_segmented_calls, 2);
	collector_flush(collector, NOW_MS);
	checked_stats(collector);
	collector_close(collector);
}

static void the_last_of_a_run_may_be_shorter(void **state) {
	(void)state;
	struct collector *collector = open_past_templates((struct collector_config){0});

	add(collector, 2 * 20 + 1, 0);
	collector_flush(collector, NOW_MS);
	assert_int_equal(kernel.n_calls, 1);
	assert_int_equal(kernel.most_segments, 3);
	assert_int_equal(checked_stats(collector).records_sent, 42);
	collector_close(collector);
}

static void a_few_records_of_both_families_are_one_datagram(void **state) {
	(void)state;
	struct collector *collector = open_past_templates((struct collector_config){0});

	add(collector, 10, 3);
	collector_flush(collector, NOW_MS);
	assert_int_equal(kernel.n_calls, 1);
	assert_int_equal(kernel.n_segmented_calls, 0);
	assert_int_equal(checked_stats(collector).datagrams_sent, 2);
	collector_close(collector);
}

static void sizes_of_datagrams_stay_within_what_is_segmented(void **state) {
	(void)state;
	static const uint16_t sizes[] = {512, 1232, 1400, 8952};

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		reset_kernel(NULL);
		struct collector *collector = open_collector((struct collector_config){
			.encoder.datagram_bytes = sizes[i],
		});
		add(collector, 5000, 3);
		collector_flush(collector, NOW_MS);
		assert_true(kernel.n_segmented_calls > 0);
		assert_int_equal(checked_stats(collector).records_sent, 5000);
		collector_close(collector);
	}
}

// All octets of a stream with templates in the midst, flushes, and both families.
static uint64_t stream_checksum(struct collector_config config, int segment_error) {
	uint64_t checksum = 0;

	reset_kernel(NULL);
	kernel.segment_error = segment_error;
	config.encoder.template_packets = 100;
	struct collector *collector = open_collector(config);
	add(collector, 1, 0);
	for (unsigned i = 0; i < 20; i++) {
		add(collector, 211 * i, i % 5);
		if (i % 3 == 0)
			collector_flush(collector, NOW_MS + i);
	}
	collector_flush(collector, NOW_MS + 20);
	assert_true(kernel.decoder.n_with_templates > 10);
	assert_int_equal(kernel.n_missing, 0);
	assert_int_equal(checked_stats(collector).records_sent, 1 + 211 * 190);
	collector_close(collector);
	for (size_t i = 0; i < kernel.n_octets; i++)
		checksum = (checksum ^ kernel.octets[i]) * UINT64_C(0x100000001b3);
	return checksum;
}

static void the_octets_are_the_same_with_and_without_segmentation(void **state) {
	(void)state;
	uint64_t segmented = stream_checksum((struct collector_config){0}, 0);

	assert_true(kernel.n_segmented_calls > 10);
	assert_true(
		stream_checksum((struct collector_config){.no_segmentation = true}, 0) == segmented
	);
	assert_int_equal(kernel.n_segmented_calls, 0);
	assert_true(stream_checksum((struct collector_config){0}, EIO) == segmented);
	assert_int_equal(kernel.n_segmented_calls, 1);
	assert_true(
		stream_checksum((struct collector_config){.rate = {1000000, PACER_DATAGRAMS}}, 0)
		== segmented
	);
	assert_true(kernel.n_segmented_calls > 10);
}

static void refused_segmentation_is_remembered_and_loses_nothing(void **state) {
	(void)state;
	static const int errors[] = {EINVAL, EIO, EMSGSIZE, ENOPROTOOPT, EOPNOTSUPP};

	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		reset_kernel(NULL);
		struct collector *collector =
			open_past_templates((struct collector_config){.wait = true});
		kernel.segment_error = errors[i];
		add(collector, 3000, 4);
		collector_flush(collector, NOW_MS);
		assert_int_equal(kernel.n_segmented_calls, 1);
		assert_int_equal(checked_stats(collector).records_sent, 3001);
		collector_close(collector);
	}
}

static void of_a_run_sent_one_by_one_only_what_failed_is_lost(void **state) {
	(void)state;
	struct collector *collector = open_past_templates((struct collector_config){0});

	kernel.segment_error = EINVAL;
	kernel.errors[3] = EHOSTUNREACH; // behind the run: the third of five datagrams
	kernel.errors[5] = EPERM;        // the last, with 7 records
	add(collector, 4 * 20 + 7, 0);
	collector_flush(collector, NOW_MS);
	struct collector_stats stats = checked_stats(collector);
	assert_int_equal(kernel.n_calls, 6);
	assert_int_equal(stats.records_sent, 1 + 3 * 20);
	assert_int_equal(stats.lost_unreachable, 20);
	assert_int_equal(stats.lost_other, 7);
	assert_int_equal(kernel.n_missing, 1); // and the last of all
	collector_close(collector);
}

static void a_failed_send_loses_the_records_of_all_its_segments(void **state) {
	(void)state;
	// Pacing cuts runs into bursts.
	struct collector *collector =
		open_past_templates((struct collector_config){.rate = {1000000, PACER_DATAGRAMS}});

	kernel.errors[1] = ENETUNREACH;
	kernel.errors[2] = EPERM;
	add(collector, 39 * 20 + 3, 0);
	collector_flush(collector, NOW_MS);
	struct collector_stats stats = checked_stats(collector);
	assert_int_equal(kernel.n_calls, 3);
	assert_int_equal(stats.records_sent, 1 + 16 * 20);
	assert_int_equal(stats.lost_unreachable, 16 * 20);
	assert_int_equal(stats.lost_other, 7 * 20 + 3);
	collector_close(collector);
}

static void live_a_full_socket_loses_and_a_replay_waits(void **state) {
	(void)state;
	for (unsigned wait = 0; wait < 2; wait++) {
		reset_kernel(NULL);
		struct collector *collector =
			open_past_templates((struct collector_config){.wait = wait});
		kernel.errors[0] = EAGAIN;
		kernel.errors[1] = wait ? ENOBUFS : 0;
		kernel.errors[2] = wait ? EINTR : 0;
		add(collector, 30, 0);
		collector_flush(collector, NOW_MS);
		add(collector, 30, 0);
		collector_flush(collector, NOW_MS);
		struct collector_stats stats = checked_stats(collector);
		assert_int_equal(stats.lost_full, wait ? 0 : 30);
		assert_int_equal(stats.records_sent, wait ? 61 : 31);
		collector_close(collector);
	}
}

static void a_socket_that_stays_full_loses_the_run_in_the_end(void **state) {
	(void)state;
	struct collector *collector = open_past_templates((struct collector_config){.wait = true});

	for (unsigned i = 0; i < 51; i++)
		kernel.errors[i] = ENOBUFS;
	add(collector, 30, 0);
	collector_flush(collector, NOW_MS);
	assert_int_equal(kernel.n_calls, 51);
	assert_int_equal(checked_stats(collector).lost_full, 30);
	collector_close(collector);
}

static void a_refusal_between_bursts_loses_nothing_and_brings_templates(void **state) {
	(void)state;
	struct collector *collector =
		open_past_templates((struct collector_config){.rate = {1000000, PACER_DATAGRAMS}});

	kernel.errors[1] = ECONNREFUSED;
	add(collector, 20 * 20, 0);
	collector_flush(collector, NOW_MS);
	struct collector_stats stats = checked_stats(collector);
	assert_int_equal(kernel.n_calls, 3);
	assert_int_equal(stats.refusals, 1);
	assert_int_equal(stats.records_sent, 1 + 20 * 20);
	assert_int_equal(kernel.decoder.n_with_templates, 1);
	add(collector, 1, 0);
	collector_flush(collector, NOW_MS);
	assert_int_equal(kernel.decoder.n_with_templates, 2);
	collector_close(collector);
}

static void templates_follow_a_refusal_before_anything_else_is_begun(void **state) {
	(void)state;
	struct collector *collector = open_past_templates((struct collector_config){0});

	// One family's run is full while the other's is open.
	add(collector, 10, 1);
	kernel.errors[0] = ECONNREFUSED;
	add(collector, 32 * 20 + 1, 0);
	assert_int_equal(kernel.n_calls, 3);
	assert_int_equal(kernel.decoder.n_records, 1 + 32 * 20 + 10);
	assert_int_equal(kernel.decoder.n_with_templates, 1);
	collector_flush(collector, NOW_MS);
	assert_int_equal(kernel.decoder.n_with_templates, 2);
	checked_stats(collector);
	collector_close(collector);
}

// The collector may have begun to listen after the templates that followed the refusal, and no
// further refusal will tell of that.
static void templates_come_again_for_a_while_after_a_refusal(void **state) {
	(void)state;
	struct collector *collector = open_past_templates((struct collector_config){0});

	kernel.errors[0] = ECONNREFUSED;
	add(collector, 1, 0);
	collector_flush(collector, NOW_MS);
	unsigned long before = kernel.decoder.n_with_templates;
	for (unsigned round = 1; round <= 2; round++) {
		usleep(350000);
		add(collector, 1, 0);
		collector_flush(collector, NOW_MS); // says that time has gone by
		add(collector, 1, 0);
		collector_flush(collector, NOW_MS);
		assert_true(kernel.decoder.n_with_templates >= before + round);
	}
	assert_int_equal(checked_stats(collector).refusals, 1);
	collector_close(collector);
}

static void refused_twice_is_lost(void **state) {
	(void)state;
	struct collector *collector = open_past_templates((struct collector_config){0});

	kernel.errors[0] = kernel.errors[1] = ECONNREFUSED;
	add(collector, 50, 0);
	collector_flush(collector, NOW_MS);
	assert_int_equal(checked_stats(collector).lost_refused, 50);
	collector_close(collector);
}

// Linux itself: what it does with a run arrives as datagrams.
static void linux_cuts_a_run_into_its_datagrams(void **state) {
	(void)state;
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	char destination[64], error[COLLECTOR_ERROR_BYTES];
	uint8_t datagram[2048];
	struct decoder decoder = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5}, 16);
	snprintf(destination, sizeof(destination), "127.0.0.1:%u", ntohs(address.sin_port));
	kernel.real = true;
	struct collector *collector = collector_open(
		&(struct collector_config){
			.destination = destination,
			.encoder =
				{
					.source_id = 7,
					.template_interval_ms = 30000,
					.template_packets = 4800,
					.sampling_interval = 1,
				},
		},
		error
	);
	assert_non_null(collector);
	// As many as the least receive buffer takes.
	add(collector, 400, 5);
	collector_flush(collector, NOW_MS);
	assert_true(kernel.n_segmented_calls > 0);
	while (decoder.n_records < 400) {
		ssize_t n = recv(fd, datagram, sizeof(datagram), 0);
		assert_true(n > 0);
		const char *wrong = decode_datagram(&decoder, datagram, (size_t)n);
		if (wrong != NULL)
			fail_msg("%s", wrong);
	}
	assert_int_equal(checked_stats(collector).datagrams_sent, decoder.n_datagrams);
	decoder_free(&decoder);
	collector_close(collector);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reset_kernel, reset_kernel)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(full_datagrams_of_a_family_leave_in_one_call),
		TEST(the_last_of_a_run_may_be_shorter),
		TEST(a_few_records_of_both_families_are_one_datagram),
		TEST(sizes_of_datagrams_stay_within_what_is_segmented),
		TEST(the_octets_are_the_same_with_and_without_segmentation),
		TEST(refused_segmentation_is_remembered_and_loses_nothing),
		TEST(of_a_run_sent_one_by_one_only_what_failed_is_lost),
		TEST(a_failed_send_loses_the_records_of_all_its_segments),
		TEST(live_a_full_socket_loses_and_a_replay_waits),
		TEST(a_socket_that_stays_full_loses_the_run_in_the_end),
		TEST(a_refusal_between_bursts_loses_nothing_and_brings_templates),
		TEST(templates_follow_a_refusal_before_anything_else_is_begun),
		TEST(templates_come_again_for_a_while_after_a_refusal),
		TEST(refused_twice_is_lost),
		TEST(linux_cuts_a_run_into_its_datagrams),
	};
	return cmocka_run_group_tests_name("collector_send", tests, NULL, NULL);
}
