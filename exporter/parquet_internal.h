// What the parts of the Parquet writer share: the rows of a row group by columns
// (parquet_rows.c), the pages of a column (parquet_chunk.c), and the metadata of both
// (parquet_meta.c).

#pragma once

#include <zstd.h>

#include "byte_buffer.h"
#include "flow_columns.h"
#include "parquet_encode.h"
#include "value_table.h"

enum {
	PARQUET_ENCODINGS = PARQUET_RLE_DICTIONARY + 1,
};

enum parquet_wide { // columns of 64 bits
	WIDE_START,
	WIDE_END,
	WIDE_BYTES,
	WIDE_PACKETS,
	WIDE_COUNT
};

enum parquet_narrow { // columns of 16 bits, and what derives from them
	NARROW_PROTO,
	NARROW_SRC_PORT,
	NARROW_DST_PORT,
	NARROW_TCP_FLAGS,
	NARROW_TOS,
	NARROW_IF,
	NARROW_VLAN,
	NARROW_INNER_VLAN,
	NARROW_ICMP, // type * 256 + code, where `icmp` is set
	NARROW_ETYPE,
	NARROW_TTL,
	NARROW_TTL_MAX,
	NARROW_END,
	NARROW_COUNT
};

enum parquet_address { ADDRESS_SRC, ADDRESS_DST, ADDRESS_SRC_MAC, ADDRESS_DST_MAC, ADDRESS_COUNT };

// Different addresses of a kind, in ascending order: IPv4, then IPv6, or MACs.
struct parquet_addresses {
	struct value_table low, pairs; // `pairs` is of IPv6 alone
	uint32_t *rank;                // of the number in `low`, then of that in `pairs`
	uint32_t *sorted;              // the other way
	uint32_t n, size;
};

struct parquet_rows {
	uint32_t n, size;
	uint32_t n_instant; // the first rows, which are in the order of time: their flows took none
	int64_t *wide[WIDE_COUNT];
	uint16_t *narrow[NARROW_COUNT];
	uint8_t *icmp;                    // whether the row is of ICMP
	uint32_t *address[ADDRESS_COUNT]; // ranks in `ip` or `mac`
	struct parquet_addresses ip, mac;
	uint32_t *numbers[ADDRESS_COUNT]; // of the records as they came
	uint32_t *order;                  // record of each row
	uint64_t *keys, *spare_keys;      // of sorting
	uint32_t *spare_order;
};

void parquet_rows_init(struct parquet_rows *rows, uint64_t secret);
void parquet_rows_done(struct parquet_rows *rows);

// Takes the records apart, in the order that compresses best or as they come. -ENOMEM.
[[nodiscard]] int parquet_rows_take(
	struct parquet_rows *rows, const struct flow_record *records, uint32_t n, bool sort
);

// Text of an address by its rank. Returns its octets; `text` has ADDRESS_TEXT_BYTES.
unsigned parquet_rows_text(
	const struct parquet_rows *rows, enum parquet_address which, uint32_t rank, char *text
);

// What the metadata says of a column in a row group.
struct parquet_chunk {
	enum flow_column column;
	bool dictionary;
	uint32_t n_rows, n_null;
	uint32_t n_pages[PARQUET_ENCODINGS]; // of data, by their encoding
	uint64_t offset;                     // of the first page in the file
	uint64_t data_offset;
	uint64_t raw_bytes, bytes; // with the pages' headers
	uint8_t min[FLOW_COLUMN_TEXT_BYTES], max[FLOW_COLUMN_TEXT_BYTES];
	unsigned min_bytes, max_bytes; // 0 = not known
};

// How the values of a data page stand.
struct parquet_plan {
	enum parquet_encoding encoding;
	unsigned align; // of the widths of deltas or indexes: 1 or 8 bits
};

// The pages of one column after the other, in buffers that are used again for each.
struct parquet_pages {
	ZSTD_CCtx *zstd;
	struct byte_buffer raw, packed;
	struct value_table values;
	uint32_t *number_of; // a narrow value's number + 1
	int64_t *numbers;    // values of the column, without the NULLs
	int64_t *entries;    // of the dictionary
	uint32_t *indexes;   // into it, of each value
	uint32_t *levels;    // of a page's rows
	uint32_t *remap;     // index of each address
	uint32_t *moves;     // of making a dictionary
	uint32_t n_entries;
	int64_t min, max;  // of the numbers
	uint64_t *sorting; // of the dictionary's entries
	uint32_t size;
};

// Compresses `raw` into `packed`. -ENOMEM.
[[nodiscard]] int parquet_pages_pack(struct parquet_pages *pages);

// Grows an array, whose pointer is at `array`. False without memory; it remains as it is.
[[nodiscard]] bool parquet_resize(void *array, size_t n, size_t value_bytes);

// Takes the column's numbers and their range. Returns how many are no NULL.
uint32_t parquet_numbers_take(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	const struct flow_source *source,
	struct parquet_chunk *chunk
);

// Whether a dictionary pays for the `n` numbers: then `entries` and `indexes` are made. Negative
// errno on error.
[[nodiscard]] int
parquet_numbers_dictionary(struct parquet_pages *pages, uint32_t n, unsigned value_bytes);

// Appends `n` values of the column from value `from` on to `raw`.
void parquet_plan_put(
	struct parquet_pages *pages,
	const struct parquet_plan *plan,
	unsigned value_bytes,
	uint32_t from,
	uint32_t n
);

// Of `n_plans` the one that makes the `n` values from `from` on smallest, by a sample, and how
// many octets it makes of the sample. Negative errno on error.
[[nodiscard]] int64_t parquet_plan_choose(
	struct parquet_pages *pages,
	const struct parquet_plan *plans,
	unsigned n_plans,
	unsigned value_bytes,
	uint32_t from,
	uint32_t n,
	struct parquet_plan *best
);

// How many of `n` values the sample holds.
uint32_t parquet_plan_sample(uint32_t n);

extern const struct parquet_plan parquet_number_plans[3], parquet_index_plans[2];

[[nodiscard]] int parquet_pages_init(struct parquet_pages *pages, int level, uint64_t secret);
void parquet_pages_done(struct parquet_pages *pages);

// Appends the pages of a column to `out`, which stands at `offset` of the file, and fills
// `chunk`. -ENOMEM.
[[nodiscard]] int parquet_pages_put(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	const struct flow_source *source,
	enum flow_column column,
	uint64_t offset,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
);

// A page's header.
struct parquet_page {
	bool dictionary; // else data, version 1
	uint32_t n_values;
	enum parquet_encoding encoding;
	uint32_t raw_bytes, bytes;
	uint32_t crc; // of the octets as they are in the file
};

void parquet_meta_page(struct byte_buffer *out, const struct parquet_page *page);

// A row group, as it stands in the footer.
void parquet_meta_row_group(
	struct byte_buffer *out, const struct parquet_chunk *chunks, unsigned n_chunks
);

struct parquet_key_value;

// The file's metadata: the footer without its length and the magic. `row_groups` are `n_row_groups`
// of parquet_meta_row_group(), one behind the other.
void parquet_meta_file(
	struct byte_buffer *out,
	uint64_t columns,
	const struct byte_buffer *row_groups,
	uint32_t n_row_groups,
	uint64_t n_rows,
	const struct parquet_key_value *pairs,
	unsigned n_pairs
);
