// What `weir archive` was asked to do.

#pragma once

#include <stdbool.h>
#include <stdint.h>

enum upkeep_action {
	UPKEEP_LS,
	UPKEEP_VERIFY,
	UPKEEP_REPAIR,
	UPKEEP_COMPACT,
};

struct upkeep_options {
	enum upkeep_action action;
	const char *archive; // or NULL: then there are files, for ls and verify
	char *const *files;
	unsigned n_files;
	bool json;
	bool quiet; // verify: what is wrong alone
	int level;  // of zstd, for what is written
};

// 0: go on; 1: help was asked for and printed; -EINVAL: a mistake was reported on standard
// error.
int upkeep_options_parse(struct upkeep_options *options, int argc, char **argv);
