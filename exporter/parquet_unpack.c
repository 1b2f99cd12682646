#include "parquet_unpack.h"

// By eights: they begin at an octet again, and eight the compiler unrolls.
#define LOOP(width)                                                                                \
	case width:                                                                                \
		for (unsigned j = 0; j < UNPACK_VALUES; j += 8, in += width)                       \
			for (unsigned i = 0; i < 8; i++)                                           \
				out[j + i] = (typeof(*out))unpack_one(in, width, i);               \
		return;
#define LOOPS_OF_8(from)                                                                           \
	LOOP(from)                                                                                 \
	LOOP(from + 1)                                                                             \
	LOOP(from + 2)                                                                             \
	LOOP(from + 3)                                                                             \
	LOOP(from + 4)                                                                             \
	LOOP(from + 5)                                                                             \
	LOOP(from + 6)                                                                             \
	LOOP(from + 7)
#define LOOPS_TO_32 LOOPS_OF_8(1) LOOPS_OF_8(9) LOOPS_OF_8(17) LOOPS_OF_8(25)

void unpack_32(const uint8_t *in, unsigned width, uint32_t *out) {
	switch (width) {
		LOOPS_TO_32
	default:
		memset(out, 0, UNPACK_VALUES * sizeof(*out));
	}
}

// Differences this wide are rare, so one loop does for them all.
static void unpack_wide(const uint8_t *in, unsigned width, uint64_t *out) {
	for (unsigned i = 0; i < UNPACK_VALUES; i++) {
		unsigned first = i * width & 7;
		const uint8_t *at = in + (i * width >> 3);
		uint64_t bits = unpack_get64(at) >> first;
		// A shift by 64 is no shift; where `first` is 0 the 8 octets have it all.
		if (first != 0)
			bits |= (uint64_t)at[8] << (64 - first);
		out[i] = bits & (~UINT64_C(0) >> (64 - width));
	}
}

void unpack_64(const uint8_t *in, unsigned width, uint64_t *out) {
	switch (width) {
		LOOPS_TO_32
	case 0:
		memset(out, 0, UNPACK_VALUES * sizeof(*out));
		return;
	default:
		unpack_wide(in, width, out);
	}
}
