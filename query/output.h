// Output: the rows of a statement as people or programs read them.
//
//   table  aligned columns, numbers to the right. Octets and times as people read them, by the
//          column's name: bytes, sum(bytes), time_flow_start_ns, bucket
//   csv    RFC 4180, with a header; values as they are
//   json   one object a line; values as they are
//   chart  a line chart: the first column is the time, each other number a chart (chart.h)
//
// Threads: one at a time. Errors: the first write error is kept.

#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum output_format {
	OUTPUT_TABLE,
	OUTPUT_CSV,
	OUTPUT_JSON,
	OUTPUT_CHART,
};

struct output_config {
	enum output_format format;
	FILE *out;              // remains the caller's
	unsigned width, height; // of the terminal, in characters
	bool utf8;
	int64_t step_ns; // of a chart: rows are missing where nothing was; 0 = not known
};

struct output;

// NULL with errno ENOMEM.
[[nodiscard]] struct output *output_new(const struct output_config *config);
void output_free(struct output *output);

// The names are copied. -ENOMEM.
[[nodiscard]] int output_begin(struct output *output, unsigned n_columns, const char *const *names);

// The row that the statement is at. -ENOMEM, or the negative errno of a failed write.
[[nodiscard]] int output_row(struct output *output, sqlite3_stmt *statement);

// Whether a row was written that nobody can take back.
bool output_has_begun(const struct output *output);

// What is left. Not called where the rest never came: a table or chart of a part would pass for
// the whole. As output_row().
[[nodiscard]] int output_end(struct output *output);
