// Run session: what weir run holds, for the files that it is made of.
//
// Threads: the one that runs it, but for what is atomic. Time: none.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "exporter.h"
#include "lateness.h"
#include "live_server.h"
#include "packet_filter.h"
#include "reload.h"
#include "report.h"
#include "run_http.h"
#include "run_options.h"
#include "sensor.h"
#include "sinks.h"
#include "watchdog.h"

struct session {
	struct run_options options;
	struct sinks sinks;
	struct packet_filter *filter; // or NULL
	struct sensor *sensor;
	struct exporter *exporter;
	struct live_server *live; // or NULL
	struct run_http *http;    // or NULL
	struct reload *reload;    // or NULL: there is no config file
	struct lateness lateness;
	struct report report;
	struct watchdog watchdog;
	atomic_bool failed;
};

// Logs it as an error; the exit status tells of it.
void run_complain(const char *message, void *session);

// What the sinks are to be by these options, with complaints to `on_complaint`.
void run_sinks_config(
	struct sinks_config *config,
	const struct run_options *options,
	void (*on_complaint)(const char *message, void *arg),
	struct session *session
);

// Of run_reload.c.

// Where there is a config file it is read again when SIGHUP comes, or when someone asks for it.
// Returns whether that could be had.
[[nodiscard]] bool run_reload_open(struct session *session);

// Keeps the sensor's own export to these from being metered, besides that to the collectors.
void run_exclude_own_export(
	struct session *session, struct destination *const *more, unsigned n_more
);

// Tells all collectors, and these, of the ports.
void run_tell_interfaces(struct session *session, struct destination *const *more, unsigned n_more);
