#include "packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "packet_fast.h"
#include "packet_internal.h"
#include "wire.h"

#define IPV6_FRAGMENT_BYTES 8
#define FRAGMENT_OFFSET_MASK 0x1fff // IPv4, in units of 8 octets

#define PORTS_BYTES 4     // of every transport that has ports
#define ICMP_TYPE_BYTES 2 // type and code

#define JUMBO_OPTION 0xc2 // RFC 2675 section 2
#define JUMBO_OPTION_BYTES 4
#define PAD1_OPTION 0

// Protocol numbers at IANA.
enum {
	PROTO_HOP_BY_HOP = 0,
	PROTO_ICMP = 1,
	PROTO_DCCP = 33,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AH = 51,
	PROTO_ICMPV6 = 58,
	PROTO_DESTINATION = 60,
	PROTO_SCTP = 132,
	PROTO_UDP_LITE = 136,
};

static inline uint8_t ipv6_traffic_class(const uint8_t *ip) {
	return (uint8_t)(wire_get16(ip) >> 4);
}

// The ports as on the wire, and the TCP flags, of the `n_bytes` octets at `l4` that are both
// captured and inside the IP packet; 0 where they do not reach so far.
static uint32_t
parse_transport(uint8_t proto, const uint8_t *l4, uint64_t n_bytes, uint8_t *tcp_flags) {
	*tcp_flags = 0;
	switch (proto) {
	case PROTO_TCP:
		if (n_bytes > TCP_FLAGS_OFFSET)
			*tcp_flags = l4[TCP_FLAGS_OFFSET];
		[[fallthrough]];
	case PROTO_UDP:
	case PROTO_DCCP:
	case PROTO_SCTP:
	case PROTO_UDP_LITE:
		return n_bytes >= PORTS_BYTES ? load32(l4) : 0;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		// Type and code stand where the destination port of a key stands.
		return n_bytes >= ICMP_TYPE_BYTES ? (uint32_t)load16(l4) << 16 : 0;
	default:
		return 0;
	}
}

// `ip` has `captured` octets; `rest` octets of the frame on the wire begin at it.
static enum packet_verdict parse_ipv4(
	struct packet *packet, uint16_t vlan_id, const uint8_t *ip, uint32_t captured, uint32_t rest
) {
	uint32_t header_bytes;
	uint8_t tcp_flags = 0;
	uint32_t ports = 0;

	if (captured < IPV4_HEADER_BYTES)
		return PACKET_IP_TRUNCATED;
	if (ip[0] >> 4 != 4)
		return PACKET_IP_VERSION;
	header_bytes = (ip[0] & 0x0f) * 4;
	if (header_bytes < IPV4_HEADER_BYTES)
		return PACKET_IP_HEADER_LEN;
	if (captured < header_bytes)
		return PACKET_IP_TRUNCATED;
	packet->octets = wire_get16(ip + 2);
	// Segmentation offload: the kernel hands over what is longer than the field can say.
	if (packet->octets == 0)
		packet->octets = rest;
	if (packet->octets < header_bytes)
		return PACKET_IP_TOTAL_LEN;

	if ((wire_get16(ip + 6) & FRAGMENT_OFFSET_MASK) == 0)
		ports = parse_transport(
			ip[9],
			ip + header_bytes,
			RTE_MIN(captured, packet->octets) - header_bytes,
			&tcp_flags
		);
	put_key4(packet, key_word(ports, ip[9], FLOW_IPV4, vlan_id), ip);
	put_seen(packet, tcp_flags, ip[1], ip[8]);
	return PACKET_METERED;
}

// The length in the jumbo payload option of the hop-by-hop header at `header`, 0 if there is
// none. At most 2048 octets are looked at, whatever is captured.
static uint32_t jumbo_payload_bytes(const uint8_t *header, uint32_t captured) {
	uint32_t end, at = 2;

	if (captured < 2)
		return 0;
	end = RTE_MIN((header[1] + 1u) * 8, captured);
	while (at < end) {
		if (header[at] == PAD1_OPTION) {
			at++;
			continue;
		}
		if (end - at < 2)
			break;
		if (header[at] == JUMBO_OPTION && header[at + 1] == JUMBO_OPTION_BYTES
		    && end - at >= 2 + JUMBO_OPTION_BYTES) {
			uint32_t n_bytes = wire_get32(header + at + 2);
			// What fits into the length field is no jumbogram (RFC 2675 section 3).
			return n_bytes > UINT16_MAX ? n_bytes : 0;
		}
		at += 2u + header[at + 1];
	}
	return 0;
}

// Octets of the extension header `proto`, whose first `n_bytes` are at `header`. 0 where it is
// none that is walked, or where not enough of it is there to know where it ends.
static uint32_t extension_bytes(uint8_t proto, const uint8_t *header, uint64_t n_bytes) {
	switch (proto) {
	case PROTO_HOP_BY_HOP:
	case PROTO_ROUTING:
	case PROTO_DESTINATION:
		return n_bytes >= 2 ? (header[1] + 1u) * 8 : 0;
	case PROTO_AH:
		return n_bytes >= 2 ? (header[1] + 2u) * 4 : 0;
	case PROTO_FRAGMENT:
		return n_bytes >= IPV6_FRAGMENT_BYTES ? IPV6_FRAGMENT_BYTES : 0;
	default:
		return 0;
	}
}

static enum packet_verdict parse_ipv6(
	struct packet *packet, uint16_t vlan_id, const uint8_t *ip, uint32_t captured, uint32_t rest
) {
	uint64_t end, at = IPV6_HEADER_BYTES;
	bool later_fragment = false;
	uint8_t proto, tcp_flags = 0;
	uint32_t n_bytes, ports = 0;

	if (captured < IPV6_HEADER_BYTES)
		return PACKET_IP_TRUNCATED;
	if (ip[0] >> 4 != 6)
		return PACKET_IP_VERSION;
	proto = ip[6];
	n_bytes = wire_get16(ip + 4);
	packet->octets = IPV6_HEADER_BYTES + n_bytes;
	if (n_bytes == 0) {
		if (proto == PROTO_HOP_BY_HOP)
			n_bytes = jumbo_payload_bytes(ip + at, captured - IPV6_HEADER_BYTES);
		packet->octets = n_bytes > 0 ? IPV6_HEADER_BYTES + (uint64_t)n_bytes : rest;
	}

	// Each turn takes 8 octets or more off, or ends here: a header that claims more than
	// there is leaves none for the next.
	end = RTE_MIN(captured, packet->octets);
	while ((n_bytes = extension_bytes(proto, ip + at, end - at)) > 0) {
		later_fragment = proto == PROTO_FRAGMENT && (wire_get16(ip + at + 2) >> 3) != 0;
		proto = ip[at];
		at = RTE_MIN(at + n_bytes, end);
		// Behind it is the middle of a packet, not the next header.
		if (later_fragment)
			break;
	}
	if (!later_fragment)
		ports = parse_transport(proto, ip + at, end - at, &tcp_flags);
	put_key6(packet, key_word(ports, proto, FLOW_IPV6, vlan_id), ip);
	put_seen(packet, tcp_flags, ipv6_traffic_class(ip), ip[7]);
	return PACKET_METERED;
}

// Every frame, by every rule. packet_parse_plain() takes the common ones first.
[[gnu::noinline]] static enum packet_verdict parse_any(
	struct packet *packet,
	enum link_type type,
	const uint8_t *frame,
	uint32_t captured_bytes,
	uint32_t wire_bytes
) {
	struct packet_link link;
	enum packet_verdict verdict = packet_link_walk(&link, type, frame, captured_bytes);
	const uint8_t *ip;
	uint32_t captured, rest;

	if (verdict != PACKET_METERED)
		return verdict;
	ip = frame + link.ip_offset;
	captured = captured_bytes - link.ip_offset;
	// A source that says less than it delivers is wrong about the former.
	rest = RTE_MAX(wire_bytes, captured_bytes) - link.ip_offset;
	packet->inner_vlan_id = link.inner_vlan_id;
	if (link.label != NULL) {
		packet->inner_vlan_id |= PACKET_LABELLED;
		memcpy(packet->mpls_label, link.label, sizeof(packet->mpls_label));
	}
	memcpy(packet->src_mac, link.src_mac, sizeof(packet->src_mac));
	memcpy(packet->dst_mac, link.dst_mac, sizeof(packet->dst_mac));

	if (link.family == 0) {
		if (captured < 1)
			return PACKET_IP_TRUNCATED;
		link.family = ip[0] >> 4;
	}
	switch (link.family) {
	case FLOW_IPV4:
		return parse_ipv4(packet, link.vlan_id, ip, captured, rest);
	case FLOW_IPV6:
		return parse_ipv6(packet, link.vlan_id, ip, captured, rest);
	default:
		return PACKET_IP_VERSION;
	}
}

enum packet_verdict packet_parse(
	struct packet *packet,
	enum link_type link,
	const uint8_t *frame,
	uint32_t captured_bytes,
	uint32_t wire_bytes
) {
	if (likely(link == LINK_ETHERNET && packet_parse_plain(packet, frame, captured_bytes, NULL)
	    ))
		return PACKET_METERED;
	return parse_any(packet, link, frame, captured_bytes, wire_bytes);
}

enum link_type packet_link_of_dlt(int dlt) {
	switch (dlt) {
	case 0:
		return LINK_NULL;
	case 1:
		return LINK_ETHERNET;
	case 9:
	case 50:
		return LINK_PPP;
	case 12:
	case 14:
	case 101:
		return LINK_RAW;
	case 51:
		return LINK_PPPOE;
	case 104:
		return LINK_CISCO_HDLC;
	case 108:
		return LINK_LOOP;
	case 113:
		return LINK_SLL;
	case 228:
		return LINK_RAW_IPV4;
	case 229:
		return LINK_RAW_IPV6;
	case 276:
		return LINK_SLL2;
	default:
		return LINK_UNKNOWN;
	}
}

const char *packet_verdict_name(enum packet_verdict verdict) {
	static const char *const names[PACKET_VERDICT_COUNT] = {
		[PACKET_METERED] = "metered",
		[PACKET_NOT_IP] = "not_ip",
		[PACKET_LINK_TRUNCATED] = "link_truncated",
		[PACKET_IP_TRUNCATED] = "ip_truncated",
		[PACKET_IP_VERSION] = "ip_version",
		[PACKET_IP_HEADER_LEN] = "ip_header_len",
		[PACKET_IP_TOTAL_LEN] = "ip_total_len",
	};

	return verdict < PACKET_VERDICT_COUNT ? names[verdict] : "unknown";
}
