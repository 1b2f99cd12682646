// What `weir export` was asked to do. Every mistake gets a line that names the option, what was
// found, and what would do.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "progress.h"
#include "send_options.h"

struct export_options {
	struct send_options send;
	const char *archive; // or NULL: then there are files
	char *const *files;
	unsigned n_files;
	time_ns_t from_ns, until_ns; // `until_ns` excluded; 0 and INT64_MAX = all

	enum print_format print;
	const char *print_file; // NULL = standard output
	const char *ipfix_file; // or NULL

	enum progress_mode progress;
};

// `now_ns` is what --last counts back from. 0: go on; 1: help was asked for and printed; -EINVAL:
// a mistake was reported on standard error.
int export_options_parse(struct export_options *options, int argc, char **argv, time_ns_t now_ns);
