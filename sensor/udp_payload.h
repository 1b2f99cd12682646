// UDP payload: finds what a UDP datagram in a captured frame carries, and between whom. Fragments
// are not put together.
//
// Threads: pure functions, callable from any. Time: not touched.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "packet.h"

enum udp_verdict {
	UDP_FOUND,
	UDP_OTHER,    // not UDP over IPv4 or IPv6, or damaged
	UDP_FRAGMENT, // of an IP packet that carries UDP
	UDP_CUT,      // fewer octets captured than the datagram has
};

struct udp_payload {
	uint8_t family;          // 4 or 6
	uint8_t src_address[16]; // IPv4 in the first 4 octets, 0 behind
	uint16_t src_port;
	uint16_t dst_port;
	const uint8_t *octets; // within the frame
	size_t bytes;
};

// Fills `payload` where UDP_FOUND is returned; where UDP_CUT is, addresses and ports alone, as far
// as they were captured, and else 0. No octet outside [frame, frame + captured_bytes) is read.
enum udp_verdict udp_payload_find(
	struct udp_payload *payload,
	enum link_type link,
	const uint8_t *frame,
	uint32_t captured_bytes
);
