// Rewrite, the top: whether a statement wants no more than the groups with the greatest sums:
//
//   SELECT src_addr, sum(bytes) FROM flows GROUP BY 1 ORDER BY 2 DESC LIMIT 10
//
// Then the others need not be given to SQLite, which would sort all to throw most away. It must
// be certain: no HAVING, groups of plain columns, and a WHERE that the scan answers alone.
//
// Pure.

#pragma once

#include <stdint.h>

#include "flow_columns.h"

struct sql_tokens;

struct rewrite_top {
	uint64_t n;     // groups that are wanted, and all that are equal to the last; 0 = all
	uint64_t group; // columns that make the group, a bit for each enum flow_column
	int by;         // column whose sum is looked at; -1 = the number of rows
};

// `top->n` is 0 where it is not certain.
void rewrite_top_find(const struct sql_tokens *tokens, struct rewrite_top *top);
