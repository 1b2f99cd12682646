#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "output_internal.h"

enum {
	MOST_CHART_ROWS = 20, // of one chart, which grows no clearer with more
};

// Those that are numbers in the first row.
static void choose_charts(struct output *output, sqlite3_stmt *statement) {
	for (unsigned i = 1; i < output->n_columns && output->n_charts < OUTPUT_MAX_CHARTS; i++) {
		int type = sqlite3_column_type(statement, (int)i);
		if (type == SQLITE_INTEGER || type == SQLITE_FLOAT)
			output->chart_columns[output->n_charts++] = i;
	}
}

static int make_room(struct output *output) {
	size_t size = output->points_size == 0 ? 1024 : output->points_size * 2;

	if (output->n_points < output->points_size)
		return 0;
	int64_t *times = reallocarray(output->times, size, sizeof(*times));
	if (times == NULL)
		return -ENOMEM;
	output->times = times;
	double *values = reallocarray(output->values, size * OUTPUT_MAX_CHARTS, sizeof(*values));
	if (values == NULL)
		return -ENOMEM;
	output->values = values;
	output->points_size = size;
	return 0;
}

int output_chart_row(struct output *output, sqlite3_stmt *statement) {
	if (output->n_points == 0)
		choose_charts(output, statement);
	if (make_room(output) < 0)
		return output->rc = -ENOMEM;
	int64_t time = sqlite3_column_int64(statement, 0);
	// Rows without a time, and those that go back, are on no line.
	if (sqlite3_column_type(statement, 0) == SQLITE_NULL
	    || (output->n_points > 0 && time < output->times[output->n_points - 1]))
		return 0;
	output->times[output->n_points] = time;
	double *values = output->values + output->n_points * OUTPUT_MAX_CHARTS;
	for (unsigned i = 0; i < output->n_charts; i++) {
		int column = (int)output->chart_columns[i];
		values[i] = sqlite3_column_type(statement, column) == SQLITE_NULL
				    ? NAN
				    : sqlite3_column_double(statement, column);
	}
	output->n_points++;
	return 0;
}

int output_chart_end(struct output *output) {
	unsigned rows = output->config.height / (output->n_charts > 0 ? output->n_charts : 1);

	for (unsigned i = 0; i < output->n_charts && output->n_points > 0; i++) {
		const struct column *column = &output->columns[output->chart_columns[i]];
		chart_draw(
			&(struct chart){
				.title = column->name,
				.times = output->times,
				.values = output->values + i,
				.n = output->n_points,
				.stride = OUTPUT_MAX_CHARTS,
				.step_ns = output->config.step_ns,
				.width = output->config.width,
				.height = rows < MOST_CHART_ROWS ? rows : MOST_CHART_ROWS,
				.utf8 = output->config.utf8,
				.bytes = column->kind == KIND_BYTES,
			},
			&output->line
		);
	}
	if (output->n_points == 0)
		byte_buffer_put(&output->line, "no flows\n", 9);
	return output_write(output);
}
