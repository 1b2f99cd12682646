#include <errno.h>
#include <stdlib.h>

#include <zlib.h>

#include "address_text.h"
#include "parquet_internal.h"

enum {
	PAGE_ROWS = 1 << 17,
	NARROW_VALUES = 1 << 16,
	MIN_MATCH = 5,
	COUNT_BITS = 32,
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
	// The fastest levels look for matches of 7 octets, but a delta or an index has 2 to 4: 1.3
	// %.
	if (level < 3
	    && ZSTD_isError(ZSTD_CCtx_setParameter(pages->zstd, ZSTD_c_minMatch, MIN_MATCH)))
		return -ENOMEM;
	return 0;
}

void parquet_pages_done(struct parquet_pages *pages) {
	ZSTD_freeCCtx(pages->zstd);
	byte_buffer_done(&pages->raw);
	byte_buffer_done(&pages->packed);
	value_table_done(&pages->values);
	free(pages->number_of);
	free(pages->numbers);
	free(pages->indexes);
	free(pages->remap);
	free(pages->levels);
	free(pages->entries);
	free(pages->sorting);
	free(pages->moves);
	*pages = (struct parquet_pages){0};
}

bool parquet_resize(void *array, size_t n, size_t value_bytes) {
	void **pointer = array, *grown = realloc(*pointer, n * value_bytes);
	if (grown == NULL)
		return false;
	*pointer = grown;
	return true;
}

static int make_room(struct parquet_pages *pages, uint32_t n) {
	if (n <= pages->size)
		return 0;
	if (!parquet_resize(&pages->numbers, n, sizeof(*pages->numbers))
	    || !parquet_resize(&pages->indexes, n, sizeof(*pages->indexes)))
		return -ENOMEM;
	pages->size = n;
	return 0;
}

int parquet_pages_pack(struct parquet_pages *pages) {
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
	int rc = parquet_pages_pack(pages);

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

// Rows of the page that begins at `row`. One ends where the order of the rows changes, since what
// encoding is best changes with it.
static uint32_t page_rows(const struct parquet_rows *rows, uint32_t row) {
	uint32_t end = row < rows->n_instant ? rows->n_instant : rows->n;
	return end - row < PAGE_ROWS ? end - row : PAGE_ROWS;
}

static uint32_t
count_values(const struct parquet_chunk *chunk, const uint8_t *valid, uint32_t row, uint32_t n) {
	uint32_t n_values = 0;

	if (valid == NULL)
		return chunk->n_null == 0 ? n : 0;
	for (uint32_t i = 0; i < n; i++)
		n_values += valid[row + i];
	return n_values;
}

// The data pages. `valid` is NULL where all rows have a value or none has.
static int put_data_pages(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	const uint8_t *valid,
	uint64_t offset,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
) {
	unsigned value_bytes = flow_columns[chunk->column].type == COLUMN_INT32 ? 4 : 8;
	uint32_t from = 0; // values done

	chunk->data_offset = offset + chunk->bytes;
	for (uint32_t row = 0, n; row < rows->n; row += n) {
		struct parquet_plan plan = {PARQUET_PLAIN, 1};
		n = page_rows(rows, row);
		uint32_t n_values = count_values(chunk, valid, row, n);
		if (n_values != 0) {
			int64_t rc = parquet_plan_choose(
				pages,
				chunk->dictionary ? parquet_index_plans : parquet_number_plans,
				chunk->dictionary ? 2 : 3,
				value_bytes,
				from,
				n_values,
				&plan
			);
			if (rc < 0)
				return (int)rc;
		}
		struct parquet_page page = {.n_values = n, .encoding = plan.encoding};
		byte_buffer_reset(&pages->raw);
		if (flow_columns[chunk->column].optional)
			put_levels(pages, chunk, valid == NULL ? NULL : valid + row, n);
		parquet_plan_put(pages, &plan, value_bytes, from, n_values);
		from += n_values;
		int rc = put_page(pages, &page, out, chunk);
		if (rc != 0)
			return rc;
		chunk->n_pages[plan.encoding]++;
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
	pages->n_entries = n;
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

// Puts the ranks that occur into `moves`: the most frequent first, so that most indexes are small
// and share their upper octets; of about the same frequency in ascending order, so that neighbours
// share the begin of their text. Returns how many there are, or -ENOMEM.
static int
order_entries(struct parquet_pages *pages, const uint32_t *ranks, uint32_t n, uint32_t n_ranks) {
	uint32_t begins[COUNT_BITS + 1] = {0}, begin = 0;

	if (!parquet_resize(&pages->remap, n_ranks, sizeof(*pages->remap))
	    || !parquet_resize(&pages->moves, n_ranks, sizeof(*pages->moves)))
		return -ENOMEM;
	uint32_t *counts = pages->remap;
	memset(counts, 0, n_ranks * sizeof(*counts));
	for (uint32_t i = 0; i < n; i++)
		counts[ranks[i]]++;
	for (uint32_t rank = 0; rank < n_ranks; rank++)
		if (counts[rank] != 0)
			begins[parquet_width(counts[rank])]++;
	for (unsigned bits = COUNT_BITS; bits > 0; bits--) {
		uint32_t of_bits = begins[bits];
		begins[bits] = begin;
		begin += of_bits;
	}
	for (uint32_t rank = 0; rank < n_ranks; rank++)
		if (counts[rank] != 0)
			pages->moves[begins[parquet_width(counts[rank])]++] = rank;
	return (int)begin;
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

	int rc = order_entries(pages, ranks, rows->n, n_ranks);
	if (rc < 0)
		return rc;
	uint32_t n = (uint32_t)rc;
	byte_buffer_reset(&pages->raw);
	for (uint32_t i = 0; i < n; i++) {
		char text[ADDRESS_TEXT_BYTES];
		uint32_t rank = pages->moves[i];
		put_entry(pages, chunk, text, parquet_rows_text(rows, which, rank, text));
		pages->remap[rank] = i;
	}
	for (uint32_t i = 0; i < rows->n; i++)
		pages->indexes[i] = pages->remap[ranks[i]];
	rc = put_dictionary_page(pages, n, out, chunk);
	if (rc != 0)
		return rc;
	return put_data_pages(pages, rows, NULL, offset, out, chunk);
}

static int put_sampler_column(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	const struct flow_source *source,
	uint64_t offset,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
) {
	int rc = 0;

	memset(pages->indexes, 0, rows->n * sizeof(*pages->indexes));
	if (source->sampler_address != NULL) {
		const char *text = source->sampler_address;
		byte_buffer_reset(&pages->raw);
		put_entry(pages, chunk, text, (unsigned)strlen(text));
		rc = put_dictionary_page(pages, 1, out, chunk);
	} else {
		chunk->n_null = rows->n;
	}
	if (rc == 0)
		rc = put_data_pages(pages, rows, NULL, offset, out, chunk);
	return rc;
}

static int put_number_column(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	const struct flow_source *source,
	uint64_t offset,
	struct byte_buffer *out,
	struct parquet_chunk *chunk
) {
	unsigned value_bytes = flow_columns[chunk->column].type == COLUMN_INT32 ? 4 : 8;
	uint32_t n = parquet_numbers_take(pages, rows, source, chunk);
	const uint8_t *valid = n == rows->n || n == 0 ? NULL : rows->icmp;
	int rc = n == 0 ? 0 : parquet_numbers_dictionary(pages, n, value_bytes);

	if (rc > 0) {
		byte_buffer_reset(&pages->raw);
		parquet_encode_plain(&pages->raw, pages->entries, pages->n_entries, value_bytes);
		rc = put_dictionary_page(pages, pages->n_entries, out, chunk);
	}
	if (rc == 0)
		rc = put_data_pages(pages, rows, valid, offset, out, chunk);
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
