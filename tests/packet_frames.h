// Frames written by hand, for the tests of the packet parser: how hex becomes a frame in a
// block of exactly its size, and how a flow is compared with what was worked out by hand.

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "packet.h"

#define FRAME_MAX 512

// 02..01 sends to 02..02 unless said otherwise; 192.0.2.1 to 198.51.100.2, 2001:db8::1 to ::2.
#define MACS "020000000002 020000000001 "
#define ADDRESSES4 "c0000201 c6336402 "
#define ADDRESSES6 "20010db8000000000000000000000001 20010db8000000000000000000000002 "

// 34 octets, TOS e0, TTL 64, UDP 4660 -> 53 with 6 octets of data.
#define IPV4_UDP "45e00022 00010000 40110000 " ADDRESSES4 "12340035 000e0000 aabbccddeeff "
// 44 octets, TOS 10, TTL 63, TCP 8080 -> 54321, SYN and ACK (12).
#define IPV4_TCP                                                                                   \
	"4510002c 00024000 3f060000 " ADDRESSES4                                                   \
	"1f90d431 00000001 00000002 6012ffff 00000000 020405b4 "
// 54 octets, class e0, hop limit 61, UDP 4660 -> 53.
#define IPV6_UDP "6e000000 000e113d " ADDRESSES6 "12340035 000e0000 aabbccddeeff "
// 60 octets, class 12, hop limit 60, TCP 8080 -> 54321, FIN and ACK (11).
#define IPV6_TCP "61200000 0014063c " ADDRESSES6 "1f90d431 00000001 00000002 5011ffff 00000000 "

struct parsed {
	enum packet_verdict verdict;
	struct packet packet;
};

static inline int digit_of(char c) {
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

// The octets that `hex` spells, blanks aside. Returns how many.
static inline uint32_t octets_of(uint8_t *out, const char *hex) {
	uint32_t n = 0;

	for (; *hex != '\0'; hex++) {
		if (*hex == ' ')
			continue;
		assert_true(n < FRAME_MAX && hex[1] != '\0');
		out[n++] = (uint8_t)(digit_of(hex[0]) << 4 | digit_of(hex[1]));
		hex++;
	}
	return n;
}

// Parses a copy in a block of exactly `captured_bytes`, so that a sanitizer sees any octet
// read behind it. `packet` starts out as rubbish: every field must be set.
static inline struct parsed
parse(enum link_type link, const uint8_t *frame, uint32_t captured_bytes, uint32_t wire_bytes) {
	uint8_t *copy = malloc(captured_bytes > 0 ? captured_bytes : 1);
	struct parsed parsed;

	assert_non_null(copy);
	memcpy(copy, frame, captured_bytes);
	memset(&parsed, 0xa5, sizeof(parsed));
	// A block of 1 for no octets at all would hide a read of one.
	parsed.verdict = packet_parse(
		&parsed.packet,
		link,
		captured_bytes > 0 ? copy : copy + 1,
		captured_bytes,
		wire_bytes
	);
	free(copy);
	return parsed;
}

static inline struct parsed parse_hex(enum link_type link, const char *hex) {
	uint8_t frame[FRAME_MAX];
	uint32_t n_bytes = octets_of(frame, hex);

	return parse(link, frame, n_bytes, n_bytes);
}

static inline void
assert_verdict(enum link_type link, const char *hex, enum packet_verdict verdict) {
	assert_string_equal(
		packet_verdict_name(parse_hex(link, hex).verdict), packet_verdict_name(verdict)
	);
}

static inline void assert_flow(
	const struct parsed *parsed,
	uint8_t proto,
	uint16_t src_port,
	uint16_t dst_port,
	uint64_t octets
) {
	static const uint8_t v4[] = {192, 0, 2, 1, 198, 51, 100, 2};
	static const uint8_t v6[32] = {
		[0] = 0x20, 0x01, 0x0d, 0xb8, [15] = 1, [16] = 0x20, 0x01, 0x0d, 0xb8, [31] = 2};
	static const uint8_t zero[24];
	const struct flow_key *key = &parsed->packet.key;

	assert_int_equal(parsed->verdict, PACKET_METERED);
	assert_int_equal(key->proto, proto);
	assert_int_equal(ntohs(key->src_port), src_port);
	assert_int_equal(ntohs(key->dst_port), dst_port);
	assert_int_equal(parsed->packet.octets, octets);
	if (key->family == FLOW_IPV4) {
		assert_memory_equal(key->src4, v4, 8);
		assert_memory_equal(key->zero, zero, 24);
	} else {
		assert_int_equal(key->family, FLOW_IPV6);
		assert_memory_equal(key->src6, v6, 32);
	}
}
