#include "live_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flows_table.h"

struct table {
	sqlite3_vtab base; // first
	const struct live_source *source;
};

struct cursor {
	sqlite3_vtab_cursor base; // first
	struct flow_record *records;
	struct flow_source common;
	size_t n, next;
};

static int
connect(sqlite3 *db, void *aux, int n_args, const char *const *args, sqlite3_vtab **out, char **e) {
	char columns[FLOWS_SCHEMA_BYTES], schema[FLOWS_SCHEMA_BYTES + 2];
	struct table *table;

	(void)n_args;
	(void)args;
	(void)e;
	flows_schema(columns);
	snprintf(schema, sizeof(schema), "%s)", columns);
	int rc = sqlite3_declare_vtab(db, schema);
	if (rc != SQLITE_OK)
		return rc;
	table = sqlite3_malloc(sizeof(*table));
	if (table == NULL)
		return SQLITE_NOMEM;
	*table = (struct table){.source = aux};
	*out = &table->base;
	return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *table) {
	sqlite3_free(table);
	return SQLITE_OK;
}

static int best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
	(void)table;
	info->estimatedCost = 1e6;
	info->estimatedRows = 1000000;
	return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *table, sqlite3_vtab_cursor **out) {
	struct cursor *cursor = sqlite3_malloc(sizeof(*cursor));

	(void)table;
	if (cursor == NULL)
		return SQLITE_NOMEM;
	memset(cursor, 0, sizeof(*cursor));
	*out = &cursor->base;
	return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base) {
	struct cursor *cursor = (struct cursor *)base;

	free(cursor->records);
	sqlite3_free(cursor);
	return SQLITE_OK;
}

static int
filter(sqlite3_vtab_cursor *base,
       int number,
       const char *index,
       int n_values,
       sqlite3_value **values) {
	struct cursor *cursor = (struct cursor *)base;
	const struct live_source *source = ((const struct table *)base->pVtab)->source;
	char error[LIVE_ERROR_BYTES] = "";

	(void)number;
	(void)index;
	(void)n_values;
	(void)values;
	free(cursor->records);
	cursor->records = NULL;
	cursor->n = cursor->next = 0;
	if (source == NULL || source->snapshot == NULL) {
		sqlite3_free(base->pVtab->zErrMsg);
		base->pVtab->zErrMsg = sqlite3_mprintf(
			"no sensor is running that 'live' could be read from; start one with "
			"'weir run', or ask the archive: FROM flows"
		);
		return SQLITE_ERROR;
	}
	int rc =
		source->snapshot(source->arg, &cursor->records, &cursor->n, &cursor->common, error);
	return rc < 0 ? flows_error(base->pVtab, rc, error[0] != '\0' ? error : NULL) : SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *base) {
	((struct cursor *)base)->next++;
	return SQLITE_OK;
}

static int at_end(sqlite3_vtab_cursor *base) {
	const struct cursor *cursor = (const struct cursor *)base;
	return cursor->next >= cursor->n;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int number) {
	const struct cursor *cursor = (const struct cursor *)base;
	const struct flow_record *record = &cursor->records[cursor->next];
	char text[FLOW_COLUMN_TEXT_BYTES];
	bool null;

	if (flow_columns[number].type == COLUMN_TEXT) {
		int n = flow_column_text(record, &cursor->common, (enum flow_column)number, text);
		if (n >= 0)
			sqlite3_result_text(context, text, n, SQLITE_TRANSIENT);
		return SQLITE_OK;
	}
	int64_t value =
		flow_column_number(record, &cursor->common, (enum flow_column)number, &null);
	if (!null)
		sqlite3_result_int64(context, value);
	return SQLITE_OK;
}

static int row_id(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
	*out = (sqlite3_int64)((const struct cursor *)base)->next;
	return SQLITE_OK;
}

static const sqlite3_module module = {
	.iVersion = 1,
	.xConnect = connect,
	.xBestIndex = best_index,
	.xDisconnect = disconnect,
	.xOpen = open_cursor,
	.xClose = close_cursor,
	.xFilter = filter,
	.xNext = next,
	.xEof = at_end,
	.xColumn = column,
	.xRowid = row_id,
};

int live_table_register(sqlite3 *db, const struct live_source *source) {
	return sqlite3_create_module(db, "live", &module, (void *)source);
}
