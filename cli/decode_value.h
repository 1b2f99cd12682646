// Decode's values: fields of records as text or JSON, under weir's own names where it has one
// (src_addr, bytes, packets ...), else the element's.
//
// Threads: one at a time for each output.

#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "flow_decode.h"

enum {
	DECODE_NAME_BYTES = 96,
};

// The name of the field as such; one that is not known has its number for a name.
void decode_field_name(
	char *name, uint32_t enterprise, uint16_t id, const struct element *element, bool v9_scope
);

// Writes the names and values of a record, each `"name":value` behind a comma, or `name=value`
// behind a space. No name comes twice.
void decode_fields_put(
	FILE *out,
	const struct flow_datagram *datagram,
	const struct flow_decoded *record,
	bool json
);

// `text` as a JSON string, with its quotes; what is not UTF-8 is replaced.
void decode_string_put(FILE *out, const char *text, size_t bytes);

// "2026-11-24T22:00:00.123456789Z", as far as there are digits that are not 0, at least to the ms.
void decode_time_put(FILE *out, int64_t time_ns);

// "192.0.2.1:4739", "[2001:db8::1]:4739", "" for a file.
enum {
	DECODE_FROM_BYTES = 64,
};
void decode_from_text(char *text, const struct flow_decode_from *from, bool with_port);
