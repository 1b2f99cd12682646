// What `weir replay` was asked to do. One table of options; every mistake gets a line that
// names the option, what was found, and what would do.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "archive_options.h"
#include "clock.h"
#include "packet_options.h"
#include "print.h"
#include "progress.h"
#include "send_options.h"

struct replay_options {
	struct send_options send;
	enum print_format print;
	struct archive_options archive;
	enum progress_mode progress;
	time_ns_t active_timeout_ns;
	time_ns_t idle_timeout_ns;
	uint32_t n_flows;
	unsigned n_workers;
	bool random_secret; // of the flow hash; else the fixed one
	double speed;       // 0 = as fast as possible
	const char *filter;
	struct copies_options copies;
	struct sampling_options sampling;
	char *const *files;
	unsigned n_files;
};

// 0: go on; 1: help was asked for and printed; -EINVAL: a mistake was reported on standard
// error.
int replay_options_parse(struct replay_options *options, int argc, char **argv);
