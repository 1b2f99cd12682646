// Fuzz target of the bytes below the Parquet reader: thrift and the encodings. Input: which of
// them, how many values (two octets), a parameter, then the bytes.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parquet_decode.h"
#include "parquet_text.h"
#include "thrift_read.h"
#include "wire.h"

enum { INPUT_HEAD_BYTES = 4 };

enum target { THRIFT, HYBRID, LEVELS, PLAIN, SPLIT, DELTA, INDEXES, INDEXED, TEXTS, TARGETS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

// Not assert(): it must hold in a release build too.
static void require(bool holds) {
	if (!holds)
		abort();
}

// Reads what it can of any struct, by the kinds that come.
static void walk(struct thrift_reader *in, unsigned depth) {
	uint32_t n;

	for (thrift_read_enter(in); thrift_read_next(in);)
		switch (in->kind) {
		case THRIFT_KIND_TRUE:
		case THRIFT_KIND_FALSE:
			(void)thrift_read_bool(in);
			break;
		case THRIFT_KIND_I8:
		case THRIFT_KIND_I16:
		case THRIFT_KIND_I32:
			(void)thrift_read_int32(in);
			break;
		case THRIFT_KIND_I64:
			(void)thrift_read_int(in);
			break;
		case THRIFT_KIND_BINARY:
			require(thrift_read_binary(in, &n) + n <= in->end);
			break;
		case THRIFT_KIND_STRUCT:
			if (depth % 2 == 0) {
				walk(in, depth + 1);
				break;
			}
			thrift_read_skip(in);
			break;
		case THRIFT_KIND_LIST:
			if (in->field % 2 == 0) {
				n = thrift_read_list(in, THRIFT_KIND_STRUCT);
				for (uint32_t i = 0; i < n && in->error == NULL; i++)
					walk(in, depth + 1);
				break;
			}
			thrift_read_skip(in);
			break;
		default:
			thrift_read_skip(in);
		}
}

static void fuzz_thrift(const uint8_t *bytes, size_t n_bytes) {
	struct thrift_reader in = thrift_read_of(bytes, n_bytes);

	walk(&in, 0);
	require(in.at <= in.end && in.depth <= THRIFT_MAX_DEPTH);
}

static void fuzz_hybrid(const uint8_t *bytes, size_t n_bytes, unsigned width, size_t n) {
	// Taken at once and in pieces, it is the same.
	struct parquet_hybrid whole = parquet_hybrid_of(bytes, n_bytes, width), parts = whole;
	uint32_t *a = malloc((n + 1) * sizeof(*a)), *b = malloc((n + 1) * sizeof(*b));
	const char *error, *other = NULL;

	require(a != NULL && b != NULL);
	error = parquet_decode_hybrid(&whole, a, n);
	for (size_t done = 0, count; done < n && other == NULL; done += count) {
		count = n - done < 37 ? n - done : 37;
		other = parquet_decode_hybrid(&parts, b + done, count);
	}
	require(error == other);
	require(error != NULL || memcmp(a, b, n * sizeof(*a)) == 0);
	free(a);
	free(b);
}

static void fuzz_texts(const uint8_t *bytes, size_t n_bytes, uint32_t n) {
	const char **texts = malloc((n + 1) * sizeof(*texts));
	uint32_t *text_bytes = malloc((n + 1) * sizeof(*text_bytes));
	uint32_t *table = malloc(parquet_text_table(n) * sizeof(*table));

	require(texts != NULL && text_bytes != NULL && table != NULL);
	if (parquet_text_list(bytes, n_bytes, n, texts, text_bytes) == NULL
	    && parquet_text_ascend(texts, text_bytes, n))
		require(parquet_text_differ(texts, text_bytes, n, table, &flow_secret_fixed));
	free(texts);
	free(text_bytes);
	free(table);
}

static void fuzz_values(
	enum target target, const uint8_t *bytes, size_t n_bytes, unsigned parameter, uint32_t n
) {
	int64_t *out = malloc((n + 1) * sizeof(*out)), dictionary[256] = {0};
	unsigned value_bytes = parameter % 2 == 0 ? 4 : 8;
	const char *error = NULL;
	size_t n_ones = 0;

	require(out != NULL);
	if (target == LEVELS) {
		error = parquet_decode_levels(bytes, n_bytes, (uint8_t *)out, n, &n_ones);
		require(n_ones <= n);
	} else if (target == PLAIN) {
		error = parquet_decode_plain(bytes, n_bytes, value_bytes, out, n);
	} else if (target == SPLIT) {
		error = parquet_decode_split(bytes, n_bytes, value_bytes, out, n);
	} else if (target == DELTA) {
		error = parquet_decode_delta(bytes, n_bytes, value_bytes, out, n);
	} else if (target == INDEXES) {
		error = parquet_decode_indexes(bytes, n_bytes, parameter, (uint32_t *)out, n);
		for (uint32_t i = 0; i < n && error == NULL; i++)
			require(((uint32_t *)out)[i] < parameter);
	} else {
		error = parquet_decode_indexed(bytes, n_bytes, dictionary, parameter, out, n);
	}
	if (value_bytes == 4 && (target == PLAIN || target == SPLIT || target == DELTA))
		for (uint32_t i = 0; i < n && error == NULL; i++)
			require(out[i] == (int32_t)out[i]);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
	enum target target;
	uint8_t *bytes;
	unsigned n;

	if (n_bytes < INPUT_HEAD_BYTES)
		return 0;
	target = (enum target)(data[0] % TARGETS);
	n = wire_get16(data + 1);
	n_bytes -= INPUT_HEAD_BYTES;
	// A block of exactly the size: what is read beyond it is caught. No block of 0.
	bytes = malloc(n_bytes > 0 ? n_bytes : 1);
	require(bytes != NULL);
	memcpy(bytes, data + INPUT_HEAD_BYTES, n_bytes);
	if (target == THRIFT)
		fuzz_thrift(bytes, n_bytes);
	else if (target == HYBRID)
		fuzz_hybrid(bytes, n_bytes, data[3] % 33, n);
	else if (target == TEXTS)
		fuzz_texts(bytes, n_bytes, n);
	else
		fuzz_values(target, bytes, n_bytes, data[3], n);
	free(bytes);
	return 0;
}
