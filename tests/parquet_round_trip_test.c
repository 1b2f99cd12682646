// What the writer wrote the reader reads, whatever the records, columns and order; and what is
// done to a written file is an error, or does not matter.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "byte_buffer.h"
#include "parquet_reader.h"
#include "parquet_writer.h"
#include "random.h"

enum { MAX_GROUPS = 3 };

#define ALL_COLUMNS ((UINT64_C(1) << FLOW_COLUMN_COUNT) - 1)

static char error[PARQUET_ERROR_BYTES];

// Records, row group by row group, and the file of them.
struct written {
	struct parquet_writer_config config;
	unsigned n_groups;
	uint32_t n[MAX_GROUPS];
	struct flow_record *records[MAX_GROUPS]; // as they were given
	struct byte_buffer bytes;
};

static void
random_address(struct random *random, uint8_t *address, unsigned n, uint32_t n_different) {
	uint32_t which = random_below(random, n_different);

	if (n == 16) {
		// Zeros within, for the forms of IPv6 text.
		static const uint8_t heads[4][2] = {{0x20, 0x01}, {0xfe, 0x80}, {0, 0}, {0xff, 2}};
		memset(address, 0, n);
		memcpy(address, heads[which % 4], 2);
		if (which % 3 == 0)
			random_fill(random, address + 4, 6);
		if (which % 16 == 2) // mapped IPv4
			memset(address + 10, 0xff, 2);
	}
	memcpy(address + n - 4, &which, sizeof(which));
}

static struct flow_record random_record(struct random *random, uint32_t n_different) {
	static const uint8_t protos[] = {6, 17, 1, 58, 132};
	struct flow_record record = {0};
	bool ipv6 = random_below(random, 3) == 0;
	uint64_t first = UINT64_C(28720000000000) + random_below(random, 1000000);

	if (random_below(random, 1000) == 0)
		first = random_below(random, 2) == 0 ? 0 : (uint64_t)(INT64_MAX / 62500) - 1000;
	record.key.family = ipv6 ? FLOW_IPV6 : FLOW_IPV4;
	record.key.proto = protos[random_below(random, sizeof(protos))];
	record.key.src_port = (uint16_t)random64(random);
	record.key.dst_port =
		random_below(random, 2) == 0 ? rte_cpu_to_be_16(443) : (uint16_t)random64(random);
	record.key.vlan_id = random_below(random, 4) == 0 ? (uint16_t)random64(random) : 0;
	random_address(random, record.key.src6, ipv6 ? 16 : 4, n_different);
	random_address(
		random, ipv6 ? record.key.dst6 : record.key.dst4, ipv6 ? 16 : 4, n_different
	);
	record.first_ticks = first;
	record.last_ticks = first + random_below(random, 1000);
	record.packets = random_zipf(random, 1000000) + 1;
	record.octets = record.packets * (40 + random_below(random, 1460));
	if (random_below(random, 1000) == 0)
		record.octets = random64(random);
	memcpy(record.src_mac, (const uint8_t[]){2, 0, 0, 0xab, 0xcd, 0}, 6);
	record.src_mac[5] = (uint8_t)random_below(random, 1 + n_different % 256);
	random_fill(random, record.dst_mac, random_below(random, 50) == 0 ? 6 : 0);
	record.inner_vlan_id = random_below(random, 9) == 0 ? (uint16_t)random64(random) : 0;
	record.in_if = (uint16_t)(1 + random_below(random, 3));
	record.tcp_flags = record.key.proto == 6 ? (uint8_t)random64(random) : 0;
	record.tos = random_below(random, 5) == 0 ? (uint8_t)random64(random) : 0;
	record.ttl_max = (uint8_t)random64(random);
	record.ttl_min = (uint8_t)random_below(random, record.ttl_max + 1u);
	record.end = (uint8_t)random_below(random, FLOW_END_COUNT);
	return record;
}

static void write_file(struct written *written) {
	struct parquet_writer *writer = parquet_writer_new(&written->config);
	struct parquet_bytes data, note;

	assert_non_null(writer);
	byte_buffer_put(&written->bytes, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
	for (unsigned i = 0; i < written->n_groups; i++) {
		// The writer may reorder what it is given.
		size_t n_bytes = written->n[i] * sizeof(struct flow_record);
		struct flow_record *copy = malloc(n_bytes);
		assert_non_null(copy);
		memcpy(copy, written->records[i], n_bytes);
		assert_int_equal(
			parquet_writer_row_group(
				writer, copy, written->n[i], written->bytes.n, &data, &note
			),
			0
		);
		byte_buffer_put(&written->bytes, data.bytes, data.n);
		free(copy);
	}
	assert_int_equal(
		parquet_writer_footer(
			writer,
			&(struct parquet_key_value){.key = "weir.test", .value = "round trip"},
			1,
			written->bytes.n,
			&data
		),
		0
	);
	byte_buffer_put(&written->bytes, data.bytes, data.n);
	assert_false(written->bytes.failed);
	parquet_writer_free(writer);
}

static struct written random_file(struct random *random, uint32_t most_rows) {
	struct written written = {
		.config =
			{
				.level = 1 + (int)random_below(random, 5),
				.sort = random_below(random, 2) == 0,
				.columns = random_below(random, 2) == 0
						   ? 0
						   : random64(random) & ALL_COLUMNS,
				.source = {.sampling_rate = (uint32_t)random64(random)},
			},
		.n_groups = 1 + random_below(random, MAX_GROUPS),
	};

	if (random_below(random, 2) == 0)
		written.config.source.sampler_address = "2001:db8::53";
	for (unsigned i = 0; i < written.n_groups; i++) {
		uint32_t n = 1 + random_below(random, most_rows);
		uint32_t n_different = 1 + random_below(random, i == 0 ? n : 300);
		written.n[i] = n;
		written.records[i] = malloc(n * sizeof(struct flow_record));
		assert_non_null(written.records[i]);
		for (uint32_t j = 0; j < n; j++)
			written.records[i][j] = random_record(random, n_different);
	}
	write_file(&written);
	return written;
}

static void written_done(struct written *written) {
	for (unsigned i = 0; i < written->n_groups; i++)
		free(written->records[i]);
	byte_buffer_done(&written->bytes);
}

static bool has(const struct written *written, enum flow_column column) {
	uint64_t columns = written->config.columns;
	return columns == 0 || (columns >> column & 1) != 0;
}

static void check_column(
	const struct written *written,
	const struct parquet_reader *reader,
	unsigned group,
	enum flow_column column,
	struct parquet_vector *vector
) {
	const struct flow_source *source = &written->config.source;
	struct parquet_range range;
	char text[FLOW_COLUMN_TEXT_BYTES];

	if (parquet_reader_column(reader, group, column, vector, error) < 0)
		fail_msg("%s", error);
	assert_int_equal(vector->n_rows, written->n[group]);
	parquet_reader_range(reader, group, column, &range);
	// Sorted, the rows are others: then the records are compared.
	for (uint32_t i = 0; i < written->n[group] && !written->config.sort; i++) {
		const struct flow_record *record = &written->records[group][i];
		bool null = false, valid = vector->valid == NULL || vector->valid[i] != 0;
		if (flow_columns[column].type == COLUMN_TEXT) {
			int n = flow_column_text(record, source, column, text);
			assert_int_equal(valid, n >= 0);
			if (!valid)
				continue;
			assert_int_equal(vector->text_bytes[vector->index[i]], n);
			assert_memory_equal(vector->texts[vector->index[i]], text, n);
			continue;
		}
		int64_t value = flow_column_number(record, source, column, &null);
		assert_int_equal(valid, !null);
		assert_true(vector->values[i] == value);
		assert_true(!range.known || !valid || (value >= range.min && value <= range.max));
	}
}

// Of a record what comes back where the file does not have all columns.
static struct flow_record
what_is_left(const struct written *written, const struct flow_record *record) {
	struct flow_record left = {0};

#define TAKE(column, member)                                                                       \
	if (has(written, column))                                                                  \
	memcpy(&left.member, &record->member, sizeof(left.member))
	TAKE(COLUMN_TIME_FLOW_START_NS, first_ticks);
	TAKE(COLUMN_TIME_FLOW_END_NS, last_ticks);
	TAKE(COLUMN_PROTO, key.proto);
	TAKE(COLUMN_SRC_PORT, key.src_port);
	TAKE(COLUMN_DST_PORT, key.dst_port);
	TAKE(COLUMN_BYTES, octets);
	TAKE(COLUMN_PACKETS, packets);
	TAKE(COLUMN_TCP_FLAGS, tcp_flags);
	TAKE(COLUMN_IP_TOS, tos);
	TAKE(COLUMN_IN_IF, in_if);
	TAKE(COLUMN_SRC_MAC, src_mac);
	TAKE(COLUMN_DST_MAC, dst_mac);
	TAKE(COLUMN_VLAN_ID, key.vlan_id);
	TAKE(COLUMN_INNER_VLAN_ID, inner_vlan_id);
	TAKE(COLUMN_IP_TTL, ttl_min);
	TAKE(COLUMN_IP_TTL_MAX, ttl_max);
	TAKE(COLUMN_FLOW_END_REASON, end);
	TAKE(COLUMN_ETYPE, key.family);
	TAKE(COLUMN_SRC_ADDR, key.family);
	TAKE(COLUMN_DST_ADDR, key.family);
	if (record->key.family == FLOW_IPV6) {
		TAKE(COLUMN_SRC_ADDR, key.src6);
		TAKE(COLUMN_DST_ADDR, key.dst6);
	} else {
		TAKE(COLUMN_SRC_ADDR, key.src4);
		TAKE(COLUMN_DST_ADDR, key.dst4);
	}
#undef TAKE
	return left;
}

static int compare(const void *a, const void *b) {
	return memcmp(a, b, sizeof(struct flow_record));
}

static void
check_records(const struct written *written, struct parquet_reader *reader, unsigned group) {
	uint32_t n = written->n[group];
	struct flow_record *wanted = malloc(n * sizeof(*wanted)), *got = malloc(n * sizeof(*got));
	struct flow_source source;

	assert_true(wanted != NULL && got != NULL);
	memset(got, 0xee, n * sizeof(*got));
	for (uint32_t i = 0; i < n; i++)
		wanted[i] = what_is_left(written, &written->records[group][i]);
	if (parquet_reader_records(reader, group, got, &source, error) < 0)
		fail_msg("%s", error);
	if (written->config.sort) {
		qsort(wanted, n, sizeof(*wanted), compare);
		qsort(got, n, sizeof(*got), compare);
	}
	assert_true(memcmp(wanted, got, n * sizeof(*got)) == 0);
	if (has(written, COLUMN_SAMPLING_RATE))
		assert_int_equal(source.sampling_rate, written->config.source.sampling_rate);
	if (has(written, COLUMN_SAMPLER_ADDRESS) && written->config.source.sampler_address != NULL)
		assert_string_equal(source.sampler_address, written->config.source.sampler_address);
	else
		assert_null(source.sampler_address);
	free(wanted);
	free(got);
}

static void what_was_written_is_read(void **state) {
	static const uint32_t most[] = {1, 3, 9, 40, 130, 1000, 5000, 100000};
	struct random random = {11};
	struct parquet_vector vector = {0};
	(void)state;

	for (unsigned round = 0; round < 80; round++) {
		// Few of the large ones.
		uint32_t most_rows = most[round % (round % 3 == 0 ? 8 : 6)];
		if (most_rows > 1000 && TEST_SANITIZED)
			most_rows /= 20;
		struct written written = random_file(&random, most_rows);
		struct parquet_reader *reader =
			parquet_reader_open_memory(written.bytes.bytes, written.bytes.n, error);
		if (reader == NULL)
			fail_msg("%s", error);
		assert_int_equal(parquet_reader_row_groups(reader), written.n_groups);
		assert_string_equal(parquet_reader_value(reader, "weir.test"), "round trip");
		for (unsigned i = 0; i < written.n_groups; i++) {
			assert_int_equal(parquet_reader_group_rows(reader, i), written.n[i]);
			for (int column = 0; column < FLOW_COLUMN_COUNT; column++) {
				assert_int_equal(
					parquet_reader_has(reader, column), has(&written, column)
				);
				if (has(&written, column))
					check_column(&written, reader, i, column, &vector);
			}
			check_records(&written, reader, i);
		}
		parquet_reader_close(reader);
		written_done(&written);
	}
	parquet_vector_done(&vector);
}

// Reads all that opens of `n` octets, in a block of exactly that size. What is read without an
// error must be what was written.
static void check_damaged(const struct written *written, const uint8_t *bytes, size_t n) {
	uint8_t *copy = malloc(n + 1);
	struct parquet_vector vector = {0};
	struct parquet_reader *reader;

	assert_non_null(copy);
	memcpy(copy + 1, bytes, n);
	error[0] = '\0';
	reader = parquet_reader_open_memory(copy + 1, n, error);
	if (reader == NULL) {
		assert_int_not_equal(errno, ENOMEM);
		assert_true(error[0] != '\0' && strchr(error, '\n') == NULL);
	} else {
		assert_int_equal(parquet_reader_row_groups(reader), written->n_groups);
		for (unsigned i = 0; i < written->n_groups; i++)
			for (int column = 0; column < FLOW_COLUMN_COUNT; column++) {
				int rc = parquet_reader_column(reader, i, column, &vector, error);
				assert_int_not_equal(rc, -ENOMEM);
				if (rc == 0)
					check_column(written, reader, i, column, &vector);
			}
	}
	parquet_vector_done(&vector);
	parquet_reader_close(reader);
	free(copy);
}

static void damage_is_an_error_or_does_not_matter(void **state) {
	struct random random = {12};
	struct flow_record records[2][6];
	struct written written = {
		.config = {.level = 3, .source = {.sampling_rate = 1}},
		.n_groups = 2,
		.n = {6, 2},
		.records = {records[0], records[1]},
	};
	struct rlimit limit = {.rlim_cur = 1 << 30, .rlim_max = RLIM_INFINITY};
	(void)state;

	for (unsigned i = 0; i < 12; i++)
		records[i / 6][i % 6] = random_record(&random, 3);
	write_file(&written);
	// Sanitizers reserve much more than they use.
	if (!TEST_SANITIZED)
		assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	uint8_t *bytes = written.bytes.bytes;
	size_t n = written.bytes.n;
	check_damaged(&written, bytes, n);
	for (size_t i = 0; i < n; i++) {
		uint8_t was = bytes[i];
		for (unsigned bit = 0; bit < 8; bit += TEST_SANITIZED ? 3 : 1) {
			bytes[i] = was ^ (uint8_t)(1 << bit);
			check_damaged(&written, bytes, n);
		}
		bytes[i] = (uint8_t)random64(&random);
		check_damaged(&written, bytes, n);
		bytes[i] = was;
		check_damaged(&written, bytes, i);
	}
	// More octets, at the end and anywhere.
	for (unsigned round = 0; round < TEST_ROUNDS(2000); round++) {
		uint8_t *more = malloc(n + 20);
		size_t at = random_below(&random, (uint32_t)n + 1);
		unsigned n_more = 1 + random_below(&random, 19);
		assert_non_null(more);
		memcpy(more, bytes, at);
		random_fill(&random, more + at, n_more);
		memcpy(more + at + n_more, bytes + at, n - at);
		check_damaged(&written, more, n + n_more);
		free(more);
	}
	limit.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	byte_buffer_done(&written.bytes);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(damage_is_an_error_or_does_not_matter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
