// Fuzz target of the packet parser. Input: link type, two octets by which the wire length is
// more than the captured one, then the frame.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"
#include "wire.h"

#define INPUT_HEADER_BYTES 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

// Not assert(): it must hold in a release build too.
static void require(bool holds) {
	if (!holds)
		abort();
}

static void check_verdict(enum packet_verdict verdict, enum link_type link, uint32_t captured) {
	require(verdict < PACKET_VERDICT_COUNT);
	require(packet_verdict_name(verdict) != NULL);
	if (link == LINK_UNKNOWN)
		require(verdict == PACKET_NOT_IP);
	if (captured < 20)
		require(verdict != PACKET_METERED);
	if (link == LINK_RAW || link == LINK_RAW_IPV4 || link == LINK_RAW_IPV6)
		require(verdict != PACKET_NOT_IP && verdict != PACKET_LINK_TRUNCATED);
}

static void check_metered(const struct packet *packet, uint32_t captured, uint32_t wire_bytes) {
	static const uint8_t zero[24];
	const struct flow_key *key = &packet->key;
	bool has_flags = packet->tcp_flags != 0;

	require(key->family == FLOW_IPV4 || key->family == FLOW_IPV6);
	if (key->family == FLOW_IPV4) {
		require(memcmp(key->zero, zero, sizeof(zero)) == 0);
		require(packet->octets >= 20);
		require(packet->octets <= UINT16_MAX || packet->octets <= wire_bytes);
	} else {
		require(packet->octets >= 40 && captured >= 40);
		require(packet->octets <= UINT64_C(40) + UINT32_MAX);
	}
	require(key->vlan_id < 4096 && (packet->inner_vlan_id & ~PACKET_LABELLED) < 4096);
	require(packet->ttl_again == packet->ttl);
	require(!has_flags || key->proto == 6);
	switch (key->proto) {
	case 1:
	case 58:
		require(key->src_port == 0);
		break;
	case 6:
	case 17:
	case 33:
	case 132:
	case 136:
		break;
	default:
		require(key->src_port == 0 && key->dst_port == 0);
	}
}

// Raw IP has no link header, so it is known here where the header lies.
static void check_raw(const struct packet *packet, const uint8_t *ip, uint32_t captured) {
	const struct flow_key *key = &packet->key;

	require(key->vlan_id == 0 && packet->inner_vlan_id == 0);
	require(ip[0] >> 4 == key->family);
	if (key->family == FLOW_IPV4) {
		require(key->proto == ip[9] && packet->ttl == ip[8] && packet->tos == ip[1]);
		require(memcmp(key->src4, ip + 12, 8) == 0);
		if ((wire_get16(ip + 6) & 0x1fff) != 0)
			require(key->src_port == 0 && key->dst_port == 0 && packet->tcp_flags == 0);
	} else {
		require(packet->ttl == ip[7] && packet->tos == ((ip[0] << 4 | ip[1] >> 4) & 0xff));
		require(memcmp(key->src6, ip + 8, 32) == 0);
		// The first header behind IPv6's own: a later fragment of at least 8 octets.
		if (captured >= 48 && ip[6] == 44 && wire_get16(ip + 4) >= 8
		    && (wire_get16(ip + 42) & 0xfff8) != 0 && key->proto != 44)
			require(key->src_port == 0 && key->dst_port == 0 && packet->tcp_flags == 0);
	}
}

static void check_equal(const struct packet *a, const struct packet *b) {
	require(flow_key_equal(&a->key, &b->key));
	require(a->octets == b->octets && a->tcp_flags == b->tcp_flags);
	require(a->tos == b->tos && a->ttl == b->ttl && a->inner_vlan_id == b->inner_vlan_id);
	if ((a->inner_vlan_id & PACKET_LABELLED) != 0)
		require(memcmp(a->mpls_label, b->mpls_label, sizeof(a->mpls_label)) == 0);
	require(memcmp(a->src_mac, b->src_mac, 6) == 0 && memcmp(a->dst_mac, b->dst_mac, 6) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
	struct packet first, second;
	enum packet_verdict verdict;
	enum link_type link;
	uint32_t captured, wire_bytes;
	uint8_t *frame;

	if (n_bytes < INPUT_HEADER_BYTES || n_bytes > UINT16_MAX)
		return 0;
	link = (enum link_type)(data[0] % (LINK_SLL2 + 1));
	captured = (uint32_t)(n_bytes - INPUT_HEADER_BYTES);
	wire_bytes = captured + wire_get16(data + 1);
	// A block of exactly the frame's size: what is read beyond it is caught. No block of 0.
	frame = malloc(captured > 0 ? captured : 1);
	require(frame != NULL);
	memcpy(frame, data + INPUT_HEADER_BYTES, captured);

	// Rubbish of two kinds to start from: what is left unset shows.
	memset(&first, 0x00, sizeof(first));
	memset(&second, 0xff, sizeof(second));
	verdict = packet_parse(&first, link, frame, captured, wire_bytes);
	check_verdict(verdict, link, captured);
	require(packet_parse(&second, link, frame, captured, wire_bytes) == verdict);
	if (verdict == PACKET_METERED) {
		check_metered(&first, captured, wire_bytes);
		if (link == LINK_RAW || link == LINK_RAW_IPV4 || link == LINK_RAW_IPV6)
			check_raw(&first, frame, captured);
		check_equal(&first, &second);
	}
	require(first.in_if == 0 && second.in_if == 0xffff);
	free(frame);
	return 0;
}
