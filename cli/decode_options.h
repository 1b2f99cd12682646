// What `weir decode` was asked to do. Every mistake gets a line that names the option, what was
// found, and what would do.

#pragma once

#include <stdbool.h>
#include <stdint.h>

enum decode_format {
	DECODE_TEXT,
	DECODE_JSON,
};

struct decode_options {
	const char *listen; // "[HOST:]PORT"; NULL = files
	uint16_t port;      // of datagrams in captures; 0 = whatever looks like an export
	enum decode_format format;
	bool templates;
	bool quiet;
	bool strict;    // advice counts as a problem
	uint64_t count; // datagrams; 0 = all
	char *const *files;
	unsigned n_files;
};

// 0: go on; 1: help was asked for and printed; -EINVAL: a mistake was reported on standard
// error.
int decode_options_parse(struct decode_options *options, int argc, char **argv);
