// Parquet's encodings of values, writing (github.com/apache/parquet-format, Encodings.md):
// PLAIN, the hybrid of run lengths and packed bits that indexes into a dictionary and
// definition levels are in, and DELTA_BINARY_PACKED. BYTE_STREAM_SPLIT would make numbers smaller
// by 5 to 10 %, but DuckDB (1.5) does not read it of integers.
//
// Widths may be wider than the values need: a width of whole octets takes more room, and lets
// zstd see values that repeat, which it cannot where they begin at any bit.
//
// Pure: no clock, no file. Errors: those of the buffer, remembered there.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "byte_buffer.h"

enum parquet_encoding { // as the format numbers them
	PARQUET_PLAIN = 0,
	PARQUET_RLE = 3,
	PARQUET_DELTA_BINARY_PACKED = 5,
	PARQUET_RLE_DICTIONARY = 8,
};

// Bits that `max` needs, at least 1: not every reader likes none.
unsigned parquet_width(uint64_t max);

// Octets of a value in PLAIN: 4 or 8; of the value as much is kept.
void parquet_encode_plain(
	struct byte_buffer *out, const int64_t *values, size_t n, unsigned value_bytes
);

// Values below 2^width in RLE/bit-packed hybrid, without a length before it. `width` is 1 to 32.
void parquet_encode_hybrid(
	struct byte_buffer *out, const uint32_t *values, size_t n, unsigned width
);

// The same of values that are all alike.
void parquet_encode_run(struct byte_buffer *out, uint32_t value, size_t n, unsigned width);

// DELTA_BINARY_PACKED. Widths are rounded up to a multiple of `align` bits, 1 or 8.
void parquet_encode_delta(struct byte_buffer *out, const int64_t *values, size_t n, unsigned align);
