// Health: how a sensor fares, in sentences: one for each thing that is so, the worst first.
//
// Pure. Time: that of the metrics, and how old they are as an argument.

#pragma once

#include "minute.h"

enum run_state {
	RUN_STARTS,
	RUN_METERS,
	RUN_STOPS,
};

enum {
	HEALTH_MAX_LINES = 24,
	HEALTH_TEXT_BYTES = 384,
};

enum health_level {
	HEALTH_GOOD,
	HEALTH_NOTE,    // to be known
	HEALTH_WARNING, // to be looked at
	HEALTH_BAD,     // something is lost
};

struct health_line {
	enum health_level level;
	char text[HEALTH_TEXT_BYTES]; // one sentence; names in it may come from outside
};

struct health {
	struct health_line lines[HEALTH_MAX_LINES];
	unsigned n;      // one at least
	unsigned n_more; // that found no room: none is worse
};

const char *health_level_name(enum health_level level);

// `last` is the minute before `metrics`, which are `age_ns` old.
void health_read(
	const struct metrics *metrics,
	const struct minute_counts *last,
	enum run_state state,
	time_ns_t age_ns,
	struct health *health
);
