// What a UDP datagram in a frame carries: found, cut, in fragments, or not there.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "udp_payload.h"
#include "wire.h"

enum {
	IPV4_BYTES = 20,
	UDP_BYTES = 8,
	PAYLOAD_BYTES = 5,
};

// Raw IPv4 from 192.0.2.1:1024 to port 2055; "hello".
static size_t make_ipv4(uint8_t *out) {
	memset(out, 0, IPV4_BYTES);
	out[0] = 0x45;
	wire_put16(out + 2, IPV4_BYTES + UDP_BYTES + PAYLOAD_BYTES);
	out[9] = 17;
	wire_put32(out + 12, 0xc0000201);
	wire_put16(out + 20, 1024);
	wire_put16(out + 22, 2055);
	wire_put16(out + 24, UDP_BYTES + PAYLOAD_BYTES);
	wire_put16(out + 26, 0);
	memcpy(out + 28, "hello", PAYLOAD_BYTES);
	return IPV4_BYTES + UDP_BYTES + PAYLOAD_BYTES;
}

// The same over IPv6, behind an extension header.
static size_t make_ipv6(uint8_t *out, uint8_t extension) {
	uint8_t ipv4[64];
	size_t n = make_ipv4(ipv4) - IPV4_BYTES;

	memset(out, 0, 48);
	out[0] = 0x60;
	wire_put16(out + 4, (uint16_t)(8 + n));
	out[6] = extension;
	out[8] = 0x20;
	out[23] = 1;
	out[40] = 17;
	memcpy(out + 48, ipv4 + IPV4_BYTES, n);
	return 48 + n;
}

// In a block of its own, so that a sanitizer sees a read beyond it.
static enum udp_verdict find(struct udp_payload *payload, const uint8_t *frame, size_t n) {
	uint8_t *block = malloc(n > 0 ? n : 1);

	assert_non_null(block);
	memcpy(block, frame, n);
	enum udp_verdict verdict = udp_payload_find(payload, LINK_RAW, block, (uint32_t)n);
	if (verdict == UDP_FOUND)
		assert_memory_equal(payload->octets, "hello", PAYLOAD_BYTES);
	free(block);
	return verdict;
}

static void a_datagram_is_found_in_ipv4_behind_padding(void **state) {
	struct udp_payload payload;
	uint8_t frame[64] = {0};
	size_t n = make_ipv4(frame);

	(void)state;
	assert_int_equal(find(&payload, frame, n + 7), UDP_FOUND);
	assert_int_equal(payload.bytes, PAYLOAD_BYTES);
	assert_int_equal(payload.family, 4);
	assert_int_equal(wire_get32(payload.src_address), 0xc0000201);
	assert_int_equal(payload.src_port, 1024);
	assert_int_equal(payload.dst_port, 2055);
}

static void a_datagram_is_found_in_ipv6_behind_extensions(void **state) {
	struct udp_payload payload;
	uint8_t frame[128];
	size_t n = make_ipv6(frame, 0);

	(void)state;
	assert_int_equal(find(&payload, frame, n), UDP_FOUND);
	assert_int_equal(payload.family, 6);
	assert_int_equal(payload.src_address[0], 0x20);
	assert_int_equal(payload.dst_port, 2055);
}

static void fragments_are_told_apart(void **state) {
	struct udp_payload payload;
	uint8_t frame[128];
	size_t n = make_ipv4(frame);

	(void)state;
	wire_put16(frame + 6, 0x2000);
	assert_int_equal(find(&payload, frame, n), UDP_FRAGMENT);
	wire_put16(frame + 6, 5);
	assert_int_equal(find(&payload, frame, n), UDP_FRAGMENT);
	wire_put16(frame + 6, 0x4000); // don't fragment
	assert_int_equal(find(&payload, frame, n), UDP_FOUND);
	n = make_ipv6(frame, 44);
	assert_int_equal(find(&payload, frame, n), UDP_FOUND); // atomic: RFC 6946
	wire_put16(frame + 42, 1);
	assert_int_equal(find(&payload, frame, n), UDP_FRAGMENT);
}

static void what_the_capture_cut_is_not_taken_for_whole(void **state) {
	struct udp_payload payload;
	uint8_t frame[128];
	size_t n = make_ipv4(frame);

	(void)state;
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(
			find(&payload, frame, cut), cut < IPV4_BYTES ? UDP_OTHER : UDP_CUT
		);
	n = make_ipv6(frame, 0);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(find(&payload, frame, cut), cut < 48 ? UDP_OTHER : UDP_CUT);
}

static void other_traffic_and_damaged_lengths_are_not_udp(void **state) {
	struct udp_payload payload;
	uint8_t frame[128];
	size_t n = make_ipv4(frame);

	(void)state;
	frame[9] = 6;
	assert_int_equal(find(&payload, frame, n), UDP_OTHER);
	frame[9] = 17;
	wire_put16(frame + 24, UDP_BYTES - 1);
	assert_int_equal(find(&payload, frame, n), UDP_OTHER);
	wire_put16(frame + 24, UDP_BYTES + PAYLOAD_BYTES + 1); // more than IP has
	assert_int_equal(find(&payload, frame, n), UDP_OTHER);
	frame[0] = 0x44;
	assert_int_equal(find(&payload, frame, n), UDP_OTHER);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_is_found_in_ipv4_behind_padding),
		cmocka_unit_test(a_datagram_is_found_in_ipv6_behind_extensions),
		cmocka_unit_test(fragments_are_told_apart),
		cmocka_unit_test(what_the_capture_cut_is_not_taken_for_whole),
		cmocka_unit_test(other_traffic_and_damaged_lengths_are_not_udp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
