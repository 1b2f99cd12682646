// Report: the statements of the ready-made reports.
//
//   --top KEY       SELECT KEY, sum(bytes) ... GROUP BY KEY ORDER BY ... DESC LIMIT N
//   --timeseries T  SELECT time_bucket(time_flow_start_ns, T), sum(bytes) ... GROUP BY 1 ORDER BY 1
//   neither         the sums of all
//
// Pure.

#pragma once

#include <stddef.h>

#include "clock.h"

enum report_by {
	REPORT_BYTES,
	REPORT_PACKETS,
	REPORT_FLOWS,
};

struct query_report {
	const char *top;  // a key of query_report_keys(), or NULL
	unsigned n_top;   // > 0
	const char *step; // a duration, or NULL: no time series
	enum report_by by;
	time_ns_t from_ns; // begin of the flows' time, -1 = any
	time_ns_t to_ns;   // flows begin before this; -1 = any
	const char *where; // a condition, or NULL
};

// "src_addr, dst_addr, ...".
const char *query_report_keys(void);

// The key of that name of `n` octets, or NULL.
const char *query_report_key(const char *name, size_t n);

// The statement, for free(). NULL without memory.
[[nodiscard]] char *query_report_sql(const struct query_report *report);
