#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "log.h"

static time_ns_t monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void report_begin(
	struct report *report,
	struct sensor *sensor,
	const struct lateness *lateness,
	time_ns_t interval_ns
) {
	*report = (struct report){
		.interval_ns = interval_ns,
		.last_ns = monotonic_ns(),
		.lateness = lateness,
	};
	sensor_ledger(sensor, &report->last);
}

static void rate(FILE *out, double value, const char *unit) {
	static const char *const prefixes[] = {"", "k", "M", "G", "T"};
	unsigned i = 0;

	while (value >= 1000 && i < 4) {
		value /= 1000;
		i++;
	}
	fprintf(out, value < 10 && i > 0 ? "%.2f%s %s" : "%.0f%s %s", value, prefixes[i], unit);
}

// What came since the last line and was not metered, by reason; only reasons that there were.
static void drops(FILE *out, const struct ledger *now, const struct ledger *last) {
	const char *between = "; not metered: ";

	for (unsigned i = 0; i < now->n_reasons; i++) {
		uint64_t n = now->reasons[i].count.packets - last->reasons[i].count.packets;
		if (n == 0)
			continue;
		fprintf(out, "%s%s %" PRIu64, between, now->reasons[i].name, n);
		between = ", ";
	}
	if (now->records_lost > last->records_lost)
		fprintf(out,
			"; records lost: ring_full %" PRIu64,
			now->records_lost - last->records_lost);
}

void report_update(struct report *report, struct sensor *sensor) {
	time_ns_t now_ns = monotonic_ns();
	struct ledger now;
	char line[LOG_MESSAGE_BYTES];

	// Half a second early is on time: the next look is a second away.
	if (report->interval_ns == 0
	    || now_ns - report->last_ns < report->interval_ns - NS_PER_S / 2)
		return;
	double seconds = (double)(now_ns - report->last_ns) / 1e9;
	uint64_t started = sensor_started_flows(sensor);
	sensor_ledger(sensor, &now);

	FILE *out = fmemopen(line, sizeof(line), "w");
	if (out == NULL)
		return;
	rate(out,
	     (double)(now.received.packets - report->last.received.packets) / seconds,
	     "packets/s, ");
	rate(out,
	     (double)(now.received.bytes - report->last.received.bytes) * 8 / seconds,
	     "bit/s, ");
	fprintf(out, "%" PRIu64 " flows, ", now.cached_flows);
	rate(out, (double)(started - report->last_started) / seconds, "new flows/s, ");
	rate(out,
	     (double)(ledger_records(&now) - ledger_records(&report->last)) / seconds,
	     "records/s");
	struct ledger_lateness late;
	lateness_read(report->lateness, &late);
	if (late.n_flows > 0)
		fprintf(out,
			", idle flows late by p50 %" PRIu32 " p99 %" PRIu32 " max %" PRIu32 " ms",
			late.p50_ms,
			late.p99_ms,
			late.max_ms);
	drops(out, &now, &report->last);
	fclose(out);
	log_paced(LOG_LEVEL_INFO, line);
	report->last = now;
	report->last_started = started;
	report->last_ns = now_ns;
}
