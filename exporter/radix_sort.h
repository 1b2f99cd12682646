// Radix sort: 32-bit numbers in the ascending order of their 64-bit keys. Stable, and of linear
// time, so nobody can choose keys that make it slow.
//
// Pure.

#pragma once

#include <stddef.h>
#include <stdint.h>

// Sorts `values` and `keys` together; `spare_values` and `spare_keys` have room for `n` too.
void radix_sort(
	uint32_t *values, uint32_t *spare_values, uint64_t *keys, uint64_t *spare_keys, size_t n
);
