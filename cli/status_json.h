// Status JSON: what a running sensor knows of itself at one moment, as one object, for the status
// page and whoever else wants it. docs/operate.md says what stands where. Names are escaped; the
// size is bounded by the numbers of ports, workers and sinks that there can be.
//
// Pure.

#pragma once

#include <stdio.h>

#include "health.h"
#include "history.h"

enum {
	STATUS_RECENT = 12, // samples of the history
};

struct status_facts {
	const struct metrics *metrics;
	const struct minute_counts *last;
	const struct health *health;
	const struct history *history;
	enum run_state state;
	time_ns_t now_ns; // since 1970
};

// All but its last brace: another member may follow.
void status_json_print(const struct status_facts *facts, FILE *out);
