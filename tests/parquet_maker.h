// Parquet maker: small files for the tests of the reader, with what weir's own writer never
// writes: both versions of pages, every encoding, no compression, no checksums, and lies.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "byte_buffer.h"

enum {
	MADE_COLUMNS = 8,
};

struct made_column {
	const char *name;
	int type;       // 1 INT32, 2 INT64, 6 BYTE_ARRAY
	int repetition; // 0 required, 1 optional, 2 repeated
	int converted;  // 0 = none, else the format's number + 1
	int logical;    // 0 = none, 1 STRING, 8 TIMESTAMP
	int unit;       // of TIMESTAMP: 1 ms, 2 us, 3 ns
	int coding;     // of data pages; 8 = by dictionary
	// n_rows of them; those of NULL rows are not looked at.
	const int64_t *numbers;
	const char *const *texts;
	const uint8_t *valid; // NULL = all; only where optional
	// What is told and not true.
	bool twice;                // the dictionary begins with its second text
	int64_t more_unpacked;     // octets of each data page
	int64_t more_values;       // of each data page
	int64_t more_in_footer;    // values of the chunk
	int64_t more_octets;       // of the chunk
	const int64_t *min_max;    // statistics; NULL = none
	int64_t n_null;            // in the statistics, -1 = none
	const char *name_in_group; // NULL = `name`
};

struct made_file {
	unsigned n_rows, page_rows; // of a row group, of a page
	unsigned n_groups;          // all alike
	unsigned version;           // of pages, 1 or 2
	int codec;                  // 0 and 6 as told, others only by name
	bool crc;
	bool plain_v2; // values of version 2 are not compressed
	int64_t more_rows;
	unsigned n_columns;
	struct made_column columns[MADE_COLUMNS];
};

// A file of four columns, five rows by two a page, two of them NULL.
struct made_file made_example(void);

// Appends the file to `out`.
void parquet_make(struct byte_buffer *out, const struct made_file *file);
