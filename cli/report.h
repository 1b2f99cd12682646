// Report: one line in the log every so often, what the sensor did since the last.
//
// Threads: the sensor's owner. Time: CLOCK_MONOTONIC, for display alone.

#pragma once

#include "clock.h"
#include "lateness.h"
#include "ledger.h"
#include "sensor.h"

struct report {
	time_ns_t interval_ns; // 0 = never
	time_ns_t last_ns;
	struct ledger last;
	uint64_t last_started;
	const struct lateness *lateness;
};

void report_begin(
	struct report *report,
	struct sensor *sensor,
	const struct lateness *lateness,
	time_ns_t interval_ns
);

// Logs the line when it is due.
void report_update(struct report *report, struct sensor *sensor);
