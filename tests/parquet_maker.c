#include "parquet_maker.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "parquet_encode.h"
#include "thrift_write.h"

enum {
	MAX_ROWS = 4096,
	BYTE_STREAM_SPLIT = 9,
};

// A chunk as it was written.
struct made_chunk {
	size_t offset, data_offset, end;
	int64_t unpacked_bytes;
	bool has_dictionary;
};

static void require(bool holds) {
	if (!holds)
		abort();
}

static bool is_valid(const struct made_column *column, unsigned row) {
	return column->valid == NULL || column->valid[row] != 0;
}

static unsigned value_bytes(const struct made_column *column) {
	return column->type == 1 ? 4 : 8;
}

// The number of the first row that has the same value.
static unsigned first_like(const struct made_column *column, unsigned row) {
	for (unsigned i = 0; i < row; i++)
		if (is_valid(column, i)
		    && (column->texts != NULL ? strcmp(column->texts[i], column->texts[row]) == 0
					      : column->numbers[i] == column->numbers[row]))
			return i;
	return row;
}

static void put_value(struct byte_buffer *out, const struct made_column *column, unsigned row) {
	if (column->texts == NULL) {
		parquet_encode_plain(out, &column->numbers[row], 1, value_bytes(column));
		return;
	}
	byte_buffer_put32(out, (uint32_t)strlen(column->texts[row]));
	byte_buffer_put(out, column->texts[row], strlen(column->texts[row]));
}

// The different values; fills the index of each row. Returns how many.
static unsigned put_dictionary(
	struct byte_buffer *out, const struct made_column *column, unsigned n_rows, uint32_t *index
) {
	unsigned n = 0;

	for (unsigned i = 0; i < n_rows; i++) {
		if (!is_valid(column, i))
			continue;
		unsigned first = first_like(column, i);
		index[i] = first == i ? n++ : index[first];
		if (first == i)
			put_value(out, column, n == 1 && column->twice ? i + 1 : i);
	}
	return n;
}

static void put_split(struct byte_buffer *out, const int64_t *values, size_t n, unsigned bytes) {
	for (unsigned k = 0; k < bytes; k++)
		for (size_t i = 0; i < n; i++)
			byte_buffer_put8(out, (uint8_t)((uint64_t)values[i] >> 8 * k));
}

static void put_values(
	struct byte_buffer *out,
	const struct made_column *column,
	const uint32_t *index,
	unsigned from,
	unsigned n
) {
	static int64_t numbers[MAX_ROWS];
	static uint32_t indexes[MAX_ROWS];
	unsigned n_present = 0;

	for (unsigned i = from; i < from + n; i++)
		if (is_valid(column, i)) {
			indexes[n_present] = index[i];
			numbers[n_present++] = column->numbers != NULL ? column->numbers[i] : 0;
		}
	switch (column->coding) {
	case PARQUET_RLE_DICTIONARY:
		byte_buffer_put8(out, 9);
		parquet_encode_hybrid(out, indexes, n_present, 9);
		return;
	case PARQUET_DELTA_BINARY_PACKED:
		parquet_encode_delta(out, numbers, n_present, 1);
		return;
	case BYTE_STREAM_SPLIT:
		put_split(out, numbers, n_present, value_bytes(column));
		return;
	default:
		for (unsigned i = from; i < from + n; i++)
			if (is_valid(column, i))
				put_value(out, column, i);
	}
}

static void
put_levels(struct byte_buffer *out, const struct made_column *column, unsigned from, unsigned n) {
	static uint32_t levels[MAX_ROWS];

	for (unsigned i = 0; i < n; i++)
		levels[i] = is_valid(column, from + i);
	parquet_encode_hybrid(out, levels, n, 1);
}

static void pack(struct byte_buffer *out, const struct byte_buffer *in, int codec) {
	size_t n = ZSTD_compressBound(in->n);

	if (codec != 6) {
		byte_buffer_put(out, in->bytes, in->n);
		return;
	}
	require(byte_buffer_reserve(out, n));
	n = ZSTD_compress(out->bytes + out->n, n, in->bytes, in->n, 1);
	require(!ZSTD_isError(n));
	out->n += n;
}

static void put_page_head(
	struct byte_buffer *out,
	const struct made_file *file,
	const struct made_column *column,
	int type,
	size_t unpacked,
	const struct byte_buffer *packed,
	unsigned n_values,
	unsigned n_null,
	size_t n_levels
) {
	int64_t more = type == 2 ? 0 : column->more_values;
	int32_t told = (int32_t)((int64_t)n_values + more);
	struct thrift_writer thrift;

	thrift_begin(&thrift, out);
	thrift_i32(&thrift, 1, type);
	thrift_i32(
		&thrift, 2, (int32_t)((int64_t)unpacked + (type == 2 ? 0 : column->more_unpacked))
	);
	thrift_i32(&thrift, 3, (int32_t)packed->n);
	if (file->crc)
		thrift_i32(&thrift, 4, (int32_t)crc32(0, packed->bytes, (uInt)packed->n));
	thrift_struct(&thrift, type == 2 ? 7 : type == 0 ? 5 : 8);
	thrift_i32(&thrift, 1, told);
	if (type == 3) {
		thrift_i32(&thrift, 2, (int32_t)n_null);
		thrift_i32(&thrift, 3, told);
		thrift_i32(&thrift, 4, column->coding);
		thrift_i32(&thrift, 5, (int32_t)n_levels);
		thrift_i32(&thrift, 6, 0);
		thrift_bool(&thrift, 7, !file->plain_v2);
	} else {
		thrift_i32(&thrift, 2, type == 2 ? PARQUET_PLAIN : column->coding);
		if (type == 0) {
			thrift_i32(&thrift, 3, PARQUET_RLE);
			thrift_i32(&thrift, 4, PARQUET_RLE);
		}
	}
	thrift_end(&thrift);
	thrift_end(&thrift);
}

// A data page, or with `from` < 0 the dictionary in `values`.
static int64_t put_page(
	struct byte_buffer *out,
	const struct made_file *file,
	const struct made_column *column,
	const struct byte_buffer *values,
	int from,
	unsigned n
) {
	struct byte_buffer levels = {0}, raw = {0}, packed = {0};
	size_t begin = out->n, unpacked, n_levels = 0;
	bool v2 = from >= 0 && file->version == 2;
	unsigned n_null = 0;

	for (int i = from; i >= 0 && i < from + (int)n; i++)
		n_null += !is_valid(column, (unsigned)i);
	if (from >= 0 && column->repetition == 1) {
		put_levels(&levels, column, (unsigned)from, n);
		n_levels = levels.n;
		if (!v2)
			byte_buffer_put32(&raw, (uint32_t)levels.n);
		byte_buffer_put(v2 ? &packed : &raw, levels.bytes, levels.n);
	}
	byte_buffer_put(&raw, values->bytes, values->n);
	unpacked = raw.n + packed.n;
	pack(&packed, &raw, v2 && file->plain_v2 ? 0 : file->codec);
	put_page_head(
		out,
		file,
		column,
		from < 0 ? 2
		: v2     ? 3
			 : 0,
		unpacked,
		&packed,
		n,
		n_null,
		n_levels
	);
	size_t head_bytes = out->n - begin;
	byte_buffer_put(out, packed.bytes, packed.n);
	byte_buffer_done(&levels);
	byte_buffer_done(&raw);
	byte_buffer_done(&packed);
	return (int64_t)(head_bytes + unpacked);
}

static struct made_chunk
put_chunk(struct byte_buffer *out, const struct made_file *file, const struct made_column *column) {
	static uint32_t index[MAX_ROWS];
	struct made_chunk chunk = {.offset = out->n, .data_offset = out->n};
	struct byte_buffer values = {0};

	if (column->coding == PARQUET_RLE_DICTIONARY) {
		unsigned n = put_dictionary(&values, column, file->n_rows, index);
		chunk.has_dictionary = true;
		chunk.unpacked_bytes += put_page(out, file, column, &values, -1, n);
		chunk.data_offset = out->n;
	}
	for (unsigned from = 0; from < file->n_rows; from += file->page_rows) {
		unsigned n = file->n_rows - from;
		n = n < file->page_rows ? n : file->page_rows;
		byte_buffer_reset(&values);
		put_values(&values, column, index, from, n);
		chunk.unpacked_bytes += put_page(out, file, column, &values, (int)from, n);
	}
	byte_buffer_done(&values);
	chunk.end = out->n;
	return chunk;
}

static void put_schema(struct thrift_writer *thrift, const struct made_file *file) {
	thrift_list(thrift, 2, THRIFT_STRUCT, file->n_columns + 1);
	thrift_value_struct(thrift);
	thrift_text(thrift, 4, "root");
	thrift_i32(thrift, 5, (int32_t)file->n_columns);
	thrift_end(thrift);
	for (unsigned i = 0; i < file->n_columns; i++) {
		const struct made_column *column = &file->columns[i];
		thrift_value_struct(thrift);
		thrift_i32(thrift, 1, column->type);
		thrift_i32(thrift, 3, column->repetition);
		thrift_text(thrift, 4, column->name);
		if (column->converted > 0)
			thrift_i32(thrift, 6, column->converted - 1);
		if (column->logical > 0) {
			thrift_struct(thrift, 10);
			thrift_struct(thrift, (int16_t)column->logical);
			if (column->logical == 8) {
				thrift_bool(thrift, 1, true);
				thrift_struct(thrift, 2);
				thrift_empty(thrift, (int16_t)column->unit);
				thrift_end(thrift);
			}
			thrift_end(thrift);
			thrift_end(thrift);
		}
		thrift_end(thrift);
	}
}

static void put_statistics(struct thrift_writer *thrift, const struct made_column *column) {
	struct byte_buffer min = {0}, max = {0};

	thrift_struct(thrift, 12);
	if (column->n_null >= 0)
		thrift_i64(thrift, 3, column->n_null);
	if (column->min_max != NULL) {
		parquet_encode_plain(&min, &column->min_max[0], 1, value_bytes(column));
		parquet_encode_plain(&max, &column->min_max[1], 1, value_bytes(column));
		thrift_binary(thrift, 5, max.bytes, max.n);
		thrift_binary(thrift, 6, min.bytes, min.n);
	}
	thrift_end(thrift);
	byte_buffer_done(&min);
	byte_buffer_done(&max);
}

static void put_column(
	struct thrift_writer *thrift,
	const struct made_file *file,
	const struct made_column *column,
	const struct made_chunk *chunk
) {
	thrift_value_struct(thrift);
	thrift_i64(thrift, 2, 0);
	thrift_struct(thrift, 3);
	thrift_i32(thrift, 1, column->type);
	thrift_list(thrift, 2, THRIFT_I32, 1);
	thrift_value_i32(thrift, column->coding);
	thrift_list(thrift, 3, THRIFT_BINARY, 1);
	thrift_value_text(
		thrift, column->name_in_group != NULL ? column->name_in_group : column->name
	);
	thrift_i32(thrift, 4, file->codec);
	thrift_i64(thrift, 5, (int64_t)file->n_rows + column->more_in_footer);
	thrift_i64(thrift, 6, chunk->unpacked_bytes + column->more_unpacked);
	thrift_i64(thrift, 7, (int64_t)(chunk->end - chunk->offset) + column->more_octets);
	thrift_i64(thrift, 9, (int64_t)chunk->data_offset);
	if (chunk->has_dictionary)
		thrift_i64(thrift, 11, (int64_t)chunk->offset);
	put_statistics(thrift, column);
	thrift_end(thrift);
	thrift_end(thrift);
}

static void put_pair(struct thrift_writer *thrift, const char *key, const char *value) {
	thrift_value_struct(thrift);
	thrift_text(thrift, 1, key);
	thrift_text(thrift, 2, value);
	thrift_end(thrift);
}

void parquet_make(struct byte_buffer *out, const struct made_file *file) {
	struct made_chunk chunks[16][MADE_COLUMNS];
	struct thrift_writer thrift;
	size_t begin;

	require(file->n_groups <= 16 && file->n_rows <= MAX_ROWS);
	byte_buffer_put(out, "PAR1", 4);
	for (unsigned group = 0; group < file->n_groups; group++)
		for (unsigned i = 0; i < file->n_columns; i++)
			chunks[group][i] = put_chunk(out, file, &file->columns[i]);
	begin = out->n;
	thrift_begin(&thrift, out);
	thrift_i32(&thrift, 1, 2);
	put_schema(&thrift, file);
	thrift_i64(&thrift, 3, (int64_t)file->n_rows * file->n_groups + file->more_rows);
	thrift_list(&thrift, 4, THRIFT_STRUCT, file->n_groups);
	for (unsigned group = 0; group < file->n_groups; group++) {
		thrift_value_struct(&thrift);
		thrift_list(&thrift, 1, THRIFT_STRUCT, file->n_columns);
		for (unsigned i = 0; i < file->n_columns; i++)
			put_column(&thrift, file, &file->columns[i], &chunks[group][i]);
		thrift_i64(&thrift, 3, file->n_rows);
		thrift_end(&thrift);
	}
	thrift_list(&thrift, 5, THRIFT_STRUCT, 2);
	put_pair(&thrift, "maker", "by hand");
	put_pair(&thrift, "empty", "");
	thrift_end(&thrift);
	byte_buffer_put32(out, (uint32_t)(out->n - begin));
	byte_buffer_put(out, "PAR1", 4);
	require(!out->failed);
}

struct made_file made_example(void) {
	static const int64_t ports[] = {443, 53, 443, 8080, 65535};
	static const int64_t bytes[] = {40, -1, INT64_MAX, INT64_MIN, 0};
	static const int64_t times[] = {
		INT64_C(1795000000000000000),
		INT64_C(1795000000000062500),
		INT64_C(1795000000000000000),
		INT64_C(1794999999000000000),
		INT64_C(1795000000125000000),
	};
	static const int64_t types[] = {8, 0, 0, 3, 8};
	static const uint8_t valid[] = {1, 0, 0, 1, 1};
	static const char *const addresses[] = {
		"192.0.2.1",
		"192.0.2.2",
		"2001:db8::1",
		"192.0.2.1",
		"2001:db8::1",
	};
	static const int64_t ports_range[] = {53, 65535};

	return (struct made_file){
		.n_rows = 5,
		.page_rows = 2,
		.n_groups = 2,
		.version = 1,
		.codec = 6,
		.crc = true,
		.n_columns = 5,
		.columns =
			{
				{
					.name = "src_addr",
					.type = 6,
					.logical = 1,
					.coding = PARQUET_RLE_DICTIONARY,
					.texts = addresses,
					.n_null = 0,
				},
				{
					.name = "dst_port",
					.type = 1,
					.coding = PARQUET_PLAIN,
					.numbers = ports,
					.min_max = ports_range,
					.n_null = 0,
				},
				{.name = "bytes", .type = 2, .numbers = bytes, .n_null = -1},
				{
					.name = "time_flow_start_ns",
					.type = 2,
					.logical = 8,
					.unit = 3,
					.coding = PARQUET_DELTA_BINARY_PACKED,
					.numbers = times,
					.n_null = -1,
				},
				{
					.name = "icmp_type",
					.type = 1,
					.repetition = 1,
					.coding = PARQUET_RLE_DICTIONARY,
					.numbers = types,
					.valid = valid,
					.n_null = 2,
				},
			},
	};
}
