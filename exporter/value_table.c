#include "value_table.h"

#include <stdlib.h>
#include <string.h>

enum {
	LEAST_SIZE = 256,
};

void value_table_init(struct value_table *table, bool pairs, uint64_t secret) {
	*table = (struct value_table){.pairs = pairs, .secret = secret};
}

void value_table_done(struct value_table *table) {
	free(table->low);
	free(table->high);
	free(table->slots);
	value_table_init(table, table->pairs, table->secret);
}

void value_table_reset(struct value_table *table) {
	// A large table that held few values is emptied by its values.
	if (table->n < table->n_slots / 16) {
		for (uint32_t i = 0; i < table->n; i++) {
			uint64_t high = table->pairs ? table->high[i] : 0;
			uint32_t slot = value_table_slot(table->low[i], high, table->secret);
			for (slot &= table->n_slots - 1; table->slots[slot] != 0;
			     slot = (slot + 1) & (table->n_slots - 1))
				table->slots[slot] = 0;
		}
	} else if (table->n_slots != 0) {
		memset(table->slots, 0, table->n_slots * sizeof(table->slots[0]));
	}
	table->n = 0;
}

static bool grow_words(uint64_t **words, uint32_t size) {
	uint64_t *grown = realloc(*words, size * sizeof(**words));
	if (grown == NULL)
		return false;
	*words = grown;
	return true;
}

bool value_table_grow(struct value_table *table) {
	uint32_t size = table->size == 0 ? LEAST_SIZE : table->size * 2, n_slots = size * 2;
	uint32_t *slots;

	if (size > UINT32_MAX / 4 || !grow_words(&table->low, size)
	    || (table->pairs && !grow_words(&table->high, size))
	    || (slots = calloc(n_slots, sizeof(*slots))) == NULL)
		return false;
	for (uint32_t i = 0; i < table->n; i++) {
		uint64_t high = table->pairs ? table->high[i] : 0;
		uint32_t slot = value_table_slot(table->low[i], high, table->secret);
		for (slot &= n_slots - 1; slots[slot] != 0; slot = (slot + 1) & (n_slots - 1))
			;
		slots[slot] = i + 1;
	}
	free(table->slots);
	table->slots = slots;
	table->n_slots = n_slots;
	table->size = size;
	return true;
}
