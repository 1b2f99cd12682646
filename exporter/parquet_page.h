// Parquet pages: the pages of a chunk one after the other, their heads read and checked, their
// checksums verified, their octets decompressed. What a page claims to be is bounded by what its
// values could need before memory is taken for it.
//
// Threads: a walk is one thread's.
// Errors: negative errno and one line in `error` (PARQUET_ERROR_BYTES) with the column, the row
// group and the offset.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parquet_footer.h"

// Memory that is used again, and grows.
struct parquet_memory {
	void *at;
	size_t bytes;
};

// At least `bytes`, whose contents are not kept. NULL where there is no more.
void *parquet_memory_take(struct parquet_memory *memory, size_t bytes);

struct parquet_read_page {
	uint64_t offset; // in the file
	bool is_dictionary;
	uint32_t n_values; // with NULLs
	int coding;        // enum parquet_coding
	int64_t n_null;    // -1 = not told
	const uint8_t *levels;
	size_t n_levels; // octets
	const uint8_t *values;
	size_t n_bytes;
};

struct parquet_walk {
	const struct parquet_source *source;
	const struct parquet_read_chunk *chunk;
	enum flow_column column;
	unsigned group;
	uint32_t n_rows;  // of the row group
	bool is_optional; // the column has levels
	char *error;
	struct parquet_memory *packed, *unpacked; // of the chunk, and of a page
	void **zstd;                              // made when it is needed

	const uint8_t *at, *end;
	uint64_t unpacked_bytes; // of the pages so far, with their heads
	uint32_t n_done;         // values of the pages so far
};

// Reads the chunk. All above `at` must be set.
[[nodiscard]] int parquet_walk_begin(struct parquet_walk *walk);

// The next page, which stands until the next call. Returns 1, 0 at the end, or a negative errno.
[[nodiscard]] int parquet_walk_next(struct parquet_walk *walk, struct parquet_read_page *page);

// An error at an offset of the file. Returns -EBADMSG.
[[gnu::format(printf, 3, 4)]] int
parquet_walk_fail(const struct parquet_walk *walk, uint64_t offset, const char *format, ...);
