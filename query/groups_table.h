// Groups table: `flow_groups`, the archive with its rows added up by group (group_table.h)
// before SQLite sees them. Statements that only want sums are changed to read it
// (rewrite.h): a row through a virtual table costs SQLite more than all else together.
//
// Its first columns are those of flows and make the group; then
//   _rows                               rows of the group
//   _bucket                             a time rounded down
//   _sum_X, _least_X, _greatest_X       of each column X of flows
// Groups may come more than once, in parts that add up.
//
// Which columns a statement reads must be told before it runs: they make the group. A column that
// only stands in a condition that the scan answers is not read.
//
// Threads: the connection's; each scan has workers of its own.

#pragma once

#include "flows_table.h"
#include "group_table.h"
#include "rewrite_top.h"

struct groups_query {
	const struct flows_archive *archive;
	enum flow_column bucket_column; // of _bucket
	int64_t bucket_step;            // > 0

	struct rewrite_top top;            // groups that are wanted
	struct group_spec spec;            // by groups_query_reads()
	int key_of[FLOW_COLUMN_COUNT + 1]; // number of a column's key, -1 = none; last of _bucket
	bool unsupported;                  // a statement failed that the table flows can answer
};

// Begins anew, with no columns read.
void groups_query_reset(struct groups_query *query);

// The statement reads a column of the table. -EINVAL where there is none.
[[nodiscard]] int groups_query_reads(struct groups_query *query, int column);

// Registers the table. `query` stays the caller's and is to remain. An SQLite error code.
[[nodiscard]] int groups_table_register(sqlite3 *db, struct groups_query *query);
