#include "parquet_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parquet_reader_internal.h"

// With the footer in memory, or where that is NULL with the file's own.
static struct parquet_reader *open_source(
	const struct parquet_source *source, const uint8_t *footer, size_t n_footer, char *error
) {
	struct parquet_reader *reader = calloc(1, sizeof(*reader));
	int rc;

	if (reader == NULL) {
		parquet_fail(error, ENOMEM, "%s", strerror(ENOMEM));
		errno = ENOMEM;
		return NULL;
	}
	reader->source = *source;
	rc = flow_secret_random(&reader->secret);
	if (rc < 0)
		parquet_fail(error, -rc, "no random octets: %s", strerror(-rc));
	else if (footer == NULL)
		rc = parquet_footer_read(&reader->footer, source, error);
	else
		rc = parquet_footer_read_memory(
			&reader->footer, footer, n_footer, source->n_bytes, error
		);
	if (rc < 0) {
		parquet_reader_close(reader);
		errno = -rc;
		return NULL;
	}
	return reader;
}

struct parquet_reader *parquet_reader_open(int fd, char *error) {
	struct parquet_source source;
	int rc = parquet_source_fd(&source, fd, error);

	if (rc < 0) {
		errno = -rc;
		return NULL;
	}
	return open_source(&source, NULL, 0, error);
}

struct parquet_reader *
parquet_reader_open_footer(int fd, const uint8_t *footer, size_t n, char *error) {
	struct parquet_source source;
	int rc = parquet_source_fd(&source, fd, error);

	if (rc < 0) {
		errno = -rc;
		return NULL;
	}
	return open_source(&source, footer, n, error);
}

struct parquet_reader *parquet_reader_open_memory(const uint8_t *bytes, size_t n, char *error) {
	struct parquet_source source = {.fd = -1, .memory = bytes, .n_bytes = n};
	return open_source(&source, NULL, 0, error);
}

void parquet_reader_close(struct parquet_reader *reader) {
	if (reader == NULL)
		return;
	parquet_vector_done(&reader->vector);
	parquet_footer_done(&reader->footer);
	free(reader);
}

unsigned parquet_reader_row_groups(const struct parquet_reader *reader) {
	return reader->footer.n_groups;
}

uint64_t parquet_reader_rows(const struct parquet_reader *reader) {
	return reader->footer.n_rows;
}

uint32_t parquet_reader_group_rows(const struct parquet_reader *reader, unsigned group) {
	return reader->footer.group_rows[group];
}

bool parquet_reader_has(const struct parquet_reader *reader, enum flow_column column) {
	return reader->footer.place[column] >= 0;
}

uint64_t parquet_reader_column_bytes(
	const struct parquet_reader *reader, unsigned group, enum flow_column column
) {
	if (!parquet_reader_has(reader, column))
		return 0;
	return parquet_footer_chunk(&reader->footer, group, column)->bytes;
}

void parquet_reader_range(
	const struct parquet_reader *reader,
	unsigned group,
	enum flow_column column,
	struct parquet_range *range
) {
	const struct parquet_read_chunk *chunk;

	*range = (struct parquet_range){0};
	if (!parquet_reader_has(reader, column))
		return;
	chunk = parquet_footer_chunk(&reader->footer, group, column);
	range->n_null = chunk->n_null;
	if (flow_columns[column].type == COLUMN_TEXT || chunk->min == NULL || chunk->max == NULL)
		return;
	range->known = true;
	range->min = parquet_footer_number(chunk->min, chunk->min_bytes);
	range->max = parquet_footer_number(chunk->max, chunk->max_bytes);
}

bool parquet_reader_text_range(
	const struct parquet_reader *reader,
	unsigned group,
	enum flow_column column,
	struct parquet_text_range *range
) {
	const struct parquet_read_chunk *chunk;

	*range = (struct parquet_text_range){0};
	if (!parquet_reader_has(reader, column) || flow_columns[column].type != COLUMN_TEXT)
		return false;
	chunk = parquet_footer_chunk(&reader->footer, group, column);
	if (chunk->min == NULL || chunk->max == NULL)
		return false;
	range->min = (const char *)chunk->min;
	range->min_bytes = chunk->min_bytes;
	range->max = (const char *)chunk->max;
	range->max_bytes = chunk->max_bytes;
	return true;
}

const char *parquet_reader_value(const struct parquet_reader *reader, const char *key) {
	const struct parquet_footer *footer = &reader->footer;

	for (unsigned i = 0; i < footer->n_pairs; i++)
		if (strcmp(footer->pairs[i].key, key) == 0)
			return footer->pairs[i].value;
	return NULL;
}
