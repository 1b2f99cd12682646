// The rules behind the link layer: IPv4 and IPv6 headers, fragments, transports, odd lengths,
// truncation, and that the fast path gives what the rules give.

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_common.h>

#include "packet.h"
#include "packet_frames.h"

static void malformed_ipv4_is_told_apart_by_reason(void **state) {
	(void)state;
	assert_verdict(LINK_ETHERNET, MACS "0800" IPV6_TCP, PACKET_IP_VERSION);
	assert_verdict(
		LINK_ETHERNET,
		MACS "0800 4400002c 00024000 3f060000" ADDRESSES4 "1f90d431",
		PACKET_IP_HEADER_LEN
	);
	assert_verdict(
		LINK_ETHERNET,
		MACS "0800 45000013 00024000 3f060000" ADDRESSES4 "1f90d431",
		PACKET_IP_TOTAL_LEN
	);
	// 24 octets of header, 20 of total length; then a header of 60, of which 24 are there.
	assert_verdict(
		LINK_ETHERNET,
		MACS "0800 46000014 00024000 3f060000" ADDRESSES4 "01010101 1f90d431",
		PACKET_IP_TOTAL_LEN
	);
	assert_verdict(
		LINK_ETHERNET,
		MACS "0800 4f000050 00024000 3f060000" ADDRESSES4 "01010101",
		PACKET_IP_TRUNCATED
	);
	assert_verdict(LINK_ETHERNET, MACS "86dd" IPV4_TCP "0000", PACKET_IP_VERSION);
}

static void options_are_stepped_over(void **state) {
	struct parsed parsed = parse_hex(
		LINK_ETHERNET,
		MACS "0800 46000026 00010000 40110000" ADDRESSES4 "94040000 12340035 000e0000"
	);

	(void)state;
	assert_flow(&parsed, 17, 4660, 53, 38);
}

static void only_the_first_fragment_has_ports(void **state) {
	struct parsed parsed;

	(void)state;
	// More fragments, offset 0; then offset 1 (8 octets) and the highest; then reserved bits.
	parsed = parse_hex(
		LINK_ETHERNET,
		MACS "0800 45000022 00012000 40110000" ADDRESSES4 "12340035 000e0000 aabbccddeeff"
	);
	assert_flow(&parsed, 17, 4660, 53, 34);
	parsed = parse_hex(
		LINK_ETHERNET,
		MACS "0800 45000022 00012001 40110000" ADDRESSES4 "12340035 000e0000 aabbccddeeff"
	);
	assert_flow(&parsed, 17, 0, 0, 34);
	parsed = parse_hex(
		LINK_ETHERNET,
		MACS "0800 4500002c 00011fff 40060000" ADDRESSES4
		     "1f90d431 00000001 00000002 6012ffff 00000000 020405b4"
	);
	assert_flow(&parsed, 6, 0, 0, 44);
	assert_int_equal(parsed.packet.tcp_flags, 0);
	parsed = parse_hex(
		LINK_ETHERNET,
		MACS "0800 45000022 0001e000 40110000" ADDRESSES4 "12340035 000e0000 aabbccddeeff"
	);
	assert_flow(&parsed, 17, 4660, 53, 34);
}

static void each_transport_shows_its_ports_or_type(void **state) {
	static const struct {
		const char *proto;
		uint16_t src_port, dst_port;
	} cases[] = {
		{"06", 0x0800, 0xf7ff},
		{"11", 0x0800, 0xf7ff},
		{"21", 0x0800, 0xf7ff},
		{"84", 0x0800, 0xf7ff},
		{"88", 0x0800, 0xf7ff},
		{"01", 0, 8 * 256},
		{"3a", 0, 8 * 256},
		{"02", 0, 0},
		{"2f", 0, 0},
		{"32", 0, 0},
		{"33", 0, 0},
		{"59", 0, 0},
		{"04", 0, 0},
		{"29", 0, 0},
		{"ff", 0, 0},
	};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		char hex[512] = MACS "0800 4500001c 00010000 40";
		struct parsed parsed;
		unsigned proto = (unsigned)strtoul(cases[i].proto, NULL, 16);

		strcat(strcat(hex, cases[i].proto), "0000" ADDRESSES4 "0800f7ff 00000000");
		parsed = parse_hex(LINK_ETHERNET, hex);
		assert_flow(&parsed, (uint8_t)proto, cases[i].src_port, cases[i].dst_port, 28);
		assert_int_equal(parsed.packet.tcp_flags, 0); // 8 octets do not reach them
	}
}

// The frame is padded to 60 octets with what looks like ports and flags.
static void padding_is_no_header(void **state) {
	struct parsed parsed;

	(void)state;
	parsed = parse_hex(
		LINK_ETHERNET, MACS "0800 45000014 00010000 40060000" ADDRESSES4 IPV4_UDP
	);
	assert_flow(&parsed, 6, 0, 0, 20);
	assert_int_equal(parsed.packet.tcp_flags, 0);
	parsed = parse_hex(
		LINK_ETHERNET, MACS "0800 45000017 00010000 40110000" ADDRESSES4 IPV4_UDP
	);
	assert_flow(&parsed, 17, 0, 0, 23);
	parsed = parse_hex(
		LINK_ETHERNET, MACS "0800 45000018 00010000 40110000" ADDRESSES4 "12340035" IPV4_UDP
	);
	assert_flow(&parsed, 17, 4660, 53, 24);
	parsed = parse_hex(
		LINK_ETHERNET, MACS "0800 45000015 00010000 40010000" ADDRESSES4 "0808" IPV4_UDP
	);
	assert_flow(&parsed, 1, 0, 0, 21);
	// 13 octets of TCP are inside the packet: the ports, not the flags.
	parsed = parse_hex(
		LINK_ETHERNET,
		MACS "0800 45000021 00010000 40060000" ADDRESSES4
		     "1f90d431 00000001 00000002 6012ffff"
	);
	assert_flow(&parsed, 6, 8080, 54321, 33);
	assert_int_equal(parsed.packet.tcp_flags, 0);
	parsed = parse_hex(LINK_ETHERNET, MACS "86dd 60000000 00030640" ADDRESSES6 IPV4_TCP);
	assert_flow(&parsed, 6, 0, 0, 43);
}

static void length_beyond_the_frame_counts_as_it_stands(void **state) {
	struct parsed parsed = parse_hex(
		LINK_ETHERNET,
		MACS "0800 4500ffff 00010000 40110000" ADDRESSES4 "12340035 000e0000 aabbccddeeff"
	);

	(void)state;
	assert_flow(&parsed, 17, 4660, 53, 65535);
	parsed = parse_hex(
		LINK_ETHERNET,
		MACS "86dd 60000000 ffff1140" ADDRESSES6 "12340035 000e0000 aabbccddeeff"
	);
	assert_flow(&parsed, 17, 4660, 53, 65575);
}

// Length 0: the frame has 54 octets captured (IPv6: 80), and 80014 on the wire.
static void length_zero_counts_the_rest_of_the_frame(void **state) {
	uint8_t frame[FRAME_MAX];
	uint32_t n_bytes;
	struct parsed parsed;

	(void)state;
	n_bytes = octets_of(
		frame,
		MACS "0800 45000000 00010000 40060000" ADDRESSES4
		     "1f90d431 00000001 00000002 5018ffff 00000000"
	);
	parsed = parse(LINK_ETHERNET, frame, n_bytes, 80014);
	assert_flow(&parsed, 6, 8080, 54321, 80000);
	assert_int_equal(parsed.packet.tcp_flags, 0x18);
	// A source that gives less for the wire than it captured cannot make it shorter.
	parsed = parse(LINK_ETHERNET, frame, n_bytes, 10);
	assert_flow(&parsed, 6, 8080, 54321, 40);

	n_bytes = octets_of(
		frame,
		MACS "81000001 86dd 60000000 00000640" ADDRESSES6
		     "1f90d431 00000001 00000002 5018ffff 00000000"
	);
	parsed = parse(LINK_ETHERNET, frame, n_bytes, 80018);
	assert_flow(&parsed, 6, 8080, 54321, 80000);
	assert_int_equal(parsed.packet.tcp_flags, 0x18);
}

#define IPV6_HEADER_OF(length, next) MACS "86dd 60000000 " length next "40" ADDRESSES6
#define TCP20 "1f90d431 00000001 00000002 5011ffff 00000000"

static void ipv6_extension_headers_are_walked(void **state) {
	struct parsed parsed;

	(void)state;
	// Hop-by-hop (router alert), destination options of 16, routing of 24, AH of 24, in that
	// order: 8 + 16 + 24 + 24 + 20 = 92.
	parsed = parse_hex(
		LINK_ETHERNET,
		IPV6_HEADER_OF(
			"005c", "00"
		) "3c00 05020000 0100"
		  "2b01 010c000000000000000000000000"
		  "3302 0001 00000000 20010db8000000000000000000000003"
		  "0604 0000 00000001 00000001 000000000000000000000000" TCP20
	);
	assert_flow(&parsed, 6, 8080, 54321, 132);
	assert_int_equal(parsed.packet.tcp_flags, 0x11);
	// Mobility, HIP and Shim6 headers are not walked, nor is ESP or "no next header".
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0008", "87") "0600010000000000");
	assert_flow(&parsed, 135, 0, 0, 48);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("001c", "8b") "0600010000000000" TCP20);
	assert_flow(&parsed, 139, 0, 0, 68);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("001c", "8c") "0600010000000000" TCP20);
	assert_flow(&parsed, 140, 0, 0, 68);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0008", "32") "0000000100000001");
	assert_flow(&parsed, 50, 0, 0, 48);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0008", "3c") "3b00010400000000");
	assert_flow(&parsed, 59, 0, 0, 48);
}

static void icmpv6_shows_type_and_code(void **state) {
	struct parsed parsed = parse_hex(
		LINK_ETHERNET,
		IPV6_HEADER_OF("0010", "00") "3a00050200000100"
					     "8f01000000000000"
	);

	(void)state;
	assert_flow(&parsed, 58, 0, 143 * 256 + 1, 56);
}

static void ipv6_fragments_show_ports_only_at_offset_zero(void **state) {
	struct parsed parsed;

	(void)state;
	// First of several, atomic, later, and later with an extension header as its next.
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("001c", "2c") "0600000100000007" TCP20);
	assert_flow(&parsed, 6, 8080, 54321, 68);
	assert_int_equal(parsed.packet.tcp_flags, 0x11);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("001c", "2c") "0600000000000007" TCP20);
	assert_flow(&parsed, 6, 8080, 54321, 68);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("001c", "2c") "0600000800000007" TCP20);
	assert_flow(&parsed, 6, 0, 0, 68);
	assert_int_equal(parsed.packet.tcp_flags, 0);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("001c", "2c") "3c00000900000007" TCP20);
	assert_flow(&parsed, 60, 0, 0, 68);
	// Reserved bits of the offset field are no offset. A fragment in a fragment is walked.
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("001c", "2c") "0600000600000007" TCP20);
	assert_flow(&parsed, 6, 8080, 54321, 68);
	parsed = parse_hex(
		LINK_ETHERNET,
		IPV6_HEADER_OF("0024", "2c") "2c00000100000007"
					     "0600000000000008" TCP20
	);
	assert_flow(&parsed, 6, 8080, 54321, 76);
}

static void extension_header_that_is_not_there_is_the_proto(void **state) {
	struct parsed parsed;

	(void)state;
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0014", "00"));
	assert_flow(&parsed, 0, 0, 0, 60);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0014", "2b") "06");
	assert_flow(&parsed, 43, 0, 0, 60);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0014", "2c") "06000000000000");
	assert_flow(&parsed, 44, 0, 0, 60);
	// Captured, but outside the IP packet: one octet of it is inside.
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0001", "3c") "0600010400000000" TCP20);
	assert_flow(&parsed, 60, 0, 0, 41);
	// Two octets say what follows, and that it lies behind the end.
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0100", "3c") "06ff");
	assert_flow(&parsed, 6, 0, 0, 296);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0100", "3c") "33ff");
	assert_flow(&parsed, 51, 0, 0, 296);
}

static void jumbogram_counts_by_its_option(void **state) {
	struct parsed parsed;

	(void)state;
	// RFC 2675: the option is c2 04 and four octets. Here 65536, then all that fit.
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0000", "00") "0600c20400010000" TCP20);
	assert_flow(&parsed, 6, 8080, 54321, 65576);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0000", "00") "0600c204ffffffff" TCP20);
	assert_flow(&parsed, 6, 8080, 54321, UINT64_C(4294967335));
	// Behind a Pad1, a PadN and a router alert, in a header of 24.
	parsed = parse_hex(
		LINK_ETHERNET,
		IPV6_HEADER_OF(
			"0000", "00"
		) "0602 00 0102ffff 05020000 00 c20400012345 0104 00000000" TCP20
	);
	assert_flow(&parsed, 6, 8080, 54321, 40 + 0x12345);
	// What is no jumbogram counts the rest of the frame: the length would have fitted; the
	// option is cut off; it is not an option but the value of one.
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0000", "00") "0600c2040000ffff" TCP20);
	assert_flow(&parsed, 6, 8080, 54321, 68);
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("0000", "00") "0600c204000100");
	assert_flow(&parsed, 6, 0, 0, 47);
	parsed = parse_hex(
		LINK_ETHERNET,
		IPV6_HEADER_OF("0000", "00") "0601 010c c204000100000000 00000000" TCP20
	);
	assert_flow(&parsed, 6, 8080, 54321, 76);
	// With a payload length the option counts for nothing.
	parsed = parse_hex(LINK_ETHERNET, IPV6_HEADER_OF("001c", "00") "0600c20400010000" TCP20);
	assert_flow(&parsed, 6, 8080, 54321, 68);
}

// A frame of nothing but headers that announce one another ends, at its last octet.
static void endless_headers_end_with_the_frame(void **state) {
	uint8_t frame[FRAME_MAX];
	uint32_t n_bytes = octets_of(frame, MACS);
	struct parsed parsed;

	(void)state;
	while (n_bytes + 4 <= FRAME_MAX)
		n_bytes += octets_of(frame + n_bytes, "81000fff");
	assert_int_equal(
		parse(LINK_ETHERNET, frame, n_bytes, n_bytes).verdict, PACKET_LINK_TRUNCATED
	);
	n_bytes = octets_of(frame, IPV6_HEADER_OF("ffff", "3c"));
	while (n_bytes + 8 <= FRAME_MAX)
		n_bytes += octets_of(frame + n_bytes, "3c00010400000000");
	parsed = parse(LINK_ETHERNET, frame, n_bytes, n_bytes);
	assert_flow(&parsed, 60, 0, 0, 65575);
}

// Every length of each frame: the link header, then the IP header, then ports, then flags.
static void truncated_frame_is_told_apart_at_every_length(void **state) {
	static const struct {
		enum link_type link;
		const char *hex;
		uint32_t link_bytes; // up to here nothing says that IP follows
		uint32_t ip_at, ip_bytes;
		bool tcp;
	} cases[] = {
		{LINK_ETHERNET, MACS "0800" IPV4_TCP, 14, 14, 20, true},
		{LINK_ETHERNET, MACS "0800" IPV4_UDP, 14, 14, 20, false},
		{LINK_ETHERNET, MACS "86dd" IPV6_TCP, 14, 14, 40, true},
		{LINK_ETHERNET, MACS "86dd" IPV6_UDP, 14, 14, 40, false},
		{LINK_ETHERNET, MACS "81000001 0800" IPV4_TCP, 18, 18, 20, true},
		{LINK_ETHERNET, MACS "88a80001 81000002 86dd" IPV6_TCP, 22, 22, 40, true},
		{LINK_ETHERNET, MACS "8847 000100ff 000101ff" IPV4_TCP, 23, 22, 20, true},
		{LINK_ETHERNET, MACS "8864 11000001002e 0021" IPV4_TCP, 22, 22, 20, true},
		{LINK_ETHERNET, MACS "0034 aaaa03 000000 0800" IPV4_TCP, 22, 22, 20, true},
		{LINK_SLL, "0000 0001 0006 0200000000010000 0800" IPV4_TCP, 16, 16, 20, true},
		{LINK_SLL2,
		 "86dd 0000 00000002 0001 00 06 0200000000010000" IPV6_UDP,
		 20,
		 20,
		 40,
		 false},
		{LINK_NULL, "02000000" IPV4_UDP, 4, 4, 20, false},
		{LINK_LOOP, "00000018" IPV6_UDP, 4, 4, 40, false},
		{LINK_PPP, "ff03 0021" IPV4_UDP, 4, 4, 20, false},
		{LINK_PPPOE, "110000010010 57" IPV6_TCP, 7, 7, 40, true},
		{LINK_CISCO_HDLC, "0f00 0800" IPV4_TCP, 4, 4, 20, true},
		{LINK_RAW, IPV6_TCP, 0, 0, 40, true},
		{LINK_RAW_IPV4, IPV4_TCP, 0, 0, 20, true},
		{LINK_ETHERNET,
		 MACS "0800 4600002a 00010000 40060000" ADDRESSES4
		      "94040000 1f90d431 00000001 00000002 6012ffff 0000",
		 14,
		 14,
		 24,
		 true},
	};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		uint8_t frame[FRAME_MAX];
		uint32_t n_bytes = octets_of(frame, cases[i].hex);
		uint32_t l4_at = cases[i].ip_at + cases[i].ip_bytes;

		assert_true(n_bytes >= l4_at + 14);
		for (uint32_t length = 0; length <= n_bytes; length++) {
			struct parsed parsed = parse(cases[i].link, frame, length, n_bytes);

			if (length < cases[i].link_bytes) {
				assert_int_equal(parsed.verdict, PACKET_LINK_TRUNCATED);
				continue;
			}
			if (length < l4_at) {
				assert_int_equal(parsed.verdict, PACKET_IP_TRUNCATED);
				continue;
			}
			bool ports = length >= l4_at + 4,
			     flags = cases[i].tcp && length >= l4_at + 14;
			if (cases[i].tcp)
				assert_flow(
					&parsed,
					6,
					ports ? 8080 : 0,
					ports ? 54321 : 0,
					n_bytes - cases[i].ip_at
				);
			else
				assert_flow(
					&parsed,
					17,
					ports ? 4660 : 0,
					ports ? 53 : 0,
					n_bytes - cases[i].ip_at
				);
			assert_int_equal(parsed.packet.tcp_flags != 0, flags);
		}
	}
}

// Numbers that repeat (George Marsaglia's xorshift).
static uint64_t next_random(uint64_t *seed) {
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

// Ethernet has a fast path and raw IP has none, so the same IP packet behind either must give
// the same flow: packets with a few octets changed, cut anywhere, tagged or not.
static void fast_path_agrees_with_the_rules(void **state) {
	static const char *const packets[] = {IPV4_TCP, IPV4_UDP, IPV6_TCP, IPV6_UDP};
	static const char *const links[] = {MACS, MACS "81000abc", MACS "88a8f001"};
	static const uint16_t vlan_ids[] = {0, 0xabc, 1};
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
	unsigned n_metered = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		unsigned which = next_random(&seed) % RTE_DIM(packets),
			 tag = next_random(&seed) % RTE_DIM(links);
		bool v4 = which < 2;
		uint8_t frame[FRAME_MAX], *ip;
		uint32_t ip_at, n_ip, captured;
		struct parsed ethernet, raw;

		ip_at = octets_of(frame, links[tag]);
		ip_at += octets_of(frame + ip_at, v4 ? "0800" : "86dd");
		ip = frame + ip_at;
		n_ip = octets_of(ip, packets[which]);
		for (unsigned n = next_random(&seed) % 3; n > 0; n--)
			ip[next_random(&seed) % (v4 ? 34 : 54)] = (uint8_t)next_random(&seed);
		captured =
			next_random(&seed) % 2 ? n_ip : (uint32_t)(next_random(&seed) % (n_ip + 1));

		ethernet = parse(LINK_ETHERNET, frame, ip_at + captured, ip_at + n_ip);
		raw = parse(v4 ? LINK_RAW_IPV4 : LINK_RAW_IPV6, ip, captured, n_ip);
		assert_int_equal(ethernet.verdict, raw.verdict);
		if (raw.verdict != PACKET_METERED)
			continue;
		n_metered++;
		assert_int_equal(ethernet.packet.key.vlan_id, vlan_ids[tag]);
		ethernet.packet.key.vlan_id = 0;
		assert_true(flow_key_equal(&ethernet.packet.key, &raw.packet.key));
		assert_int_equal(ethernet.packet.octets, raw.packet.octets);
		assert_int_equal(ethernet.packet.tcp_flags, raw.packet.tcp_flags);
		assert_int_equal(ethernet.packet.tos, raw.packet.tos);
		assert_int_equal(ethernet.packet.ttl, raw.packet.ttl);
		assert_int_equal(ethernet.packet.inner_vlan_id, 0);
	}
	assert_true(n_metered > 50000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_ipv4_is_told_apart_by_reason),
		cmocka_unit_test(options_are_stepped_over),
		cmocka_unit_test(only_the_first_fragment_has_ports),
		cmocka_unit_test(each_transport_shows_its_ports_or_type),
		cmocka_unit_test(padding_is_no_header),
		cmocka_unit_test(length_beyond_the_frame_counts_as_it_stands),
		cmocka_unit_test(length_zero_counts_the_rest_of_the_frame),
		cmocka_unit_test(ipv6_extension_headers_are_walked),
		cmocka_unit_test(icmpv6_shows_type_and_code),
		cmocka_unit_test(ipv6_fragments_show_ports_only_at_offset_zero),
		cmocka_unit_test(extension_header_that_is_not_there_is_the_proto),
		cmocka_unit_test(jumbogram_counts_by_its_option),
		cmocka_unit_test(endless_headers_end_with_the_frame),
		cmocka_unit_test(truncated_frame_is_told_apart_at_every_length),
		cmocka_unit_test(fast_path_agrees_with_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
