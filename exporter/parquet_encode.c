#include "parquet_encode.h"

enum {
	PACK_GROUP = 8,       // values that the hybrid packs together
	LEAST_RUN = 16,       // values; shorter ones are left among the packed
	DELTA_BLOCK = 128,    // the smallest that the format allows
	DELTA_MINIBLOCKS = 4, // of a block
	DELTA_MINIBLOCK = DELTA_BLOCK / DELTA_MINIBLOCKS,
};

unsigned parquet_width(uint64_t max) {
	return max == 0 ? 1 : 64 - (unsigned)__builtin_clzll(max);
}

void parquet_encode_plain(
	struct byte_buffer *out, const int64_t *values, size_t n, unsigned value_bytes
) {
	if (!byte_buffer_reserve(out, n * value_bytes))
		return;
	uint8_t *at = out->bytes + out->n;
	if (value_bytes == 8) {
		memcpy(at, values, n * 8
		); // weir runs on little-endian machines alone, as Parquet is
	} else {
		for (size_t i = 0; i < n; i++) {
			uint32_t v = (uint32_t)values[i];
			memcpy(at + i * 4, &v, 4);
		}
	}
	out->n += n * value_bytes;
}

// Packs `n` values of `width` bits, lowest bit first, into n * width / 8 octets; n * width is a
// multiple of 8. Up to 8 octets behind them are overwritten.
static uint8_t *pack32(uint8_t *at, const uint32_t *values, size_t n, unsigned width) {
	if (width == 8) {
		for (size_t i = 0; i < n; i++)
			at[i] = (uint8_t)values[i];
		return at + n;
	}
	uint64_t bits = 0;
	unsigned n_bits = 0;
	for (size_t i = 0; i < n; i++) {
		bits |= (uint64_t)values[i] << n_bits;
		n_bits += width;
		if (n_bits >= 32) {
			memcpy(at, &bits, 4);
			at += 4;
			bits >>= 32;
			n_bits -= 32;
		}
	}
	memcpy(at, &bits, 8);
	return at + n_bits / 8;
}

static uint8_t *pack64(uint8_t *at, const uint64_t *values, size_t n, unsigned width) {
	unsigned __int128 bits = 0;
	unsigned n_bits = 0;

	for (size_t i = 0; i < n; i++) {
		bits |= (unsigned __int128)values[i] << n_bits;
		n_bits += width;
		if (n_bits >= 64) {
			uint64_t low = (uint64_t)bits;
			memcpy(at, &low, 8);
			at += 8;
			bits >>= 64;
			n_bits -= 64;
		}
	}
	uint64_t rest = (uint64_t)bits;
	memcpy(at, &rest, 8);
	return at + n_bits / 8;
}

void parquet_encode_run(struct byte_buffer *out, uint32_t value, size_t n, unsigned width) {
	uint8_t bytes[4] = {
		(uint8_t)value,
		(uint8_t)(value >> 8),
		(uint8_t)(value >> 16),
		(uint8_t)(value >> 24)};
	byte_buffer_put_varint(out, (uint64_t)n << 1);
	byte_buffer_put(out, bytes, (width + 7) / 8);
}

// The last group is filled up with zeros, which readers leave out by the number of values.
static void put_packed(struct byte_buffer *out, const uint32_t *values, size_t n, unsigned width) {
	size_t whole = n / PACK_GROUP * PACK_GROUP, groups = (n + PACK_GROUP - 1) / PACK_GROUP;
	uint32_t last[PACK_GROUP] = {0};

	if (n == 0)
		return;
	byte_buffer_put_varint(out, (uint64_t)groups << 1 | 1);
	if (!byte_buffer_reserve(out, groups * width + 2 * sizeof(uint64_t)))
		return;
	uint8_t *at = pack32(out->bytes + out->n, values, whole, width);
	if (whole < n) {
		memcpy(last, values + whole, (n - whole) * sizeof(last[0]));
		pack32(at, last, PACK_GROUP, width);
	}
	out->n += groups * width;
}

void parquet_encode_hybrid(
	struct byte_buffer *out, const uint32_t *values, size_t n, unsigned width
) {
	size_t from = 0; // not written yet, to be packed

	for (size_t i = 0; i < n;) {
		size_t end = i + 1;
		while (end < n && values[end] == values[i])
			end++;
		// What is packed before a run must be whole groups: the run gives up its begin.
		size_t begin = i + (PACK_GROUP - (i - from) % PACK_GROUP) % PACK_GROUP;
		if (end >= begin + LEAST_RUN) {
			put_packed(out, values + from, begin - from, width);
			parquet_encode_run(out, values[i], end - begin, width);
			from = end;
		}
		i = end;
	}
	put_packed(out, values + from, n - from, width);
}

static unsigned rounded(unsigned width, unsigned align) {
	return (width + align - 1) / align * align;
}

// `deltas` are `n` of a block, the rest of which counts as the least delta.
static void put_block(struct byte_buffer *out, const int64_t *deltas, unsigned n, unsigned align) {
	uint64_t above[DELTA_BLOCK] = {0}; // the least, in two's complement, as the format wraps
	uint8_t widths[DELTA_MINIBLOCKS] = {0};
	int64_t least = deltas[0];

	for (unsigned i = 1; i < n; i++)
		least = deltas[i] < least ? deltas[i] : least;
	for (unsigned i = 0; i < n; i++)
		above[i] = (uint64_t)deltas[i] - (uint64_t)least;
	for (unsigned m = 0; m < DELTA_MINIBLOCKS; m++) {
		uint64_t all = 0;
		for (unsigned i = 0; i < DELTA_MINIBLOCK; i++)
			all |= above[m * DELTA_MINIBLOCK + i];
		widths[m] = all == 0 ? 0 : (uint8_t)rounded(parquet_width(all), align);
	}
	byte_buffer_put_zigzag(out, least);
	byte_buffer_put(out, widths, sizeof(widths));
	if (!byte_buffer_reserve(out, sizeof(above) + sizeof(uint64_t)))
		return;
	uint8_t *at = out->bytes + out->n;
	// A miniblock without values has no octets, though a width.
	for (unsigned m = 0; m * DELTA_MINIBLOCK < n; m++)
		if (widths[m] != 0)
			at = pack64(at, above + m * DELTA_MINIBLOCK, DELTA_MINIBLOCK, widths[m]);
	out->n = (size_t)(at - out->bytes);
}

void parquet_encode_delta(
	struct byte_buffer *out, const int64_t *values, size_t n, unsigned align
) {
	byte_buffer_put_varint(out, DELTA_BLOCK);
	byte_buffer_put_varint(out, DELTA_MINIBLOCKS);
	byte_buffer_put_varint(out, n);
	byte_buffer_put_zigzag(out, n == 0 ? 0 : values[0]);
	for (size_t i = 1; i < n; i += DELTA_BLOCK) {
		int64_t deltas[DELTA_BLOCK] = {0};
		unsigned in_block = n - i < DELTA_BLOCK ? (unsigned)(n - i) : DELTA_BLOCK;
		for (unsigned j = 0; j < in_block; j++)
			deltas[j] =
				(int64_t)((uint64_t)values[i + j] - (uint64_t)values[i + j - 1]);
		put_block(out, deltas, in_block, align);
	}
}
