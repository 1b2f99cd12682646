// The Parquet writer without memory: every allocation fails once, in turn, and the writer is as
// it was before.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#include <cmocka.h>

#include "parquet_writer.h"
#include "wire.h"

enum {
	N_RECORDS = 3000,
};

// The linker leads the calls of weir's objects here.
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t n);

static int calls_left = -1; // until one fails; below 0 = none will

static bool fails(void) {
	return calls_left >= 0 && calls_left-- == 0;
}

void *__wrap_malloc(size_t n) {
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size) {
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t n) {
	return fails() ? NULL : __real_realloc(memory, n);
}

static struct flow_record *make_records(void) {
	struct flow_record *records = calloc(N_RECORDS, sizeof(*records));
	for (uint32_t i = 0; i < N_RECORDS; i++) {
		struct flow_record *record = &records[i];
		record->key.family = i % 2 == 0 ? FLOW_IPV4 : FLOW_IPV6;
		wire_put32(record->key.src6, i); // of either family
		wire_put32(record->src_mac, i);
		record->packets = i / 8;
		record->octets = i;
		record->first_ticks = i;
		record->last_ticks = i * 2;
	}
	return records;
}

static const struct parquet_writer_config config = {
	.level = 1,
	.sort = true,
	.source = {1, "192.0.2.1"},
};

static void a_writer_without_memory_is_none(void **state) {
	(void)state;
	unsigned n_failed = 0;
	for (int n = 0;; n++) {
		calls_left = n;
		struct parquet_writer *writer = parquet_writer_new(&config);
		bool done = calls_left >= 0; // what was to fail did not come
		calls_left = -1;
		if (done) {
			assert_non_null(writer);
			parquet_writer_free(writer);
			break;
		}
		assert_null(writer);
		assert_int_equal(errno, ENOMEM);
		n_failed++;
	}
	assert_true(n_failed >= 2);
}

static void a_row_group_without_memory_leaves_no_trace(void **state) {
	(void)state;
	struct parquet_bytes data, note, footer;
	struct flow_record *records = make_records();
	unsigned n_failed = 0;
	for (int n = 0;; n++) {
		struct parquet_writer *writer = parquet_writer_new(&config);
		assert_non_null(writer);
		assert_int_equal(parquet_writer_footer(writer, NULL, 0, 4, &footer), 0);
		size_t empty = footer.n;
		calls_left = n;
		int rc = parquet_writer_row_group(writer, records, N_RECORDS, 4, &data, &note);
		bool done = calls_left >= 0;
		calls_left = -1;
		if (!done) {
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(parquet_writer_footer(writer, NULL, 0, 4, &footer), 0);
			assert_int_equal(footer.n, empty);
			n_failed++;
			rc = parquet_writer_row_group(writer, records, N_RECORDS, 4, &data, &note);
		}
		assert_int_equal(rc, 0);
		// It may have come by memory in another order, but not by other octets.
		static uint8_t *first;
		static size_t first_bytes;
		if (first == NULL) {
			first = malloc(data.n);
			first_bytes = data.n;
			memcpy(first, data.bytes, data.n);
		}
		assert_int_equal(data.n, first_bytes);
		assert_memory_equal(data.bytes, first, first_bytes);
		parquet_writer_free(writer);
		if (done) {
			free(first);
			break;
		}
	}
	assert_true(n_failed > 40);
	free(records);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_writer_without_memory_is_none),
		cmocka_unit_test(a_row_group_without_memory_leaves_no_trace),
	};
	return cmocka_run_group_tests_name("parquet_memory", tests, NULL, NULL);
}
