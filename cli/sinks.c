#include "sinks_past.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

[[gnu::format(printf, 2, 3)]] static void
complain(const struct sinks *sinks, const char *format, ...) {
	char message[COLLECTOR_ERROR_BYTES + LEDGER_ERROR_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	sinks->config.on_complaint(message, sinks->config.arg);
}

static bool open_archive(struct sinks *sinks) {
	const struct sinks_config *config = &sinks->config;
	const struct archive_options *options = config->archive;
	struct archive_config archive = archive_options_config(options);
	char error[ARCHIVE_ERROR_BYTES];

	snprintf(sinks->archive_name, sizeof(sinks->archive_name), "archive %s", options->dir);
	archive.sampling_rate = config->encoder.sampling_interval;
	archive.wait = config->wait;
	archive.owner = config->owner;
	archive.group = config->group;
	archive.on_message = config->on_message;
	archive.arg = config->arg;
	sinks->archive = archive_open(&archive, error);
	if (sinks->archive == NULL)
		complain(sinks, "%s", error);
	return sinks->archive != NULL;
}

bool sinks_start(struct sinks *sinks) {
	char error[ARCHIVE_ERROR_BYTES];

	if (sinks->archive == NULL || archive_start(sinks->archive, error) == 0)
		return true;
	complain(sinks, "%s", error);
	return false;
}

void sinks_needs(const struct sinks *sinks, struct sandbox_config *needs) {
	for (unsigned i = 0; i < sinks->n_destinations; i++) {
		const struct collector *collector = destination_collector(sinks->destinations[i]);
		if (collector_has_sessions(collector))
			needs->connect = true;
		else
			needs->datagrams = true;
		needs->look_up |= collector_needs_names(collector);
	}
}

void sinks_set_interfaces(
	struct sinks *sinks, const struct export_interface *interfaces, size_t n
) {
	for (unsigned i = 0; i < sinks->n_destinations; i++)
		destination_set_interfaces(sinks->destinations[i], interfaces, n);
}

void sinks_set_dropped(struct sinks *sinks, uint64_t packets, uint64_t flows) {
	for (unsigned i = 0; i < sinks->n_destinations; i++)
		destination_set_dropped(sinks->destinations[i], packets, flows);
}

void sinks_hurry(struct sinks *sinks, uint64_t n_records, time_ns_t patience_ns) {
	for (unsigned i = 0; i < sinks->n_destinations; i++)
		destination_hurry(sinks->destinations[i], n_records, patience_ns);
}

void sinks_stop(struct sinks *sinks) {
	for (unsigned i = 0; i < sinks->n_destinations; i++)
		destination_end(sinks->destinations[i]);
	for (unsigned i = 0; i < sinks->n_destinations; i++)
		destination_stop(sinks->destinations[i]);
	archive_stop(sinks->archive);
}

struct destination *
sinks_open_destination(const struct sinks_config *config, const char *name, char *error) {
	return destination_open(
		&(struct destination_config){
			.collector =
				{
					.destination = name,
					.encoder = config->encoder,
					.tls = config->tls,
					.rate = config->rate,
					.on_message = config->on_message,
					.arg = config->arg,
				},
			.live = !config->wait,
		},
		error
	);
}

static bool open_destination(struct sinks *sinks, const char *name) {
	char error[COLLECTOR_ERROR_BYTES];
	struct destination *destination = sinks_open_destination(&sinks->config, name, error);

	if (destination == NULL) {
		complain(sinks, "%s", error);
		return false;
	}
	sinks->destinations[sinks->n_destinations++] = destination;
	return true;
}

bool sinks_check_tls(const struct sinks_config *config) {
	const struct collector_tls *tls = &config->tls;

	if (tls->ca_file == NULL && tls->cert_file == NULL && tls->key_file == NULL
	    && tls->server_name == NULL)
		return true;
	for (unsigned i = 0; i < config->n_collectors; i++)
		if (strncmp(config->collectors[i], "ipfix+tls://", 12) == 0)
			return true;
	config->on_complaint(
		"--tls-ca, -cert, -key and -name are for --collector ipfix+tls://HOST:PORT",
		config->arg
	);
	return false;
}

bool sinks_open(struct sinks *sinks, const struct sinks_config *config) {
	*sinks = (struct sinks){.config = *config};
	sinks->past = sinks_past_new(config->distribution == DISTRIBUTE_BALANCE);
	if (sinks->past == NULL) {
		complain(sinks, "%s", strerror(errno));
		return false;
	}
	if (!sinks_check_tls(config))
		return false;
	for (unsigned i = 0; i < config->n_collectors; i++)
		if (!open_destination(sinks, config->collectors[i]))
			return false;
	if (config->archive != NULL && config->archive->dir != NULL && !open_archive(sinks))
		return false;
	if (config->print != PRINT_NONE) {
		sinks->print = print_new(
			config->print, config->print_to != NULL ? config->print_to : stdout
		);
		if (sinks->print == NULL) {
			complain(sinks, "%s", strerror(errno));
			return false;
		}
	}
	return true;
}

void sinks_close(struct sinks *sinks) {
	print_free(sinks->print);
	for (unsigned i = 0; i < sinks->n_destinations; i++)
		destination_close(sinks->destinations[i]);
	archive_free(sinks->archive);
	sinks_past_free(sinks->past);
	sinks->past = NULL;
	sinks->archive = NULL;
	sinks->print = NULL;
	sinks->n_destinations = 0;
}

static void
put_stats(struct ledger_sink *sink, const char *name, const struct destination_stats *stats) {
	*sink = (struct ledger_sink){
		.name = name,
		.records = stats->records,
		.sent = stats->collector.records_sent,
		.datagrams = stats->collector.datagrams_sent,
		.octets = stats->collector.octets_sent,
	};
	ledger_sink_add_loss(sink, "queue_full", stats->lost_queue);
	ledger_sink_add_loss(sink, "socket_full", stats->collector.lost_full);
	ledger_sink_add_loss(sink, "refused", stats->collector.lost_refused);
	ledger_sink_add_loss(sink, "unreachable", stats->collector.lost_unreachable);
	ledger_sink_add_loss(sink, "session_lost", stats->collector.lost_session);
	ledger_sink_add_loss(sink, "untold", stats->collector.lost_untold);
	ledger_sink_add_loss(sink, "stopped", stats->lost_stopped);
	ledger_sink_add_loss(sink, "other", stats->collector.lost_other);
}

static void count_former(
	const struct sinks_past *past,
	const struct sinks_former *former,
	bool shares,
	uint64_t unshared,
	struct ledger_sink *sink
) {
	struct destination_stats sum = former->stats;

	for (unsigned i = 0; i < past->n_leaving && past->leaving_shares == shares; i++) {
		struct destination_stats stats;
		destination_stats(past->leaving[i], &stats);
		sinks_past_add(&sum, &stats);
	}
	put_stats(sink, shares ? "former collectors (balance)" : "former collectors", &sum);
	sink->former = true;
	sink->shares = shares;
	sink->due = former->due;
	sink->absent = shares ? unshared : 0;
}

static void count_archive(const struct sinks *sinks, struct ledger_sink *sink) {
	struct archive_stats stats;

	archive_stats(sinks->archive, &stats);
	*sink = (struct ledger_sink){
		.name = sinks->archive_name,
		.records = stats.records,
		.sent = stats.archived,
	};
	ledger_sink_add_loss(sink, "archive_full", stats.lost_full);
	ledger_sink_add_loss(sink, "write_error", stats.lost_error);
}

static void count_print(const struct sinks *sinks, struct ledger_sink *sink) {
	struct print_stats stats;

	print_stats(sinks->print, &stats);
	*sink = (struct ledger_sink){
		.name = sinks->config.print_to != NULL ? sinks->config.print_name : "stdout",
		.records = stats.records,
		.sent = stats.written,
	};
	ledger_sink_add_loss(sink, "write_error", stats.lost);
}

// With the lock, so that no destination goes meanwhile.
static void
count_all(const struct sinks *sinks, uint64_t n_records, struct ledger_sink *counts, unsigned *n) {
	const struct sinks_past *past = sinks->past;
	uint64_t unshared = sinks_past_unshared(past, sinks->n_destinations, n_records);

	*n = 0;
	for (unsigned i = 0; i < sinks->n_destinations; i++, (*n)++) {
		const struct destination *destination = sinks->destinations[i];
		struct destination_stats stats;
		destination_stats(destination, &stats);
		put_stats(&counts[*n], collector_name(destination_collector(destination)), &stats);
		counts[*n].shares = past->balance;
		counts[*n].absent = past->balance ? unshared : past->since[i];
	}
	if (past->mirrored.any)
		count_former(past, &past->mirrored, false, unshared, &counts[(*n)++]);
	if (past->shared.any)
		count_former(past, &past->shared, true, unshared, &counts[(*n)++]);
	if (sinks->archive != NULL)
		count_archive(sinks, &counts[(*n)++]);
	if (sinks->print != NULL)
		count_print(sinks, &counts[(*n)++]);
}

void sinks_count(
	const struct sinks *sinks, uint64_t n_records, struct ledger_sink *counts, unsigned *n
) {
	pthread_mutex_lock(&sinks->past->lock);
	count_all(sinks, n_records, counts, n);
	pthread_mutex_unlock(&sinks->past->lock);
}

void sinks_take_counts(const struct sinks *sinks, uint64_t n_records, struct sinks_counts *counts) {
	pthread_mutex_lock(&sinks->past->lock);
	count_all(sinks, n_records, counts->sinks, &counts->n);
	counts->n_collectors = sinks->n_destinations;
	for (unsigned i = 0; i < counts->n_collectors; i++) {
		struct destination_stats stats;
		destination_stats(sinks->destinations[i], &stats);
		counts->refusals[i] = stats.collector.refusals;
		snprintf(counts->names[i], SINK_NAME_BYTES, "%s", counts->sinks[i].name);
		counts->sinks[i].name = counts->names[i];
	}
	pthread_mutex_unlock(&sinks->past->lock);
}

void sinks_report_destination(
	const struct sinks *sinks, const struct destination *destination, const char *ended
) {
	const char *name = collector_name(destination_collector(destination));
	struct destination_stats stats;

	destination_stats(destination, &stats);
	uint64_t lost = stats.records - stats.collector.records_sent;
	if (stats.collector.gave_up)
		complain(
			sinks,
			"collector %s: given up, no session came about (%s); %llu of %llu records "
			"lost: start it before the %s",
			name,
			collector_cause(destination_collector(destination)),
			(unsigned long long)lost,
			(unsigned long long)stats.records,
			ended
		);
	else if (stats.collector.refusals > 0)
		complain(
			sinks,
			"collector %s: nobody listens there (refused %llu times); start it before "
			"the %s",
			name,
			(unsigned long long)stats.collector.refusals,
			ended
		);
	else if (lost > 0)
		complain(
			sinks,
			"collector %s: %llu of %llu records lost; see the ledger",
			name,
			(unsigned long long)lost,
			(unsigned long long)stats.records
		);
}

static void report_archive(const struct sinks *sinks) {
	struct archive_stats stats;

	archive_stats(sinks->archive, &stats);
	if (stats.archived != stats.records)
		complain(
			sinks,
			"archive %s: %llu of %llu records lost; see the ledger",
			archive_dir(sinks->archive),
			(unsigned long long)(stats.records - stats.archived),
			(unsigned long long)stats.records
		);
	if (stats.damaged > 0)
		complain(
			sinks,
			"archive %s: %llu records that had been flushed could not be read back",
			archive_dir(sinks->archive),
			(unsigned long long)stats.damaged
		);
}

static void report_print(const struct sinks *sinks) {
	struct print_stats stats;

	print_stats(sinks->print, &stats);
	if (stats.error != 0)
		complain(
			sinks,
			"%s: %s; %llu of %llu records could not be printed: make room or print "
			"elsewhere",
			sinks->config.print_to != NULL ? sinks->config.print_name
						       : "standard output",
			strerror(-stats.error),
			(unsigned long long)stats.lost,
			(unsigned long long)stats.records
		);
}

void sinks_complain(const struct sinks *sinks, const char *ended) {
	for (unsigned i = 0; i < sinks->n_destinations; i++)
		sinks_report_destination(sinks, sinks->destinations[i], ended);
	if (sinks->archive != NULL)
		report_archive(sinks);
	if (sinks->print != NULL)
		report_print(sinks);
}

void sinks_report(
	const struct sinks *sinks,
	struct ledger *ledger,
	enum ledger_format format,
	const char *ended
) {
	struct ledger_sink counts[SINKS_MAX_COUNTS];
	char error[LEDGER_ERROR_BYTES];

	sinks_complain(sinks, ended);
	sinks_count(sinks, ledger_records(ledger) - ledger->records_lost, counts, &ledger->n_sinks);
	ledger->sinks = counts;

	FILE *out = sinks->print != NULL ? stderr : stdout;
	int rc = 0;
	if (format == LEDGER_TEXT)
		rc = ledger_print_text(ledger, out);
	else if (format == LEDGER_JSON)
		rc = ledger_print_json(ledger, out);
	if (rc < 0 || fflush(out) != 0)
		complain(sinks, "the ledger could not be written: %s", strerror(errno));
	if (ledger_check(ledger, error) < 0)
		complain(sinks, "the ledger does not add up, which is a bug: %s", error);
	ledger->sinks = NULL;
	ledger->n_sinks = 0;
}
