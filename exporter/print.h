// Print: flow records as lines of text, CSV or JSON, under the names that weir uses everywhere
// (time_flow_start_ns, src_addr, bytes ...). Numbers for `proto` and `etype`; `dst_port` of
// ICMP is type * 256 + code, which stands in icmp_type and icmp_code too.
//
// Errors: the first write error is kept and counted against every record that follows it.
// Threads: one at a time, but print_stats() may be called from any.

#pragma once

#include <stdint.h>
#include <stdio.h>

#include "flow_record.h"

enum print_format {
	PRINT_NONE,
	PRINT_TEXT,
	PRINT_CSV,
	PRINT_JSON,
};

struct print_stats {
	uint64_t records;
	uint64_t written;
	uint64_t lost; // could not be written
	int error;     // negative errno of the first failure, or 0
};

struct print;

// Prints to `out`, which remains the caller's. NULL with errno ENOMEM or EINVAL. CSV and text
// begin with a header line.
[[nodiscard]] struct print *print_new(enum print_format format, FILE *out);
void print_free(struct print *print);

void print_add(struct print *print, const struct flow_record *record, uint32_t sampling_rate);

// Writes out what is buffered. Records count as written only from here on.
void print_flush(struct print *print);

void print_stats(const struct print *print, struct print_stats *stats);
