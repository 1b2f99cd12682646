#include <errno.h>
#include <stdlib.h>

#include <zlib.h>

#include "address_text.h"
#include "parquet_internal.h"

enum {
	PAGE_ROWS = 1 << 17,
	NARROW_VALUES = 1 << 16,
	LEVEL_BYTES = 4, // the length before definition levels
};

int parquet_pages_init(struct parquet_pages *pages, int level, uint64_t secret) {
	*pages = (struct parquet_pages){.zstd = ZSTD_createCCtx()};
	value_table_init(&pages->values, false, secret);
	pages->number_of = calloc(NARROW_VALUES, sizeof(*pages->number_of));
	pages->levels = calloc(PAGE_ROWS, sizeof(*pages->levels));
	if (pages->zstd == NULL || pages->number_of == NULL || pages->levels == NULL
	    || ZSTD_isError(ZSTD_CCtx_setParameter(pages->zstd, ZSTD_c_compressionLevel, level)))
		return -ENOMEM;
	return 0;
}

void parquet_pages_done(struct parquet_pages *pages) {
	ZSTD_freeCCtx(pages->zstd);
	byte_buffer_done(&pages->raw);
	byte_buffer_done(&pages->packed);
	byte_buffer_done(&pages->trial);
	value_table_done(&pages->values);
	free(pages->number_of);
	free(pages->numbers);
	free(pages->indexes);
	free(pages->remap);
	free(pages->levels);
	free(pages->entries);
	*pages = (struct parquet_pages){0};
}

static bool resize(void *array, size_t n, size_t value_bytes) {
	void **pointer = array, *grown = realloc(*pointer, n * value_bytes);
	if (grown == NULL)
		return false;
	*pointer = grown;
	return true;
}

static int make_room(struct parquet_pages *pages, uint32_t n) {
	if (n <= pages->size)
		return 0;
	if (!resize(&pages->numbers, n, sizeof(*pages->numbers))
	    || !resize(&pages->indexes, n, sizeof(*pages->indexes)))
		return -ENOMEM;
	pages->size = n;
	return 0;
}

// Compresses `raw` into `packed`.
static int pack(struct parquet_pages *pages) {
	struct byte_buffer *packed = &pages->packed;
	size_t bound = ZSTD_compressBound(pages->raw.n);

	byte_buffer_reset(packed);
	if (pages->raw.failed || !byte_buffer_reserve(packed, bound))
		return -ENOMEM;
	size_t n =
		ZSTD_compress2(pages->zstd, packed->bytes, bound, pages->raw.bytes, pages->raw.n);
	if (ZSTD_isError(n))
		return -ENOMEM; // all that can go wrong with room for the worst case
	packed->n = n;
	return 0;
}

// Appends what is in `raw` as a page.
static int put_page(
	struct parquet_pages *pages,
	struct parquet_page *page,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
) {
	size_t begin = out->n;
	int rc = pack(pages);

	if (rc != 0)
		return rc;
	page->raw_bytes = (uint32_t)pages->raw.n;
	page->bytes = (uint32_t)pages->packed.n;
	page->crc = (uint32_t)crc32_z(0, pages->packed.bytes, pages->packed.n);
	parquet_meta_page(out, page);
	chunk->raw_bytes += out->n - begin + page->raw_bytes;
	byte_buffer_put(out, pages->packed.bytes, pages->packed.n);
	chunk->bytes += out->n - begin;
	return out->failed ? -ENOMEM : 0;
}

// Definition levels of `n` rows: 0 where `valid` is 0, that is NULL. Where it is missing, all
// rows are as the column's first.
static void put_levels(
	struct parquet_pages *pages,
	const struct parquet_chunk *chunk,
	const uint8_t *valid,
	uint32_t n
) {
	struct byte_buffer *raw = &pages->raw;
	size_t begin = raw->n;

	byte_buffer_put32(raw, 0);
	if (valid == NULL) {
		parquet_encode_run(raw, chunk->n_null == 0, n, 1);
	} else {
		for (uint32_t i = 0; i < n; i++)
			pages->levels[i] = valid[i];
		parquet_encode_hybrid(raw, pages->levels, n, 1);
	}
	if (raw->failed)
		return;
	uint32_t bytes = (uint32_t)(raw->n - begin - LEVEL_BYTES);
	memcpy(raw->bytes + begin, &bytes, sizeof(bytes));
}

// How the values of a column stand in its data pages.
struct plan {
	enum parquet_encoding encoding;
	unsigned width; // of an index
	unsigned align; // of deltas
	unsigned value_bytes;
};

static void
put_values(struct parquet_pages *pages, const struct plan *plan, uint32_t from, uint32_t n) {
	struct byte_buffer *raw = &pages->raw;

	switch (plan->encoding) {
	case PARQUET_RLE_DICTIONARY:
		byte_buffer_put8(raw, (uint8_t)plan->width);
		parquet_encode_hybrid(raw, pages->indexes + from, n, plan->width);
		break;
	case PARQUET_DELTA_BINARY_PACKED:
		parquet_encode_delta(raw, pages->numbers + from, n, plan->align);
		break;
	default:
		parquet_encode_plain(raw, pages->numbers + from, n, plan->value_bytes);
		break;
	}
}

// The data pages. `valid` is NULL where all rows have a value or none has.
static int put_data_pages(
	struct parquet_pages *pages,
	const struct plan *plan,
	const uint8_t *valid,
	uint64_t offset,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
) {
	uint32_t from = 0; // values done

	chunk->encoding = plan->encoding;
	chunk->data_offset = offset;
	for (uint32_t row = 0; row < chunk->n_rows; row += PAGE_ROWS) {
		uint32_t n = chunk->n_rows - row < PAGE_ROWS ? chunk->n_rows - row : PAGE_ROWS;
		struct parquet_page page = {.n_values = n, .encoding = plan->encoding};
		uint32_t n_values;
		byte_buffer_reset(&pages->raw);
		if (flow_columns[chunk->column].optional)
			put_levels(pages, chunk, valid == NULL ? NULL : valid + row, n);
		if (valid == NULL) {
			n_values = chunk->n_null == 0 ? n : 0;
		} else {
			n_values = 0;
			for (uint32_t i = 0; i < n; i++)
				n_values += valid[row + i];
		}
		put_values(pages, plan, from, n_values);
		from += n_values;
		int rc = put_page(pages, &page, out, chunk);
		if (rc != 0)
			return rc;
		chunk->n_pages++;
	}
	return 0;
}

// `raw` holds the entries.
static int put_dictionary_page(
	struct parquet_pages *pages,
	uint32_t n,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
) {
	struct parquet_page page = {.dictionary = true, .n_values = n, .encoding = PARQUET_PLAIN};

	chunk->dictionary = true;
	return put_page(pages, &page, out, chunk);
}

static void widen_range(struct parquet_chunk *chunk, const char *text, unsigned n) {
	unsigned least = n < chunk->min_bytes ? n : chunk->min_bytes;
	int below = memcmp(text, chunk->min, least);
	if (chunk->min_bytes == 0 || below < 0 || (below == 0 && n < chunk->min_bytes)) {
		memcpy(chunk->min, text, n);
		chunk->min_bytes = n;
	}
	least = n < chunk->max_bytes ? n : chunk->max_bytes;
	int above = memcmp(text, chunk->max, least);
	if (chunk->max_bytes == 0 || above > 0 || (above == 0 && n > chunk->max_bytes)) {
		memcpy(chunk->max, text, n);
		chunk->max_bytes = n;
	}
}

static void
put_entry(struct parquet_pages *pages, struct parquet_chunk *chunk, const char *text, unsigned n) {
	byte_buffer_put32(&pages->raw, n);
	byte_buffer_put(&pages->raw, text, n);
	widen_range(chunk, text, n);
}

static int put_address_column(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	enum parquet_address which,
	uint64_t offset,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
) {
	uint32_t n_ranks = which < ADDRESS_SRC_MAC ? rows->ip.n : rows->mac.n;
	const uint32_t *ranks = rows->address[which];
	uint32_t n = 0;

	if (n_ranks > pages->remap_size) {
		if (!resize(&pages->remap, n_ranks, sizeof(*pages->remap)))
			return -ENOMEM;
		pages->remap_size = n_ranks;
	}
	memset(pages->remap, 0, n_ranks * sizeof(*pages->remap));
	for (uint32_t i = 0; i < rows->n; i++)
		pages->remap[ranks[i]] = 1;
	byte_buffer_reset(&pages->raw);
	for (uint32_t rank = 0; rank < n_ranks; rank++) {
		char text[ADDRESS_TEXT_BYTES];
		if (pages->remap[rank] == 0)
			continue;
		put_entry(pages, chunk, text, parquet_rows_text(rows, which, rank, text));
		pages->remap[rank] = n++;
	}
	for (uint32_t i = 0; i < rows->n; i++)
		pages->indexes[i] = pages->remap[ranks[i]];
	int rc = put_dictionary_page(pages, n, out, chunk);
	if (rc != 0)
		return rc;
	struct plan plan = {.encoding = PARQUET_RLE_DICTIONARY, .width = parquet_width(n - 1)};
	return put_data_pages(pages, &plan, NULL, offset + chunk->bytes, out, chunk);
}

static int put_sampler_column(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	const struct flow_source *source,
	uint64_t offset,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
) {
	struct plan plan = {.encoding = PARQUET_PLAIN};
	bool known = source->sampler_address != NULL;
	int rc = 0;

	memset(pages->indexes, 0, rows->n * sizeof(*pages->indexes));
	if (known) {
		const char *text = source->sampler_address;
		plan = (struct plan){.encoding = PARQUET_RLE_DICTIONARY, .width = 1};
		byte_buffer_reset(&pages->raw);
		put_entry(pages, chunk, text, (unsigned)strlen(text));
		rc = put_dictionary_page(pages, 1, out, chunk);
	} else {
		chunk->n_null = rows->n;
	}
	if (rc == 0)
		rc = put_data_pages(pages, &plan, NULL, offset + chunk->bytes, out, chunk);
	return rc;
}

// Where the numbers of a column are.
struct origin {
	bool wide;
	unsigned which;
};

static const struct origin origins[FLOW_COLUMN_COUNT] = {
	[COLUMN_TIME_FLOW_START_NS] = {true, WIDE_START},
	[COLUMN_TIME_FLOW_END_NS] = {true, WIDE_END},
	[COLUMN_PROTO] = {false, NARROW_PROTO},
	[COLUMN_SRC_PORT] = {false, NARROW_SRC_PORT},
	[COLUMN_DST_PORT] = {false, NARROW_DST_PORT},
	[COLUMN_BYTES] = {true, WIDE_BYTES},
	[COLUMN_PACKETS] = {true, WIDE_PACKETS},
	[COLUMN_TCP_FLAGS] = {false, NARROW_TCP_FLAGS},
	[COLUMN_IP_TOS] = {false, NARROW_TOS},
	[COLUMN_IN_IF] = {false, NARROW_IF},
	[COLUMN_OUT_IF] = {false, NARROW_IF},
	[COLUMN_VLAN_ID] = {false, NARROW_VLAN},
	[COLUMN_INNER_VLAN_ID] = {false, NARROW_INNER_VLAN},
	[COLUMN_ICMP_TYPE] = {false, NARROW_ICMP},
	[COLUMN_ICMP_CODE] = {false, NARROW_ICMP},
	[COLUMN_ETYPE] = {false, NARROW_ETYPE},
	[COLUMN_IP_TTL] = {false, NARROW_TTL},
	[COLUMN_IP_TTL_MAX] = {false, NARROW_TTL_MAX},
	[COLUMN_FLOW_END_REASON] = {false, NARROW_END},
};

static uint32_t take_numbers(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	const struct flow_source *source,
	enum flow_column column
) {
	const struct origin *origin = &origins[column];
	int64_t *numbers = pages->numbers;
	uint32_t n = rows->n;

	if (column == COLUMN_SAMPLING_RATE) {
		for (uint32_t i = 0; i < n; i++)
			numbers[i] = source->sampling_rate;
	} else if (flow_columns[column].optional) {
		n = 0;
		for (uint32_t i = 0; i < rows->n; i++) {
			uint16_t icmp = rows->narrow[NARROW_ICMP][i];
			numbers[n] = column == COLUMN_ICMP_TYPE ? icmp >> 8 : icmp & 0xff;
			n += rows->icmp[i];
		}
	} else if (origin->wide) {
		memcpy(numbers, rows->wide[origin->which], n * sizeof(*numbers));
	} else {
		for (uint32_t i = 0; i < n; i++)
			numbers[i] = rows->narrow[origin->which][i];
	}
	return n;
}

// Indexes into a dictionary of at most `limit` entries. Returns how many, 0 where there would be
// more, or -ENOMEM.
static int index_numbers(struct parquet_pages *pages, uint32_t n, uint32_t limit, bool narrow) {
	uint32_t n_entries = 0;

	if (narrow) {
		if (pages->entries_size < NARROW_VALUES) {
			if (!resize(&pages->entries, NARROW_VALUES, sizeof(*pages->entries)))
				return -ENOMEM;
			pages->entries_size = NARROW_VALUES;
		}
		for (uint32_t i = 0; i < n; i++) {
			uint32_t *number = &pages->number_of[pages->numbers[i]];
			if (*number == 0) {
				pages->entries[n_entries] = pages->numbers[i];
				*number = ++n_entries;
			}
			pages->indexes[i] = *number - 1;
		}
		for (uint32_t i = 0; i < n_entries; i++)
			pages->number_of[pages->entries[i]] = 0;
		return (int)n_entries;
	}
	value_table_reset(&pages->values);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t number = value_table_of(&pages->values, (uint64_t)pages->numbers[i]);
		if (number == VALUE_TABLE_FULL)
			return -ENOMEM;
		if (number >= limit)
			return 0;
		pages->indexes[i] = number;
	}
	n_entries = pages->values.n;
	if (n_entries > pages->entries_size) {
		if (!resize(&pages->entries, n_entries, sizeof(*pages->entries)))
			return -ENOMEM;
		pages->entries_size = n_entries;
	}
	memcpy(pages->entries, pages->values.low, n_entries * sizeof(*pages->entries));
	return (int)n_entries;
}

static void number_range(
	const int64_t *numbers, uint32_t n, unsigned value_bytes, struct parquet_chunk *chunk
) {
	int64_t min = numbers[0], max = numbers[0];

	for (uint32_t i = 1; i < n; i++) {
		min = numbers[i] < min ? numbers[i] : min;
		max = numbers[i] > max ? numbers[i] : max;
	}
	memcpy(chunk->min, &min, value_bytes); // little-endian, as weir's machines are
	memcpy(chunk->max, &max, value_bytes);
	chunk->min_bytes = chunk->max_bytes = value_bytes;
}

static int put_number_column(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	const struct flow_source *source,
	uint64_t offset,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
) {
	enum flow_column column = chunk->column;
	struct plan plan = {
		.encoding = PARQUET_PLAIN,
		.value_bytes = flow_columns[column].type == COLUMN_INT32 ? 4 : 8,
	};
	uint32_t n = take_numbers(pages, rows, source, column);
	const uint8_t *valid = n == rows->n || n == 0 ? NULL : rows->icmp;
	int n_entries = 0, rc = 0;

	chunk->n_null = rows->n - n;
	if (n != 0) {
		number_range(pages->numbers, n, plan.value_bytes, chunk);
		n_entries = index_numbers(pages, n, 1 << 17, plan.value_bytes == 4);
	}
	if (n_entries < 0)
		return n_entries;
	if (n_entries != 0) {
		plan.encoding = PARQUET_RLE_DICTIONARY;
		plan.width = parquet_width((uint64_t)n_entries - 1);
		byte_buffer_reset(&pages->raw);
		parquet_encode_plain(
			&pages->raw, pages->entries, (size_t)n_entries, plan.value_bytes
		);
		rc = put_dictionary_page(pages, (uint32_t)n_entries, out, chunk);
	}
	if (rc == 0)
		rc = put_data_pages(pages, &plan, valid, offset + chunk->bytes, out, chunk);
	return rc;
}

int parquet_pages_put(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	const struct flow_source *source,
	enum flow_column column,
	uint64_t offset,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
) {
	int rc = make_room(pages, rows->n);

	*chunk = (struct parquet_chunk){.column = column, .n_rows = rows->n, .offset = offset};
	if (rc != 0)
		return rc;
	switch (column) {
	case COLUMN_SRC_ADDR:
		return put_address_column(pages, rows, ADDRESS_SRC, offset, out, chunk);
	case COLUMN_DST_ADDR:
		return put_address_column(pages, rows, ADDRESS_DST, offset, out, chunk);
	case COLUMN_SRC_MAC:
		return put_address_column(pages, rows, ADDRESS_SRC_MAC, offset, out, chunk);
	case COLUMN_DST_MAC:
		return put_address_column(pages, rows, ADDRESS_DST_MAC, offset, out, chunk);
	case COLUMN_SAMPLER_ADDRESS:
		return put_sampler_column(pages, rows, source, offset, out, chunk);
	default:
		return put_number_column(pages, rows, source, offset, out, chunk);
	}
}
