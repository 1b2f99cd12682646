// Lateness: how long after its idle timeout a flow left the cache, counted in milliseconds, so that
// what is promised of ageing can be read off a running sensor.
//
// Threads: one adds, any may read; a reader's numbers are as they were at some moment of the call.
// Time: none of its own.

#pragma once

#include <stdatomic.h>

#include "ledger.h"

enum {
	LATENESS_MOST_MS = 4095, // later ones are counted as this
	LATENESS_BUCKETS = 9,
};

// Upper bounds of a histogram's buckets.
extern const uint32_t lateness_bounds_ms[LATENESS_BUCKETS];

struct lateness_histogram {
	uint64_t counts[LATENESS_BUCKETS]; // flows that left within each bound: they add up
	uint64_t n_flows;
	uint64_t sum_ms;
};

struct lateness {
	atomic_uint_fast64_t counts[LATENESS_MOST_MS + 1]; // by ms
};

// `late_ms` below 0 counts as 0.
void lateness_add(struct lateness *lateness, int64_t late_ms);

void lateness_read(const struct lateness *lateness, struct ledger_lateness *read);

void lateness_read_histogram(const struct lateness *lateness, struct lateness_histogram *read);
