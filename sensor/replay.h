// Replay: capture files, one after the other, through the parser and the workers. The packets'
// times are the only clock: the same captures give the same records in the same order, at any
// speed of replay.
//
// The clock moves on in steps of at most 250 ms of packet time and ages the flows at each, so
// an idle flow leaves well within a second of its timeout. A packet older than the clock by no
// more than the idle timeout (but 1 s to 1 h) is late and counts with its own time. One older
// than that means that the clock was set back, or that an older file follows: all flows end
// and the clock starts anew.
//
// Threads: replay_run() reads and parses on the caller's; with several workers each has its
// own. replay_stop() may be called from any, also from a signal handler.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "flow_key.h"
#include "ledger.h"
#include "ring.h"
#include "sampler.h"

enum {
	REPLAY_MAX_WORKERS = 64,
	REPLAY_IN_IF = 1, // the ifIndex of a capture: collectors refuse 0
};

struct replay_progress {
	const char *file;
	uint64_t packets;
	uint64_t bytes_read;  // of all files, as they lie on disk
	uint64_t bytes_total; // 0 = not known
};

struct replay_config {
	char *const *files; // paths, "-" = standard input
	unsigned n_files;
	const char *filter;            // BPF expression or NULL
	time_ns_t duplicate_window_ns; // of duplicate.h; 0 = copies count as packets
	unsigned duplicate_copies;
	bool duplicate_routed;
	enum sampler_algorithm sampling_algorithm; // with an interval above 1
	uint32_t sampling_interval;                // 0 and 1 = every packet
	unsigned n_workers;                        // 1 to REPLAY_MAX_WORKERS
	uint32_t n_flows;                          // in all caches together
	time_ns_t active_timeout_ns;
	time_ns_t idle_timeout_ns;
	bool mpls_labels; // in the records
	double speed;     // times that of the packets' clock; 0 = as fast as possible
	struct flow_secret secret;
	// Called every few thousand packets with how far it has got; may be NULL.
	void (*on_progress)(const struct replay_progress *progress, void *arg);
	// Called with one line for each thing that goes wrong with a file.
	void (*on_error)(const char *message, void *arg);
	void *arg;
};

struct replay;

// NULL with errno EINVAL (a number out of range) or ENOMEM. Strings remain the caller's.
[[nodiscard]] struct replay *replay_new(const struct replay_config *config);
void replay_free(struct replay *replay);

// The record rings, one for each worker, for the exporter that must run before replay_run().
struct ring *const *replay_rings(const struct replay *replay);

// Reads every file to its end, flushes the caches and ends the record rings, also after an
// error. Returns how many files could not be read whole, or a negative errno where a thread
// could not be started.
int replay_run(struct replay *replay);

// Makes replay_run() end soon, as if the captures ended here.
void replay_stop(struct replay *replay);

// Whether replay_stop() came before the end.
bool replay_stopped(const struct replay *replay);

// What replay_run() counted: packets and records, without the sinks. The duplicates by ports remain
// the replay's.
void replay_ledger(const struct replay *replay, struct ledger *ledger);
