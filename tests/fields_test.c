// The field table: ids and lengths as docs/netflow.md lists them, octets where they belong.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "fields.h"
#include "wire.h"

// Element, length; the order on the wire.
static const struct field ipv4_wanted[] = {
	{8, 4},  {12, 4}, {7, 2},  {11, 2}, {4, 1},  {5, 1},  {6, 1},  {32, 2},
	{10, 4}, {14, 4}, {22, 4}, {21, 4}, {1, 8},  {2, 8},  {61, 1}, {136, 1},
	{60, 1}, {52, 1}, {53, 1}, {58, 2}, {56, 6}, {80, 6},
};

static const struct field ipv6_wanted[] = {
	{27, 16}, {28, 16}, {31, 4}, {7, 2},  {11, 2}, {4, 1},  {5, 1},  {6, 1},
	{32, 2},  {10, 4},  {14, 4}, {22, 4}, {21, 4}, {1, 8},  {2, 8},  {61, 1},
	{136, 1}, {60, 1},  {52, 1}, {53, 1}, {58, 2}, {56, 6}, {80, 6},
};

static unsigned place_of(const struct field_template *template, uint16_t id) {
	unsigned at = 0;
	for (unsigned i = 0; i < template->n_fields; at += template->fields[i++].bytes)
		if (template->fields[i].id == id)
			return at;
	fail_msg("no element %u", id);
	return 0;
}

static struct flow_record record_of(uint8_t family) {
	struct flow_record record = {
		.first_ticks = 1000 * TICKS_PER_S + 15, // 15/16 of a millisecond are cut off
		.last_ticks = 1002 * TICKS_PER_S + 5 * TICKS_PER_MS,
		.packets = UINT64_C(0x0102030405060708),
		.octets = UINT64_C(0x1112131415161718),
		.src_mac = {2, 0, 0, 0, 0, 1},
		.dst_mac = {2, 0, 0, 0, 0, 2},
		.in_if = 7,
		.tcp_flags = 0xdb,
		.tos = 0xb8,
		.ttl_min = 61,
		.ttl_max = 64,
		.end = FLOW_END_ACTIVE,
	};
	record.key.family = family;
	record.key.proto = 6;
	record.key.vlan_id = 0x123;
	record.key.src_port = rte_cpu_to_be_16(40000);
	record.key.dst_port = rte_cpu_to_be_16(443);
	for (unsigned i = 0; i < (family == FLOW_IPV6 ? 16 : 4); i++) {
		record.key.src6[i] = (uint8_t)(0x20 + i);
		record.key.dst6[i] = (uint8_t)(0x40 + i);
	}
	if (family == FLOW_IPV4) {
		memcpy(record.key.dst4, (uint8_t[]){0x40, 0x41, 0x42, 0x43}, 4);
	}
	return record;
}

static void check_list(
	const struct field_template *template,
	const struct field *wanted,
	unsigned n_wanted,
	unsigned bytes
) {
	unsigned sum = 0;
	assert_int_equal(template->n_fields, n_wanted);
	for (unsigned i = 0; i < n_wanted; i++) {
		assert_int_equal(template->fields[i].id, wanted[i].id);
		assert_int_equal(template->fields[i].bytes, wanted[i].bytes);
		sum += wanted[i].bytes;
	}
	assert_int_equal(sum, bytes);
	assert_int_equal(template->record_bytes, bytes);
	assert_in_range(template->id, 256, 65535);
}

static void templates_list_the_elements_that_collectors_know(void **state) {
	(void)state;
	struct field_template ipv4 = fields_ipv4(), ipv6 = fields_ipv6();
	check_list(&ipv4, ipv4_wanted, sizeof(ipv4_wanted) / sizeof(ipv4_wanted[0]), 68);
	check_list(&ipv6, ipv6_wanted, sizeof(ipv6_wanted) / sizeof(ipv6_wanted[0]), 96);
	assert_int_not_equal(ipv4.id, ipv6.id);
}

static void template_ids_come_from_the_layout(void **state) {
	(void)state;
	struct field list[] = {{8, 4}, {12, 4}};
	uint16_t id = fields_template_id(list, 2);
	// FNV-1a of the list as it stands on the wire, folded to 256..65535.
	uint32_t hash = 2166136261u;
	const uint8_t octets[] = {0, 8, 0, 4, 0, 12, 0, 4};
	for (unsigned i = 0; i < sizeof(octets); i++)
		hash = (hash ^ octets[i]) * 16777619u;
	assert_int_equal(
		id, ((hash ^ hash >> 16) & 0xffff) + ((hash ^ hash >> 16) % 65536 < 256) * 256
	);
	assert_int_equal(id, fields_template_id(list, 2));
	list[1].bytes = 8;
	assert_int_not_equal(id, fields_template_id(list, 2));
	assert_int_not_equal(fields_template_id(list, 1), fields_template_id(list, 2));
}

static void check_common(const struct field_template *template, const uint8_t *out) {
	assert_int_equal(wire_get16(out + place_of(template, 7)), 40000);
	assert_int_equal(wire_get16(out + place_of(template, 11)), 443);
	assert_int_equal(out[place_of(template, 4)], 6);
	assert_int_equal(out[place_of(template, 5)], 0xb8);
	assert_int_equal(out[place_of(template, 6)], 0xdb);
	assert_int_equal(wire_get16(out + place_of(template, 32)), 0);
	assert_int_equal(wire_get32(out + place_of(template, 10)), 7);
	assert_int_equal(wire_get32(out + place_of(template, 14)), 7);
	assert_int_equal(wire_get32(out + place_of(template, 22)), 400000);
	assert_int_equal(wire_get32(out + place_of(template, 21)), 402005);
	assert_true(wire_get64(out + place_of(template, 1)) == UINT64_C(0x1112131415161718));
	assert_true(wire_get64(out + place_of(template, 2)) == UINT64_C(0x0102030405060708));
	assert_int_equal(out[place_of(template, 61)], 0);
	assert_int_equal(out[place_of(template, 136)], 2);
	assert_int_equal(out[place_of(template, 52)], 61);
	assert_int_equal(out[place_of(template, 53)], 64);
	assert_int_equal(wire_get16(out + place_of(template, 58)), 0x123);
	assert_memory_equal(out + place_of(template, 56), "\2\0\0\0\0\1", 6);
	assert_memory_equal(out + place_of(template, 80), "\2\0\0\0\0\2", 6);
}

static void ipv4_records_are_encoded_as_their_template_says(void **state) {
	(void)state;
	struct field_template template = fields_ipv4();
	struct flow_record record = record_of(FLOW_IPV4);
	uint8_t out[FIELDS_IPV4_BYTES + 1];

	out[FIELDS_IPV4_BYTES] = 0xee;
	fields_encode_ipv4(out, &record, 600000);
	assert_memory_equal(out + place_of(&template, 8), record.key.src4, 4);
	assert_memory_equal(out + place_of(&template, 12), record.key.dst4, 4);
	assert_int_equal(out[place_of(&template, 60)], 4);
	check_common(&template, out);
	assert_int_equal(out[FIELDS_IPV4_BYTES], 0xee);
}

static void ipv6_records_are_encoded_as_their_template_says(void **state) {
	(void)state;
	struct field_template template = fields_ipv6();
	struct flow_record record = record_of(FLOW_IPV6);
	uint8_t out[FIELDS_IPV6_BYTES + 1];

	out[FIELDS_IPV6_BYTES] = 0xee;
	fields_encode_ipv6(out, &record, 600000);
	assert_memory_equal(out + place_of(&template, 27), record.key.src6, 16);
	assert_memory_equal(out + place_of(&template, 28), record.key.dst6, 16);
	assert_int_equal(wire_get32(out + place_of(&template, 31)), 0);
	assert_int_equal(out[place_of(&template, 60)], 6);
	check_common(&template, out);
	assert_int_equal(out[FIELDS_IPV6_BYTES], 0xee);
}

static void icmp_type_and_code_stand_in_both_places(void **state) {
	(void)state;
	struct field_template ipv4 = fields_ipv4(), ipv6 = fields_ipv6();
	struct flow_record record = record_of(FLOW_IPV4);
	uint8_t out[FIELDS_IPV6_BYTES];

	record.key.proto = 1;
	record.key.src_port = 0;
	record.key.dst_port = rte_cpu_to_be_16(3 * 256 + 13);
	fields_encode_ipv4(out, &record, 0);
	assert_int_equal(wire_get16(out + place_of(&ipv4, 32)), 3 * 256 + 13);
	assert_int_equal(wire_get16(out + place_of(&ipv4, 11)), 3 * 256 + 13);
	assert_int_equal(wire_get16(out + place_of(&ipv4, 7)), 0);

	record.key.family = FLOW_IPV6;
	record.key.proto = 58;
	fields_encode_ipv6(out, &record, 0);
	assert_int_equal(wire_get16(out + place_of(&ipv6, 32)), 3 * 256 + 13);
	// ICMP's number within IPv6 is no ICMPv6.
	record.key.proto = 1;
	fields_encode_ipv6(out, &record, 0);
	assert_int_equal(wire_get16(out + place_of(&ipv6, 32)), 0);
}

static void times_beyond_the_epoch_stay_at_its_edges(void **state) {
	(void)state;
	struct field_template template = fields_ipv4();
	struct flow_record record = record_of(FLOW_IPV4);
	uint8_t out[FIELDS_IPV4_BYTES];

	record.first_ticks = record.last_ticks = 0;
	fields_encode_ipv4(out, &record, 0);
	assert_int_equal(wire_get32(out + place_of(&template, 22)), 0);
	assert_int_equal(wire_get32(out + place_of(&template, 21)), 1);
	record.last_ticks = (UINT64_C(1) << 33) * TICKS_PER_MS;
	fields_encode_ipv4(out, &record, 0);
	assert_true(wire_get32(out + place_of(&template, 21)) == UINT32_MAX);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(templates_list_the_elements_that_collectors_know),
		cmocka_unit_test(template_ids_come_from_the_layout),
		cmocka_unit_test(ipv4_records_are_encoded_as_their_template_says),
		cmocka_unit_test(ipv6_records_are_encoded_as_their_template_says),
		cmocka_unit_test(icmp_type_and_code_stand_in_both_places),
		cmocka_unit_test(times_beyond_the_epoch_stay_at_its_edges),
	};
	return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
