// Packet: the octets of a frame become what the flow cache meters. Every read is checked
// against the captured length; a frame that cannot be metered is told apart by reason, so
// that the ledger can say where each one went.
//
// Only the outermost IP header counts: tunnels are not opened. Padding is never taken for a
// header, and a packet whose IP length exceeds the captured octets counts with its IP length.
//
// Threads: pure functions, callable from any. Time: not touched.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "flow_key.h"

// The link layers that weir reads (the tcpdump group's LINKTYPE_ registry).
enum link_type {
	LINK_UNKNOWN,
	LINK_ETHERNET,   // 1
	LINK_NULL,       // 0: BSD loopback, family in the byte order of the capturing host
	LINK_LOOP,       // 108: OpenBSD loopback, family in network order
	LINK_PPP,        // 9, also 50 (PPP over serial with HDLC framing)
	LINK_PPPOE,      // 51: PPPoE header, no Ethernet
	LINK_CISCO_HDLC, // 104
	LINK_RAW,        // 12, 14, 101: IPv4 or IPv6 by version
	LINK_RAW_IPV4,   // 228
	LINK_RAW_IPV6,   // 229
	LINK_SLL,        // 113: Linux cooked v1
	LINK_SLL2,       // 276: Linux cooked v2
};

// What became of a frame. All but PACKET_METERED are counted in the ledger under a reason
// of their own.
enum packet_verdict {
	PACKET_METERED = 0,
	PACKET_NOT_IP,         // ARP, LLC, LLDP, Ethernet over MPLS ...: no IP header announced
	PACKET_LINK_TRUNCATED, // the link header is cut short
	PACKET_IP_TRUNCATED,   // fewer octets captured than the IP header (IPv4: with options) has
	PACKET_IP_VERSION,     // the version is not the one the link layer announced
	PACKET_IP_HEADER_LEN,  // IPv4: header length below 20 octets
	PACKET_IP_TOTAL_LEN,   // IPv4: total length above 0 but below the header length
	PACKET_VERDICT_COUNT
};

// In inner_vlan_id, above the 12 bits of a VLAN: there was an MPLS label. So frames without, which
// the fast path parses, cost nothing for it.
#define PACKET_LABELLED 0x8000
#define VLAN_ID_MASK 0x0fff

struct packet {
	// What counting to a running flow needs, in one line.
	struct flow_key key;
	time_ns_t time_ns; // set by the source
	uint64_t octets;   // of IP; where the length field is 0, the rest of the frame
	uint8_t tcp_flags; // octet 13 of the TCP header, else 0
	uint8_t tos;
	uint8_t ttl;
	uint8_t ttl_again; // = ttl: with the three before it the word that a flow begins with
	uint16_t
		inner_vlan_id; // second VLAN tag, 0 = none; with PACKET_LABELLED where one is there
	uint16_t in_if;        // set by the source, never 0

	// What starting a flow needs besides.
	uint64_t hash;      // flow_key_hash(); set by flow_cache_push() or by the fan-out
	uint8_t dst_mac[6]; // zero where the link layer has none
	uint8_t src_mac[6];
	union {
		uint8_t behind_macs[4]; // room, so that both can be copied at once
		uint8_t mpls_label[4];  // top of the stack as on the wire, where PACKET_LABELLED
	};
};

static_assert(sizeof(struct packet) == 88, "no padding");
static_assert(offsetof(struct packet, hash) == 64, "one line for a hit");

// The link type of a DLT value of libpcap, LINK_UNKNOWN where weir does not read it.
enum link_type packet_link_of_dlt(int dlt);

// Parses `captured_bytes` octets at `frame` into `packet` (all but time_ns and in_if, which are
// left as they are, and hash, which is undefined). `wire_bytes` is the frame's length on the wire;
// it matters only where the IP length field is 0 (segmentation offload). `packet` is undefined
// unless PACKET_METERED is returned. No octet outside [frame, frame + captured_bytes) is read.
enum packet_verdict packet_parse(
	struct packet *packet,
	enum link_type link,
	const uint8_t *frame,
	uint32_t captured_bytes,
	uint32_t wire_bytes
);

// A short lower-case name for the ledger, such as "not_ip" or "ip_truncated".
const char *packet_verdict_name(enum packet_verdict verdict);
