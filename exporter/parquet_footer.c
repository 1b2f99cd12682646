#include "parquet_footer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "parquet_reader.h"
#include "parquet_writer.h"

enum {
	TAIL_BYTES = 8, // length of the footer, magic
	// What a chunk could need for each row and in all: a text and its index, with room for
	// heads and statistics of small pages. More is no file of flows.
	ROW_BYTES = 128,
	CHUNK_BYTES = 1 << 20,
};

// What is read of a ColumnChunk beside its parquet_chunk.
struct chunk_head {
	int64_t type, codec, n_values, unpacked_bytes, bytes, data_offset, dictionary_offset;
	const uint8_t *name;
	uint32_t name_bytes, n_names;
	bool elsewhere; // in another file, or encrypted
};

static const char *codec_name(int64_t codec) {
	static const char *const names[] = {
		"UNCOMPRESSED",
		"SNAPPY",
		"GZIP",
		"LZO",
		"BROTLI",
		"LZ4",
		"ZSTD",
		"LZ4_RAW",
	};
	return codec >= 0 && codec < 8 ? names[codec] : "?";
}

static void read_statistics(struct thrift_reader *in, struct parquet_read_chunk *chunk) {
	for (thrift_read_enter(in); thrift_read_next(in);)
		switch (in->field) {
		case 3:
			chunk->n_null = (uint64_t)thrift_read_int(in);
			chunk->has_n_null = true;
			break;
		case 5:
			chunk->max = thrift_read_binary(in, &chunk->max_bytes);
			break;
		case 6:
			chunk->min = thrift_read_binary(in, &chunk->min_bytes);
			break;
		default: // 1 and 2 are those whose order nobody knows
			thrift_read_skip(in);
		}
}

static void read_chunk_meta(
	struct thrift_reader *in, struct chunk_head *head, struct parquet_read_chunk *chunk
) {
	for (thrift_read_enter(in); thrift_read_next(in);)
		switch (in->field) {
		case 1:
			head->type = thrift_read_int(in);
			break;
		case 3:
			head->n_names = thrift_read_list(in, THRIFT_KIND_BINARY);
			for (uint32_t i = 0; i < head->n_names && in->error == NULL; i++)
				head->name = thrift_read_binary(in, &head->name_bytes);
			break;
		case 4:
			head->codec = thrift_read_int(in);
			break;
		case 5:
			head->n_values = thrift_read_int(in);
			break;
		case 6:
			head->unpacked_bytes = thrift_read_int(in);
			break;
		case 7:
			head->bytes = thrift_read_int(in);
			break;
		case 9:
			head->data_offset = thrift_read_int(in);
			break;
		case 11:
			head->dictionary_offset = thrift_read_int(in);
			break;
		case 12:
			read_statistics(in, chunk);
			break;
		default:
			thrift_read_skip(in);
		}
}

static struct chunk_head read_chunk(struct thrift_reader *in, struct parquet_read_chunk *chunk) {
	struct chunk_head head = {.type = -1, .codec = -1, .n_values = -1, .data_offset = -1};

	for (thrift_read_enter(in); thrift_read_next(in);)
		switch (in->field) {
		case 3:
			read_chunk_meta(in, &head, chunk);
			break;
		case 1: // file_path
		case 8: // crypto_metadata
		case 9: // encrypted_column_metadata
			head.elsewhere = true;
			thrift_read_skip(in);
			break;
		default:
			thrift_read_skip(in);
		}
	return head;
}

int64_t parquet_footer_number(const uint8_t *bytes, uint32_t n) {
	uint64_t value = 0;

	for (uint32_t i = n; i-- > 0;)
		value = value << 8 | bytes[i];
	return n == 4 ? (int32_t)value : (int64_t)value;
}

static const char *
check_statistics(const struct parquet_read_chunk *chunk, enum flow_column column, int64_t n_rows) {
	enum flow_column_type type = flow_columns[column].type;
	uint32_t n = type == COLUMN_INT32 ? 4 : 8;

	if (chunk->has_n_null && chunk->n_null > (uint64_t)n_rows)
		return "statistics of more NULLs than rows";
	if (chunk->min == NULL || chunk->max == NULL)
		return NULL;
	if (type == COLUMN_TEXT) {
		uint32_t least =
			chunk->min_bytes < chunk->max_bytes ? chunk->min_bytes : chunk->max_bytes;
		int order = memcmp(chunk->min, chunk->max, least);
		if (order < 0 || (order == 0 && chunk->min_bytes <= chunk->max_bytes))
			return NULL;
	} else if (chunk->min_bytes != n || chunk->max_bytes != n) {
		return "statistics of another type";
	} else if (parquet_footer_number(chunk->min, n) <= parquet_footer_number(chunk->max, n)) {
		return NULL;
	}
	return "statistics whose least is more than their greatest";
}

// What is wrong with a chunk, or NULL. `n_rows` is that of its row group.
static const char *check_chunk(
	const struct parquet_footer *footer,
	const struct chunk_head *head,
	struct parquet_read_chunk *chunk,
	enum flow_column column,
	int64_t n_rows
) {
	static const int8_t types[] = {
		[COLUMN_INT32] = 1, [COLUMN_INT64] = 2, [COLUMN_TIME] = 2, [COLUMN_TEXT] = 6};
	const char *name = flow_columns[column].name;
	int64_t most = CHUNK_BYTES + n_rows * ROW_BYTES, data_end = (int64_t)footer->data_end;
	int64_t offset = head->data_offset;

	if (head->n_names != 1 || head->name_bytes != strlen(name)
	    || memcmp(head->name, name, head->name_bytes) != 0)
		return "not the column that the schema has in its place";
	if (head->type != types[flow_columns[column].type])
		return "not of the type that the schema says";
	if (head->n_values != n_rows)
		return "not as many values as the row group has rows";
	if (head->dictionary_offset > 0) {
		if (head->dictionary_offset >= offset)
			return "its dictionary lies behind its values";
		offset = head->dictionary_offset;
	}
	if (offset < PARQUET_MAGIC_BYTES || head->bytes <= 0 || head->bytes > data_end
	    || offset > data_end - head->bytes || head->data_offset >= offset + head->bytes)
		return "its octets are not within the file";
	if (head->bytes > most || head->unpacked_bytes < 0 || head->unpacked_bytes > most)
		return "more octets than its values could need";
	chunk->offset = (uint64_t)offset;
	chunk->bytes = (uint64_t)head->bytes;
	chunk->unpacked_bytes = (uint64_t)head->unpacked_bytes;
	chunk->codec = (uint8_t)head->codec;
	return check_statistics(chunk, column, n_rows);
}

// Room for one row group more: as they come, since a number of them costs an enemy nothing.
static int grow(struct parquet_footer *footer, char *error) {
	unsigned n = footer->n_groups;
	void *rows, *chunks;

	if ((n & (n - 1)) != 0) // room for the next power of 2
		return 0;
	n = n == 0 ? 1 : 2 * n;
	rows = realloc(footer->group_rows, n * sizeof(*footer->group_rows));
	if (rows != NULL)
		footer->group_rows = rows;
	chunks = reallocarray(footer->chunks, n, (footer->n_known + 1) * sizeof(*footer->chunks));
	if (chunks != NULL)
		footer->chunks = chunks;
	if (rows == NULL || chunks == NULL)
		return parquet_fail(error, ENOMEM, "%s", strerror(ENOMEM));
	return 0;
}

static int fail_chunk(
	const struct parquet_footer *footer, enum flow_column column, const char *what, char *error
) {
	return parquet_fail(
		error,
		EBADMSG,
		"column %s, row group %u: %s",
		flow_columns[column].name,
		footer->n_groups,
		what
	);
}

// The columns of a row group, whose heads go to `heads`, by their place.
static int read_chunks(
	struct parquet_footer *footer,
	struct thrift_reader *in,
	struct chunk_head *heads,
	char *error
) {
	uint32_t n = thrift_read_list(in, THRIFT_KIND_STRUCT);

	if (in->error == NULL && n != footer->n_columns)
		return parquet_fail(
			error,
			EBADMSG,
			"row group %u: %u columns, where the schema has %u",
			footer->n_groups,
			n,
			footer->n_columns
		);
	for (uint32_t i = 0; i < n && in->error == NULL; i++) {
		struct parquet_read_chunk chunk = {0};
		struct chunk_head head = read_chunk(in, &chunk);
		int column = footer->columns[i];
		if (in->error != NULL || column < 0)
			continue;
		if (head.elsewhere)
			return fail_chunk(footer, column, "encrypted, or in another file", error);
		if (head.codec != CODEC_UNCOMPRESSED && head.codec != CODEC_ZSTD)
			return parquet_fail(
				error,
				ENOTSUP,
				"column %s: codec %s is not read; weir writes ZSTD",
				flow_columns[column].name,
				codec_name(head.codec)
			);
		heads[footer->place[column]] = head;
		footer->chunks
			[(size_t)footer->n_groups * footer->n_known
			 + (size_t)footer->place[column]] = chunk;
	}
	return 0;
}

static int read_group(struct parquet_footer *footer, struct thrift_reader *in, char *error) {
	struct chunk_head heads[FLOW_COLUMN_COUNT];
	bool has_columns = false;
	int64_t n_rows = -1;
	int rc = grow(footer, error);

	for (thrift_read_enter(in); rc == 0 && thrift_read_next(in);)
		switch (in->field) {
		case 1:
			rc = read_chunks(footer, in, heads, error);
			has_columns = true;
			break;
		case 3:
			n_rows = thrift_read_int(in);
			break;
		default:
			thrift_read_skip(in);
		}
	if (rc < 0 || in->error != NULL)
		return rc;
	if (n_rows < 1 || n_rows > PARQUET_MAX_ROWS || !has_columns)
		return parquet_fail(
			error,
			EBADMSG,
			"row group %u: %lld rows; 1 to %d are possible",
			footer->n_groups,
			(long long)n_rows,
			PARQUET_MAX_ROWS
		);
	for (int column = 0; column < FLOW_COLUMN_COUNT; column++) {
		int place = footer->place[column];
		if (place < 0)
			continue;
		struct parquet_read_chunk *chunk =
			&footer->chunks[(size_t)footer->n_groups * footer->n_known + (size_t)place];
		const char *wrong = check_chunk(footer, &heads[place], chunk, column, n_rows);
		if (wrong != NULL)
			return fail_chunk(footer, column, wrong, error);
	}
	footer->group_rows[footer->n_groups++] = (uint32_t)n_rows;
	return 0;
}

static int read_groups(struct parquet_footer *footer, struct thrift_reader *in, char *error) {
	uint32_t n = thrift_read_list(in, THRIFT_KIND_STRUCT);
	int rc = 0;

	if (footer->n_groups > 0)
		return parquet_fail(error, EBADMSG, "footer: row groups twice");
	for (uint32_t i = 0; i < n && in->error == NULL && rc == 0; i++)
		rc = read_group(footer, in, error);
	return rc;
}

// A text of the footer, which then ends in a 0: written over what followed, which has been read.
static char *ended(struct parquet_footer *footer, const uint8_t *text, uint32_t n) {
	uint8_t *own = footer->bytes + (text - footer->bytes);
	own[n] = '\0';
	return (char *)own;
}

static int read_pairs(struct parquet_footer *footer, struct thrift_reader *in, char *error) {
	uint32_t n = thrift_read_list(in, THRIFT_KIND_STRUCT);
	size_t most;

	if (footer->pairs != NULL)
		return parquet_fail(error, EBADMSG, "footer: key-value metadata twice");
	// With key and value a pair is 5 octets at least.
	most = RTE_MIN((size_t)n, (size_t)(in->end - in->at) / 5);
	footer->pairs = calloc(most + 1, sizeof(*footer->pairs));
	if (footer->pairs == NULL)
		return parquet_fail(error, ENOMEM, "%s", strerror(ENOMEM));
	for (uint32_t i = 0; i < n && in->error == NULL; i++) {
		const uint8_t *key = NULL, *value = NULL;
		uint32_t key_bytes = 0, value_bytes = 0;
		for (thrift_read_enter(in); thrift_read_next(in);)
			if (in->field == 1)
				key = thrift_read_binary(in, &key_bytes);
			else if (in->field == 2)
				value = thrift_read_binary(in, &value_bytes);
			else
				thrift_read_skip(in);
		if (in->error != NULL || key == NULL || value == NULL)
			continue;
		footer->pairs[footer->n_pairs].key = ended(footer, key, key_bytes);
		footer->pairs[footer->n_pairs++].value = ended(footer, value, value_bytes);
	}
	return 0;
}

static int read_footer(struct parquet_footer *footer, size_t n, char *error) {
	struct thrift_reader in = thrift_read_of(footer->bytes, n);
	bool has_schema = false, has_rows = false;
	uint64_t sum = 0;
	int rc = 0;

	for (thrift_read_enter(&in); rc == 0 && thrift_read_next(&in);)
		switch (in.field) {
		case 2:
			if (has_schema)
				return parquet_fail(error, EBADMSG, "footer: schema twice");
			rc = parquet_schema_read(footer, &in, error);
			has_schema = true;
			break;
		case 3:
			footer->n_rows = (uint64_t)thrift_read_int(&in);
			has_rows = true;
			break;
		case 4:
			if (!has_schema)
				return parquet_fail(error, EBADMSG, "footer: no schema");
			rc = read_groups(footer, &in, error);
			break;
		case 5:
			rc = read_pairs(footer, &in, error);
			break;
		case 8:
			return parquet_fail(error, ENOTSUP, "encrypted files are not read");
		default:
			thrift_read_skip(&in);
		}
	if (rc == 0)
		rc = parquet_thrift_error(&in, "footer", error);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < footer->n_groups; i++)
		sum += footer->group_rows[i];
	if (!has_schema || !has_rows || sum != footer->n_rows)
		return parquet_fail(
			error,
			EBADMSG,
			"footer: %llu rows in its row groups and %llu in all",
			(unsigned long long)sum,
			(unsigned long long)footer->n_rows
		);
	return 0;
}

int parquet_footer_read(
	struct parquet_footer *footer, const struct parquet_source *source, char *error
) {
	uint8_t head[PARQUET_MAGIC_BYTES] = {0}, tail[TAIL_BYTES] = {0};
	uint64_t n = source->n_bytes;
	uint32_t footer_bytes;
	int rc;

	*footer = (struct parquet_footer){0};
	memset(footer->place, -1, sizeof(footer->place));
	if (n < PARQUET_MAGIC_BYTES + TAIL_BYTES)
		return parquet_fail(error, EBADMSG, "no Parquet file: too short");
	rc = parquet_source_read(source, 0, head, sizeof(head), error);
	if (rc == 0)
		rc = parquet_source_read(source, n - TAIL_BYTES, tail, TAIL_BYTES, error);
	if (rc < 0)
		return rc;
	if (memcmp(head, PARQUET_MAGIC, PARQUET_MAGIC_BYTES) != 0)
		return parquet_fail(
			error, EBADMSG, "no Parquet file: it does not begin with " PARQUET_MAGIC
		);
	if (memcmp(tail + 4, PARQUET_MAGIC, PARQUET_MAGIC_BYTES) != 0)
		return parquet_fail(
			error, EBADMSG, "cut short: it does not end with " PARQUET_MAGIC
		);
	footer_bytes = (uint32_t)parquet_footer_number(tail, 4);
	if (footer_bytes > n - PARQUET_MAGIC_BYTES - TAIL_BYTES
	    || footer_bytes > PARQUET_MAX_FOOTER_BYTES)
		return parquet_fail(
			error,
			EBADMSG,
			"footer of %u octets in a file of %llu; up to %d are read",
			footer_bytes,
			(unsigned long long)n,
			PARQUET_MAX_FOOTER_BYTES
		);
	footer->data_end = n - TAIL_BYTES - footer_bytes;
	footer->bytes = malloc((size_t)footer_bytes + 1);
	if (footer->bytes == NULL)
		return parquet_fail(error, ENOMEM, "%s", strerror(ENOMEM));
	rc = parquet_source_read(source, footer->data_end, footer->bytes, footer_bytes, error);
	return rc < 0 ? rc : read_footer(footer, footer_bytes, error);
}

int parquet_footer_read_memory(
	struct parquet_footer *footer,
	const uint8_t *bytes,
	size_t n,
	uint64_t data_end,
	char *error
) {
	size_t footer_bytes = 0;

	*footer = (struct parquet_footer){0};
	memset(footer->place, -1, sizeof(footer->place));
	if (n >= TAIL_BYTES)
		footer_bytes = (size_t)parquet_footer_number(bytes + n - TAIL_BYTES, 4);
	if (n < TAIL_BYTES || footer_bytes > n - TAIL_BYTES)
		return parquet_fail(error, EBADMSG, "footer of %zu octets: cut short", n);
	footer->data_end = data_end;
	footer->bytes = malloc(footer_bytes + 1);
	if (footer->bytes == NULL)
		return parquet_fail(error, ENOMEM, "%s", strerror(ENOMEM));
	memcpy(footer->bytes, bytes + n - TAIL_BYTES - footer_bytes, footer_bytes);
	return read_footer(footer, footer_bytes, error);
}

void parquet_footer_done(struct parquet_footer *footer) {
	free(footer->group_rows);
	free(footer->chunks);
	free(footer->pairs);
	free(footer->bytes);
}
