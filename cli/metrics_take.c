#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <rte_version.h>

#include "metrics.h"

static time_ns_t time_of(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static double cpu_seconds(void) {
	struct rusage used;

	if (getrusage(RUSAGE_SELF, &used) < 0)
		return 0;
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
	       + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

void metrics_begin(struct metrics *metrics) {
	memset(metrics, 0, sizeof(*metrics));
	metrics->started_ns = time_of(CLOCK_REALTIME);
	metrics->dpdk = rte_version();
}

// What was counted when the last metrics were taken.
struct before {
	time_ns_t taken_ns;
	struct ledger_count received;
	uint64_t started, records;
	uint64_t busy_ns[SENSOR_MAX_WORKERS];
	uint64_t reader_busy_ns;
};

static uint64_t started_flows(const struct metrics *metrics) {
	uint64_t n = 0;

	for (unsigned i = 0; i < metrics->n_workers; i++)
		n += metrics->workers[i].cache.started;
	return n;
}

static struct before before_of(const struct metrics *metrics) {
	struct before before = {
		.taken_ns = metrics->taken_ns,
		.received = metrics->ledger.received,
		.started = started_flows(metrics),
		.records = ledger_records(&metrics->ledger),
		.reader_busy_ns = metrics->reader_busy_ns,
	};

	for (unsigned i = 0; i < metrics->n_workers; i++)
		before.busy_ns[i] = metrics->workers[i].busy_ns;
	return before;
}

// Counts are read at slightly different times: a share of the time is at most all of it.
static double share(uint64_t now_ns, uint64_t before_ns, double span_ns) {
	double busy = (double)(now_ns - before_ns) / span_ns;
	return busy < 1 ? busy : 1;
}

static void make_rates(struct metrics *metrics, const struct before *before) {
	struct metrics_rates *rates = &metrics->rates;
	double span_ns = (double)(metrics->taken_ns - before->taken_ns);

	*rates = (struct metrics_rates){0};
	if (before->taken_ns == 0 || span_ns <= 0)
		return;
	const struct ledger_count *received = &metrics->ledger.received;
	double seconds = span_ns / 1e9;
	rates->packets = (double)(received->packets - before->received.packets) / seconds;
	rates->bytes = (double)(received->bytes - before->received.bytes) / seconds;
	rates->flows = (double)(started_flows(metrics) - before->started) / seconds;
	rates->records = (double)(ledger_records(&metrics->ledger) - before->records) / seconds;
	for (unsigned i = 0; i < metrics->n_workers; i++)
		rates->busy[i] = share(metrics->workers[i].busy_ns, before->busy_ns[i], span_ns);
	rates->reader_busy = share(metrics->reader_busy_ns, before->reader_busy_ns, span_ns);
}

static void take_sinks(struct metrics *metrics, const struct sinks *sinks) {
	const struct ledger *ledger = &metrics->ledger;
	sinks_take_counts(sinks, ledger_records(ledger) - ledger->records_lost, &metrics->sinks);
	metrics->ledger.sinks = metrics->sinks.sinks;
	metrics->ledger.n_sinks = metrics->sinks.n;
	metrics->archive = NULL;
	if (sinks->archive == NULL)
		return;
	metrics->archive = archive_dir(sinks->archive);
	archive_stats(sinks->archive, &metrics->archive_stats);
}

void metrics_take(struct metrics *metrics, const struct metrics_sources *sources) {
	struct before before = before_of(metrics);

	metrics->taken_ns = time_of(CLOCK_MONOTONIC);
	sensor_ledger_copy(sources->sensor, &metrics->ledger, metrics->queues, metrics->duplicates);
	metrics->n_ports = sensor_ports(sources->sensor, metrics->ports);
	metrics->n_workers = sensor_workers(sources->sensor, metrics->workers);
	metrics->has_reader = sensor_reader_busy(sources->sensor, &metrics->reader_busy_ns);
	take_sinks(metrics, sources->sinks);
	lateness_read(sources->lateness, &metrics->ledger.lateness);
	lateness_read_histogram(sources->lateness, &metrics->lateness);
	metrics->has_reload = sources->reload != NULL;
	if (metrics->has_reload)
		reload_read_counts(sources->reload, &metrics->reloads);
	metrics->sampling_interval = sources->sampling_interval;
	metrics->cpu_s = cpu_seconds();
	make_rates(metrics, &before);
}
