// Frames of every kind that the parser tells apart, at random: what is common, what is rare,
// and what is broken.

#pragma once

#include <stdint.h>
#include <string.h>

#include "packet.h"
#include "random.h"
#include "wire.h"

enum {
	MADE_FRAME_MAX = 512,
};

// Announces what follows: IPv4, IPv6 or, rarely, something else. Returns the octets written.
static inline uint32_t
make_link(struct random *random, enum link_type link, uint8_t *out, bool ipv6, bool not_ip) {
	static const uint16_t tags[] = {0x8100, 0x8100, 0x88a8, 0x9100};
	uint16_t ethertype = not_ip ? 0x0806 : ipv6 ? 0x86dd : 0x0800;
	uint32_t n = 0;

	switch (link) {
	case LINK_ETHERNET:
		random_fill(random, out, 12);
		n = 12;
		for (uint32_t left = random_below(random, 4); left > 1; left--, n += 4) {
			wire_put16(out + n, tags[random_below(random, 4)]);
			wire_put16(out + n + 2, (uint16_t)random_below(random, 3));
		}
		wire_put16(out + n, ethertype);
		return n + 2;
	case LINK_NULL:
		memcpy(out, &(uint32_t){not_ip ? 99 : ipv6 ? 24 : 2}, 4);
		return 4;
	case LINK_LOOP:
		wire_put32(out, not_ip ? 99 : ipv6 ? 24 : 2);
		return 4;
	case LINK_PPP:
		wire_put16(out, 0xff03);
		wire_put16(out + 2, not_ip ? 0xc021 : ipv6 ? 0x57 : 0x21);
		return 4;
	case LINK_PPPOE:
		memcpy(out, "\x11\0\0\1\0\0", 6);
		wire_put16(out + 6, not_ip ? 0xc021 : ipv6 ? 0x57 : 0x21);
		return 8;
	case LINK_CISCO_HDLC:
		wire_put16(out, 0x0f00);
		wire_put16(out + 2, ethertype);
		return 4;
	case LINK_SLL:
		memset(out, 0, 14);
		wire_put16(out + 2, 1);
		wire_put16(out + 4, 6);
		wire_put16(out + 14, ethertype);
		return 16;
	case LINK_SLL2:
		memset(out, 0, 20);
		wire_put16(out, ethertype);
		wire_put16(out + 8, 1);
		out[11] = 6;
		return 20;
	default: // raw IP, or what weir does not read
		return 0;
	}
}

static inline uint32_t make_transport(struct random *random, uint8_t *out, uint8_t proto) {
	static const uint8_t flags[] = {0x10, 0x18, 0x10, 0x02, 0x11, 0x04};
	uint32_t n = 20 + random_below(random, 20);

	memset(out, 0, n);
	wire_put16(out, (uint16_t)random_below(random, 4));
	wire_put16(out + 2, 443);
	if (proto == 6) {
		out[12] = 0x50;
		out[13] = flags[random_below(random, sizeof(flags))];
	}
	return n;
}

static inline uint32_t make_ipv4(struct random *random, uint8_t *ip, uint8_t proto, uint32_t id) {
	uint32_t header = random_below(random, 10) == 0 ? 20 + 4 * random_below(random, 11) : 20;
	uint32_t n = header + make_transport(random, ip + header, proto);

	memset(ip, 0, header);
	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[1] = (uint8_t)random_below(random, 256);
	wire_put16(ip + 2, random_below(random, 50) == 0 ? 0 : (uint16_t)n);
	if (random_below(random, 10) == 0) // a fragment, the first or a later one
		wire_put16(ip + 6, (uint16_t)(0x2000 | random_below(random, 2) * 100));
	if (random_below(random, 40) == 0) // shorter than can be
		ip[0] = (uint8_t)(0x40 | random_below(random, 5));
	if (random_below(random, 40) == 0)
		wire_put16(ip + 2, (uint16_t)(1 + random_below(random, 19)));
	ip[8] = (uint8_t)random_below(random, 256);
	ip[9] = proto;
	wire_put32(ip + 12, id);
	wire_put32(ip + 16, ~id);
	return n;
}

static inline uint32_t make_ipv6(struct random *random, uint8_t *ip, uint8_t proto, uint32_t id) {
	static const uint8_t extensions[] = {0, 43, 44, 60, 51};
	uint32_t n = 40, next = 6;

	memset(ip, 0, 40);
	wire_put32(ip, 0x60000000 | random_below(random, 256) << 20);
	ip[7] = (uint8_t)random_below(random, 256);
	wire_put64(ip + 8, id);
	wire_put64(ip + 32, ~(uint64_t)id);
	for (uint32_t left = random_below(random, 12); left > 9; left--) {
		uint8_t extension = extensions[random_below(random, sizeof(extensions))];
		ip[next] = extension;
		next = n;
		memset(ip + n, 0, 24);
		if (extension == 44)
			wire_put16(ip + n + 2, (uint16_t)(random_below(random, 2) << 3));
		else
			ip[n + 1] = (uint8_t)random_below(random, 2);
		n += extension == 44   ? 8
		     : extension == 51 ? 8 + 4u * ip[n + 1]
				       : 8 + 8u * ip[n + 1];
	}
	ip[next] = proto;
	n += make_transport(random, ip + n, proto);
	wire_put16(ip + 4, random_below(random, 50) == 0 ? 0 : (uint16_t)(n - 40));
	return n;
}

// A frame of one of `n_flows` hosts, the first ones far more often than the last. One in ten is cut
// short, one in ten has some octets changed. Returns the octets written to `out`, which has
// MADE_FRAME_MAX.
static inline uint32_t
make_frame(struct random *random, enum link_type link, uint8_t *out, uint32_t n_flows) {
	static const uint8_t protos[] = {6, 6, 6, 17, 17, 17, 1, 58, 132, 47};
	uint32_t id = random_zipf(random, n_flows);
	uint8_t proto = protos[random_below(random, sizeof(protos))];
	bool ipv6 = id % 3 == 0;
	uint32_t n = make_link(random, link, out, ipv6, random_below(random, 30) == 0);

	n += ipv6 ? make_ipv6(random, out + n, proto, id) : make_ipv4(random, out + n, proto, id);
	if (random_below(random, 10) == 0)
		for (uint32_t left = 1 + random_below(random, 3); left > 0; left--)
			out[random_below(random, n)] = (uint8_t)random64(random);
	if (random_below(random, 10) == 0)
		n = random_below(random, n + 1);
	return n;
}
