// The rows of a batch into a group table.

#include <errno.h>
#include <string.h>

#include "group_table_internal.h"

// Forgets the dictionaries of the batch before.
static int prepare_maps(struct group_table *table, const struct scan_batch *batch) {
	for (unsigned i = 0; i < table->spec->n_keys; i++) {
		const struct parquet_vector *vector = &batch->columns[table->spec->keys[i].column];
		if (!group_table_is_text(table, i) || vector->n_texts == 0)
			continue;
		if (vector->n_texts > table->map_size[i]) {
			if (!group_table_resize(
				    &table->map[i], vector->n_texts, sizeof(*table->map[i])
			    ))
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
	uint64_t hashes[GROUP_BLOCK];

	for (unsigned i = 0; i < n_keys; i++) {
		const struct parquet_vector *vector = &batch->columns[table->spec->keys[i].column];
		int rc = 0;
		if (group_table_is_text(table, i))
			rc = text_keys(table, i, vector, rows, n);
		else
			number_keys(table, i, vector, rows, n);
		if (rc < 0)
			return rc;
	}
	// All groups of the block are asked for before any is needed: each is a miss or two of the
	// cache where there are many, and the processor waits for several at once.
	for (uint32_t i = 0; i < n; i++) {
		hashes[i] = group_table_hash(table, keys + (size_t)i * n_keys);
		if (table->n_slots > 0)
			__builtin_prefetch(&table->slots[(uint32_t)hashes[i] & (table->n_slots - 1)]
			);
	}
	for (uint32_t i = 0; i < n && table->n_slots > 0; i++) {
		uint32_t slot = table->slots[(uint32_t)hashes[i] & (table->n_slots - 1)];
		if (slot != 0)
			__builtin_prefetch(group_table_record(table, slot - 1), 1);
	}
	for (uint32_t i = 0; i < n; i++, keys += n_keys) {
		int rc = group_table_group(table, keys, hashes[i], &groups[i]);
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
				rc = group_table_group(
					table, &key, group_table_hash(table, &key), &map[index]
				);
			if (rc < 0)
				return rc;
		}
		groups[i] = map[index];
		__builtin_prefetch(group_table_sums(table, groups[i]), 1);
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
	int64_t *sums = table->records + 2 + table->spec->n_keys + which;
	size_t stride = table->width;
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
	uint32_t scratch[GROUP_BLOCK], groups[GROUP_BLOCK];
	const uint32_t *rows = rows_of(batch, from, n, scratch);
	const struct group_spec *spec = table->spec;
	int rc;

	if (spec->n_keys == 1 && group_table_is_text(table, 0)
	    && batch->columns[spec->keys[0].column].index != NULL
	    && batch->columns[spec->keys[0].column].valid == NULL)
		rc = groups_by_text(table, &batch->columns[spec->keys[0].column], rows, n, groups);
	else
		rc = groups_of_block(table, batch, rows, n, groups);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < n; i++)
		group_table_sums(table, groups[i])[0]++;
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
		const uint64_t *none = table->block_keys;
		rc = group_table_group(table, none, group_table_hash(table, none), &group);
		if (rc == 0)
			group_table_sums(table, group)[0] += batch->n_rows;
		return rc;
	}
	for (uint32_t from = 0; from < batch->n_rows && rc == 0; from += GROUP_BLOCK) {
		uint32_t left = batch->n_rows - from;
		rc = add_block(table, batch, from, left < GROUP_BLOCK ? left : GROUP_BLOCK);
	}
	return rc;
}
