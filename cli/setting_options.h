// Setting options: the options of a command line that are settings, read by getopt_long() from the
// table of settings.h. Flags have two, --NAME and --no-NAME, so that each can win over a file.
//
// Threads: one; getopt_long() has state of its own.

#pragma once

#include <getopt.h>

#include "setting_values.h"

// Adds values to `values` up to an option that is the command's `own`, whose id it returns, with
// its value in `optarg`. -1: no more options, arguments are from `optind` on; -EINVAL: a mistake
// was reported, or there is no memory, which was reported too. -h is --help where `own` has that.
int setting_options_next(
	struct setting_values *values, int argc, char **argv, const struct option *own
);
