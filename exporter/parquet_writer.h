// Parquet writer: flow records in, the bytes of a Parquet file out (the format's own
// specification, version 2.11: one flat message of flow_columns.h, ZSTD pages). Row groups are
// made whole, one call each; the footer says where they stand.
//
// A file is PARQUET_MAGIC, then row groups, then the footer. Beside the file its owner may keep
// what parquet_writer_row_group() says of each, and after a crash give it back with
// parquet_writer_restore(): then the footer can be made without reading a page.
//
// Pure: no file, no clock. Threads: one at a time for each writer.
// Errors: negative errno.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow_columns.h"

#define PARQUET_MAGIC "PAR1"

enum {
	PARQUET_MAGIC_BYTES = 4,
	PARQUET_MAX_ROWS = 1 << 22, // of a row group
};

struct parquet_key_value {
	const char *key;
	const char *value;
};

struct parquet_writer_config {
	int level;        // of zstd, 1 to 19
	uint64_t columns; // one bit for each enum flow_column; 0 = all
	bool sort; // by service and time, which compresses best; else records stay as they come
	struct flow_source source;
};

struct parquet_writer;

// NULL with errno EINVAL or ENOMEM.
[[nodiscard]] struct parquet_writer *parquet_writer_new(const struct parquet_writer_config *config);
void parquet_writer_free(struct parquet_writer *writer);

// Bytes that are the writer's, until its next call.
struct parquet_bytes {
	const uint8_t *bytes;
	size_t n;
};

// Makes a row group of 1 to PARQUET_MAX_ROWS records, which is to stand at `offset` of the file.
// `data` is the row group, `note` what parquet_writer_restore() takes. The records remain as they
// are, whatever the order of the rows. -ENOMEM leaves the writer as it was; -EINVAL where there
// are none or too many.
[[nodiscard]] int parquet_writer_row_group(
	struct parquet_writer *writer,
	const struct flow_record *records,
	uint32_t n_records,
	uint64_t offset,
	struct parquet_bytes *data,
	struct parquet_bytes *note
);

// Adds a row group that stands in the file already. -EBADMSG where the note is not one of this
// writer's columns.
[[nodiscard]] int
parquet_writer_restore(struct parquet_writer *writer, const uint8_t *note, size_t n);

// Takes back the row group that was added last: it could not be written.
void parquet_writer_drop_last(struct parquet_writer *writer);

// Makes all that follows the row groups, for a file whose row groups end at `offset`: footer, its
// length, and the magic. The row groups remain: more may follow, and a later footer.
[[nodiscard]] int parquet_writer_footer(
	struct parquet_writer *writer,
	const struct parquet_key_value *pairs,
	unsigned n_pairs,
	uint64_t offset,
	struct parquet_bytes *footer
);

// Forgets the row groups, for the next file.
void parquet_writer_reset(struct parquet_writer *writer);
