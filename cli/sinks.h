// Sinks: where a command sends its records, collectors, an archive and standard output, and what it
// says of them at the end.
//
// Threads: one, but for sinks_take_counts(); between, the sinks are the exporter's. Time: none.

#pragma once

#include <stdbool.h>

#include "archive.h"
#include "archive_options.h"
#include "destination.h"
#include "ledger.h"
#include "print.h"
#include "sandbox.h"

enum {
	SINKS_MAX_COLLECTORS = 16,
	SINKS_MAX_COUNTS = SINKS_MAX_COLLECTORS + 4, // of the ledger
	SINK_NAME_BYTES = 256,                       // longer names are cut
};

enum ledger_format {
	LEDGER_TEXT,
	LEDGER_JSON,
	LEDGER_NONE,
};

struct sinks_config {
	const char *const *collectors;
	unsigned n_collectors;
	struct encoder_config encoder;
	struct collector_tls tls;
	struct pacer_rate rate;
	enum distribution distribution;
	bool wait; // for sinks that are behind; else they lose records
	enum print_format print;
	FILE *print_to;                        // NULL = standard output; stays the caller's
	const char *print_name;                // of `print_to`
	const struct archive_options *archive; // or NULL
	uid_t owner; // of its files, where weir is to become another user; or ARCHIVE_KEEP_OWNER
	gid_t group;
	// Called, by any thread, with one line for what a sink has to tell while records flow.
	void (*on_message)(const char *message, bool bad, void *arg);
	// Called with one line for each thing that went wrong.
	void (*on_complaint)(const char *message, void *arg);
	void *arg;
};

struct sinks_past;

struct sinks {
	struct sinks_config config;
	struct sinks_past *past; // since when there is each, and who there was (sinks_past.h)
	struct destination *destinations[SINKS_MAX_COLLECTORS];
	unsigned n_destinations;
	struct archive *archive;               // or NULL
	char archive_name[ARCHIVE_NAME_BYTES]; // in the ledger
	struct print *print;                   // or NULL
};

// Returns whether all could be opened; sinks_close() closes those that were.
[[nodiscard]] bool sinks_open(struct sinks *sinks, const struct sinks_config *config);

// Starts what has threads of its own, once weir is the user that it will be. Returns whether it
// could.
[[nodiscard]] bool sinks_start(struct sinks *sinks);

// What destinations that fail need of a sandbox: sockets to be made, and names to be looked up.
void sinks_needs(const struct sinks *sinks, struct sandbox_config *needs);

// What options data tell (encoder.h), to all collectors.
void sinks_set_interfaces(struct sinks *sinks, const struct export_interface *interfaces, size_t n);
void sinks_set_dropped(struct sinks *sinks, uint64_t packets, uint64_t flows);

// Live, before whoever makes records is stopped: at most so many come yet, and are to have left
// within `patience_ns`. Async-signal-safe.
void sinks_hurry(struct sinks *sinks, uint64_t n_records, time_ns_t patience_ns);

// Ends them, when all records have come.
void sinks_stop(struct sinks *sinks);
void sinks_close(struct sinks *sinks);

// Fills in what became of `n_records`, all that there were, at each sink: `n` of them,
// SINKS_MAX_COUNTS at most. Names are of the sinks. Says nothing.
void sinks_count(
	const struct sinks *sinks, uint64_t n_records, struct ledger_sink *counts, unsigned *n
);

// The same for any thread, while collectors may change.
struct sinks_counts {
	struct ledger_sink sinks[SINKS_MAX_COUNTS]; // first the collectors
	uint64_t refusals[SINKS_MAX_COLLECTORS];    // of each of these
	unsigned n, n_collectors;
	char names[SINKS_MAX_COLLECTORS][SINK_NAME_BYTES];
};

void sinks_take_counts(const struct sinks *sinks, uint64_t n_records, struct sinks_counts *counts);

// Complains of what the sinks lost. `ended` as below.
void sinks_complain(const struct sinks *sinks, const char *ended);

// Complains of what the sinks lost, and prints and checks the whole ledger, which is given
// without its sinks. It goes to standard output, or to standard error where that carries the
// records. `ended` says what ended, such as "replay".
void sinks_report(
	const struct sinks *sinks,
	struct ledger *ledger,
	enum ledger_format format,
	const char *ended
);
