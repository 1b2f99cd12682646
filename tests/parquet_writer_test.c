// The Parquet writer: what it wrote is read back by a reader written apart (parquet_peer.h) and
// compared, row by row, with what flow_columns.h says of the records. Rows may come in another
// order: each record has its own number in `packets`.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#include <cmocka.h>

#include "byte_buffer.h"
#include "clock.h"
#include "parquet_peer.h"
#include "parquet_writer.h"
#include "random.h"
#include "wire.h"

static const struct flow_source source = {100, "192.0.2.9"};

static struct parquet_writer *new_writer(uint64_t columns, bool sort, const char *sampler) {
	struct parquet_writer *writer = parquet_writer_new(&(struct parquet_writer_config){
		.level = 1,
		.columns = columns,
		.sort = sort,
		.source = {source.sampling_rate, sampler},
	});
	assert_non_null(writer);
	return writer;
}

// `variety` is of addresses, MACs and times.
static struct flow_record *make_records(uint64_t seed, uint32_t n, uint32_t variety) {
	struct flow_record *records = calloc(n, sizeof(*records));
	struct random random = {seed};
	for (uint32_t i = 0; i < n; i++) {
		struct flow_record *record = &records[i];
		bool ipv6 = random_below(&random, 3) == 0;
		static const uint8_t protocols[] = {1, 6, 17, 58};
		record->key.family = ipv6 ? FLOW_IPV6 : FLOW_IPV4;
		record->key.proto = protocols[random_below(&random, 4)];
		record->key.vlan_id = (uint16_t)random_below(&random, 4096);
		record->key.src_port = rte_cpu_to_be_16((uint16_t)random64(&random));
		record->key.dst_port = rte_cpu_to_be_16((uint16_t)random_below(&random, 1024));
		wire_put32(
			ipv6 ? record->key.src6 : record->key.src4, random_below(&random, variety)
		);
		wire_put32(
			ipv6 ? record->key.dst6 : record->key.dst4, random_below(&random, variety)
		);
		wire_put32(record->src_mac + 2, random_below(&random, variety));
		wire_put32(record->dst_mac + 2, random_below(&random, variety));
		record->last_ticks =
			UINT64_C(1700000000) * TICKS_PER_S + random_below(&random, variety);
		record->first_ticks = record->last_ticks - (i % 2) * random_below(&random, 5000);
		record->packets = i;
		record->octets = random64(&random) >> random_below(&random, 64) >> 1;
		record->inner_vlan_id = (uint16_t)random_below(&random, 2);
		record->in_if = (uint16_t)random64(&random);
		record->tcp_flags = (uint8_t)random64(&random);
		record->tos = (uint8_t)random_below(&random, 3);
		record->ttl_min = (uint8_t)random64(&random);
		record->ttl_max = 255;
		record->end = (uint8_t)(1 + random_below(&random, 5));
	}
	return records;
}

// The file, whole, of row groups of `group_rows` records.
static struct byte_buffer write_file(
	struct parquet_writer *writer,
	const struct flow_record *records,
	uint32_t n,
	uint32_t group_rows
) {
	struct byte_buffer file = {0};
	struct parquet_bytes data, note;
	struct flow_record *copy = calloc(group_rows, sizeof(*copy));
	byte_buffer_put(&file, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
	for (uint32_t from = 0; from < n; from += group_rows) {
		uint32_t in_group = n - from < group_rows ? n - from : group_rows;
		memcpy(copy, records + from, in_group * sizeof(*copy));
		assert_int_equal(
			parquet_writer_row_group(writer, copy, in_group, file.n, &data, &note), 0
		);
		byte_buffer_put(&file, data.bytes, data.n);
	}
	assert_int_equal(parquet_writer_footer(writer, NULL, 0, file.n, &data), 0);
	byte_buffer_put(&file, data.bytes, data.n);
	free(copy);
	return file;
}

static void check_value(
	const struct flow_record *record,
	const struct flow_source *from,
	enum flow_column column,
	const struct peer_value *value
) {
	if (flow_columns[column].type == COLUMN_TEXT) {
		char text[FLOW_COLUMN_TEXT_BYTES];
		int n = flow_column_text(record, from, column, text);
		assert_int_equal(value->null, n < 0);
		if (n >= 0)
			assert_string_equal(value->text, text);
	} else {
		bool null;
		int64_t number = flow_column_number(record, from, column, &null);
		assert_int_equal(value->null, null);
		if (!null)
			assert_true(value->number == number);
	}
}

// What the statistics say must be what is there.
static void check_statistics(
	const struct peer_file *file,
	int group,
	int place,
	enum flow_column column,
	const struct peer_value *values,
	size_t n
) {
	const struct peer_field *max = PEER_AT(&file->footer, 4, group, 1, place, 3, 12, 5);
	const struct peer_field *min = PEER_AT(&file->footer, 4, group, 1, place, 3, 12, 6);
	const struct peer_value *least = NULL, *most = NULL;
	int64_t n_null = 0;
	for (size_t i = 0; i < n; i++) {
		const struct peer_value *v = &values[i];
		bool text = flow_columns[column].type == COLUMN_TEXT;
		n_null += v->null;
		if (v->null)
			continue;
		if (least == NULL
		    || (text ? strcmp(v->text, least->text) < 0 : v->number < least->number))
			least = v;
		if (most == NULL
		    || (text ? strcmp(v->text, most->text) > 0 : v->number > most->number))
			most = v;
	}
	assert_int_equal(PEER_NUMBER(&file->footer, 4, group, 1, place, 3, 12, 3), n_null);
	if (least == NULL) {
		assert_null(min);
		assert_null(max);
	} else if (flow_columns[column].type == COLUMN_TEXT) {
		assert_int_equal(min->number, strlen(least->text));
		assert_memory_equal(min->bytes, least->text, (size_t)min->number);
		assert_int_equal(max->number, strlen(most->text));
		assert_memory_equal(max->bytes, most->text, (size_t)max->number);
	} else {
		size_t bytes = flow_columns[column].type == COLUMN_INT32 ? 4 : 8;
		assert_int_equal(min->number, bytes);
		assert_memory_equal(min->bytes, &least->number, bytes);
		assert_int_equal(max->number, bytes);
		assert_memory_equal(max->bytes, &most->number, bytes);
	}
}

static void check_file(
	const struct byte_buffer *bytes,
	const struct flow_record *records,
	uint32_t n,
	uint32_t group_rows,
	const struct flow_source *from,
	bool sorted
) {
	struct peer_file file;
	int groups = (int)((n + group_rows - 1) / group_rows);
	peer_open(&file, bytes->bytes, bytes->n);
	assert_int_equal(PEER_NUMBER(&file.footer, 3), n);
	assert_int_equal(PEER_NUMBER(&file.footer, 4), groups);
	for (int group = 0; group < groups; group++) {
		uint32_t rows = (uint32_t)PEER_NUMBER(&file.footer, 4, group, 3);
		uint8_t *seen = calloc(n, 1);
		struct peer_value *ids = peer_column(&file, group, COLUMN_PACKETS);
		for (uint32_t i = 0; i < rows; i++) {
			assert_true(ids[i].number / group_rows == group);
			assert_int_equal(seen[ids[i].number]++, 0);
			if (!sorted)
				assert_int_equal(ids[i].number, group * group_rows + i);
		}
		for (int column = 0; column < FLOW_COLUMN_COUNT; column++) {
			struct peer_value *values = peer_column(&file, group, column);
			for (uint32_t i = 0; i < rows; i++)
				check_value(
					&records[ids[i].number],
					from,
					(enum flow_column)column,
					&values[i]
				);
			check_statistics(
				&file, group, column, (enum flow_column)column, values, rows
			);
			free(values);
		}
		free(ids);
		free(seen);
	}
	peer_close(&file);
}

static void
write_and_check(uint64_t seed, uint32_t n, uint32_t group_rows, uint32_t variety, bool sort) {
	struct parquet_writer *writer = new_writer(0, sort, source.sampler_address);
	struct flow_record *records = make_records(seed, n, variety);
	struct byte_buffer file = write_file(writer, records, n, group_rows);
	check_file(&file, records, n, group_rows, &source, sort);
	byte_buffer_done(&file);
	free(records);
	parquet_writer_free(writer);
}

static void every_value_of_every_record_is_in_the_file(void **state) {
	(void)state;
	write_and_check(1, 20000 / TEST_SLOWNESS, 7000, 300, true);
	write_and_check(2, 20000 / TEST_SLOWNESS, 20000, 1 << 30, true);
}

static void unsorted_rows_stay_in_their_order(void **state) {
	(void)state;
	write_and_check(3, 5000, 2000, 300, false);
}

static void row_groups_of_few_records_are_whole(void **state) {
	(void)state;
	for (uint32_t n = 1; n < 20; n++)
		write_and_check(n, n, n, 3, true);
}

static void a_row_group_of_many_pages_is_whole(void **state) {
	(void)state;
	write_and_check(4, 300000 / TEST_SLOWNESS, 300000, 1 << 12, true);
}

static void records_all_alike_are_whole(void **state) {
	(void)state;
	struct parquet_writer *writer = new_writer(0, true, NULL);
	struct flow_record *records = calloc(1000, sizeof(*records));
	for (uint32_t i = 0; i < 1000; i++)
		records[i].packets = i;
	struct byte_buffer file = write_file(writer, records, 1000, 1000);
	check_file(
		&file, records, 1000, 1000, &(struct flow_source){source.sampling_rate, NULL}, true
	);
	byte_buffer_done(&file);
	free(records);
	parquet_writer_free(writer);
}

static void the_schema_names_and_types_the_columns(void **state) {
	(void)state;
	struct parquet_writer *writer = new_writer(0, true, NULL);
	struct flow_record record = {0};
	struct byte_buffer bytes = write_file(writer, &record, 1, 1);
	struct peer_file file;
	peer_open(&file, bytes.bytes, bytes.n);
	const struct peer_tree *footer = &file.footer;
	assert_int_equal(PEER_NUMBER(footer, 2, 0, 5), FLOW_COLUMN_COUNT);
	assert_int_equal(PEER_NUMBER(footer, 7), FLOW_COLUMN_COUNT);
	for (int i = 0; i < FLOW_COLUMN_COUNT; i++) {
		const struct flow_column_info *info = &flow_columns[i];
		const struct peer_field *name = PEER_AT(footer, 2, i + 1, 4);
		static const int types[] = {1, 2, 2, 6};
		assert_int_equal(name->number, strlen(info->name));
		assert_memory_equal(name->bytes, info->name, (size_t)name->number);
		assert_int_equal(PEER_NUMBER(footer, 2, i + 1, 1), types[info->type]);
		assert_int_equal(PEER_NUMBER(footer, 2, i + 1, 3), info->optional);
		if (info->type == COLUMN_TEXT) {
			assert_int_equal(PEER_NUMBER(footer, 2, i + 1, 6), 0); // UTF8
			assert_non_null(PEER_AT(footer, 2, i + 1, 10, 1));     // STRING
		} else if (info->type == COLUMN_TIME) {
			assert_int_equal(PEER_NUMBER(footer, 2, i + 1, 10, 8, 1), 1); // UTC
			assert_non_null(PEER_AT(footer, 2, i + 1, 10, 8, 2, 3));      // NANOS
		} else {
			assert_null(PEER_AT(footer, 2, i + 1, 10));
		}
		assert_non_null(PEER_AT(footer, 7, i, 1)); // TYPE_ORDER
	}
	assert_memory_equal(PEER_AT(footer, 6)->bytes, "weir version ", 13);
	peer_close(&file);
	byte_buffer_done(&bytes);
	parquet_writer_free(writer);
}

static void a_writer_of_some_columns_writes_those(void **state) {
	(void)state;
	uint64_t columns = UINT64_C(1) << COLUMN_DST_ADDR | UINT64_C(1) << COLUMN_BYTES;
	struct parquet_writer *writer = new_writer(columns, true, NULL);
	struct flow_record *records = make_records(5, 10, 100);
	struct byte_buffer bytes = write_file(writer, records, 10, 10);
	struct peer_file file;
	int64_t sum = 0;
	peer_open(&file, bytes.bytes, bytes.n);
	assert_int_equal(PEER_NUMBER(&file.footer, 2, 0, 5), 2);
	assert_memory_equal(PEER_AT(&file.footer, 2, 1, 4)->bytes, "dst_addr", 8);
	assert_memory_equal(PEER_AT(&file.footer, 2, 2, 4)->bytes, "bytes", 5);
	free(peer_column(&file, 0, 0));
	struct peer_value *values = peer_column(&file, 0, 1);
	for (uint32_t i = 0; i < 10; i++)
		sum += values[i].number - (int64_t)records[i].octets;
	assert_int_equal(sum, 0);
	free(values);
	peer_close(&file);
	byte_buffer_done(&bytes);
	free(records);
	parquet_writer_free(writer);
}

static void pairs_are_in_the_footer(void **state) {
	(void)state;
	struct parquet_writer *writer = new_writer(0, true, NULL);
	static const struct parquet_key_value pairs[] = {{"host", "sensor-1"}, {"weir.from", "1"}};
	struct parquet_bytes footer;
	struct peer_tree tree;
	assert_int_equal(parquet_writer_footer(writer, pairs, 2, 4, &footer), 0);
	assert_memory_equal(footer.bytes + footer.n - 4, "PAR1", 4);
	peer_parse(&tree, footer.bytes, footer.n - 8);
	assert_int_equal(PEER_NUMBER(&tree, 5), 2);
	assert_memory_equal(PEER_AT(&tree, 5, 0, 2)->bytes, "sensor-1", 8);
	assert_memory_equal(PEER_AT(&tree, 5, 1, 1)->bytes, "weir.from", 9);
	assert_int_equal(PEER_NUMBER(&tree, 3), 0);
	peer_done(&tree);
	parquet_writer_free(writer);
}

static void notes_restore_the_footer(void **state) {
	(void)state;
	struct parquet_writer *first = new_writer(0, true, NULL),
			      *second = new_writer(0, false, NULL);
	struct parquet_writer *other = new_writer(1, true, NULL);
	struct flow_record *records = make_records(6, 300, 100);
	struct parquet_bytes data, note, footer, restored;
	uint64_t offset = 4;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(
			parquet_writer_row_group(
				first, records + 100 * i, 100, offset, &data, &note
			),
			0
		);
		offset += data.n;
		assert_int_equal(parquet_writer_restore(second, note.bytes, note.n), 0);
		assert_int_equal(parquet_writer_restore(other, note.bytes, note.n), -EBADMSG);
	}
	assert_int_equal(parquet_writer_footer(first, NULL, 0, offset, &footer), 0);
	assert_int_equal(parquet_writer_footer(second, NULL, 0, offset, &restored), 0);
	assert_int_equal(footer.n, restored.n);
	assert_memory_equal(footer.bytes, restored.bytes, footer.n);
	free(records);
	parquet_writer_free(first);
	parquet_writer_free(second);
	parquet_writer_free(other);
}

static void damaged_notes_are_refused(void **state) {
	(void)state;
	struct parquet_writer *writer = new_writer(0, true, NULL);
	struct flow_record record = {.packets = 1};
	struct parquet_bytes data, note;
	uint8_t copy[4096];
	assert_int_equal(parquet_writer_row_group(writer, &record, 1, 4, &data, &note), 0);
	size_t n = note.n;
	assert_true(n < sizeof(copy));
	memcpy(copy, note.bytes, n);
	for (size_t i = 0; i < n; i++) {
		copy[i] ^= 0x10;
		assert_int_equal(parquet_writer_restore(writer, copy, n), -EBADMSG);
		copy[i] ^= 0x10;
		assert_int_equal(parquet_writer_restore(writer, copy, i), -EBADMSG);
	}
	assert_int_equal(parquet_writer_restore(writer, copy, n), 0);
	parquet_writer_free(writer);
}

static void a_row_group_dropped_is_not_in_the_footer(void **state) {
	(void)state;
	struct parquet_writer *writer = new_writer(0, true, NULL);
	struct flow_record *records = make_records(7, 100, 100);
	struct parquet_bytes data, note, footer;
	parquet_writer_drop_last(writer); // there is none
	assert_int_equal(parquet_writer_row_group(writer, records, 60, 4, &data, &note), 0);
	size_t first = data.n;
	assert_int_equal(parquet_writer_footer(writer, NULL, 0, 4 + first, &footer), 0);
	uint8_t *copy = malloc(footer.n);
	size_t n = footer.n;
	memcpy(copy, footer.bytes, n);
	assert_int_equal(
		parquet_writer_row_group(writer, records + 60, 40, 4 + first, &data, &note), 0
	);
	parquet_writer_drop_last(writer);
	assert_int_equal(parquet_writer_footer(writer, NULL, 0, 4 + first, &footer), 0);
	assert_int_equal(footer.n, n);
	assert_memory_equal(footer.bytes, copy, n);
	parquet_writer_reset(writer);
	assert_int_equal(parquet_writer_footer(writer, NULL, 0, 4, &footer), 0);
	assert_true(footer.n < n);
	free(copy);
	free(records);
	parquet_writer_free(writer);
}

static void the_same_records_give_the_same_bytes(void **state) {
	(void)state;
	struct parquet_writer *one = new_writer(0, true, NULL), *two = new_writer(0, true, NULL);
	struct flow_record *records = make_records(8, 3000, 1000);
	struct byte_buffer used = write_file(two, records, 3000, 1000);
	parquet_writer_reset(two); // nothing of the file before is left
	struct byte_buffer first = write_file(one, records, 3000, 3000);
	struct byte_buffer second = write_file(two, records, 3000, 3000);
	assert_int_equal(first.n, second.n);
	assert_memory_equal(first.bytes, second.bytes, first.n);
	byte_buffer_done(&used);
	byte_buffer_done(&first);
	byte_buffer_done(&second);
	free(records);
	parquet_writer_free(one);
	parquet_writer_free(two);
}

static void what_is_out_of_range_is_refused(void **state) {
	(void)state;
	struct parquet_writer_config config = {.level = 1};
	struct parquet_bytes data, note;
	struct flow_record record = {0};
	config.level = 0;
	assert_null(parquet_writer_new(&config));
	assert_int_equal(errno, EINVAL);
	config.level = 20;
	assert_null(parquet_writer_new(&config));
	config.level = 1;
	config.columns = UINT64_C(1) << FLOW_COLUMN_COUNT;
	assert_null(parquet_writer_new(&config));
	config.columns = 0;
	config.source.sampler_address = "1234567890123456789012345678901234567890123456";
	assert_null(parquet_writer_new(&config));
	struct parquet_writer *writer = new_writer(0, true, NULL);
	assert_int_equal(parquet_writer_row_group(writer, &record, 0, 4, &data, &note), -EINVAL);
	assert_int_equal(
		parquet_writer_row_group(writer, &record, PARQUET_MAX_ROWS + 1, 4, &data, &note),
		-EINVAL
	);
	parquet_writer_free(writer);
	parquet_writer_free(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_of_every_record_is_in_the_file),
		cmocka_unit_test(unsorted_rows_stay_in_their_order),
		cmocka_unit_test(row_groups_of_few_records_are_whole),
		cmocka_unit_test(a_row_group_of_many_pages_is_whole),
		cmocka_unit_test(records_all_alike_are_whole),
		cmocka_unit_test(the_schema_names_and_types_the_columns),
		cmocka_unit_test(a_writer_of_some_columns_writes_those),
		cmocka_unit_test(pairs_are_in_the_footer),
		cmocka_unit_test(notes_restore_the_footer),
		cmocka_unit_test(damaged_notes_are_refused),
		cmocka_unit_test(a_row_group_dropped_is_not_in_the_footer),
		cmocka_unit_test(the_same_records_give_the_same_bytes),
		cmocka_unit_test(what_is_out_of_range_is_refused),
	};
	return cmocka_run_group_tests_name("parquet_writer", tests, NULL, NULL);
}
