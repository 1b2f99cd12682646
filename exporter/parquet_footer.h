// Parquet metadata: the footer of a file to structs, checked: the columns are of the types of
// flow_columns.h, every chunk lies within the file and has no more octets than its rows could
// need, and the rows add up. Columns that are not known are passed over, so that a file of a
// later weir can be read; everything else that weir does not write is refused.
//
// Threads: read-only once read.
// Errors: negative errno and one line in `error` (PARQUET_ERROR_BYTES).

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow_columns.h"
#include "parquet_source.h"
#include "thrift_read.h"

enum {
	PARQUET_MAX_COLUMNS = 1000,
	PARQUET_MAX_FOOTER_BYTES = 64 << 20,
};

enum parquet_codec { // as the format numbers them
	CODEC_UNCOMPRESSED = 0,
	CODEC_ZSTD = 6,
};

// A column in a row group.
struct parquet_read_chunk {
	uint64_t offset; // of its first page
	uint64_t bytes;  // of all pages, compressed, with their heads
	uint64_t unpacked_bytes;
	uint64_t n_null;          // if has_n_null
	const uint8_t *min, *max; // in the footer; NULL = not known
	uint32_t min_bytes, max_bytes;
	uint8_t codec; // enum parquet_codec
	bool has_n_null;
};

struct parquet_pair {
	char *key, *value;
};

struct parquet_footer {
	uint64_t n_rows;
	unsigned n_groups;
	uint32_t *group_rows;              // of each row group
	struct parquet_read_chunk *chunks; // n_known for each row group
	unsigned n_known;                  // columns that are in flow_columns
	int place[FLOW_COLUMN_COUNT];      // among them, -1 = not in the file
	bool optional[FLOW_COLUMN_COUNT];
	struct parquet_pair *pairs;
	unsigned n_pairs;

	uint8_t *bytes; // the texts above are in it
	unsigned n_columns;
	int16_t columns[PARQUET_MAX_COLUMNS]; // enum flow_column of the file's columns, -1 =
					      // unknown
	uint64_t data_end;                    // where the footer begins
};

// Reads the footer. parquet_footer_done() is needed after an error too.
[[nodiscard]] int parquet_footer_read(
	struct parquet_footer *footer, const struct parquet_source *source, char *error
);

// The same of a footer that lies in memory, as parquet_writer_footer() makes it, for row groups
// that end before `data_end`.
[[nodiscard]] int parquet_footer_read_memory(
	struct parquet_footer *footer,
	const uint8_t *bytes,
	size_t n,
	uint64_t data_end,
	char *error
);
void parquet_footer_done(struct parquet_footer *footer);

static inline const struct parquet_read_chunk *
parquet_footer_chunk(const struct parquet_footer *footer, unsigned group, enum flow_column column) {
	return &footer->chunks[(size_t)group * footer->n_known + (size_t)footer->place[column]];
}

// A number of 4 or 8 octets, the least first.
int64_t parquet_footer_number(const uint8_t *bytes, uint32_t n);

// For parquet_footer.c: the schema to `place`, `optional` and `columns`.
[[nodiscard]] int
parquet_schema_read(struct parquet_footer *footer, struct thrift_reader *in, char *error);

// A name as it came from the file, for a message: without what no name has, and cut.
struct parquet_name {
	char text[48];
};
struct parquet_name parquet_name_of(const uint8_t *bytes, uint32_t n);

// A thrift error as one of ours.
[[nodiscard]] int
parquet_thrift_error(const struct thrift_reader *in, const char *what, char *error);
