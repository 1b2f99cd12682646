// Elements: the names and types of what NetFlow v9 and IPFIX fields hold, by IANA's number of the
// information element (RFC 7012), which v9 shares (RFC 3954 section 8), and of a few enterprises'.
//
// Threads: pure functions and constants.

#pragma once

#include <stdbool.h>
#include <stdint.h>

// RFC 7012 section 3.1, as far as the way to read an octet string goes.
enum element_type {
	ELEMENT_OCTETS, // shown as hex
	ELEMENT_UNSIGNED,
	ELEMENT_SIGNED,
	ELEMENT_FLOAT,
	ELEMENT_BOOLEAN,
	ELEMENT_MAC,
	ELEMENT_IPV4,
	ELEMENT_IPV6,
	ELEMENT_TEXT,
	ELEMENT_SECONDS,      // since 1970
	ELEMENT_MILLISECONDS, // since 1970
	ELEMENT_NTP,          // RFC 5905 timestamps: 32 bits of seconds since 1900, 32 of fraction
	ELEMENT_UPTIME,       // milliseconds since the exporter's boot
	ELEMENT_LIST,         // RFC 6313; shown as hex
};

struct element {
	uint32_t enterprise; // 0 = IANA's own
	uint16_t id;
	uint8_t type; // enum element_type
	const char *name;
};

enum {
	ENTERPRISE_REVERSE = 29305, // RFC 5103: the same element, of the other direction
};

// The elements that the code asks for by number.
enum element_id {
	ELEMENT_OCTET_DELTA = 1,
	ELEMENT_PACKET_DELTA = 2,
	ELEMENT_PROTOCOL = 4,
	ELEMENT_TOS = 5,
	ELEMENT_TCP_FLAGS = 6,
	ELEMENT_SRC_PORT = 7,
	ELEMENT_SRC4 = 8,
	ELEMENT_IN_IF = 10,
	ELEMENT_DST_PORT = 11,
	ELEMENT_DST4 = 12,
	ELEMENT_OUT_IF = 14,
	ELEMENT_LAST_SWITCHED = 21,
	ELEMENT_FIRST_SWITCHED = 22,
	ELEMENT_SRC6 = 27,
	ELEMENT_DST6 = 28,
	ELEMENT_ICMP4 = 32,
	ELEMENT_SAMPLING_INTERVAL = 34,
	ELEMENT_SAMPLER_INTERVAL = 50, // samplerRandomInterval
	ELEMENT_TTL_MIN = 52,
	ELEMENT_TTL_MAX = 53,
	ELEMENT_SRC_MAC = 56,
	ELEMENT_VLAN = 58,
	ELEMENT_IP_VERSION = 60,
	ELEMENT_DST_MAC = 80,
	ELEMENT_END_REASON = 136,
	ELEMENT_ICMP6 = 139,
	ELEMENT_START_S = 150,
	ELEMENT_END_S = 151,
	ELEMENT_START_MS = 152,
	ELEMENT_END_MS = 153,
	ELEMENT_START_US = 154,
	ELEMENT_END_US = 155,
	ELEMENT_START_NS = 156,
	ELEMENT_END_NS = 157,
	ELEMENT_START_DELTA_US = 158,
	ELEMENT_END_DELTA_US = 159,
	ELEMENT_BOOT_MS = 160,
	ELEMENT_ICMP4_TYPE = 176,
	ELEMENT_ICMP4_CODE = 177,
	ELEMENT_ICMP6_TYPE = 178,
	ELEMENT_ICMP6_CODE = 179,
	ELEMENT_TTL = 192,
	ELEMENT_PADDING = 210,
	ELEMENT_ETHER_TYPE = 256,
	ELEMENT_SAMPLING_PACKETS = 305, // samplingPacketInterval, and the space behind it
	ELEMENT_SAMPLING_SPACE = 306,
	ELEMENT_LAST_IANA = 491, // numbers above were not assigned when this was written
};

// NULL where it is not in the table.
const struct element *element_find(uint32_t enterprise, uint16_t id);

// The name of a scope field of v9 (RFC 3954 section 6.1), which has numbers of its own; NULL.
const char *element_scope_name(uint16_t type);

// Whether a field of this type may be `bytes` octets long (RFC 7011 section 6).
bool element_fits(enum element_type type, unsigned bytes);
