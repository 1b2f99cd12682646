#include "radix_sort.h"

#include <string.h>

enum {
	DIGIT_BITS = 8,
	N_DIGITS = 64 / DIGIT_BITS,
	N_BUCKETS = 1 << DIGIT_BITS,
};

static unsigned digit(uint64_t key, unsigned which) {
	return (unsigned)(key >> which * DIGIT_BITS) % N_BUCKETS;
}

static void sort_digit(
	const uint32_t *values,
	uint32_t *to_values,
	const uint64_t *keys,
	uint64_t *to_keys,
	size_t n,
	unsigned which
) {
	size_t begins[N_BUCKETS] = {0}, begin = 0;

	for (size_t i = 0; i < n; i++)
		begins[digit(keys[i], which)]++;
	for (unsigned i = 0; i < N_BUCKETS; i++) {
		size_t in_bucket = begins[i];
		begins[i] = begin;
		begin += in_bucket;
	}
	for (size_t i = 0; i < n; i++) {
		size_t to = begins[digit(keys[i], which)]++;
		to_values[to] = values[i];
		to_keys[to] = keys[i];
	}
}

void radix_sort(
	uint32_t *values, uint32_t *spare_values, uint64_t *keys, uint64_t *spare_keys, size_t n
) {
	uint32_t *from_values = values, *to_values = spare_values;
	uint64_t *from_keys = keys, *to_keys = spare_keys;
	uint64_t differ = 0;

	for (size_t i = 1; i < n; i++)
		differ |= keys[i] ^ keys[0];
	for (unsigned which = 0; which < N_DIGITS; which++) {
		if (digit(differ, which) == 0)
			continue;
		sort_digit(from_values, to_values, from_keys, to_keys, n, which);
		uint32_t *sorted_values = to_values;
		uint64_t *sorted_keys = to_keys;
		to_values = from_values;
		to_keys = from_keys;
		from_values = sorted_values;
		from_keys = sorted_keys;
	}
	if (from_values != values && n != 0) {
		memcpy(values, from_values, n * sizeof(*values));
		memcpy(keys, from_keys, n * sizeof(*keys));
	}
}
