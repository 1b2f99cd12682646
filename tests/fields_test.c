// The field table: ids and lengths as docs/netflow.md lists them, octets where they belong.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "elements.h"
#include "fields.h"
#include "fields_table.h"
#include "random.h"
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

enum {
	IPV4_BYTES = 68, // multiples of 4: FlowSets of the standard templates need no padding
	IPV6_BYTES = 96,
};

static struct field_layout standard(bool ipv6) {
	struct field_layout layout;
	field_layout_init(&layout, FIELDS_STANDARD, FIELDS_NETFLOW9, ipv6);
	return layout;
}

static unsigned place_of(const struct field_layout *template, uint16_t id) {
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
	const struct field_layout *template,
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
	struct field_layout ipv4 = standard(false), ipv6 = standard(true);
	check_list(&ipv4, ipv4_wanted, sizeof(ipv4_wanted) / sizeof(ipv4_wanted[0]), IPV4_BYTES);
	check_list(&ipv6, ipv6_wanted, sizeof(ipv6_wanted) / sizeof(ipv6_wanted[0]), IPV6_BYTES);
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

static void check_common(const struct field_layout *template, const uint8_t *out) {
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
	struct field_layout template = standard(false);
	struct flow_record record = record_of(FLOW_IPV4);
	uint8_t out[IPV4_BYTES + FIELDS_SLACK_BYTES];

	field_layout_encode(&template, out, &record, 600000);
	assert_memory_equal(out + place_of(&template, 8), record.key.src4, 4);
	assert_memory_equal(out + place_of(&template, 12), record.key.dst4, 4);
	assert_int_equal(out[place_of(&template, 60)], 4);
	check_common(&template, out);
}

static void ipv6_records_are_encoded_as_their_template_says(void **state) {
	(void)state;
	struct field_layout template = standard(true);
	struct flow_record record = record_of(FLOW_IPV6);
	uint8_t out[IPV6_BYTES + FIELDS_SLACK_BYTES];

	field_layout_encode(&template, out, &record, 600000);
	assert_memory_equal(out + place_of(&template, 27), record.key.src6, 16);
	assert_memory_equal(out + place_of(&template, 28), record.key.dst6, 16);
	assert_int_equal(wire_get32(out + place_of(&template, 31)), 0);
	assert_int_equal(out[place_of(&template, 60)], 6);
	check_common(&template, out);
}

static void icmp_type_and_code_stand_in_both_places(void **state) {
	(void)state;
	struct field_layout ipv4 = standard(false), ipv6 = standard(true);
	struct flow_record record = record_of(FLOW_IPV4);
	uint8_t out[IPV6_BYTES + FIELDS_SLACK_BYTES];

	record.key.proto = 1;
	record.key.src_port = 0;
	record.key.dst_port = rte_cpu_to_be_16(3 * 256 + 13);
	field_layout_encode(&ipv4, out, &record, 0);
	assert_int_equal(wire_get16(out + place_of(&ipv4, 32)), 3 * 256 + 13);
	assert_int_equal(wire_get16(out + place_of(&ipv4, 11)), 3 * 256 + 13);
	assert_int_equal(wire_get16(out + place_of(&ipv4, 7)), 0);

	record.key.family = FLOW_IPV6;
	record.key.proto = 58;
	field_layout_encode(&ipv6, out, &record, 0);
	assert_int_equal(wire_get16(out + place_of(&ipv6, 32)), 3 * 256 + 13);
	// ICMP's number within IPv6 is no ICMPv6.
	record.key.proto = 1;
	field_layout_encode(&ipv6, out, &record, 0);
	assert_int_equal(wire_get16(out + place_of(&ipv6, 32)), 0);
}

static void times_beyond_the_epoch_stay_at_its_edges(void **state) {
	(void)state;
	struct field_layout template = standard(false);
	struct flow_record record = record_of(FLOW_IPV4);
	uint8_t out[IPV4_BYTES + FIELDS_SLACK_BYTES];

	record.first_ticks = record.last_ticks = 0;
	field_layout_encode(&template, out, &record, 0);
	assert_int_equal(wire_get32(out + place_of(&template, 22)), 0);
	assert_int_equal(wire_get32(out + place_of(&template, 21)), 1);
	record.last_ticks = (UINT64_C(1) << 33) * TICKS_PER_MS;
	field_layout_encode(&template, out, &record, 0);
	assert_true(wire_get32(out + place_of(&template, 21)) == UINT32_MAX);
}

// Sets that have an encoder of their own, and some that have none.
static const uint64_t sets[] = {
	FIELDS_STANDARD,
	FIELDS_STANDARD ^ FIELDS_TIMES,
	FIELDS_STANDARD | FIELDS_TIMES,
	FIELDS_STANDARD | FIELDS_QINQ,
	FIELDS_STANDARD | FIELDS_MPLS,
	FIELDS_STANDARD | FIELD_BIT(245),
	FIELDS_STANDARD | FIELD_BIT(245) | FIELDS_MPLS,
	FIELDS_MINIMAL,
	FIELDS_STANDARD & ~(FIELD_BIT(56) | FIELD_BIT(80)),
	(UINT64_C(1) << FIELD_ROWS) - 1,
};

static void whatever_encodes_a_layout_the_octets_are_the_same(void **state) {
	struct random random = {1};
	(void)state;

	for (unsigned n = 0; n < 400; n++) {
		enum field_protocol protocol = n % 2 == 0 ? FIELDS_NETFLOW9 : FIELDS_IPFIX;
		bool ipv6 = random_below(&random, 2) == 0;
		uint64_t rows = n < 200 ? sets[n / 2 % (sizeof(sets) / sizeof(sets[0]))]
					: random64(&random);
		uint8_t own[FIELDS_MOST_BYTES + FIELDS_SLACK_BYTES];
		uint8_t pieces[FIELDS_MOST_BYTES + FIELDS_SLACK_BYTES];
		struct field_layout a, b;
		struct flow_record record;

		random_fill(&random, &record, sizeof(record));
		record.key.family = ipv6 ? FLOW_IPV6 : FLOW_IPV4;
		field_layout_init(&a, rows, protocol, ipv6);
		field_layout_init_generic(&b, rows, protocol, ipv6);
		assert_int_equal(a.id, b.id);
		assert_int_equal(a.record_bytes, b.record_bytes);
		field_layout_encode(&a, own, &record, 12345);
		field_layout_encode(&b, pieces, &record, 12345);
		assert_memory_equal(own, pieces, a.record_bytes);
	}
}

static void named_profiles_have_encoders_of_their_own(void **state) {
	const struct {
		uint64_t rows;
		enum field_protocol protocol;
	} named[] = {
		{FIELDS_STANDARD, FIELDS_NETFLOW9},
		{FIELDS_STANDARD ^ FIELDS_TIMES, FIELDS_NETFLOW9},
		{FIELDS_STANDARD | FIELDS_TIMES, FIELDS_NETFLOW9},
		{FIELDS_STANDARD | FIELDS_QINQ, FIELDS_NETFLOW9},
		{FIELDS_STANDARD | FIELDS_MPLS, FIELDS_NETFLOW9},
		{FIELDS_MINIMAL, FIELDS_NETFLOW9},
		{FIELDS_STANDARD | FIELD_BIT(245), FIELDS_IPFIX},
		{FIELDS_STANDARD | FIELDS_QINQ, FIELDS_IPFIX},
		{FIELDS_STANDARD | FIELD_BIT(245) | FIELDS_MPLS, FIELDS_IPFIX},
		{FIELDS_MINIMAL, FIELDS_IPFIX},
	};
	(void)state;

	for (unsigned i = 0; i < 2 * sizeof(named) / sizeof(named[0]); i++) {
		struct field_layout own, generic;
		field_layout_init(&own, named[i / 2].rows, named[i / 2].protocol, i % 2);
		field_layout_init_generic(
			&generic, named[i / 2].rows, named[i / 2].protocol, i % 2
		);
		assert_true(own.encode != generic.encode);
	}
}

// Each field by itself, from whatever stands before and behind it.
static void a_field_is_the_same_in_every_layout(void **state) {
	struct random random = {2};
	struct flow_record record = record_of(FLOW_IPV4);
	struct field_layout all;
	uint8_t image[FIELDS_MOST_BYTES + FIELDS_SLACK_BYTES];
	(void)state;

	memcpy(record.mpls_label, "\x12\x34\x51", 3);
	record.inner_vlan_id = 0x456;
	field_layout_init(&all, UINT64_MAX, FIELDS_NETFLOW9, false);
	field_layout_encode(&all, image, &record, 600000);
	assert_memory_equal(image + place_of(&all, 70), "\x12\x34\x51", 3);
	assert_int_equal(wire_get16(image + place_of(&all, 243)), 0x123);
	assert_int_equal(wire_get16(image + place_of(&all, 245)), 0x456);
	assert_int_equal(wire_get32(image + place_of(&all, 150)), 1000);
	assert_int_equal(wire_get32(image + place_of(&all, 151)), 1002);
	assert_true(wire_get64(image + place_of(&all, 152)) == 1000000);
	assert_true(wire_get64(image + place_of(&all, 153)) == 1002005);
	assert_int_equal(wire_get32(image + place_of(&all, 161)), 2005);
	assert_int_equal(image[place_of(&all, 195)], 0xb8 >> 2);
	for (unsigned n = 0; n < 1000; n++) {
		struct field_layout some;
		uint8_t out[FIELDS_MOST_BYTES + FIELDS_SLACK_BYTES];
		field_layout_init(&some, random64(&random), FIELDS_NETFLOW9, false);
		field_layout_encode(&some, out, &record, 600000);
		for (unsigned i = 0, at = 0; i < some.n_fields; at += some.fields[i++].bytes)
			assert_memory_equal(
				out + at,
				image + place_of(&all, some.fields[i].id),
				some.fields[i].bytes
			);
	}
}

// The decoder's table says the same of every element that is sent.
static void elements_have_the_names_and_lengths_of_iana(void **state) {
	(void)state;
	for (unsigned row = 0; row < FIELD_ROWS; row++) {
		struct field field = fields_row(row);
		const struct element *element = element_find(0, field.id);
		assert_non_null(element);
		assert_true(strlen(element->name) > 0);
		assert_true(element_fits(element->type, field.bytes));
		for (unsigned other = 0; other < row; other++)
			assert_int_not_equal(fields_row(other).id, field.id);
	}
}

// docs/netflow.md has what each of them does to some collector.
static void what_collectors_stumble_over_is_never_told(void **state) {
	static const uint16_t never[] = {23, 24, 48, 49, 50, 57, 59, 148, 302, 304, 305, 306};
	(void)state;
	for (unsigned row = 0; row < FIELD_ROWS; row++) {
		assert_true(fields_row(row).id <= 433);
		for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++)
			assert_int_not_equal(fields_row(row).id, never[i]);
	}
	struct field_layout layout = standard(true);
	for (unsigned i = 0; i < layout.n_fields; i++)
		assert_true(
			layout.fields[i].id != 243 && layout.fields[i].id != 245
			&& (layout.fields[i].id < 70 || layout.fields[i].id > 79)
		);
}

static void flags_are_one_octet_and_counters_eight(void **state) {
	(void)state;
	for (unsigned row = 0; row < FIELD_ROWS; row++) {
		struct field field = fields_row(row);
		if (field.id == 6)
			assert_int_equal(field.bytes, 1);
		if (field.id == 1 || field.id == 2)
			assert_int_equal(field.bytes, 8);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(templates_list_the_elements_that_collectors_know),
		cmocka_unit_test(template_ids_come_from_the_layout),
		cmocka_unit_test(ipv4_records_are_encoded_as_their_template_says),
		cmocka_unit_test(ipv6_records_are_encoded_as_their_template_says),
		cmocka_unit_test(icmp_type_and_code_stand_in_both_places),
		cmocka_unit_test(times_beyond_the_epoch_stay_at_its_edges),
		cmocka_unit_test(whatever_encodes_a_layout_the_octets_are_the_same),
		cmocka_unit_test(named_profiles_have_encoders_of_their_own),
		cmocka_unit_test(a_field_is_the_same_in_every_layout),
		cmocka_unit_test(elements_have_the_names_and_lengths_of_iana),
		cmocka_unit_test(what_collectors_stumble_over_is_never_told),
		cmocka_unit_test(flags_are_one_octet_and_counters_eight),
	};
	return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
