// Fuzz target of the flow decoder. Input: datagrams, each behind an octet that says from which of
// a few exporters it comes (0 = a file), and two octets of length.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flow_decode.h"
#include "wire.h"

#define INPUT_HEADER_BYTES 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

// Not assert(): it must hold in a release build too.
static void require(bool holds) {
	if (!holds)
		abort();
}

struct seen {
	const uint8_t *octets;
	size_t bytes;
	uint64_t records, options, problems;
	volatile uint64_t sum;
};

static void on_datagram(const struct flow_datagram *datagram, void *arg) {
	const struct seen *seen = arg;

	require(datagram->version == 5 || datagram->version == 9 || datagram->version == 10);
	require(datagram->bytes == seen->bytes);
}

static void
on_template(const struct flow_datagram *datagram, const struct flow_template *template, void *arg) {
	(void)datagram;
	(void)arg;
	require(template->n_fields <= FLOW_DECODE_MAX_FIELDS);
	require(template->n_scopes <= template->n_fields);
	for (unsigned i = 0; i < template->n_fields; i++)
		require(template->fields[i].element == NULL
			|| template->fields[i].element->id == template->fields[i].id);
}

static void
on_record(const struct flow_datagram *datagram, const struct flow_decoded *record, void *arg) {
	struct seen *seen = arg;

	require(datagram->version == 5 || record->template_id >= 256);
	for (unsigned i = 0; i < record->n_fields; i++) {
		const struct flow_field *field = &record->fields[i];
		// Fields lie in the datagram, one behind the other.
		require(field->octets >= seen->octets);
		require(field->octets + field->bytes <= seen->octets + seen->bytes);
		if (i > 0)
			require(field->octets >= field[-1].octets + field[-1].bytes);
		if (field->element != NULL)
			require(element_fits(field->element->type, field->bytes));
		for (unsigned j = 0; j < field->bytes; j++)
			seen->sum += field->octets[j];
		seen->sum += flow_field_number(field);
	}
	if (record->n_scopes > 0)
		seen->options++;
	else
		seen->records++;
}

static void on_problem(const struct flow_problem *problem, void *arg) {
	struct seen *seen = arg;

	require(flow_problem_name(problem->kind) != NULL);
	require(problem->offset <= seen->bytes);
	require(strlen(problem->text) > 0 && strlen(problem->text) < FLOW_PROBLEM_TEXT_BYTES);
	seen->problems++;
}

static void check_totals(const struct flow_decode *decoder, const struct seen *seen) {
	struct flow_decode_stats stats;
	struct flow_decode_domain domain;
	uint64_t problems = 0, records = 0;
	unsigned n = 0;

	flow_decode_stats(decoder, &stats);
	for (unsigned i = 0; i < FLOW_PROBLEM_KINDS; i++)
		problems += stats.problems[i];
	require(stats.records == seen->records && stats.options == seen->options);
	require(problems >= seen->problems);
	for (; flow_decode_domain(decoder, n, &domain); n++) {
		require(domain.n_templates <= FLOW_DECODE_MAX_TEMPLATES);
		records += domain.records;
	}
	require(n <= FLOW_DECODE_MAX_DOMAINS && records <= stats.records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
	struct seen seen = {0};
	struct flow_decode *decoder = flow_decode_new(&(struct flow_decode_events){
		.on_datagram = on_datagram,
		.on_template = on_template,
		.on_record = on_record,
		.on_problem = on_problem,
		.arg = &seen,
	});

	require(decoder != NULL);
	while (n_bytes >= INPUT_HEADER_BYTES) {
		struct flow_decode_from from = {.to_port = 2055, .port = data[0]};
		from.family = data[0] % 3 == 0 ? 0 : data[0] % 3 == 1 ? 4 : 6;
		size_t bytes = wire_get16(data + 1);
		data += INPUT_HEADER_BYTES;
		n_bytes -= INPUT_HEADER_BYTES;
		if (bytes > n_bytes)
			bytes = n_bytes;
		// A block of exactly the size: what is read beyond it is caught.
		uint8_t *octets = malloc(bytes > 0 ? bytes : 1);
		require(octets != NULL);
		memcpy(octets, data, bytes);
		seen.octets = octets;
		seen.bytes = bytes;
		(void)flow_decode_likely(octets, bytes);
		flow_decode_datagram(decoder, &from, octets, bytes);
		free(octets);
		data += bytes;
		n_bytes -= bytes;
	}
	seen.bytes = 0;
	flow_decode_finish(decoder);
	check_totals(decoder, &seen);
	flow_decode_free(decoder);
	return 0;
}
