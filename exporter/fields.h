// Fields: the one table from which templates, record lengths, template ids and the encoder
// are made, so that they cannot drift apart. Element ids are IANA's, shared by NetFlow v9
// (RFC 3954 section 8) and IPFIX.
//
// Threads: pure functions and constants. Time: an argument.

#pragma once

#include <stdint.h>

#include "flow_record.h"

struct field {
	uint16_t id;    // element id
	uint16_t bytes; // length on the wire
};

// A template: its fields in order, the length of its records, and an id derived from the
// field list, so that the same id means the same layout in every sensor and version.
struct field_template {
	const struct field *fields;
	uint16_t n_fields;
	uint16_t record_bytes;
	uint16_t id; // 256 .. 65535
};

enum {
	FIELDS_IPV4_BYTES = 68, // octets of a data record, multiples of 4: no padding ever
	FIELDS_IPV6_BYTES = 96,
	FIELDS_IPFIX_IPV4_BYTES = 78, // IPFIX pads sets, if at all
	FIELDS_IPFIX_IPV6_BYTES = 106,
};

// The standard data templates of NetFlow v9, and of IPFIX, which has absolute times and the inner
// VLAN tag.
struct field_template fields_ipv4(void);
struct field_template fields_ipv6(void);
struct field_template fields_ipfix_ipv4(void);
struct field_template fields_ipfix_ipv6(void);

// The template id of a field list: 256 + a 16-bit hash of ids and lengths, folded into
// 256 .. 65535.
uint16_t fields_template_id(const struct field *fields, unsigned n_fields);

// Encodes `record` as the template of its family says, FIELDS_IPV4_BYTES or FIELDS_IPV6_BYTES
// octets at `out`. `boot_ms` is the epoch of the export header: FIRST and LAST_SWITCHED are
// milliseconds since then, LAST at least 1.
void fields_encode_ipv4(uint8_t *out, const struct flow_record *record, int64_t boot_ms);
void fields_encode_ipv6(uint8_t *out, const struct flow_record *record, int64_t boot_ms);

// The same for IPFIX, whose times need no epoch.
void fields_encode_ipfix_ipv4(uint8_t *out, const struct flow_record *record);
void fields_encode_ipfix_ipv6(uint8_t *out, const struct flow_record *record);
