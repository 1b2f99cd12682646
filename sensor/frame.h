// Frame: the octets of one packet as a source delivers them, a capture file or a port.
//
// Threads and time: plain data.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

struct frame {
	const uint8_t *data;     // valid for as long as the source says
	uint32_t captured_bytes; // at `data`
	uint32_t wire_bytes;     // on the wire
	time_ns_t time_ns;       // >= 0
	bool filtered;           // to be counted, not metered; captured_bytes is 0 then
};
