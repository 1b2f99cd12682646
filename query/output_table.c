#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "output_internal.h"
#include "query_time.h"

enum {
	CELL_BYTES = 64,
};

static void bytes_text(char *out, double bytes) {
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;

	// What would be rounded to 1024.0 of a unit is 1.0 of the next.
	while ((bytes >= 1023.95 || bytes <= -1023.95)
	       && unit + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, CELL_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

// Characters, not octets.
static unsigned width_of(const char *text) {
	unsigned n = 0;

	for (; *text != '\0'; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

// The text of a cell; `scratch` has CELL_BYTES.
static const char *
cell_text(const struct column *column, sqlite3_stmt *statement, int i, char *scratch) {
	int type = sqlite3_column_type(statement, i);
	bool number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;

	if (number && column->kind == KIND_BYTES) {
		bytes_text(scratch, sqlite3_column_double(statement, i));
		return scratch;
	}
	if (type == SQLITE_INTEGER && column->kind == KIND_TIME) {
		query_time_text(sqlite3_column_int64(statement, i), scratch);
		return scratch;
	}
	if (type == SQLITE_FLOAT) {
		snprintf(scratch, CELL_BYTES, "%.6g", sqlite3_column_double(statement, i));
		return scratch;
	}
	const char *text = (const char *)sqlite3_column_text(statement, i);
	return text != NULL ? text : "-";
}

static void put_spaces(struct output *output, unsigned n) {
	for (; n > 0; n--)
		byte_buffer_put8(&output->line, ' ');
}

static void put_cell(struct output *output, unsigned i, const char *text) {
	const struct column *column = &output->columns[i];
	unsigned width = width_of(text), pad = width < column->width ? column->width - width : 0;

	if (i > 0)
		put_spaces(output, 2);
	if (column->numbers)
		put_spaces(output, pad);
	// Text may be anything; a terminal would obey it.
	for (const char *at = text; *at != '\0'; at++)
		byte_buffer_put8(
			&output->line, (unsigned char)*at < ' ' || *at == 0x7f ? '?' : (uint8_t)*at
		);
	// No blanks at the end of a line.
	if (!column->numbers && i + 1 < output->n_columns)
		put_spaces(output, pad);
}

// Prints the rows that waited until the widths were known.
static int align(struct output *output) {
	const char *cell = (const char *)output->cells.bytes;

	if (output->cells.failed)
		output->rc = -ENOMEM;
	if (output->rc < 0 || output->aligned)
		return output->rc;
	output->aligned = true;
	for (unsigned i = 0; i < output->n_columns; i++) {
		struct column *column = &output->columns[i];
		unsigned width = width_of(column->name);
		column->width = column->width > width ? column->width : width;
		column->numbers = column->numbers && output->n_waiting > 0;
		put_cell(output, i, column->name);
	}
	byte_buffer_put8(&output->line, '\n');
	for (unsigned row = 0; row < output->n_waiting; row++) {
		for (unsigned i = 0; i < output->n_columns; i++) {
			put_cell(output, i, cell);
			cell += strlen(cell) + 1;
		}
		byte_buffer_put8(&output->line, '\n');
	}
	byte_buffer_done(&output->cells);
	return output_write(output);
}

int output_table_row(struct output *output, sqlite3_stmt *statement) {
	char scratch[CELL_BYTES];

	for (unsigned i = 0; i < output->n_columns; i++) {
		struct column *column = &output->columns[i];
		const char *text = cell_text(column, statement, (int)i, scratch);
		if (output->aligned) {
			put_cell(output, i, text);
			continue;
		}
		unsigned width = width_of(text);
		int type = sqlite3_column_type(statement, (int)i);
		column->width = width > column->width ? width : column->width;
		// A time is as long as any other and reads like a name.
		if (type == SQLITE_TEXT || type == SQLITE_BLOB || column->kind == KIND_TIME)
			column->numbers = false;
		byte_buffer_put(&output->cells, text, strlen(text) + 1);
	}
	if (output->aligned) {
		byte_buffer_put8(&output->line, '\n');
		return output_write(output);
	}
	if (++output->n_waiting == OUTPUT_TABLE_ROWS)
		return align(output);
	return 0;
}

int output_table_end(struct output *output) {
	return align(output);
}
