// Flow key: what makes two packets one flow (RFC 7011 section 2). The 5-tuple, and the outer
// VLAN id, since the same private addresses in two VLANs are two conversations. The TOS octet
// is not part of it: ECN marks change it in mid-flow.
//
// Ports and addresses are kept as on the wire, so the packet parser copies them and the
// encoder copies them back. 40 octets for both families, no padding, compared as five words.

#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>

enum flow_family {
	FLOW_IPV4 = 4,
	FLOW_IPV6 = 6,
};

struct flow_key {
	union {
		struct {
			rte_be16_t src_port; // 0 where there are none
			rte_be16_t dst_port; // ICMP, ICMPv6: type * 256 + code
			uint8_t proto;       // IPv6: behind the extension headers
			uint8_t family;      // enum flow_family
			uint16_t vlan_id;    // outer VLAN id, host order; 0 = untagged
			union {
				struct {
					uint8_t src4[4];
					uint8_t dst4[4];
					uint8_t zero[24];
				};
				struct {
					uint8_t src6[16];
					uint8_t dst6[16];
				};
			};
		};
		uint64_t words[5];
	};
};

static_assert(sizeof(struct flow_key) == 40, "five words, as hashed and compared");

// The secret of a hash: 64 random octets per start, so that nobody who sends packets can
// choose which of them collide. A replay uses a fixed one and so repeats exactly.
struct flow_secret {
	uint64_t words[8];
};

// The secret that replays use.
extern const struct flow_secret flow_secret_fixed;

// Fills `secret` from the kernel's random pool. Returns 0 or a negative errno.
[[nodiscard]] int flow_secret_random(struct flow_secret *secret);

static inline uint64_t flow_key_fold(uint64_t a, uint64_t b) {
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// 64-bit keyed hash of the whole key. Multiply and fold: not linear, so unlike CRC or
// Toeplitz collisions found for one secret say nothing about another. For IPv4 only two of the
// five words can differ; the parser knows the family and hashes what it has in registers.
static inline uint64_t flow_key_hash4(uint64_t k0, uint64_t k1, const struct flow_secret *secret) {
	const uint64_t *s = secret->words;
	return flow_key_fold(flow_key_fold(k0 ^ s[0], k1 ^ s[1]) ^ s[6], s[7]);
}

static inline uint64_t flow_key_hash6(
	uint64_t k0,
	uint64_t k1,
	uint64_t k2,
	uint64_t k3,
	uint64_t k4,
	const struct flow_secret *secret
) {
	const uint64_t *s = secret->words;
	uint64_t a = flow_key_fold(k0 ^ s[0], k1 ^ s[1]);
	uint64_t b = flow_key_fold(k2 ^ s[2], k3 ^ s[3]);
	uint64_t c = flow_key_fold(k4 ^ s[4], k0 ^ s[5]);
	return flow_key_fold(a ^ c ^ s[6], b ^ s[7]);
}

static inline uint64_t flow_key_hash(const struct flow_key *key, const struct flow_secret *secret) {
	const uint64_t *k = key->words;

	if (key->family == FLOW_IPV4)
		return flow_key_hash4(k[0], k[1], secret);
	return flow_key_hash6(k[0], k[1], k[2], k[3], k[4], secret);
}

// Hash of one end of a conversation.
static inline uint64_t flow_key_fold_end(uint64_t a, uint64_t b, uint64_t port, const uint64_t *s) {
	return flow_key_fold(flow_key_fold(a ^ s[0], b ^ s[1]) ^ port ^ s[2], s[3]);
}

// Hash of the conversation that the flow is one direction of: the same for both, keyed too. Of
// ICMP the ends are addresses alone, a reply being of another type than what it answers.
static inline uint64_t
flow_key_conversation_hash(const struct flow_key *key, const struct flow_secret *secret) {
	const uint64_t *s = secret->words;
	bool ipv4 = key->family == FLOW_IPV4;
	bool has_ports = key->proto != (ipv4 ? 1 : 58);
	uint64_t src[2] = {0}, dst[2] = {0};

	memcpy(src, ipv4 ? key->src4 : key->src6, ipv4 ? 4 : 16);
	memcpy(dst, ipv4 ? key->dst4 : key->dst6, ipv4 ? 4 : 16);
	uint64_t ends = flow_key_fold_end(src[0], src[1], has_ports ? key->src_port : 0, s)
			+ flow_key_fold_end(dst[0], dst[1], has_ports ? key->dst_port : 0, s);
	return flow_key_fold(ends ^ s[6], s[7]);
}

// Which of `n_workers`, up to 65536, meters the flow: that of its conversation.
static inline unsigned
flow_key_worker(const struct flow_key *key, const struct flow_secret *secret, unsigned n_workers) {
	return (unsigned)(((flow_key_conversation_hash(key, secret) >> 48) * n_workers) >> 16);
}

static inline bool flow_key_equal(const struct flow_key *a, const struct flow_key *b) {
	// No early exit: the answer is nearly always yes, and one branch is cheaper than five.
	return ((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1])
		| (a->words[2] ^ b->words[2]) | (a->words[3] ^ b->words[3])
		| (a->words[4] ^ b->words[4]))
	       == 0;
}
