// Archive notes: what is written beside an open file of the archive, one entry for each row group
// that was flushed, once its octets stand in the file. After a crash they tell which part of the
// file is good, and make its footer.
//
// An entry has its own checksum, and that of the row group: a sidecar that was cut anywhere, or
// whose end reached the disk before the row group did, is good up to there.
//
// Pure: buffers only.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "byte_buffer.h"
#include "clock.h"
#include "parquet_writer.h"

// What a row group, or all of a file, holds.
struct archive_sum {
	uint64_t records, packets, octets;
	time_ns_t begin_ns, end_ns; // of the records: earliest packet, latest packet
};

struct archive_note {
	uint64_t offset; // in the file
	uint64_t bytes;
	uint32_t crc; // CRC-32 of them
	uint32_t sampling_rate;
	struct archive_sum sum;
	struct parquet_bytes note; // parquet_writer_row_group()'s
};

// Appends an entry.
void archive_note_put(struct byte_buffer *out, const struct archive_note *note);

// Takes the entry at `*at` of `n` octets, which is to be of the row group at `offset`, and moves
// on. False where no such entry is whole there.
[[nodiscard]] bool archive_note_take(
	const uint8_t *bytes, size_t n, size_t *at, uint64_t offset, struct archive_note *note
);

void archive_sum_records(struct archive_sum *sum, const struct flow_record *records, size_t n);
void archive_sum_add(struct archive_sum *sum, const struct archive_sum *more);

// The key-value metadata of a file; the texts stand in the struct.
struct archive_metadata {
	struct parquet_key_value pairs[7];
	unsigned n_pairs;
	char sampling[12], begin_ns[24], end_ns[24], records[24], ledger[128];
};
void archive_metadata_make(
	struct archive_metadata *metadata,
	const char *sensor,
	uint32_t sampling_rate,
	const struct archive_sum *sum
);
