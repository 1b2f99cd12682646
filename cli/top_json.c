#include "top_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "json.h"

static void put_count(FILE *out, const char *name, const struct status_count *count) {
	json_string(out, name);
	fprintf(out,
		":{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
		count->packets,
		count->bytes);
}

static void put_records(FILE *out, const struct status_records *records, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		fprintf(out, "%s", i > 0 ? "," : "");
		json_string(out, records[i].name);
		fprintf(out, ":%" PRIu64, records[i].records);
	}
}

static void put_ledger(FILE *out, const struct live_status *status) {
	uint64_t records = 0;

	for (unsigned i = 0; i < status->n_ends; i++)
		records += status->ends[i].records;
	put_count(out, "received", &status->received);
	fputc(',', out);
	put_count(out, "metered", &status->metered);
	fprintf(out, ",\"metered_octets\":%" PRIu64 ",\"not_metered\":{", status->metered_octets);
	for (unsigned i = 0; i < status->n_reasons; i++) {
		fprintf(out, "%s", i > 0 ? "," : "");
		put_count(out, status->reasons[i].name, &status->reasons[i].count);
	}
	fprintf(out, "},\"records\":%" PRIu64 ",\"records_by_end\":{", records);
	put_records(out, status->ends, status->n_ends);
	fprintf(out,
		"},\"records_lost\":%" PRIu64 ",\"record_packets\":%" PRIu64
		",\"record_octets\":%" PRIu64,
		status->records_lost,
		status->record_packets,
		status->record_octets);
	fprintf(out,
		",\"lateness\":{\"flows\":%" PRIu64 ",\"p50_ms\":%" PRIu64 ",\"p99_ms\":%" PRIu64
		",\"max_ms\":%" PRIu64 "}",
		status->late_flows,
		status->late_p50_ms,
		status->late_p99_ms,
		status->late_max_ms);
}

static void put_ports(FILE *out, const struct top_model *model) {
	fprintf(out, ",\"ports\":[");
	for (unsigned i = 0; i < model->status.n_ports; i++) {
		const struct status_port *port = &model->status.ports[i];
		fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
		json_string(out, port->name);
		fprintf(out,
			",\"up\":%s,\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64
			",\"missed\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"no_mbuf\":%" PRIu64
			",\"packets_per_s\":%.2f,\"bits_per_s\":%.2f,\"lost_per_s\":%.2f}",
			port->up ? "true" : "false",
			port->received.packets,
			port->received.bytes,
			port->missed,
			port->errors,
			port->no_mbuf,
			model->rates.ports_packets[i],
			model->rates.ports_bits[i],
			model->rates.ports_lost[i]);
	}
	fputc(']', out);
}

static void put_workers(FILE *out, const struct top_model *model) {
	if (model->status.has_reader)
		fprintf(out, ",\"reader\":{\"busy\":%.4f}", model->rates.reader_busy);
	fprintf(out, ",\"workers\":[");
	for (unsigned i = 0; i < model->status.n_workers; i++) {
		const struct status_worker *worker = &model->status.workers[i];
		fprintf(out,
			"%s{\"busy\":%.4f,\"flows\":%" PRIu64 ",\"capacity\":%" PRIu64
			",\"started\":%" PRIu64 ",\"packets\":%" PRIu64 ",\"octets\":%" PRIu64
			",\"ring\":%" PRIu64 ",\"ring_capacity\":%" PRIu64
			",\"records_lost\":%" PRIu64 ",\"packets_per_s\":%.2f}",
			i > 0 ? "," : "",
			model->rates.workers_busy[i],
			worker->flows,
			worker->capacity,
			worker->started,
			worker->packets,
			worker->octets,
			worker->ring,
			worker->ring_capacity,
			worker->lost,
			model->rates.workers_packets[i]);
	}
	fputc(']', out);
}

static void put_sinks(FILE *out, const struct top_model *model) {
	fprintf(out, ",\"sinks\":[");
	for (unsigned i = 0; i < model->status.n_sinks; i++) {
		const struct status_sink *sink = &model->status.sinks[i];
		fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
		json_string(out, sink->name);
		fprintf(out,
			",\"records\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"lost\":{",
			sink->records,
			sink->sent);
		put_records(out, sink->losses, sink->n_losses);
		fprintf(out,
			"},\"datagrams\":%" PRIu64 ",\"octets\":%" PRIu64
			",\"sent_per_s\":%.2f,\"lost_per_s\":%.2f}",
			sink->datagrams,
			sink->octets,
			model->rates.sinks_sent[i],
			model->rates.sinks_lost[i]);
	}
	fputc(']', out);
}

static void put_address(
	FILE *out,
	const struct top_choice *choice,
	const char *name,
	const struct flow_key *key,
	bool source
) {
	struct top_choice plain = {0};
	char text[TOP_ADDRESS_BYTES];

	top_layout_address(&plain, key, source, text);
	fprintf(out, "\"%s\":\"%s\",", name, text);
	if (choice->names && choice->name != NULL && choice->name(key, source, text, choice->arg)) {
		fprintf(out, "\"%s_name\":", name);
		json_string(out, text);
		fputc(',', out);
	}
}

static void
put_key(FILE *out, const struct top_choice *choice, const struct flow_key *key, enum top_view view
) {
	switch (view) {
	case TOP_SOURCES:
	case TOP_DESTINATIONS:
		put_address(out, choice, "addr", key, true);
		break;
	case TOP_PORTS:
		fprintf(out, "\"proto\":%u,\"port\":%u,", key->proto, ntohs(key->src_port));
		break;
	case TOP_CONVERSATIONS:
		put_address(out, choice, "addr", key, true);
		put_address(out, choice, "peer", key, false);
		break;
	case TOP_FLOWS:
		put_address(out, choice, "src_addr", key, true);
		put_address(out, choice, "dst_addr", key, false);
		fprintf(out,
			"\"src_port\":%u,\"dst_port\":%u,\"proto\":%u,\"vlan_id\":%u,",
			ntohs(key->src_port),
			ntohs(key->dst_port),
			key->proto,
			key->vlan_id);
		break;
	case TOP_VIEW_COUNT:
		break;
	}
}

void top_json_view(
	struct top_model *model,
	const struct top_choice *choice,
	enum top_view view,
	unsigned n_rows,
	FILE *out
) {
	static struct top_rows rows; // some 80 KiB

	top_model_rows(model, view, choice->sort, &choice->filter, &rows);
	json_string(out, top_view_name(view));
	fprintf(out, ":[");
	for (unsigned i = 0; i < rows.n && i < n_rows; i++) {
		const struct top_row *row = &rows.rows[i];
		fprintf(out, "%s{", i > 0 ? "," : "");
		put_key(out, choice, &row->key, view);
		fprintf(out,
			"\"bits_per_s\":%.2f,\"packets_per_s\":%.2f,\"octets\":%" PRIu64
			",\"flows\":%" PRIu32 "}",
			8 * row->octets_s,
			row->packets_s,
			row->octets,
			row->flows);
	}
	fputc(']', out);
}

int top_json_print(
	struct top_model *model, const struct top_choice *choice, unsigned n_rows, FILE *out
) {
	const struct live_status *status = &model->status;
	const struct top_rates *rates = &model->rates;

	fprintf(out, "{\"version\":");
	json_string(out, status->version);
	fprintf(out,
		",\"time_ns\":%" PRIu64 ",\"uptime_ns\":%" PRIu64 ",\"sampling\":%" PRIu64
		",\"seconds\":%.6f,\"packets_per_s\":%.2f,\"bits_per_s\":%.2f,"
		"\"metered_packets_per_s\":%.2f,\"new_flows_per_s\":%.2f,"
		"\"records_per_s\":%.2f,\"dropped_per_s\":%.2f,\"cached_flows\":%" PRIu64
		",\"cache_capacity\":%" PRIu64 ",",
		status->time_ns,
		status->uptime_ns,
		status->sampling,
		rates->seconds,
		rates->packets,
		rates->bits,
		rates->metered_packets,
		rates->new_flows,
		rates->records,
		rates->dropped,
		top_model_flows(model),
		top_model_capacity(model));
	put_ledger(out, status);
	put_ports(out, model);
	put_workers(out, model);
	put_sinks(out, model);
	fprintf(out, ",\"top\":{");
	for (unsigned view = 0; view < TOP_VIEW_COUNT; view++) {
		fprintf(out, "%s", view > 0 ? "," : "");
		top_json_view(model, choice, (enum top_view)view, n_rows, out);
	}
	fprintf(out, "}}\n");
	return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
