// Parquet texts: a dictionary page of texts to the list of them, and whether all differ: who
// groups or compares by index relies on it.
//
// Pure. Errors: NULL = none, else what was wrong, of static storage.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow_key.h"

// Lists the `n` texts of a page, which they point into.
const char *parquet_text_list(
	const uint8_t *bytes, size_t n_bytes, uint32_t n, const char **texts, uint32_t *text_bytes
);

// < 0, 0 or > 0, by octets.
int parquet_text_compare(const char *a, uint32_t a_bytes, const char *b, uint32_t b_bytes);

// Whether each is more than the one before; then all differ.
bool parquet_text_ascend(const char *const *texts, const uint32_t *text_bytes, uint32_t n);

// Whether all differ, in any order. The secret keeps an enemy from choosing texts that collide.
// `table` is of parquet_text_table(n) numbers.
bool parquet_text_differ(
	const char *const *texts,
	const uint32_t *text_bytes,
	uint32_t n,
	uint32_t *table,
	const struct flow_secret *secret
);
uint32_t parquet_text_table(uint32_t n);
