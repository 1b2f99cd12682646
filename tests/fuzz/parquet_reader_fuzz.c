// Fuzz target of the Parquet reader: the input is a file. All columns are read, and the records
// of every row group.

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parquet_reader.h"

#define MAX_ROWS 20000 // a few octets may be millions of rows, which is slow and finds nothing

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

// Not assert(): it must hold in a release build too.
static void require(bool holds) {
	if (!holds)
		abort();
}

// Written where the compiler cannot see that no one reads it.
static volatile uint64_t sink;

static void check_error(int rc, const char *error) {
	require(rc == -EBADMSG || rc == -ENOTSUP || rc == -ENOMEM);
	require(error[0] != '\0' && strlen(error) < PARQUET_ERROR_BYTES);
	require(strchr(error, '\n') == NULL);
}

// Each octet is touched, so that a sanitizer sees one that is not ours.
static uint64_t sum_of(const void *bytes, size_t n) {
	const uint8_t *at = bytes;
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + at[i];
	return sum;
}

static void check_numbers(const struct parquet_vector *vector, const struct parquet_range *range) {
	for (uint32_t i = 0; i < vector->n_rows; i++) {
		bool valid = vector->valid == NULL || vector->valid[i] != 0;
		require(valid || vector->values[i] == 0);
		require(!valid || !range->known
			|| (vector->values[i] >= range->min && vector->values[i] <= range->max));
	}
}

static void check_texts(const struct parquet_vector *vector) {
	for (uint32_t i = 0; i < vector->n_rows; i++)
		require(vector->index[i] < vector->n_texts
			|| (vector->valid != NULL && vector->valid[i] == 0 && vector->index[i] == 0)
		);
	for (uint32_t i = 0; i < vector->n_texts; i++) {
		require(vector->text_bytes[i] < FLOW_COLUMN_TEXT_BYTES);
		sink += sum_of(vector->texts[i], vector->text_bytes[i]);
	}
}

static void read_column(
	const struct parquet_reader *reader,
	unsigned group,
	enum flow_column column,
	struct parquet_vector *vector
) {
	char error[PARQUET_ERROR_BYTES] = "";
	struct parquet_range range;
	struct parquet_text_range text;
	int rc = parquet_reader_column(reader, group, column, vector, error);

	parquet_reader_range(reader, group, column, &range);
	if (parquet_reader_text_range(reader, group, column, &text))
		sink += sum_of(text.min, text.min_bytes) + sum_of(text.max, text.max_bytes);
	if (rc < 0) {
		check_error(rc, error);
		return;
	}
	require(vector->n_rows == parquet_reader_group_rows(reader, group));
	if (vector->valid != NULL)
		sink += sum_of(vector->valid, vector->n_rows);
	if (flow_columns[column].type == COLUMN_TEXT)
		check_texts(vector);
	else
		check_numbers(vector, &range);
}

static void read_records(struct parquet_reader *reader, unsigned group) {
	uint32_t n = parquet_reader_group_rows(reader, group);
	struct flow_record *records = malloc(n * sizeof(*records));
	char error[PARQUET_ERROR_BYTES] = "";
	struct flow_source source;
	int rc;

	require(records != NULL);
	rc = parquet_reader_records(reader, group, records, &source, error);
	if (rc < 0)
		check_error(rc, error);
	else
		sink += sum_of(records, n * sizeof(*records));
	for (uint32_t i = 0; i < n && rc == 0; i++)
		require(records[i].end < FLOW_END_COUNT && records[i].key.family <= FLOW_IPV6);
	if (rc == 0 && source.sampler_address != NULL)
		require(strlen(source.sampler_address) < FLOW_COLUMN_TEXT_BYTES);
	free(records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
	char error[PARQUET_ERROR_BYTES] = "";
	struct parquet_reader *reader = parquet_reader_open_memory(data, n_bytes, error);
	struct parquet_vector vector = {0};
	const char *value;

	if (reader == NULL) {
		check_error(-errno, error);
		return 0;
	}
	value = parquet_reader_value(reader, "maker");
	if (value != NULL)
		sink += sum_of(value, strlen(value));
	if (parquet_reader_rows(reader) <= MAX_ROWS)
		for (unsigned group = 0; group < parquet_reader_row_groups(reader); group++) {
			// One vector for all: what it had must not matter.
			for (int column = 0; column < FLOW_COLUMN_COUNT; column++)
				if (parquet_reader_has(reader, (enum flow_column)column))
					read_column(
						reader, group, (enum flow_column)column, &vector
					);
			read_records(reader, group);
		}
	parquet_vector_done(&vector);
	parquet_reader_close(reader);
	return 0;
}
