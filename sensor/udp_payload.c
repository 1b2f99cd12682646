#include "udp_payload.h"

#include <stdbool.h>
#include <string.h>

#include "packet_internal.h"
#include "wire.h"

enum {
	IPV4_HEADER_BYTES = 20,
	IPV6_HEADER_BYTES = 40,
	UDP_HEADER_BYTES = 8,
	FRAGMENT_HEADER_BYTES = 8,
	MORE_FRAGMENTS = 0x2000,
	FRAGMENT_OFFSET = 0x1fff,
	FRAGMENT6_OFFSET_AND_MORE = 0xfff9,
	HOP_BY_HOP = 0,
	UDP = 17,
	ROUTING = 43,
	FRAGMENT = 44,
	DESTINATION = 60,
};

// What is left of the IP packet.
struct cursor {
	const uint8_t *at;
	size_t captured; // octets there
	size_t bytes;    // octets that the packet has
};

static void skip(struct cursor *cursor, size_t n_bytes) {
	cursor->at += n_bytes;
	cursor->captured -= n_bytes;
	cursor->bytes -= n_bytes;
}

// Ethernet pads: what lies behind the packet is not its own.
static void limit(struct cursor *cursor, size_t packet_bytes) {
	cursor->bytes = packet_bytes;
	if (cursor->captured > packet_bytes)
		cursor->captured = packet_bytes;
}

static enum udp_verdict enter_ipv4(struct cursor *cursor, struct udp_payload *payload) {
	const uint8_t *ip = cursor->at;

	if (cursor->captured < IPV4_HEADER_BYTES)
		return UDP_OTHER;
	size_t header_bytes = 4 * (ip[0] & 15u), total_bytes = wire_get16(ip + 2);
	if (header_bytes < IPV4_HEADER_BYTES || total_bytes < header_bytes || ip[9] != UDP)
		return UDP_OTHER;
	payload->family = 4;
	memcpy(payload->src_address, ip + 12, 4);
	if ((wire_get16(ip + 6) & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) != 0)
		return UDP_FRAGMENT;
	limit(cursor, total_bytes);
	if (cursor->captured < header_bytes)
		return UDP_CUT;
	skip(cursor, header_bytes);
	return UDP_FOUND;
}

// Takes the extension headers off the front (RFC 8200 section 4).
static enum udp_verdict enter_extensions(struct cursor *cursor, uint8_t next) {
	while (next != UDP) {
		if (next != HOP_BY_HOP && next != ROUTING && next != DESTINATION
		    && next != FRAGMENT)
			return UDP_OTHER;
		if (cursor->captured < FRAGMENT_HEADER_BYTES)
			return UDP_OTHER;
		size_t bytes = next == FRAGMENT ? FRAGMENT_HEADER_BYTES : 8 + 8u * cursor->at[1];
		bool part = next == FRAGMENT
			    && (wire_get16(cursor->at + 2) & FRAGMENT6_OFFSET_AND_MORE) != 0;
		next = cursor->at[0];
		if (part)
			return next == UDP ? UDP_FRAGMENT : UDP_OTHER;
		if (cursor->captured < bytes)
			return UDP_OTHER;
		skip(cursor, bytes);
	}
	return UDP_FOUND;
}

static enum udp_verdict enter_ipv6(struct cursor *cursor, struct udp_payload *payload) {
	const uint8_t *ip = cursor->at;

	if (cursor->captured < IPV6_HEADER_BYTES)
		return UDP_OTHER;
	payload->family = 6;
	memcpy(payload->src_address, ip + 8, 16);
	limit(cursor, (size_t)IPV6_HEADER_BYTES + wire_get16(ip + 4));
	skip(cursor, IPV6_HEADER_BYTES);
	return enter_extensions(cursor, ip[6]);
}

static enum udp_verdict enter_udp(struct cursor *cursor, struct udp_payload *payload) {
	if (cursor->captured < UDP_HEADER_BYTES)
		return cursor->bytes < UDP_HEADER_BYTES ? UDP_OTHER : UDP_CUT;
	size_t bytes = wire_get16(cursor->at + 4);
	payload->src_port = wire_get16(cursor->at);
	payload->dst_port = wire_get16(cursor->at + 2);
	if (bytes < UDP_HEADER_BYTES || bytes > cursor->bytes)
		return UDP_OTHER;
	if (bytes > cursor->captured)
		return UDP_CUT;
	payload->octets = cursor->at + UDP_HEADER_BYTES;
	payload->bytes = bytes - UDP_HEADER_BYTES;
	return UDP_FOUND;
}

enum udp_verdict udp_payload_find(
	struct udp_payload *payload,
	enum link_type link,
	const uint8_t *frame,
	uint32_t captured_bytes
) {
	struct packet_link layer;

	*payload = (struct udp_payload){0};
	if (packet_link_walk(&layer, link, frame, captured_bytes) != PACKET_METERED)
		return UDP_OTHER;
	struct cursor cursor = {
		.at = frame + layer.ip_offset,
		.captured = captured_bytes - layer.ip_offset,
	};
	if (cursor.captured < 1)
		return UDP_OTHER;
	unsigned version = cursor.at[0] >> 4;
	enum udp_verdict verdict = version == 4   ? enter_ipv4(&cursor, payload)
				   : version == 6 ? enter_ipv6(&cursor, payload)
						  : UDP_OTHER;
	return verdict == UDP_FOUND ? enter_udp(&cursor, payload) : verdict;
}
