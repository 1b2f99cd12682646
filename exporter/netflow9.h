// NetFlow v9 (RFC 3954): the limits of its export packets, and what an exporter may be told of
// them. datagrams.h makes them.

#pragma once

#include <stdint.h>

enum {
	NETFLOW9_MAX_DATAGRAM_BYTES = 8952, // 9000-octet MTU
	NETFLOW9_DEFAULT_DATAGRAM_BYTES = 1400,
	NETFLOW9_MIN_DATAGRAM_BYTES = 512, // templates, options and one record fit
};

struct netflow9_config {
	uint32_t source_id;            // observation domain, not 0
	uint16_t datagram_bytes;       // largest UDP payload, within the limits above
	uint32_t template_interval_ms; // templates and options again after this time ...
	uint32_t template_packets;     // ... or this many export packets, whichever is first
	uint32_t sampling_interval;    // 1 = every packet
	uint8_t sampling_algorithm;    // SAMPLING_ALGORITHM: 1 deterministic (0 too), 2 random
};
