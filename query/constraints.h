// Constraints: what SQLite asks of the rows of a virtual table, as filters of a scan. What is taken
// is taken exactly, so that SQLite need not look again: comparisons of numbers, equality and IN
// of both, and ip_in() of text.
//
// Threads: the connection's.

#pragma once

#include <sqlite3.h>

#include "scan_filter.h"

// What xFindFunction answers for ip_in().
#define CONSTRAINT_IP_IN SQLITE_INDEX_CONSTRAINT_FUNCTION

// For xBestIndex: columns 0 to FLOW_COLUMN_COUNT - 1 of the table are those of flows. Whoever
// takes no constraints has one cost, so that SQLite does not make two scans out of an OR.
int constraints_best_index(sqlite3_index_info *info);

// For xFilter: makes the filters, `n_filters` of them with room for SCAN_MAX_FILTERS. An SQLite
// error code, with a message from sqlite3_mprintf() in `error`.
int constraints_filters(
	const char *index,
	int n_values,
	sqlite3_value **values,
	struct scan_filter *filters,
	unsigned *n_filters,
	char **error
);

// For xFindFunction.
int constraints_find_function(
	sqlite3_vtab *table,
	int n_args,
	const char *name,
	void (**function)(sqlite3_context *, int, sqlite3_value **),
	void **arg
);
