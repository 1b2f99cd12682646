// Parquet's metadata: the structs of parquet.thrift of which weir's files are made.

#include <assert.h>

#include "parquet_internal.h"
#include "parquet_writer.h"
#include "thrift_write.h"

enum { // of enums in parquet.thrift
	TYPE_INT32 = 1,
	TYPE_INT64 = 2,
	TYPE_BYTE_ARRAY = 6,
	CONVERTED_UTF8 = 0,
	REQUIRED = 0,
	OPTIONAL = 1,
	CODEC_ZSTD = 6,
	DATA_PAGE = 0,
	DICTIONARY_PAGE = 2,
	FILE_VERSION = 2, // says that TIMESTAMP(NANOS) and RLE_DICTIONARY may occur
};

static int32_t physical_type(enum flow_column column) {
	switch (flow_columns[column].type) {
	case COLUMN_INT32:
		return TYPE_INT32;
	case COLUMN_INT64:
	case COLUMN_TIME:
		return TYPE_INT64;
	case COLUMN_TEXT:
		break;
	}
	return TYPE_BYTE_ARRAY;
}

void parquet_meta_page(struct byte_buffer *out, const struct parquet_page *page) {
	struct thrift_writer thrift;

	thrift_begin(&thrift, out); // PageHeader
	thrift_i32(&thrift, 1, page->dictionary ? DICTIONARY_PAGE : DATA_PAGE);
	thrift_i32(&thrift, 2, (int32_t)page->raw_bytes);
	thrift_i32(&thrift, 3, (int32_t)page->bytes);
	thrift_i32(&thrift, 4, (int32_t)page->crc);
	thrift_struct(&thrift, page->dictionary ? 7 : 5);
	thrift_i32(&thrift, 1, (int32_t)page->n_values);
	thrift_i32(&thrift, 2, page->encoding);
	if (!page->dictionary) {
		thrift_i32(&thrift, 3, PARQUET_RLE); // of definition levels
		thrift_i32(
			&thrift, 4, PARQUET_RLE
		); // of repetition levels, which there are none of
	}
	thrift_end(&thrift);
	thrift_end(&thrift);
}

static void put_statistics(struct thrift_writer *thrift, const struct parquet_chunk *chunk) {
	thrift_struct(thrift, 12);
	thrift_i64(thrift, 3, chunk->n_null);
	if (chunk->max_bytes != 0) {
		thrift_binary(thrift, 5, chunk->max, chunk->max_bytes);
		thrift_binary(thrift, 6, chunk->min, chunk->min_bytes);
		thrift_bool(thrift, 7, true); // exact
		thrift_bool(thrift, 8, true);
	}
	thrift_end(thrift);
}

static void put_page_count(
	struct thrift_writer *thrift, int32_t type, enum parquet_encoding encoding, uint32_t n
) {
	thrift_value_struct(thrift);
	thrift_i32(thrift, 1, type);
	thrift_i32(thrift, 2, encoding);
	thrift_i32(thrift, 3, (int32_t)n);
	thrift_end(thrift);
}

static unsigned count_encodings(const struct parquet_chunk *chunk) {
	unsigned n = 0;
	for (unsigned i = 0; i < PARQUET_ENCODINGS; i++)
		n += chunk->n_pages[i] != 0;
	return n;
}

static void put_page_counts(struct thrift_writer *thrift, const struct parquet_chunk *chunk) {
	thrift_list(thrift, 13, THRIFT_STRUCT, chunk->dictionary + count_encodings(chunk));
	if (chunk->dictionary)
		put_page_count(thrift, DICTIONARY_PAGE, PARQUET_PLAIN, 1);
	for (unsigned i = 0; i < PARQUET_ENCODINGS; i++)
		if (chunk->n_pages[i] != 0)
			put_page_count(
				thrift, DATA_PAGE, (enum parquet_encoding)i, chunk->n_pages[i]
			);
}

// Of the levels, the dictionary, the data; each once.
static void put_encodings(struct thrift_writer *thrift, const struct parquet_chunk *chunk) {
	bool plain = chunk->dictionary && chunk->n_pages[PARQUET_PLAIN] == 0;

	thrift_list(thrift, 2, THRIFT_I32, 1 + plain + count_encodings(chunk));
	thrift_value_i32(thrift, PARQUET_RLE);
	if (plain)
		thrift_value_i32(thrift, PARQUET_PLAIN);
	for (unsigned i = 0; i < PARQUET_ENCODINGS; i++)
		if (chunk->n_pages[i] != 0)
			thrift_value_i32(thrift, (int32_t)i);
}

static void put_column_metadata(struct thrift_writer *thrift, const struct parquet_chunk *chunk) {
	thrift_struct(thrift, 3);
	thrift_i32(thrift, 1, physical_type(chunk->column));
	put_encodings(thrift, chunk);
	thrift_list(thrift, 3, THRIFT_BINARY, 1);
	thrift_value_text(thrift, flow_columns[chunk->column].name);
	thrift_i32(thrift, 4, CODEC_ZSTD);
	thrift_i64(thrift, 5, chunk->n_rows); // NULLs among them
	thrift_i64(thrift, 6, (int64_t)chunk->raw_bytes);
	thrift_i64(thrift, 7, (int64_t)chunk->bytes);
	thrift_i64(thrift, 9, (int64_t)chunk->data_offset);
	if (chunk->dictionary)
		thrift_i64(thrift, 11, (int64_t)chunk->offset);
	put_statistics(thrift, chunk);
	put_page_counts(thrift, chunk);
	thrift_end(thrift);
}

void parquet_meta_row_group(
	struct byte_buffer *out, const struct parquet_chunk *chunks, unsigned n_chunks
) {
	struct thrift_writer thrift;
	uint64_t raw_bytes = 0, bytes = 0;

	thrift_begin(&thrift, out);
	thrift_list(&thrift, 1, THRIFT_STRUCT, n_chunks);
	for (unsigned i = 0; i < n_chunks; i++) {
		thrift_value_struct(&thrift); // ColumnChunk
		// Of a copy of the metadata behind the pages, which nobody writes any more.
		thrift_i64(&thrift, 2, 0);
		put_column_metadata(&thrift, &chunks[i]);
		thrift_end(&thrift);
		raw_bytes += chunks[i].raw_bytes;
		bytes += chunks[i].bytes;
	}
	thrift_i64(&thrift, 2, (int64_t)raw_bytes);
	thrift_i64(&thrift, 3, chunks[0].n_rows);
	thrift_i64(&thrift, 5, (int64_t)chunks[0].offset);
	thrift_i64(&thrift, 6, (int64_t)bytes);
	thrift_end(&thrift);
}

static void put_schema_column(struct thrift_writer *thrift, enum flow_column column) {
	const struct flow_column_info *info = &flow_columns[column];

	thrift_value_struct(thrift);
	thrift_i32(thrift, 1, physical_type(column));
	thrift_i32(thrift, 3, info->optional ? OPTIONAL : REQUIRED);
	thrift_text(thrift, 4, info->name);
	if (info->type == COLUMN_TEXT) {
		thrift_i32(thrift, 6, CONVERTED_UTF8); // for readers older than logical types
		thrift_struct(thrift, 10);
		thrift_empty(thrift, 1); // STRING
		thrift_end(thrift);
	} else if (info->type == COLUMN_TIME) {
		thrift_struct(thrift, 10);
		thrift_struct(thrift, 8);     // TIMESTAMP
		thrift_bool(thrift, 1, true); // adjusted to UTC
		thrift_struct(thrift, 2);
		thrift_empty(thrift, 3); // NANOS
		thrift_end(thrift);
		thrift_end(thrift);
		thrift_end(thrift);
	}
	thrift_end(thrift);
}

static void put_schema(struct thrift_writer *thrift, uint64_t columns, unsigned n_columns) {
	thrift_list(thrift, 2, THRIFT_STRUCT, 1 + n_columns);
	thrift_value_struct(thrift);
	thrift_text(thrift, 4, "flows");
	thrift_i32(thrift, 5, (int32_t)n_columns);
	thrift_end(thrift);
	for (unsigned i = 0; i < FLOW_COLUMN_COUNT; i++)
		if ((columns >> i & 1) != 0)
			put_schema_column(thrift, (enum flow_column)i);
}

void parquet_meta_file(
	struct byte_buffer *out,
	uint64_t columns,
	const struct byte_buffer *row_groups,
	uint32_t n_row_groups,
	uint64_t n_rows,
	const struct parquet_key_value *pairs,
	unsigned n_pairs
) {
	unsigned n_columns = (unsigned)__builtin_popcountll(columns);
	struct thrift_writer thrift;

	thrift_begin(&thrift, out);
	thrift_i32(&thrift, 1, FILE_VERSION);
	put_schema(&thrift, columns, n_columns);
	thrift_i64(&thrift, 3, (int64_t)n_rows);
	thrift_list(&thrift, 4, THRIFT_STRUCT, n_row_groups);
	byte_buffer_put(out, row_groups->bytes, row_groups->n);
	if (n_pairs != 0) {
		thrift_list(&thrift, 5, THRIFT_STRUCT, n_pairs);
		for (unsigned i = 0; i < n_pairs; i++) {
			thrift_value_struct(&thrift);
			thrift_text(&thrift, 1, pairs[i].key);
			thrift_text(&thrift, 2, pairs[i].value);
			thrift_end(&thrift);
		}
	}
	thrift_text(&thrift, 6, "weir version " WEIR_VERSION);
	// Readers trust min_value and max_value only where their order is told.
	thrift_list(&thrift, 7, THRIFT_STRUCT, n_columns);
	for (unsigned i = 0; i < n_columns; i++) {
		thrift_value_struct(&thrift);
		thrift_empty(&thrift, 1); // TYPE_ORDER
		thrift_end(&thrift);
	}
	thrift_end(&thrift);
}
