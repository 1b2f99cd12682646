// Scan filter: what a scan asks of one column. It is asked three times, the cheapest first: of the
// statistics of a row group, of each text of its dictionary, and of its rows.
//
// A row without a value in the column passes no filter, as NULL passes no comparison of SQL.
//
// Pure. Threads: a filter is read-only once made.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "network.h"
#include "parquet_reader.h"

enum scan_filter_kind {
	SCAN_NOTHING, // no row passes
	SCAN_ANY,     // each row that has a value
	SCAN_RANGE,   // number from min to max
	SCAN_NUMBERS, // one of the numbers
	SCAN_NOT_NUMBER,
	SCAN_TEXTS, // one of the texts
	SCAN_NOT_TEXT,
	SCAN_NETWORK, // text that is an address in the network
};

struct scan_text {
	char *text; // the filter's
	uint32_t n;
};

struct scan_filter {
	enum flow_column column;
	enum scan_filter_kind kind;
	int64_t min, max; // SCAN_NOT_NUMBER: min
	int64_t *numbers; // the filter's; ascending after scan_filter_sort()
	struct scan_text *texts;
	unsigned n; // of numbers or texts
	struct network network;
};

// Adds to a set. -ENOMEM.
[[nodiscard]] int scan_filter_add_number(struct scan_filter *filter, int64_t number);
[[nodiscard]] int scan_filter_add_text(struct scan_filter *filter, const char *text, uint32_t n);

// To be called once the set is whole.
void scan_filter_sort(struct scan_filter *filter);
void scan_filter_done(struct scan_filter *filter);

enum scan_verdict {
	SCAN_NO_ROW,
	SCAN_SOME_ROWS,
	SCAN_EVERY_ROW,
};

// What the statistics of a row group say. Without the column no row passes.
enum scan_verdict scan_filter_group(
	const struct scan_filter *filter, const struct parquet_reader *reader, unsigned group
);

// Keeps in `rows` those that pass. `rows` are `n` row numbers, ascending; `all` says that they
// are 0 to n - 1 and have not been written yet. Returns how many are kept, and leaves `all` where
// every row is. `matches` is scratch with room for a flag for each text of the vector.
uint32_t scan_filter_rows(
	const struct scan_filter *filter,
	const struct parquet_vector *vector,
	uint32_t *rows,
	uint32_t n,
	bool *all,
	uint8_t *matches
);
