// Progress: one line on the terminal while a command reads files: how much is done, how fast,
// and how long it will take yet.
//
// Threads: one. Time: CLOCK_MONOTONIC, for display alone.

#pragma once

#include <stdbool.h>

#include "clock.h"
#include "replay.h"

enum progress_mode {
	PROGRESS_AUTO, // if standard error is a terminal
	PROGRESS_ALWAYS,
	PROGRESS_NEVER,
};

struct progress {
	const char *counts; // what `packets` of the state are
	bool shown;
	time_ns_t start_ns;
	time_ns_t drawn_ns;
	int last_width;
};

// `counts` is what the line counts, such as "packets".
void progress_begin(struct progress *progress, const char *counts);

// Draws anew, at most ten times a second.
void progress_update(struct progress *progress, const struct replay_progress *state);

// Wipes the line, so that what is printed next stands alone.
void progress_end(struct progress *progress);
