// Live server: tells what a sensor counted, and its running flows, to whoever asks at its Unix
// socket (live_protocol.h). The packet path does not notice: both are copied without a lock, each
// flow as it was between two packets.
//
// Threads: one of its own, that other threads go before, for one client at a time. One that stops
// reading is given up, and between two there is a pause, so that nobody can keep it busy.
// Time: CLOCK_MONOTONIC, for that; CLOCK_REALTIME, for what is told.

#pragma once

#include "live_protocol.h"
#include "metrics.h"

struct live_server;

// Listens at `path`, for its user alone; folders above it are made where there are none. NULL with
// one line in `error`.
[[nodiscard]] struct live_server *
live_server_open(const char *path, const struct metrics_sources *sources, char *error);

// Answers from here on. Returns 0 or a negative errno.
[[nodiscard]] int live_server_start(struct live_server *server);

// The path of the socket's file, in memory of its own that is read-only: what the sandbox is to let
// be deleted. NULL is fine, here and below.
const char *live_server_file(const struct live_server *server);

// Before the sensor is freed. The socket's file goes, if it is still this server's and weir's user
// may do that; a file that is left does not hinder the next start.
void live_server_close(struct live_server *server);
