// weir export: archive files in, flow records out, as they once went to collectors.

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "archive_files.h"
#include "archive_merge.h"
#include "commands.h"
#include "export_ledger.h"
#include "export_options.h"
#include "ipfix_file.h"
#include "progress.h"
#include "sinks.h"

enum {
	MOST_LISTINGS = 5, // of an archive whose files change under our eyes
};

// At an interrupt, for what has been read and waits for its turn.
#define HURRY_NS (4 * NS_PER_S)

struct session {
	struct export_options options;
	struct archive_files files; // of an archive
	const char **paths;
	size_t n_paths;
	struct archive_merge *merge;
	struct sinks sinks;
	FILE *print_to;           // where it is not standard output
	struct ipfix_file *ipfix; // or NULL
	struct progress progress;
	struct export_ledger ledger;
	bool failed;

	int64_t now_ms; // the clock of the last record
};

// For the signal handler, which is given no argument.
static volatile sig_atomic_t stopped;
static struct sinks *running;

static void on_signal(int signal_number) {
	stopped = 1;
	sinks_hurry(running, 0, HURRY_NS);
	// The second one ends weir at once.
	signal(signal_number, SIG_DFL);
}

static void complain(struct session *session, const char *message) {
	progress_end(&session->progress);
	fprintf(stderr, "weir export: %s\n", message);
	session->failed = true;
}

static void on_complaint(const char *message, void *arg) {
	complain(arg, message);
}

// From a thread of a sink's.
static void on_message(const char *message, bool bad, void *arg) {
	(void)bad;
	(void)arg;
	fprintf(stderr, "weir export: %s\n", message);
}

static bool is_outside(const struct export_options *options, const struct archive_file *file) {
	// What a file holds ended before it was closed, and may have ended long before it was
	// begun; so only what was begun after the time asked for cannot matter.
	return !file->open && file->begin_ns - 24 * 3600 * NS_PER_S >= options->until_ns;
}

static void forget_files(struct session *session) {
	archive_merge_free(session->merge);
	session->merge = NULL;
	free(session->paths);
	session->paths = NULL;
	session->n_paths = 0;
	archive_files_free(&session->files);
}

static bool find_files(struct session *session) {
	const struct export_options *options = &session->options;
	char error[ARCHIVE_ERROR_BYTES];

	if (options->archive != NULL) {
		if (archive_files_list(options->archive, &session->files, error) < 0) {
			complain(session, error);
			return false;
		}
		if (session->files.n == 0) {
			snprintf(
				error, sizeof(error), "%s: no archive files there", options->archive
			);
			complain(session, error);
			return false;
		}
	}
	size_t most = session->files.n + options->n_files;
	session->paths = calloc(most + 1, sizeof(*session->paths));
	if (session->paths == NULL) {
		complain(session, strerror(ENOMEM));
		return false;
	}
	for (size_t i = 0; i < session->files.n; i++)
		if (!is_outside(options, &session->files.files[i]))
			session->paths[session->n_paths++] = session->files.files[i].path;
	for (unsigned i = 0; i < options->n_files; i++)
		session->paths[session->n_paths++] = options->files[i];
	return true;
}

static bool open_output(struct session *session) {
	const struct export_options *options = &session->options;
	const char *name = NULL;
	char message[COLLECTOR_ERROR_BYTES];

	if (options->print_file != NULL) {
		session->print_to = fopen(options->print_file, "w");
		if (session->print_to == NULL)
			name = options->print_file;
	}
	if (options->ipfix_file != NULL && name == NULL) {
		session->ipfix = ipfix_file_new(options->ipfix_file, options->send.source_id);
		if (session->ipfix == NULL)
			name = options->ipfix_file;
	}
	if (name != NULL) {
		snprintf(message, sizeof(message), "%s: %s", name, strerror(errno));
		complain(session, message);
	}
	return name == NULL;
}

static bool open_sinks(struct session *session) {
	const struct export_options *options = &session->options;

	return open_output(session)
	       && sinks_open(
		       &session->sinks,
		       &(struct sinks_config){
			       .collectors = options->send.collectors,
			       .n_collectors = options->send.n_collectors,
			       .encoder = send_options_encoder(&options->send, 1, 0),
			       .tls = options->send.tls,
			       .rate = options->send.rate,
			       .distribution = options->send.distribution,
			       .wait = true,
			       .print = options->print,
			       .print_to = session->print_to,
			       .print_name = options->print_file,
			       .on_message = on_message,
			       .on_complaint = on_complaint,
			       .arg = session,
		       }
	       );
}

static bool open_merge(struct session *session, bool pass_over_gone) {
	session->merge = archive_merge_new(&(struct archive_merge_config){
		.paths = session->paths,
		.n_paths = session->n_paths,
		.pass_over_gone = pass_over_gone,
		.from_ns = session->options.from_ns,
		.until_ns = session->options.until_ns,
		.on_error = on_complaint,
		.arg = session,
	});
	if (session->merge == NULL)
		complain(session, strerror(errno));
	return session->merge != NULL;
}

// Lists and opens the files. Of those that are gone between the two some may have become others
// (weir archive compact), so it is done again.
static bool open_files(struct session *session) {
	for (unsigned i = 0;; i++) {
		struct archive_merge_stats stats;
		bool again = session->options.archive != NULL && i < MOST_LISTINGS;
		if (!find_files(session) || !open_merge(session, again))
			return false;
		archive_merge_stats(session->merge, &stats);
		if (stats.files_gone == 0 || !again)
			return true;
		forget_files(session);
	}
}

static void
deliver(struct session *session,
	const struct flow_record *records,
	int n,
	const struct archive_sampling *sampling) {
	struct sinks *sinks = &session->sinks;

	for (unsigned i = 0; i < sinks->n_destinations; i++)
		destination_set_sampling(
			sinks->destinations[i], sampling->interval, sampling->random ? 2 : 1
		);
	destination_distribute(
		sinks->destinations,
		sinks->n_destinations,
		session->options.send.distribution,
		records,
		(size_t)n,
		session->now_ms
	);
	if (session->ipfix != NULL)
		ipfix_file_add(
			session->ipfix,
			records,
			(size_t)n,
			sampling->interval,
			sampling->random ? 2 : 1,
			session->now_ms
		);
	for (int i = 0; i < n; i++) {
		if (sinks->print != NULL)
			print_add(sinks->print, &records[i], sampling->interval);
		session->ledger.packets += records[i].packets;
		session->ledger.octets += records[i].octets;
	}
	session->ledger.exported += (unsigned)n;
}

// Hands a batch to the sinks with the records' own clock, so that a datagram holds what came
// within a second and its header says when.
static void deliver_batch(
	struct session *session,
	const struct flow_record *records,
	int n,
	const struct archive_sampling *sampling
) {
	for (int i = 0, next; i < n; i = next) {
		if (stopped) {
			session->ledger.not_delivered += (unsigned)(n - i);
			return;
		}
		int64_t now_ms = ms_of_ticks(records[i].last_ticks);
		if (now_ms < session->now_ms) // out of order; time does not go back for it
			now_ms = session->now_ms;
		session->now_ms = now_ms;
		next = i + 1;
		while (next < n && ms_of_ticks(records[next].last_ticks) <= now_ms)
			next++;
		deliver(session, records + i, next - i, sampling);
	}
}

static void show_progress(struct session *session) {
	struct archive_merge_stats stats;

	archive_merge_stats(session->merge, &stats);
	progress_update(
		&session->progress,
		&(struct replay_progress){
			.packets = stats.records_read,
			.bytes_read = stats.bytes_read,
			.bytes_total = stats.bytes_total,
		}
	);
}

static void run(struct session *session) {
	enum progress_mode mode = session->options.progress;
	bool progress = mode == PROGRESS_ALWAYS || (mode == PROGRESS_AUTO && isatty(STDERR_FILENO));
	const struct flow_record *records;
	struct archive_sampling sampling;
	int n = 0;

	progress_begin(&session->progress, "records");
	while (!stopped && (n = archive_merge_next(session->merge, &records, &sampling)) > 0) {
		deliver_batch(session, records, n, &sampling);
		if (progress)
			show_progress(session);
	}
	progress_end(&session->progress);
	sinks_stop(&session->sinks);
	if (session->sinks.print != NULL)
		print_flush(session->sinks.print);
	if (n < 0)
		complain(session, strerror(-n));
}

static void finish_ipfix(struct session *session) {
	char message[COLLECTOR_ERROR_BYTES];
	int rc = ipfix_file_finish(session->ipfix);

	if (rc < 0) {
		snprintf(
			message,
			sizeof(message),
			"%s: %s",
			session->options.ipfix_file,
			strerror(-rc)
		);
		complain(session, message);
	}
}

static void report(struct session *session) {
	struct export_ledger *ledger = &session->ledger;
	struct ledger_sink counts[SINKS_MAX_COUNTS + 1];
	char error[LEDGER_ERROR_BYTES];
	int rc = 0;

	sinks_complain(&session->sinks, "export");
	sinks_count(&session->sinks, 0, counts, &ledger->n_sinks);
	if (session->ipfix != NULL) {
		finish_ipfix(session);
		ipfix_file_count(session->ipfix, &counts[ledger->n_sinks++]);
	}
	ledger->sinks = counts;
	archive_merge_stats(session->merge, &ledger->archive);
	FILE *out = session->sinks.print != NULL && session->print_to == NULL ? stderr : stdout;
	if (session->options.send.ledger == LEDGER_TEXT)
		rc = export_ledger_print_text(ledger, out);
	else if (session->options.send.ledger == LEDGER_JSON)
		rc = export_ledger_print_json(ledger, out);
	if (rc < 0 || fflush(out) != 0)
		complain(session, "the ledger could not be written");
	if (export_ledger_check(ledger, error) < 0)
		complain(session, error);
	if (stopped)
		complain(session, "interrupted: what had been read was exported");
}

static void done(struct session *session) {
	ipfix_file_free(session->ipfix);
	sinks_close(&session->sinks);
	if (session->print_to != NULL && fclose(session->print_to) != 0)
		complain(session, strerror(errno));
	forget_files(session);
}

int command_export(int argc, char **argv) {
	struct session session = {0};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	time_ns_t now_ns = now.tv_sec * NS_PER_S + now.tv_nsec;
	int rc = export_options_parse(&session.options, argc, argv, now_ns);
	if (rc != 0)
		return rc > 0 ? EXIT_OK : EXIT_USAGE;
	if (open_files(&session) && open_sinks(&session)) {
		const struct sigaction on_stop = {.sa_handler = on_signal};
		running = &session.sinks;
		sigaction(SIGINT, &on_stop, NULL);
		sigaction(SIGTERM, &on_stop, NULL);
		run(&session);
		report(&session);
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
	}
	done(&session);
	return session.failed ? EXIT_FAILED : EXIT_OK;
}
