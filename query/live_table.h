// Live table: the table `live` of SQL, with the columns of flows: what is in the cache of a sensor
// that is running. Each statement reads it anew.
//
// Threads: the connection's.

#pragma once

#include <sqlite3.h>
#include <stddef.h>

#include "flow_columns.h"

enum {
	LIVE_ERROR_BYTES = 256,
};

// Where the flows of the running sensor come from.
struct live_source {
	// Gives all flows that are running now in memory of malloc(), which the table frees, and
	// what they have in common; an address in `source` is to stay as long as the records.
	// Returns 0, or a negative errno and one line in `error` (LIVE_ERROR_BYTES) that says
	// what to do.
	int (*snapshot
	)(void *arg,
	  struct flow_record **records,
	  size_t *n,
	  struct flow_source *source,
	  char *error);
	void *arg;
};

// Registers the table. `source` stays the caller's and is to remain; NULL = no sensor is running,
// which reading the table then says. An SQLite error code.
[[nodiscard]] int live_table_register(sqlite3 *db, const struct live_source *source);
