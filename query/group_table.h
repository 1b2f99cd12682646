// Group table: the rows of a scan added up by group, before SQLite sees them. A group is a
// combination of key values; of each group it keeps the number of rows, and sums, least and
// greatest values of columns.
//
// What it gives may be partial: groups of several tables are to be added up again. So a
// table may be given away when it is large, and a new one begun.
//
// Threads: one at a time. Errors: negative errno.

#pragma once

#include "scan.h"
#include "text_table.h"

enum {
	GROUP_MAX_KEYS = FLOW_COLUMN_COUNT + 1,
};

struct group_key {
	enum flow_column column;
	int64_t step; // > 0: the value rounded down to a multiple of it
};

struct group_spec {
	unsigned n_keys;
	struct group_key keys[GROUP_MAX_KEYS];
	uint64_t sums, least, greatest; // a bit for each enum flow_column
};

struct group_table;

// NULL with errno ENOMEM. The spec stays the caller's and is to remain.
[[nodiscard]] struct group_table *group_table_new(const struct group_spec *spec);
void group_table_free(struct group_table *table);

// Adds the rows of a batch. -ENOMEM; -EOVERFLOW where a sum exceeds 64 bits; -ENOTSUP where the
// batch has no such column to add up.
[[nodiscard]] int group_table_add(struct group_table *table, const struct scan_batch *batch);

// Adds the groups of another table of the same spec.
[[nodiscard]] int group_table_merge(struct group_table *table, const struct group_table *other);

uint32_t group_table_groups(const struct group_table *table);

// The `n` groups with the greatest sums of column `by`, or with the most rows where that is
// negative, and all that are equal to the last of them. Their numbers into `groups`, for free().
// Returns how many they are, or -ENOMEM.
[[nodiscard]] int
group_table_top(const struct group_table *table, int by, uint64_t n, uint32_t **groups);

// The value of a key of a group. False where it is NULL.
bool group_table_number(
	const struct group_table *table, uint32_t group, unsigned key, int64_t *number
);
bool group_table_text(
	const struct group_table *table,
	uint32_t group,
	unsigned key,
	const char **text,
	uint32_t *n
);

// Of a group that is there, all is known.
int64_t group_table_rows(const struct group_table *table, uint32_t group);
int64_t group_table_sum(const struct group_table *table, uint32_t group, enum flow_column column);
int64_t group_table_least(const struct group_table *table, uint32_t group, enum flow_column column);
int64_t
group_table_greatest(const struct group_table *table, uint32_t group, enum flow_column column);
