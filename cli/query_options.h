// Query options: the command line of `weir query`.
//
// Threads: one.

#pragma once

#include <stdbool.h>

#include "clock.h"
#include "output.h"
#include "query_report.h"

enum query_progress {
	QUERY_PROGRESS_AUTO, // on a terminal
	QUERY_PROGRESS_ALWAYS,
	QUERY_PROGRESS_NEVER,
};

struct query_options {
	const char *archive; // folder
	const char *socket;  // of the running sensor
	const char *sql;     // NULL = a report
	struct query_report report;
	time_ns_t step_ns; // of the time series, 0 = none
	bool has_format;
	enum output_format format;
	enum query_progress progress;
	unsigned n_threads; // 0 = as many as there are cores
};

// Returns 0; 1 where help was asked for and given; -EINVAL after a line on standard error. Times
// are counted back from `now_ns`.
int query_options_parse(struct query_options *options, time_ns_t now_ns, int argc, char **argv);
