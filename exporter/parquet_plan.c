// How the values of a page are best encoded: tried on a sample of them.

#include <errno.h>

#include "parquet_internal.h"

enum {
	SAMPLE_RUNS = 16,
	LEAST_SAMPLE = 4096, // values; pages of no more are tried whole
	SAMPLE_SHARE = 16,   // one in so many values
};

const struct parquet_plan parquet_number_plans[3] = {
	{PARQUET_PLAIN, 1},
	{PARQUET_DELTA_BINARY_PACKED, 1},
	{PARQUET_DELTA_BINARY_PACKED, 8},
};

const struct parquet_plan parquet_index_plans[2] = {
	{PARQUET_RLE_DICTIONARY, 1},
	{PARQUET_RLE_DICTIONARY, 8},
};

void parquet_plan_put(
	struct parquet_pages *pages,
	const struct parquet_plan *plan,
	unsigned value_bytes,
	uint32_t from,
	uint32_t n
) {
	struct byte_buffer *raw = &pages->raw;
	unsigned width;

	switch (plan->encoding) {
	case PARQUET_RLE_DICTIONARY:
		width = parquet_width(pages->n_entries - 1);
		width = (width + plan->align - 1) / plan->align * plan->align;
		byte_buffer_put8(raw, (uint8_t)width);
		parquet_encode_hybrid(raw, pages->indexes + from, n, width);
		break;
	case PARQUET_DELTA_BINARY_PACKED:
		parquet_encode_delta(raw, pages->numbers + from, n, plan->align);
		break;
	default:
		parquet_encode_plain(raw, pages->numbers + from, n, value_bytes);
		break;
	}
}

uint32_t parquet_plan_sample(uint32_t n) {
	uint32_t sample = n / SAMPLE_SHARE < LEAST_SAMPLE ? LEAST_SAMPLE : n / SAMPLE_SHARE;
	return sample > n ? n : sample / SAMPLE_RUNS * SAMPLE_RUNS;
}

int64_t parquet_plan_choose(
	struct parquet_pages *pages,
	const struct parquet_plan *plans,
	unsigned n_plans,
	unsigned value_bytes,
	uint32_t from,
	uint32_t n,
	struct parquet_plan *best
) {
	uint32_t sample = parquet_plan_sample(n), runs = sample == n ? 1 : SAMPLE_RUNS;
	int64_t least = INT64_MAX;

	if (plans[0].encoding == PARQUET_RLE_DICTIONARY && pages->n_entries == 1)
		n_plans = 1; // one run, whatever its width
	if (n_plans == 1) {
		*best = plans[0];
		return 0;
	}
	for (unsigned i = 0; i < n_plans; i++) {
		byte_buffer_reset(&pages->raw);
		for (uint32_t run = 0; run < runs; run++) {
			uint32_t skipped = (uint32_t)((uint64_t)(n - sample / runs) * run / runs);
			parquet_plan_put(
				pages, &plans[i], value_bytes, from + skipped, sample / runs
			);
		}
		int rc = parquet_pages_pack(pages);
		if (rc != 0)
			return rc;
		if ((int64_t)pages->packed.n < least) {
			least = (int64_t)pages->packed.n;
			*best = plans[i];
		}
	}
	return least;
}
