#include "top_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int top_table_init(struct top_table *table, uint32_t n_sets) {
	*table = (struct top_table){.n_sets = n_sets};
	table->entries = calloc(top_table_room(table), sizeof(*table->entries));
	return table->entries == NULL ? -ENOMEM : 0;
}

void top_table_done(struct top_table *table) {
	free(table->entries);
	*table = (struct top_table){0};
}

void top_table_clear(struct top_table *table) {
	memset(table->entries, 0, top_table_room(table) * sizeof(*table->entries));
	table->displaced = 0;
	table->displaced_weight = 0;
}

struct top_entry *
top_table_take(struct top_table *table, const struct flow_key *key, double weight, bool *is_new) {
	// The fixed secret does: whoever fills one set displaces from it what weighs less, and no
	// more than that.
	uint64_t hash = flow_key_hash(key, &flow_secret_fixed);
	struct top_entry *set = &table->entries[(hash & (table->n_sets - 1)) * TOP_TABLE_WAYS];
	struct top_entry *least = &set[0];

	*is_new = false;
	for (unsigned way = 0; way < TOP_TABLE_WAYS; way++) {
		struct top_entry *entry = &set[way];
		if (entry->key.family == 0) { // none is behind it: entries leave for others alone
			*entry = (struct top_entry){.key = *key};
			*is_new = true;
			return entry;
		}
		if (flow_key_equal(&entry->key, key))
			return entry;
		if (entry->weight < least->weight)
			least = entry;
	}
	table->displaced++;
	if (least->weight > weight) {
		table->displaced_weight += weight;
		return NULL;
	}
	table->displaced_weight += least->weight;
	*least = (struct top_entry){.key = *key};
	*is_new = true;
	return least;
}
