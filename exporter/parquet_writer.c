#include "parquet_writer.h"

#include <errno.h>
#include <stdlib.h>

#include <zlib.h>

#include "parquet_internal.h"
#include "wire.h"

#define ALL_COLUMNS ((UINT64_C(1) << FLOW_COLUMN_COUNT) - 1)
#define NOTE_MAGIC UINT32_C(0x77726731) // "wrg1": the layout of notes below

enum {
	// A note is its magic, the CRC-32 of what follows that, the columns and the rows, and then
	// the row group as it will stand in the footer.
	NOTE_CRC = 4,
	NOTE_COLUMNS = 8,
	NOTE_ROWS = 16,
	NOTE_HEADER_BYTES = 24,
	MAX_SAMPLER_BYTES = FLOW_COLUMN_TEXT_BYTES - 1,
};

struct parquet_writer {
	uint64_t columns;
	bool sort;
	uint32_t sampling_rate;
	char *sampler_address;
	struct parquet_rows rows;
	struct parquet_pages pages;
	struct byte_buffer data, note, footer;
	struct byte_buffer row_groups; // as in the footer
	struct byte_buffer places;     // uint64_t begin in `row_groups` and rows, of each
	uint32_t n_row_groups;
	uint64_t n_rows;
};

struct place {
	uint64_t begin;
	uint64_t n_rows;
};

static int hash_secret(uint64_t *secret) {
	struct flow_secret random;
	int rc = flow_secret_random(&random);

	*secret = random.words[0];
	return rc;
}

struct parquet_writer *parquet_writer_new(const struct parquet_writer_config *config) {
	const char *sampler = config->source.sampler_address;
	uint64_t secret = 0;
	int rc = 0;

	if (config->level < 1 || config->level > 19 || (config->columns & ~ALL_COLUMNS) != 0
	    || (sampler != NULL && strlen(sampler) > MAX_SAMPLER_BYTES)) {
		errno = EINVAL;
		return NULL;
	}
	struct parquet_writer *writer = calloc(1, sizeof(*writer));
	if (writer == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	writer->columns = config->columns == 0 ? ALL_COLUMNS : config->columns;
	writer->sort = config->sort;
	writer->sampling_rate = config->source.sampling_rate;
	if (sampler != NULL && (writer->sampler_address = strdup(sampler)) == NULL)
		rc = -ENOMEM;
	if (rc == 0)
		rc = hash_secret(&secret);
	parquet_rows_init(&writer->rows, secret);
	if (rc == 0)
		rc = parquet_pages_init(&writer->pages, config->level, secret);
	if (rc != 0) {
		parquet_writer_free(writer);
		errno = -rc;
		return NULL;
	}
	return writer;
}

void parquet_writer_free(struct parquet_writer *writer) {
	if (writer == NULL)
		return;
	parquet_rows_done(&writer->rows);
	parquet_pages_done(&writer->pages);
	byte_buffer_done(&writer->data);
	byte_buffer_done(&writer->note);
	byte_buffer_done(&writer->footer);
	byte_buffer_done(&writer->row_groups);
	byte_buffer_done(&writer->places);
	free(writer->sampler_address);
	free(writer);
}

// Both or none.
static int
add_row_group(struct parquet_writer *writer, const uint8_t *row_group, size_t n, uint64_t n_rows) {
	struct place place = {writer->row_groups.n, n_rows};

	writer->row_groups.failed = writer->places.failed = false;
	if (!byte_buffer_reserve(&writer->row_groups, n)
	    || !byte_buffer_reserve(&writer->places, sizeof(place)))
		return -ENOMEM;
	byte_buffer_put(&writer->row_groups, row_group, n);
	byte_buffer_put(&writer->places, &place, sizeof(place));
	writer->n_row_groups++;
	writer->n_rows += n_rows;
	return 0;
}

static int
make_note(struct parquet_writer *writer, const struct parquet_chunk *chunks, unsigned n_chunks) {
	struct byte_buffer *note = &writer->note;
	uint8_t header[NOTE_HEADER_BYTES];

	wire_put32(header, NOTE_MAGIC);
	wire_put64(header + NOTE_COLUMNS, writer->columns);
	wire_put64(header + NOTE_ROWS, chunks[0].n_rows);
	byte_buffer_reset(note);
	byte_buffer_put(note, header, sizeof(header));
	parquet_meta_row_group(note, chunks, n_chunks);
	if (note->failed)
		return -ENOMEM;
	wire_put32(
		note->bytes + NOTE_CRC,
		(uint32_t)crc32_z(0, note->bytes + NOTE_COLUMNS, note->n - NOTE_COLUMNS)
	);
	return 0;
}

int parquet_writer_row_group(
	struct parquet_writer *writer,
	const struct flow_record *records,
	uint32_t n_records,
	uint64_t offset,
	struct parquet_bytes *data,
	struct parquet_bytes *note
) {
	struct parquet_chunk chunks[FLOW_COLUMN_COUNT];
	struct flow_source source = {writer->sampling_rate, writer->sampler_address};
	unsigned n_chunks = 0;

	if (n_records == 0 || n_records > PARQUET_MAX_ROWS)
		return -EINVAL;
	int rc = parquet_rows_take(&writer->rows, records, n_records, writer->sort);
	byte_buffer_reset(&writer->data);
	for (unsigned i = 0; rc == 0 && i < FLOW_COLUMN_COUNT; i++)
		if ((writer->columns >> i & 1) != 0)
			rc = parquet_pages_put(
				&writer->pages,
				&writer->rows,
				&source,
				(enum flow_column)i,
				offset + writer->data.n,
				&writer->data,
				&chunks[n_chunks++]
			);
	if (rc == 0)
		rc = make_note(writer, chunks, n_chunks);
	if (rc == 0)
		rc = add_row_group(
			writer,
			writer->note.bytes + NOTE_HEADER_BYTES,
			writer->note.n - NOTE_HEADER_BYTES,
			n_records
		);
	if (rc != 0)
		return rc;
	*data = (struct parquet_bytes){writer->data.bytes, writer->data.n};
	*note = (struct parquet_bytes){writer->note.bytes, writer->note.n};
	return 0;
}

int parquet_writer_restore(struct parquet_writer *writer, const uint8_t *note, size_t n) {
	if (n <= NOTE_HEADER_BYTES || wire_get32(note) != NOTE_MAGIC
	    || wire_get32(note + NOTE_CRC) != crc32_z(0, note + NOTE_COLUMNS, n - NOTE_COLUMNS)
	    || wire_get64(note + NOTE_COLUMNS) != writer->columns)
		return -EBADMSG;
	return add_row_group(
		writer,
		note + NOTE_HEADER_BYTES,
		n - NOTE_HEADER_BYTES,
		wire_get64(note + NOTE_ROWS)
	);
}

void parquet_writer_drop_last(struct parquet_writer *writer) {
	struct place place;

	if (writer->n_row_groups == 0)
		return;
	writer->places.n -= sizeof(place);
	memcpy(&place, writer->places.bytes + writer->places.n, sizeof(place));
	writer->row_groups.n = place.begin;
	writer->n_rows -= place.n_rows;
	writer->n_row_groups--;
}

int parquet_writer_footer(
	struct parquet_writer *writer,
	const struct parquet_key_value *pairs,
	unsigned n_pairs,
	uint64_t offset,
	struct parquet_bytes *footer
) {
	struct byte_buffer *out = &writer->footer;

	(void)offset; // nothing in the footer stands relative to it
	byte_buffer_reset(out);
	parquet_meta_file(
		out,
		writer->columns,
		&writer->row_groups,
		writer->n_row_groups,
		writer->n_rows,
		pairs,
		n_pairs
	);
	byte_buffer_put32(out, (uint32_t)out->n);
	byte_buffer_put(out, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
	if (out->failed)
		return -ENOMEM;
	*footer = (struct parquet_bytes){out->bytes, out->n};
	return 0;
}

void parquet_writer_reset(struct parquet_writer *writer) {
	byte_buffer_reset(&writer->row_groups);
	byte_buffer_reset(&writer->places);
	writer->n_row_groups = 0;
	writer->n_rows = 0;
}
