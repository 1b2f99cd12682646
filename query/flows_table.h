// Flows table: the table `flows` of SQL, which is the archive, with the columns of
// flow_columns.h. Reads only the columns that a statement names, and only what its conditions
// on numbers, and on text by =, <>, IN and ip_in(), leave.
//
// Threads: the connection's; each scan has workers of its own (scan.h).

#pragma once

#include <sqlite3.h>

#include "scan.h"

// Where flows come from, and who is told what.
struct flows_archive {
	const char *dir;
	unsigned n_threads;                            // 0 = as many as there are cores
	const atomic_bool *stop;                       // ends scans with SQLITE_INTERRUPT
	void (*on_error)(void *arg, const char *line); // as in scan.h
	void (*on_progress)(void *arg, const struct scan_progress *progress);
	void *arg;
};

// The columns, as CREATE TABLE has them, without its ")": others may follow.
#define FLOWS_SCHEMA_BYTES 1024
void flows_schema(char *schema);

// Registers the table. `archive` stays the caller's and is to remain. An SQLite error code.
[[nodiscard]] int flows_table_register(sqlite3 *db, const struct flows_archive *archive);

// What a scan of an archive is to be, but for columns and filters.
struct scan_config flows_scan_config(const struct flows_archive *archive);

// The SQLite error code of a scan's negative errno. Sets the table's message.
int flows_error(sqlite3_vtab *table, int rc, const char *error);
