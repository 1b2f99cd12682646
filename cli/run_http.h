// Run HTTP: what a running sensor tells at its HTTP address: the status page at / with what it asks
// for, /status.json and /history.json; /metrics, /healthz, /readyz. A new page is a new row in the
// table of routes in run_http.c; what it can tell is in struct metrics.
//
// Threads: the sensor's owner makes it and, once a second, gives it new metrics; requests, on the
// server's thread, read those, under a lock that no other thread takes.
// Time: CLOCK_MONOTONIC, for /healthz.

#pragma once

#include "health.h"
#include "http_server.h"
#include "metrics.h"

struct run_http;

// Listens at `address`, and takes the first metrics. NULL with one line in `error`
// (HTTP_ERROR_BYTES).
[[nodiscard]] struct run_http *
run_http_open(const char *address, const struct metrics_sources *sources, char *error);

// Takes new metrics. NULL is fine, here and below.
void run_http_update(struct run_http *http);

void run_http_set_state(struct run_http *http, enum run_state state);

// Before the sources are closed.
void run_http_close(struct run_http *http);
