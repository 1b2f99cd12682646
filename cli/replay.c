// weir replay: capture files in, flow records out.

#include "replay.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector.h"
#include "commands.h"
#include "exporter.h"
#include "ledger.h"
#include "print.h"
#include "progress.h"
#include "replay_options.h"

struct session {
	struct replay_options options;
	struct collector *collectors[REPLAY_MAX_COLLECTORS];
	struct print *print;
	struct replay *replay;
	struct exporter *exporter;
	struct progress progress;
	bool failed;
};

// For the signal handler, which is given no argument.
static struct replay *running;

static void on_signal(int signal_number) {
	replay_stop(running);
	// The second one ends weir at once.
	signal(signal_number, SIG_DFL);
}

static void complain(struct session *session, const char *message) {
	progress_end(&session->progress);
	fprintf(stderr, "weir replay: %s\n", message);
	session->failed = true;
}

static void on_file_error(const char *message, void *arg) {
	complain(arg, message);
}

static void on_progress(const struct replay_progress *state, void *arg) {
	struct session *session = arg;
	progress_update(&session->progress, state);
}

static bool open_sinks(struct session *session) {
	const struct replay_options *options = &session->options;
	char error[COLLECTOR_ERROR_BYTES];

	for (unsigned i = 0; i < options->n_collectors; i++) {
		session->collectors[i] = collector_open(
			&(struct collector_config){
				.destination = options->collectors[i],
				.netflow9 =
					{
						.source_id = options->source_id,
						.datagram_bytes = options->datagram_bytes,
						.template_interval_ms = (uint32_t
						)(options->template_interval_ns / NS_PER_MS),
						.template_packets = 4800,
						.sampling_interval = options->sampling.interval,
						.sampling_algorithm = options->sampling.algorithm,
					},
				.datagrams_per_s = options->datagrams_per_s,
				.wait = true,
			},
			error
		);
		if (session->collectors[i] == NULL) {
			complain(session, error);
			return false;
		}
	}
	if (options->print != PRINT_NONE) {
		session->print = print_new(options->print, stdout);
		if (session->print == NULL) {
			complain(session, strerror(errno));
			return false;
		}
	}
	return true;
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
		.speed = options->speed,
		.secret = secret,
		.on_progress = progress ? on_progress : NULL,
		.on_error = on_file_error,
		.arg = session,
	});
	if (session->replay == NULL) {
		fprintf(stderr,
			"weir replay: no memory for %u flows (%s); use a smaller --cache-entries\n",
			options->n_flows,
			strerror(errno));
		return false;
	}

	session->exporter = exporter_start(&(struct exporter_config){
		.rings = replay_rings(session->replay),
		.n_rings = options->n_workers,
		.collectors = session->collectors,
		.n_collectors = options->n_collectors,
		.print = session->print,
		.sampling_rate = options->sampling.interval,
	});
	if (session->exporter == NULL) {
		fprintf(stderr, "weir replay: cannot start the exporter: %s\n", strerror(errno));
		return false;
	}
	return true;
}

static void collector_ledger(const struct collector *collector, struct ledger_sink *sink) {
	struct collector_stats stats;

	collector_stats(collector, &stats);
	*sink = (struct ledger_sink){
		.name = collector_name(collector),
		.records = stats.records,
		.sent = stats.records_sent,
		.datagrams = stats.datagrams_sent,
		.octets = stats.octets_sent,
	};
	ledger_sink_add_loss(sink, "socket_full", stats.lost_full);
	ledger_sink_add_loss(sink, "refused", stats.lost_refused);
	ledger_sink_add_loss(sink, "unreachable", stats.lost_unreachable);
	ledger_sink_add_loss(sink, "other", stats.lost_other);
}

// Says what a collector did not get, and what it may not have got.
static void report_collector(struct session *session, const struct collector *collector) {
	struct collector_stats stats;
	char message[COLLECTOR_ERROR_BYTES + 128];

	collector_stats(collector, &stats);
	uint64_t lost = stats.records - stats.records_sent;
	if (lost == 0 && stats.refusals == 0)
		return;
	if (stats.refusals > 0)
		snprintf(
			message,
			sizeof(message),
			"collector %s: nobody listens there (refused %llu times); start it before "
			"the "
			"replay",
			collector_name(collector),
			(unsigned long long)stats.refusals
		);
	else
		snprintf(
			message,
			sizeof(message),
			"collector %s: %llu of %llu records lost; see the ledger",
			collector_name(collector),
			(unsigned long long)lost,
			(unsigned long long)stats.records
		);
	complain(session, message);
}

static void report_print(struct session *session, struct ledger_sink *sink) {
	struct print_stats stats;
	char message[160];

	print_stats(session->print, &stats);
	*sink = (struct ledger_sink
	){.name = "stdout", .records = stats.records, .sent = stats.written};
	ledger_sink_add_loss(sink, "write_error", stats.lost);
	if (stats.error != 0) {
		snprintf(
			message,
			sizeof(message),
			"standard output: %s; %llu of %llu records could not be printed: make room "
			"or "
			"print elsewhere",
			strerror(-stats.error),
			(unsigned long long)stats.lost,
			(unsigned long long)stats.records
		);
		complain(session, message);
	}
}

// The ledger goes to standard output, or to standard error where that carries the records.
static void report(struct session *session) {
	struct ledger_sink sinks[REPLAY_MAX_COLLECTORS + 1];
	struct ledger ledger;
	char error[LEDGER_ERROR_BYTES];
	char message[LEDGER_ERROR_BYTES + 64];
	unsigned n = 0;

	replay_ledger(session->replay, &ledger);
	for (; n < session->options.n_collectors; n++) {
		collector_ledger(session->collectors[n], &sinks[n]);
		report_collector(session, session->collectors[n]);
	}
	if (session->print != NULL)
		report_print(session, &sinks[n++]);
	ledger.sinks = sinks;
	ledger.n_sinks = n;

	FILE *out = session->print != NULL ? stderr : stdout;
	int rc = 0;
	if (session->options.ledger == LEDGER_TEXT)
		rc = ledger_print_text(&ledger, out);
	else if (session->options.ledger == LEDGER_JSON)
		rc = ledger_print_json(&ledger, out);
	if (rc < 0 || fflush(out) != 0) {
		snprintf(
			message,
			sizeof(message),
			"the ledger could not be written: %s",
			strerror(errno)
		);
		complain(session, message);
	}
	if (ledger_check(&ledger, error) < 0) {
		snprintf(
			message,
			sizeof(message),
			"the ledger does not add up, which is a bug: %s",
			error
		);
		complain(session, message);
	}
	if (replay_stopped(session->replay))
		complain(session, "interrupted: what had been read was metered and exported");
}

static void done(struct session *session) {
	replay_free(session->replay);
	print_free(session->print);
	for (unsigned i = 0; i < session->options.n_collectors; i++)
		collector_close(session->collectors[i]);
}

int command_replay(int argc, char **argv) {
	struct session session = {0};
	int rc = replay_options_parse(&session.options, argc, argv);

	if (rc != 0)
		return rc > 0 ? EXIT_OK : EXIT_USAGE;
	// Downstream first: whoever makes records finds someone to take them.
	if (!open_sinks(&session) || !start(&session)) {
		done(&session);
		return EXIT_FAILED;
	}

	running = session.replay;
	// Without SA_RESTART: a read that waits on a pipe must hear of it.
	const struct sigaction on_stop = {.sa_handler = on_signal};
	sigaction(SIGINT, &on_stop, NULL);
	sigaction(SIGTERM, &on_stop, NULL);
	progress_begin(&session.progress);
	rc = replay_run(session.replay);
	progress_end(&session.progress);
	exporter_join(session.exporter);
	if (rc < 0)
		complain(&session, strerror(-rc));
	report(&session);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	done(&session);
	return session.failed ? EXIT_FAILED : EXIT_OK;
}
