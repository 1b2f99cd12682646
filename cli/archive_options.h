// What `weir archive` was asked to do.

#pragma once

#include <stdbool.h>
#include <stdint.h>

enum archive_action {
	ARCHIVE_LS,
	ARCHIVE_VERIFY,
	ARCHIVE_REPAIR,
	ARCHIVE_COMPACT,
};

struct archive_options {
	enum archive_action action;
	const char *archive; // or NULL: then there are files, for ls and verify
	char *const *files;
	unsigned n_files;
	bool json;
	bool quiet; // verify: what is wrong alone
	int level;  // of zstd, for what is written
};

// 0: go on; 1: help was asked for and printed; -EINVAL: a mistake was reported on standard
// error.
int archive_options_parse(struct archive_options *options, int argc, char **argv);
