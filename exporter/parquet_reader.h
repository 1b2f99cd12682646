// Parquet reader: the columns of a file that weir wrote (parquet_writer.h), as vectors. Strict:
// files may be damaged or made by an enemy, so every length and offset is checked against the
// file, and memory is bounded by what the file holds and its rows could need. What weir does not
// write (nested columns, other codecs, other types) is refused with its name; columns that are
// not known are passed over, so that a file of a later weir can be read. Any column may be
// optional, as engines write them that take a file and give it back.
//
// Pages have checksums; the footer has none, for the format knows of none. So numbers and texts
// that the statistics exclude are errors too.
//
// Threads: a reader is read-only once open, so several threads may take columns from it, each
// into vectors of its own; parquet_reader_records() alone is one thread's. Time: none.
// Errors: negative errno, and one line that names the column, the row group and the offset.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow_columns.h"

enum {
	PARQUET_ERROR_BYTES = 256,
};

struct parquet_reader;

// What the statistics say of a column in a row group. Text is not among them: for it `known` is
// false, and parquet_reader_text_range() answers.
struct parquet_range {
	bool known;
	int64_t min, max;
	uint64_t n_null;
};

struct parquet_text_range {
	const char *min, *max; // not ended by a 0; the reader's
	uint32_t min_bytes, max_bytes;
};

// The values of one column in one row group. Numbers: values[i], or text by dictionary:
// text of row i = texts[index[i]]. NULL rows are those with valid[i] == 0; `valid` is NULL
// where there is none. All is the vector's and stays until it is read into again or done.
struct parquet_vector {
	uint32_t n_rows;
	int64_t *values;    // numbers
	uint32_t *index;    // text; for a NULL row 0
	uint8_t *valid;     // NULL = all rows have a value
	uint32_t n_texts;   // of the dictionary, each different
	const char **texts; // not ended by a 0, and of any octets: who prints them must mind
	uint32_t *text_bytes;
	void *internal; // what the above points into
};

// Opens a file for pread(); the descriptor remains the caller's and must stay open. NULL with
// errno (-EBADMSG as EBADMSG: no Parquet file or a damaged one) and one line in `error`.
[[nodiscard]] struct parquet_reader *parquet_reader_open(int fd, char *error);

// The same of a file that lies in memory, which must stay.
[[nodiscard]] struct parquet_reader *
parquet_reader_open_memory(const uint8_t *bytes, size_t n, char *error);

// Opens a file that has no footer yet by one that was made for it (parquet_writer_footer()), of
// which nothing is kept.
[[nodiscard]] struct parquet_reader *
parquet_reader_open_footer(int fd, const uint8_t *footer, size_t n, char *error);

void parquet_reader_close(struct parquet_reader *reader);

unsigned parquet_reader_row_groups(const struct parquet_reader *reader);
uint64_t parquet_reader_rows(const struct parquet_reader *reader); // of the file
uint32_t parquet_reader_group_rows(const struct parquet_reader *reader, unsigned group);

// Whether the file has the column.
bool parquet_reader_has(const struct parquet_reader *reader, enum flow_column column);

// Octets of the column in the row group, compressed, as they stand in the file.
uint64_t parquet_reader_column_bytes(
	const struct parquet_reader *reader, unsigned group, enum flow_column column
);

void parquet_reader_range(
	const struct parquet_reader *reader,
	unsigned group,
	enum flow_column column,
	struct parquet_range *range
);

// Least and greatest text by octets, as the statistics have them; they may be cut, and still
// bound all values. Returns whether they are known.
bool parquet_reader_text_range(
	const struct parquet_reader *reader,
	unsigned group,
	enum flow_column column,
	struct parquet_text_range *range
);

// The value of a key of the file's metadata, or NULL. The reader's.
const char *parquet_reader_value(const struct parquet_reader *reader, const char *key);

// Reads a column of a row group into `vector`, which begins as {0} and may be used again.
// Page checksums are verified. Returns 0 or a negative errno with one line in `error`: -EBADMSG
// damaged, -ENOTSUP not as weir writes it, -ENOENT no such column, -EINVAL no such row group,
// -ENOMEM. After an error the vector is empty and may be used again.
[[nodiscard]] int parquet_reader_column(
	const struct parquet_reader *reader,
	unsigned group,
	enum flow_column column,
	struct parquet_vector *vector,
	char *error
);
void parquet_vector_done(struct parquet_vector *vector);

// Reads a whole row group back as flow records, as they were given to the writer, though in
// another order. `records` has room for parquet_reader_group_rows(). Columns that the file has
// not are zero in the records; a number that no record has is -EBADMSG. `source` is filled from the
// first row; its address, if any, is the reader's. Returns 0 or a negative errno.
[[nodiscard]] int parquet_reader_records(
	struct parquet_reader *reader,
	unsigned group,
	struct flow_record *records,
	struct flow_source *source,
	char *error
);
