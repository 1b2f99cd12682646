#include "decode_print.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "decode_value.h"

static const char *version_name(unsigned version) {
	return version == 5    ? "NetFlow v5"
	       : version == 9  ? "NetFlow v9"
	       : version == 10 ? "IPFIX"
			       : "?";
}

// The beginning of every object: what it is, and whose.
static void begin_json(
	FILE *out,
	const char *type,
	const struct flow_decode_from *from,
	unsigned version,
	uint32_t domain,
	uint32_t sequence
) {
	char exporter[DECODE_FROM_BYTES];

	decode_from_text(exporter, from, true);
	fprintf(out,
		"{\"type\":\"%s\",\"exporter\":\"%s\",\"version\":%u,\"domain\":%" PRIu32
		",\"sequence\":%" PRIu32,
		type,
		exporter,
		version,
		domain,
		sequence);
}

static void begin_json_of(FILE *out, const char *type, const struct flow_datagram *datagram) {
	begin_json(
		out, type, &datagram->from, datagram->version, datagram->domain, datagram->sequence
	);
}

static void on_datagram(const struct flow_datagram *datagram, void *arg) {
	struct decode_print *print = arg;
	char exporter[DECODE_FROM_BYTES];
	bool has_uptime = datagram->version != 10;

	if (print->format == DECODE_JSON) {
		begin_json_of(print->out, "datagram", datagram);
		fprintf(print->out, ",\"time_export_ns\":%" PRId64, datagram->time_ns);
		if (has_uptime)
			fprintf(print->out,
				",\"count\":%u,\"uptime_ms\":%" PRIu32,
				datagram->count,
				datagram->uptime_ms);
		fprintf(print->out, ",\"octets\":%zu}\n", datagram->bytes);
		return;
	}
	decode_from_text(exporter, &datagram->from, true);
	fprintf(print->out,
		"%s%s%s domain %" PRIu32 " sequence %" PRIu32 ", ",
		exporter,
		*exporter != '\0' ? " " : "",
		version_name(datagram->version),
		datagram->domain,
		datagram->sequence);
	decode_time_put(print->out, datagram->time_ns);
	if (has_uptime)
		fprintf(print->out,
			", uptime %" PRIu32 " ms, count %u",
			datagram->uptime_ms,
			datagram->count);
	fprintf(print->out, ", %zu octets\n", datagram->bytes);
}

static void put_template_json(
	FILE *out, const struct flow_datagram *datagram, const struct flow_template *template
) {
	char name[DECODE_NAME_BYTES];

	begin_json_of(out, "template", datagram);
	fprintf(out,
		",\"template\":%u,\"scopes\":%u,\"withdrawn\":%s,\"fields\":[",
		template->id,
		template->n_scopes,
		template->n_fields == 0 ? "true" : "false");
	for (unsigned i = 0; i < template->n_fields; i++) {
		const struct flow_template_field *field = &template->fields[i];
		bool v9_scope = datagram->version == 9 && i < template->n_scopes;
		decode_field_name(name, field->enterprise, field->id, field->element, v9_scope);
		fprintf(out,
			"%s{\"name\":\"%s\",\"enterprise\":%" PRIu32 ",\"id\":%u,\"bytes\":",
			i > 0 ? "," : "",
			name,
			field->enterprise,
			field->id);
		if (field->bytes == UINT16_MAX)
			fputs("\"variable\"}", out);
		else
			fprintf(out, "%u}", field->bytes);
	}
	fputs("]}\n", out);
}

static void put_template_text(
	FILE *out, const struct flow_datagram *datagram, const struct flow_template *template
) {
	char name[DECODE_NAME_BYTES];

	if (template->n_fields == 0) {
		fprintf(out, "  template %u withdrawn\n", template->id);
		return;
	}
	fprintf(out,
		"  %s %u:",
		template->n_scopes > 0 ? "options template" : "template",
		template->id);
	for (unsigned i = 0; i < template->n_fields; i++) {
		const struct flow_template_field *field = &template->fields[i];
		bool v9_scope = datagram->version == 9 && i < template->n_scopes;
		decode_field_name(name, field->enterprise, field->id, field->element, v9_scope);
		fprintf(out, i < template->n_scopes ? " scope %s(%u)/" : " %s(%u)/", name, field->id
		);
		if (field->bytes == UINT16_MAX)
			fputs("variable", out);
		else
			fprintf(out, "%u", field->bytes);
	}
	putc('\n', out);
}

static void
on_template(const struct flow_datagram *datagram, const struct flow_template *template, void *arg) {
	struct decode_print *print = arg;

	if (print->format == DECODE_JSON)
		put_template_json(print->out, datagram, template);
	else
		put_template_text(print->out, datagram, template);
}

static void
on_record(const struct flow_datagram *datagram, const struct flow_decoded *record, void *arg) {
	struct decode_print *print = arg;
	const char *type = record->n_scopes > 0 ? "options" : "record";

	if (print->format == DECODE_JSON) {
		begin_json_of(print->out, type, datagram);
		fprintf(print->out, ",\"template\":%u", record->template_id);
		decode_fields_put(print->out, datagram, record, true);
		fputs("}\n", print->out);
		return;
	}
	fprintf(print->out, "  %s %u:", type, record->template_id);
	decode_fields_put(print->out, datagram, record, false);
	putc('\n', print->out);
}

static void on_problem(const struct flow_problem *problem, void *arg) {
	struct decode_print *print = arg;
	const char *type = flow_problem_is_advice(problem->kind) ? "advice" : "problem";
	char exporter[DECODE_FROM_BYTES];

	if (print->format == DECODE_JSON) {
		begin_json(
			print->out,
			type,
			problem->from,
			problem->version,
			problem->domain,
			problem->sequence
		);
		fprintf(print->out,
			",\"kind\":\"%s\",\"offset\":%zu,\"text\":",
			flow_problem_name(problem->kind),
			problem->offset);
		decode_string_put(print->out, problem->text, strlen(problem->text));
		fputs("}\n", print->out);
		return;
	}
	decode_from_text(exporter, problem->from, true);
	fprintf(print->out,
		"%s %s: %s%s%s domain %" PRIu32 " sequence %" PRIu32 " offset %zu: %s\n",
		type,
		flow_problem_name(problem->kind),
		exporter,
		*exporter != '\0' ? " " : "",
		version_name(problem->version),
		problem->domain,
		problem->sequence,
		problem->offset,
		problem->text);
}

struct flow_decode_events decode_print_events(struct decode_print *print) {
	return (struct flow_decode_events){
		.on_datagram = print->quiet ? NULL : on_datagram,
		.on_template = print->templates && !print->quiet ? on_template : NULL,
		.on_record = print->quiet ? NULL : on_record,
		.on_problem = on_problem,
		.arg = print,
	};
}

static void put_kinds_json(FILE *out, const struct flow_decode_stats *stats, bool advice) {
	const char *between = "";

	fprintf(out, ",\"%s\":{", advice ? "advice" : "problems");
	for (unsigned i = 0; i < FLOW_PROBLEM_KINDS; i++) {
		if (stats->problems[i] == 0 || flow_problem_is_advice(i) != advice)
			continue;
		fprintf(out, "%s\"%s\":%" PRIu64, between, flow_problem_name(i), stats->problems[i]
		);
		between = ",";
	}
	putc('}', out);
}

static void put_summary_json(
	FILE *out,
	const struct flow_decode *decoder,
	const struct flow_decode_stats *stats,
	const struct decode_source *source
) {
	struct flow_decode_domain domain;
	char exporter[DECODE_FROM_BYTES];

	fprintf(out,
		"{\"type\":\"summary\",\"datagrams\":%" PRIu64 ",\"octets\":%" PRIu64
		",\"records\":%" PRIu64 ",\"options\":%" PRIu64 ",\"templates\":%" PRIu64
		",\"other\":%" PRIu64 ",\"fragments\":%" PRIu64 ",\"cut\":%" PRIu64
		",\"overflow\":%" PRIu64,
		stats->datagrams,
		stats->octets,
		stats->records,
		stats->options,
		stats->templates,
		source->other,
		source->fragments,
		source->cut,
		source->overflow);
	put_kinds_json(out, stats, false);
	put_kinds_json(out, stats, true);
	fputs(",\"domains\":[", out);
	for (unsigned i = 0; flow_decode_domain(decoder, i, &domain); i++) {
		decode_from_text(exporter, &domain.from, true);
		fprintf(out,
			"%s{\"exporter\":\"%s\",\"version\":%u,\"domain\":%" PRIu32
			",\"datagrams\":%" PRIu64 ",\"records\":%" PRIu64 ",\"options\":%" PRIu64
			",\"templates\":%u,\"gaps\":%" PRIu64 ",\"lost\":%" PRIu64
			",\"sampling_rate\":%" PRIu32 "}",
			i > 0 ? "," : "",
			exporter,
			domain.version,
			domain.domain,
			domain.datagrams,
			domain.records,
			domain.options,
			domain.n_templates,
			domain.n_gaps,
			domain.lost,
			domain.sampling_rate);
	}
	fputs("]}\n", out);
}

static void put_kinds_text(FILE *out, const struct flow_decode_stats *stats, bool advice) {
	bool any = false;

	for (unsigned i = 0; i < FLOW_PROBLEM_KINDS; i++) {
		if (stats->problems[i] == 0 || flow_problem_is_advice(i) != advice)
			continue;
		fprintf(out,
			"%s %s %" PRIu64,
			any      ? ","
			: advice ? "advice:"
				 : "problems:",
			flow_problem_name(i),
			stats->problems[i]);
		any = true;
	}
	if (any)
		putc('\n', out);
	else if (!advice)
		fputs("no problems\n", out);
}

static void put_summary_text(
	FILE *out,
	const struct flow_decode *decoder,
	const struct flow_decode_stats *stats,
	const struct decode_source *source
) {
	struct flow_decode_domain domain;
	char exporter[DECODE_FROM_BYTES];

	fprintf(out,
		"%" PRIu64 " datagrams (%" PRIu64 " octets), %" PRIu64 " records, %" PRIu64
		" options records, %" PRIu64 " templates\n",
		stats->datagrams,
		stats->octets,
		stats->records,
		stats->options,
		stats->templates);
	if (source->other + source->fragments + source->cut > 0)
		fprintf(out,
			"not decoded: %" PRIu64 " other packets, %" PRIu64 " IP fragments, %" PRIu64
			" cut by the capture\n",
			source->other,
			source->fragments,
			source->cut);
	if (source->overflow > 0)
		fprintf(out,
			"%" PRIu64 " datagrams lost here: the socket's buffer was full\n",
			source->overflow);
	for (unsigned i = 0; flow_decode_domain(decoder, i, &domain); i++) {
		decode_from_text(exporter, &domain.from, true);
		fprintf(out,
			"%s%s%s domain %" PRIu32 ": %" PRIu64 " datagrams, %" PRIu64
			" records, %u templates, %" PRIu64 " gaps, %" PRIu64 " %s lost\n",
			exporter,
			*exporter != '\0' ? " " : "",
			version_name(domain.version),
			domain.domain,
			domain.datagrams,
			domain.records,
			domain.n_templates,
			domain.n_gaps,
			domain.lost,
			domain.version == 9 ? "datagrams" : "records");
	}
	put_kinds_text(out, stats, false);
	put_kinds_text(out, stats, true);
}

void decode_print_summary(
	const struct decode_print *print,
	const struct flow_decode *decoder,
	const struct decode_source *source
) {
	struct flow_decode_stats stats;

	flow_decode_stats(decoder, &stats);
	if (print->format == DECODE_JSON)
		put_summary_json(print->out, decoder, &stats, source);
	else
		put_summary_text(print->out, decoder, &stats, source);
}
