// Trouble: what goes wrong at a destination, told in one line when it begins and in one when it
// ends. What comes and goes is one trouble: it ends when it has not been seen for a while, and the
// same kind is told again no sooner than after a minute.
//
// Time: an argument, of the monotonic clock.
//
// Threads: one at a time.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

enum trouble_kind {
	TROUBLE_REFUSED,
	TROUBLE_UNREACHABLE,
	TROUBLE_FULL,
	TROUBLE_OTHER,
	TROUBLE_QUEUE,
	TROUBLE_SESSION,
	TROUBLE_NAME,
	TROUBLE_KINDS
};

struct trouble {
	bool on;
	bool told;
	bool known; // told_ns is a time
	time_ns_t begun_ns;
	time_ns_t seen_ns;
	time_ns_t told_ns;
	uint64_t records; // lost of it
};

struct troubles {
	const char *name; // of the destination; the caller's
	// With one line; NULL = nobody is told.
	void (*on_message)(const char *message, bool bad, void *arg);
	void *arg;
	struct trouble kinds[TROUBLE_KINDS];
	unsigned n_on;
};

// It has happened, and lost so many records. `cause` may be NULL.
void trouble_seen(
	struct troubles *troubles,
	enum trouble_kind kind,
	time_ns_t now_ns,
	uint64_t records,
	const char *cause
);

// It is over for sure: what failed works.
void trouble_over(struct troubles *troubles, enum trouble_kind kind, time_ns_t now_ns);

// Something went well: troubles that have not been seen for a while have ended.
void trouble_tick(struct troubles *troubles, time_ns_t now_ns);

// How long this kind has lasted; 0 where there is none.
time_ns_t trouble_lasts(const struct troubles *troubles, enum trouble_kind kind, time_ns_t now_ns);
