// What the sensor says.

#include "live_status.h"

#include <inttypes.h>
#include <string.h>

#include "metrics.h"

static void put_name(FILE *out, const char *name) {
	for (unsigned n = 0; name[n] != '\0' && n < STATUS_NAME_BYTES - 1; n++) {
		unsigned char c = (unsigned char)name[n];
		if (c <= ' ' || c == '%' || c >= 127)
			fprintf(out, "%%%02X", c);
		else
			fputc(c, out);
	}
}

static void put_count(FILE *out, const char *word, const char *name, struct ledger_count count) {
	fprintf(out, "%s ", word);
	put_name(out, name);
	fprintf(out, " %" PRIu64 " %" PRIu64 "\n", count.packets, count.bytes);
}

static void put_records(FILE *out, const char *word, const char *name, uint64_t records) {
	fprintf(out, "%s ", word);
	put_name(out, name);
	fprintf(out, " %" PRIu64 "\n", records);
}

static void put_ledger(FILE *out, const struct ledger *ledger) {
	fprintf(out,
		"received %" PRIu64 " %" PRIu64 "\nmetered %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		ledger->received.packets,
		ledger->received.bytes,
		ledger->metered.packets,
		ledger->metered.bytes,
		ledger->metered_octets);
	for (unsigned i = 0; i < ledger->n_reasons; i++)
		put_count(out, "reason", ledger->reasons[i].name, ledger->reasons[i].count);
	for (unsigned end = FLOW_END_NONE + 1; end < FLOW_END_COUNT; end++)
		put_records(
			out, "records", flow_end_name((enum flow_end)end), ledger->records[end]
		);
	fprintf(out,
		"record_sums %" PRIu64 " %" PRIu64 "\nrecords_lost %" PRIu64 "\nlateness %" PRIu64
		" %" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
		ledger->record_packets,
		ledger->record_octets,
		ledger->records_lost,
		ledger->lateness.n_flows,
		ledger->lateness.p50_ms,
		ledger->lateness.p99_ms,
		ledger->lateness.max_ms);
}

// All queues of a port together.
static void put_port(FILE *out, const struct sensor_port *port, const struct ledger *ledger) {
	struct ledger_port sum = {0};

	for (unsigned i = 0; i < ledger->n_ports; i++) {
		const struct ledger_port *queue = &ledger->ports[i];
		if (strcmp(queue->name, port->name) != 0)
			continue;
		sum.received.packets += queue->received.packets;
		sum.received.bytes += queue->received.bytes;
		sum.missed += queue->missed;
		sum.errors += queue->errors;
		sum.no_mbuf += queue->no_mbuf;
	}
	fprintf(out, "port ");
	put_name(out, port->name);
	fprintf(out,
		" %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		port->up,
		sum.received.packets,
		sum.received.bytes,
		sum.missed,
		sum.errors,
		sum.no_mbuf);
}

static void put_worker(FILE *out, const struct sensor_worker *worker) {
	fprintf(out,
		"worker %" PRIu64 " %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32
		" %" PRIu32 " %" PRIu64 " %" PRIu64 "\n",
		worker->cache.flows,
		worker->capacity_flows,
		worker->cache.started,
		worker->cache.packets,
		worker->cache.octets,
		worker->ring_records,
		worker->ring_capacity,
		worker->records_lost,
		worker->busy_ns);
}

static void put_sink(FILE *out, const struct ledger_sink *sink) {
	fprintf(out, "sink ");
	put_name(out, sink->name);
	fprintf(out,
		" %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		sink->records,
		sink->sent,
		sink->datagrams,
		sink->octets);
	for (unsigned i = 0; i < sink->n_losses; i++)
		put_records(out, "loss", sink->losses[i].name, sink->losses[i].records);
}

void live_status_print(const struct metrics *metrics, time_ns_t now_ns, FILE *out) {
	fprintf(out,
		"weir-status 1\nversion %s\ntaken_ns %" PRId64 "\ntime_ns %" PRId64
		"\nuptime_ns %" PRId64 "\nsampling %" PRIu32 "\n",
		WEIR_VERSION,
		metrics->taken_ns,
		now_ns,
		now_ns - metrics->started_ns,
		metrics->sampling_interval);
	put_ledger(out, &metrics->ledger);
	for (unsigned i = 0; i < metrics->n_ports; i++)
		put_port(out, &metrics->ports[i], &metrics->ledger);
	if (metrics->has_reader)
		fprintf(out, "reader %" PRIu64 "\n", metrics->reader_busy_ns);
	for (unsigned i = 0; i < metrics->n_workers; i++)
		put_worker(out, &metrics->workers[i]);
	for (unsigned i = 0; i < metrics->ledger.n_sinks; i++)
		put_sink(out, &metrics->ledger.sinks[i]);
	fprintf(out, "end\n");
}
