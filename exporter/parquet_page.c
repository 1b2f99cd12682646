#include "parquet_page.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "parquet_decode.h"
#include "parquet_reader.h"

enum {
	// What a value could need in a page of the least clever writer: a run of its own for its
	// level, and one for its index.
	VALUE_BYTES = 16,
	PAGE_BYTES = 1024,
};

enum page_type { // as the format numbers them
	PAGE_DATA = 0,
	PAGE_DICTIONARY = 2,
	PAGE_DATA_V2 = 3,
};

// A page head as it stands in the file. What was not there is -1.
struct head {
	int32_t type, unpacked_bytes, packed_bytes, crc;
	bool has_crc, is_plain; // v2: values are not compressed
	int32_t n_values, coding, level_coding;
	int32_t n_null, n_rows, level_bytes, repetition_bytes; // v2
};

void *parquet_memory_take(struct parquet_memory *memory, size_t bytes) {
	if (memory->bytes >= bytes && memory->at != NULL)
		return memory->at;
	free(memory->at);
	memory->at = malloc(bytes > 0 ? bytes : 1);
	memory->bytes = memory->at != NULL ? bytes : 0;
	return memory->at;
}

int parquet_walk_fail(const struct parquet_walk *walk, uint64_t offset, const char *format, ...) {
	int n = snprintf(
		walk->error,
		PARQUET_ERROR_BYTES,
		"column %s, row group %u, offset %llu: ",
		flow_columns[walk->column].name,
		walk->group,
		(unsigned long long)offset
	);
	va_list args;

	va_start(args, format);
	vsnprintf(walk->error + n, PARQUET_ERROR_BYTES - (size_t)n, format, args);
	va_end(args);
	return -EBADMSG;
}

static int no_memory(const struct parquet_walk *walk) {
	return parquet_fail(walk->error, ENOMEM, "%s", strerror(ENOMEM));
}

int parquet_walk_begin(struct parquet_walk *walk) {
	const struct parquet_read_chunk *chunk = walk->chunk;

	if (walk->source->fd < 0) {
		walk->at = walk->source->memory + chunk->offset;
	} else {
		uint8_t *bytes = parquet_memory_take(walk->packed, chunk->bytes);
		if (bytes == NULL)
			return no_memory(walk);
		int rc = parquet_source_read(
			walk->source, chunk->offset, bytes, chunk->bytes, walk->error
		);
		if (rc < 0)
			return rc;
		walk->at = bytes;
	}
	walk->end = walk->at + chunk->bytes;
	walk->unpacked_bytes = 0;
	walk->n_done = 0;
	return 0;
}

// DataPageHeader and DictionaryPageHeader, whose fields have the same ids.
static void read_inner(struct thrift_reader *in, struct head *head) {
	for (thrift_read_enter(in); thrift_read_next(in);)
		if (in->field == 1)
			head->n_values = thrift_read_int32(in);
		else if (in->field == 2)
			head->coding = thrift_read_int32(in);
		else if (in->field == 3 && in->kind == THRIFT_KIND_I32)
			head->level_coding = thrift_read_int32(in);
		else
			thrift_read_skip(in);
}

static void read_inner_v2(struct thrift_reader *in, struct head *head) {
	for (thrift_read_enter(in); thrift_read_next(in);)
		switch (in->field) {
		case 1:
			head->n_values = thrift_read_int32(in);
			break;
		case 2:
			head->n_null = thrift_read_int32(in);
			break;
		case 3:
			head->n_rows = thrift_read_int32(in);
			break;
		case 4:
			head->coding = thrift_read_int32(in);
			break;
		case 5:
			head->level_bytes = thrift_read_int32(in);
			break;
		case 6:
			head->repetition_bytes = thrift_read_int32(in);
			break;
		case 7:
			head->is_plain = !thrift_read_bool(in);
			break;
		default:
			thrift_read_skip(in);
		}
}

static struct head read_head(struct thrift_reader *in) {
	struct head head = {
		.type = -1,
		.unpacked_bytes = -1,
		.packed_bytes = -1,
		.n_values = -1,
		.coding = -1,
		.level_coding = -1,
		.n_null = -1,
		.n_rows = -1,
		.level_bytes = -1,
		.repetition_bytes = -1,
	};

	for (thrift_read_enter(in); thrift_read_next(in);)
		if (in->field == 1) {
			head.type = thrift_read_int32(in);
		} else if (in->field == 2) {
			head.unpacked_bytes = thrift_read_int32(in);
		} else if (in->field == 3) {
			head.packed_bytes = thrift_read_int32(in);
		} else if (in->field == 4) {
			head.crc = thrift_read_int32(in);
			head.has_crc = true;
		} else if ((in->field == 5 && head.type == PAGE_DATA) || (in->field == 7 && head.type == PAGE_DICTIONARY)) {
			read_inner(in, &head);
		} else if (in->field == 8 && head.type == PAGE_DATA_V2) {
			read_inner_v2(in, &head);
		} else {
			thrift_read_skip(in);
		}
	return head;
}

// What is wrong with a head, or NULL.
static const char *check_head(const struct parquet_walk *walk, const struct head *head) {
	bool is_text = flow_columns[walk->column].type == COLUMN_TEXT;
	int64_t most = (int64_t)head->n_values * VALUE_BYTES + PAGE_BYTES;

	if (head->type == PAGE_DICTIONARY) {
		// Number and length of each text: no more than FLOW_COLUMN_TEXT_BYTES are read.
		most = (int64_t)head->n_values * (is_text ? 4 + FLOW_COLUMN_TEXT_BYTES : 8);
		if (head->n_values < 0 || (uint32_t)head->n_values > walk->n_rows)
			return "a dictionary of more values than the row group has rows";
		if (walk->n_done > 0)
			return "a dictionary behind the values";
	} else if (head->type == PAGE_DATA || head->type == PAGE_DATA_V2) {
		if (head->n_values < 0 || (uint32_t)head->n_values > walk->n_rows - walk->n_done)
			return "a page of more values than the row group has rows";
	} else {
		return "a page of a type that weir does not write";
	}
	if (head->unpacked_bytes < 0 || head->packed_bytes < 0)
		return "a page without its size";
	if (head->unpacked_bytes > most)
		return "a page of more octets than its values could need";
	if (head->type == PAGE_DATA && walk->is_optional && head->level_coding != CODING_RLE)
		return "levels of a coding that weir does not write";
	if (head->type != PAGE_DATA_V2)
		return NULL;
	if (head->n_null < 0 || head->n_null > head->n_values || head->n_rows != head->n_values
	    || head->repetition_bytes != 0 || head->level_bytes < 0
	    || head->level_bytes > head->packed_bytes || head->level_bytes > head->unpacked_bytes
	    || (!walk->is_optional && (head->level_bytes != 0 || head->n_null != 0)))
		return "levels that do not fit the page";
	return NULL;
}

static int
unzstd(struct parquet_walk *walk, const uint8_t *in, size_t n, uint8_t *out, size_t n_out) {
	unsigned long long told = ZSTD_getFrameContentSize(in, n);
	uint64_t offset = walk->chunk->offset + walk->chunk->bytes - (uint64_t)(walk->end - in);
	size_t got;

	if (told != ZSTD_CONTENTSIZE_UNKNOWN && told != n_out)
		return parquet_walk_fail(
			walk, offset, "zstd: not the %zu octets that the page tells", n_out
		);
	if (*walk->zstd == NULL)
		*walk->zstd = ZSTD_createDCtx();
	if (*walk->zstd == NULL)
		return no_memory(walk);
	got = ZSTD_decompressDCtx(*walk->zstd, out, n_out, in, n);
	if (ZSTD_isError(got))
		return parquet_walk_fail(walk, offset, "zstd: %s", ZSTD_getErrorName(got));
	if (got != n_out)
		return parquet_walk_fail(
			walk, offset, "zstd: %zu octets, where the page tells %zu", got, n_out
		);
	return 0;
}

// The octets of a page, decompressed but for the levels of v2, into `page`.
static int
unpack(struct parquet_walk *walk,
       const struct head *head,
       const uint8_t *bytes,
       struct parquet_read_page *page) {
	size_t raw = head->type == PAGE_DATA_V2 ? (size_t)head->level_bytes : 0;
	size_t n = (size_t)head->packed_bytes - raw, n_out = (size_t)head->unpacked_bytes - raw;

	page->levels = bytes;
	page->n_levels = raw;
	page->values = bytes + raw;
	page->n_bytes = n_out;
	if (walk->chunk->codec == CODEC_UNCOMPRESSED || head->is_plain || (n == 0 && n_out == 0))
		return n == n_out ? 0
				  : parquet_walk_fail(
					  walk,
					  page->offset,
					  "two sizes of octets that are not compressed"
				  );
	uint8_t *out = parquet_memory_take(walk->unpacked, n_out);
	if (out == NULL)
		return no_memory(walk);
	page->values = out;
	return unzstd(walk, bytes + raw, n, out, n_out);
}

// Levels of v1 stand before the values, behind their length.
static int split_levels(struct parquet_walk *walk, struct parquet_read_page *page) {
	uint32_t n = 0;

	if (page->n_bytes >= 4)
		for (unsigned i = 0; i < 4; i++)
			n |= (uint32_t)page->values[i] << 8 * i;
	if (page->n_bytes < 4 || n > page->n_bytes - 4)
		return parquet_walk_fail(walk, page->offset, "levels cut short");
	page->levels = page->values + 4;
	page->n_levels = n;
	page->values += 4 + n;
	page->n_bytes -= 4 + n;
	return 0;
}

int parquet_walk_next(struct parquet_walk *walk, struct parquet_read_page *page) {
	const struct parquet_read_chunk *chunk = walk->chunk;
	struct thrift_reader in = thrift_read_of(walk->at, (size_t)(walk->end - walk->at));
	uint64_t offset = chunk->offset + chunk->bytes - (uint64_t)(walk->end - walk->at);
	struct head head;
	const char *wrong;
	int rc;

	if (walk->at == walk->end) {
		if (walk->n_done != walk->n_rows)
			return parquet_walk_fail(
				walk,
				offset,
				"ends after %u values of %u",
				walk->n_done,
				walk->n_rows
			);
		if (walk->unpacked_bytes != chunk->unpacked_bytes)
			return parquet_walk_fail(
				walk,
				offset,
				"%llu octets, where the footer tells %llu",
				(unsigned long long)walk->unpacked_bytes,
				(unsigned long long)chunk->unpacked_bytes
			);
		return 0;
	}
	head = read_head(&in);
	if (in.error != NULL)
		return parquet_walk_fail(walk, offset, "page head: %s", in.error);
	wrong = check_head(walk, &head);
	if (wrong != NULL)
		return parquet_walk_fail(walk, offset, "%s", wrong);
	if (head.packed_bytes > walk->end - in.at)
		return parquet_walk_fail(walk, offset, "a page that ends behind its chunk");
	if (head.has_crc && crc32(0, in.at, (uInt)head.packed_bytes) != (uint32_t)head.crc)
		return parquet_walk_fail(walk, offset, "checksum does not match");
	walk->unpacked_bytes += (uint64_t)(in.at - walk->at) + (uint64_t)head.unpacked_bytes;
	*page = (struct parquet_read_page){
		.offset = offset,
		.is_dictionary = head.type == PAGE_DICTIONARY,
		.n_values = (uint32_t)head.n_values,
		.coding = head.coding,
		.n_null = head.n_null,
	};
	rc = unpack(walk, &head, in.at, page);
	if (rc == 0 && head.type == PAGE_DATA && walk->is_optional)
		rc = split_levels(walk, page);
	walk->at = in.at + head.packed_bytes;
	if (!page->is_dictionary)
		walk->n_done += page->n_values;
	return rc < 0 ? rc : 1;
}
