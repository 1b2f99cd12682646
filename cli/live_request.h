// Live request: the one line that a client sends (live_protocol.h).
//
// Pure.

#pragma once

#include <stdint.h>

enum live_want {
	LIVE_FLOWS,
	LIVE_ACTIVE,
	LIVE_STATUS,
	LIVE_RELOAD,
};

struct live_request {
	enum live_want want;
	// Of LIVE_ACTIVE.
	uint64_t since_ticks;
	uint32_t first, count; // buckets
};

// A line with its '\n'. 0, or -EBADMSG.
[[nodiscard]] int live_request_parse(const char *line, struct live_request *request);
