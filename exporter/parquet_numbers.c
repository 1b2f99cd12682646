// The number columns of a row group: taken out of the rows, and whether a dictionary makes them
// smaller.

#include <errno.h>

#include "parquet_internal.h"
#include "radix_sort.h"

enum {
	NARROW_VALUES = 1 << 16,
	PROBE = 4096,           // values that are looked at first
	MOST_ENTRIES = 1 << 15, // of a dictionary; above, it has not been seen to pay
};

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

static uint32_t
take(int64_t *numbers,
     const struct parquet_rows *rows,
     const struct flow_source *source,
     enum flow_column column) {
	const struct origin *origin = &origins[column];
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

uint32_t parquet_numbers_take(
	struct parquet_pages *pages,
	const struct parquet_rows *rows,
	const struct flow_source *source,
	struct parquet_chunk *chunk
) {
	unsigned value_bytes = flow_columns[chunk->column].type == COLUMN_INT32 ? 4 : 8;
	int64_t *numbers = pages->numbers;
	uint32_t n = take(numbers, rows, source, chunk->column);

	chunk->n_null = rows->n - n;
	if (n == 0)
		return 0;
	int64_t min = numbers[0], max = numbers[0];
	for (uint32_t i = 1; i < n; i++) {
		min = numbers[i] < min ? numbers[i] : min;
		max = numbers[i] > max ? numbers[i] : max;
	}
	memcpy(chunk->min, &min, value_bytes); // little-endian, as weir's machines are
	memcpy(chunk->max, &max, value_bytes);
	chunk->min_bytes = chunk->max_bytes = value_bytes;
	pages->min = min;
	pages->max = max;
	return n;
}

// Numbers the values in the order in which they come. Returns how many there are, 0 where
// there are more than `limit`, or -ENOMEM.
static int index_narrow(struct parquet_pages *pages, uint32_t n, uint32_t limit) {
	uint32_t n_entries = 0, i;

	for (i = 0; i < n && n_entries <= limit; i++) {
		uint32_t *number = &pages->number_of[pages->numbers[i]];
		if (*number == 0) {
			pages->entries[n_entries] = pages->numbers[i];
			*number = ++n_entries;
		}
		pages->indexes[i] = *number - 1;
	}
	for (i = 0; i < n_entries; i++)
		pages->number_of[pages->entries[i]] = 0;
	return n_entries <= limit ? (int)n_entries : 0;
}

static int index_wide(struct parquet_pages *pages, uint32_t n, uint32_t limit) {
	value_table_reset(&pages->values);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t number = value_table_of(&pages->values, (uint64_t)pages->numbers[i]);
		if (number == VALUE_TABLE_FULL)
			return -ENOMEM;
		if (number >= limit)
			return 0;
		pages->indexes[i] = number;
	}
	memcpy(pages->entries, pages->values.low, pages->values.n * sizeof(*pages->entries));
	return (int)pages->values.n;
}

// In ascending order a dictionary is smaller, and so are its indexes where values keep close.
static int sort_entries(struct parquet_pages *pages, uint32_t n) {
	uint32_t n_entries = pages->n_entries;

	if (!parquet_resize(&pages->sorting, (size_t)n_entries * 2, sizeof(*pages->sorting))
	    || !parquet_resize(&pages->moves, (size_t)n_entries * 3, sizeof(*pages->moves)))
		return -ENOMEM;
	uint32_t *order = pages->moves, *spare = order + n_entries, *place = spare + n_entries;
	for (uint32_t i = 0; i < n_entries; i++)
		order[i] = i;
	radix_sort(order, spare, (uint64_t *)pages->entries, pages->sorting, n_entries);
	for (uint32_t i = 0; i < n_entries; i++)
		place[order[i]] = i;
	for (uint32_t i = 0; i < n; i++)
		pages->indexes[i] = place[pages->indexes[i]];
	return 0;
}

int parquet_numbers_dictionary(struct parquet_pages *pages, uint32_t n, unsigned value_bytes) {
	bool narrow = pages->min >= 0 && pages->max < NARROW_VALUES;
	uint32_t probe = n < PROBE ? n : PROBE, limit = n / 4 < MOST_ENTRIES ? n / 4 : MOST_ENTRIES;
	struct parquet_plan plan;

	if (pages->entries == NULL
	    && !parquet_resize(&pages->entries, NARROW_VALUES, sizeof(*pages->entries)))
		return -ENOMEM;
	limit = limit == 0 ? 1 : limit;
	// Most numbers of a wide column differ: that is seen soon.
	int rc = narrow ? 1 : index_wide(pages, probe, probe / 2);
	if (rc > 0)
		rc = narrow ? index_narrow(pages, n, limit) : index_wide(pages, n, limit);
	if (rc <= 0)
		return rc;
	pages->n_entries = (uint32_t)rc;
	rc = sort_entries(pages, n);
	if (rc != 0 || pages->n_entries == 1)
		return rc == 0 ? 1 : rc;
	int64_t without =
		parquet_plan_choose(pages, parquet_number_plans, 3, value_bytes, 0, n, &plan);
	int64_t with = parquet_plan_choose(pages, parquet_index_plans, 2, value_bytes, 0, n, &plan);
	if (without < 0 || with < 0)
		return (int)(without < 0 ? without : with);
	// The entries are compressed once, the sample stands for all values.
	byte_buffer_reset(&pages->raw);
	parquet_encode_plain(&pages->raw, pages->entries, pages->n_entries, value_bytes);
	rc = parquet_pages_pack(pages);
	if (rc != 0)
		return rc;
	double of_all = (double)n / parquet_plan_sample(n);
	return (double)with * of_all + (double)pages->packed.n < (double)without * of_all;
}
