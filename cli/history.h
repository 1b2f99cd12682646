// History: the last hour of a sensor, in fixed memory, for those who come later. A sample each 5 s
// says what was counted since the one before, so that samples add up to the counters.
//
// Pure. Threads: one at a time. Time: an argument.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "clock.h"

enum {
	HISTORY_SAMPLES = 720,
	HISTORY_EVERY_S = 5,
};

// Counters, since the start; none falls, but where what counted them is gone.
struct history_counts {
	time_ns_t taken_ns; // monotonic
	uint64_t packets, bytes;
	uint64_t flows;        // begun
	uint64_t packets_lost; // by ports
	uint64_t records_lost; // between the cache and where they were to go
	uint64_t cached;       // flows, now
};

struct history_sample {
	int64_t end_ms;   // since 1970
	uint32_t span_ms; // that it covers: longer than usual where nobody could take it
	uint64_t packets, bytes, flows, packets_lost, records_lost;
	uint64_t cached; // at the end
};

struct history {
	struct history_counts before;
	uint64_t n; // samples since the start; the last HISTORY_SAMPLES are there
	struct history_sample samples[HISTORY_SAMPLES];
};

// From `counts` on.
void history_begin(struct history *history, const struct history_counts *counts);

// Makes a sample where it is time for one. Returns whether it was. `now_ns` is since 1970.
bool history_add(struct history *history, const struct history_counts *counts, time_ns_t now_ns);

// The sample of that number, from 0 on; NULL where it is not there, or no more.
const struct history_sample *history_get(const struct history *history, uint64_t number);

// The last samples, `most` at most, as an object of JSON: "first" is the number of the first one,
// and each column an array. Some 170 octets a sample at most.
void history_print(const struct history *history, unsigned most, FILE *out);
