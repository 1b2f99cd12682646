// The exporter: rings in, one stream of records out; and the lines that print makes of them.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "clock.h"
#include "exporter.h"
#include "record_ring.h"

static void put(struct ring *ring, struct flow_record slot) {
	struct flow_record *at = ring_reserve(ring);
	assert_non_null(at);
	*at = slot;
	ring_push(ring);
	ring_publish(ring);
}

static struct flow_record record_of(uint16_t port) {
	struct flow_record record = {
		.first_ticks = 16,
		.last_ticks = 40,
		.packets = 3,
		.octets = 1234,
		.in_if = 1,
		.end = FLOW_END_IDLE,
		.ttl_min = 63,
		.ttl_max = 64,
		.tcp_flags = 0x1b,
		.tos = 8,
	};
	record.key.family = FLOW_IPV4;
	record.key.proto = 6;
	record.key.src_port = rte_cpu_to_be_16(port);
	record.key.vlan_id = 100;
	memcpy(record.key.src4, (uint8_t[]){192, 0, 2, 1}, 4);
	memcpy(record.key.dst4, (uint8_t[]){198, 51, 100, 2}, 4);
	memcpy(record.src_mac, "\2\0\0\0\0\1", 6);
	memcpy(record.dst_mac, "\2\0\0\0\0\2", 6);
	return record;
}

// What the exporter prints of `n` rings that have been filled up to their end marks.
static char *export_rings(struct ring **rings, unsigned n, enum print_format format) {
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	struct print *print = print_new(format, out);
	assert_non_null(print);
	struct exporter *exporter = exporter_start(&(struct exporter_config){
		.rings = rings,
		.n_rings = n,
		.print = print,
		.sampling_rate = 1,
	});
	assert_non_null(exporter);
	exporter_join(exporter);
	struct print_stats stats;
	print_stats(print, &stats);
	assert_int_equal(stats.records, stats.written);
	print_free(print);
	fclose(out);
	return text;
}

static void no_rings_are_refused(void **state) {
	(void)state;
	errno = 0;
	assert_null(exporter_start(&(struct exporter_config){0}));
	assert_int_equal(errno, EINVAL);
	exporter_join(NULL);
}

// Port numbers in the order in which lines of CSV have them.
static void assert_ports(char *csv, const char *wanted) {
	char got[256] = "";
	char *save, *line = strtok_r(csv, "\n", &save);

	while ((line = strtok_r(NULL, "\n", &save)) != NULL) {
		unsigned port;
		assert_int_equal(sscanf(line, "%*d,%*d,%*[^,],%*[^,],%*u,%u,", &port), 1);
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%u ", port);
	}
	assert_string_equal(got, wanted);
}

static void rings_are_joined_by_order_and_then_by_index(void **state) {
	struct ring *rings[2] = {
		ring_new(64, sizeof(struct flow_record)),
		ring_new(64, sizeof(struct flow_record)),
	};
	(void)state;

	assert_non_null(rings[0]);
	assert_non_null(rings[1]);
	put(rings[0], record_mark(1, 100));
	put(rings[0], record_of(10));
	put(rings[0], record_mark(3, 100));
	put(rings[0], record_of(30));
	put(rings[0], record_of(31));
	put(rings[0], record_mark(3, 100)); // the same order again
	put(rings[0], record_of(32));
	put(rings[0], record_mark(RECORD_ORDER_END, 100));
	put(rings[1], record_mark(2, 100));
	put(rings[1], record_of(20));
	put(rings[1], record_mark(3, 100));
	put(rings[1], record_of(33));
	put(rings[1], record_mark(4, 100));
	put(rings[1], record_mark(RECORD_ORDER_END, 100));
	char *csv = export_rings(rings, 2, PRINT_CSV);
	assert_ports(csv, "10 20 30 31 32 33 ");
	free(csv);
	ring_free(rings[0]);
	ring_free(rings[1]);
}

// Slots that passed through earlier move where the ring's end is.
static void records_are_exported_in_order_wherever_the_ring_ends(void **state) {
	(void)state;
	for (uint32_t n_passed = 0; n_passed < 16; n_passed++) {
		struct ring *ring = ring_new(16, sizeof(struct flow_record));
		assert_non_null(ring);
		for (uint32_t i = 0; i < n_passed; i++)
			put(ring, record_of(1));
		if (n_passed > 0) {
			assert_int_equal(ring_ready(ring), n_passed);
			ring_release(ring, n_passed);
		}
		put(ring, record_mark(1, 100));
		for (uint16_t i = 0; i < 6; i++)
			put(ring, record_of(10 + i));
		put(ring, record_mark(2, 200));
		put(ring, record_mark(3, 300));
		for (uint16_t i = 0; i < 6; i++)
			put(ring, record_of(20 + i));
		put(ring, record_mark(RECORD_ORDER_END, 300));
		char *csv = export_rings(&ring, 1, PRINT_CSV);
		assert_ports(csv, "10 11 12 13 14 15 20 21 22 23 24 25 ");
		free(csv);
		ring_free(ring);
	}
}

// More than is read at once.
static void a_full_ring_is_exported_to_the_last_record(void **state) {
	struct ring *ring = ring_new(4096, sizeof(struct flow_record));
	unsigned n_lines = 0;
	(void)state;

	assert_non_null(ring);
	put(ring, record_mark(1, 100));
	for (unsigned i = 0; i < 4094; i++)
		put(ring, record_of(1));
	put(ring, record_mark(RECORD_ORDER_END, 100));
	char *csv = export_rings(&ring, 1, PRINT_CSV);
	for (const char *at = csv; (at = strchr(at, '\n')) != NULL; at++)
		n_lines++;
	assert_int_equal(n_lines, 1 + 4094);
	free(csv);
	ring_free(ring);
}

static char *one_record_as(enum print_format format, struct flow_record record) {
	struct ring *ring = ring_new(4, sizeof(struct flow_record));
	assert_non_null(ring);
	put(ring, record_mark(1, 100));
	put(ring, record);
	put(ring, record_mark(RECORD_ORDER_END, 100));
	char *text = export_rings(&ring, 1, format);
	ring_free(ring);
	return text;
}

static void csv_has_the_names_of_the_one_schema(void **state) {
	(void)state;
	char *csv = one_record_as(PRINT_CSV, record_of(4660));
	assert_string_equal(
		csv,
		"time_flow_start_ns,time_flow_end_ns,src_addr,dst_addr,proto,src_port,dst_port,"
		"bytes,"
		"packets,tcp_flags,ip_tos,in_if,out_if,src_mac,dst_mac,vlan_id,icmp_type,icmp_code,"
		"etype,ip_ttl,sampling_rate,sampler_address,flow_end_reason,ip_ttl_max\n"
		"1000000,2500000,192.0.2.1,198.51.100.2,6,4660,0,1234,3,27,8,1,1,02:00:00:00:00:01,"
		"02:00:00:00:00:02,100,0,0,2048,63,1,,1,64\n"
	);
	free(csv);
}

static void json_has_the_same_names(void **state) {
	(void)state;
	char *json = one_record_as(PRINT_JSON, record_of(4660));
	assert_string_equal(
		json,
		"{\"time_flow_start_ns\":1000000,\"time_flow_end_ns\":2500000,"
		"\"src_addr\":\"192.0.2.1\",\"dst_addr\":\"198.51.100.2\",\"proto\":6,"
		"\"src_port\":4660,\"dst_port\":0,\"bytes\":1234,\"packets\":3,\"tcp_flags\":27,"
		"\"ip_tos\":8,\"in_if\":1,\"out_if\":1,\"src_mac\":\"02:00:00:00:00:01\","
		"\"dst_mac\":\"02:00:00:00:00:02\",\"vlan_id\":100,\"icmp_type\":0,\"icmp_code\":0,"
		"\"etype\":2048,\"ip_ttl\":63,\"sampling_rate\":1,\"sampler_address\":\"\","
		"\"flow_end_reason\":1,\"ip_ttl_max\":64}\n"
	);
	free(json);
}

static void icmp_type_and_code_stand_in_both_places(void **state) {
	struct flow_record record = record_of(0);
	(void)state;

	record.key.proto = 58;
	record.key.family = FLOW_IPV6;
	memset(record.key.src6, 0, 32);
	record.key.src6[15] = 1;
	record.key.dst_port = rte_cpu_to_be_16(129 * 256 + 3);
	char *json = one_record_as(PRINT_JSON, record);
	assert_non_null(strstr(json, "\"dst_port\":33027,"));
	assert_non_null(strstr(json, "\"icmp_type\":129,\"icmp_code\":3,"));
	assert_non_null(strstr(json, "\"src_addr\":\"::1\",\"dst_addr\":\"::\""));
	assert_non_null(strstr(json, "\"etype\":34525,"));
	free(json);
}

static void text_is_for_people(void **state) {
	(void)state;
	char *text = one_record_as(PRINT_TEXT, record_of(4660));
	assert_non_null(strstr(text, "1970-01-01T00:00:00.001"));
	assert_non_null(strstr(text, "0.001 TCP"));
	assert_non_null(strstr(text, "192.0.2.1:4660"));
	assert_non_null(strstr(text, "...AP.SF"));
	free(text);
}

static void records_after_a_write_error_count_as_lost(void **state) {
	FILE *full = fopen("/dev/full", "w");
	struct flow_record record = record_of(1);
	struct print_stats stats;
	(void)state;

	assert_non_null(full);
	struct print *print = print_new(PRINT_JSON, full);
	assert_non_null(print);
	for (int i = 0; i < 1000; i++)
		print_add(print, &record, 1);
	print_flush(print);
	print_stats(print, &stats);
	assert_int_equal(stats.error, -ENOSPC);
	assert_int_equal(stats.records, 1000);
	assert_int_equal(stats.written, 0);
	assert_int_equal(stats.lost, 1000);
	print_free(print);
	fclose(full);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_rings_are_refused),
		cmocka_unit_test(rings_are_joined_by_order_and_then_by_index),
		cmocka_unit_test(records_are_exported_in_order_wherever_the_ring_ends),
		cmocka_unit_test(a_full_ring_is_exported_to_the_last_record),
		cmocka_unit_test(csv_has_the_names_of_the_one_schema),
		cmocka_unit_test(json_has_the_same_names),
		cmocka_unit_test(icmp_type_and_code_stand_in_both_places),
		cmocka_unit_test(text_is_for_people),
		cmocka_unit_test(records_after_a_write_error_count_as_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
