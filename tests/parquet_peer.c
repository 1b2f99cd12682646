#include "parquet_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

static uint64_t varint(const uint8_t **at, const uint8_t *end) {
	uint64_t v = 0;
	for (unsigned shift = 0;; shift += 7) {
		assert_true(*at < end && shift < 70);
		uint8_t octet = *(*at)++;
		v |= (uint64_t)(octet & 0x7f) << shift;
		if ((octet & 0x80) == 0)
			return v;
	}
}

static int64_t zigzag(const uint8_t **at, const uint8_t *end) {
	uint64_t v = varint(at, end);
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static int add_field(struct peer_tree *tree, int parent, int id, int type) {
	if (tree->n == tree->size) {
		tree->size = tree->size * 2 + 64;
		tree->fields = realloc(tree->fields, tree->size * sizeof(*tree->fields));
		assert_non_null(tree->fields);
	}
	tree->fields[tree->n] = (struct peer_field){.parent = parent, .id = id, .type = type};
	return (int)tree->n++;
}

static void
parse_struct(struct peer_tree *tree, int parent, const uint8_t **at, const uint8_t *end);

static void
parse_value(struct peer_tree *tree, int field, int type, const uint8_t **at, const uint8_t *end) {
	int64_t number = 0;
	switch (type) {
	case 1:
	case 2:
		number = type == 1;
		break;
	case 4:
	case 5:
	case 6:
		number = zigzag(at, end);
		break;
	case 8:
		number = (int64_t)varint(at, end);
		assert_true(number <= end - *at);
		tree->fields[field].bytes = *at;
		*at += number;
		break;
	case 9: {
		assert_true(*at < end);
		uint8_t head = *(*at)++;
		number = head >> 4 == 15 ? (int64_t)varint(at, end) : head >> 4;
		for (int i = 0; i < number; i++) {
			int value = add_field(tree, field, i, head & 15);
			parse_value(tree, value, head & 15, at, end);
		}
		break;
	}
	case 12:
		parse_struct(tree, field, at, end);
		break;
	default:
		fail_msg("thrift type %d", type);
	}
	tree->fields[field].number = number;
}

static void
parse_struct(struct peer_tree *tree, int parent, const uint8_t **at, const uint8_t *end) {
	int id = 0;
	for (;;) {
		assert_true(*at < end);
		uint8_t head = *(*at)++;
		if (head == 0)
			return;
		id = head >> 4 == 0 ? (int)zigzag(at, end) : id + (head >> 4);
		int field = add_field(tree, parent, id, head & 15);
		parse_value(tree, field, head & 15, at, end);
	}
}

void peer_parse(struct peer_tree *tree, const uint8_t *at, size_t n) {
	const uint8_t *begin = at;
	*tree = (struct peer_tree){0};
	parse_struct(tree, -1, &at, begin + n);
	tree->bytes = (size_t)(at - begin);
}

void peer_done(struct peer_tree *tree) {
	free(tree->fields);
}

const struct peer_field *peer_at(const struct peer_tree *tree, const int *path) {
	int parent = -1;
	for (; *path != -1; path++) {
		unsigned i = 0;
		while (i < tree->n
		       && (tree->fields[i].parent != parent || tree->fields[i].id != *path))
			i++;
		if (i == tree->n)
			return NULL;
		parent = (int)i;
	}
	return &tree->fields[parent];
}

int64_t peer_number(const struct peer_field *field) {
	assert_non_null(field);
	return field->number;
}

static uint64_t bits_at(const uint8_t *at, uint64_t bit, unsigned width) {
	uint64_t v = 0;
	for (unsigned i = 0; i < width; i++, bit++)
		v |= (uint64_t)(at[bit / 8] >> bit % 8 & 1) << i;
	return v;
}

size_t peer_hybrid(const uint8_t *at, size_t n_bytes, unsigned width, uint32_t *values, size_t n) {
	const uint8_t *begin = at, *end = at + n_bytes;
	size_t done = 0;
	while (done < n) {
		uint64_t head = varint(&at, end), count = head >> 1;
		if ((head & 1) == 0) {
			assert_true(count > 0 && count <= n - done);
			assert_true((width + 7) / 8 <= (size_t)(end - at));
			uint32_t value = 0;
			for (unsigned i = 0; i < (width + 7) / 8; i++)
				value |= (uint32_t)*at++ << 8 * i;
			for (uint64_t i = 0; i < count; i++)
				values[done++] = value;
		} else {
			assert_true(count > 0 && count * width <= (uint64_t)(end - at));
			// Only what fills up the last group of eight may be too much.
			assert_true(count * 8 < n - done + 8);
			for (uint64_t i = 0; i < count * 8 && done < n; i++)
				values[done++] = (uint32_t)bits_at(at, i * width, width);
			at += count * width;
		}
	}
	return (size_t)(at - begin);
}

void peer_delta(const uint8_t *at, size_t n_bytes, int64_t *values, size_t n) {
	const uint8_t *end = at + n_bytes;
	uint64_t block = varint(&at, end), minis = varint(&at, end);
	assert_true(block > 0 && block % 128 == 0 && minis > 0 && block / minis % 32 == 0);
	assert_int_equal(varint(&at, end), n);
	uint64_t value = (uint64_t)zigzag(&at, end);
	size_t done = 0;
	if (n > 0)
		values[done++] = (int64_t)value;
	while (done < n) {
		uint64_t least = (uint64_t)zigzag(&at, end);
		const uint8_t *widths = at;
		at += minis;
		for (uint64_t m = 0; m < minis && done < n; m++) {
			uint64_t per = block / minis;
			assert_true(per * widths[m] / 8 <= (uint64_t)(end - at));
			for (uint64_t i = 0; i < per && done < n; i++) {
				value += least + bits_at(at, i * widths[m], widths[m]);
				values[done++] = (int64_t)value;
			}
			at += per * widths[m] / 8;
		}
	}
	assert_ptr_equal(at, end);
}

void peer_open(struct peer_file *file, const uint8_t *bytes, size_t n) {
	uint32_t length;
	assert_true(n >= 12);
	assert_memory_equal(bytes, "PAR1", 4);
	assert_memory_equal(bytes + n - 4, "PAR1", 4);
	memcpy(&length, bytes + n - 8, 4);
	assert_true(length <= n - 12);
	*file = (struct peer_file){bytes, n, {0}};
	peer_parse(&file->footer, bytes + n - 8 - length, length);
	assert_int_equal(file->footer.bytes, length);
}

void peer_close(struct peer_file *file) {
	peer_done(&file->footer);
}

static int64_t plain_number(const uint8_t *at, int type) {
	int64_t v8;
	int32_t v4;
	memcpy(&v8, at, type == 1 ? 4 : 8);
	memcpy(&v4, at, 4);
	return type == 1 ? v4 : v8;
}

static void
plain(const uint8_t *at, size_t n_bytes, int type, struct peer_value *values, size_t n) {
	const uint8_t *end = at + n_bytes;
	for (size_t i = 0; i < n; i++) {
		if (type == 6) {
			uint32_t length;
			memcpy(&length, at, 4);
			assert_true(length + 4 <= (size_t)(end - at));
			if (length >= sizeof(values[i].text))
				abort();
			memcpy(values[i].text, at + 4, length);
			values[i].text[length] = 0;
			at += 4 + length;
		} else {
			values[i].number = plain_number(at, type);
			at += type == 1 ? 4 : 8;
		}
	}
	assert_ptr_equal(at, end);
}

struct page {
	struct peer_tree header;
	uint8_t *raw;
	size_t raw_bytes, bytes; // the latter with the header
};

static void read_page(struct page *page, const uint8_t *at, size_t n) {
	peer_parse(&page->header, at, n);
	size_t bytes = (size_t)PEER_NUMBER(&page->header, 3);
	page->raw_bytes = (size_t)PEER_NUMBER(&page->header, 2);
	at += page->header.bytes;
	assert_true(bytes <= n - page->header.bytes);
	assert_int_equal((uint32_t)PEER_NUMBER(&page->header, 4), crc32_z(0, at, bytes));
	page->raw = malloc(page->raw_bytes + 8);
	assert_int_equal(ZSTD_decompress(page->raw, page->raw_bytes, at, bytes), page->raw_bytes);
	page->bytes = page->header.bytes + bytes;
}

// The values of a data page that are no NULL.
static void
decode(const uint8_t *at,
       size_t n_bytes,
       int64_t encoding,
       int type,
       const struct peer_value *dictionary,
       size_t n_dictionary,
       struct peer_value *values,
       size_t n) {
	uint32_t *indexes = calloc(n + 1, sizeof(*indexes));
	int64_t *numbers = calloc(n + 1, sizeof(*numbers));
	if (encoding == 8) {
		assert_int_equal(peer_hybrid(at + 1, n_bytes - 1, at[0], indexes, n), n_bytes - 1);
		for (size_t i = 0; i < n; i++) {
			assert_true(indexes[i] < n_dictionary);
			if (dictionary == NULL)
				abort();
			values[i] = dictionary[indexes[i]];
		}
	} else if (encoding == 5) {
		peer_delta(at, n_bytes, numbers, n);
		for (size_t i = 0; i < n; i++)
			values[i].number = numbers[i];
	} else {
		assert_int_equal(encoding, 0);
		plain(at, n_bytes, type, values, n);
	}
	free(indexes);
	free(numbers);
}

static size_t levels(const uint8_t *raw, struct peer_value *values, size_t n, size_t *n_values) {
	uint32_t length, *level = calloc(n, sizeof(*level));
	memcpy(&length, raw, 4);
	assert_int_equal(peer_hybrid(raw + 4, length, 1, level, n), length);
	*n_values = 0;
	for (size_t i = 0; i < n; i++) {
		values[i].null = level[i] == 0;
		*n_values += level[i];
	}
	free(level);
	return 4 + length;
}

struct peer_value *peer_column(const struct peer_file *file, int group, int column) {
	const struct peer_tree *footer = &file->footer;
	size_t n_rows = (size_t)PEER_NUMBER(footer, 4, group, 3), done = 0, n_dictionary = 0;
	int type = (int)PEER_NUMBER(footer, 2, column + 1, 1);
	bool optional = PEER_NUMBER(footer, 2, column + 1, 3) == 1;
	const struct peer_field *dictionary_at = PEER_AT(footer, 4, group, 1, column, 3, 11);
	int64_t data_at = PEER_NUMBER(footer, 4, group, 1, column, 3, 9);
	size_t left = (size_t)PEER_NUMBER(footer, 4, group, 1, column, 3, 7), raw_bytes = 0;
	size_t at = (size_t)(dictionary_at == NULL ? data_at : dictionary_at->number);
	struct peer_value *values = calloc(n_rows, sizeof(*values)), *dictionary = NULL;

	assert_int_equal(PEER_NUMBER(footer, 4, group, 1, column, 3, 1), type);
	assert_int_equal(PEER_NUMBER(footer, 4, group, 1, column, 3, 4), 6); // ZSTD
	assert_int_equal(PEER_NUMBER(footer, 4, group, 1, column, 3, 5), n_rows);
	assert_true(at >= 4 && at + left <= file->n);
	while (left > 0) {
		struct page page;
		read_page(&page, file->bytes + at, left);
		if (PEER_NUMBER(&page.header, 1) == 2) {
			assert_null(dictionary);
			assert_int_equal(PEER_NUMBER(&page.header, 7, 2), 0); // PLAIN
			n_dictionary = (size_t)PEER_NUMBER(&page.header, 7, 1);
			dictionary = calloc(n_dictionary, sizeof(*dictionary));
			plain(page.raw, page.raw_bytes, type, dictionary, n_dictionary);
			assert_int_equal(at + page.bytes, data_at);
		} else {
			assert_int_equal(PEER_NUMBER(&page.header, 1), 0);
			size_t n = (size_t)PEER_NUMBER(&page.header, 5, 1), n_values = n, skip = 0;
			assert_true(n > 0 && n <= n_rows - done);
			if (optional)
				skip = levels(page.raw, values + done, n, &n_values);
			struct peer_value *found = calloc(n_values + 1, sizeof(*found)),
					  *next = found;
			decode(page.raw + skip,
			       page.raw_bytes - skip,
			       PEER_NUMBER(&page.header, 5, 2),
			       type,
			       dictionary,
			       n_dictionary,
			       found,
			       n_values);
			for (size_t i = 0; i < n; i++)
				if (!values[done + i].null)
					values[done + i] = *next++;
			free(found);
			done += n;
		}
		raw_bytes += page.header.bytes + page.raw_bytes;
		at += page.bytes;
		left -= page.bytes;
		free(page.raw);
		peer_done(&page.header);
	}
	assert_int_equal(done, n_rows);
	assert_int_equal(PEER_NUMBER(footer, 4, group, 1, column, 3, 6), raw_bytes);
	free(dictionary);
	return values;
}
