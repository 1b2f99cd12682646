// Live client: asks a running sensor for its flows and for what it counted (live_protocol.h).
//
// Each asks once, over a connection of its own, and waits for 10 s at most where the sensor says
// nothing. 0, or a negative errno with one line in `error` (LIVE_SOCKET_ERROR_BYTES): -ECONNREFUSED
// and -ENOENT where no sensor runs, -EPIPE where it ended meanwhile.
//
// Threads: none is shared. Time: none.

#pragma once

#include <stddef.h>

#include "live_protocol.h"
#include "live_request.h"
#include "live_status.h"

struct live_flows {
	struct flow_record *records; // to be freed
	size_t n;
	uint32_t sampling_rate;
};

[[nodiscard]] int live_client_flows(const char *path, struct live_flows *flows, char *error);

// LIVE_ACTIVE. The flows are handed over in parts, after the header.
[[nodiscard]] int live_client_active(
	const char *path,
	const struct live_request *request,
	void (*begin)(const struct live_header *header, void *arg),
	void (*add)(const struct flow_record *records, size_t n, void *arg),
	void *arg,
	char *error
);

// Has the sensor read its config file again. What it says, LIVE_RELOAD_BYTES at most, to be freed:
// a word and lines. Waits for a minute.
[[nodiscard]] int live_client_reload(const char *path, char **text, char *error);

[[nodiscard]] int live_client_status(const char *path, struct live_status *status, char *error);
