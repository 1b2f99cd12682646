// Poller: a thread that reads ports. It either meters what it reads into a flow cache of its own,
// or parses it and hands each packet to one of several workers.
//
// Threads: the owner makes, starts and joins it; poller_read() may be called from any.
// Time: the live clock, read once a round.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "meter.h"
#include "own_export.h"
#include "port.h"
#include "selector.h"
#include "worker.h"

enum {
	POLLER_MAX_SOURCES = 128,
	POLLER_MAX_WORKERS = 64,
};

// The clock that flows are aged by lags this much behind: a packet is read no later, or else there
// is a backlog, whose own times are the clock.
#define POLLER_LAG_NS (20 * NS_PER_MS)

// When poller_beats() is so many more, the round that was under way is over: two a round at most,
// one of which may have been under way too.
#define POLLER_BEATS_PAST 8

struct poller_source {
	struct port *port;
	unsigned queue;
};

struct poller_config {
	struct poller_source sources[POLLER_MAX_SOURCES];
	unsigned n_sources;
	struct worker *const *workers; // of one the poller drives the cache itself
	unsigned n_workers;
	struct flow_secret secret;
	// What to leave out, never NULL. Read once a burst: it may become another while the poller
	// runs, and the one before may go when poller_beats() is POLLER_BEATS_PAST more.
	_Atomic(const struct own_export *) *own;
	struct selector *selector; // or NULL; the poller's own while it runs
	const atomic_bool *stop;
	bool rests; // when there is nothing to read
	int core;   // -1 = any
};

// What a poller counted.
struct poller_counts {
	struct meter_counts meter;
	struct ledger_count own_export;
	uint64_t busy_ns; // in rounds that had packets to read, or flows to age
	struct ledger_count sources[POLLER_MAX_SOURCES]; // what each delivered
};

struct poller;

// NULL with errno ENOMEM or EINVAL.
[[nodiscard]] struct poller *poller_new(const struct poller_config *config);
void poller_free(struct poller *poller);

// Returns 0 or a negative errno.
[[nodiscard]] int poller_start(struct poller *poller);

// Waits for the thread, which ends when `stop` is set: it reads what the ports hold, and ends
// the workers. If it was never started the workers are ended here.
void poller_join(struct poller *poller);

// A number that has changed once the thread has been round its loop again, within some ms; 0 before
// the first time. Of several workers none can hang for long without the thread that waits for it.
uint32_t poller_beats(const struct poller *poller);

// The counts as they were some ms ago, all of the same moment; after poller_join() the last.
void poller_read(const struct poller *poller, struct poller_counts *counts);
