// Fields: what is told of a flow and how it lies in a record. A layout is made from a set of rows
// of the table (fields_table.h): its template, its length, an id that is derived from the field
// list, and an encoder.
//
// The layouts of the named profiles have encoders of their own, straight lines of loads, byte swaps
// and stores. Any other is put together of pieces: all fields are encoded, and what the layout
// has of them is copied, as few pieces of 16 octets as there can be.
//
// Threads: pure functions and constants. Time: an argument.

#pragma once

#include <stdint.h>

#include "flow_record.h"

enum {
	FIELDS_MOST = 40,        // fields of a layout
	FIELDS_MOST_BYTES = 176, // octets of a record
	// Octets that an encoder may write beyond its record, for what comes there later.
	FIELDS_SLACK_BYTES = 16,
	FIELDS_MOST_PIECES = 40,
};

enum field_protocol { FIELDS_NETFLOW9, FIELDS_IPFIX, FIELD_PROTOCOLS };

struct field {
	uint16_t id;    // element id
	uint16_t bytes; // length on the wire
};

// 16 octets of the record of all fields.
struct field_piece {
	uint8_t from, to;
};

struct field_layout;

// Puts a record's octets at `out`. `boot_ms` is the epoch of v9's header: FIRST and LAST_SWITCHED
// are milliseconds since then, LAST at least 1.
typedef void (*field_encode_fn
)(const struct field_layout *layout, uint8_t *out, const struct flow_record *record, int64_t boot_ms
);

struct field_layout {
	struct field fields[FIELDS_MOST];
	uint16_t n_fields;
	uint16_t record_bytes;
	uint16_t id; // of the template, 256 .. 65535
	bool ipv6;
	field_encode_fn encode;
	unsigned n_pieces;
	struct field_piece pieces[FIELDS_MOST_PIECES];
};

// Makes the layout of records of a family: of `rows`, a set of FIELD_BIT(), those that the protocol
// tells of it. NetFlow v9's uptimes are absolute times in IPFIX.
void field_layout_init(
	struct field_layout *layout, uint64_t rows, enum field_protocol protocol, bool ipv6
);

// The same without an encoder of its own, whatever the set: for tests and measurements.
void field_layout_init_generic(
	struct field_layout *layout, uint64_t rows, enum field_protocol protocol, bool ipv6
);

static inline void field_layout_encode(
	const struct field_layout *layout,
	uint8_t *out,
	const struct flow_record *record,
	int64_t boot_ms
) {
	layout->encode(layout, out, record, boot_ms);
}

// The template id of a field list: 256 + a 16-bit hash of ids and lengths, folded into
// 256 .. 65535. The same list gives the same id in every sensor and version.
uint16_t fields_template_id(const struct field *fields, unsigned n_fields);

// A row of the table, for who reads it: id and length of an element, and whether a protocol can
// tell it. `row` < FIELD_ROWS.
struct field fields_row(unsigned row);
bool fields_told(unsigned row, enum field_protocol protocol, bool ipv6);
