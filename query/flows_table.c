#include "flows_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "constraints.h"

struct table {
	sqlite3_vtab base; // first
	const struct flows_archive *archive;
};

struct cursor {
	sqlite3_vtab_cursor base; // first
	struct scan *scan;
	const struct scan_batch *batch; // NULL at the end
	uint32_t next;                  // of the batch's rows
	uint32_t row;
	struct scan_filter filters[SCAN_MAX_FILTERS];
	unsigned n_filters;
};

void flows_schema(char *schema) {
	int used = snprintf(schema, FLOWS_SCHEMA_BYTES, "CREATE TABLE x(");

	for (int i = 0; i < FLOW_COLUMN_COUNT; i++)
		used += snprintf(
			schema + used,
			FLOWS_SCHEMA_BYTES - (size_t)used,
			"%s%s %s",
			i == 0 ? "" : ", ",
			flow_columns[i].name,
			flow_columns[i].type == COLUMN_TEXT ? "TEXT" : "INTEGER"
		);
}

struct scan_config flows_scan_config(const struct flows_archive *archive) {
	return (struct scan_config){
		.dir = archive->dir,
		.n_threads = archive->n_threads,
		.stop = archive->stop,
		.on_error = archive->on_error,
		.on_progress = archive->on_progress,
		.arg = archive->arg,
	};
}

int flows_error(sqlite3_vtab *table, int rc, const char *error) {
	if (rc == -EINTR)
		return SQLITE_INTERRUPT;
	if (rc == -ENOMEM)
		return SQLITE_NOMEM;
	sqlite3_free(table->zErrMsg);
	table->zErrMsg = sqlite3_mprintf("%s", error != NULL ? error : strerror(-rc));
	return SQLITE_ERROR;
}

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
	*table = (struct table){.archive = aux};
	*out = &table->base;
	return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *table) {
	sqlite3_free(table);
	return SQLITE_OK;
}

// colUsed is known here alone: it stands before what the constraints have.
static int best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
	int rc = constraints_best_index(info);
	char *index;

	(void)table;
	if (rc != SQLITE_OK)
		return rc;
	index = sqlite3_mprintf("%llx;%s", (unsigned long long)info->colUsed, info->idxStr);
	sqlite3_free(info->idxStr);
	info->idxStr = index;
	info->needToFreeIdxStr = index != NULL;
	return index != NULL ? SQLITE_OK : SQLITE_NOMEM;
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

static void end_scan(struct cursor *cursor) {
	scan_free(cursor->scan);
	cursor->scan = NULL;
	cursor->batch = NULL;
	for (unsigned i = 0; i < cursor->n_filters; i++)
		scan_filter_done(&cursor->filters[i]);
	cursor->n_filters = 0;
}

static int close_cursor(sqlite3_vtab_cursor *base) {
	struct cursor *cursor = (struct cursor *)base;

	end_scan(cursor);
	sqlite3_free(cursor);
	return SQLITE_OK;
}

static int next_batch(struct cursor *cursor) {
	int rc = scan_next(cursor->scan, &cursor->batch);

	if (rc <= 0)
		cursor->batch = NULL;
	if (rc < 0)
		return flows_error(cursor->base.pVtab, rc, NULL);
	cursor->next = 1;
	if (rc > 0)
		cursor->row = scan_batch_row(cursor->batch, 0);
	return SQLITE_OK;
}

static int
filter(sqlite3_vtab_cursor *base,
       int number,
       const char *index,
       int n_values,
       sqlite3_value **values) {
	struct cursor *cursor = (struct cursor *)base;
	const struct table *table = (const struct table *)base->pVtab;
	struct scan_config config = flows_scan_config(table->archive);
	char error[ARCHIVE_ERROR_BYTES], *message = NULL;
	unsigned long long columns;
	int used;

	(void)number;
	end_scan(cursor);
	if (sscanf(index, "%llx;%n", &columns, &used) != 1)
		return SQLITE_INTERNAL;
	int rc = constraints_filters(
		index + used, n_values, values, cursor->filters, &cursor->n_filters, &message
	);
	if (rc != SQLITE_OK) {
		sqlite3_free(base->pVtab->zErrMsg);
		base->pVtab->zErrMsg = message;
		return rc;
	}
	config.columns = columns;
	config.filters = cursor->filters;
	config.n_filters = cursor->n_filters;
	cursor->scan = scan_new(&config, error);
	if (cursor->scan == NULL)
		return flows_error(base->pVtab, -errno, error);
	return next_batch(cursor);
}

static int next(sqlite3_vtab_cursor *base) {
	struct cursor *cursor = (struct cursor *)base;

	if (cursor->next == cursor->batch->n_rows)
		return next_batch(cursor);
	cursor->row = scan_batch_row(cursor->batch, cursor->next++);
	return SQLITE_OK;
}

static int at_end(sqlite3_vtab_cursor *base) {
	return ((struct cursor *)base)->batch == NULL;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int number) {
	const struct cursor *cursor = (const struct cursor *)base;
	const struct parquet_vector *vector = &cursor->batch->columns[number];
	uint32_t row = cursor->row;

	if (vector->valid != NULL && vector->valid[row] == 0)
		return SQLITE_OK; // NULL, as where the file has no such column
	if (vector->values != NULL) {
		sqlite3_result_int64(context, vector->values[row]);
	} else if (vector->index != NULL) {
		// SQLite may keep a value for longer than the batch stays, such as that of the
		// row with the greatest of another column. A copy into memory that it has
		// already costs less than to keep batches.
		uint32_t index = vector->index[row];
		sqlite3_result_text(
			context,
			vector->texts[index],
			(int)vector->text_bytes[index],
			SQLITE_TRANSIENT
		);
	}
	return SQLITE_OK;
}

static int row_id(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
	const struct cursor *cursor = (const struct cursor *)base;

	uint64_t id = cursor->batch->row_id + cursor->row;
	*out = (sqlite3_int64)id;
	return SQLITE_OK;
}

// No xCreate: the table is there without being created, and cannot be dropped.
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
	.xFindFunction = constraints_find_function,
};

int flows_table_register(sqlite3 *db, const struct flows_archive *archive) {
	return sqlite3_create_module(db, "flows", &module, (void *)archive);
}
