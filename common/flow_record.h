// Flow record: what is known of a flow, in one direction, since it began or since its last
// record (RFC 3954 section 2). It leaves the flow cache, travels a ring, and is what every
// sink encodes. A flow that is cut (active timeout, eviction) gives several records, and
// they add up to it exactly.

#pragma once

#include <assert.h>
#include <stdint.h>

#include "flow_key.h"

// Why a record was made: flowEndReason, IPFIX element 136 (RFC 5102 section 5.11.3).
enum flow_end {
	FLOW_END_NONE = 0,
	FLOW_END_IDLE = 1,      // no packet for the idle timeout
	FLOW_END_ACTIVE = 2,    // cut at the active timeout or before a counter overflows; goes on
	FLOW_END_DETECTED = 3,  // TCP FIN or RST, and the late segments after it
	FLOW_END_FORCED = 4,    // the sensor stops, or its clock was set back
	FLOW_END_RESOURCES = 5, // evicted to make room for a new flow
	FLOW_END_COUNT
};

struct flow_record {
	struct flow_key key;
	uint64_t first_ticks; // time of the earliest packet, ticks since 1970 (clock.h)
	uint64_t last_ticks;  // time of the latest packet
	uint64_t packets;
	uint64_t octets; // of IP: headers and payload, no link layer (IN_BYTES)
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	uint16_t inner_vlan_id; // second tag of QinQ; 0 = none
	uint16_t in_if;         // ifIndex of the port that saw it, never 0
	uint8_t tcp_flags;      // OR of octet 13 of the TCP headers
	uint8_t tos;            // of the first packet
	uint8_t ttl_min;
	uint8_t ttl_max;
	uint8_t end; // enum flow_end
	uint8_t mpls_label[3]; // label, class and end of stack of the outermost label; 0 = none
};

static_assert(sizeof(struct flow_record) == 96, "one and a half lines a record in the rings");
