#include "text_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_SIZE = 1024,
};

void text_table_init(struct text_table *table, uint64_t secret) {
	*table = (struct text_table){.secret = secret | 1};
}

void text_table_done(struct text_table *table) {
	free(table->octets);
	free(table->ends);
	free(table->hashes);
	free(table->slots);
	*table = (struct text_table){0};
}

static uint64_t mix(uint64_t a, uint64_t b) {
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct text_table *table, const char *text, uint32_t n) {
	uint64_t hash = table->secret ^ n, word;

	for (; n > 8; text += 8, n -= 8) {
		memcpy(&word, text, 8);
		hash = mix(hash ^ word, table->secret ^ UINT64_C(0x9e3779b97f4a7c15));
	}
	word = 0;
	memcpy(&word, text, n);
	return mix(hash ^ word, table->secret ^ UINT64_C(0xbf58476d1ce4e5b9));
}

static bool resize(void *array, size_t n, size_t value_bytes) {
	void **pointer = array, *grown = reallocarray(*pointer, n, value_bytes);
	if (grown == NULL)
		return false;
	*pointer = grown;
	return true;
}

static int grow(struct text_table *table) {
	uint32_t size = table->size == 0 ? FIRST_SIZE : table->size * 2;
	uint32_t n_slots = size * 2, *slots;

	if (size > UINT32_MAX / 4 || !resize(&table->ends, size, sizeof(*table->ends))
	    || !resize(&table->hashes, size, sizeof(*table->hashes)))
		return -ENOMEM;
	slots = calloc(n_slots, sizeof(*slots));
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

int text_table_of(struct text_table *table, const char *text, uint32_t n, uint32_t *number) {
	uint64_t hash = hash_of(table, text, n);
	uint32_t at, n_known;

	if (table->n == table->size && grow(table) < 0)
		return -ENOMEM;
	for (at = (uint32_t)hash & (table->n_slots - 1); table->slots[at] != 0;
	     at = (at + 1) & (table->n_slots - 1)) {
		*number = table->slots[at] - 1;
		if (table->hashes[*number] != hash)
			continue;
		const char *known = text_table_at(table, *number, &n_known);
		if (n_known == n && memcmp(known, text, n) == 0)
			return 0;
	}
	if (table->octets_size - table->n_octets < n) {
		size_t octets_size = table->octets_size * 2 + n + 64 * (size_t)FIRST_SIZE;
		if (!resize(&table->octets, octets_size, 1))
			return -ENOMEM;
		table->octets_size = octets_size;
	}
	memcpy(table->octets + table->n_octets, text, n);
	table->n_octets += n;
	table->ends[table->n] = table->n_octets;
	table->hashes[table->n] = hash;
	*number = table->n++;
	table->slots[at] = *number + 1;
	return 0;
}
