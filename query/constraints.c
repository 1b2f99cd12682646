#include "constraints.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "scan.h"
#include "sql_functions.h"

enum {
	INDEX_BYTES = 16, // of one constraint in idxStr: "24:150:1;"
};

// What a scan costs. A constraint makes it cheaper, but two of them never make two scans cheaper
// than one.
#define COST_OF_ALL 1e7
#define COST_OF_SOME 8e6

static bool is_text(int column) {
	return flow_columns[column].type == COLUMN_TEXT;
}

static bool taken(sqlite3_index_info *info, int i) {
	const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
	int column = constraint->iColumn;

	if (!constraint->usable || column < 0 || column >= FLOW_COLUMN_COUNT)
		return false;
	switch (constraint->op) {
	case SQLITE_INDEX_CONSTRAINT_EQ:
	case SQLITE_INDEX_CONSTRAINT_NE:
		return !is_text(column) || strcmp(sqlite3_vtab_collation(info, i), "BINARY") == 0;
	case SQLITE_INDEX_CONSTRAINT_GT:
	case SQLITE_INDEX_CONSTRAINT_GE:
	case SQLITE_INDEX_CONSTRAINT_LT:
	case SQLITE_INDEX_CONSTRAINT_LE:
		return !is_text(column);
	case CONSTRAINT_IP_IN:
		return is_text(column);
	default:
		return false;
	}
}

int constraints_best_index(sqlite3_index_info *info) {
	char *index = sqlite3_malloc(SCAN_MAX_FILTERS * INDEX_BYTES + 1);
	int n = 0, used = 0;

	if (index == NULL)
		return SQLITE_NOMEM;
	index[0] = '\0';
	for (int i = 0; i < info->nConstraint && n < SCAN_MAX_FILTERS; i++) {
		if (!taken(info, i))
			continue;
		// All of an IN at once, else SQLite would scan once for each of its values.
		int is_in = info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_EQ
			    && sqlite3_vtab_in(info, i, 1);
		used += snprintf(
			index + used,
			INDEX_BYTES,
			"%d:%d:%d;",
			info->aConstraint[i].iColumn,
			info->aConstraint[i].op,
			is_in
		);
		info->aConstraintUsage[i].argvIndex = ++n;
		info->aConstraintUsage[i].omit = 1;
	}
	info->idxStr = index;
	info->needToFreeIdxStr = 1;
	info->estimatedCost = n > 0 ? COST_OF_SOME : COST_OF_ALL;
	info->estimatedRows = n > 0 ? 1000000 : 10000000;
	return SQLITE_OK;
}

static void nothing(struct scan_filter *filter) {
	filter->kind = SCAN_NOTHING;
}

static void range(struct scan_filter *filter, int64_t min, int64_t max) {
	filter->kind = min <= max ? SCAN_RANGE : SCAN_NOTHING;
	filter->min = min;
	filter->max = max;
}

static void compare_whole(struct scan_filter *filter, int op, int64_t v) {
	switch (op) {
	case SQLITE_INDEX_CONSTRAINT_EQ:
		range(filter, v, v);
		break;
	case SQLITE_INDEX_CONSTRAINT_NE:
		filter->kind = SCAN_NOT_NUMBER;
		filter->min = v;
		break;
	case SQLITE_INDEX_CONSTRAINT_GT:
		if (v == INT64_MAX)
			nothing(filter);
		else
			range(filter, v + 1, INT64_MAX);
		break;
	case SQLITE_INDEX_CONSTRAINT_GE:
		range(filter, v, INT64_MAX);
		break;
	case SQLITE_INDEX_CONSTRAINT_LT:
		if (v == INT64_MIN)
			nothing(filter);
		else
			range(filter, INT64_MIN, v - 1);
		break;
	default:
		range(filter, INT64_MIN, v);
		break;
	}
}

// What lies above or below all whole numbers.
static void compare_beyond(struct scan_filter *filter, int op, bool above) {
	bool less = op == SQLITE_INDEX_CONSTRAINT_LT || op == SQLITE_INDEX_CONSTRAINT_LE;
	bool more = op == SQLITE_INDEX_CONSTRAINT_GT || op == SQLITE_INDEX_CONSTRAINT_GE;

	if (op == SQLITE_INDEX_CONSTRAINT_NE || (above ? less : more))
		filter->kind = SCAN_ANY;
	else
		nothing(filter);
}

static void compare_real(struct scan_filter *filter, int op, double v) {
	if (v >= 0x1p63 || v < -0x1p63) {
		compare_beyond(filter, op, v > 0);
		return;
	}
	double below = floor(v);
	if (below == v) {
		compare_whole(filter, op, (int64_t)v);
		return;
	}
	// Between two whole numbers, so equal to none.
	if (op == SQLITE_INDEX_CONSTRAINT_EQ)
		nothing(filter);
	else if (op == SQLITE_INDEX_CONSTRAINT_NE)
		filter->kind = SCAN_ANY;
	else if (op == SQLITE_INDEX_CONSTRAINT_LT || op == SQLITE_INDEX_CONSTRAINT_LE)
		range(filter, INT64_MIN, (int64_t)below);
	else
		range(filter, (int64_t)below + 1, INT64_MAX);
}

static void compare_number(struct scan_filter *filter, int op, sqlite3_value *value) {
	switch (sqlite3_value_numeric_type(value)) {
	case SQLITE_NULL:
		nothing(filter);
		break;
	case SQLITE_INTEGER:
		compare_whole(filter, op, sqlite3_value_int64(value));
		break;
	case SQLITE_FLOAT:
		compare_real(filter, op, sqlite3_value_double(value));
		break;
	default: // text and blobs are greater than any number
		compare_beyond(filter, op, true);
		break;
	}
}

static int compare_text(struct scan_filter *filter, int op, sqlite3_value *value) {
	bool equal = op == SQLITE_INDEX_CONSTRAINT_EQ;

	if (sqlite3_value_type(value) == SQLITE_NULL) {
		nothing(filter);
		return SQLITE_OK;
	}
	if (sqlite3_value_type(value) == SQLITE_BLOB) { // never equal to text
		filter->kind = equal ? SCAN_NOTHING : SCAN_ANY;
		return SQLITE_OK;
	}
	const char *text = (const char *)sqlite3_value_text(value);
	if (text == NULL)
		return SQLITE_NOMEM;
	filter->kind = equal ? SCAN_TEXTS : SCAN_NOT_TEXT;
	return scan_filter_add_text(filter, text, (uint32_t)sqlite3_value_bytes(value)) < 0
		       ? SQLITE_NOMEM
		       : SQLITE_OK;
}

static int add_to_set(struct scan_filter *filter, sqlite3_value *value) {
	struct scan_filter one = {.column = filter->column};
	int rc = SQLITE_OK;

	if (is_text(filter->column)) {
		rc = compare_text(&one, SQLITE_INDEX_CONSTRAINT_EQ, value);
		if (rc == SQLITE_OK && one.kind == SCAN_TEXTS
		    && scan_filter_add_text(filter, one.texts[0].text, one.texts[0].n) < 0)
			rc = SQLITE_NOMEM;
		scan_filter_done(&one);
		return rc;
	}
	compare_number(&one, SQLITE_INDEX_CONSTRAINT_EQ, value);
	if (one.kind == SCAN_RANGE && scan_filter_add_number(filter, one.min) < 0)
		rc = SQLITE_NOMEM;
	return rc;
}

static int take_set(struct scan_filter *filter, sqlite3_value *set) {
	sqlite3_value *value;
	int rc = sqlite3_vtab_in_first(set, &value);

	filter->kind = is_text(filter->column) ? SCAN_TEXTS : SCAN_NUMBERS;
	while (rc == SQLITE_OK && value != NULL) {
		rc = add_to_set(filter, value);
		if (rc == SQLITE_OK)
			rc = sqlite3_vtab_in_next(set, &value);
	}
	scan_filter_sort(filter);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int take_network(struct scan_filter *filter, sqlite3_value *value, char **error) {
	const char *text = (const char *)sqlite3_value_text(value);

	filter->kind = SCAN_NETWORK;
	if (text == NULL) {
		nothing(filter);
		return SQLITE_OK;
	}
	if (network_parse(&filter->network, text, (size_t)sqlite3_value_bytes(value)) == 0)
		return SQLITE_OK;
	*error = sqlite3_mprintf(SQL_NO_NETWORK, text);
	return SQLITE_ERROR;
}

int constraints_filters(
	const char *index,
	int n_values,
	sqlite3_value **values,
	struct scan_filter *filters,
	unsigned *n_filters,
	char **error
) {
	*n_filters = 0;
	for (int i = 0; i < n_values; i++) {
		struct scan_filter *filter = &filters[*n_filters];
		int column, op, is_in, used, rc = SQLITE_OK;
		if (sscanf(index, "%d:%d:%d;%n", &column, &op, &is_in, &used) != 3)
			return SQLITE_INTERNAL;
		index += used;
		*filter = (struct scan_filter){.column = (enum flow_column)column};
		++*n_filters;
		if (is_in)
			rc = take_set(filter, values[i]);
		else if (op == CONSTRAINT_IP_IN)
			rc = take_network(filter, values[i], error);
		else if (is_text(column))
			rc = compare_text(filter, op, values[i]);
		else
			compare_number(filter, op, values[i]);
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

int constraints_find_function(
	sqlite3_vtab *table,
	int n_args,
	const char *name,
	void (**function)(sqlite3_context *, int, sqlite3_value **),
	void **arg
) {
	(void)table;
	if (n_args != 2 || sqlite3_stricmp(name, "ip_in") != 0)
		return 0;
	*function = sql_ip_in;
	*arg = NULL;
	return CONSTRAINT_IP_IN;
}
