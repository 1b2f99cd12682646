#include "minute.h"

#include <string.h>

// FNV-1a. Two names of one hash would share their last minute, and nothing else.
static uint64_t hash_of(const char *name) {
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return hash;
}

static void count_ports(const struct metrics *metrics, struct minute_counts *totals) {
	const struct ledger *ledger = &metrics->ledger;

	for (unsigned i = 0; i < metrics->n_ports; i++) {
		struct minute_port *port = &totals->ports[i];
		for (unsigned j = 0; j < ledger->n_ports; j++) {
			const struct ledger_port *queue = &ledger->ports[j];
			if (strcmp(queue->name, metrics->ports[i].name) != 0)
				continue;
			port->packets += queue->received.packets;
			port->bytes += queue->received.bytes;
			port->missed += queue->missed;
			port->errors += queue->errors;
			port->no_mbuf += queue->no_mbuf;
		}
	}
}

static void count_sinks(const struct metrics *metrics, struct minute_counts *totals) {
	const struct ledger *ledger = &metrics->ledger;

	totals->n_sinks = ledger->n_sinks;
	for (unsigned i = 0; i < ledger->n_sinks; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];
		if (sink->former) // what it lost was told of those that it is the sum of
			continue;
		totals->sinks[i] = (struct minute_sink){
			.name = hash_of(sink->name),
			.sent = sink->sent,
			.refusals =
				i < metrics->sinks.n_collectors ? metrics->sinks.refusals[i] : 0,
		};
		for (unsigned j = 0; j < sink->n_losses; j++)
			totals->sinks[i].lost[j] = sink->losses[j].records;
	}
	totals->archive_errors = metrics->archive != NULL ? metrics->archive_stats.errors : 0;
}

void minute_totals(const struct metrics *metrics, struct minute_counts *totals) {
	const struct ledger *ledger = &metrics->ledger;

	*totals = (struct minute_counts){
		.span_ns = metrics->taken_ns,
		.received = ledger->received.packets,
		.records_lost = ledger->records_lost,
		.reader_busy_ns = metrics->reader_busy_ns,
	};
	for (unsigned i = 0; i < ledger->n_reasons; i++)
		totals->reasons[i] = ledger->reasons[i].count.packets;
	for (unsigned i = 0; i < metrics->n_workers; i++) {
		totals->busy_ns[i] = metrics->workers[i].busy_ns;
		for (unsigned end = 0; end < FLOW_END_COUNT; end++)
			totals->records[end] += metrics->workers[i].cache.records[end];
	}
	count_ports(metrics, totals);
	count_sinks(metrics, totals);
}

void minute_mark(struct minute *minute, const struct metrics *metrics) {
	minute_totals(metrics, &minute->marks[minute->next]);
	minute->next = (minute->next + 1) % MINUTE_MARKS;
	if (minute->n < MINUTE_MARKS)
		minute->n++;
}

// Counters are read one after the other, and what is opened anew begins at 0: none falls.
static void subtract(uint64_t *counts, const uint64_t *before, size_t n) {
	for (size_t i = 0; i < n; i++)
		counts[i] = counts[i] > before[i] ? counts[i] - before[i] : 0;
}

static const struct minute_sink *sink_of(const struct minute_counts *counts, uint64_t name) {
	for (unsigned i = 0; i < counts->n_sinks; i++)
		if (counts->sinks[i].name == name)
			return &counts->sinks[i];
	return NULL;
}

static void subtract_sinks(struct minute_counts *counts, const struct minute_counts *before) {
	for (unsigned i = 0; i < counts->n_sinks; i++) {
		struct minute_sink *sink = &counts->sinks[i];
		const struct minute_sink *was = sink_of(before, sink->name);
		if (was == NULL) // it is new
			continue;
		subtract(&sink->sent, &was->sent, 1);
		subtract(&sink->refusals, &was->refusals, 1);
		subtract(sink->lost, was->lost, LEDGER_MAX_LOSSES);
	}
}

void minute_read(
	const struct minute *minute, const struct metrics *metrics, struct minute_counts *last
) {
	const struct minute_counts *before =
		&minute->marks[minute->n < MINUTE_MARKS ? 0 : minute->next];

	minute_totals(metrics, last);
	last->span_ns -= before->span_ns;
	subtract(&last->received, &before->received, 1);
	subtract(last->reasons, before->reasons, LEDGER_MAX_REASONS);
	for (unsigned i = 0; i < metrics->n_ports; i++) {
		struct minute_port *port = &last->ports[i];
		const struct minute_port *was = &before->ports[i];
		subtract(&port->packets, &was->packets, 1);
		subtract(&port->bytes, &was->bytes, 1);
		subtract(&port->missed, &was->missed, 1);
		subtract(&port->errors, &was->errors, 1);
		subtract(&port->no_mbuf, &was->no_mbuf, 1);
	}
	subtract(last->records, before->records, FLOW_END_COUNT);
	subtract(&last->records_lost, &before->records_lost, 1);
	subtract(last->busy_ns, before->busy_ns, SENSOR_MAX_WORKERS);
	subtract(&last->reader_busy_ns, &before->reader_busy_ns, 1);
	subtract(&last->archive_errors, &before->archive_errors, 1);
	subtract_sinks(last, before);
}

uint64_t minute_packets_lost(const struct minute_counts *counts) {
	uint64_t n = 0;

	for (unsigned i = 0; i < SENSOR_MAX_PORTS; i++)
		n += counts->ports[i].missed + counts->ports[i].errors + counts->ports[i].no_mbuf;
	return n;
}

uint64_t minute_records_lost(const struct minute_counts *counts) {
	uint64_t n = counts->records_lost;

	for (unsigned i = 0; i < counts->n_sinks; i++)
		for (unsigned j = 0; j < LEDGER_MAX_LOSSES; j++)
			n += counts->sinks[i].lost[j];
	return n;
}
