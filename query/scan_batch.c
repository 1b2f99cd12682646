#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parquet_source.h"
#include "scan_internal.h"

// What a batch keeps from one task to the next.
struct memory {
	struct parquet_vector vectors[FLOW_COLUMN_COUNT];
	uint32_t *rows;
	size_t n_rows;
	uint8_t *matches;
	size_t n_matches;
};

static bool make_room(void *array, size_t *size, size_t n, size_t value_bytes) {
	void **pointer = array;

	if (n <= *size)
		return true;
	free(*pointer);
	*size = 0;
	*pointer = malloc(n * value_bytes);
	if (*pointer == NULL)
		return false;
	*size = n;
	return true;
}

static int no_memory(char *error) {
	return parquet_fail(error, ENOMEM, "%s", strerror(ENOMEM));
}

static int read_column(
	struct scan_batch *batch,
	struct memory *memory,
	const struct scan_task *task,
	enum flow_column column,
	char *error
) {
	const struct parquet_reader *reader = task->file->reader->parquet;
	struct parquet_vector *vector = &memory->vectors[column];
	int rc;

	if (batch->columns[column].internal != NULL || !parquet_reader_has(reader, column))
		return 0;
	rc = parquet_reader_column(reader, task->group, column, vector, error);
	if (rc == 0)
		batch->columns[column] = *vector;
	return rc;
}

static int filter_rows(
	struct scan_batch *batch,
	struct memory *memory,
	const struct scan_filter *filter,
	const struct scan_task *task,
	char *error
) {
	const struct parquet_vector *vector = &batch->columns[filter->column];
	int rc = read_column(batch, memory, task, filter->column, error);

	if (rc < 0)
		return rc;
	if (!make_room(&memory->matches, &memory->n_matches, vector->n_texts, 1))
		return no_memory(error);
	batch->n_rows = scan_filter_rows(
		filter, vector, memory->rows, batch->n_rows, &batch->all, memory->matches
	);
	return 0;
}

int scan_batch_read(
	struct scan_batch *batch,
	const struct scan_config *config,
	const struct scan_task *task,
	char *error
) {
	const struct parquet_reader *reader = task->file->reader->parquet;
	struct memory *memory = batch->internal;
	uint32_t n_rows = parquet_reader_group_rows(reader, task->group);

	if (memory == NULL)
		memory = calloc(1, sizeof(*memory));
	if (memory == NULL)
		return no_memory(error);
	*batch = (struct scan_batch){
		.n_rows = n_rows,
		.all = true,
		.row_id = task->row_id,
		.internal = memory,
	};
	for (unsigned i = 0; i < config->n_filters && batch->n_rows > 0; i++) {
		if (!task->filter[i])
			continue;
		if (!make_room(&memory->rows, &memory->n_rows, n_rows, sizeof(*memory->rows)))
			return no_memory(error);
		batch->rows = memory->rows;
		int rc = filter_rows(batch, memory, &config->filters[i], task, error);
		if (rc < 0)
			return rc;
	}
	for (int i = 0; i < FLOW_COLUMN_COUNT && batch->n_rows > 0; i++) {
		if ((config->columns >> i & 1) == 0)
			continue;
		int rc = read_column(batch, memory, task, (enum flow_column)i, error);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void scan_batch_done(struct scan_batch *batch) {
	struct memory *memory = batch->internal;

	if (memory != NULL) {
		for (int i = 0; i < FLOW_COLUMN_COUNT; i++)
			parquet_vector_done(&memory->vectors[i]);
		free(memory->rows);
		free(memory->matches);
		free(memory);
	}
	*batch = (struct scan_batch){0};
}
