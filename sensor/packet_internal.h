// Packet, inside: what its link layer half (packet_link.c) tells its IP half (packet.c).
//
// Threads: pure functions, callable from any. Time: not touched.

#pragma once

#include <stdint.h>

#include "packet.h"

// EtherTypes (IEEE 802 numbers at IANA). The TPIDs 9100, 9200 and 9300 are QinQ from before
// 802.1ad; switches still send them.
enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_MPLS = 0x8847,
	ETHERTYPE_MPLS_UPSTREAM = 0x8848, // once multicast, RFC 5332
	ETHERTYPE_PPPOE_SESSION = 0x8864,
	ETHERTYPE_VLAN_SERVICE = 0x88a8,
	ETHERTYPE_VLAN_9100 = 0x9100,
	ETHERTYPE_VLAN_9200 = 0x9200,
	ETHERTYPE_VLAN_9300 = 0x9300,
};

#define ETHERNET_HEADER_BYTES 14
#define VLAN_TAG_BYTES 4

// What lies before the IP header.
struct packet_link {
	uint32_t ip_offset; // octets of the frame before the IP header; <= captured octets
	uint16_t vlan_id;   // first tag
	uint16_t inner_vlan_id;
	const uint8_t *label; // top of an MPLS stack, or NULL
	uint8_t family;       // announced: enum flow_family; 0 = either, the version field decides
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
};

// Walks the link headers of a frame. Returns PACKET_METERED with `link` filled when an IP
// header is announced behind them (there may be no octet of it), else PACKET_NOT_IP or
// PACKET_LINK_TRUNCATED with `link` undefined. Takes time in proportion to the octets that
// the link headers occupy.
enum packet_verdict packet_link_walk(
	struct packet_link *link, enum link_type type, const uint8_t *frame, uint32_t captured_bytes
);
