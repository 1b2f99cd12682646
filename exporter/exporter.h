// Exporter: takes the records out of the workers' rings and hands each to every sink. One
// thread of its own, which may block; the workers wait (replay) for a full ring, not for it.
//
// In a replay the rings are joined by the orders of their marks (record_ring.h): the sinks see
// one stream of records and times that is the same in every run, whichever worker ran ahead.
// Live, each ring is read as it fills: no worker's records wait for those of another.
//
// A sink that is a destination has a thread of its own (destination.h): no other waits for it.
//
// Threads: start, replace and join from one thread; the sinks belong to the exporter's thread
// between. Time: the clock of the marks; the exporter reads none of its own.

#pragma once

#include <stdbool.h>

#include "archive.h"
#include "destination.h"
#include "lateness.h"
#include "print.h"
#include "ring.h"

#define EXPORTER_PATIENCE_NS (2 * NS_PER_S)

struct exporter;

struct exporter_config {
	struct ring *const *rings;               // of records, one a worker
	unsigned n_rings;                        // at least 1
	struct destination *const *destinations; // may be stopped when the exporter is joined
	unsigned n_destinations;
	enum distribution distribution;
	struct archive *archive; // or NULL; started, or to be started: live its records wait
	struct print *print;     // or NULL
	bool live;               // take records as they come, whatever their order
	uint32_t sampling_rate;
	// Where flows that ended idle are counted by how late they left, by the clock of the marks,
	// which lags behind the packets' by `clock_lag_ticks`. The caller's, and may be NULL.
	struct lateness *lateness;
	uint64_t idle_timeout_ticks; // 0 = none
	uint64_t clock_lag_ticks;
};

// Starts the thread. NULL with errno EINVAL, ENOMEM or EAGAIN. The arrays are copied; rings
// and sinks remain the caller's and must outlive the exporter.
[[nodiscard]] struct exporter *exporter_start(const struct exporter_config *config);

// Live, from the thread that started it: from some record on, which is told in `n_delivered` as
// exporter_delivered() counts, the sinks that are destinations are these. Returns 0 when that is
// done, and the exporter knows no others any more; or -EBUSY, with nothing changed, where it does
// not come to it within EXPORTER_PATIENCE_NS, or -ENOMEM.
[[nodiscard]] int exporter_replace(
	struct exporter *exporter,
	struct destination *const *destinations,
	unsigned n_destinations,
	enum distribution distribution,
	uint64_t *n_delivered
);

// Records given to the sinks so far. Any thread.
uint64_t exporter_delivered(const struct exporter *exporter);

// The idle timeout has become another; 0: none, and lateness is not counted. Any thread.
void exporter_set_idle_timeout(struct exporter *exporter, uint64_t idle_timeout_ticks);

// Waits until the end mark of every ring has come and all sinks have all records, then frees.
// NULL is fine.
void exporter_join(struct exporter *exporter);
