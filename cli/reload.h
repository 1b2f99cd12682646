// Reload: what a running sensor's config file says now, applied without losing a packet or a
// record.
//
// A thread of its own reads the file, looks up names, opens collectors and later closes those that
// are not wanted any more, all of which may take its time. Between, the sensor's owner applies what
// is ready. A mistake in the file, or a collector that cannot be opened, leaves everything as it
// is.
//
// Threads: the owner's, but for reload_ask(), and reload_read_counts(), which any may call, and
// reload_complain(), which is for whoever goes on with it. Time: CLOCK_MONOTONIC, for waits;
// CLOCK_REALTIME, to tell when the file was read.

#pragma once

#include <stdio.h>

#include "run_options.h"
#include "sinks_change.h"

struct reload;

enum reload_result {
	RELOAD_NONE,    // none yet
	RELOAD_APPLIED, // all that the file says applies
	RELOAD_PARTLY,  // what could be applied; the rest needs a restart
	RELOAD_REFUSED, // nothing has changed
};

enum {
	RELOAD_RESULTS = RELOAD_REFUSED + 1,
};

struct reload_counts {
	uint64_t results[RELOAD_RESULTS]; // reloads, by result
	enum reload_result last;
	// When the file that applies was read, since 1970: that of the start, or of the last reload
	// that was not refused.
	time_ns_t read_ns;
};

struct reload_todo {
	const struct run_options *options;
	struct sinks_change *change; // or NULL: collectors stay
};

struct reload_config {
	const struct run_options *options; // that the sensor was started with
	struct sinks *sinks;
	// What sinks_open() would be given; complaints are to go to reload_complain().
	void (*sinks_config
	)(struct sinks_config *config, const struct run_options *options, void *arg);
	// The owner applies it. Returns 0, or a negative errno where nothing has changed.
	int (*apply)(const struct reload_todo *todo, void *arg);
	// It is over, and collectors that are not wanted any more are gone.
	void (*over)(enum reload_result result, void *arg);
	void *arg;
};

// NULL with errno. What is in the options must outlive it.
[[nodiscard]] struct reload *reload_new(const struct reload_config *config);

// Begins one, or where one is under way another after it.
void reload_begin(struct reload *reload);

// To be called often while there is one: goes on with it. Returns whether one is under way.
bool reload_update(struct reload *reload);

// A line about what went wrong. Returns whether it was applied already.
bool reload_complain(struct reload *reload, const char *message);

// Has the owner begin one, waits for it, and writes the result, a word of reload_result_name(), and
// lines about it. Gives up when reload_end() was called, or after RELOAD_PATIENCE_NS.
#define RELOAD_PATIENCE_NS (60 * NS_PER_S)
void reload_ask(struct reload *reload, FILE *out);

// What came of them so far. From any thread.
void reload_read_counts(struct reload *reload, struct reload_counts *counts);

const char *reload_result_name(enum reload_result result);

// No more begin, and nobody waits any more; then waits for the one that is under way, which is
// refused if it was not applied yet. NULL is fine, here and below. Returns false where its thread
// waits for a name server and cannot be woken: then it, the sinks and the options may not be freed.
[[nodiscard]] bool reload_end(struct reload *reload);
void reload_free(struct reload *reload);
