// Value table: numbers each different value by the order in which it first came. The dictionary
// of a column is made from it: 32-bit and 48-bit and 64-bit values by their low word, and
// IPv6 addresses as two.
//
// A table that only has low words must be asked for those alone. What the hash is keyed with is
// secret, so that nobody who sends packets can choose which of them collide; the numbers do
// not depend on it.
//
// Threads: one at a time. Errors: see each function.

#pragma once

#include <stdbool.h>
#include <stdint.h>

struct value_table {
	uint32_t n;       // values
	uint64_t *low;    // of each value
	uint64_t *high;   // of each, in a table of pairs
	uint32_t *slots;  // number + 1, or 0; a power of two of them
	uint32_t n_slots; // at least twice `size`
	uint32_t size;    // values that there is room for
	uint64_t secret;
	bool pairs;
};

// What value_table_of() returns where it has no memory.
#define VALUE_TABLE_FULL UINT32_MAX

void value_table_init(struct value_table *table, bool pairs, uint64_t secret);
void value_table_done(struct value_table *table);

// Forgets the values and keeps the memory.
void value_table_reset(struct value_table *table);

// Makes room for twice as many values. False without memory; the table remains as it is.
[[nodiscard]] bool value_table_grow(struct value_table *table);

static inline uint32_t value_table_slot(uint64_t low, uint64_t high, uint64_t secret) {
	unsigned __int128 product = (unsigned __int128)(low ^ secret)
				    * (high ^ UINT64_C(0x9e3779b97f4a7c15) ^ secret << 1);
	return (uint32_t)((uint64_t)product ^ (uint64_t)(product >> 64));
}

static inline uint32_t
value_table_add(struct value_table *table, uint64_t low, uint64_t high, uint32_t slot) {
	if (table->n == table->size) {
		if (!value_table_grow(table))
			return VALUE_TABLE_FULL;
		slot = value_table_slot(low, high, table->secret) & (table->n_slots - 1);
		while (table->slots[slot] != 0)
			slot = (slot + 1) & (table->n_slots - 1);
	}
	table->low[table->n] = low;
	if (table->pairs)
		table->high[table->n] = high;
	table->slots[slot] = ++table->n;
	return table->n - 1;
}

// The number of a value, which is given one where it is new. VALUE_TABLE_FULL without memory.
static inline uint32_t value_table_of(struct value_table *table, uint64_t low) {
	if (table->n_slots == 0 && !value_table_grow(table))
		return VALUE_TABLE_FULL;
	uint32_t slot = value_table_slot(low, 0, table->secret) & (table->n_slots - 1);
	for (; table->slots[slot] != 0; slot = (slot + 1) & (table->n_slots - 1))
		if (table->low[table->slots[slot] - 1] == low)
			return table->slots[slot] - 1;
	return value_table_add(table, low, 0, slot);
}

static inline uint32_t value_table_of_pair(struct value_table *table, uint64_t low, uint64_t high) {
	if (table->n_slots == 0 && !value_table_grow(table))
		return VALUE_TABLE_FULL;
	uint32_t slot = value_table_slot(low, high, table->secret) & (table->n_slots - 1);
	for (; table->slots[slot] != 0; slot = (slot + 1) & (table->n_slots - 1))
		if (table->low[table->slots[slot] - 1] == low
		    && table->high[table->slots[slot] - 1] == high)
			return table->slots[slot] - 1;
	return value_table_add(table, low, high, slot);
}
