// The groups of a table with the greatest sums.

#include <errno.h>
#include <stdlib.h>

#include "group_table_internal.h"

static int64_t value_of(const struct group_table *table, uint32_t group, int by) {
	return by < 0 ? group_table_rows(table, group)
		      : group_table_sum(table, group, (enum flow_column)by);
}

// `heap` has the greatest values so far, the least of them first. Puts `value` in its place.
static void replace_least(int64_t *heap, uint32_t n, int64_t value) {
	uint32_t at = 0;

	for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && heap[child + 1] < heap[child])
			child++;
		if (heap[child] >= value)
			break;
		heap[at] = heap[child];
	}
	heap[at] = value;
}

int group_table_top(const struct group_table *table, int by, uint64_t n, uint32_t **groups) {
	uint32_t n_heap = n < table->n ? (uint32_t)n : table->n, n_groups = 0;
	int64_t *heap = malloc(((size_t)n_heap + 1) * sizeof(*heap));
	uint32_t *chosen;

	if (heap == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_heap; i++)
		heap[i] = INT64_MIN;
	for (uint32_t i = 0; i < table->n && n_heap > 0; i++) {
		int64_t value = value_of(table, i, by);
		if (value > heap[0])
			replace_least(heap, n_heap, value);
	}
	// All that are equal to the last one: what comes next in ORDER BY decides between them.
	int64_t least = n_heap > 0 ? heap[0] : INT64_MAX;
	free(heap);
	for (uint32_t i = 0; i < table->n; i++)
		n_groups += value_of(table, i, by) >= least;
	chosen = malloc(((size_t)n_groups + 1) * sizeof(*chosen));
	if (chosen == NULL)
		return -ENOMEM;
	n_groups = 0;
	for (uint32_t i = 0; i < table->n; i++)
		if (value_of(table, i, by) >= least)
			chosen[n_groups++] = i;
	*groups = chosen;
	return (int)n_groups;
}
