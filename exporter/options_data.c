#include "options_data.h"

#include <string.h>

#include "message.h"
#include "wire.h"

enum {
	MOST_FIELDS = 4,
	MOST_SET_BYTES = 512, // the longest: both templates of data
	SYSTEM = 1,           // scope of v9
	OBSERVATION_DOMAIN_ID = 149,
	EXPORTING_PROCESS_ID = 144,
};

struct kind {
	uint16_t ipfix_scope; // 0 = not in IPFIX
	uint8_t n_fields;     // without the scope
	struct field fields[MOST_FIELDS - 1];
};

static const struct kind kinds[OPTIONS_KINDS] = {
	[OPTIONS_SAMPLING_INTERVAL] = {0, 1, {{34, 4}}},
	[OPTIONS_SAMPLING] = {OBSERVATION_DOMAIN_ID, 2, {{34, 4}, {35, 1}}},
	// exportedOctetTotalCount, exportedMessageTotalCount, exportedFlowRecordTotalCount: RFC
	// 7011 section 4.1.
	[OPTIONS_EXPORTER] = {OBSERVATION_DOMAIN_ID, 3, {{40, 8}, {41, 8}, {42, 8}}},
	[OPTIONS_INTERFACES] = {OBSERVATION_DOMAIN_ID, 3, {{10, 4}, {82, 16}, {83, 32}}},
	// ignoredPacketTotalCount, RFC 7011 section 4.2. Not their octets: a port that lost packets
	// does not know how long they were.
	[OPTIONS_PACKETS_DROPPED] = {OBSERVATION_DOMAIN_ID, 1, {{164, 8}}},
	// notSentFlowTotalCount, RFC 7011 section 4.3.
	[OPTIONS_FLOWS_DROPPED] = {EXPORTING_PROCESS_ID, 1, {{166, 8}}},
};

// A template's fields, the scope first. Returns how many.
static unsigned
fields_of(const struct kind *kind, enum field_protocol protocol, struct field *fields) {
	fields[0].id = protocol == FIELDS_IPFIX ? kind->ipfix_scope : SYSTEM;
	fields[0].bytes = 4;
	memcpy(fields + 1, kind->fields, kind->n_fields * sizeof(fields[0]));
	return kind->n_fields + 1u;
}

static bool is_taken(const struct options_data *options, unsigned n_ids, uint16_t id) {
	for (unsigned i = 0; i < n_ids; i++)
		if (options->ids[i] == id)
			return true;
	return false;
}

static uint16_t next_id(uint16_t id) {
	return id == UINT16_MAX ? 256 : (uint16_t)(id + 1);
}

void options_data_init(
	struct options_data *options,
	enum field_protocol protocol,
	uint32_t domain,
	struct field_layout layouts[2]
) {
	*options = (struct options_data
	){.protocol = protocol, .domain = domain, .sampling_interval = 1, .sampling_algorithm = 1};
	for (unsigned i = 0; i < OPTIONS_KINDS; i++) {
		struct field fields[MOST_FIELDS];
		unsigned n = fields_of(&kinds[i], protocol, fields);
		// The scope of v9 is the same in all, and is no element.
		unsigned first = protocol == FIELDS_IPFIX ? 0 : 1;
		options->ids[i] = fields_template_id(fields + first, n - first);
		while (is_taken(options, i, options->ids[i]))
			options->ids[i] = next_id(options->ids[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		while (is_taken(options, OPTIONS_KINDS, layouts[i].id)
		       || (i == 1 && layouts[1].id == layouts[0].id))
			layouts[i].id = next_id(layouts[i].id);
}

void export_text(char *out, size_t bytes, const char *text) {
	size_t n = strnlen(text, bytes);

	// 10xxxxxx goes on with a character that began before.
	if (n == bytes)
		for (n = bytes - 1; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
			n--;
	memcpy(out, text, n);
	memset(out + n, 0, bytes - n);
}

void options_data_set_interfaces(
	struct options_data *options, const struct export_interface *interfaces, size_t n
) {
	options->n_interfaces = (unsigned)(n < EXPORT_MOST_INTERFACES ? n : EXPORT_MOST_INTERFACES);
	for (unsigned i = 0; i < options->n_interfaces; i++) {
		struct export_interface *interface = &options->interfaces[i];
		interface->index = interfaces[i].index;
		export_text(interface->name, sizeof(interface->name), interfaces[i].name);
		export_text(
			interface->description,
			sizeof(interface->description),
			interfaces[i].description
		);
	}
}

static unsigned n_records(const struct options_data *options, unsigned kind) {
	switch (kind) {
	case OPTIONS_INTERFACES:
		return options->n_interfaces;
	case OPTIONS_PACKETS_DROPPED:
	case OPTIONS_FLOWS_DROPPED:
		return options->has_counts;
	default:
		return options->protocol != FIELDS_IPFIX || kinds[kind].ipfix_scope != 0;
	}
}

// A set with one record.
static size_t
put_record(const struct options_data *options, unsigned kind, unsigned i, uint8_t *out) {
	size_t at = SET_HEADER_BYTES;

	wire_put32(out + at, options->domain);
	at += 4;
	switch (kind) {
	case OPTIONS_SAMPLING_INTERVAL:
	case OPTIONS_SAMPLING:
		wire_put32(out + at, options->sampling_interval);
		at += 4;
		if (kind == OPTIONS_SAMPLING)
			out[at++] = options->sampling_algorithm;
		break;
	case OPTIONS_EXPORTER:
		wire_put64(out + at, options->octets);
		wire_put64(out + at + 8, options->messages);
		wire_put64(out + at + 16, options->flows);
		at += 24;
		break;
	case OPTIONS_INTERFACES: {
		const struct export_interface *interface = &options->interfaces[i];
		wire_put32(out + at, interface->index);
		memcpy(out + at + 4, interface->name, sizeof(interface->name));
		memcpy(out + at + 20, interface->description, sizeof(interface->description));
		at += 52;
		break;
	}
	case OPTIONS_PACKETS_DROPPED:
		wire_put64(out + at, options->counts.packets_dropped);
		at += 8;
		break;
	case OPTIONS_FLOWS_DROPPED:
		wire_put64(out + at, options->counts.flows_dropped);
		at += 8;
		break;
	}
	return message_end_set(options->protocol, out, options->ids[kind], 0, at);
}

// The set that the cursor stands at; 0 where there is none.
static size_t
put_set(const struct options_data *options,
	const struct field_layout layouts[2],
	const struct options_cursor *cursor,
	uint8_t *out) {
	if (!cursor->begun)
		return cursor->templates ? message_put_templates(options->protocol, out, layouts)
					 : 0;
	if (!(cursor->kinds >> cursor->kind & 1) || n_records(options, cursor->kind) == 0)
		return 0;
	if (cursor->part > 0)
		return put_record(options, cursor->kind, cursor->part - 1, out);
	if (!cursor->templates)
		return 0;
	struct field fields[MOST_FIELDS];
	unsigned n = fields_of(&kinds[cursor->kind], options->protocol, fields);
	return message_put_options_template(
		options->protocol, out, options->ids[cursor->kind], fields, n
	);
}

static void advance(const struct options_data *options, struct options_cursor *cursor) {
	if (!cursor->begun) {
		cursor->begun = true;
	} else if (cursor->part < n_records(options, cursor->kind)) {
		cursor->part++;
	} else {
		cursor->kind++;
		cursor->part = 0;
	}
}

size_t options_put(
	const struct options_data *options,
	const struct field_layout layouts[2],
	struct options_cursor *cursor,
	uint8_t *out,
	size_t at,
	size_t most
) {
	uint8_t set[MOST_SET_BYTES];

	cursor->n_templates = cursor->n_options = 0;
	while (!options_done(cursor)) {
		size_t n = put_set(options, layouts, cursor, set);
		if (at + n > most)
			break;
		memcpy(out + at, set, n);
		at += n;
		if (n > 0 && !cursor->begun)
			cursor->n_templates += 2;
		else if (n > 0 && cursor->part == 0)
			cursor->n_templates++;
		else if (n > 0)
			cursor->n_options++;
		advance(options, cursor);
	}
	return at;
}
