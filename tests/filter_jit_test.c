// The packet filter in machine code: it decides as libpcap's interpreter does, whatever the frame.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eal.h"
#include "filter_jit.h"
#include "frame_maker.h"
#include "port_spec.h"

// Each in a block of exactly its size.
static uint8_t *make(struct random *random, struct frame *frame) {
	uint8_t octets[MADE_FRAME_MAX];
	uint32_t n = make_frame(random, LINK_ETHERNET, octets, 50);
	uint8_t *copy = malloc(n > 0 ? n : 1);

	assert_non_null(copy);
	memcpy(copy, octets, n);
	// A third is longer on the wire than what is here.
	*frame = (struct frame){
		.data = copy,
		.captured_bytes = n,
		.wire_bytes = n + (random_below(random, 3) == 0 ? random_below(random, 100) : 0),
	};
	return copy;
}

static void machine_code_decides_as_the_interpreter(void **state) {
	static const char *const expressions[] = {
		"ip",
		"ip6 and tcp",
		"tcp port 443 or udp port 53",
		"vlan and tcp",
		"vlan 1 and ip6",
		"greater 90",
		"less 60 and ip",
		"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
		"ip[8] < 64 or ip6[7] < 64",
		"ip[6:2] & 0x1fff != 0",
		"ip[2:2] - ((ip[0] & 0xf) << 2) > 20",
		"net 0.0.0.0/24",
		"len / (ip[8] - 7) > 3",
		"len % (ip[8] - 7) == 1",
		"icmp6 or arp or ether proto 0x88a8",
		"ip[1] & 0x7f != 0 and ip[8] & 0x7f != 0",
		"ether[5000] == 0",
	};
	char error[PACKET_FILTER_ERROR_BYTES];
	(void)state;

	for (unsigned e = 0; e < sizeof(expressions) / sizeof(expressions[0]); e++) {
		struct packet_filter *filter = packet_filter_new(expressions[e], NULL, error);
		assert_non_null(filter);
		struct filter_jit *jit = filter_jit_new(filter);
		struct random random = {e + 1};
		unsigned n_matched = 0;

		assert_non_null(jit);
		for (unsigned i = 0; i < TEST_ROUNDS(20000u); i++) {
			struct frame frame;
			uint8_t *copy = make(&random, &frame);
			bool wanted = packet_filter_interpret(filter, &frame);
			if (packet_filter_matches(filter, &frame) != wanted)
				fail_msg(
					"%s: frame %u of %u octets, %u on the wire: not %d",
					expressions[e],
					i,
					frame.captured_bytes,
					frame.wire_bytes,
					wanted
				);
			n_matched += wanted;
			free(copy);
		}
		// Or the comparison would say little; the last one never matches.
		if (e + 1 < sizeof(expressions) / sizeof(expressions[0]))
			assert_in_range(n_matched, 1, TEST_ROUNDS(20000u) - 1);
		else
			assert_int_equal(n_matched, 0);
		filter_jit_free(jit);
		packet_filter_free(filter);
	}
}

static void of_two_small_masks_no_code_is_made(void **state) {
	char error[PACKET_FILTER_ERROR_BYTES];
	struct packet_filter *filter =
		packet_filter_new("ip[1] & 3 != 0 or ip[8] & 5 != 0", NULL, error);
	(void)state;

	assert_non_null(filter);
	assert_null(filter_jit_new(filter));
	packet_filter_free(filter);
}

static void without_its_code_the_filter_goes_on(void **state) {
	char error[PACKET_FILTER_ERROR_BYTES];
	struct packet_filter *filter = packet_filter_new("ip", NULL, error);
	const uint8_t arp[60] = {[12] = 8, 6}, ip[60] = {[12] = 8, 0};
	const struct frame frames[] = {
		{.data = arp, .captured_bytes = 60, .wire_bytes = 60},
		{.data = ip, .captured_bytes = 60, .wire_bytes = 60},
	};
	(void)state;

	assert_non_null(filter);
	filter_jit_free(filter_jit_new(filter));
	filter_jit_free(NULL);
	assert_false(packet_filter_matches(filter, &frames[0]));
	assert_true(packet_filter_matches(filter, &frames[1]));
	packet_filter_free(filter);
}

static int start(void **state) {
	char error[PORT_ERROR_BYTES];
	struct packet_filter *filter = packet_filter_new("ip", NULL, error);
	(void)state;

	// Before EAL there is no code to be had, and no harm.
	struct filter_jit *early = filter_jit_new(filter);
	packet_filter_free(filter);
	if (early != NULL)
		return -1;
	int rc = eal_start(&(struct eal_config){.memory_mib = 64}, error);
	if (rc < 0)
		fprintf(stderr, "EAL: %s\n", error);
	return rc;
}

static int stop(void **state) {
	(void)state;
	eal_stop();
	return 0;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machine_code_decides_as_the_interpreter),
		cmocka_unit_test(of_two_small_masks_no_code_is_made),
		cmocka_unit_test(without_its_code_the_filter_goes_on),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
