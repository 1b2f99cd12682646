// Packed bits to numbers: 32 values of `width` bits, the lowest bit first, which are 4 * width
// octets. Up to 8 octets behind them are read too, and must be there.
//
// One loop for each width: the compiler then knows every shift, and a value costs a load, a
// shift and a mask.
//
// Pure.

#pragma once

#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_common.h>

enum {
	UNPACK_VALUES = 32,
	UNPACK_SLACK_BYTES = 8,
};

static inline uint64_t unpack_get64(const uint8_t *in) {
	uint64_t v;
	memcpy(&v, in, sizeof(v));
	return rte_le_to_cpu_64(v);
}

// `width` is 1 to 57: with 7 bits before it a value is within 8 octets.
static __rte_always_inline uint64_t unpack_one(const uint8_t *in, unsigned width, unsigned i) {
	uint64_t bits = unpack_get64(in + (i * width >> 3)) >> (i * width & 7);
	return bits & (~UINT64_C(0) >> (64 - width));
}

void unpack_32(const uint8_t *in, unsigned width, uint32_t *out); // width 0 to 32
void unpack_64(const uint8_t *in, unsigned width, uint64_t *out); // width 0 to 64
