#include "scan_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool grow(void *array, unsigned n, size_t value_bytes) {
	void **pointer = array, *grown;

	// Room doubles, so it is full where n is a power of two.
	if ((n & (n - 1)) != 0)
		return true;
	grown = realloc(*pointer, (n == 0 ? 1 : (size_t)n * 2) * value_bytes);
	if (grown == NULL)
		return false;
	*pointer = grown;
	return true;
}

int scan_filter_add_number(struct scan_filter *filter, int64_t number) {
	if (!grow(&filter->numbers, filter->n, sizeof(*filter->numbers)))
		return -ENOMEM;
	filter->numbers[filter->n++] = number;
	return 0;
}

int scan_filter_add_text(struct scan_filter *filter, const char *text, uint32_t n) {
	char *copy;

	if (!grow(&filter->texts, filter->n, sizeof(*filter->texts)))
		return -ENOMEM;
	copy = malloc((size_t)n + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, text, n);
	copy[n] = '\0';
	filter->texts[filter->n++] = (struct scan_text){copy, n};
	return 0;
}

void scan_filter_done(struct scan_filter *filter) {
	if (filter->texts != NULL)
		for (unsigned i = 0; i < filter->n; i++)
			free(filter->texts[i].text);
	free(filter->texts);
	free(filter->numbers);
	*filter = (struct scan_filter){0};
}

static int compare_numbers(const void *a, const void *b) {
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

// By octets, as the statistics are; the shorter first.
static int compare_octets(const char *a, uint32_t n_a, const char *b, uint32_t n_b) {
	int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
	return order != 0 ? order : (n_a > n_b) - (n_a < n_b);
}

static int compare_texts(const void *a, const void *b) {
	const struct scan_text *left = a, *right = b;
	return compare_octets(left->text, left->n, right->text, right->n);
}

void scan_filter_sort(struct scan_filter *filter) {
	if (filter->kind == SCAN_NUMBERS && filter->n > 0)
		qsort(filter->numbers, filter->n, sizeof(*filter->numbers), compare_numbers);
	if (filter->kind == SCAN_TEXTS && filter->n > 0)
		qsort(filter->texts, filter->n, sizeof(*filter->texts), compare_texts);
	if (filter->n == 0 && (filter->kind == SCAN_NUMBERS || filter->kind == SCAN_TEXTS))
		filter->kind = SCAN_NOTHING;
}

static bool has_number(const struct scan_filter *filter, int64_t number) {
	return bsearch(&number, filter->numbers, filter->n, sizeof(number), compare_numbers)
	       != NULL;
}

static bool number_passes(const struct scan_filter *filter, int64_t number) {
	switch (filter->kind) {
	case SCAN_RANGE:
		return number >= filter->min && number <= filter->max;
	case SCAN_NUMBERS:
		return has_number(filter, number);
	case SCAN_NOT_NUMBER:
		return number != filter->min;
	default:
		return filter->kind == SCAN_ANY;
	}
}

static bool text_passes(const struct scan_filter *filter, const char *text, uint32_t n) {
	struct scan_text wanted = {(char *)text, n};

	switch (filter->kind) {
	case SCAN_TEXTS:
		return bsearch(&wanted, filter->texts, filter->n, sizeof(wanted), compare_texts)
		       != NULL;
	case SCAN_NOT_TEXT:
		return compare_texts(&wanted, &filter->texts[0]) != 0;
	case SCAN_NETWORK:
		return network_has(&filter->network, text, n);
	default:
		return filter->kind == SCAN_ANY;
	}
}

static enum scan_verdict
numbers_verdict(const struct scan_filter *filter, const struct parquet_range *range) {
	enum scan_verdict whole = range->n_null == 0 ? SCAN_EVERY_ROW : SCAN_SOME_ROWS;

	switch (filter->kind) {
	case SCAN_RANGE:
		if (range->min > filter->max || range->max < filter->min)
			return SCAN_NO_ROW;
		if (range->min >= filter->min && range->max <= filter->max)
			return whole;
		break;
	case SCAN_NUMBERS:
		if (range->min > filter->numbers[filter->n - 1] || range->max < filter->numbers[0])
			return SCAN_NO_ROW;
		if (range->min == range->max && !has_number(filter, range->min))
			return SCAN_NO_ROW;
		break;
	case SCAN_NOT_NUMBER:
		if (range->min == range->max && range->min == filter->min)
			return SCAN_NO_ROW;
		if (range->min > filter->min || range->max < filter->min)
			return whole;
		break;
	case SCAN_ANY:
		return whole;
	default:
		break;
	}
	return SCAN_SOME_ROWS;
}

// The statistics may be cut: then they are below the least text and above the greatest.
static enum scan_verdict
texts_verdict(const struct scan_filter *filter, const struct parquet_text_range *range) {
	char prefix[NETWORK_PREFIX_BYTES];

	if (filter->kind == SCAN_NETWORK) {
		uint32_t n = network_prefix(&filter->network, prefix);
		uint32_t n_min = range->min_bytes < n ? range->min_bytes : n;
		if (compare_octets(range->max, range->max_bytes, prefix, n) < 0
		    || memcmp(range->min, prefix, n_min) > 0)
			return SCAN_NO_ROW;
	}
	if (filter->kind == SCAN_TEXTS) {
		for (unsigned i = 0; i < filter->n; i++) {
			const struct scan_text *text = &filter->texts[i];
			if (compare_octets(text->text, text->n, range->min, range->min_bytes) >= 0
			    && compare_octets(text->text, text->n, range->max, range->max_bytes)
				       <= 0)
				return SCAN_SOME_ROWS;
		}
		return SCAN_NO_ROW;
	}
	return SCAN_SOME_ROWS;
}

enum scan_verdict scan_filter_group(
	const struct scan_filter *filter, const struct parquet_reader *reader, unsigned group
) {
	struct parquet_text_range texts;
	struct parquet_range numbers;

	if (filter->kind == SCAN_NOTHING || !parquet_reader_has(reader, filter->column))
		return SCAN_NO_ROW;
	if (flow_columns[filter->column].type == COLUMN_TEXT)
		return parquet_reader_text_range(reader, group, filter->column, &texts)
			       ? texts_verdict(filter, &texts)
			       : SCAN_SOME_ROWS;
	parquet_reader_range(reader, group, filter->column, &numbers);
	return numbers.known ? numbers_verdict(filter, &numbers) : SCAN_SOME_ROWS;
}

// The loop that each kind of filter has: without a branch for each row, whose outcome nobody
// could foretell.
#define KEEP_ROWS(passes)                                                                          \
	do {                                                                                       \
		if (*all) {                                                                        \
			for (uint32_t i = 0; i < n; i++) {                                         \
				uint32_t row = i;                                                  \
				rows[kept] = row;                                                  \
				kept += (passes) ? 1 : 0;                                          \
			}                                                                          \
		} else {                                                                           \
			for (uint32_t i = 0; i < n; i++) {                                         \
				uint32_t row = rows[i];                                            \
				rows[kept] = row;                                                  \
				kept += (passes) ? 1 : 0;                                          \
			}                                                                          \
		}                                                                                  \
	} while (0)

static uint32_t keep_numbers(
	const struct scan_filter *filter,
	const int64_t *values,
	uint32_t *rows,
	uint32_t n,
	const bool *all
) {
	uint64_t span = (uint64_t)filter->max - (uint64_t)filter->min;
	int64_t min = filter->min;
	uint32_t kept = 0;

	if (filter->kind == SCAN_RANGE)
		KEEP_ROWS((uint64_t)values[row] - (uint64_t)min <= span);
	else
		KEEP_ROWS(number_passes(filter, values[row]));
	return kept;
}

static uint32_t keep_valid(const uint8_t *valid, uint32_t *rows, uint32_t n, const bool *all) {
	uint32_t kept = 0;

	KEEP_ROWS(valid[row] != 0);
	return kept;
}

static uint32_t keep_texts(
	const struct scan_filter *filter,
	const struct parquet_vector *vector,
	uint32_t *rows,
	uint32_t n,
	const bool *all,
	uint8_t *matches
) {
	const uint32_t *index = vector->index;
	uint32_t n_matches = 0, kept = 0;

	for (uint32_t i = 0; i < vector->n_texts; i++) {
		matches[i] = text_passes(filter, vector->texts[i], vector->text_bytes[i]);
		n_matches += matches[i];
	}
	if (n_matches == 0)
		return 0;
	KEEP_ROWS(matches[index[row]] != 0);
	return kept;
}

uint32_t scan_filter_rows(
	const struct scan_filter *filter,
	const struct parquet_vector *vector,
	uint32_t *rows,
	uint32_t n,
	bool *all,
	uint8_t *matches
) {
	uint32_t before = n;

	if (filter->kind == SCAN_NOTHING)
		n = 0;
	if (vector->valid != NULL && n > 0) {
		n = keep_valid(vector->valid, rows, n, all);
		*all = false;
	}
	if (filter->kind != SCAN_ANY && n > 0) {
		n = vector->index != NULL ? keep_texts(filter, vector, rows, n, all, matches)
					  : keep_numbers(filter, vector->values, rows, n, all);
		*all = *all && n == before;
	}
	*all = *all && n == before;
	return n;
}
