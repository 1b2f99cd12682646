// weir replay: capture files in, flow records out.

#include "replay.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "exporter.h"
#include "interfaces.h"
#include "ledger.h"
#include "progress.h"
#include "replay_options.h"
#include "sinks.h"

// At an interrupt, for the flows that end then.
#define HURRY_NS (4 * NS_PER_S)

struct session {
	struct replay_options options;
	struct sinks sinks;
	struct replay *replay;
	struct exporter *exporter;
	struct progress progress;
	bool failed;
};

// For the signal handler, which is given no argument.
static struct session *running;

static void on_signal(int signal_number) {
	replay_stop(running->replay);
	sinks_hurry(&running->sinks, running->options.n_flows, HURRY_NS);
	// The second one ends weir at once.
	signal(signal_number, SIG_DFL);
}

static void complain(struct session *session, const char *message) {
	progress_end(&session->progress);
	fprintf(stderr, "weir replay: %s\n", message);
	session->failed = true;
}

static void on_complaint(const char *message, void *arg) {
	complain(arg, message);
}

// From a thread of a sink's.
static void on_message(const char *message, bool bad, void *arg) {
	(void)bad;
	(void)arg;
	fprintf(stderr, "weir replay: %s\n", message);
}

static void on_progress(const struct replay_progress *state, void *arg) {
	struct session *session = arg;
	progress_update(&session->progress, state);
}

static bool open_sinks(struct session *session) {
	const struct replay_options *options = &session->options;

	return sinks_open(
		&session->sinks,
		&(struct sinks_config){
			.collectors = options->send.collectors,
			.n_collectors = options->send.n_collectors,
			.encoder = send_options_encoder(
				&options->send,
				options->sampling.interval,
				options->sampling.algorithm
			),
			.tls = options->send.tls,
			.rate = options->send.rate,
			.distribution = options->send.distribution,
			.wait = true,
			.print = options->print,
			.archive = &options->archive,
			.owner = ARCHIVE_KEEP_OWNER,
			.on_message = on_message,
			.on_complaint = on_complaint,
			.arg = session,
		}
	);
}

static bool start(struct session *session) {
	const struct replay_options *options = &session->options;
	bool progress = options->progress == PROGRESS_ALWAYS
			|| (options->progress == PROGRESS_AUTO && isatty(STDERR_FILENO));

	struct flow_secret secret = flow_secret_fixed;
	int rc = options->random_secret ? flow_secret_random(&secret) : 0;
	if (rc < 0) {
		fprintf(stderr,
			"weir replay: no random secret: %s; use --hash-secret fixed\n",
			strerror(-rc));
		return false;
	}

	session->replay = replay_new(&(struct replay_config){
		.files = options->files,
		.n_files = options->n_files,
		.filter = options->filter,
		.duplicate_window_ns = options->copies.window_ns,
		.duplicate_copies = options->copies.most,
		.duplicate_routed = options->copies.routed,
		.sampling_algorithm = options->sampling.algorithm,
		.sampling_interval = options->sampling.interval,
		.n_workers = options->n_workers,
		.n_flows = options->n_flows,
		.active_timeout_ns = options->active_timeout_ns,
		.idle_timeout_ns = options->idle_timeout_ns,
		.mpls_labels = send_options_mpls(&options->send),
		.speed = options->speed,
		.secret = secret,
		.on_progress = progress ? on_progress : NULL,
		.on_error = on_complaint,
		.arg = session,
	});
	if (session->replay == NULL) {
		fprintf(stderr,
			"weir replay: no memory for %u flows (%s); use a smaller --cache-entries\n",
			options->n_flows,
			strerror(errno));
		return false;
	}

	struct export_interface interface;
	interfaces_of_capture(options->files[0], &interface);
	sinks_set_interfaces(&session->sinks, &interface, 1);
	session->exporter = exporter_start(&(struct exporter_config){
		.rings = replay_rings(session->replay),
		.n_rings = options->n_workers,
		.destinations = session->sinks.destinations,
		.n_destinations = session->sinks.n_destinations,
		.distribution = options->send.distribution,
		.archive = session->sinks.archive,
		.print = session->sinks.print,
		.sampling_rate = options->sampling.interval,
	});
	if (session->exporter == NULL) {
		fprintf(stderr, "weir replay: cannot start the exporter: %s\n", strerror(errno));
		return false;
	}
	return true;
}

static void report(struct session *session) {
	struct ledger ledger;

	replay_ledger(session->replay, &ledger);
	sinks_report(&session->sinks, &ledger, session->options.send.ledger, "replay");
	if (replay_stopped(session->replay))
		complain(session, "interrupted: what had been read was metered and exported");
}

static void done(struct session *session) {
	replay_free(session->replay);
	sinks_close(&session->sinks);
}

int command_replay(int argc, char **argv) {
	struct session session = {0};
	int rc = replay_options_parse(&session.options, argc, argv);

	if (rc != 0)
		return rc > 0 ? EXIT_OK : EXIT_USAGE;
	// Downstream first: whoever makes records finds someone to take them.
	if (!open_sinks(&session) || !sinks_start(&session.sinks) || !start(&session)) {
		done(&session);
		return EXIT_FAILED;
	}

	running = &session;
	// Without SA_RESTART: a read that waits on a pipe must hear of it.
	const struct sigaction on_stop = {.sa_handler = on_signal};
	sigaction(SIGINT, &on_stop, NULL);
	sigaction(SIGTERM, &on_stop, NULL);
	progress_begin(&session.progress, "packets");
	rc = replay_run(session.replay);
	progress_end(&session.progress);
	exporter_join(session.exporter);
	sinks_stop(&session.sinks);
	if (rc < 0)
		complain(&session, strerror(-rc));
	report(&session);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	done(&session);
	return session.failed ? EXIT_FAILED : EXIT_OK;
}
