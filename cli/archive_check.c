#include "archive_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A file that is being checked.
struct checking {
	const struct parquet_reader *parquet;
	archive_fault_fn on_fault;
	void *arg;
	struct archive_check *check;
	struct parquet_vector vector;
	int64_t begin_ns, end_ns;
};

[[gnu::format(printf, 2, 3)]] static void
fault(struct checking *checking, const char *format, ...) {
	char what[2 * PARQUET_ERROR_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	checking->check->faults++;
	checking->on_fault(what, checking->arg);
}

static int64_t
number_of_key(const struct parquet_reader *parquet, const char *key, int64_t absent) {
	const char *text = parquet_reader_value(parquet, key);
	return text != NULL ? strtoll(text, NULL, 10) : absent;
}

// A number of the object that `weir.ledger` is: flat, and written by weir.
static uint64_t number_of_ledger(const struct parquet_reader *parquet, const char *name) {
	const char *text = parquet_reader_value(parquet, "weir.ledger");
	char quoted[32];

	snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	const char *found = text != NULL ? strstr(text, quoted) : NULL;
	return found != NULL ? strtoull(found + strlen(quoted), NULL, 10) : 0;
}

void archive_facts(const struct archive_reader *reader, struct archive_facts *facts) {
	const struct parquet_reader *parquet = reader->parquet;

	*facts = (struct archive_facts){
		.records = parquet_reader_rows(parquet),
		.row_groups = parquet_reader_row_groups(parquet),
		.sampling_rate = (uint32_t)number_of_key(parquet, "weir.sampling", 1),
		.begin_ns = number_of_key(parquet, "weir.begin_ns", 0),
		.end_ns = number_of_key(parquet, "weir.end_ns", 0),
		.packets = number_of_ledger(parquet, "packets"),
		.octets = number_of_ledger(parquet, "bytes"),
	};
}

static bool is_null(const struct parquet_vector *vector, uint32_t row) {
	return vector->valid != NULL && vector->valid[row] == 0;
}

// What a column of a row group holds, as the statistics tell it.
struct found {
	uint64_t n_null;
	int64_t min, max, sum;
};

static void look_at_numbers(const struct parquet_vector *vector, struct found *found) {
	*found = (struct found){.min = INT64_MAX, .max = INT64_MIN};
	for (uint32_t row = 0; row < vector->n_rows; row++) {
		int64_t value = vector->values[row];
		if (is_null(vector, row)) {
			found->n_null++;
			continue;
		}
		found->min = value < found->min ? value : found->min;
		found->max = value > found->max ? value : found->max;
		found->sum = (int64_t)((uint64_t)found->sum + (uint64_t)value);
	}
}

static void
take_sums(struct checking *checking, enum flow_column column, const struct found *found) {
	switch (column) {
	case COLUMN_BYTES:
		checking->check->octets += (uint64_t)found->sum;
		break;
	case COLUMN_PACKETS:
		checking->check->packets += (uint64_t)found->sum;
		break;
	case COLUMN_TIME_FLOW_START_NS:
		if (found->min < checking->begin_ns)
			checking->begin_ns = found->min;
		break;
	case COLUMN_TIME_FLOW_END_NS:
		if (found->max > checking->end_ns)
			checking->end_ns = found->max;
		break;
	default:
		break;
	}
}

static void check_numbers(struct checking *checking, unsigned group, enum flow_column column) {
	struct parquet_range range;
	struct found found;

	look_at_numbers(&checking->vector, &found);
	take_sums(checking, column, &found);
	parquet_reader_range(checking->parquet, group, column, &range);
	if (range.n_null != found.n_null)
		fault(checking,
		      "column %s, row group %u: %" PRIu64 " NULLs, and the statistics say %" PRIu64,
		      flow_columns[column].name,
		      group,
		      found.n_null,
		      range.n_null);
	if (range.known && found.min <= found.max
	    && (range.min != found.min || range.max != found.max))
		fault(checking,
		      "column %s, row group %u: values from %" PRIi64 " to %" PRIi64
		      ", and the statistics say %" PRIi64 " to %" PRIi64,
		      flow_columns[column].name,
		      group,
		      found.min,
		      found.max,
		      range.min,
		      range.max);
}

static int compare(const char *left, uint32_t left_n, const char *right, uint32_t right_n) {
	int rc = memcmp(left, right, left_n < right_n ? left_n : right_n);
	return rc != 0 ? rc : left_n < right_n ? -1 : left_n > right_n;
}

// The bounds may be cut, and then lie outside all values.
static void check_texts(struct checking *checking, unsigned group, enum flow_column column) {
	const struct parquet_vector *vector = &checking->vector;
	struct parquet_text_range range;

	if (!parquet_reader_text_range(checking->parquet, group, column, &range))
		return;
	for (uint32_t i = 0; i < vector->n_texts; i++)
		if (compare(vector->texts[i], vector->text_bytes[i], range.min, range.min_bytes) < 0
		    || compare(vector->texts[i], vector->text_bytes[i], range.max, range.max_bytes)
			       > 0) {
			fault(checking,
			      "column %s, row group %u: '%.*s' lies outside the statistics",
			      flow_columns[column].name,
			      group,
			      (int)vector->text_bytes[i],
			      vector->texts[i]);
			return;
		}
}

static void check_group(struct checking *checking, unsigned group) {
	uint32_t n_rows = parquet_reader_group_rows(checking->parquet, group);
	char error[PARQUET_ERROR_BYTES];
	bool whole = true;

	for (unsigned i = 0; i < FLOW_COLUMN_COUNT; i++) {
		enum flow_column column = (enum flow_column)i;
		if (!parquet_reader_has(checking->parquet, column))
			continue;
		if (parquet_reader_column(
			    checking->parquet, group, column, &checking->vector, error
		    )
		    < 0) {
			fault(checking, "%s", error);
			whole = false;
			continue;
		}
		checking->check->bytes +=
			parquet_reader_column_bytes(checking->parquet, group, column);
		if (flow_columns[column].type == COLUMN_TEXT)
			check_texts(checking, group, column);
		else
			check_numbers(checking, group, column);
	}
	if (whole)
		checking->check->records += n_rows;
}

static void check_fact(
	struct checking *checking, const char *key, const char *what, uint64_t says, uint64_t is
) {
	if (parquet_reader_value(checking->parquet, key) != NULL && says != is)
		fault(checking,
		      "%s says %" PRIu64 " %s, and the columns hold %" PRIu64,
		      key,
		      says,
		      what,
		      is);
}

// Only where every page could be read: else the sums cannot be right.
static void check_facts(struct checking *checking, const struct archive_facts *facts) {
	const struct archive_check *check = checking->check;
	int64_t says = number_of_key(checking->parquet, "weir.records", (int64_t)check->records);

	check_fact(checking, "weir.records", "records", (uint64_t)says, check->records);
	check_fact(checking, "weir.ledger", "packets", facts->packets, check->packets);
	check_fact(checking, "weir.ledger", "bytes", facts->octets, check->octets);
	if (check->records == 0)
		return;
	check_fact(
		checking,
		"weir.begin_ns",
		"as the earliest packet",
		(uint64_t)facts->begin_ns,
		(uint64_t)checking->begin_ns
	);
	check_fact(
		checking,
		"weir.end_ns",
		"as the latest packet",
		(uint64_t)facts->end_ns,
		(uint64_t)checking->end_ns
	);
}

void archive_check(
	const struct archive_reader *reader,
	const volatile int *stop,
	archive_fault_fn on_fault,
	void *arg,
	struct archive_check *check
) {
	struct checking checking = {
		.parquet = reader->parquet,
		.on_fault = on_fault,
		.arg = arg,
		.check = check,
		.begin_ns = INT64_MAX,
		.end_ns = INT64_MIN,
	};
	struct archive_facts facts;

	*check = (struct archive_check){0};
	archive_facts(reader, &facts);
	for (unsigned group = 0; group < facts.row_groups && !check->stopped; group++) {
		check_group(&checking, group);
		check->stopped = *stop != 0;
	}
	if (!check->stopped && check->faults == 0)
		check_facts(&checking, &facts);
	parquet_vector_done(&checking.vector);
}
