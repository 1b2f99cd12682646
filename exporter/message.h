// Message: what export packets of NetFlow v9 (RFC 3954) and messages of IPFIX (RFC 7011) are made
// of, and in what the two differ. Buffer to buffer.
//
// Threads: pure functions.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fields.h"

enum {
	MESSAGE_HEADER_BYTES_MOST = 20,
	SET_HEADER_BYTES = 4,
};

struct message_header {
	size_t bytes;       // of the message; IPFIX
	unsigned count;     // records of any kind; v9
	uint32_t uptime_ms; // v9
	uint32_t second;
	uint32_t sequence;
	uint32_t domain; // source id
};

static inline size_t message_header_bytes(enum field_protocol protocol) {
	return protocol == FIELDS_IPFIX ? 16 : MESSAGE_HEADER_BYTES_MOST;
}

// FlowSets of v9 are padded to 32 bits. IPFIX leaves it to the exporter, and weir does without.
static inline size_t message_padded(enum field_protocol protocol, size_t set_bytes) {
	return protocol == FIELDS_IPFIX ? set_bytes : (set_bytes + 3) & ~(size_t)3;
}

void message_put_header(
	enum field_protocol protocol, uint8_t *out, const struct message_header *header
);

// Puts the header of a set that begins at `begin` and ends before `end`, and pads it. Returns its
// end.
size_t
message_end_set(enum field_protocol protocol, uint8_t *out, uint16_t id, size_t begin, size_t end);

// Each puts a whole set at `out` and returns its length: the two templates of data, and an options
// template, whose first field is the scope.
size_t message_put_templates(
	enum field_protocol protocol, uint8_t *out, const struct field_layout layouts[2]
);
size_t message_put_options_template(
	enum field_protocol protocol,
	uint8_t *out,
	uint16_t id,
	const struct field *fields,
	unsigned n_fields
);
