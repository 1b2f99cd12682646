// Rewrite: a statement that only wants sums, counts and the like by group, such as
//
//   SELECT src_addr, sum(bytes) FROM flows WHERE proto = 6 GROUP BY 1
//
// as one of the table of rows that are added up already (groups_table.h):
//
//   SELECT src_addr, sum(_sum_bytes) FROM flow_groups AS flows WHERE proto = 6 GROUP BY 1
//
// Any other statement stays as it is. Only the calls of aggregate functions and the table's name
// are changed, so all else means what it meant: SQLite adds up the parts as it would have
// added up the rows, and whatever column is read outside of an aggregate makes the group.
//
// Pure.

#pragma once

#include <stdbool.h>

#include "flow_columns.h"
#include "rewrite_top.h"

struct rewrite {
	char *sql; // the caller's to free()
	// What _bucket is: time_bucket(column, step). Step 0 = it is not used.
	enum flow_column bucket_column;
	int64_t bucket_step;
	struct rewrite_top top; // which groups alone are wanted
};

// Returns 1 where it was rewritten, 0 where not, -ENOMEM.
[[nodiscard]] int rewrite_sql(const char *sql, struct rewrite *rewrite);
