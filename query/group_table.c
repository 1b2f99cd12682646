#include "group_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow_key.h"

enum {
	BLOCK = 512, // rows on the way, whose keys stay in the first-level cache
	FIRST_SIZE = 1024,
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
	unsigned stride; // of `sums`: the number of rows, then the values

	uint32_t n, size;
	uint64_t *keys; // n_keys of each group; of texts their number + 1
	int64_t *sums;
	uint64_t *hashes;
	uint32_t *slots; // group + 1, or 0; a power of two of them
	uint32_t n_slots;
	uint64_t secret;

	struct text_table texts[GROUP_MAX_KEYS];
	// For each key that is text: from the batch's dictionary to texts[], or with one key to
	// the group. NO_GROUP = not looked up yet.
	uint32_t *map[GROUP_MAX_KEYS];
	uint32_t map_size[GROUP_MAX_KEYS];
	uint64_t block_keys[BLOCK * GROUP_MAX_KEYS];
};

static bool is_text(const struct group_table *table, unsigned key) {
	return flow_columns[table->spec->keys[key].column].type == COLUMN_TEXT;
}

static void add_values(struct group_table *table, uint64_t columns, enum value_kind kind) {
	for (int i = 0; i < FLOW_COLUMN_COUNT; i++)
		if ((columns >> i & 1) != 0)
			table->values[table->n_values++] =
				(struct value){kind, (enum flow_column)i};
}

struct group_table *group_table_new(const struct group_spec *spec) {
	struct group_table *table = calloc(1, sizeof(*table));
	struct flow_secret secret;

	if (table == NULL)
		return NULL;
	if (flow_secret_random(&secret) < 0) {
		free(table);
		errno = EIO;
		return NULL;
	}
	memcpy(&table->secret, &secret, sizeof(table->secret));
	table->secret |= 1;
	table->spec = spec;
	add_values(table, spec->sums, VALUE_SUM);
	add_values(table, spec->least, VALUE_LEAST);
	add_values(table, spec->greatest, VALUE_GREATEST);
	table->stride = 1 + table->n_values;
	for (unsigned i = 0; i < spec->n_keys; i++)
		text_table_init(&table->texts[i], table->secret);
	return table;
}

void group_table_free(struct group_table *table) {
	if (table == NULL)
		return;
	for (unsigned i = 0; i < table->spec->n_keys; i++) {
		text_table_done(&table->texts[i]);
		free(table->map[i]);
	}
	free(table->keys);
	free(table->sums);
	free(table->hashes);
	free(table->slots);
	free(table);
}

uint32_t group_table_groups(const struct group_table *table) {
	return table->n;
}

static bool resize(void *array, size_t n, size_t value_bytes) {
	void **pointer = array, *grown = reallocarray(*pointer, n, value_bytes);
	if (grown == NULL)
		return false;
	*pointer = grown;
	return true;
}

static int grow(struct group_table *table) {
	uint32_t size = table->size == 0 ? FIRST_SIZE : table->size * 2, n_slots = size * 2;
	unsigned n_keys = table->spec->n_keys;

	if (size > UINT32_MAX / 4
	    || !resize(&table->keys, size, (n_keys == 0 ? 1 : n_keys) * sizeof(*table->keys))
	    || !resize(&table->sums, size, table->stride * sizeof(*table->sums))
	    || !resize(&table->hashes, size, sizeof(*table->hashes)))
		return -ENOMEM;
	uint32_t *slots = calloc(n_slots, sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < table->n; i++) {
		uint32_t at = (uint32_t)table->hashes[i] & (n_slots - 1);
		while (slots[at] != 0)
			at = (at + 1) & (n_slots - 1);
		slots[at] = i + 1;
	}
	free(table->slots);
	table->slots = slots;
	table->n_slots = n_slots;
	table->size = size;
	return 0;
}

static uint64_t hash_keys(const struct group_table *table, const uint64_t *keys) {
	uint64_t hash = table->secret;

	for (unsigned i = 0; i < table->spec->n_keys; i++) {
		unsigned __int128 product = (unsigned __int128)(hash ^ keys[i])
					    * (table->secret ^ UINT64_C(0x9e3779b97f4a7c15));
		hash = (uint64_t)product ^ (uint64_t)(product >> 64);
	}
	return hash;
}

// The group of the keys, which is made where there is none.
static int group_of(struct group_table *table, const uint64_t *keys, uint32_t *group) {
	unsigned n_keys = table->spec->n_keys;
	uint64_t hash = hash_keys(table, keys);
	uint32_t at;

	if (table->n == table->size && grow(table) < 0)
		return -ENOMEM;
	for (at = (uint32_t)hash & (table->n_slots - 1); table->slots[at] != 0;
	     at = (at + 1) & (table->n_slots - 1)) {
		*group = table->slots[at] - 1;
		if (table->hashes[*group] == hash
		    && memcmp(table->keys + (size_t)*group * n_keys, keys, n_keys * sizeof(*keys))
			       == 0)
			return 0;
	}
	*group = table->n++;
	table->slots[at] = *group + 1;
	table->hashes[*group] = hash;
	if (n_keys > 0)
		memcpy(table->keys + (size_t)*group * n_keys, keys, n_keys * sizeof(*keys));
	int64_t *sums = table->sums + (size_t)*group * table->stride;
	sums[0] = 0;
	for (unsigned i = 0; i < table->n_values; i++)
		sums[1 + i] = table->values[i].kind == VALUE_SUM     ? 0
			      : table->values[i].kind == VALUE_LEAST ? INT64_MAX
								     : INT64_MIN;
	return 0;
}

// Forgets the dictionaries of the batch before.
static int prepare_maps(struct group_table *table, const struct scan_batch *batch) {
	for (unsigned i = 0; i < table->spec->n_keys; i++) {
		const struct parquet_vector *vector = &batch->columns[table->spec->keys[i].column];
		if (!is_text(table, i) || vector->n_texts == 0)
			continue;
		if (vector->n_texts > table->map_size[i]) {
			if (!resize(&table->map[i], vector->n_texts, sizeof(*table->map[i])))
				return -ENOMEM;
			table->map_size[i] = vector->n_texts;
		}
		memset(table->map[i], 0xff, vector->n_texts * sizeof(*table->map[i]));
	}
	return 0;
}

// The rows [from, from + n) of the batch: their numbers.
static const uint32_t *
rows_of(const struct scan_batch *batch, uint32_t from, uint32_t n, uint32_t *scratch) {
	if (!batch->all)
		return batch->rows + from;
	for (uint32_t i = 0; i < n; i++)
		scratch[i] = from + i;
	return scratch;
}

static int text_keys(
	struct group_table *table,
	unsigned key,
	const struct parquet_vector *vector,
	const uint32_t *rows,
	uint32_t n
) {
	unsigned n_keys = table->spec->n_keys;
	uint64_t *out = table->block_keys + key;
	uint32_t *map = table->map[key];

	for (uint32_t i = 0; i < n; i++, out += n_keys) {
		uint32_t row = rows[i];
		if (vector->index == NULL || (vector->valid != NULL && vector->valid[row] == 0)) {
			*out = 0;
			continue;
		}
		uint32_t index = vector->index[row];
		if (map[index] == NO_GROUP) {
			int rc = text_table_of(
				&table->texts[key],
				vector->texts[index],
				vector->text_bytes[index],
				&map[index]
			);
			if (rc < 0)
				return rc;
		}
		*out = (uint64_t)map[index] + 1;
	}
	return 0;
}

static int64_t rounded_down(int64_t value, int64_t step) {
	int64_t rest = value % step;
	return value - (rest < 0 ? rest + step : rest);
}

static void number_keys(
	struct group_table *table,
	unsigned key,
	const struct parquet_vector *vector,
	const uint32_t *rows,
	uint32_t n
) {
	unsigned n_keys = table->spec->n_keys;
	int64_t step = table->spec->keys[key].step;
	uint64_t *out = table->block_keys + key;

	for (uint32_t i = 0; i < n; i++, out += n_keys) {
		uint32_t row = rows[i];
		if (vector->values == NULL || (vector->valid != NULL && vector->valid[row] == 0))
			*out = NULL_NUMBER;
		else if (step > 0)
			*out = (uint64_t)rounded_down(vector->values[row], step);
		else
			*out = (uint64_t)vector->values[row];
	}
}

static int groups_of_block(
	struct group_table *table,
	const struct scan_batch *batch,
	const uint32_t *rows,
	uint32_t n,
	uint32_t *groups
) {
	unsigned n_keys = table->spec->n_keys;
	const uint64_t *keys = table->block_keys;

	for (unsigned i = 0; i < n_keys; i++) {
		const struct parquet_vector *vector = &batch->columns[table->spec->keys[i].column];
		int rc = 0;
		if (is_text(table, i))
			rc = text_keys(table, i, vector, rows, n);
		else
			number_keys(table, i, vector, rows, n);
		if (rc < 0)
			return rc;
	}
	for (uint32_t i = 0; i < n; i++, keys += n_keys) {
		// Rows that follow each other are often of one group.
		if (i > 0 && memcmp(keys, keys - n_keys, n_keys * sizeof(*keys)) == 0) {
			groups[i] = groups[i - 1];
			continue;
		}
		int rc = group_of(table, keys, &groups[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

// With text for its only key a group is found in the dictionary's map, and no row is hashed.
static int groups_by_text(
	struct group_table *table,
	const struct parquet_vector *vector,
	const uint32_t *rows,
	uint32_t n,
	uint32_t *groups
) {
	uint32_t *map = table->map[0];

	for (uint32_t i = 0; i < n; i++) {
		uint32_t index = vector->index[rows[i]], number;
		if (map[index] == NO_GROUP) {
			const char *text = vector->texts[index];
			int rc = text_table_of(
				&table->texts[0], text, vector->text_bytes[index], &number
			);
			uint64_t key = (uint64_t)number + 1;
			if (rc == 0)
				rc = group_of(table, &key, &map[index]);
			if (rc < 0)
				return rc;
		}
		groups[i] = map[index];
	}
	return 0;
}

static int add_value(
	struct group_table *table,
	unsigned which,
	const int64_t *values,
	const uint32_t *rows,
	const uint32_t *groups,
	uint32_t n
) {
	int64_t *sums = table->sums + 1 + which;
	size_t stride = table->stride;
	bool overflow = false;

	switch (table->values[which].kind) {
	case VALUE_SUM:
		for (uint32_t i = 0; i < n; i++) {
			int64_t *sum = &sums[groups[i] * stride];
			overflow |= __builtin_add_overflow(*sum, values[rows[i]], sum);
		}
		break;
	case VALUE_LEAST:
		for (uint32_t i = 0; i < n; i++) {
			int64_t *least = &sums[groups[i] * stride];
			*least = values[rows[i]] < *least ? values[rows[i]] : *least;
		}
		break;
	case VALUE_GREATEST:
		for (uint32_t i = 0; i < n; i++) {
			int64_t *greatest = &sums[groups[i] * stride];
			*greatest = values[rows[i]] > *greatest ? values[rows[i]] : *greatest;
		}
		break;
	}
	return overflow ? -EOVERFLOW : 0;
}

static int
add_block(struct group_table *table, const struct scan_batch *batch, uint32_t from, uint32_t n) {
	uint32_t scratch[BLOCK], groups[BLOCK];
	const uint32_t *rows = rows_of(batch, from, n, scratch);
	const struct group_spec *spec = table->spec;
	int rc;

	if (spec->n_keys == 1 && is_text(table, 0)
	    && batch->columns[spec->keys[0].column].index != NULL
	    && batch->columns[spec->keys[0].column].valid == NULL)
		rc = groups_by_text(table, &batch->columns[spec->keys[0].column], rows, n, groups);
	else
		rc = groups_of_block(table, batch, rows, n, groups);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < n; i++)
		table->sums[(size_t)groups[i] * table->stride]++;
	for (unsigned i = 0; i < table->n_values && rc == 0; i++)
		rc = add_value(
			table, i, batch->columns[table->values[i].column].values, rows, groups, n
		);
	return rc;
}

int group_table_add(struct group_table *table, const struct scan_batch *batch) {
	int rc = prepare_maps(table, batch);

	for (unsigned i = 0; i < table->n_values; i++) {
		const struct parquet_vector *vector = &batch->columns[table->values[i].column];
		if (vector->values == NULL || vector->valid != NULL)
			return -ENOTSUP;
	}
	// Only their number is asked for.
	if (rc == 0 && table->spec->n_keys == 0 && table->n_values == 0 && batch->n_rows > 0) {
		uint32_t group;
		rc = group_of(table, table->block_keys, &group);
		if (rc == 0)
			table->sums[0] += batch->n_rows;
		return rc;
	}
	for (uint32_t from = 0; from < batch->n_rows && rc == 0; from += BLOCK) {
		uint32_t left = batch->n_rows - from;
		rc = add_block(table, batch, from, left < BLOCK ? left : BLOCK);
	}
	return rc;
}

int group_table_merge(struct group_table *table, const struct group_table *other) {
	unsigned n_keys = table->spec->n_keys;
	uint64_t keys[GROUP_MAX_KEYS];

	for (uint32_t from = 0; from < other->n; from++) {
		uint32_t group, n, number;
		for (unsigned i = 0; i < n_keys; i++) {
			keys[i] = other->keys[(size_t)from * n_keys + i];
			if (!is_text(table, i) || keys[i] == 0)
				continue;
			const char *text =
				text_table_at(&other->texts[i], (uint32_t)(keys[i] - 1), &n);
			int rc = text_table_of(&table->texts[i], text, n, &number);
			if (rc < 0)
				return rc;
			keys[i] = (uint64_t)number + 1;
		}
		int rc = group_of(table, keys, &group);
		if (rc < 0)
			return rc;
		int64_t *to = table->sums + (size_t)group * table->stride;
		const int64_t *add = other->sums + (size_t)from * table->stride;
		to[0] += add[0];
		for (unsigned i = 1; i <= table->n_values; i++) {
			enum value_kind kind = table->values[i - 1].kind;
			if (kind == VALUE_SUM) {
				if (__builtin_add_overflow(to[i], add[i], &to[i]))
					return -EOVERFLOW;
			} else if (kind == VALUE_LEAST ? add[i] < to[i] : add[i] > to[i]) {
				to[i] = add[i];
			}
		}
	}
	return 0;
}

bool group_table_number(
	const struct group_table *table, uint32_t group, unsigned key, int64_t *number
) {
	uint64_t value = table->keys[(size_t)group * table->spec->n_keys + key];
	*number = (int64_t)value;
	return value != NULL_NUMBER;
}

bool group_table_text(
	const struct group_table *table,
	uint32_t group,
	unsigned key,
	const char **text,
	uint32_t *n
) {
	uint64_t value = table->keys[(size_t)group * table->spec->n_keys + key];
	if (value == 0)
		return false;
	*text = text_table_at(&table->texts[key], (uint32_t)(value - 1), n);
	return true;
}

static int64_t value_of(
	const struct group_table *table,
	uint32_t group,
	enum flow_column column,
	enum value_kind kind
) {
	for (unsigned i = 0; i < table->n_values; i++)
		if (table->values[i].kind == kind && table->values[i].column == column)
			return table->sums[(size_t)group * table->stride + 1 + i];
	return 0;
}

int64_t group_table_rows(const struct group_table *table, uint32_t group) {
	return table->sums[(size_t)group * table->stride];
}

int64_t group_table_sum(const struct group_table *table, uint32_t group, enum flow_column column) {
	return value_of(table, group, column, VALUE_SUM);
}

int64_t
group_table_least(const struct group_table *table, uint32_t group, enum flow_column column) {
	return value_of(table, group, column, VALUE_LEAST);
}

int64_t
group_table_greatest(const struct group_table *table, uint32_t group, enum flow_column column) {
	return value_of(table, group, column, VALUE_GREATEST);
}
