#include "netflow9_decode.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static uint64_t number(const uint8_t *in, unsigned bytes) {
	uint64_t n = 0;
	for (unsigned i = 0; i < bytes; i++)
		n = n << 8 | in[i];
	return n;
}

static struct decode_template *find(struct decoder *decoder, uint16_t id) {
	for (unsigned i = 0; i < decoder->n_templates; i++)
		if (decoder->templates[i].id == id)
			return &decoder->templates[i];
	return NULL;
}

// A template that is sent again must say the same.
static const char *keep(struct decoder *decoder, const struct decode_template *template) {
	const struct decode_template *known = find(decoder, template->id);

	if (template->id < 256)
		return "template id below 256";
	if (template->record_bytes == 0)
		return "template without length";
	for (unsigned i = template->n_scopes; i < template->n_fields; i++) {
		if (template->fields[i].id > 433)
			return "element that collectors do not know";
		for (unsigned j = template->n_scopes; j < i; j++)
			if (template->fields[i].id == template->fields[j].id)
				return "element twice in a template";
	}
	if (known != NULL)
		return memcmp(known, template, sizeof(*known)) == 0 ? NULL : "template id reused";
	if (decoder->n_templates == DECODE_MAX_TEMPLATES)
		return "too many templates";
	decoder->templates[decoder->n_templates++] = *template;
	return NULL;
}

static const char *
read_fields(struct decode_template *template, const uint8_t *in, size_t bytes, unsigned n_fields) {
	if (n_fields == 0 || n_fields > DECODE_MAX_FIELDS || 4 * (size_t)n_fields > bytes)
		return "field count that does not fit";
	template->n_fields = (uint16_t)n_fields;
	for (unsigned i = 0; i < n_fields; i++) {
		template->fields[i].id = (uint16_t)number(in + 4 * i, 2);
		template->fields[i].bytes = (uint16_t)number(in + 4 * i + 2, 2);
		if (template->fields[i].bytes == 0 || template->fields[i].bytes > 32)
			return "field length that no element has";
		template->record_bytes += template->fields[i].bytes;
	}
	return NULL;
}

// RFC 3954 section 5.2.
static const char *
read_templates(struct decoder *decoder, const uint8_t *in, size_t bytes, unsigned *count) {
	while (bytes >= 4) {
		struct decode_template template = {.id = (uint16_t)number(in, 2)};
		unsigned n_fields = (unsigned)number(in + 2, 2);
		const char *wrong = read_fields(&template, in + 4, bytes - 4, n_fields);
		if (wrong == NULL)
			wrong = keep(decoder, &template);
		if (wrong != NULL)
			return wrong;
		in += 4 + 4 * n_fields;
		bytes -= 4 + 4 * n_fields;
		++*count;
	}
	return bytes == 0 ? NULL : "octets left over behind the templates";
}

// RFC 3954 section 6.1.
static const char *
read_options_template(struct decoder *decoder, const uint8_t *in, size_t bytes, unsigned *count) {
	if (bytes < 6)
		return "options template too short";
	struct decode_template template = {.id = (uint16_t)number(in, 2)};
	unsigned scope_bytes = (unsigned)number(in + 2, 2),
		 option_bytes = (unsigned)number(in + 4, 2);

	if (scope_bytes % 4 != 0 || option_bytes % 4 != 0 || scope_bytes == 0 || option_bytes == 0)
		return "options template with odd lengths";
	size_t used = 6 + (size_t)scope_bytes + option_bytes;
	if (used > bytes || bytes - used > 3)
		return "more or less than one options template in a FlowSet";
	template.n_scopes = (uint16_t)(scope_bytes / 4);
	const char *wrong =
		read_fields(&template, in + 6, bytes - 6, (scope_bytes + option_bytes) / 4);
	++*count;
	return wrong != NULL ? wrong : keep(decoder, &template);
}

static const char *
read_interface(struct decoder *decoder, const struct decode_template *template, const uint8_t *in) {
	if (template->record_bytes != 56 || template->fields[2].id != 82
	    || template->fields[3].id != 83)
		return "an interface that is something else";
	if (number(in, 4) == 0 || in[19] != 0 || in[51] != 0)
		return "interface without an index, or text without an end";
	if (decoder->n_interfaces == DECODE_MAX_INTERFACES)
		return "too many interfaces";
	unsigned i = decoder->n_interfaces++;
	decoder->interfaces[i].index = (uint32_t)number(in, 4);
	memcpy(decoder->interfaces[i].name, in + 4, 16);
	memcpy(decoder->interfaces[i].description, in + 20, 32);
	return NULL;
}

static const char *
read_options(struct decoder *decoder, const struct decode_template *template, const uint8_t *in) {
	unsigned n_options = template->n_fields - template->n_scopes;

	if (template->fields[0].id != 1 || number(in, 4) != decoder->source_id)
		return "options of another system than the records";
	in += template->fields[0].bytes;
	switch (template->fields[1].id) {
	case 10:
		return read_interface(decoder, template, in);
	case 40:
		if (template->record_bytes != 28 || template->fields[2].id != 41
		    || template->fields[3].id != 42)
			return "exporter's statistics that are something else";
		decoder->octets = number(in, 8);
		decoder->messages = number(in + 8, 8);
		decoder->flows = number(in + 16, 8);
		decoder->n_exporter++;
		return NULL;
	case 164:
	case 166:
		if (template->record_bytes != 12)
			return "losses that are something else";
		*(template->fields[1].id == 164 ? &decoder->packets_dropped
						: &decoder->flows_dropped) = number(in, 8);
		decoder->n_dropped++;
		return NULL;
	}
	if (template->fields[1].id != 34 || n_options > 2
	    || (n_options == 2 && template->fields[2].id != 35))
		return "options that are not sampling";
	decoder->sampling_intervals[n_options - 1] =
		(uint32_t)number(in, template->fields[1].bytes);
	if (n_options == 2)
		decoder->sampling_algorithm = in[template->fields[1].bytes];
	return NULL;
}

static const char *
read_record(struct decoder *decoder, const struct decode_template *template, const uint8_t *in) {
	if (decoder->n_records == decoder->capacity) {
		decoder->capacity = 2 * decoder->capacity + 64;
		decoder->records =
			realloc(decoder->records, decoder->capacity * sizeof(decoder->records[0]));
		if (decoder->records == NULL)
			abort();
	}
	struct decode_record *record = &decoder->records[decoder->n_records++];
	int64_t boot_ms = (int64_t)decoder->unix_secs * 1000 - decoder->sysuptime_ms;

	memset(record, 0, sizeof(*record));
	record->template_id = template->id;
	for (unsigned i = 0; i < template->n_fields; i++) {
		uint16_t id = template->fields[i].id, bytes = template->fields[i].bytes;
		if (id > DECODE_MAX_ELEMENT)
			return "element beyond this decoder";
		record->has[id] = (uint8_t)bytes;
		if (bytes <= 8)
			record->values[id] = number(in, bytes);
		else if (id == 27 || id == 28)
			memcpy(id == 27 ? record->src6 : record->dst6, in, bytes);
		in += bytes;
	}
	if (record->has[152] == 8 && record->has[153] == 8) {
		record->first_ms = (int64_t)record->values[152];
		record->last_ms = (int64_t)record->values[153];
		if (record->has[22] == 0 && record->has[21] == 0)
			return record->last_ms > (int64_t)decoder->unix_secs * 1000
				       ? "a flow that ends after the export time"
				       : NULL;
		if (record->first_ms != boot_ms + (int64_t)record->values[22]
		    || record->last_ms != boot_ms + (int64_t)record->values[21])
			return "two times that are not the same";
	}
	if (record->has[22] != 4 || record->has[21] != 4)
		return "record without times";
	if (record->values[21] == 0)
		return "LAST_SWITCHED of 0 reads as absent";
	if (record->values[22] > record->values[21])
		return "a flow that ends before it begins";
	if (record->values[21] > decoder->sysuptime_ms)
		return "LAST_SWITCHED after sysUptime";
	if (record->values[10] == 0 || record->values[14] == 0)
		return "ifIndex 0";
	if (record->has[8] != 0 && record->has[27] != 0)
		return "addresses of both families";
	record->first_ms = boot_ms + (int64_t)record->values[22];
	record->last_ms = boot_ms + (int64_t)record->values[21];
	return NULL;
}

static const char *
read_data(struct decoder *decoder, uint16_t id, const uint8_t *in, size_t bytes, unsigned *count) {
	const struct decode_template *template = find(decoder, id);

	if (template == NULL)
		return "data before its template";
	if (bytes < template->record_bytes)
		return "FlowSet without a record";
	// nfdump 1.7.1 reads the first alone.
	if (template->n_scopes > 0 && bytes >= 2 * template->record_bytes)
		return "several options records in a FlowSet";
	for (; bytes >= template->record_bytes; bytes -= template->record_bytes) {
		const char *wrong = template->n_scopes > 0 ? read_options(decoder, template, in)
							   : read_record(decoder, template, in);
		if (wrong != NULL)
			return wrong;
		in += template->record_bytes;
		++*count;
	}
	if (bytes > 3)
		return "more padding than a word";
	while (bytes > 0)
		if (in[--bytes] != 0)
			return "padding that is not zero";
	return NULL;
}

static const char *read_flowsets(struct decoder *decoder, const uint8_t *in, size_t bytes) {
	unsigned count = 0, n_templates_before;
	uint16_t announced = (uint16_t)number(in + 2, 2);
	bool templates = false;

	for (size_t at = 20; at < bytes;) {
		if (bytes - at < 4)
			return "octets left over";
		uint16_t id = (uint16_t)number(in + at, 2),
			 length = (uint16_t)number(in + at + 2, 2);
		const char *wrong = NULL;
		if (length < 4 || length > bytes - at || length % 4 != 0)
			return "FlowSet length that cannot be";
		n_templates_before = count;
		if (id == 0)
			wrong = read_templates(decoder, in + at + 4, length - 4u, &count);
		else if (id == 1)
			wrong = read_options_template(decoder, in + at + 4, length - 4u, &count);
		else if (id < 256)
			wrong = "reserved FlowSet id";
		else
			wrong = read_data(decoder, id, in + at + 4, length - 4u, &count);
		if (wrong != NULL)
			return wrong;
		if (count == n_templates_before)
			return "empty FlowSet";
		templates |= id == 0;
		at += length;
	}
	decoder->n_with_templates += templates;
	return count == announced ? NULL : "Count is not the number of records";
}

const char *decode_datagram(struct decoder *decoder, const uint8_t *in, size_t bytes) {
	if (bytes < 20 || number(in, 2) != 9)
		return "not NetFlow v9";
	uint32_t sequence = (uint32_t)number(in + 12, 4), source_id = (uint32_t)number(in + 16, 4);

	decoder->sysuptime_ms = (uint32_t)number(in + 4, 4);
	decoder->unix_secs = (uint32_t)number(in + 8, 4);
	if (source_id == 0)
		return "source id 0";
	if (decoder->n_datagrams > 0 && source_id != decoder->source_id)
		return "source id changed";
	if (decoder->n_datagrams > 0 && sequence != decoder->next_sequence)
		return "sequence error";
	if (decoder->sysuptime_ms > INT32_MAX || decoder->sysuptime_ms < 3600 * 1000)
		return "uptime that is about to wrap, or shorter than a flow may last";
	decoder->source_id = source_id;
	decoder->next_sequence = sequence + 1;
	decoder->n_datagrams++;
	return read_flowsets(decoder, in, bytes);
}

void decoder_free(struct decoder *decoder) {
	free(decoder->records);
	decoder->records = NULL;
	decoder->n_records = decoder->capacity = 0;
}
