#include "message.h"

#include "wire.h"

// RFC 3954 section 5.1, RFC 7011 section 3.1.
void message_put_header(
	enum field_protocol protocol, uint8_t *out, const struct message_header *header
) {
	if (protocol == FIELDS_IPFIX) {
		wire_put16(out, 10);
		wire_put16(out + 2, (uint16_t)header->bytes);
		wire_put32(out + 4, header->second);
		wire_put32(out + 8, header->sequence);
		wire_put32(out + 12, header->domain);
	} else {
		wire_put16(out, 9);
		wire_put16(out + 2, (uint16_t)header->count);
		wire_put32(out + 4, header->uptime_ms);
		wire_put32(out + 8, header->second);
		wire_put32(out + 12, header->sequence);
		wire_put32(out + 16, header->domain);
	}
}

size_t
message_end_set(enum field_protocol protocol, uint8_t *out, uint16_t id, size_t begin, size_t end) {
	size_t padded = begin + message_padded(protocol, end - begin);

	while (end < padded)
		out[end++] = 0;
	wire_put16(out + begin, id);
	wire_put16(out + begin + 2, (uint16_t)(end - begin));
	return end;
}

static size_t put_fields(uint8_t *out, size_t at, const struct field *fields, unsigned n) {
	for (unsigned i = 0; i < n; i++, at += 4) {
		wire_put16(out + at, fields[i].id);
		wire_put16(out + at + 2, fields[i].bytes);
	}
	return at;
}

// RFC 3954 section 5.2, RFC 7011 section 3.4.1.
size_t message_put_templates(
	enum field_protocol protocol, uint8_t *out, const struct field_layout layouts[2]
) {
	size_t at = SET_HEADER_BYTES;

	for (unsigned i = 0; i < 2; i++) {
		wire_put16(out + at, layouts[i].id);
		wire_put16(out + at + 2, layouts[i].n_fields);
		at = put_fields(out, at + 4, layouts[i].fields, layouts[i].n_fields);
	}
	return message_end_set(protocol, out, protocol == FIELDS_IPFIX ? 2 : 0, 0, at);
}

// RFC 3954 section 6.1 counts octets of scopes and of other fields, RFC 7011 section 3.4.2 all
// fields and scopes among them.
size_t message_put_options_template(
	enum field_protocol protocol,
	uint8_t *out,
	uint16_t id,
	const struct field *fields,
	unsigned n_fields
) {
	bool ipfix = protocol == FIELDS_IPFIX;

	wire_put16(out + 4, id);
	wire_put16(out + 6, (uint16_t)(ipfix ? n_fields : 4));
	wire_put16(out + 8, (uint16_t)(ipfix ? 1 : 4 * (n_fields - 1)));
	size_t at = put_fields(out, 10, fields, n_fields);
	return message_end_set(protocol, out, ipfix ? 3 : 1, 0, at);
}
