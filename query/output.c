#include "output.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "output_internal.h"

struct output *output_new(const struct output_config *config) {
	struct output *output = calloc(1, sizeof(*output));

	if (output != NULL)
		output->config = *config;
	return output;
}

void output_free(struct output *output) {
	if (output == NULL)
		return;
	for (unsigned i = 0; i < output->n_columns; i++)
		free(output->columns[i].name);
	free(output->columns);
	free(output->times);
	free(output->values);
	byte_buffer_done(&output->line);
	byte_buffer_done(&output->cells);
	free(output);
}

static bool ends_with(const char *text, const char *end) {
	size_t n = strlen(text), n_end = strlen(end);
	return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static enum column_kind kind_of(const char *name) {
	static const char *const bytes[] = {
		"bytes",
		"sum(bytes)",
		"min(bytes)",
		"max(bytes)",
		"avg(bytes)",
		"total(bytes)",
	};
	static const char *const times[] = {
		"time",
		"first_ns",
		"last_ns",
		"time_flow_start_ns",
		"time_flow_end_ns",
		"min(time_flow_start_ns)",
		"max(time_flow_start_ns)",
		"min(time_flow_end_ns)",
		"max(time_flow_end_ns)",
	};

	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		if (strcmp(name, bytes[i]) == 0)
			return KIND_BYTES;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (strcmp(name, times[i]) == 0)
			return KIND_TIME;
	return ends_with(name, "_bytes") ? KIND_BYTES : KIND_PLAIN;
}

int output_write(struct output *output) {
	struct byte_buffer *line = &output->line;

	if (line->failed && output->rc == 0)
		output->rc = -ENOMEM;
	if (output->rc == 0 && line->n > 0) {
		output->begun = true;
		if (fwrite(line->bytes, 1, line->n, output->config.out) != line->n)
			output->rc = errno != 0 ? -errno : -EIO;
	}
	byte_buffer_reset(line);
	return output->rc;
}

static void put(struct output *output, const char *text) {
	byte_buffer_put(&output->line, text, strlen(text));
}

// RFC 4180: quotes where needed, and doubled inside.
static void put_csv(struct output *output, const char *text, size_t n) {
	struct byte_buffer *line = &output->line;

	if (strcspn(text, ",\"\r\n") == n) {
		byte_buffer_put(line, text, n);
		return;
	}
	byte_buffer_put8(line, '"');
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"')
			byte_buffer_put8(line, '"');
		byte_buffer_put8(line, (uint8_t)text[i]);
	}
	byte_buffer_put8(line, '"');
}

static void put_json(struct output *output, const char *text, size_t n) {
	struct byte_buffer *line = &output->line;
	char escape[8];

	byte_buffer_put8(line, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '"' || c == '\\') {
			byte_buffer_put8(line, '\\');
			byte_buffer_put8(line, c);
		} else if (c < 0x20) {
			snprintf(escape, sizeof(escape), "\\u%04x", c);
			put(output, escape);
		} else {
			byte_buffer_put8(line, c);
		}
	}
	byte_buffer_put8(line, '"');
}

int output_begin(struct output *output, unsigned n_columns, const char *const *names) {
	output->columns = calloc(n_columns, sizeof(*output->columns));
	if (output->columns == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < n_columns; i++) {
		struct column *column = &output->columns[i];
		column->name = strdup(names[i]);
		if (column->name == NULL)
			return -ENOMEM;
		output->n_columns = i + 1;
		column->kind = kind_of(names[i]);
		column->numbers = true;
	}
	return 0;
}

// Before the first row, so that a statement which fails early has printed nothing.
static void csv_header(struct output *output) {
	for (unsigned i = 0; i < output->n_columns; i++) {
		const char *name = output->columns[i].name;
		put(output, i == 0 ? "" : ",");
		put_csv(output, name, strlen(name));
	}
	put(output, "\n");
}

static int csv_row(struct output *output, sqlite3_stmt *statement) {
	if (!output->begun)
		csv_header(output);
	for (unsigned i = 0; i < output->n_columns; i++) {
		const char *text = (const char *)sqlite3_column_text(statement, (int)i);
		put(output, i == 0 ? "" : ",");
		if (text != NULL)
			put_csv(output, text, (size_t)sqlite3_column_bytes(statement, (int)i));
	}
	put(output, "\n");
	return output_write(output);
}

static void json_value(struct output *output, sqlite3_stmt *statement, int i) {
	const char *text = (const char *)sqlite3_column_text(statement, i);

	switch (text == NULL ? SQLITE_NULL : sqlite3_column_type(statement, i)) {
	case SQLITE_NULL:
		put(output, "null");
		break;
	case SQLITE_INTEGER:
		put(output, text);
		break;
	case SQLITE_FLOAT: // infinite ones are no JSON
		put(output, isfinite(sqlite3_column_double(statement, i)) ? text : "null");
		break;
	default:
		put_json(output, text, (size_t)sqlite3_column_bytes(statement, i));
		break;
	}
}

static int json_row(struct output *output, sqlite3_stmt *statement) {
	for (unsigned i = 0; i < output->n_columns; i++) {
		const char *name = output->columns[i].name;
		put(output, i == 0 ? "{" : ",");
		put_json(output, name, strlen(name));
		put(output, ":");
		json_value(output, statement, (int)i);
	}
	put(output, "}\n");
	return output_write(output);
}

int output_row(struct output *output, sqlite3_stmt *statement) {
	switch (output->config.format) {
	case OUTPUT_TABLE:
		return output_table_row(output, statement);
	case OUTPUT_CSV:
		return csv_row(output, statement);
	case OUTPUT_JSON:
		return json_row(output, statement);
	case OUTPUT_CHART:
		return output_chart_row(output, statement);
	}
	return -EINVAL;
}

bool output_has_begun(const struct output *output) {
	return output->begun;
}

int output_end(struct output *output) {
	if (output->config.format == OUTPUT_TABLE)
		output_table_end(output);
	if (output->config.format == OUTPUT_CHART)
		output_chart_end(output);
	if (output->config.format == OUTPUT_CSV && !output->begun) {
		csv_header(output);
		output_write(output);
	}
	if (fflush(output->config.out) != 0 && output->rc == 0)
		output->rc = errno != 0 ? -errno : -EIO;
	return output->rc;
}
