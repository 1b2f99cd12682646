#include "parquet_decode.h"

#include <rte_branch_prediction.h>

#include "parquet_unpack.h"

enum {
	BLOCK = 1024, // values on the way, which stay in the first-level cache
	// Packed values may be more than the page has, to fill up a group of 8. DuckDB fills up
	// 256.
	MOST_PADDING = 256,
};

static const char cut_short[] = "values cut short";

const char *parquet_coding_name(int coding) {
	static const char *const names[] = {
		"PLAIN",
		"?",
		"PLAIN_DICTIONARY",
		"RLE",
		"BIT_PACKED",
		"DELTA_BINARY_PACKED",
		"DELTA_LENGTH_BYTE_ARRAY",
		"DELTA_BYTE_ARRAY",
		"RLE_DICTIONARY",
		"BYTE_STREAM_SPLIT",
	};
	return coding >= 0 && (size_t)coding < RTE_DIM(names) ? names[coding] : "?";
}

// Seven bits an octet, the least first. False where it is cut short or has more than 64 bits.
static bool varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
	*value = 0;
	for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
		uint8_t next = *(*at)++;
		if (shift == 63 && next > 1)
			return false;
		*value |= (uint64_t)(next & 0x7f) << shift;
		if (next < 0x80)
			return true;
	}
	return false;
}

static bool zigzag(const uint8_t **at, const uint8_t *end, uint64_t *value) {
	bool good = varint(at, end, value);
	*value = *value >> 1 ^ -(*value & 1);
	return good;
}

// The head of a run or of packed groups.
static const char *next_run(struct parquet_hybrid *hybrid) {
	unsigned value_bytes = (hybrid->width + 7) / 8;
	uint64_t head;

	if (!varint(&hybrid->at, hybrid->end, &head))
		return cut_short;
	size_t left = (size_t)(hybrid->end - hybrid->at);
	if (head >> 1 == 0)
		return "a run of no values";
	if ((head & 1) != 0) {
		// Width 0 has no octets to bound it: as many values as are asked for.
		if (head >> 1 > UINT32_MAX || (head >> 1) * hybrid->width > left)
			return cut_short;
		hybrid->n_packed = (head >> 1) * 8;
		return NULL;
	}
	if (left < value_bytes)
		return cut_short;
	hybrid->n_run = head >> 1;
	hybrid->value = 0;
	for (unsigned i = 0; i < value_bytes; i++)
		hybrid->value |= (uint32_t)*hybrid->at++ << 8 * i;
	if (hybrid->width < 32 && hybrid->value >> hybrid->width != 0)
		return "a run of a value of more bits than its width";
	return NULL;
}

// Unpacks up to 32 values into `held`, from a copy: what unpacking reads beyond the values may
// not be there.
static void hold(struct parquet_hybrid *hybrid) {
	uint8_t copy[UNPACK_VALUES * sizeof(uint32_t) + UNPACK_SLACK_BYTES] = {0};
	uint32_t n = (uint32_t)RTE_MIN(hybrid->n_packed, (uint64_t)UNPACK_VALUES);
	uint32_t values[UNPACK_VALUES];
	size_t bytes = (size_t)n * hybrid->width / 8;

	memcpy(copy, hybrid->at, bytes);
	unpack_32(copy, hybrid->width, values);
	memcpy(hybrid->held + UNPACK_VALUES - n, values, n * sizeof(*values));
	hybrid->at += bytes;
	hybrid->n_packed -= n;
	hybrid->n_held = n;
}

// Takes packed values, 32 at a time, straight to where they go. Where there are not so many,
// holds some and takes none.
static size_t take_packed(struct parquet_hybrid *hybrid, uint32_t *out, size_t n) {
	size_t bytes = (size_t)UNPACK_VALUES * hybrid->width / 8;
	size_t whole = RTE_MIN(n, hybrid->n_packed) / UNPACK_VALUES, taken = 0;
	size_t left = (size_t)(hybrid->end - hybrid->at);

	for (; whole > 0 && left >= bytes + UNPACK_SLACK_BYTES; whole--) {
		unpack_32(hybrid->at, hybrid->width, out + taken);
		hybrid->at += bytes;
		left -= bytes;
		taken += UNPACK_VALUES;
	}
	hybrid->n_packed -= taken;
	if (taken == 0)
		hold(hybrid);
	return taken;
}

const char *parquet_decode_hybrid(struct parquet_hybrid *hybrid, uint32_t *out, size_t n) {
	for (size_t taken; n > 0; out += taken, n -= taken) {
		taken = 0;
		if (hybrid->n_held > 0) {
			taken = RTE_MIN(n, hybrid->n_held);
			memcpy(out,
			       hybrid->held + UNPACK_VALUES - hybrid->n_held,
			       taken * sizeof(*out));
			hybrid->n_held -= (uint32_t)taken;
		} else if (hybrid->n_run > 0) {
			taken = RTE_MIN(n, hybrid->n_run);
			for (size_t i = 0; i < taken; i++)
				out[i] = hybrid->value;
			hybrid->n_run -= taken;
		} else if (hybrid->n_packed > 0) {
			taken = take_packed(hybrid, out, n);
		} else {
			const char *error = next_run(hybrid);
			if (error != NULL)
				return error;
		}
	}
	return NULL;
}

const char *parquet_hybrid_end(const struct parquet_hybrid *hybrid) {
	size_t left = (size_t)(hybrid->end - hybrid->at);

	if (hybrid->n_run > 0 || hybrid->n_packed + hybrid->n_held >= MOST_PADDING
	    || hybrid->n_packed * hybrid->width / 8 != left)
		return "more values than the page has";
	return NULL;
}

const char *parquet_decode_levels(
	const uint8_t *bytes, size_t n_bytes, uint8_t *out, size_t n, size_t *n_ones
) {
	struct parquet_hybrid hybrid = parquet_hybrid_of(bytes, n_bytes, 1);
	uint32_t block[BLOCK];
	const char *error;

	*n_ones = 0;
	for (size_t done = 0, count; done < n; done += count) {
		count = RTE_MIN(n - done, BLOCK);
		error = parquet_decode_hybrid(&hybrid, block, count);
		if (error != NULL)
			return error;
		uint32_t ones = 0;
		for (size_t i = 0; i < count; i++) {
			out[done + i] = (uint8_t)block[i];
			ones += block[i];
		}
		*n_ones += ones;
	}
	return parquet_hybrid_end(&hybrid);
}

const char *parquet_decode_plain(
	const uint8_t *bytes, size_t n_bytes, unsigned value_bytes, int64_t *out, size_t n
) {
	if (n_bytes / value_bytes != n || n_bytes % value_bytes != 0)
		return "values are not as many octets as their number says";
	for (size_t i = 0; i < n && value_bytes == 4; i++) {
		uint32_t v;
		memcpy(&v, bytes + 4 * i, sizeof(v));
		out[i] = (int32_t)rte_le_to_cpu_32(v);
	}
	for (size_t i = 0; i < n && value_bytes == 8; i++)
		out[i] = (int64_t)unpack_get64(bytes + 8 * i);
	return NULL;
}

// The first octets of all values, then the second ones, and so on. In blocks, so that the values
// are still in the cache when the next octets come.
const char *parquet_decode_split(
	const uint8_t *bytes, size_t n_bytes, unsigned value_bytes, int64_t *out, size_t n
) {
	if (n_bytes / value_bytes != n || n_bytes % value_bytes != 0)
		return "values are not as many octets as their number says";
	for (size_t done = 0, count; done < n; done += count) {
		count = RTE_MIN(n - done, BLOCK);
		const uint8_t *top = bytes + (value_bytes - 1) * n + done;
		int64_t *values = out + done;
		for (size_t i = 0; i < count; i++)
			values[i] = (top[i] ^ 0x80) - 0x80; // the sign is in it
		for (const uint8_t *next = top; next != bytes + done;) {
			next -= n;
			for (size_t i = 0; i < count; i++)
				values[i] = (int64_t)((uint64_t)values[i] << 8 | next[i]);
		}
	}
	return NULL;
}

struct delta {
	const uint8_t *at, *end;
	uint64_t last;
	bool narrow; // values of 32 bits: their sums wrap around in 32
};

// Up to 32 values, whose octets are there: each the one before it, and the least difference, and
// the packed one.
static void
delta_values(struct delta *delta, uint64_t least, unsigned width, int64_t *out, size_t n) {
	uint8_t copy[UNPACK_VALUES * sizeof(uint64_t) + UNPACK_SLACK_BYTES] = {0};
	uint64_t packed[UNPACK_VALUES];
	size_t bytes = (size_t)UNPACK_VALUES * width / 8, left = (size_t)(delta->end - delta->at);
	const uint8_t *from = delta->at;
	uint64_t last = delta->last;

	if (unlikely(left < bytes + UNPACK_SLACK_BYTES)) {
		memcpy(copy, from, bytes);
		from = copy;
	}
	unpack_64(from, width, packed);
	if (delta->narrow)
		for (size_t i = 0; i < n; i++)
			out[i] = (int32_t)(last += least + packed[i]);
	else
		for (size_t i = 0; i < n; i++)
			out[i] = (int64_t)(last += least + packed[i]);
	delta->last = last;
	delta->at += bytes;
}

// A block: the least difference, a width for each of its parts, the parts. Parts that no value
// needs have a width but no octets.
static const char *
delta_block(struct delta *delta, uint64_t n_parts, uint64_t part, int64_t *out, size_t n) {
	const uint8_t *widths;
	uint64_t least;

	if (!zigzag(&delta->at, delta->end, &least) || n_parts > (size_t)(delta->end - delta->at))
		return cut_short;
	widths = delta->at;
	delta->at += n_parts;
	for (uint64_t i = 0; i < n_parts && n > 0; i++) {
		if (widths[i] > 64)
			return "a difference of more than 64 bits";
		if ((size_t)(delta->end - delta->at) < part * widths[i] / 8)
			return cut_short;
		const uint8_t *next = delta->at + part * widths[i] / 8;
		for (uint64_t done = 0; done < part && n > 0; done += UNPACK_VALUES) {
			size_t count = RTE_MIN(n, (size_t)UNPACK_VALUES);
			delta_values(delta, least, widths[i], out, count);
			out += count;
			n -= count;
		}
		delta->at = next; // a part is whole, also where the values end in it
	}
	return NULL;
}

const char *parquet_decode_delta(
	const uint8_t *bytes, size_t n_bytes, unsigned value_bytes, int64_t *out, size_t n
) {
	struct delta delta = {.at = bytes, .end = bytes + n_bytes, .narrow = value_bytes == 4};
	uint64_t block, n_parts, total;
	const char *error = NULL;

	if (!varint(&delta.at, delta.end, &block) || !varint(&delta.at, delta.end, &n_parts)
	    || !varint(&delta.at, delta.end, &total) || !zigzag(&delta.at, delta.end, &delta.last))
		return cut_short;
	if (block == 0 || block > 1 << 16 || block % 128 != 0 || n_parts == 0
	    || block % n_parts != 0 || block / n_parts % UNPACK_VALUES != 0)
		return "differences in blocks of a size that there is not";
	if (total != n)
		return "not as many values as the page has";
	if (n > 0)
		out[0] = delta.narrow ? (int32_t)delta.last : (int64_t)delta.last;
	for (size_t done = 1; done < n && error == NULL; done += block)
		error = delta_block(
			&delta, n_parts, block / n_parts, out + done, RTE_MIN(n - done, block)
		);
	if (error == NULL && delta.at != delta.end)
		error = "octets left behind the values";
	return error;
}

static const char *indexes_of(struct parquet_hybrid *hybrid, const uint8_t *bytes, size_t n_bytes) {
	if (n_bytes == 0)
		return cut_short;
	if (bytes[0] > 32)
		return "an index of more than 32 bits";
	*hybrid = parquet_hybrid_of(bytes + 1, n_bytes - 1, bytes[0]);
	return NULL;
}

// Takes `n` indexes and checks them. All at once: the greatest is found without a branch each.
static const char *
take_indexes(struct parquet_hybrid *hybrid, uint32_t n_dictionary, uint32_t *out, size_t n) {
	const char *error = parquet_decode_hybrid(hybrid, out, n);
	uint32_t greatest = 0;

	if (error != NULL)
		return error;
	for (size_t i = 0; i < n; i++)
		greatest = RTE_MAX(greatest, out[i]);
	return greatest < n_dictionary || n == 0 ? NULL : "an index beyond the dictionary";
}

const char *parquet_decode_indexes(
	const uint8_t *bytes, size_t n_bytes, uint32_t n_texts, uint32_t *out, size_t n
) {
	struct parquet_hybrid hybrid;
	const char *error = indexes_of(&hybrid, bytes, n_bytes);

	for (size_t done = 0, count; done < n && error == NULL; done += count) {
		count = RTE_MIN(n - done, BLOCK);
		error = take_indexes(&hybrid, n_texts, out + done, count);
	}
	return error != NULL ? error : parquet_hybrid_end(&hybrid);
}

const char *parquet_decode_indexed(
	const uint8_t *bytes,
	size_t n_bytes,
	const int64_t *dictionary,
	uint32_t n_dictionary,
	int64_t *out,
	size_t n
) {
	struct parquet_hybrid hybrid;
	uint32_t block[BLOCK];
	const char *error = indexes_of(&hybrid, bytes, n_bytes);

	for (size_t done = 0, count; done < n && error == NULL; done += count) {
		count = RTE_MIN(n - done, BLOCK);
		error = take_indexes(&hybrid, n_dictionary, block, count);
		for (size_t i = 0; i < count && error == NULL; i++)
			out[done + i] = dictionary[block[i]];
	}
	return error != NULL ? error : parquet_hybrid_end(&hybrid);
}
