// Exposition: metrics as Prometheus reads them, its text format 0.0.4 or OpenMetrics 1.0.
//
// A family is begun with its type and its help, then its samples follow. Names of counters are
// given without their _total, of which the two formats think differently. Values of labels may
// come from outside: they are escaped, and what is no UTF-8 is replaced.
//
// Threads: one. Time: none.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum exposition_type {
	EXPOSITION_COUNTER,
	EXPOSITION_GAUGE,
	EXPOSITION_HISTOGRAM,
};

struct exposition {
	FILE *out;
	bool openmetrics;
	const char *name; // of the family
	enum exposition_type type;
};

void exposition_family(
	struct exposition *exposition, enum exposition_type type, const char *name, const char *help
);

// A sample, with pairs of a label's name and value behind, and NULL at the end.
[[gnu::sentinel]] void exposition_count(struct exposition *exposition, uint64_t value, ...);
[[gnu::sentinel]] void exposition_real(struct exposition *exposition, double value, ...);

// A histogram's: `le` is the bucket's bound, NULL = all. Then its sum, then its count.
void exposition_bucket(struct exposition *exposition, const char *le, uint64_t value);
void exposition_sum(struct exposition *exposition, double sum, uint64_t count);

// Once, at the end.
void exposition_end(struct exposition *exposition);

// The Content-Type of a format.
const char *exposition_content_type(bool openmetrics);
