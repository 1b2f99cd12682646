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
		&& offsetof(struct packet, ttl_again) == offsetof(struct packet, tcp_flags) + 3,
	"put_seen() stores four at once"
);
static_assert(
	offsetof(struct packet, src_mac) == offsetof(struct packet, dst_mac) + 6
		&& offsetof(struct packet, behind_macs) == offsetof(struct packet, dst_mac) + 12,
	"MACs are copied as they stand in an Ethernet frame, 16 octets at once"
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

static inline void put_seen(struct packet *packet, uint32_t tcp_flags, uint32_t tos, uint32_t ttl) {
	uint32_t v = tcp_flags | tos << 8 | ttl << 16 | ttl << 24;
	memcpy(&packet->tcp_flags, &v, sizeof(v));
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

static inline uint32_t transport_flags(const uint8_t *l4, bool tcp) {
	return l4[TCP_FLAGS_OFFSET] & (uint8_t) - (unsigned)tcp;
}

// What is known of a plain frame when it has been checked.
struct plain {
	const uint8_t *frame;
	uint32_t ip_offset; // a constant, as is the next
	enum flow_family family;
	bool tcp;
	uint64_t head;    // the first 8 octets of the IP header, as a number
	uint64_t vlan_id; // as wide as the key's word: narrow, it would be spilled narrow and
			  // loaded wide
	uint32_t octets;
};

// Writes the packet of a plain frame, and with a secret hashes its key while it is in registers.
static inline __attribute__((always_inline)) void
put_plain(struct packet *packet, const struct plain *plain, const struct flow_secret *secret) {
	const uint8_t *ip = plain->frame + plain->ip_offset;
	bool ipv4 = plain->family == FLOW_IPV4;
	const uint8_t *l4 = ip + (ipv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);
	uint8_t proto = ipv4 ? ip[9] : (uint8_t)(plain->head >> 8);
	uint64_t word = key_word(load32(l4), proto, plain->family, plain->vlan_id);

	if (ipv4) {
		put_key4(packet, word, ip);
		if (secret != NULL)
			packet->hash = flow_key_hash4(word, load64(ip + 12), secret);
	} else {
		put_key6(packet, word, ip);
		if (secret != NULL)
			packet->hash = flow_key_hash6(
				word,
				load64(ip + 8),
				load64(ip + 16),
				load64(ip + 24),
				load64(ip + 32),
				secret
			);
	}
	put_seen(
		packet,
		transport_flags(l4, plain->tcp),
		(uint8_t)(plain->head >> (ipv4 ? 48 : 52)),
		ipv4 ? ip[8] : (uint8_t)plain->head
	);
	packet->octets = plain->octets;
	packet->inner_vlan_id = 0;
	memcpy(packet->dst_mac, plain->frame, 16);
}

// Inlined twice with constant `ip_offset`. At least IPV4_HEADER_BYTES are captured at it.
static inline __attribute__((always_inline)) bool parse_plain(
	struct packet *packet,
	const uint8_t *frame,
	uint32_t ip_offset,
	uint32_t captured_bytes,
	rte_be16_t ethertype,
	uint64_t vlan_id,
	const struct flow_secret *secret
) {
	const uint8_t *ip = frame + ip_offset;
	struct plain plain = {
		.frame = frame,
		.ip_offset = ip_offset,
		.head = __builtin_bswap64(load64(ip)),
		.vlan_id = vlan_id,
	};
	uint8_t proto;
	uint32_t need;

	if (likely(ethertype == RTE_BE16(ETHERTYPE_IPV4))) {
		plain.family = FLOW_IPV4;
		plain.octets = (uint16_t)(plain.head >> 32);
		proto = ip[9];
		plain.tcp = proto == PROTO_TCP;
		need = IPV4_HEADER_BYTES + FAST_TRANSPORT_BYTES;
		if (unlikely(
			    (plain.head & IPV4_PLAIN_MASK) != IPV4_PLAIN
			    || !(plain.tcp | (proto == PROTO_UDP))
		    ))
			return false;
		if (unlikely(plain.octets < need || captured_bytes < ip_offset + need))
			return false;
		put_plain(packet, &plain, secret);
		return true;
	}
	if (ethertype == RTE_BE16(ETHERTYPE_IPV6)) {
		plain.family = FLOW_IPV6;
		plain.octets = IPV6_HEADER_BYTES + (uint16_t)(plain.head >> 16);
		proto = (uint8_t)(plain.head >> 8);
		plain.tcp = proto == PROTO_TCP;
		need = IPV6_HEADER_BYTES + FAST_TRANSPORT_BYTES;
		if (unlikely(plain.head >> 60 != 6 || !(plain.tcp | (proto == PROTO_UDP))))
			return false;
		if (unlikely(plain.octets < need || captured_bytes < ip_offset + need))
			return false;
		put_plain(packet, &plain, secret);
		return true;
	}
	return false;
}

// Whether the frame is of those that the fast path takes; then it is parsed as packet_parse()
// does, and hashed where there is a secret. Where not, `packet` is undefined.
static inline __attribute__((always_inline)) bool packet_parse_plain(
	struct packet *packet,
	const uint8_t *frame,
	uint32_t captured_bytes,
	const struct flow_secret *secret
) {
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
			__builtin_bswap16(load16(frame + 14)) & VLAN_ID_MASK,
			secret
		);
	return parse_plain(
		packet, frame, ETHERNET_HEADER_BYTES, captured_bytes, ethertype, 0, secret
	);
}
