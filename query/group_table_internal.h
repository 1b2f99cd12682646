// The inside of a group table, for the modules that it is made of.

#pragma once

#include "group_table.h"

enum {
	GROUP_BLOCK = 512, // rows on the way, whose keys stay in the first-level cache
	MAX_VALUES = 3 * FLOW_COLUMN_COUNT + 1,
};

#define NO_GROUP UINT32_MAX
// NULL among key numbers. No column has it as a value.
#define NULL_NUMBER ((uint64_t)INT64_MIN)

enum value_kind {
	VALUE_SUM,
	VALUE_LEAST,
	VALUE_GREATEST,
};

struct value {
	enum value_kind kind;
	enum flow_column column;
};

struct group_table {
	const struct group_spec *spec;
	struct value values[MAX_VALUES];
	unsigned n_values;

	// Of each group one record, so that a group which is not in the cache is one miss: its
	// hash, its keys (of texts their number + 1), the number of rows, the values.
	uint32_t n, size;
	int64_t *records;
	unsigned width;
	uint32_t *slots; // group + 1, or 0; a power of two of them
	uint32_t n_slots;
	uint64_t secret;

	struct text_table texts[GROUP_MAX_KEYS];
	// For each key that is text: from the batch's dictionary to texts[], or with one key to
	// the group. NO_GROUP = not looked up yet.
	uint32_t *map[GROUP_MAX_KEYS];
	uint32_t map_size[GROUP_MAX_KEYS];
	uint64_t block_keys[GROUP_BLOCK * GROUP_MAX_KEYS];
};

static inline int64_t *group_table_record(const struct group_table *table, uint32_t group) {
	return table->records + (size_t)group * table->width;
}

static inline const uint64_t *group_table_keys(const struct group_table *table, uint32_t group) {
	return (const uint64_t *)group_table_record(table, group) + 1;
}

// The number of rows, then the values.
static inline int64_t *group_table_sums(const struct group_table *table, uint32_t group) {
	return group_table_record(table, group) + 1 + table->spec->n_keys;
}

static inline bool group_table_is_text(const struct group_table *table, unsigned key) {
	return flow_columns[table->spec->keys[key].column].type == COLUMN_TEXT;
}

uint64_t group_table_hash(const struct group_table *table, const uint64_t *keys);

// The group of the keys, which is made where there is none. -ENOMEM.
[[nodiscard]] int
group_table_group(struct group_table *table, const uint64_t *keys, uint64_t hash, uint32_t *group);

// Whether the array, whose pointer `array` points to, could be made `n` values long.
[[nodiscard]] bool group_table_resize(void *array, size_t n, size_t value_bytes);
