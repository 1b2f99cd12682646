// A column of a row group, from its pages to a vector.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <zstd.h>

#include "parquet_decode.h"
#include "parquet_page.h"
#include "parquet_reader_internal.h"
#include "parquet_text.h"

// What a vector points into.
struct memory {
	struct parquet_memory packed, unpacked; // of the pages
	struct parquet_memory dictionary;       // its octets, since texts point there
	struct parquet_memory numbers;          // or its numbers
	struct parquet_memory values, index, valid, texts, text_bytes, table;
	void *zstd;
};

// A column on its way.
struct reading {
	const struct parquet_reader *reader;
	struct parquet_walk walk;
	struct parquet_vector *vector;
	struct memory *memory;
	struct parquet_range range; // of numbers
	bool is_text, has_dictionary;
	unsigned value_bytes; // of a number
	uint32_t n_dictionary;
	uint32_t n_done, n_null;
	int64_t *values;
	uint32_t *index;
	uint8_t *valid; // NULL = the column cannot be NULL
};

static int no_memory(const struct reading *reading) {
	return parquet_fail(reading->walk.error, ENOMEM, "%s", strerror(ENOMEM));
}

// Whether numbers are within the statistics. The footer has no checksum: by it alone a wrong
// statistic, or a chunk in another's place, would go unseen.
static bool within(const struct parquet_range *range, const int64_t *values, size_t n) {
	int64_t min = INT64_MAX, max = INT64_MIN;

	if (!range->known || n == 0)
		return true;
	for (size_t i = 0; i < n; i++) {
		min = RTE_MIN(min, values[i]);
		max = RTE_MAX(max, values[i]);
	}
	return min >= range->min && max <= range->max;
}

static bool texts_within(const struct reading *reading) {
	const struct parquet_vector *vector = reading->vector;
	struct parquet_text_range range;

	if (!parquet_reader_text_range(
		    reading->reader, reading->walk.group, reading->walk.column, &range
	    ))
		return true;
	for (uint32_t i = 0; i < vector->n_texts; i++) {
		const char *text = vector->texts[i];
		uint32_t n = vector->text_bytes[i];
		// A greatest that was cut is made greater by who cut it.
		if (parquet_text_compare(text, n, range.min, range.min_bytes) < 0
		    || parquet_text_compare(text, n, range.max, range.max_bytes) > 0)
			return false;
	}
	return true;
}

static const char *take_texts(struct reading *reading, const struct parquet_read_page *page) {
	struct memory *memory = reading->memory;
	struct parquet_vector *vector = reading->vector;
	uint32_t n = page->n_values;
	uint8_t *bytes = parquet_memory_take(&memory->dictionary, page->n_bytes);
	const char **texts = parquet_memory_take(&memory->texts, n * sizeof(*texts));
	uint32_t *text_bytes = parquet_memory_take(&memory->text_bytes, n * sizeof(*text_bytes));
	const char *wrong;

	if (bytes == NULL || texts == NULL || text_bytes == NULL)
		return strerror(ENOMEM);
	// The page's own memory is the next page's.
	memcpy(bytes, page->values, page->n_bytes);
	wrong = parquet_text_list(bytes, page->n_bytes, n, texts, text_bytes);
	if (wrong != NULL)
		return wrong;
	if (!parquet_text_ascend(texts, text_bytes, n)) {
		uint32_t *table =
			parquet_memory_take(&memory->table, parquet_text_table(n) * sizeof(*table));
		if (table == NULL)
			return strerror(ENOMEM);
		if (!parquet_text_differ(texts, text_bytes, n, table, &reading->reader->secret))
			return "a text twice in the dictionary";
	}
	vector->texts = texts;
	vector->text_bytes = text_bytes;
	vector->n_texts = n;
	return texts_within(reading) ? NULL : "texts that the statistics exclude";
}

static const char *take_dictionary(struct reading *reading, const struct parquet_read_page *page) {
	int64_t *numbers;
	const char *wrong;

	if (reading->has_dictionary)
		return "a second dictionary";
	if (page->coding != CODING_PLAIN && page->coding != CODING_PLAIN_DICTIONARY)
		return "a dictionary that is not PLAIN";
	reading->has_dictionary = true;
	reading->n_dictionary = page->n_values;
	if (reading->is_text)
		return take_texts(reading, page);
	numbers = parquet_memory_take(&reading->memory->numbers, page->n_values * sizeof(*numbers));
	if (numbers == NULL)
		return strerror(ENOMEM);
	wrong = parquet_decode_plain(
		page->values, page->n_bytes, reading->value_bytes, numbers, page->n_values
	);
	if (wrong == NULL && !within(&reading->range, numbers, page->n_values))
		wrong = "values that the statistics exclude";
	return wrong;
}

// The numbers of a page that are not NULL, one after the other.
static const char *
take_numbers(struct reading *reading, const struct parquet_read_page *page, size_t n) {
	int64_t *out = reading->values + reading->n_done;
	const char *wrong = NULL;

	switch (page->coding) {
	case CODING_PLAIN:
		wrong = parquet_decode_plain(
			page->values, page->n_bytes, reading->value_bytes, out, n
		);
		break;
	case CODING_BYTE_STREAM_SPLIT:
		wrong = parquet_decode_split(
			page->values, page->n_bytes, reading->value_bytes, out, n
		);
		break;
	case CODING_DELTA_BINARY_PACKED:
		wrong = parquet_decode_delta(
			page->values, page->n_bytes, reading->value_bytes, out, n
		);
		break;
	default: // by dictionary, whose numbers have been looked at
		return parquet_decode_indexed(
			page->values,
			page->n_bytes,
			reading->memory->numbers.at,
			reading->n_dictionary,
			out,
			n
		);
	}
	if (wrong == NULL && !within(&reading->range, out, n))
		wrong = "values that the statistics exclude";
	return wrong;
}

// Moves the values apart to the rows that have one; the others get 0. From the end, so that
// none is overwritten before it has moved.
static void spread(const struct reading *reading, uint32_t n, uint32_t n_present) {
	const uint8_t *valid = reading->valid + reading->n_done;

	if (reading->is_text) {
		uint32_t *index = reading->index + reading->n_done;
		for (uint32_t i = n, from = n_present; i-- > 0;)
			index[i] = valid[i] != 0 ? index[--from] : 0;
	} else {
		int64_t *values = reading->values + reading->n_done;
		for (uint32_t i = n, from = n_present; i-- > 0;)
			values[i] = valid[i] != 0 ? values[--from] : 0;
	}
}

static int take_values(struct reading *reading, const struct parquet_read_page *page) {
	struct parquet_walk *walk = &reading->walk;
	bool by_dictionary =
		page->coding == CODING_RLE_DICTIONARY || page->coding == CODING_PLAIN_DICTIONARY;
	bool known =
		by_dictionary
		|| (!reading->is_text
		    && (page->coding == CODING_PLAIN || page->coding == CODING_DELTA_BINARY_PACKED
			|| page->coding == CODING_BYTE_STREAM_SPLIT));
	size_t n = page->n_values, n_present = n;
	const char *wrong = NULL;

	if (reading->valid != NULL)
		wrong = parquet_decode_levels(
			page->levels,
			page->n_levels,
			reading->valid + reading->n_done,
			n,
			&n_present
		);
	if (wrong == NULL && page->n_null >= 0 && (size_t)page->n_null != n - n_present)
		wrong = "not as many NULLs as the page tells";
	// Where no row has a value, nothing is coded.
	if (wrong == NULL && n_present > 0) {
		if (!known)
			return parquet_fail(
				walk->error,
				ENOTSUP,
				"column %s: encoding %s is not read; weir writes %s",
				flow_columns[walk->column].name,
				parquet_coding_name(page->coding),
				reading->is_text ? "a dictionary"
						 : "a dictionary, PLAIN or DELTA_BINARY_PACKED"
			);
		if (by_dictionary && !reading->has_dictionary)
			wrong = "no dictionary before its indexes";
		else if (reading->is_text)
			wrong = parquet_decode_indexes(
				page->values,
				page->n_bytes,
				reading->n_dictionary,
				reading->index + reading->n_done,
				n_present
			);
		else
			wrong = take_numbers(reading, page, n_present);
	}
	if (wrong != NULL)
		return parquet_walk_fail(walk, page->offset, "%s", wrong);
	if (n_present < n)
		spread(reading, (uint32_t)n, (uint32_t)n_present);
	reading->n_done += (uint32_t)n;
	reading->n_null += (uint32_t)(n - n_present);
	return 0;
}

static int take_pages(struct reading *reading) {
	struct parquet_walk *walk = &reading->walk;
	struct parquet_read_page page;
	int rc = parquet_walk_begin(walk);

	while (rc >= 0 && (rc = parquet_walk_next(walk, &page)) > 0) {
		if (!page.is_dictionary) {
			rc = take_values(reading, &page);
			continue;
		}
		const char *wrong = take_dictionary(reading, &page);
		if (wrong != NULL)
			rc = parquet_walk_fail(walk, page.offset, "%s", wrong);
	}
	if (rc == 0 && walk->chunk->has_n_null && walk->chunk->n_null != reading->n_null)
		rc = parquet_walk_fail(
			walk,
			walk->chunk->offset,
			"%u NULLs, where the statistics tell %llu",
			reading->n_null,
			(unsigned long long)walk->chunk->n_null
		);
	return rc;
}

// Room for the rows in `vector`, which keeps what it had of it.
static int make_room(struct reading *reading) {
	struct parquet_vector *vector = reading->vector;
	uint32_t n = reading->walk.n_rows;
	struct memory *memory = vector->internal;

	if (memory == NULL)
		memory = calloc(1, sizeof(*memory));
	if (memory == NULL)
		return no_memory(reading);
	*vector = (struct parquet_vector){.internal = memory};
	reading->memory = memory;
	if (reading->is_text)
		reading->index = parquet_memory_take(&memory->index, n * sizeof(uint32_t));
	else
		reading->values = parquet_memory_take(&memory->values, n * sizeof(int64_t));
	if (reading->walk.is_optional)
		reading->valid = parquet_memory_take(&memory->valid, n);
	if ((reading->index == NULL && reading->values == NULL)
	    || (reading->walk.is_optional && reading->valid == NULL))
		return no_memory(reading);
	reading->walk.packed = &memory->packed;
	reading->walk.unpacked = &memory->unpacked;
	reading->walk.zstd = &memory->zstd;
	return 0;
}

int parquet_reader_column(
	const struct parquet_reader *reader,
	unsigned group,
	enum flow_column column,
	struct parquet_vector *vector,
	char *error
) {
	const struct parquet_footer *footer = &reader->footer;
	enum flow_column_type type = flow_columns[column].type;
	struct reading reading;
	int rc;

	if (group >= footer->n_groups)
		return parquet_fail(error, EINVAL, "there is no row group %u", group);
	if (footer->place[column] < 0)
		return parquet_fail(
			error, ENOENT, "there is no column %s", flow_columns[column].name
		);
	reading = (struct reading){
		.reader = reader,
		.walk =
			{
				.source = &reader->source,
				.chunk = parquet_footer_chunk(footer, group, column),
				.column = column,
				.group = group,
				.n_rows = footer->group_rows[group],
				.is_optional = footer->optional[column],
				.error = error,
			},
		.vector = vector,
		.is_text = type == COLUMN_TEXT,
		.value_bytes = type == COLUMN_INT32 ? 4 : 8,
	};
	parquet_reader_range(reader, group, column, &reading.range);
	rc = make_room(&reading);
	if (rc == 0)
		rc = take_pages(&reading);
	if (rc < 0) {
		*vector = (struct parquet_vector){.internal = vector->internal};
		return rc;
	}
	vector->n_rows = reading.n_done;
	vector->values = reading.values;
	vector->index = reading.index;
	vector->valid = reading.n_null > 0 ? reading.valid : NULL;
	return 0;
}

void parquet_vector_done(struct parquet_vector *vector) {
	struct memory *memory = vector->internal;

	if (memory != NULL) {
		free(memory->packed.at);
		free(memory->unpacked.at);
		free(memory->dictionary.at);
		free(memory->numbers.at);
		free(memory->values.at);
		free(memory->index.at);
		free(memory->valid.at);
		free(memory->texts.at);
		free(memory->text_bytes.at);
		free(memory->table.at);
		ZSTD_freeDCtx(memory->zstd);
		free(memory);
	}
	*vector = (struct parquet_vector){0};
}
