// Status top: who and what moves most, for the status page, from the sensor's running flows. It is
// looked for only when someone asks, at most every STATUS_TOP_EVERY_S whatever number asks, and
// what was found then is told again in between.
//
// A look reads parts of the flow caches without a lock, as the live server does (live_server.h,
// top_model.h); no other part is begun after STATUS_TOP_MOST_NS. Where there are more parts than
// one look reads, the next ones follow in the next look, and the answer says so.
//
// Threads: one at a time; what it reads of the sensor holds up nobody.
// Time: CLOCK_MONOTONIC and CLOCK_REALTIME.

#pragma once

#include <stdio.h>

#include "sensor.h"

enum {
	STATUS_TOP_EVERY_S = 4,
	STATUS_TOP_FORGET_S = 60, // without being asked
	STATUS_TOP_ROWS = 10,
};

#define STATUS_TOP_MOST_NS (50 * NS_PER_MS)

struct status_top;

// NULL without memory. It takes some 14 MB, which are not touched before someone asks.
[[nodiscard]] struct status_top *
status_top_new(const struct sensor *sensor, uint32_t sampling_interval);
void status_top_free(struct status_top *top); // NULL is fine

// Looks again, where that is due. Returns 0 or -ENOMEM.
[[nodiscard]] int status_top_update(struct status_top *top);

// What was found, as an object of JSON; "null" before there was a look.
void status_top_print(const struct status_top *top, FILE *out);
