// What `weir export` was asked to do. Every mistake gets a line that names the option, what was
// found, and what would do.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "progress.h"
#include "sinks.h"

struct export_options {
	const char *archive; // or NULL: then there are files
	char *const *files;
	unsigned n_files;
	time_ns_t from_ns, until_ns; // `until_ns` excluded; 0 and INT64_MAX = all

	const char *collectors[SINKS_MAX_COLLECTORS];
	unsigned n_collectors;
	enum print_format print;
	const char *print_file; // NULL = standard output
	const char *ipfix_file; // or NULL

	uint32_t source_id;
	uint32_t datagrams_per_s; // 0 = no limit
	uint16_t datagram_bytes;  // 0 = the collector's default
	time_ns_t template_interval_ns;
	enum ledger_format ledger;
	enum progress_mode progress;
};

// `now_ns` is what --last counts back from. 0: go on; 1: help was asked for and printed; -EINVAL:
// a mistake was reported on standard error.
int export_options_parse(struct export_options *options, int argc, char **argv, time_ns_t now_ns);
