// Top options: the command line of `weir top`.
//
// Threads: one.

#pragma once

#include <stdbool.h>

#include "clock.h"
#include "top_model.h"

struct top_options {
	const char *socket; // of the running sensor
	time_ns_t interval_ns;
	bool once;
	bool json;
	bool ascii;
	bool names;
	unsigned view; // as in struct top_choice
	enum top_sort sort;
	struct top_filter filter;
	unsigned n_rows; // of --once and --json
};

#define TOP_LEAST_INTERVAL_NS (100 * NS_PER_MS)
#define TOP_MOST_INTERVAL_NS (3600 * NS_PER_S)

// Returns 0; 1 where help was asked for and given; -EINVAL after a line on standard error.
int top_options_parse(struct top_options *options, int argc, char **argv);
