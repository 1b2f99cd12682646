// Pacer: when what costs something may leave, so that a rate is kept. A token bucket, kept as the
// time at which it would be full again: no timer, one division for each burst.
//
// Time: an argument, of any clock that does not go back.
//
// Threads: one at a time.

#pragma once

#include <stdint.h>

#include "clock.h"

enum pacer_unit {
	PACER_RECORDS,
	PACER_BITS,      // of payload: what a datagram or a stream carries, without headers below
	PACER_DATAGRAMS, // messages
};

struct pacer_rate {
	uint64_t per_s; // 0 = no limit
	enum pacer_unit unit;
};

struct pacer_cost {
	uint64_t datagrams;
	uint64_t records;
	uint64_t octets;
};

struct pacer {
	struct pacer_rate rate;
	time_ns_t catch_up_ns; // the bucket's depth: a sleep that took too long is made up for
	time_ns_t due_ns;      // of what comes next
};

// How many of `n` datagrams of this cost each are to leave as one burst, at least 1.
unsigned pacer_burst(const struct pacer *pacer, unsigned n, const struct pacer_cost *each);

// Takes what a burst costs. Returns the time at which it may leave, which may be over.
time_ns_t pacer_take(struct pacer *pacer, time_ns_t now_ns, const struct pacer_cost *cost);
