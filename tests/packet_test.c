// The link layers: each with IPv4 and IPv6 behind it, written by hand from its RFC or registry
// entry, and what is not IP.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_common.h>

#include "packet.h"
#include "packet_frames.h"

// Both protocols behind the link header `before4` or `before6`, with the tags they must show.
static void assert_link(
	enum link_type link,
	const char *before4,
	const char *before6,
	uint16_t vlan_id,
	uint16_t inner_vlan_id
) {
	char hex[4 * FRAME_MAX];
	struct parsed parsed;

	strcat(strcpy(hex, before4), IPV4_TCP);
	parsed = parse_hex(link, hex);
	assert_flow(&parsed, 6, 8080, 54321, 44);
	assert_int_equal(parsed.packet.key.family, FLOW_IPV4);
	assert_int_equal(parsed.packet.key.vlan_id, vlan_id);
	assert_int_equal(parsed.packet.inner_vlan_id & VLAN_ID_MASK, inner_vlan_id);
	assert_int_equal(parsed.packet.tcp_flags, 0x12);
	assert_int_equal(parsed.packet.tos, 0x10);
	assert_int_equal(parsed.packet.ttl, 63);

	strcat(strcpy(hex, before6), IPV6_TCP);
	parsed = parse_hex(link, hex);
	assert_flow(&parsed, 6, 8080, 54321, 60);
	assert_int_equal(parsed.packet.key.family, FLOW_IPV6);
	assert_int_equal(parsed.packet.key.vlan_id, vlan_id);
	assert_int_equal(parsed.packet.inner_vlan_id & VLAN_ID_MASK, inner_vlan_id);
	assert_int_equal(parsed.packet.tcp_flags, 0x11);
	assert_int_equal(parsed.packet.tos, 0x12);
	assert_int_equal(parsed.packet.ttl, 60);
}

static void ethernet_gives_key_addresses_and_macs(void **state) {
	static const uint8_t src[] = {2, 0, 0, 0, 0, 1}, dst[] = {2, 0, 0, 0, 0, 2};
	struct parsed parsed;

	(void)state;
	assert_link(LINK_ETHERNET, MACS "0800", MACS "86dd", 0, 0);
	parsed = parse_hex(LINK_ETHERNET, MACS "0800" IPV4_UDP);
	assert_flow(&parsed, 17, 4660, 53, 34);
	assert_int_equal(parsed.packet.tos, 0xe0);
	assert_int_equal(parsed.packet.tcp_flags, 0);
	assert_memory_equal(parsed.packet.src_mac, src, 6);
	assert_memory_equal(parsed.packet.dst_mac, dst, 6);
	parsed = parse_hex(LINK_ETHERNET, MACS "86dd" IPV6_UDP);
	assert_flow(&parsed, 17, 4660, 53, 54);
	assert_int_equal(parsed.packet.tos, 0xe0);
	assert_int_equal(parsed.packet.ttl, 61);
	assert_memory_equal(parsed.packet.src_mac, src, 6);
	assert_memory_equal(parsed.packet.dst_mac, dst, 6);
}

static void what_the_source_sets_is_left_alone(void **state) {
	struct parsed parsed = parse_hex(LINK_ETHERNET, MACS "0800" IPV4_TCP);

	(void)state;
	assert_int_equal((uint64_t)parsed.packet.time_ns, UINT64_C(0xa5a5a5a5a5a5a5a5));
	assert_int_equal(parsed.packet.in_if, 0xa5a5);
}

static void every_tpid_counts_as_a_vlan_tag(void **state) {
	static const char *const tpids[] = {"8100", "88a8", "9100", "9200", "9300"};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(tpids); i++) {
		char before4[128] = MACS, before6[128];

		// Priority and DEI bits (f000) are no part of the id.
		strcat(strcat(before4, tpids[i]), "f064");
		strcpy(before6, before4);
		assert_link(
			LINK_ETHERNET, strcat(before4, "0800"), strcat(before6, "86dd"), 100, 0
		);
	}
}

static void outer_tag_is_in_the_key_and_the_second_beside_it(void **state) {
	(void)state;
	assert_link(
		LINK_ETHERNET,
		MACS "88a80ffe 8100000a 0800",
		MACS "88a80ffe 8100000a 86dd",
		4094,
		10
	);
	assert_link(
		LINK_ETHERNET,
		MACS "91000001 92000002 93000003 81000004 0800",
		MACS "91000001 92000002 93000003 81000004 86dd",
		1,
		2
	);
	// A priority tag has id 0, and is the first tag all the same.
	assert_link(
		LINK_ETHERNET, MACS "8100e000 81000007 0800", MACS "8100e000 81000007 86dd", 0, 7
	);
}

static void mpls_is_skipped_down_to_the_bottom_label(void **state) {
	(void)state;
	assert_link(LINK_ETHERNET, MACS "8847 000101ff", MACS "8847 000101ff", 0, 0);
	assert_link(
		LINK_ETHERNET,
		MACS "8848 00064040 00065040 000671ff",
		MACS "8848 00064040 00065040 000671ff",
		0,
		0
	);
	assert_link(
		LINK_ETHERNET, MACS "81000005 8847 000101ff", MACS "81000005 8847 000101ff", 5, 0
	);
	// A pseudowire's control word: the nibble is 0.
	assert_verdict(
		LINK_ETHERNET, MACS "8847 000101ff 00000000" MACS "0800" IPV4_TCP, PACKET_NOT_IP
	);
	assert_verdict(LINK_ETHERNET, MACS "8847 000100ff 000100ff", PACKET_LINK_TRUNCATED);
	assert_verdict(LINK_ETHERNET, MACS "8847 000101ff", PACKET_LINK_TRUNCATED);
}

static void the_top_mpls_label_is_kept(void **state) {
	struct parsed parsed;
	(void)state;

	parsed = parse_hex(LINK_ETHERNET, MACS "81000005 81000006 8847 00064a40 000671ff" IPV4_TCP);
	assert_int_equal(parsed.verdict, PACKET_METERED);
	assert_int_equal(parsed.packet.inner_vlan_id, PACKET_LABELLED | 6);
	assert_memory_equal(parsed.packet.mpls_label, "\x00\x06\x4a\x40", 4);
	// None, whatever stands where it would be.
	parsed = parse_hex(LINK_ETHERNET, MACS "0800" IPV4_TCP);
	assert_int_equal(parsed.packet.inner_vlan_id, 0);
	parsed = parse_hex(LINK_ETHERNET, MACS "81000005 0800" IPV4_TCP);
	assert_int_equal(parsed.packet.inner_vlan_id, 0);
	parsed = parse_hex(LINK_RAW, IPV4_TCP);
	assert_int_equal(parsed.packet.inner_vlan_id, 0);
}

static void pppoe_session_is_skipped(void **state) {
	(void)state;
	assert_link(
		LINK_ETHERNET, MACS "8864 11000001002e 0021", MACS "8864 11000001003e 0057", 0, 0
	);
	assert_link(LINK_ETHERNET, MACS "8864 11000001002d 21", MACS "8864 11000001003d 57", 0, 0);
	assert_link(
		LINK_ETHERNET,
		MACS "8864 110000010032 0281 000101ff",
		MACS "8864 110000010042 0283 000101ff",
		0,
		0
	);
	assert_link(
		LINK_ETHERNET,
		MACS "88a80064 810000c8 8864 11000001002e 0021",
		MACS "88a80064 810000c8 8864 11000001003e 0057",
		100,
		200
	);
	assert_link(LINK_PPPOE, "11000001002e 0021", "11000001003e 0057", 0, 0);
	// LCP echo request; a discovery code under the session's EtherType; discovery itself.
	assert_verdict(
		LINK_ETHERNET, MACS "8864 11000001000a c021 09000008 00000000", PACKET_NOT_IP
	);
	assert_verdict(LINK_ETHERNET, MACS "8864 110900000000 0021" IPV4_TCP, PACKET_NOT_IP);
	assert_verdict(LINK_ETHERNET, MACS "8863 110900000000 0021" IPV4_TCP, PACKET_NOT_IP);
}

static void llc_snap_is_skipped(void **state) {
	(void)state;
	assert_link(
		LINK_ETHERNET, MACS "0034 aaaa03 000000 0800", MACS "0044 aaaa03 000000 86dd", 0, 0
	);
	assert_link(
		LINK_ETHERNET, MACS "05dc aaaa03 0000f8 0800", MACS "0044 aaaa03 0000f8 86dd", 0, 0
	);
	assert_link(
		LINK_ETHERNET,
		MACS "0038 aaaa03 000000 8100000c 0800",
		MACS "0048 aaaa03 000000 8100000c 86dd",
		12,
		0
	);
	assert_link(
		LINK_ETHERNET,
		MACS "8100000c 0034 aaaa03 000000 0800",
		MACS "8100000c 0044 aaaa03 000000 86dd",
		12,
		0
	);
	// Spanning tree; Cisco's OUI (CDP); SNAP whose protocol is no EtherType.
	assert_verdict(LINK_ETHERNET, MACS "0026 424203 0000000000", PACKET_NOT_IP);
	assert_verdict(LINK_ETHERNET, MACS "0026 4242", PACKET_NOT_IP);
	assert_verdict(LINK_ETHERNET, MACS "0034 aaaa03 00000c 0800" IPV4_TCP, PACKET_NOT_IP);
	assert_verdict(
		LINK_ETHERNET,
		MACS "0034 aaaa03 000000 0034 aaaa03 000000 0800" IPV4_TCP,
		PACKET_NOT_IP
	);
	assert_verdict(LINK_ETHERNET, MACS "05dd aaaa03 000000 0800" IPV4_TCP, PACKET_NOT_IP);
}

static void cooked_captures_give_the_senders_address(void **state) {
	static const uint8_t src[] = {2, 0, 0, 0, 0, 1}, none[6];
	struct parsed parsed;

	(void)state;
	assert_link(
		LINK_SLL,
		"0000 0001 0006 0200000000010000 0800",
		"0000 0001 0006 0200000000010000 86dd",
		0,
		0
	);
	assert_link(
		LINK_SLL,
		"0000 0001 0006 0200000000010000 8100 0014 0800",
		"0000 0001 0006 0200000000010000 8100 0014 86dd",
		20,
		0
	);
	assert_link(
		LINK_SLL,
		"0000 0001 0006 0200000000010000 0004 aaaa03 000000 0800",
		"0000 0001 0006 0200000000010000 0004 aaaa03 000000 86dd",
		0,
		0
	);
	assert_link(
		LINK_SLL2,
		"0800 0000 00000002 0001 00 06 0200000000010000",
		"86dd 0000 00000002 0001 00 06 0200000000010000",
		0,
		0
	);
	parsed = parse_hex(LINK_SLL2, "0800 0000 00000002 0001 00 06 0200000000010000" IPV4_UDP);
	assert_memory_equal(parsed.packet.src_mac, src, 6);
	assert_memory_equal(parsed.packet.dst_mac, none, 6);
	// A tunnel: the address has 4 octets, so there is no MAC.
	parsed = parse_hex(LINK_SLL, "0000 0300 0004 c000020100000000 0800" IPV4_UDP);
	assert_flow(&parsed, 17, 4660, 53, 34);
	assert_memory_equal(parsed.packet.src_mac, none, 6);
	assert_verdict(LINK_SLL, "0000 0001 0006 0200000000010000 0806 0001", PACKET_NOT_IP);
}

static void raw_ip_goes_by_its_version(void **state) {
	(void)state;
	assert_link(LINK_RAW, "", "", 0, 0);
	assert_verdict(LINK_RAW, "50000000" IPV4_TCP, PACKET_IP_VERSION);
	assert_verdict(LINK_RAW, "", PACKET_IP_TRUNCATED);
	assert_int_equal(parse_hex(LINK_RAW_IPV4, IPV4_TCP).verdict, PACKET_METERED);
	assert_int_equal(parse_hex(LINK_RAW_IPV6, IPV6_TCP).verdict, PACKET_METERED);
	assert_verdict(LINK_RAW_IPV4, IPV6_TCP, PACKET_IP_VERSION);
	assert_verdict(LINK_RAW_IPV6, IPV4_TCP, PACKET_IP_VERSION);
}

static void bsd_loopback_goes_by_its_family(void **state) {
	static const char *const little[] = {"18000000", "1c000000", "1e000000", "0a000000"};
	static const char *const big[] = {"00000018", "0000001c", "0000001e", "0000000a"};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(big); i++) {
		assert_link(LINK_NULL, "02000000", little[i], 0, 0);
		assert_link(LINK_NULL, "00000002", big[i], 0, 0);
		assert_link(LINK_LOOP, "00000002", big[i], 0, 0);
	}
	assert_verdict(LINK_LOOP, "02000000" IPV4_TCP, PACKET_NOT_IP); // network order only
	assert_verdict(LINK_NULL, "17000000" IPV4_TCP, PACKET_NOT_IP);
}

static void serial_lines_carry_ppp_or_cisco_hdlc(void **state) {
	(void)state;
	assert_link(LINK_PPP, "ff03 0021", "ff03 0057", 0, 0);
	assert_link(LINK_PPP, "0021", "0057", 0, 0);
	assert_link(LINK_PPP, "21", "ff03 57", 0, 0);
	assert_link(LINK_PPP, "ff03 0281 000101ff", "0283 000101ff", 0, 0);
	assert_link(LINK_PPP, "0f00 0800", "8f00 86dd", 0, 0);
	assert_link(LINK_CISCO_HDLC, "0f00 0800", "8f00 86dd", 0, 0);
	assert_link(LINK_CISCO_HDLC, "0f00 8847 000101ff", "0f00 8847 000101ff", 0, 0);
	assert_verdict(LINK_PPP, "ff03 c021 01010004", PACKET_NOT_IP);
	assert_verdict(LINK_CISCO_HDLC, "8f00 8035 00000002", PACKET_NOT_IP); // SLARP keepalive
	assert_verdict(LINK_CISCO_HDLC, "0f01 0800" IPV4_TCP, PACKET_NOT_IP);
}

// ARP, LLDP, FabricPath, E-Tag, 802.1ah, MACsec, NSH, Cisco CMD, VN-Tag.
static void other_ethertypes_are_not_ip(void **state) {
	static const char *const types[] = {
		"0806", "88cc", "8903", "893f", "88e7", "88e5", "894f", "8909", "8926"};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(types); i++) {
		char hex[512] = MACS;

		assert_verdict(
			LINK_ETHERNET, strcat(strcat(hex, types[i]), IPV4_TCP), PACKET_NOT_IP
		);
	}
	assert_verdict(LINK_UNKNOWN, IPV4_TCP, PACKET_NOT_IP);
}

static void link_types_are_those_of_the_registry(void **state) {
	static const struct {
		int dlt;
		enum link_type link;
	} cases[] = {
		{0, LINK_NULL},
		{1, LINK_ETHERNET},
		{9, LINK_PPP},
		{12, LINK_RAW},
		{14, LINK_RAW},
		{50, LINK_PPP},
		{51, LINK_PPPOE},
		{101, LINK_RAW},
		{104, LINK_CISCO_HDLC},
		{108, LINK_LOOP},
		{113, LINK_SLL},
		{228, LINK_RAW_IPV4},
		{229, LINK_RAW_IPV6},
		{276, LINK_SLL2},
		{127, LINK_UNKNOWN},
		{105, LINK_UNKNOWN},
		{-1, LINK_UNKNOWN},
		{147, LINK_UNKNOWN},
	};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(cases); i++)
		assert_int_equal(packet_link_of_dlt(cases[i].dlt), cases[i].link);
}

static void verdicts_have_names_of_their_own(void **state) {
	(void)state;
	for (int i = 0; i < PACKET_VERDICT_COUNT; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
				packet_verdict_name((enum packet_verdict)i),
				packet_verdict_name((enum packet_verdict)j)
			);
	assert_string_equal(packet_verdict_name(PACKET_NOT_IP), "not_ip");
	assert_string_equal(packet_verdict_name(PACKET_IP_TRUNCATED), "ip_truncated");
	assert_string_equal(packet_verdict_name(PACKET_VERDICT_COUNT), "unknown");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ethernet_gives_key_addresses_and_macs),
		cmocka_unit_test(what_the_source_sets_is_left_alone),
		cmocka_unit_test(every_tpid_counts_as_a_vlan_tag),
		cmocka_unit_test(outer_tag_is_in_the_key_and_the_second_beside_it),
		cmocka_unit_test(mpls_is_skipped_down_to_the_bottom_label),
		cmocka_unit_test(the_top_mpls_label_is_kept),
		cmocka_unit_test(pppoe_session_is_skipped),
		cmocka_unit_test(llc_snap_is_skipped),
		cmocka_unit_test(cooked_captures_give_the_senders_address),
		cmocka_unit_test(raw_ip_goes_by_its_version),
		cmocka_unit_test(bsd_loopback_goes_by_its_family),
		cmocka_unit_test(serial_lines_carry_ppp_or_cisco_hdlc),
		cmocka_unit_test(other_ethertypes_are_not_ip),
		cmocka_unit_test(link_types_are_those_of_the_registry),
		cmocka_unit_test(verdicts_have_names_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
