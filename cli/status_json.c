#include "status_json.h"

#include <inttypes.h>

#include "json.h"

static void put_sensor(FILE *out, const struct status_facts *facts) {
	static const char *const states[] = {
		[RUN_STARTS] = "starts", [RUN_METERS] = "meters", [RUN_STOPS] = "stops"};
	const struct metrics *metrics = facts->metrics;

	fprintf(out, "{\"version\":");
	json_string(out, WEIR_VERSION);
	fprintf(out, ",\"dpdk\":");
	json_string(out, metrics->dpdk);
	fprintf(out,
		",\"state\":\"%s\",\"time_ms\":%" PRId64 ",\"started_ms\":%" PRId64
		",\"sampling\":%" PRIu32 ",\"cpu_s\":%.2f,\"last_s\":%.1f,\"health\":[",
		states[facts->state],
		facts->now_ns / NS_PER_MS,
		metrics->started_ns / NS_PER_MS,
		metrics->sampling_interval,
		metrics->cpu_s,
		(double)facts->last->span_ns / 1e9);
	for (unsigned i = 0; i < facts->health->n; i++) {
		const struct health_line *line = &facts->health->lines[i];
		fprintf(out,
			"%s{\"level\":\"%s\",\"text\":",
			i > 0 ? "," : "",
			health_level_name(line->level));
		json_string(out, line->text);
		fputc('}', out);
	}
	fprintf(out, "],\"health_more\":%u", facts->health->n_more);
}

static void put_packets(FILE *out, const struct status_facts *facts) {
	const struct ledger *ledger = &facts->metrics->ledger;
	const struct metrics_rates *rates = &facts->metrics->rates;

	fprintf(out,
		",\"rates\":{\"packets\":%.2f,\"bits\":%.2f,\"flows\":%.2f,\"records\":%.2f}",
		rates->packets,
		8 * rates->bytes,
		rates->flows,
		rates->records);
	fprintf(out,
		",\"received\":{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64
		"},\"metered\":{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 "},\"unmetered\":[",
		ledger->received.packets,
		ledger->received.bytes,
		ledger->metered.packets,
		ledger->metered.bytes);
	for (unsigned i = 0; i < ledger->n_reasons; i++) {
		const struct ledger_reason *reason = &ledger->reasons[i];
		fprintf(out, "%s{\"reason\":", i > 0 ? "," : "");
		json_string(out, reason->name);
		fprintf(out,
			",\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"last\":%" PRIu64 "}",
			reason->count.packets,
			reason->count.bytes,
			facts->last->reasons[i]);
	}
	fputc(']', out);
}

static void put_ports(FILE *out, const struct status_facts *facts) {
	const struct metrics *metrics = facts->metrics;
	struct minute_counts totals;

	minute_totals(metrics, &totals);
	fprintf(out, ",\"ports\":[");
	for (unsigned i = 0; i < metrics->n_ports; i++) {
		const struct minute_port *port = &totals.ports[i], *last = &facts->last->ports[i];
		fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
		json_string(out, metrics->ports[i].name);
		fprintf(out,
			",\"up\":%s,\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64
			",\"missed\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"no_mbuf\":%" PRIu64
			",\"last_packets\":%" PRIu64 ",\"last_bytes\":%" PRIu64
			",\"last_lost\":%" PRIu64 "}",
			metrics->ports[i].up ? "true" : "false",
			port->packets,
			port->bytes,
			port->missed,
			port->errors,
			port->no_mbuf,
			last->packets,
			last->bytes,
			last->missed + last->errors + last->no_mbuf);
	}
	fputc(']', out);
}

static void put_cache(FILE *out, const struct status_facts *facts) {
	const struct metrics *metrics = facts->metrics;
	uint64_t flows = 0, capacity = 0, started = 0, records[FLOW_END_COUNT] = {0};

	for (unsigned i = 0; i < metrics->n_workers; i++) {
		const struct sensor_worker *worker = &metrics->workers[i];
		flows += worker->cache.flows;
		capacity += worker->capacity_flows;
		started += worker->cache.started;
		for (unsigned end = 0; end < FLOW_END_COUNT; end++)
			records[end] += worker->cache.records[end];
	}
	fprintf(out,
		",\"cache\":{\"flows\":%" PRIu64 ",\"capacity\":%" PRIu64 ",\"started\":%" PRIu64
		"},\"records\":[",
		flows,
		capacity,
		started);
	for (unsigned end = FLOW_END_NONE + 1; end < FLOW_END_COUNT; end++)
		fprintf(out,
			"%s{\"reason\":\"%s\",\"records\":%" PRIu64 ",\"last\":%" PRIu64 "}",
			end > FLOW_END_NONE + 1 ? "," : "",
			flow_end_name((enum flow_end)end),
			records[end],
			facts->last->records[end]);
	fprintf(out,
		"],\"records_lost\":%" PRIu64 ",\"records_lost_last\":%" PRIu64
		",\"late_ms\":{\"flows\":%" PRIu64 ",\"p99\":%" PRIu32 ",\"max\":%" PRIu32 "}",
		metrics->ledger.records_lost,
		facts->last->records_lost,
		metrics->ledger.lateness.n_flows,
		metrics->ledger.lateness.p99_ms,
		metrics->ledger.lateness.max_ms);
}

static void put_workers(FILE *out, const struct status_facts *facts) {
	const struct metrics *metrics = facts->metrics;
	double span_ns = (double)(facts->last->span_ns > 0 ? facts->last->span_ns : 1);

	fprintf(out, ",\"reader\":");
	if (metrics->has_reader)
		fprintf(out,
			"{\"busy\":%.4f,\"last_busy\":%.4f}",
			metrics->rates.reader_busy,
			(double)facts->last->reader_busy_ns / span_ns);
	else
		fputs("null", out);
	fprintf(out, ",\"workers\":[");
	for (unsigned i = 0; i < metrics->n_workers; i++) {
		const struct sensor_worker *worker = &metrics->workers[i];
		fprintf(out,
			"%s{\"busy\":%.4f,\"last_busy\":%.4f,\"flows\":%" PRIu64
			",\"capacity\":%" PRIu32 ",\"packets\":%" PRIu64 ",\"ring\":%" PRIu32
			",\"ring_capacity\":%" PRIu32 ",\"lost\":%" PRIu64 "}",
			i > 0 ? "," : "",
			metrics->rates.busy[i],
			(double)facts->last->busy_ns[i] / span_ns,
			worker->cache.flows,
			worker->capacity_flows,
			worker->cache.packets,
			worker->ring_records,
			worker->ring_capacity,
			worker->records_lost);
	}
	fputc(']', out);
}

static void put_sinks(FILE *out, const struct status_facts *facts) {
	const struct metrics *metrics = facts->metrics;
	const struct ledger *ledger = &metrics->ledger;

	fprintf(out, ",\"sinks\":[");
	for (unsigned i = 0; i < ledger->n_sinks; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];
		const struct minute_sink *last = &facts->last->sinks[i];
		bool collector = i < metrics->sinks.n_collectors;
		fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
		json_string(out, sink->name);
		fprintf(out,
			",\"collector\":%s,\"former\":%s,\"records\":%" PRIu64
			",\"absent\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"last_sent\":%" PRIu64
			",\"datagrams\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"refusals\":%" PRIu64
			",\"last_refusals\":%" PRIu64 ",\"lost\":[",
			collector ? "true" : "false",
			sink->former ? "true" : "false",
			sink->records,
			sink->absent,
			sink->sent,
			last->sent,
			sink->datagrams,
			sink->octets,
			collector ? metrics->sinks.refusals[i] : 0,
			last->refusals);
		for (unsigned j = 0; j < sink->n_losses; j++) {
			fprintf(out, "%s{\"reason\":", j > 0 ? "," : "");
			json_string(out, sink->losses[j].name);
			fprintf(out,
				",\"records\":%" PRIu64 ",\"last\":%" PRIu64 "}",
				sink->losses[j].records,
				last->lost[j]);
		}
		fprintf(out, "]}");
	}
	fputc(']', out);
}

static void put_archive(FILE *out, const struct status_facts *facts) {
	const struct archive_stats *stats = &facts->metrics->archive_stats;

	fprintf(out, ",\"archive\":");
	if (facts->metrics->archive == NULL) {
		fputs("null", out);
		return;
	}
	fprintf(out, "{\"dir\":");
	json_string(out, facts->metrics->archive);
	fprintf(out,
		",\"records\":%" PRIu64 ",\"archived\":%" PRIu64 ",\"files\":%" PRIu64
		",\"bytes\":%" PRIu64 ",\"deleted\":%" PRIu64 ",\"errors\":%" PRIu64
		",\"last_errors\":%" PRIu64 ",\"recovered\":%" PRIu64 ",\"damaged\":%" PRIu64 "}",
		stats->records,
		stats->archived,
		stats->files,
		stats->bytes,
		stats->deleted,
		stats->errors,
		facts->last->archive_errors,
		stats->recovered,
		stats->damaged);
}

void status_json_print(const struct status_facts *facts, FILE *out) {
	put_sensor(out, facts);
	put_packets(out, facts);
	put_ports(out, facts);
	put_cache(out, facts);
	put_workers(out, facts);
	put_sinks(out, facts);
	put_archive(out, facts);
	fprintf(out, ",\"history\":");
	history_print(facts->history, STATUS_RECENT, out);
}
