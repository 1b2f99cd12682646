#include "group_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow_key.h"
#include "group_table_internal.h"

enum {
	FIRST_SIZE = 1024,
};

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
	table->width = 2 + spec->n_keys + table->n_values;
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
	free(table->records);
	free(table->slots);
	free(table);
}

uint32_t group_table_groups(const struct group_table *table) {
	return table->n;
}

bool group_table_resize(void *array, size_t n, size_t value_bytes) {
	void **pointer = array, *grown = reallocarray(*pointer, n, value_bytes);
	if (grown == NULL)
		return false;
	*pointer = grown;
	return true;
}

static int grow(struct group_table *table) {
	uint32_t size = table->size == 0 ? FIRST_SIZE : table->size * 2, n_slots = size * 2;

	if (size > UINT32_MAX / 4
	    || !group_table_resize(&table->records, size, table->width * sizeof(*table->records)))
		return -ENOMEM;
	uint32_t *slots = calloc(n_slots, sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < table->n; i++) {
		uint32_t at = (uint32_t)*group_table_record(table, i) & (n_slots - 1);
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

uint64_t group_table_hash(const struct group_table *table, const uint64_t *keys) {
	uint64_t hash = table->secret;

	for (unsigned i = 0; i < table->spec->n_keys; i++) {
		unsigned __int128 product = (unsigned __int128)(hash ^ keys[i])
					    * (table->secret ^ UINT64_C(0x9e3779b97f4a7c15));
		hash = (uint64_t)product ^ (uint64_t)(product >> 64);
	}
	return hash;
}

int group_table_group(
	struct group_table *table, const uint64_t *keys, uint64_t hash, uint32_t *group
) {
	unsigned n_keys = table->spec->n_keys;
	uint32_t at;

	if (table->n == table->size && grow(table) < 0)
		return -ENOMEM;
	for (at = (uint32_t)hash & (table->n_slots - 1); table->slots[at] != 0;
	     at = (at + 1) & (table->n_slots - 1)) {
		*group = table->slots[at] - 1;
		const int64_t *known = group_table_record(table, *group);
		if ((uint64_t)known[0] == hash
		    && memcmp(known + 1, keys, n_keys * sizeof(*keys)) == 0)
			return 0;
	}
	*group = table->n++;
	table->slots[at] = *group + 1;
	int64_t *record = group_table_record(table, *group);
	record[0] = (int64_t)hash;
	for (unsigned i = 0; i < n_keys; i++)
		record[1 + i] = (int64_t)keys[i];
	int64_t *sums = group_table_sums(table, *group);
	sums[0] = 0;
	for (unsigned i = 0; i < table->n_values; i++)
		sums[1 + i] = table->values[i].kind == VALUE_SUM     ? 0
			      : table->values[i].kind == VALUE_LEAST ? INT64_MAX
								     : INT64_MIN;
	return 0;
}

int group_table_merge(struct group_table *table, const struct group_table *other) {
	unsigned n_keys = table->spec->n_keys;
	uint64_t keys[GROUP_MAX_KEYS] = {0};

	for (uint32_t from = 0; from < other->n; from++) {
		uint32_t group, n, number;
		for (unsigned i = 0; i < n_keys; i++) {
			keys[i] = group_table_keys(other, from)[i];
			if (!group_table_is_text(table, i) || keys[i] == 0)
				continue;
			const char *text =
				text_table_at(&other->texts[i], (uint32_t)(keys[i] - 1), &n);
			int rc = text_table_of(&table->texts[i], text, n, &number);
			if (rc < 0)
				return rc;
			keys[i] = (uint64_t)number + 1;
		}
		int rc = group_table_group(table, keys, group_table_hash(table, keys), &group);
		if (rc < 0)
			return rc;
		int64_t *to = group_table_sums(table, group);
		const int64_t *add = group_table_sums(other, from);
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
	uint64_t value = group_table_keys(table, group)[key];
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
	uint64_t value = group_table_keys(table, group)[key];
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
			return group_table_sums(table, group)[1 + i];
	return 0;
}

int64_t group_table_rows(const struct group_table *table, uint32_t group) {
	return group_table_sums(table, group)[0];
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
