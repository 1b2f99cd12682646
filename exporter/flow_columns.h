// Flow columns: a flow record as the row of a table, under the names that weir uses everywhere.
// One schema for the archive, the SQL of `weir query`, and what engines outside read.
//
// Parquet's signed types alone: not every engine knows the unsigned ones. A column that can be
// unknown is optional and then NULL: icmp_type and icmp_code of what is no ICMP, and
// sampler_address. All others have a value in each row.
//
// Pure: no thread, no file, no clock.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "flow_record.h"

enum flow_column {
	COLUMN_TIME_FLOW_START_NS, // ns since 1970, UTC
	COLUMN_TIME_FLOW_END_NS,
	COLUMN_SRC_ADDR, // text, as inet_ntop() writes it
	COLUMN_DST_ADDR,
	COLUMN_PROTO,
	COLUMN_SRC_PORT,
	COLUMN_DST_PORT, // ICMP: type * 256 + code
	COLUMN_BYTES,    // of IP
	COLUMN_PACKETS,
	COLUMN_TCP_FLAGS,
	COLUMN_IP_TOS,
	COLUMN_IN_IF,
	COLUMN_OUT_IF,
	COLUMN_SRC_MAC, // text, 02:00:00:00:00:01
	COLUMN_DST_MAC,
	COLUMN_VLAN_ID,       // outer tag, 0 = untagged
	COLUMN_INNER_VLAN_ID, // second tag of QinQ, 0 = none
	COLUMN_ICMP_TYPE,
	COLUMN_ICMP_CODE,
	COLUMN_ETYPE,
	COLUMN_IP_TTL, // the least seen
	COLUMN_IP_TTL_MAX,
	COLUMN_SAMPLING_RATE,
	COLUMN_SAMPLER_ADDRESS, // text
	COLUMN_FLOW_END_REASON,
	FLOW_COLUMN_COUNT
};

enum flow_column_type {
	COLUMN_INT32,
	COLUMN_INT64,
	COLUMN_TIME, // INT64, TIMESTAMP(NANOS, UTC)
	COLUMN_TEXT, // BYTE_ARRAY, STRING
};

enum {
	FLOW_COLUMN_TEXT_BYTES = 46, // the longest text of any column, with its end
};

struct flow_column_info {
	const char *name;
	enum flow_column_type type;
	bool optional;
};

extern const struct flow_column_info flow_columns[FLOW_COLUMN_COUNT];

// What the rows of one sensor have in common.
struct flow_source {
	uint32_t sampling_rate;
	const char *sampler_address; // NULL = not known
};

// The column of that name, or -ENOENT.
[[nodiscard]] int flow_column_find(const char *name);

// The value of a column that is not text. Where it is NULL, `*null` is set, and 0 returned.
int64_t flow_column_number(
	const struct flow_record *record,
	const struct flow_source *source,
	enum flow_column column,
	bool *null
);

// The value of a text column into `text` (FLOW_COLUMN_TEXT_BYTES). Returns its octets without
// the end, or -1 where it is NULL.
int flow_column_text(
	const struct flow_record *record,
	const struct flow_source *source,
	enum flow_column column,
	char *text
);
