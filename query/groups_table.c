#include "groups_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "constraints.h"

enum {
	COLUMN_ROWS = FLOW_COLUMN_COUNT,
	COLUMN_BUCKET,
	FIRST_VALUE, // then a sum, the least and the greatest of each column
	// A worker's table is given away at this many groups, so that memory has a bound;
	// SQLite then sorts them, on disk where need be.
	MOST_GROUPS = 1 << 20,
	// Of all workers, where SQLite is to have the greatest alone: they have to be known first.
	MOST_GROUPS_OF_TOP = 1 << 23,
	MOST_FULL = 2, // tables that wait for SQLite
	SCHEMA_BYTES = 8192,
};

struct table {
	sqlite3_vtab base; // first
	struct groups_query *query;
};

struct cursor {
	sqlite3_vtab_cursor base; // first
	const struct group_spec *spec;
	struct scan *scan;
	struct scan_filter filters[SCAN_MAX_FILTERS];
	unsigned n_filters;

	struct group_table *current; // NULL at the end
	uint32_t *chosen;            // of its groups; NULL = all
	uint32_t n_groups, next_group, group;
	struct rewrite_top top; // n = 0: all are wanted
	bool partial;           // there were tables before this one
	sqlite3_int64 row_id;

	struct group_table *workers[SCAN_MAX_THREADS]; // each one its worker's until the end
	pthread_mutex_t lock;                          // of what follows
	pthread_cond_t taken;
	struct group_table *full[MOST_FULL];
	unsigned n_full;
	bool cancelled;
	atomic_bool wake; // there are full tables
};

void groups_query_reset(struct groups_query *query) {
	query->spec = (struct group_spec){0};
	query->top = (struct rewrite_top){0};
	query->unsupported = false;
	for (int i = 0; i <= FLOW_COLUMN_COUNT; i++)
		query->key_of[i] = -1;
}

static void add_key(struct groups_query *query, int which, struct group_key key) {
	if (query->key_of[which] >= 0)
		return;
	query->key_of[which] = (int)query->spec.n_keys;
	query->spec.keys[query->spec.n_keys++] = key;
}

int groups_query_reads(struct groups_query *query, int column) {
	if (column < 0 || column >= FIRST_VALUE + 3 * FLOW_COLUMN_COUNT)
		return -EINVAL;
	if (column < FLOW_COLUMN_COUNT) {
		add_key(query, column, (struct group_key){(enum flow_column)column, 0});
	} else if (column == COLUMN_BUCKET) {
		if (query->bucket_step <= 0)
			return -EINVAL;
		add_key(query,
			FLOW_COLUMN_COUNT,
			(struct group_key){query->bucket_column, query->bucket_step});
	} else if (column >= FIRST_VALUE) {
		uint64_t bit = UINT64_C(1) << (column - FIRST_VALUE) / 3;
		uint64_t *of[] = {&query->spec.sums, &query->spec.least, &query->spec.greatest};
		*of[(column - FIRST_VALUE) % 3] |= bit;
	}
	return 0;
}

static int
connect(sqlite3 *db, void *aux, int n_args, const char *const *args, sqlite3_vtab **out, char **e) {
	char schema[SCHEMA_BYTES];
	struct table *table;

	(void)n_args;
	(void)args;
	(void)e;
	flows_schema(schema);
	size_t used = strlen(schema);
	used += (size_t)snprintf(
		schema + used,
		sizeof(schema) - used,
		", _rows INTEGER HIDDEN, _bucket INTEGER HIDDEN"
	);
	for (int i = 0; i < FLOW_COLUMN_COUNT; i++)
		used += (size_t)snprintf(
			schema + used,
			sizeof(schema) - used,
			", _sum_%s INTEGER HIDDEN, _least_%s INTEGER HIDDEN, _greatest_%s INTEGER "
			"HIDDEN",
			flow_columns[i].name,
			flow_columns[i].name,
			flow_columns[i].name
		);
	snprintf(schema + used, sizeof(schema) - used, ")");
	int rc = sqlite3_declare_vtab(db, schema);
	if (rc != SQLITE_OK)
		return rc;
	table = sqlite3_malloc(sizeof(*table));
	if (table == NULL)
		return SQLITE_NOMEM;
	*table = (struct table){.query = aux};
	*out = &table->base;
	return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *table) {
	sqlite3_free(table);
	return SQLITE_OK;
}

static int best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
	(void)table;
	return constraints_best_index(info);
}

static int open_cursor(sqlite3_vtab *table, sqlite3_vtab_cursor **out) {
	struct cursor *cursor = sqlite3_malloc(sizeof(*cursor));

	if (cursor == NULL)
		return SQLITE_NOMEM;
	memset(cursor, 0, sizeof(*cursor));
	cursor->spec = &((struct table *)table)->query->spec;
	pthread_mutex_init(&cursor->lock, NULL);
	pthread_cond_init(&cursor->taken, NULL);
	*out = &cursor->base;
	return SQLITE_OK;
}

static void end_scan(struct cursor *cursor) {
	// A worker may be waiting for room.
	pthread_mutex_lock(&cursor->lock);
	cursor->cancelled = true;
	pthread_cond_broadcast(&cursor->taken);
	pthread_mutex_unlock(&cursor->lock);
	scan_free(cursor->scan);
	cursor->scan = NULL;
	for (unsigned i = 0; i < SCAN_MAX_THREADS; i++) {
		group_table_free(cursor->workers[i]);
		cursor->workers[i] = NULL;
	}
	for (unsigned i = 0; i < cursor->n_full; i++)
		group_table_free(cursor->full[i]);
	cursor->n_full = 0;
	group_table_free(cursor->current);
	cursor->current = NULL;
	free(cursor->chosen);
	cursor->chosen = NULL;
	cursor->partial = false;
	for (unsigned i = 0; i < cursor->n_filters; i++)
		scan_filter_done(&cursor->filters[i]);
	cursor->n_filters = 0;
	cursor->cancelled = false;
}

static int close_cursor(sqlite3_vtab_cursor *base) {
	struct cursor *cursor = (struct cursor *)base;

	end_scan(cursor);
	pthread_cond_destroy(&cursor->taken);
	pthread_mutex_destroy(&cursor->lock);
	sqlite3_free(cursor);
	return SQLITE_OK;
}

// A worker's, which waits until there is room.
static int give_away(struct cursor *cursor, struct scan *scan, unsigned worker) {
	bool given;

	pthread_mutex_lock(&cursor->lock);
	while (cursor->n_full == MOST_FULL && !cursor->cancelled)
		pthread_cond_wait(&cursor->taken, &cursor->lock);
	given = !cursor->cancelled;
	if (given) {
		cursor->full[cursor->n_full++] = cursor->workers[worker];
		cursor->workers[worker] = NULL;
		atomic_store(&cursor->wake, true);
	}
	pthread_mutex_unlock(&cursor->lock);
	if (given)
		scan_wake(scan);
	return given ? 0 : -EINTR;
}

static int on_batch(void *arg, struct scan *scan, unsigned worker, const struct scan_batch *batch) {
	struct cursor *cursor = arg;
	struct group_table **table = &cursor->workers[worker];

	if (*table == NULL)
		*table = group_table_new(cursor->spec);
	if (*table == NULL)
		return -ENOMEM;
	int rc = group_table_add(*table, batch);
	uint32_t most = MOST_GROUPS;
	if (cursor->top.n > 0 && MOST_GROUPS_OF_TOP / scan_threads(scan) > most)
		most = MOST_GROUPS_OF_TOP / scan_threads(scan);
	if (rc == 0 && group_table_groups(*table) >= most)
		rc = give_away(cursor, scan, worker);
	return rc;
}

static struct group_table *take_full(struct cursor *cursor) {
	struct group_table *table = NULL;

	pthread_mutex_lock(&cursor->lock);
	if (cursor->n_full > 0)
		table = cursor->full[--cursor->n_full];
	if (cursor->n_full == 0)
		atomic_store(&cursor->wake, false);
	pthread_cond_broadcast(&cursor->taken);
	pthread_mutex_unlock(&cursor->lock);
	return table;
}

// What the workers still have when all is scanned, as one.
static int merge_rest(struct cursor *cursor, struct group_table **table) {
	*table = NULL;
	for (unsigned i = 0; i < SCAN_MAX_THREADS; i++) {
		struct group_table *part = cursor->workers[i];
		int rc = 0;
		if (part == NULL)
			continue;
		cursor->workers[i] = NULL;
		if (*table == NULL) {
			*table = part;
			continue;
		}
		// The smaller one into the larger one.
		if (group_table_groups(part) > group_table_groups(*table)) {
			struct group_table *larger = part;
			part = *table;
			*table = larger;
		}
		rc = group_table_merge(*table, part);
		group_table_free(part);
		if (rc < 0)
			return rc;
	}
	return 0;
}

// The groups of a table that SQLite is given.
static int choose(struct cursor *cursor) {
	free(cursor->chosen);
	cursor->chosen = NULL;
	cursor->next_group = 1;
	cursor->group = 0;
	if (cursor->current == NULL)
		return 0;
	cursor->n_groups = group_table_groups(cursor->current);
	// The parts of a group may be small, and their sum the greatest.
	if (cursor->top.n == 0 || cursor->partial)
		return 0;
	int n = group_table_top(cursor->current, cursor->top.by, cursor->top.n, &cursor->chosen);
	if (n < 0)
		return n;
	// No table is empty, so that there is always one.
	cursor->n_groups = (uint32_t)n;
	cursor->group = cursor->chosen[0];
	return 0;
}

static int next_table(struct cursor *cursor) {
	struct groups_query *query = ((struct table *)cursor->base.pVtab)->query;
	int rc;

	group_table_free(cursor->current);
	do {
		rc = 0;
		cursor->current = take_full(cursor);
		if (cursor->current == NULL)
			rc = scan_wait(cursor->scan, &cursor->wake);
		if (rc == 0 && cursor->current == NULL)
			cursor->current = take_full(cursor); // given away at the very end
		cursor->partial = cursor->partial || cursor->current != NULL;
		if (rc == 0 && cursor->current == NULL)
			rc = merge_rest(cursor, &cursor->current);
	} while (rc == 1);
	if (rc == 0)
		rc = choose(cursor);
	query->unsupported = rc == -ENOTSUP;
	if (rc < 0)
		return flows_error(
			cursor->base.pVtab, rc, rc == -EOVERFLOW ? "integer overflow" : NULL
		);
	return SQLITE_OK;
}

// What is wanted alone, if that is certain: where the statement reads a column that does not make
// its groups, as in a condition that SQLite looks at, parts of groups remain to be added up.
static struct rewrite_top top_of(const struct groups_query *query) {
	uint64_t keys = 0;

	for (unsigned i = 0; i < query->spec.n_keys; i++)
		keys |= query->spec.keys[i].step == 0 ? UINT64_C(1) << query->spec.keys[i].column
						      : 0;
	bool sums = query->top.by < 0 || (query->spec.sums >> query->top.by & 1) != 0;
	return keys == query->top.group && sums ? query->top : (struct rewrite_top){0};
}

// What the scan is to read: the columns of the spec.
static uint64_t columns_of(const struct group_spec *spec) {
	uint64_t columns = spec->sums | spec->least | spec->greatest;

	for (unsigned i = 0; i < spec->n_keys; i++)
		columns |= UINT64_C(1) << spec->keys[i].column;
	return columns;
}

static int
filter(sqlite3_vtab_cursor *base,
       int number,
       const char *index,
       int n_values,
       sqlite3_value **values) {
	struct cursor *cursor = (struct cursor *)base;
	const struct table *table = (const struct table *)base->pVtab;
	struct scan_config config = flows_scan_config(table->query->archive);
	char error[ARCHIVE_ERROR_BYTES], *message = NULL;

	(void)number;
	end_scan(cursor);
	int rc = constraints_filters(
		index, n_values, values, cursor->filters, &cursor->n_filters, &message
	);
	if (rc != SQLITE_OK) {
		sqlite3_free(base->pVtab->zErrMsg);
		base->pVtab->zErrMsg = message;
		return rc;
	}
	cursor->top = top_of(table->query);
	config.columns = columns_of(cursor->spec);
	config.filters = cursor->filters;
	config.n_filters = cursor->n_filters;
	config.on_batch = on_batch;
	config.batch_arg = cursor;
	cursor->scan = scan_new(&config, error);
	if (cursor->scan == NULL)
		return flows_error(base->pVtab, -errno, error);
	return next_table(cursor);
}

static int next(sqlite3_vtab_cursor *base) {
	struct cursor *cursor = (struct cursor *)base;

	cursor->row_id++;
	if (cursor->next_group == cursor->n_groups)
		return next_table(cursor);
	cursor->group = cursor->next_group++;
	if (cursor->chosen != NULL)
		cursor->group = cursor->chosen[cursor->group];
	return SQLITE_OK;
}

static int at_end(sqlite3_vtab_cursor *base) {
	return ((struct cursor *)base)->current == NULL;
}

static void key_column(const struct cursor *cursor, sqlite3_context *context, int key) {
	const struct group_table *table = cursor->current;
	const char *text;
	int64_t number;
	uint32_t n;

	if (flow_columns[cursor->spec->keys[key].column].type == COLUMN_TEXT) {
		if (group_table_text(table, cursor->group, (unsigned)key, &text, &n))
			sqlite3_result_text(context, text, (int)n, SQLITE_TRANSIENT);
	} else if (group_table_number(table, cursor->group, (unsigned)key, &number)) {
		sqlite3_result_int64(context, number);
	}
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int number) {
	static int64_t (*const values[])(const struct group_table *, uint32_t, enum flow_column) = {
		group_table_sum, group_table_least, group_table_greatest};
	const struct cursor *cursor = (const struct cursor *)base;
	const struct groups_query *query = ((const struct table *)base->pVtab)->query;

	if (number == COLUMN_ROWS) {
		sqlite3_result_int64(context, group_table_rows(cursor->current, cursor->group));
	} else if (number >= FIRST_VALUE) {
		enum flow_column of = (enum flow_column)((number - FIRST_VALUE) / 3);
		sqlite3_result_int64(
			context,
			values[(number - FIRST_VALUE) % 3](cursor->current, cursor->group, of)
		);
	} else {
		int key = query->key_of[number == COLUMN_BUCKET ? FLOW_COLUMN_COUNT : number];
		// Nobody said that it would be read, so it is not in the group.
		if (key < 0)
			return SQLITE_INTERNAL;
		key_column(cursor, context, key);
	}
	return SQLITE_OK;
}

static int row_id(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
	*out = ((const struct cursor *)base)->row_id;
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
	.xFindFunction = constraints_find_function,
};

int groups_table_register(sqlite3 *db, struct groups_query *query) {
	return sqlite3_create_module(db, "flow_groups", &module, query);
}
