// Log limit: the same event of the same thing is told some times a minute, and then counted, so
// that a link that flaps or a disk that fails does not fill the log.
//
// Two events are the same where they are equal but for numbers behind the thing's name: "port
// eth1: 12 lost" is "port eth1: 13 lost", but not "port eth2: 12 lost".
//
// Threads: none of its own; one at a time. Time: an argument, monotonic.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

enum {
	LOG_LIMIT_TOLD = 5,    // times in a window
	LOG_LIMIT_EVENTS = 64, // that are told apart at once
	LOG_LIMIT_TEXT_BYTES = 200,
};

#define LOG_LIMIT_WINDOW_NS (60 * NS_PER_S)

struct log_limit_event {
	uint64_t hash;
	time_ns_t begun_ns;
	uint32_t n;      // since then; 0 = the place is free
	unsigned n_held; // that were not told
	int level;       // the caller's
	// Of the first, as far as they fit.
	char thing[LOG_LIMIT_TEXT_BYTES / 2];
	char text[LOG_LIMIT_TEXT_BYTES];
};

struct log_limit {
	struct log_limit_event events[LOG_LIMIT_EVENTS];
};

// Whether an event is to be told now. `thing` may be NULL. Call log_limit_over() before, until it
// has no more: an event that finds no place takes that of the oldest, whose held ones it ends.
bool log_limit_take(
	struct log_limit *limit,
	int level,
	const char *thing,
	const char *text,
	time_ns_t now_ns,
	struct log_limit_event *ended
);

// Ends the windows that are over at `now_ns`; with `all`, every one. Returns whether there was one
// of which some were not told: it is in `ended`, and there may be more.
bool log_limit_over(
	struct log_limit *limit, time_ns_t now_ns, bool all, struct log_limit_event *ended
);
