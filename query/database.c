#include "database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups_table.h"
#include "rewrite.h"
#include "sql_functions.h"

enum {
	STOP_STEPS = 1000, // of SQLite's machine between two looks at whether to stop
};

struct database {
	struct database_config config;
	sqlite3 *db;
	struct groups_query groups;
	bool rewritten;
};

// Nothing but reading: no file is attached, nothing is changed, no code is loaded.
static int
authorize(void *arg, int action, const char *a, const char *b, const char *c, const char *d) {
	(void)arg;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_FUNCTION:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

// A table declares its columns when it is first named, which SQLite asks the authorizer about as if
// it were a change. So that happens before there is one.
static int connect_tables(sqlite3 *db) {
	sqlite3_stmt *statement;
	int rc = sqlite3_prepare_v2(
		db, "SELECT 1 FROM flows, flow_groups, live", -1, &statement, NULL
	);

	sqlite3_finalize(statement);
	return rc;
}

// SQLite forgets an interruption that comes when no statement runs yet, or none any more.
static int is_stopped(void *arg) {
	const struct database *database = arg;
	return atomic_load_explicit(database->config.archive.stop, memory_order_relaxed);
}

struct database *database_open(const struct database_config *config, char *error) {
	struct database *database = calloc(1, sizeof(*database));
	int rc = SQLITE_NOMEM;

	if (database == NULL) {
		snprintf(error, DATABASE_ERROR_BYTES, "%s", strerror(ENOMEM));
		return NULL;
	}
	database->config = *config;
	database->groups.archive = &database->config.archive;
	groups_query_reset(&database->groups);
	rc = sqlite3_open_v2(
		":memory:",
		&database->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY
			| SQLITE_OPEN_NOMUTEX,
		NULL
	);
	if (rc == SQLITE_OK)
		rc = sql_functions_register(database->db, &database->config.now_ns);
	if (rc == SQLITE_OK)
		rc = flows_table_register(database->db, &database->config.archive);
	if (rc == SQLITE_OK)
		rc = groups_table_register(database->db, &database->groups);
	if (rc == SQLITE_OK)
		rc = live_table_register(database->db, database->config.live);
	if (rc == SQLITE_OK)
		rc = connect_tables(database->db);
	if (rc == SQLITE_OK)
		rc = sqlite3_set_authorizer(database->db, authorize, NULL);
	if (rc != SQLITE_OK) {
		snprintf(error, DATABASE_ERROR_BYTES, "SQLite: %s", sqlite3_errstr(rc));
		database_close(database);
		return NULL;
	}
	if (config->archive.stop != NULL)
		sqlite3_progress_handler(database->db, STOP_STEPS, is_stopped, database);
	// A file's name in double quotes that is no column should be an error, not text.
	sqlite3_db_config(database->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(database->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return database;
}

void database_close(struct database *database) {
	if (database == NULL)
		return;
	sqlite3_close(database->db);
	free(database);
}

const char *database_columns(void) {
	static char text[FLOWS_SCHEMA_BYTES];

	if (text[0] == '\0')
		for (int i = 0; i < FLOW_COLUMN_COUNT; i++) {
			size_t used = strlen(text);
			snprintf(
				text + used,
				sizeof(text) - used,
				i == 0 ? "%s" : ", %s",
				flow_columns[i].name
			);
		}
	return text;
}

sqlite3 *database_handle(struct database *database) {
	return database->db;
}

bool database_was_rewritten(const struct database *database) {
	return database->rewritten;
}

void database_interrupt(struct database *database) {
	sqlite3_interrupt(database->db);
}

static int tell(struct database *database, int rc, char *error) {
	// "not authorized" alone says nothing of why.
	const char *message = sqlite3_errmsg(database->db);
	if (sqlite3_errcode(database->db) == SQLITE_AUTH)
		message = "a query can only read: SELECT ... FROM flows";
	snprintf(error, DATABASE_ERROR_BYTES, "%s", message);
	return rc;
}

static int
prepare(struct database *database, const char *sql, sqlite3_stmt **statement, char *error) {
	const char *rest;

	if (sqlite3_prepare_v2(database->db, sql, -1, statement, &rest) != SQLITE_OK)
		return tell(database, -EINVAL, error);
	if (*statement == NULL) {
		snprintf(error, DATABASE_ERROR_BYTES, "no statement");
		return -EINVAL;
	}
	// What follows must be blank, or a comment, which is no statement either.
	sqlite3_stmt *more = NULL;
	int rc = sqlite3_prepare_v2(database->db, rest, -1, &more, NULL);
	sqlite3_finalize(more);
	if (rc == SQLITE_OK && more == NULL)
		return 0;
	snprintf(error, DATABASE_ERROR_BYTES, "one statement at a time; behind it: %.100s", rest);
	sqlite3_finalize(*statement);
	*statement = NULL;
	return -EINVAL;
}

// Which columns of flow_groups the statement reads is what its program says.
static int note_columns(struct database *database, const char *sql) {
	char *explain = sqlite3_mprintf("EXPLAIN %s", sql);
	sqlite3_stmt *statement = NULL;
	int rc = -ENOMEM;

	if (explain != NULL
	    && sqlite3_prepare_v2(database->db, explain, -1, &statement, NULL) == SQLITE_OK) {
		rc = 0;
		while (rc == 0 && sqlite3_step(statement) == SQLITE_ROW) {
			const char *opcode = (const char *)sqlite3_column_text(statement, 1);
			if (opcode != NULL && strcmp(opcode, "VColumn") == 0)
				rc = groups_query_reads(
					&database->groups, sqlite3_column_int(statement, 3)
				);
		}
	}
	sqlite3_finalize(statement);
	sqlite3_free(explain);
	return rc;
}

// The fast way, if there is one. NULL otherwise.
static sqlite3_stmt *prepare_fast(struct database *database, const char *sql) {
	struct rewrite rewrite;
	sqlite3_stmt *statement = NULL;

	if (database->config.plain || rewrite_sql(sql, &rewrite) != 1)
		return NULL;
	groups_query_reset(&database->groups);
	database->groups.bucket_column = rewrite.bucket_column;
	database->groups.bucket_step = rewrite.bucket_step;
	database->groups.top = rewrite.top;
	if (note_columns(database, rewrite.sql) < 0
	    || sqlite3_prepare_v2(database->db, rewrite.sql, -1, &statement, NULL) != SQLITE_OK)
		statement = NULL;
	free(rewrite.sql);
	return statement;
}

// Returns -ENOTSUP where the fast way turned out to be none, before any row.
static int
step_all(struct database *database, sqlite3_stmt *statement, struct output *output, char *error) {
	int rc = 0, step = SQLITE_ROW;

	while (rc == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW)
		rc = output_row(output, statement);
	if (rc < 0) {
		snprintf(error, DATABASE_ERROR_BYTES, "cannot write: %s", strerror(-rc));
		return rc;
	}
	if (step == SQLITE_DONE)
		return 0;
	if (step == SQLITE_INTERRUPT)
		return -EINTR;
	if (database->rewritten && database->groups.unsupported)
		return -ENOTSUP;
	return tell(database, -EIO, error);
}

static int begin_output(struct output *output, sqlite3_stmt *statement, char *error) {
	int n = sqlite3_column_count(statement), rc;
	const char **names = calloc((size_t)n + 1, sizeof(*names));

	if (names == NULL)
		return -ENOMEM;
	for (int i = 0; i < n; i++)
		names[i] = sqlite3_column_name(statement, i);
	rc = output_begin(output, (unsigned)n, names);
	free(names);
	if (rc < 0)
		snprintf(error, DATABASE_ERROR_BYTES, "%s", strerror(-rc));
	return rc;
}

int database_run(struct database *database, const char *sql, struct output *output, char *error) {
	sqlite3_stmt *statement = NULL, *fast = NULL;
	// Prepared as it is in any case: what is wrong is told in the words of the statement as
	// it was written, and its columns have their names.
	int rc = prepare(database, sql, &statement, error);

	if (rc < 0)
		return rc;
	rc = begin_output(output, statement, error);
	if (rc == 0) {
		fast = prepare_fast(database, sql);
		database->rewritten = fast != NULL;
		rc = step_all(database, fast != NULL ? fast : statement, output, error);
	}
	if (rc == -ENOTSUP && !output_has_begun(output)) {
		database->rewritten = false;
		rc = step_all(database, statement, output, error);
	}
	sqlite3_finalize(fast);
	sqlite3_finalize(statement);
	if (rc == 0) {
		rc = output_end(output);
		if (rc < 0)
			snprintf(error, DATABASE_ERROR_BYTES, "cannot write: %s", strerror(-rc));
	}
	return rc;
}
