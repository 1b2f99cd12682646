#include "archive_notes.h"

#include <inttypes.h>
#include <stdio.h>

#include <zlib.h>

#include "wire.h"

#define ENTRY_MAGIC UINT32_C(0x77616e31) // "wan1": the layout below

enum {
	ENTRY_CRC = 4, // of what follows it
	ENTRY_BYTES = 8,
	ENTRY_SAMPLING = 12,
	ENTRY_OFFSET = 16,
	ENTRY_GROUP_BYTES = 24,
	ENTRY_GROUP_CRC = 32,
	ENTRY_RECORDS = 40,
	ENTRY_PACKETS = 48,
	ENTRY_OCTETS = 56,
	ENTRY_BEGIN = 64,
	ENTRY_END = 72,
	ENTRY_NOTE = 80,
};

void archive_note_put(struct byte_buffer *out, const struct archive_note *note) {
	uint8_t head[ENTRY_NOTE] = {0};

	wire_put32(head, ENTRY_MAGIC);
	wire_put32(head + ENTRY_BYTES, (uint32_t)(ENTRY_NOTE + note->note.n));
	wire_put32(head + ENTRY_SAMPLING, note->sampling_rate);
	wire_put64(head + ENTRY_OFFSET, note->offset);
	wire_put64(head + ENTRY_GROUP_BYTES, note->bytes);
	wire_put32(head + ENTRY_GROUP_CRC, note->crc);
	wire_put64(head + ENTRY_RECORDS, note->sum.records);
	wire_put64(head + ENTRY_PACKETS, note->sum.packets);
	wire_put64(head + ENTRY_OCTETS, note->sum.octets);
	wire_put64(head + ENTRY_BEGIN, (uint64_t)note->sum.begin_ns);
	wire_put64(head + ENTRY_END, (uint64_t)note->sum.end_ns);
	uLong crc = crc32_z(0, head + ENTRY_BYTES, ENTRY_NOTE - ENTRY_BYTES);
	crc = crc32_z(crc, note->note.bytes, note->note.n);
	wire_put32(head + ENTRY_CRC, (uint32_t)crc);
	byte_buffer_put(out, head, sizeof(head));
	byte_buffer_put(out, note->note.bytes, note->note.n);
}

bool archive_note_take(
	const uint8_t *bytes, size_t n, size_t *at, uint64_t offset, struct archive_note *note
) {
	const uint8_t *entry = bytes + *at;
	size_t left = n - *at;

	if (left < ENTRY_NOTE || wire_get32(entry) != ENTRY_MAGIC)
		return false;
	uint32_t entry_bytes = wire_get32(entry + ENTRY_BYTES);
	if (entry_bytes < ENTRY_NOTE || entry_bytes > left
	    || wire_get32(entry + ENTRY_CRC)
		       != crc32_z(0, entry + ENTRY_BYTES, entry_bytes - ENTRY_BYTES))
		return false;
	*note = (struct archive_note){
		.offset = wire_get64(entry + ENTRY_OFFSET),
		.bytes = wire_get64(entry + ENTRY_GROUP_BYTES),
		.crc = wire_get32(entry + ENTRY_GROUP_CRC),
		.sampling_rate = wire_get32(entry + ENTRY_SAMPLING),
		.sum =
			{
				.records = wire_get64(entry + ENTRY_RECORDS),
				.packets = wire_get64(entry + ENTRY_PACKETS),
				.octets = wire_get64(entry + ENTRY_OCTETS),
				.begin_ns = (time_ns_t)wire_get64(entry + ENTRY_BEGIN),
				.end_ns = (time_ns_t)wire_get64(entry + ENTRY_END),
			},
		.note = {entry + ENTRY_NOTE, entry_bytes - ENTRY_NOTE},
	};
	// Whoever can write here can make any checksum; what reads on is not to overflow.
	if (note->offset != offset || note->bytes > INT64_MAX - offset)
		return false;
	*at += entry_bytes;
	return true;
}

void archive_sum_records(struct archive_sum *sum, const struct flow_record *records, size_t n) {
	struct archive_sum more = {.records = n};
	uint64_t first = UINT64_MAX, last = 0;

	for (size_t i = 0; i < n; i++) {
		const struct flow_record *record = &records[i];
		more.packets += record->packets;
		more.octets += record->octets;
		first = record->first_ticks < first ? record->first_ticks : first;
		last = record->last_ticks > last ? record->last_ticks : last;
	}
	if (n == 0)
		return;
	more.begin_ns = ns_of_ticks(first);
	more.end_ns = ns_of_ticks(last);
	archive_sum_add(sum, &more);
}

void archive_sum_add(struct archive_sum *sum, const struct archive_sum *more) {
	if (more->records == 0)
		return;
	if (sum->records == 0 || more->begin_ns < sum->begin_ns)
		sum->begin_ns = more->begin_ns;
	if (sum->records == 0 || more->end_ns > sum->end_ns)
		sum->end_ns = more->end_ns;
	sum->records += more->records;
	sum->packets += more->packets;
	sum->octets += more->octets;
}

void archive_metadata_make(
	struct archive_metadata *metadata,
	const char *sensor,
	uint32_t sampling_rate,
	const struct archive_sum *sum
) {
	*metadata = (struct archive_metadata){
		.pairs =
			{
				{"weir.version", WEIR_VERSION},
				{"weir.sensor", sensor},
				{"weir.sampling", metadata->sampling},
				{"weir.begin_ns", metadata->begin_ns},
				{"weir.end_ns", metadata->end_ns},
				{"weir.records", metadata->records},
				{"weir.ledger", metadata->ledger},
			},
		.n_pairs = 7,
	};
	snprintf(metadata->sampling, sizeof(metadata->sampling), "%" PRIu32, sampling_rate);
	snprintf(metadata->begin_ns, sizeof(metadata->begin_ns), "%" PRIi64, sum->begin_ns);
	snprintf(metadata->end_ns, sizeof(metadata->end_ns), "%" PRIi64, sum->end_ns);
	snprintf(metadata->records, sizeof(metadata->records), "%" PRIu64, sum->records);
	snprintf(
		metadata->ledger,
		sizeof(metadata->ledger),
		"{\"records\":%" PRIu64 ",\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
		sum->records,
		sum->packets,
		sum->octets
	);
}
