// Sinks past: since when there has been each collector, and what became of the records that went to
// those that there are no more. So the ledger closes, however often they changed.
//
// Threads: under its lock, any. Time: none; what counts is how many records there were.

#pragma once

#include <pthread.h>

#include "sinks.h"

enum {
	// Collectors that are on their way out, of one change.
	SINKS_MAX_LEAVING = SINKS_MAX_COLLECTORS,
};

// Of destinations that get all records, or of those that share them.
struct sinks_former {
	bool any;
	uint64_t due; // records made while they were there, each time counted
	struct destination_stats stats;
};

struct sinks_past {
	pthread_mutex_t lock; // for all of this, and the sinks' list of destinations
	uint64_t since[SINKS_MAX_COLLECTORS];
	bool balance;        // whether those that there are share
	uint64_t changed_at; // records, at the last change
	uint64_t unshared;   // made until then, while nobody shared
	struct sinks_former mirrored, shared;
	struct destination *leaving[SINKS_MAX_LEAVING]; // a part of the former by their stats
	bool leaving_shares;
	unsigned n_leaving;
};

[[nodiscard]] struct sinks_past *sinks_past_new(bool balance);
void sinks_past_free(struct sinks_past *past); // NULL is fine

// Of sinks.c: opens a destination, with COLLECTOR_ERROR_BYTES of error; whether what was said of
// TLS has a meaning, else complains; complains of what a destination did not get, and may not have
// got.
[[nodiscard]] struct destination *
sinks_open_destination(const struct sinks_config *config, const char *name, char *error);
[[nodiscard]] bool sinks_check_tls(const struct sinks_config *config);
void sinks_report_destination(
	const struct sinks *sinks, const struct destination *destination, const char *ended
);

// What follows is for whoever has the lock.

// Of `n_destinations` that share, records made while nobody did.
uint64_t
sinks_past_unshared(const struct sinks_past *past, unsigned n_destinations, uint64_t n_records);

// Adds `from` to `sum`.
void sinks_past_add(struct destination_stats *sum, const struct destination_stats *from);
