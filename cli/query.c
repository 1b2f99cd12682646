// weir query: asks the archive of flow records, and the running sensor.

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "database.h"
#include "live_client.h"
#include "query_options.h"

enum {
	EXIT_INTERRUPTED = 128 + SIGINT,
	DEFAULT_WIDTH = 80,
	DEFAULT_HEIGHT = 24,
};

// A query that is soon done needs no progress.
#define PATIENCE_NS NS_PER_S
#define REDRAW_NS (100 * NS_PER_MS)

struct query {
	struct query_options options;
	bool failed; // a file could not be read
	bool shows_progress;
	int drawn; // characters of the progress line, 0 = there is none
	time_ns_t begin_ns, drawn_ns;
};

// Of the signal handler.
static atomic_bool stop;
static struct database *interruptible;

static void on_interrupt(int number) {
	(void)number;
	atomic_store(&stop, true);
	if (interruptible != NULL)
		database_interrupt(interruptible);
}

static time_ns_t clock_ns(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// Spaces over what was drawn: there are terminals that know nothing else.
static void wipe_progress(struct query *query) {
	if (query->drawn == 0)
		return;
	fprintf(stderr, "\r%*s\r", query->drawn, "");
	fflush(stderr);
	query->drawn = 0;
}

static void on_progress(void *arg, const struct scan_progress *progress) {
	struct query *query = arg;
	time_ns_t now_ns = clock_ns(CLOCK_MONOTONIC);
	double seconds = (double)(now_ns - query->begin_ns) / 1e9;

	if (!query->shows_progress || now_ns - query->begin_ns < PATIENCE_NS
	    || now_ns - query->drawn_ns < REDRAW_NS)
		return;
	query->drawn_ns = now_ns;
	double part = progress->bytes_total == 0
			      ? 1
			      : (double)progress->bytes_done / (double)progress->bytes_total;
	char line[128];
	int n = snprintf(
		line,
		sizeof(line),
		"%3.0f%% of %.1f MiB, %.1f M flows, %.1f M flows/s",
		part > 1 ? 100 : part * 100, // a file that grew since
		(double)progress->bytes_total / 1048576,
		(double)progress->rows / 1e6,
		(double)progress->rows / 1e6 / seconds
	);
	// A line that wraps could not be drawn over.
	struct winsize size;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && n >= size.ws_col)
		n = size.ws_col - 1;
	fprintf(stderr, "\r%.*s%*s", n, line, query->drawn > n ? query->drawn - n : 0, "");
	fflush(stderr);
	query->drawn = n;
}

// Called by the scan's workers, one at a time.
static void on_error(void *arg, const char *line) {
	struct query *query = arg;

	query->failed = true;
	wipe_progress(query);
	fprintf(stderr, "weir query: %s\n", line);
}

static void terminal_size(struct output_config *config) {
	struct winsize size;

	config->width = DEFAULT_WIDTH;
	config->height = DEFAULT_HEIGHT;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
		config->width = size.ws_col;
		config->height = size.ws_row - 1U; // the prompt
	}
}

static struct output *new_output(const struct query *query) {
	const struct query_options *options = &query->options;
	struct output_config config = {
		.format = options->format,
		.out = stdout,
		.step_ns = options->step_ns,
	};

	if (!options->has_format && options->report.step != NULL && isatty(STDOUT_FILENO))
		config.format = OUTPUT_CHART;
	setlocale(LC_CTYPE, "");
	config.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	terminal_size(&config);
	return output_new(&config);
}

static int exit_status(struct query *query, int rc, const char *error) {
	wipe_progress(query);
	if (rc == -EINTR)
		return EXIT_INTERRUPTED;
	if (rc < 0)
		fprintf(stderr, "weir query: %s\n", error);
	if (rc == -EINVAL) {
		if (strstr(error, "no such column") != NULL)
			fprintf(stderr, "columns: %s\n", database_columns());
		else if (strstr(error, "no such table") != NULL)
			fprintf(stderr, "tables: flows (the archive), live (the running sensor)\n");
		return EXIT_USAGE;
	}
	return rc < 0 || query->failed ? EXIT_FAILED : EXIT_OK;
}

static int run(struct query *query, struct database *database, const char *sql) {
	struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
	char error[DATABASE_ERROR_BYTES] = "";
	struct output *output = new_output(query);

	if (output == NULL)
		return exit_status(query, -ENOMEM, strerror(ENOMEM));
	interruptible = database;
	sigaction(SIGINT, &action, NULL);
	int rc = database_run(database, sql, output, error);
	signal(SIGINT, SIG_DFL);
	interruptible = NULL;
	output_free(output);
	// What was printed is whole lines; of a table or a chart nothing was, but for long tables.
	return exit_status(query, rc, error);
}

// The flows of the running sensor, asked for when a statement reads them.
static int snapshot(
	void *arg, struct flow_record **records, size_t *n, struct flow_source *source, char *error
) {
	const struct query_options *options = arg;
	struct live_flows flows;

	static_assert((int)LIVE_SOCKET_ERROR_BYTES <= (int)LIVE_ERROR_BYTES, "");
	int rc = live_client_flows(options->socket, &flows, error);
	if (rc < 0)
		return rc;
	*records = flows.records;
	*n = flows.n;
	*source = (struct flow_source){.sampling_rate = flows.sampling_rate};
	return 0;
}

int command_query(int argc, char **argv) {
	struct query query = {0};
	time_ns_t now_ns = clock_ns(CLOCK_REALTIME);
	char error[DATABASE_ERROR_BYTES];
	int rc = query_options_parse(&query.options, now_ns, argc, argv);

	if (rc != 0)
		return rc < 0 ? EXIT_USAGE : EXIT_OK;
	query.begin_ns = clock_ns(CLOCK_MONOTONIC);
	query.shows_progress =
		query.options.progress == QUERY_PROGRESS_ALWAYS
		|| (query.options.progress == QUERY_PROGRESS_AUTO && isatty(STDERR_FILENO));
	char *sql = query.options.sql != NULL ? strdup(query.options.sql)
					      : query_report_sql(&query.options.report);
	const struct live_source live = {.snapshot = snapshot, .arg = &query.options};
	struct database *database = database_open(
		&(struct database_config){
			.archive =
				{
					.dir = query.options.archive,
					.n_threads = query.options.n_threads,
					.stop = &stop,
					.on_error = on_error,
					.on_progress = on_progress,
					.arg = &query,
				},
			.live = &live,
			.now_ns = now_ns,
		},
		error
	);
	if (sql == NULL || database == NULL) {
		fprintf(stderr, "weir query: %s\n", database == NULL ? error : strerror(ENOMEM));
		rc = EXIT_FAILED;
	} else {
		rc = run(&query, database, sql);
	}
	database_close(database);
	free(sql);
	return rc;
}
