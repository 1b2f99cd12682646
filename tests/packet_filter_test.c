// The packet filter: what matches by the words of the expression, and by libpcap itself.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frame_maker.h"
#include "packet_filter.h"

enum {
	N_FRAMES = 64,
};

struct frames {
	struct frame frames[N_FRAMES];
	uint8_t *copies[N_FRAMES];
};

// Each in a block of exactly its size.
static void make(struct frames *frames, struct random *random) {
	uint8_t octets[MADE_FRAME_MAX];

	for (unsigned i = 0; i < N_FRAMES; i++) {
		uint32_t n = make_frame(random, LINK_ETHERNET, octets, 50);
		frames->copies[i] = malloc(n > 0 ? n : 1);
		assert_non_null(frames->copies[i]);
		memcpy(frames->copies[i], octets, n);
		frames->frames[i] = (struct frame){
			.data = frames->copies[i],
			.captured_bytes = n,
			.wire_bytes = n + random_below(random, 100),
		};
	}
}

static void discard(struct frames *frames) {
	for (unsigned i = 0; i < N_FRAMES; i++)
		free(frames->copies[i]);
}

static void any_expression_gives_what_libpcap_gives(void **state) {
	static const char *const expressions[] = {
		"ip",
		"ip6",
		"tcp port 443",
		"udp and not port 1",
		"vlan and tcp",
		"greater 90",
		"less 60 and ip",
		"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
		"ip[8] < 64 or ip6[7] < 64",
		"ip[6:2] & 0x1fff != 0",
		"net 0.0.0.0/24",
		"len / (ip[8] - 7) > 3",
		"icmp6 or arp or ether proto 0x88a8",
	};
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	char error[PACKET_FILTER_ERROR_BYTES];
	(void)state;

	for (unsigned e = 0; e < sizeof(expressions) / sizeof(expressions[0]); e++) {
		struct packet_filter *filter = packet_filter_new(expressions[e], NULL, error);
		struct random random = {e + 1};
		struct bpf_program program;
		unsigned n_matched = 0, n_all = 0;

		assert_non_null(filter);
		assert_int_equal(pcap_compile(pcap, &program, expressions[e], 0, 0), 0);
		for (unsigned round = 0; round < TEST_ROUNDS(200u); round++) {
			struct frames all;
			bool wanted[N_FRAMES];
			unsigned n_marked = 0;

			make(&all, &random);
			for (unsigned i = 0; i < N_FRAMES; i++) {
				struct pcap_pkthdr header = {
					.caplen = all.frames[i].captured_bytes,
					.len = all.frames[i].wire_bytes,
				};
				wanted[i] =
					pcap_offline_filter(&program, &header, all.copies[i]) != 0;
				n_marked += !wanted[i];
			}
			assert_int_equal(
				packet_filter_mark(filter, all.frames, N_FRAMES), n_marked
			);
			for (unsigned i = 0; i < N_FRAMES; i++)
				assert_int_equal(
					all.frames[i].mark, wanted[i] ? FRAME_PLAIN : FRAME_FILTERED
				);
			n_matched += N_FRAMES - n_marked;
			n_all += N_FRAMES;
			discard(&all);
		}
		// Or the comparison would say little.
		assert_in_range(n_matched, 1, n_all - 1);
		pcap_freecode(&program);
		packet_filter_free(filter);
	}
	pcap_close(pcap);
}

static void marked_frames_are_left_alone(void **state) {
	char error[PACKET_FILTER_ERROR_BYTES];
	struct packet_filter *filter = packet_filter_new("ip", NULL, error);
	const uint8_t arp[60] = {[12] = 8, 6};
	struct frame frames[2] = {
		{.data = arp, .captured_bytes = 60, .wire_bytes = 60},
		{.data = arp, .captured_bytes = 60, .wire_bytes = 60},
	};
	(void)state;

	assert_non_null(filter);
	frame_set_mark(&frames[0], FRAME_DUPLICATE);
	assert_int_equal(packet_filter_mark(filter, frames, 2), 1);
	assert_int_equal(frames[0].mark, FRAME_DUPLICATE);
	assert_int_equal(frames[1].mark, FRAME_FILTERED);
	assert_int_equal(frames[1].captured_bytes, 0);
	packet_filter_free(filter);
	packet_filter_free(NULL);
}

static void wrong_expression_says_what_is_wrong(void **state) {
	char error[PACKET_FILTER_ERROR_BYTES] = "";
	(void)state;

	errno = 0;
	assert_null(packet_filter_new("tcp prot 80", NULL, error));
	assert_int_equal(errno, EINVAL);
	assert_non_null(strstr(error, "syntax error"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_expression_gives_what_libpcap_gives),
		cmocka_unit_test(marked_frames_are_left_alone),
		cmocka_unit_test(wrong_expression_says_what_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
