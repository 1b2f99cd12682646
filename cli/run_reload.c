// weir run, its config file read again: what the owner of a running sensor applies.

#include <errno.h>
#include <string.h>

#include "interfaces.h"
#include "log.h"
#include "run_session.h"

static void exclude(struct own_export *own, const struct destination *destination) {
	const struct collector *collector = destination_collector(destination);
	struct sockaddr_storage from, to;

	int rc = collector_addresses(collector, &from, &to);
	if (rc == 0)
		rc = collector_has_sessions(collector) ? own_export_add_sessions(own, &from, &to)
						       : own_export_add(own, &from, &to);
	if (rc < 0)
		log_event(
			LOG_LEVEL_WARNING,
			collector_name(collector),
			"the export will be metered where a port sees it: %s",
			strerror(-rc)
		);
}

static bool is_one_of(
	const struct destination *destination, struct destination *const *destinations, unsigned n
) {
	for (unsigned i = 0; i < n; i++)
		if (destinations[i] == destination)
			return true;
	return false;
}

void run_exclude_own_export(
	struct session *session, struct destination *const *more, unsigned n_more
) {
	const struct sinks *sinks = &session->sinks;
	struct own_export own = {0};

	for (unsigned i = 0; i < sinks->n_destinations; i++)
		exclude(&own, sinks->destinations[i]);
	for (unsigned i = 0; i < n_more; i++)
		if (!is_one_of(more[i], sinks->destinations, sinks->n_destinations))
			exclude(&own, more[i]);
	if (sensor_exclude(session->sensor, &own) < 0)
		log_event(LOG_LEVEL_WARNING, NULL, "no memory: the export may be metered too");
}

void run_tell_interfaces(
	struct session *session, struct destination *const *more, unsigned n_more
) {
	struct export_interface interfaces[SENSOR_MAX_PORTS];
	size_t n = interfaces_of_sensor(session->sensor, interfaces);

	sinks_set_interfaces(&session->sinks, interfaces, n);
	for (unsigned i = 0; i < n_more; i++)
		if (!is_one_of(more[i], session->sinks.destinations, session->sinks.n_destinations))
			destination_set_interfaces(more[i], interfaces, n);
}

// What the sensor was not able to do without a reload is no failure; what it lost is.
static void on_complaint(const char *message, void *arg) {
	struct session *session = arg;
	if (reload_complain(session->reload, message))
		session->failed = true;
}

static void
wanted_sinks(struct sinks_config *config, const struct run_options *options, void *arg) {
	run_sinks_config(config, options, on_complaint, arg);
}

static int change_sinks(struct session *session, struct sinks_change *change) {
	unsigned n;
	struct destination *const *destinations = sinks_change_destinations(change, &n);

	run_tell_interfaces(session, destinations, n);
	run_exclude_own_export(session, destinations, n);
	return sinks_change_apply(change, session->exporter);
}

static void set_archive(struct session *session, const struct archive_options *options) {
	const struct archive_config config = archive_options_config(options);

	if (session->sinks.archive != NULL && archive_set(session->sinks.archive, &config) < 0)
		log_event(LOG_LEVEL_ERROR, "archive", "cannot be set so, which is a bug");
}

static int apply(const struct reload_todo *todo, void *arg) {
	struct session *session = arg;
	const struct run_options *options = todo->options;

	// First what may be refused.
	int rc = todo->change != NULL ? change_sinks(session, todo->change) : 0;
	if (rc < 0)
		return rc;
	sensor_set_timeouts(session->sensor, options->active_timeout_ns, options->idle_timeout_ns);
	exporter_set_idle_timeout(session->exporter, ticks_of_ns(options->idle_timeout_ns));
	set_archive(session, &options->archive);
	session->report.interval_ns = options->report_ns;
	session->options.send.ledger = options->send.ledger;
	return 0;
}

static void over(enum reload_result result, void *arg) {
	struct session *session = arg;

	// Without those that are gone, or that have not come.
	run_exclude_own_export(session, NULL, 0);
	watchdog_reloaded(&session->watchdog, reload_result_name(result));
}

bool run_reload_open(struct session *session) {
	if (session->options.values.file == NULL)
		return true;
	session->reload = reload_new(&(struct reload_config){
		.options = &session->options,
		.sinks = &session->sinks,
		.sinks_config = wanted_sinks,
		.apply = apply,
		.over = over,
		.arg = session,
	});
	if (session->reload == NULL)
		run_complain(strerror(errno), session);
	return session->reload != NULL;
}
