// Packet, inside: the fast path of packet_parse(), to be inlined where frames are metered in
// bulk, and the stores that it shares with the rules in packet.c.
//
// Threads: pure functions, callable from any. Time: not touched.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>

#include "packet.h"
#include "packet_internal.h"

#define IPV4_HEADER_BYTES 20
#define IPV6_HEADER_BYTES 40
#define TCP_FLAGS_OFFSET 13

enum {
	PROTO_TCP = 6,
	PROTO_UDP = 17,
};

// The key and the small fields are put together in registers and stored at once: a load that
// spans narrower stores still under way waits for them, and hash and key compare load words.
static_assert(RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN, "the shifts below put the first field lowest");
static_assert(
	offsetof(struct flow_key, dst_port) == 2 && offsetof(struct flow_key, proto) == 4
		&& offsetof(struct flow_key, family) == 5 && offsetof(struct flow_key, vlan_id) == 6
		&& offsetof(struct flow_key, src4) == 8 && offsetof(struct flow_key, dst4) == 12,
	"key_word() and the address copies follow the key"
);
static_assert(
	offsetof(struct packet, tos) == offsetof(struct packet, tcp_flags) + 1
		&& offsetof(struct packet, ttl) == offsetof(struct packet, tcp_flags) + 2
		&& offsetof(struct packet, reserved) == offsetof(struct packet, tcp_flags) + 3
		&& offsetof(struct packet, inner_vlan_id) == offsetof(struct packet, tcp_flags) + 4,
	"put_octets() stores four at once, in_if is not among them"
);
static_assert(
	offsetof(struct packet, dst_mac) == offsetof(struct packet, src_mac) + 6,
	"put_macs() stores both at once"
);

static inline uint16_t load16(const uint8_t *in) {
	uint16_t v;
	memcpy(&v, in, sizeof(v));
	return v;
}

static inline uint32_t load32(const uint8_t *in) {
	uint32_t v;
	memcpy(&v, in, sizeof(v));
	return v;
}

static inline uint64_t load64(const uint8_t *in) {
	uint64_t v;
	memcpy(&v, in, sizeof(v));
	return v;
}

// The first word of a key. `ports` holds both as on the wire.
static inline uint64_t
key_word(uint32_t ports, uint64_t proto, enum flow_family family, uint64_t vlan_id) {
	return ports | proto << 32 | (uint64_t)family << 40 | vlan_id << 48;
}

static inline void put_key4(struct packet *packet, uint64_t word, const uint8_t *ip) {
	uint64_t *words = packet->key.words;

	words[0] = word;
	words[1] = load64(ip + 12); // source, destination
	words[2] = 0;
	words[3] = 0;
	words[4] = 0;
}

static inline void put_key6(struct packet *packet, uint64_t word, const uint8_t *ip) {
	uint64_t *words = packet->key.words;

	words[0] = word;
	words[1] = load64(ip + 8);
	words[2] = load64(ip + 16);
	words[3] = load64(ip + 24);
	words[4] = load64(ip + 32);
}

static inline void put_octets(struct packet *packet, uint8_t tcp_flags, uint8_t tos, uint8_t ttl) {
	uint32_t v = tcp_flags | (uint32_t)tos << 8 | (uint32_t)ttl << 16;
	memcpy((uint8_t *)packet + offsetof(struct packet, tcp_flags), &v, sizeof(v));
}

// From the first 12 octets of an Ethernet frame: there the destination is first.
static inline void put_macs(struct packet *packet, const uint8_t *ethernet) {
	uint64_t src_and_dst = load64(ethernet + 4) >> 16 | load64(ethernet) << 48;
	uint32_t rest_of_dst = load32(ethernet + 2);
	uint8_t *out = (uint8_t *)packet + offsetof(struct packet, src_mac);

	memcpy(out, &src_and_dst, sizeof(src_and_dst));
	memcpy(out + sizeof(src_and_dst), &rest_of_dst, sizeof(rest_of_dst));
}

// The fast path: Ethernet, at most one VLAN tag, IPv4 without options or IPv6 without extension
// headers, TCP or UDP with its ports in the first fragment and all needed octets there. It
// only has to say no to anything else, never to know what it is; the tests hold it to the
// same result as the rules above.
#define FAST_BYTES (ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES + IPV4_HEADER_BYTES)

// The first 8 octets of an IPv4 header as a number: version and header length, TOS, total
// length, identification, flags and fragment offset.
#define IPV4_PLAIN_MASK UINT64_C(0xff00000000001fff) // version, header length, offset
#define IPV4_PLAIN UINT64_C(0x4500000000000000)

// Octets behind the IP header that the fast path wants to see, of UDP too: one bound for both,
// since they come in no order that a predictor could learn. UDP with less than 6 octets of
// payload takes the long way.
#define FAST_TRANSPORT_BYTES (TCP_FLAGS_OFFSET + 1)

static inline uint8_t transport_flags(const uint8_t *l4, bool tcp) {
	return l4[TCP_FLAGS_OFFSET] & (uint8_t) - (unsigned)tcp;
}

static inline void put_ethernet(struct packet *packet, const uint8_t *frame, uint64_t octets) {
	packet->octets = octets;
	packet->inner_vlan_id = 0;
	put_macs(packet, frame);
}

// Inlined twice with constant `ip_offset`. At least IPV4_HEADER_BYTES are captured at it.
// `vlan_id` is as wide as the key's word: narrow, it would be spilled narrow and loaded wide.
static inline __attribute__((always_inline)) bool parse_plain(
	struct packet *packet,
	const uint8_t *frame,
	uint32_t ip_offset,
	uint32_t captured_bytes,
	rte_be16_t ethertype,
	uint64_t vlan_id
) {
	const uint8_t *ip = frame + ip_offset;
	uint64_t head = __builtin_bswap64(load64(ip));

	if (likely(ethertype == RTE_BE16(ETHERTYPE_IPV4))) {
		const uint8_t *l4 = ip + IPV4_HEADER_BYTES;
		uint32_t octets = (uint16_t)(head >> 32);
		uint8_t proto = ip[9];
		bool tcp = proto == PROTO_TCP;
		const uint32_t need = IPV4_HEADER_BYTES + FAST_TRANSPORT_BYTES;

		if (unlikely(
			    (head & IPV4_PLAIN_MASK) != IPV4_PLAIN || !(tcp | (proto == PROTO_UDP))
		    ))
			return false;
		if (unlikely(octets < need || captured_bytes < ip_offset + need))
			return false;
		put_key4(packet, key_word(load32(l4), proto, FLOW_IPV4, vlan_id), ip);
		put_octets(packet, transport_flags(l4, tcp), (uint8_t)(head >> 48), ip[8]);
		put_ethernet(packet, frame, octets);
		return true;
	}
	if (ethertype == RTE_BE16(ETHERTYPE_IPV6)) {
		const uint8_t *l4 = ip + IPV6_HEADER_BYTES;
		uint32_t octets = IPV6_HEADER_BYTES + (uint16_t)(head >> 16);
		uint8_t proto = (uint8_t)(head >> 8);
		bool tcp = proto == PROTO_TCP;
		const uint32_t need = IPV6_HEADER_BYTES + FAST_TRANSPORT_BYTES;

		if (unlikely(head >> 60 != 6 || !(tcp | (proto == PROTO_UDP))))
			return false;
		if (unlikely(octets < need || captured_bytes < ip_offset + need))
			return false;
		put_key6(packet, key_word(load32(l4), proto, FLOW_IPV6, vlan_id), ip);
		put_octets(packet, transport_flags(l4, tcp), (uint8_t)(head >> 52), (uint8_t)head);
		put_ethernet(packet, frame, octets);
		return true;
	}
	return false;
}

// Whether the frame is of those that the fast path takes; then it is parsed as packet_parse()
// does. Where not, `packet` is undefined.
static inline __attribute__((always_inline)) bool
packet_parse_plain(struct packet *packet, const uint8_t *frame, uint32_t captured_bytes) {
	if (unlikely(captured_bytes < FAST_BYTES))
		return false;

	rte_be16_t ethertype = load16(frame + 12);
	if (ethertype == RTE_BE16(ETHERTYPE_VLAN) || ethertype == RTE_BE16(ETHERTYPE_VLAN_SERVICE))
		return parse_plain(
			packet,
			frame,
			ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES,
			captured_bytes,
			load16(frame + 16),
			__builtin_bswap16(load16(frame + 14)) & VLAN_ID_MASK
		);
	return parse_plain(packet, frame, ETHERNET_HEADER_BYTES, captured_bytes, ethertype, 0);
}
