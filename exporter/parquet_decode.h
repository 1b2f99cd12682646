// Parquet's encodings of values, reading (the format's own specification, Encodings.md): PLAIN,
// the hybrid of runs and packed bits that levels and dictionary indexes are in,
// DELTA_BINARY_PACKED and BYTE_STREAM_SPLIT. Values come in blocks, not one a call.
//
// The bytes may be made by an enemy: nothing is read beyond them, and the time is that of the
// octets and values.
//
// Pure. Errors: NULL = none, else what was wrong, of static storage.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum parquet_coding { // as the format numbers them
	CODING_PLAIN = 0,
	CODING_PLAIN_DICTIONARY = 2, // the old name of PLAIN or RLE_DICTIONARY
	CODING_RLE = 3,
	CODING_DELTA_BINARY_PACKED = 5,
	CODING_RLE_DICTIONARY = 8,
	CODING_BYTE_STREAM_SPLIT = 9,
};

// Its name, for messages; "?" where there is none.
const char *parquet_coding_name(int coding);

// The hybrid: runs of one value, and groups of eight packed values.
struct parquet_hybrid {
	const uint8_t *at, *end;
	unsigned width;    // bits of a value, 0 to 32
	uint64_t n_run;    // values left of the run
	uint64_t n_packed; // values left of the packed groups
	uint32_t value;    // of the run
	uint32_t n_held;   // unpacked and not yet taken: the last of `held`
	uint32_t held[32];
};

static inline struct parquet_hybrid
parquet_hybrid_of(const uint8_t *bytes, size_t n, unsigned width) {
	return (struct parquet_hybrid){.at = bytes, .end = bytes + n, .width = width};
}

const char *parquet_decode_hybrid(struct parquet_hybrid *hybrid, uint32_t *out, size_t n);

// That nothing is left, but for what fills up the last packed group.
const char *parquet_hybrid_end(const struct parquet_hybrid *hybrid);

// Takes levels of 0 and 1, and counts the ones.
const char *
parquet_decode_levels(const uint8_t *bytes, size_t n_bytes, uint8_t *out, size_t n, size_t *n_ones);

// Numbers of `value_bytes`, 4 or 8; those of 4 are signed. All of `n_bytes` must be used.
const char *parquet_decode_plain(
	const uint8_t *bytes, size_t n_bytes, unsigned value_bytes, int64_t *out, size_t n
);
const char *parquet_decode_split(
	const uint8_t *bytes, size_t n_bytes, unsigned value_bytes, int64_t *out, size_t n
);
const char *parquet_decode_delta(
	const uint8_t *bytes, size_t n_bytes, unsigned value_bytes, int64_t *out, size_t n
);

// A page of dictionary indexes: their width, then the hybrid. Every index must be below
// `n_texts`; parquet_decode_indexed() looks up numbers.
const char *parquet_decode_indexes(
	const uint8_t *bytes, size_t n_bytes, uint32_t n_texts, uint32_t *out, size_t n
);
const char *parquet_decode_indexed(
	const uint8_t *bytes,
	size_t n_bytes,
	const int64_t *dictionary,
	uint32_t n_dictionary,
	int64_t *out,
	size_t n
);
