#include "parquet_text.h"

#include <string.h>

#include "flow_columns.h"

const char *parquet_text_list(
	const uint8_t *bytes, size_t n_bytes, uint32_t n, const char **texts, uint32_t *text_bytes
) {
	const uint8_t *at = bytes, *end = bytes + n_bytes;

	for (uint32_t i = 0; i < n; i++) {
		if (end - at < 4)
			return "texts cut short";
		uint32_t length = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16
				  | (uint32_t)at[3] << 24;
		at += 4;
		if (length >= FLOW_COLUMN_TEXT_BYTES)
			return "a text longer than any column has";
		if (length > (size_t)(end - at))
			return "texts cut short";
		texts[i] = (const char *)at;
		text_bytes[i] = length;
		at += length;
	}
	return at == end ? NULL : "octets left behind the texts";
}

int parquet_text_compare(const char *a, uint32_t a_bytes, const char *b, uint32_t b_bytes) {
	int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
	return order != 0 ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

bool parquet_text_ascend(const char *const *texts, const uint32_t *text_bytes, uint32_t n) {
	for (uint32_t i = 1; i < n; i++)
		if (parquet_text_compare(texts[i - 1], text_bytes[i - 1], texts[i], text_bytes[i])
		    >= 0)
			return false;
	return true;
}

uint32_t parquet_text_table(uint32_t n) {
	uint32_t size = 16;

	while (size < 2 * n) // n is PARQUET_MAX_ROWS at most
		size *= 2;
	return size;
}

static uint64_t hash(const char *text, uint32_t n, const struct flow_secret *secret) {
	uint64_t sum = flow_key_fold(n ^ secret->words[0], secret->words[1]);

	for (uint32_t i = 0; i < n; i += 8) {
		uint64_t word = 0;
		memcpy(&word, text + i, n - i < 8 ? n - i : 8);
		sum = flow_key_fold(sum ^ word ^ secret->words[2], secret->words[3]);
	}
	return sum;
}

bool parquet_text_differ(
	const char *const *texts,
	const uint32_t *text_bytes,
	uint32_t n,
	uint32_t *table,
	const struct flow_secret *secret
) {
	uint32_t mask = parquet_text_table(n) - 1;

	memset(table, 0, ((size_t)mask + 1) * sizeof(*table));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (uint32_t)hash(texts[i], text_bytes[i], secret) & mask;
		for (; table[at] != 0; at = (at + 1) & mask) {
			uint32_t other = table[at] - 1;
			if (text_bytes[other] == text_bytes[i]
			    && memcmp(texts[other], texts[i], text_bytes[i]) == 0)
				return false;
		}
		table[at] = i + 1;
	}
	return true;
}
