// Live server: gives the running flows of a sensor to whoever asks at its Unix socket
// (live_protocol.h). The packet path does not notice: flows are copied without a lock, each as it
// was between two packets.
//
// Threads: one of its own, for one client at a time; a client that stops reading is given up.
// Time: CLOCK_MONOTONIC, for that alone.

#pragma once

#include "live_protocol.h"
#include "sensor.h"

struct live_server;

// Listens at `path`, for its user alone; folders above it are made where there are none. NULL with
// one line in `error`.
[[nodiscard]] struct live_server *live_server_open(
	const char *path, const struct sensor *sensor, uint32_t sampling_rate, char *error
);

// Answers from here on. Returns 0 or a negative errno.
[[nodiscard]] int live_server_start(struct live_server *server);

// Before the sensor is freed. NULL is fine. The socket's file goes, where weir may still do that;
// a file that is left does not hinder the next start.
void live_server_close(struct live_server *server);
