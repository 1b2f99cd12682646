// Database: SQL over an archive and a running sensor, in memory and read-only. Statements that
// only want sums are taken the fast way (rewrite.h); nobody sees the difference but in time.
//
// Threads: one, but for database_interrupt(). Time: the caller's.

#pragma once

#include <stdbool.h>

#include "clock.h"
#include "flows_table.h"
#include "live_table.h"
#include "output.h"

enum {
	DATABASE_ERROR_BYTES = 1024,
};

struct database_config {
	struct flows_archive archive;
	const struct live_source *live; // NULL = none; stays the caller's
	time_ns_t now_ns;               // what ago() counts from
	bool plain;                     // every statement takes the slow way: for tests
};

struct database;

// NULL with a line in `error` (DATABASE_ERROR_BYTES).
[[nodiscard]] struct database *database_open(const struct database_config *config, char *error);
void database_close(struct database *database);

// Columns of the tables flows and live, "time_flow_start_ns, ...", for messages.
const char *database_columns(void);

// Runs one statement, and gives its rows to `output`. Returns 0; -EINVAL where the SQL is wrong,
// before anything ran; -EINTR where it was stopped; else another negative errno. With a line
// in `error`, but for -EINTR.
[[nodiscard]] int
database_run(struct database *database, const char *sql, struct output *output, char *error);

// Stops what runs. From any thread or signal handler.
void database_interrupt(struct database *database);

// For tests: the handle, and whether the last statement took the fast way.
sqlite3 *database_handle(struct database *database);
bool database_was_rewritten(const struct database *database);
