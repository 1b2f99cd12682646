#include "ledger.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

const char *flow_end_name(enum flow_end end) {
	static const char *const names[FLOW_END_COUNT] = {
		[FLOW_END_NONE] = "none",
		[FLOW_END_IDLE] = "idle",
		[FLOW_END_ACTIVE] = "active",
		[FLOW_END_DETECTED] = "detected",
		[FLOW_END_FORCED] = "forced",
		[FLOW_END_RESOURCES] = "resources",
	};
	return names[end];
}

uint64_t ledger_records(const struct ledger *ledger) {
	uint64_t n = 0;
	for (unsigned end = 0; end < FLOW_END_COUNT; end++)
		n += ledger->records[end];
	return n;
}

void ledger_add_reason(struct ledger *ledger, const char *name, struct ledger_count count) {
	assert(ledger->n_reasons < LEDGER_MAX_REASONS);
	ledger->reasons[ledger->n_reasons++] = (struct ledger_reason){name, count};
}

void ledger_sink_add_loss(struct ledger_sink *sink, const char *name, uint64_t records) {
	assert(sink->n_losses < LEDGER_MAX_LOSSES);
	sink->losses[sink->n_losses++] = (struct ledger_loss){name, records};
}

static bool equal(uint64_t left, uint64_t right, const char *what, char *error) {
	if (left == right)
		return true;
	snprintf(error, LEDGER_ERROR_BYTES, "%s: %" PRIu64 " against %" PRIu64, what, left, right);
	return false;
}

// Duplicates by reason and by pairs of ports, which are counted apart.
static bool duplicates_equal(const struct ledger *ledger, char *error) {
	struct ledger_count by_reason = {0}, by_pair = {0};

	for (unsigned i = 0; i < ledger->n_reasons; i++)
		if (strcmp(ledger->reasons[i].name, "duplicate") == 0)
			by_reason = ledger->reasons[i].count;
	for (unsigned i = 0; i < ledger->n_duplicates; i++) {
		by_pair.packets += ledger->duplicates[i].count.packets;
		by_pair.bytes += ledger->duplicates[i].count.bytes;
	}
	return equal(by_reason.packets,
		     by_pair.packets,
		     "duplicate packets and those by ports",
		     error)
	       && equal(
		       by_reason.bytes, by_pair.bytes, "duplicate bytes and those by ports", error
	       );
}

// Octets of packets that a port lost are not known.
static bool ports_equal(const struct ledger *ledger, char *error) {
	struct ledger_count sum = {0};

	for (unsigned i = 0; i < ledger->n_ports; i++) {
		const struct ledger_port *port = &ledger->ports[i];
		sum.packets += port->received.packets + port->missed + port->errors + port->no_mbuf;
		sum.bytes += port->received.bytes;
	}
	return ledger->n_ports == 0
	       || (equal(ledger->received.packets,
			 sum.packets,
			 "packets received and those by ports",
			 error)
		   && equal(
			   ledger->received.bytes,
			   sum.bytes,
			   "bytes received and those by ports",
			   error
		   ));
}

int ledger_check_sinks(
	const struct ledger_sink *sinks, unsigned n_sinks, uint64_t records, char *error
) {
	uint64_t shared = 0, unshared = 0;
	bool shares = false;

	error[0] = '\0';
	for (unsigned i = 0; i < n_sinks; i++) {
		const struct ledger_sink *sink = &sinks[i];
		uint64_t accounted = sink->sent;
		for (unsigned j = 0; j < sink->n_losses; j++)
			accounted += sink->losses[j].records;
		if (sink->shares) {
			shares = true;
			shared += sink->records;
			unshared = sink->absent;
		} else if (!equal(sink->former ? sink->due : records,
				  sink->absent + sink->records,
				  "records made and given to a sink",
				  error))
			return -EBADMSG;
		if (!equal(sink->records,
			   accounted,
			   "records given to a sink and accounted for",
			   error))
			return -EBADMSG;
	}
	if (shares
	    && !equal(records, unshared + shared, "records made and shared out to sinks", error))
		return -EBADMSG;
	return 0;
}

int ledger_check(const struct ledger *ledger, char *error) {
	struct ledger_count sum = ledger->metered;

	error[0] = '\0';
	for (unsigned i = 0; i < ledger->n_reasons; i++) {
		sum.packets += ledger->reasons[i].count.packets;
		sum.bytes += ledger->reasons[i].count.bytes;
	}
	if (!equal(ledger->received.packets,
		   sum.packets,
		   "packets received and accounted for",
		   error)
	    || !equal(ledger->received.bytes, sum.bytes, "bytes received and accounted for", error))
		return -EBADMSG;

	if (!ports_equal(ledger, error) || !duplicates_equal(ledger, error))
		return -EBADMSG;

	// What still runs is not in a record yet: the sums meet when the cache is empty.
	if (ledger->cached_flows == 0
	    && (!equal(ledger->metered.packets,
		       ledger->record_packets,
		       "packets metered and in records",
		       error)
		|| !equal(
			ledger->metered_octets,
			ledger->record_octets,
			"octets metered and in records",
			error
		)))
		return -EBADMSG;

	return ledger_check_sinks(
		ledger->sinks, ledger->n_sinks, ledger_records(ledger) - ledger->records_lost, error
	);
}

static void text_count(FILE *out, const char *indent, const char *name, struct ledger_count count) {
	fprintf(out,
		"%s%-24s %15" PRIu64 " packets %18" PRIu64 " bytes\n",
		indent,
		name,
		count.packets,
		count.bytes);
}

static void text_ports(FILE *out, const struct ledger *ledger) {
	for (unsigned i = 0; i < ledger->n_ports; i++) {
		const struct ledger_port *port = &ledger->ports[i];
		fprintf(out,
			"  port %s queue %u: %" PRIu64 " packets, %" PRIu64 " bytes",
			port->name,
			port->queue,
			port->received.packets,
			port->received.bytes);
		if (port->missed + port->errors + port->no_mbuf > 0)
			fprintf(out,
				"; the port lost: missed %" PRIu64 ", errors %" PRIu64
				", no_mbuf %" PRIu64,
				port->missed,
				port->errors,
				port->no_mbuf);
		fprintf(out, "\n");
	}
}

int ledger_print_text(const struct ledger *ledger, FILE *out) {
	char error[LEDGER_ERROR_BYTES];
	bool balanced = ledger_check(ledger, error) == 0;

	text_count(out, "", "received", ledger->received);
	text_ports(out, ledger);
	text_count(out, "  ", "metered", ledger->metered);
	for (unsigned i = 0; i < ledger->n_reasons; i++)
		if (ledger->reasons[i].count.packets > 0)
			text_count(out, "  ", ledger->reasons[i].name, ledger->reasons[i].count);
	for (unsigned i = 0; i < ledger->n_duplicates; i++) {
		const struct ledger_pair *pair = &ledger->duplicates[i];
		fprintf(out,
			"    duplicate: port %-5u then %-5u %8" PRIu64 " packets %18" PRIu64
			" bytes\n",
			pair->first_if,
			pair->second_if,
			pair->count.packets,
			pair->count.bytes);
	}
	if (ledger->duplicates_forgotten > 0)
		fprintf(out,
			"    %" PRIu64 " packets were forgotten before their copy could come\n",
			ledger->duplicates_forgotten);

	fprintf(out,
		"%-26s %15" PRIu64 " records %18" PRIu64 " bytes of IP in %" PRIu64 " packets\n",
		"flow records",
		ledger_records(ledger),
		ledger->record_octets,
		ledger->record_packets);
	for (unsigned end = 0; end < FLOW_END_COUNT; end++)
		if (ledger->records[end] > 0)
			fprintf(out,
				"  ended: %-17s %15" PRIu64 " records\n",
				flow_end_name(end),
				ledger->records[end]);
	if (ledger->lateness.n_flows > 0)
		fprintf(out,
			"  idle flows left late by at most %" PRIu32
			" ms; 99 %% of them by %" PRIu32 " ms, half of them by %" PRIu32 " ms\n",
			ledger->lateness.max_ms,
			ledger->lateness.p99_ms,
			ledger->lateness.p50_ms);
	if (ledger->records_lost > 0)
		fprintf(out,
			"  lost: %-18s %15" PRIu64 " records\n",
			"ring_full",
			ledger->records_lost);

	for (unsigned i = 0; i < ledger->n_sinks; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];
		fprintf(out, "to %-23s %15" PRIu64 " records sent", sink->name, sink->sent);
		if (sink->datagrams > 0)
			fprintf(out,
				" %13" PRIu64 " bytes in %" PRIu64 " datagrams",
				sink->octets,
				sink->datagrams);
		fprintf(out, "\n");
		if (sink->absent > 0)
			fprintf(out,
				"  %-24s %15" PRIu64 " records\n",
				"made while not there",
				sink->absent);
		for (unsigned j = 0; j < sink->n_losses; j++)
			if (sink->losses[j].records > 0)
				fprintf(out,
					"  lost: %-18s %15" PRIu64 " records\n",
					sink->losses[j].name,
					sink->losses[j].records);
	}
	if (balanced)
		fprintf(out, "balance: every packet and every record is accounted for\n");
	else
		fprintf(out, "balance: BROKEN, %s\n", error);
	return ferror(out) ? -EIO : 0;
}

static void json_string(FILE *out, const char *text) {
	fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void json_count(FILE *out, const char *name, struct ledger_count count) {
	json_string(out, name);
	fprintf(out, ":{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", count.packets, count.bytes
	);
}

static void json_ports(FILE *out, const struct ledger *ledger) {
	fprintf(out, ",\"ports\":[");
	for (unsigned i = 0; i < ledger->n_ports; i++) {
		const struct ledger_port *port = &ledger->ports[i];
		fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
		json_string(out, port->name);
		fprintf(out,
			",\"queue\":%u,\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64
			",\"missed\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"no_mbuf\":%" PRIu64 "}",
			port->queue,
			port->received.packets,
			port->received.bytes,
			port->missed,
			port->errors,
			port->no_mbuf);
	}
	fprintf(out,
		"],\"lateness\":{\"flows\":%" PRIu64 ",\"p50_ms\":%" PRIu32 ",\"p99_ms\":%" PRIu32
		",\"max_ms\":%" PRIu32 "}",
		ledger->lateness.n_flows,
		ledger->lateness.p50_ms,
		ledger->lateness.p99_ms,
		ledger->lateness.max_ms);
}

int ledger_print_json(const struct ledger *ledger, FILE *out) {
	char error[LEDGER_ERROR_BYTES];
	bool balanced = ledger_check(ledger, error) == 0;

	fputc('{', out);
	json_count(out, "received", ledger->received);
	fputc(',', out);
	json_count(out, "metered", ledger->metered);
	fprintf(out, ",\"metered_octets\":%" PRIu64 ",\"not_metered\":{", ledger->metered_octets);
	for (unsigned i = 0; i < ledger->n_reasons; i++) {
		if (i > 0)
			fputc(',', out);
		json_count(out, ledger->reasons[i].name, ledger->reasons[i].count);
	}
	fprintf(out, "},\"duplicates\":[");
	for (unsigned i = 0; i < ledger->n_duplicates; i++) {
		const struct ledger_pair *pair = &ledger->duplicates[i];
		fprintf(out,
			"%s{\"first_if\":%u,\"second_if\":%u,\"packets\":%" PRIu64
			",\"bytes\":%" PRIu64 "}",
			i > 0 ? "," : "",
			pair->first_if,
			pair->second_if,
			pair->count.packets,
			pair->count.bytes);
	}
	fprintf(out, "],\"duplicates_forgotten\":%" PRIu64, ledger->duplicates_forgotten);
	json_ports(out, ledger);
	fprintf(out, ",\"records\":%" PRIu64 ",\"records_by_end\":{", ledger_records(ledger));
	for (unsigned end = FLOW_END_NONE + 1; end < FLOW_END_COUNT; end++)
		fprintf(out,
			"%s\"%s\":%" PRIu64,
			end > FLOW_END_NONE + 1 ? "," : "",
			flow_end_name(end),
			ledger->records[end]);
	fprintf(out,
		"},\"records_lost\":%" PRIu64 ",\"record_packets\":%" PRIu64
		",\"record_octets\":%" PRIu64 ",\"cached_flows\":%" PRIu64 ",\"sinks\":[",
		ledger->records_lost,
		ledger->record_packets,
		ledger->record_octets,
		ledger->cached_flows);
	for (unsigned i = 0; i < ledger->n_sinks; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];
		fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
		json_string(out, sink->name);
		fprintf(out,
			",\"records\":%" PRIu64 ",\"absent\":%" PRIu64 ",\"sent\":%" PRIu64
			",\"lost\":{",
			sink->records,
			sink->absent,
			sink->sent);
		for (unsigned j = 0; j < sink->n_losses; j++) {
			if (j > 0)
				fputc(',', out);
			json_string(out, sink->losses[j].name);
			fprintf(out, ":%" PRIu64, sink->losses[j].records);
		}
		fprintf(out,
			"},\"datagrams\":%" PRIu64 ",\"octets\":%" PRIu64 "}",
			sink->datagrams,
			sink->octets);
	}
	fprintf(out, "],\"balanced\":%s}\n", balanced ? "true" : "false");
	return ferror(out) ? -EIO : 0;
}
