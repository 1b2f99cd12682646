// Live client: asks a running sensor for its flows (live_protocol.h).
//
// Threads: none is shared. Time: none.

#pragma once

#include <stddef.h>

#include "live_protocol.h"

struct live_flows {
	struct flow_record *records; // to be freed
	size_t n;
	uint32_t sampling_rate;
};

// 0, or a negative errno with one line in `error` (LIVE_SOCKET_ERROR_BYTES): -ECONNREFUSED and
// -ENOENT where no sensor runs.
[[nodiscard]] int live_client_flows(const char *path, struct live_flows *flows, char *error);
