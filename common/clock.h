// Time as weir keeps it: nanoseconds since 1970 inside, 1/16 ms ticks in the flow cache and
// in flow records, milliseconds on the wire of NetFlow. A tick is fine enough to order the
// flows of a small cache under churn, and 16 of them are a millisecond exactly, so the
// millisecond that collectors see is the packet's own, rounded down.
//
// Pure: nothing here reads a clock.

#pragma once

#include <stdint.h>

#include <rte_cycles.h>

// DPDK has an int of this name, in which an hour does not fit; its header comes first so that it
// cannot come later.
#undef NS_PER_S

typedef int64_t time_ns_t; // ns since 1970-01-01 UTC; never negative for a packet

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define NS_PER_TICK INT64_C(62500)

#define TICKS_PER_MS 16
#define TICKS_PER_S 16000

// The latest packet time that is accepted, in 2262; later ones are clamped to it.
#define TIME_NS_MAX INT64_MAX

// Ticks since 1970, rounded down. `time_ns` >= 0.
static inline uint64_t ticks_of_ns(time_ns_t time_ns) {
	return (uint64_t)time_ns / NS_PER_TICK;
}

static inline time_ns_t ns_of_ticks(uint64_t ticks) {
	return (time_ns_t)(ticks * NS_PER_TICK);
}

// Milliseconds since 1970, rounded down; equals the rounding of the packet's own nanoseconds.
static inline int64_t ms_of_ticks(uint64_t ticks) {
	return (int64_t)(ticks / TICKS_PER_MS);
}
