// Text table: numbers each different text by the order in which it first came.
//
// The hash is keyed with a secret, so that nobody who sends packets can choose texts that collide.
//
// Threads: one at a time. Errors: -ENOMEM.

#pragma once

#include <stddef.h>
#include <stdint.h>

struct text_table {
	uint32_t n;
	char *octets; // of all texts, one after the other
	size_t n_octets, octets_size;
	size_t *ends;     // of each text in `octets`
	uint64_t *hashes; // of each text
	uint32_t size;    // texts that there is room for
	uint32_t *slots;  // number + 1, or 0; a power of two
	uint32_t n_slots;
	uint64_t secret;
};

void text_table_init(struct text_table *table, uint64_t secret);
void text_table_done(struct text_table *table);

// The number of a text, which is given one where it is new, into `number`.
[[nodiscard]] int
text_table_of(struct text_table *table, const char *text, uint32_t n, uint32_t *number);

// Not ended by a 0; the table's until the next text is added.
static inline const char *
text_table_at(const struct text_table *table, uint32_t number, uint32_t *n) {
	size_t begin = number == 0 ? 0 : table->ends[number - 1];
	*n = (uint32_t)(table->ends[number] - begin);
	return table->octets + begin;
}
