// The inside of an output, for the modules that it is made of.

#pragma once

#include "byte_buffer.h"
#include "output.h"

// How a table shows a column's numbers.
enum column_kind {
	KIND_PLAIN,
	KIND_BYTES,
	KIND_TIME,
};

enum {
	OUTPUT_MAX_CHARTS = 8,
	OUTPUT_TABLE_ROWS =
		1000, // that say how wide a table's columns are; more follow as they come
};

struct column {
	char *name;
	enum column_kind kind;
	unsigned width; // characters
	bool numbers;   // nothing but numbers so far
};

struct output {
	struct output_config config;
	unsigned n_columns;
	struct column *columns;
	int rc;
	bool begun;
	struct byte_buffer line;

	// Of a table: cells of the rows that wait, each ended by a 0.
	struct byte_buffer cells;
	unsigned n_waiting;
	bool aligned; // widths are settled

	// Of a chart: for each row a time, and a value of each chart.
	unsigned n_charts, chart_columns[OUTPUT_MAX_CHARTS];
	int64_t *times;
	double *values;
	size_t n_points, points_size;
};

// Tables.
int output_table_row(struct output *output, sqlite3_stmt *statement);
int output_table_end(struct output *output);

// Charts.
int output_chart_row(struct output *output, sqlite3_stmt *statement);
int output_chart_end(struct output *output);

// Writes the line out and empties it. Returns the output's rc.
int output_write(struct output *output);
