#include <errno.h>
#include <string.h>

#include "parquet_footer.h"

// The format's numbers.
enum {
	TYPE_INT32 = 1,
	TYPE_INT64 = 2,
	TYPE_BYTE_ARRAY = 6,

	REPETITION_REQUIRED = 0,
	REPETITION_OPTIONAL = 1,

	CONVERTED_UTF8 = 0,
	CONVERTED_INT_8 = 15,
	CONVERTED_INT_64 = 18,

	LOGICAL_STRING = 1,
	LOGICAL_TIMESTAMP = 8,
	LOGICAL_INTEGER = 10,

	UNIT_NANOS = 3,
};

struct element {
	const uint8_t *name;
	uint32_t name_bytes;
	int32_t type, repetition, n_children, converted; // -1 = none
	int logical, unit;                               // 0 = none
	bool is_unsigned;
};

struct parquet_name parquet_name_of(const uint8_t *bytes, uint32_t n) {
	struct parquet_name name = {0};
	uint32_t most = sizeof(name.text) - 1;

	for (uint32_t i = 0; i < n && i < most; i++)
		name.text[i] = bytes[i] > ' ' && bytes[i] < 0x7f ? (char)bytes[i] : '?';
	if (n > most)
		memset(name.text + most - 3, '.', 3);
	return name;
}

int parquet_thrift_error(const struct thrift_reader *in, const char *what, char *error) {
	return in->error == NULL ? 0 : parquet_fail(error, EBADMSG, "%s: %s", what, in->error);
}

// TIMESTAMP or INTEGER, or another that has fields.
static void read_logical(struct thrift_reader *in, struct element *element) {
	for (thrift_read_enter(in); thrift_read_next(in);)
		if (element->logical == LOGICAL_TIMESTAMP && in->field == 2)
			for (thrift_read_enter(in); thrift_read_next(in);) {
				element->unit = in->field;
				thrift_read_skip(in);
			}
		else if (element->logical == LOGICAL_INTEGER && in->field == 2)
			element->is_unsigned = !thrift_read_bool(in);
		else
			thrift_read_skip(in);
}

static struct element read_element(struct thrift_reader *in) {
	struct element element = {
		.name = in->at, .type = -1, .repetition = -1, .n_children = -1, .converted = -1};

	for (thrift_read_enter(in); thrift_read_next(in);)
		switch (in->field) {
		case 1:
			element.type = thrift_read_int32(in);
			break;
		case 3:
			element.repetition = thrift_read_int32(in);
			break;
		case 4:
			element.name = thrift_read_binary(in, &element.name_bytes);
			break;
		case 5:
			element.n_children = thrift_read_int32(in);
			break;
		case 6:
			element.converted = thrift_read_int32(in);
			break;
		case 10:
			for (thrift_read_enter(in); thrift_read_next(in);) {
				element.logical = in->field;
				read_logical(in, &element);
			}
			break;
		default:
			thrift_read_skip(in);
		}
	return element;
}

static int find(const struct element *element) {
	char name[64];

	// A 0 within it would make it another.
	if (element->name_bytes >= sizeof(name)
	    || memchr(element->name, 0, element->name_bytes) != NULL)
		return -ENOENT;
	memcpy(name, element->name, element->name_bytes);
	name[element->name_bytes] = '\0';
	return flow_column_find(name);
}

// What the column should be and is not, or NULL.
static const char *wrong_type(const struct element *element, enum flow_column_type type) {
	bool no_meaning = element->logical == 0 && element->converted == -1;

	switch (type) {
	case COLUMN_INT32:
	case COLUMN_INT64:
		if (element->type != (type == COLUMN_INT32 ? TYPE_INT32 : TYPE_INT64))
			return type == COLUMN_INT32 ? "INT32" : "INT64";
		if (no_meaning || (element->logical == LOGICAL_INTEGER && !element->is_unsigned)
		    || (element->logical == 0 && element->converted >= CONVERTED_INT_8
			&& element->converted <= CONVERTED_INT_64))
			return NULL;
		return "a signed integer";
	case COLUMN_TIME:
		if (element->type == TYPE_INT64 && element->logical == LOGICAL_TIMESTAMP
		    && element->unit == UNIT_NANOS)
			return NULL;
		return "TIMESTAMP(NANOS)";
	case COLUMN_TEXT:
		if (element->type == TYPE_BYTE_ARRAY
		    && (element->logical == LOGICAL_STRING
			|| (element->logical == 0 && element->converted == CONVERTED_UTF8)))
			return NULL;
		return "STRING";
	}
	return NULL;
}

static int add_column(struct parquet_footer *footer, const struct element *element, char *error) {
	struct parquet_name name = parquet_name_of(element->name, element->name_bytes);
	int column = find(element);
	const char *wanted;

	if (element->n_children > 0 || element->type < 0)
		return parquet_fail(
			error,
			ENOTSUP,
			"column %s: nested columns are not read; weir writes none",
			name.text
		);
	if (element->repetition != REPETITION_REQUIRED
	    && element->repetition != REPETITION_OPTIONAL)
		return parquet_fail(
			error,
			ENOTSUP,
			"column %s: repeated columns are not read; weir writes none",
			name.text
		);
	footer->columns[footer->n_columns++] = (int16_t)(column < 0 ? -1 : column);
	if (column < 0)
		return 0;
	if (footer->place[column] >= 0)
		return parquet_fail(error, EBADMSG, "column %s is there twice", name.text);
	wanted = wrong_type(element, flow_columns[column].type);
	if (wanted != NULL)
		return parquet_fail(
			error,
			ENOTSUP,
			"column %s: not %s, as weir writes it; other types are not read",
			name.text,
			wanted
		);
	footer->place[column] = (int)footer->n_known++;
	footer->optional[column] = element->repetition == REPETITION_OPTIONAL;
	return 0;
}

int parquet_schema_read(struct parquet_footer *footer, struct thrift_reader *in, char *error) {
	uint32_t n = thrift_read_list(in, THRIFT_KIND_STRUCT);
	int rc = 0;

	if (n > PARQUET_MAX_COLUMNS)
		return parquet_fail(
			error,
			ENOTSUP,
			"%u columns; no more than %d are read",
			n,
			PARQUET_MAX_COLUMNS
		);
	for (uint32_t i = 0; i < n && in->error == NULL && rc == 0; i++) {
		struct element element = read_element(in);
		if (in->error != NULL)
			break;
		// The first is the root, and its children all that follow.
		if (i > 0)
			rc = add_column(footer, &element, error);
		else if (element.n_children != (int64_t)n - 1)
			rc = parquet_fail(
				error, ENOTSUP, "nested columns are not read; weir writes none"
			);
	}
	return rc < 0 ? rc : parquet_thrift_error(in, "schema", error);
}
