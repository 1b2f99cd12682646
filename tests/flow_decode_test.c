// The flow decoder on datagrams made by hand, from the examples of RFC 7011 appendix A and
// RFC 3954, on what the encoder sends, and on every mistake that it can name.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "flow_decode.h"
#include "netflow9.h"
#include "wire.h"

enum {
	MAX_RECORDS = 4096,
	NOW_S = 1800000000,
	UPTIME_MS = 7200000,
};

// What came, the fields' octets copied.
struct kept {
	struct flow_decoded record;
	struct flow_field fields[32];
	uint8_t octets[512];
};

struct fixture {
	struct flow_decode *decoder;
	struct flow_decode_from from;
	struct kept *records;
	unsigned n_records;
	unsigned n_templates, n_withdrawn;
	unsigned problems[FLOW_PROBLEM_KINDS];
	size_t offsets[FLOW_PROBLEM_KINDS]; // of the last of each
	char text[FLOW_PROBLEM_TEXT_BYTES];

	// The datagram under construction.
	uint8_t out[65536];
	size_t n;
	size_t set;
};

static void
on_record(const struct flow_datagram *datagram, const struct flow_decoded *record, void *arg) {
	struct fixture *fixture = arg;
	struct kept *kept = &fixture->records[fixture->n_records++];
	size_t n = 0;

	(void)datagram;
	assert_in_range(fixture->n_records, 1, MAX_RECORDS);
	assert_in_range(record->n_fields, 1, 32);
	kept->record = *record;
	kept->record.fields = kept->fields;
	for (unsigned i = 0; i < record->n_fields; i++) {
		kept->fields[i] = record->fields[i];
		assert_true(n + record->fields[i].bytes <= sizeof(kept->octets));
		memcpy(kept->octets + n, record->fields[i].octets, record->fields[i].bytes);
		kept->fields[i].octets = kept->octets + n;
		n += record->fields[i].bytes;
	}
}

static void
on_template(const struct flow_datagram *datagram, const struct flow_template *template, void *arg) {
	struct fixture *fixture = arg;

	(void)datagram;
	if (template->n_fields == 0)
		fixture->n_withdrawn++;
	else
		fixture->n_templates++;
}

static void on_problem(const struct flow_problem *problem, void *arg) {
	struct fixture *fixture = arg;

	fixture->problems[problem->kind]++;
	fixture->offsets[problem->kind] = problem->offset;
	snprintf(fixture->text, sizeof(fixture->text), "%s", problem->text);
}

static int set_up(void **state) {
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->records = calloc(MAX_RECORDS, sizeof(fixture->records[0]));
	assert_non_null(fixture->records);
	fixture->from = (struct flow_decode_from){
		.family = 4,
		.address = {192, 0, 2, 9},
		.port = 40000,
		.to_port = 2055,
	};
	fixture->decoder = flow_decode_new(&(struct flow_decode_events){
		.on_record = on_record,
		.on_template = on_template,
		.on_problem = on_problem,
		.arg = fixture,
	});
	assert_non_null(fixture->decoder);
	*state = fixture;
	return 0;
}

static int tear_down(void **state) {
	struct fixture *fixture = *state;

	flow_decode_free(fixture->decoder);
	free(fixture->records);
	free(fixture);
	return 0;
}

static unsigned n_problems(const struct fixture *fixture, bool advice) {
	unsigned n = 0;

	for (unsigned i = 0; i < FLOW_PROBLEM_KINDS; i++)
		if (flow_problem_is_advice(i) == advice)
			n += fixture->problems[i];
	return n;
}

static void assert_clean(const struct fixture *fixture) {
	if (n_problems(fixture, false) > 0)
		fail_msg("%s", fixture->text);
}

// One problem, of this kind, at this place.
static void assert_problem(struct fixture *fixture, enum flow_problem_kind kind, size_t offset) {
	if (fixture->problems[kind] != 1)
		fail_msg("no %s; %s", flow_problem_name(kind), fixture->text);
	if (n_problems(fixture, flow_problem_is_advice(kind)) != 1)
		fail_msg("more than %s: %s", flow_problem_name(kind), fixture->text);
	assert_int_equal(fixture->offsets[kind], offset);
	assert_true(strlen(fixture->text) > 0);
}

static void put8(struct fixture *fixture, uint8_t value) {
	fixture->out[fixture->n++] = value;
}

static void put16(struct fixture *fixture, uint16_t value) {
	wire_put16(fixture->out + fixture->n, value);
	fixture->n += 2;
}

static void put32(struct fixture *fixture, uint32_t value) {
	wire_put32(fixture->out + fixture->n, value);
	fixture->n += 4;
}

static void put64(struct fixture *fixture, uint64_t value) {
	wire_put64(fixture->out + fixture->n, value);
	fixture->n += 8;
}

static void put_hex(struct fixture *fixture, const char *text) {
	for (unsigned octet; sscanf(text, " %2x", &octet) == 1; text += 2) {
		put8(fixture, (uint8_t)octet);
		while (*text == ' ')
			text++;
	}
}

static void begin_v9(struct fixture *fixture, uint16_t count, uint32_t sequence) {
	fixture->n = 0;
	put16(fixture, 9);
	put16(fixture, count);
	put32(fixture, UPTIME_MS);
	put32(fixture, NOW_S);
	put32(fixture, sequence);
	put32(fixture, 7);
}

static void begin_ipfix(struct fixture *fixture, uint32_t sequence) {
	fixture->n = 0;
	put16(fixture, 10);
	put16(fixture, 0);
	put32(fixture, NOW_S);
	put32(fixture, sequence);
	put32(fixture, 7);
}

static void begin_set(struct fixture *fixture, uint16_t id) {
	fixture->set = fixture->n;
	put16(fixture, id);
	put16(fixture, 0);
}

static void end_set(struct fixture *fixture) {
	wire_put16(fixture->out + fixture->set + 2, (uint16_t)(fixture->n - fixture->set));
}

static void send_it(struct fixture *fixture) {
	// An exact block, so that a sanitizer sees a read beyond it.
	uint8_t *octets = malloc(fixture->n > 0 ? fixture->n : 1);

	assert_non_null(octets);
	if (fixture->n >= 4 && fixture->out[1] == 10 && wire_get16(fixture->out + 2) == 0)
		wire_put16(fixture->out + 2, (uint16_t)fixture->n);
	memcpy(octets, fixture->out, fixture->n);
	flow_decode_datagram(fixture->decoder, &fixture->from, octets, fixture->n);
	free(octets);
}

// (id, bytes) pairs, ended by 0.
static void put_template(struct fixture *fixture, uint16_t id, const uint16_t *fields) {
	unsigned n = 0;

	while (fields[2 * n] != 0)
		n++;
	put16(fixture, id);
	put16(fixture, (uint16_t)n);
	for (unsigned i = 0; i < 2 * n; i++)
		put16(fixture, fields[i]);
}

static const uint16_t simple[] = {8, 4, 12, 4, 22, 4, 21, 4, 2, 8, 0};
enum {
	SIMPLE_TEMPLATE_BYTES = 4 + 4 + 5 * 4,
};

static void put_simple(struct fixture *fixture, uint32_t first, uint32_t last) {
	put32(fixture, 0xc0000201);
	put32(fixture, 0xc0000202);
	put32(fixture, first);
	put32(fixture, last);
	put64(fixture, 5);
}

static void send_template(struct fixture *fixture, const uint16_t *fields) {
	begin_v9(fixture, 1, 0);
	begin_set(fixture, 0);
	put_template(fixture, 256, fields);
	end_set(fixture);
	send_it(fixture);
}

static void send_simple(struct fixture *fixture, uint32_t sequence, uint32_t first, uint32_t last) {
	begin_v9(fixture, 1, sequence);
	begin_set(fixture, 256);
	put_simple(fixture, first, last);
	end_set(fixture);
	send_it(fixture);
}

static uint64_t value(const struct kept *kept, uint16_t id) {
	const struct flow_field *field = flow_decoded_find(&kept->record, id);

	assert_non_null(field);
	return flow_field_number(field);
}

// RFC 7011 appendix A: a template, an options template with an enterprise's scope, their data.
static void the_examples_of_rfc_7011_are_read(void **state) {
	struct fixture *fixture = *state;
	static const char message[] =
		"000a0098 6b49d200 00000000 00000001"
		// A.2.1
		"0002001c 01000005 00080004 000c0004 000f0004 00020004 00010004"
		// A.3
		"01000040 c000020c c00002fe c0000201 00001391 005198a2 c000021b c0000217 c0000202 "
		"0000035c 000aa815 c0000238 c0000241 c0000203 00000005 00000592"
		// A.4.1, with its padding
		"00030018 01020003 0001008d 00040029 0002002a 00020000"
		// A.4.3
		"01020014 00000001 01592756 00000002 017723a4";
	put_hex(fixture, message);
	assert_int_equal(fixture->n, 0x98);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(fixture->n_templates, 2);
	assert_int_equal(fixture->n_records, 5);
	assert_int_equal(value(&fixture->records[0], 8), 0xc000020c);
	assert_int_equal(value(&fixture->records[0], 2), 5009);
	assert_int_equal(value(&fixture->records[0], 1), 5347490);
	assert_int_equal(value(&fixture->records[1], 15), 0xc0000202);
	assert_int_equal(value(&fixture->records[1], 1), 698389);
	assert_int_equal(value(&fixture->records[2], 2), 5);
	assert_int_equal(fixture->records[3].record.n_scopes, 1);
	assert_int_equal(value(&fixture->records[3], 141), 1);
	assert_int_equal(value(&fixture->records[3], 41), 345);
	assert_int_equal(value(&fixture->records[4], 42), 9124);
}

// RFC 7011 appendix A.5: lengths of one and of three octets.
static void fields_of_variable_length_are_read(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	begin_set(fixture, 2);
	put_template(fixture, 256, (const uint16_t[]){82, 65535, 83, 65535, 2, 4, 0});
	end_set(fixture);
	begin_set(fixture, 256);
	put8(fixture, 5);
	memcpy(fixture->out + fixture->n, "5hell", 5);
	fixture->n += 5;
	put8(fixture, 255);
	put16(fixture, 300);
	memset(fixture->out + fixture->n, 'x', 300);
	fixture->n += 300;
	put32(fixture, 77);
	end_set(fixture);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(fixture->n_records, 1);
	assert_int_equal(flow_decoded_find(&fixture->records[0].record, 82)->bytes, 5);
	assert_int_equal(flow_decoded_find(&fixture->records[0].record, 83)->bytes, 300);
	assert_int_equal(value(&fixture->records[0], 2), 77);
}

static void enterprise_numbers_keep_elements_apart(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	begin_set(fixture, 2);
	put16(fixture, 256);
	put16(fixture, 3);
	put16(fixture, 0x8000 | 33); // A.2.2: CERT's silkAppLabel here
	put16(fixture, 2);
	put32(fixture, 6871);
	put16(fixture, 0x8000 | 2); // RFC 5103
	put16(fixture, 4);
	put32(fixture, ENTERPRISE_REVERSE);
	put16(fixture, 2);
	put16(fixture, 4);
	end_set(fixture);
	begin_set(fixture, 256);
	put16(fixture, 443);
	put32(fixture, 20);
	put32(fixture, 10);
	end_set(fixture);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(fixture->records[0].fields[0].enterprise, 6871);
	assert_string_equal(fixture->records[0].fields[0].element->name, "silkAppLabel");
	assert_int_equal(flow_field_number(&fixture->records[0].fields[1]), 20);
	assert_int_equal(value(&fixture->records[0], 2), 10);
}

static void a_withdrawn_template_is_gone_in_a_file_and_stays_over_udp(void **state) {
	struct fixture *fixture = *state;

	for (unsigned family = 0; family <= 4; family += 4) {
		fixture->from.family = (uint8_t)family;
		begin_ipfix(fixture, 0);
		begin_set(fixture, 2);
		put_template(fixture, 256, simple);
		put16(fixture, 256);
		put16(fixture, 0);
		end_set(fixture);
		begin_set(fixture, 256);
		put_simple(fixture, 1, 2);
		end_set(fixture);
		send_it(fixture);
		assert_int_equal(fixture->n_withdrawn, 1);
		assert_int_equal(fixture->n_records, family == 0 ? 0 : 1);
		assert_int_equal(fixture->problems[FLOW_PROBLEM_NO_TEMPLATE], 1);
		assert_int_equal(fixture->problems[FLOW_PROBLEM_WITHDRAWAL], family == 0 ? 0 : 1);
	}
}

// RFC 3954 sections 5 and 6: times from sysUptime, sampling of an options record.
static void v9_is_read_with_its_options_and_times(void **state) {
	struct fixture *fixture = *state;

	begin_v9(fixture, 4, 0);
	begin_set(fixture, 0);
	put_template(fixture, 256, simple);
	end_set(fixture);
	begin_set(fixture, 1);
	put16(fixture, 257);
	put16(fixture, 4);
	put16(fixture, 8);
	for (const uint16_t *at = (const uint16_t[]){1, 4, 34, 2, 35, 1, 0}; *at != 0; at += 2) {
		put16(fixture, at[0]);
		put16(fixture, at[1]);
	}
	put16(fixture, 0);
	end_set(fixture);
	begin_set(fixture, 257);
	put32(fixture, 7);
	put16(fixture, 100);
	put8(fixture, 2);
	put8(fixture, 0);
	end_set(fixture);
	begin_set(fixture, 256);
	put_simple(fixture, UPTIME_MS - 5000, UPTIME_MS - 1);
	end_set(fixture);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(fixture->n_records, 2);
	const struct flow_decoded *record = &fixture->records[1].record;
	assert_int_equal(record->sampling_rate, 100);
	assert_true(record->first_ns == (NOW_S - 5) * NS_PER_S);
	assert_true(record->last_ns == NOW_S * NS_PER_S - NS_PER_MS);
}

static void v5_is_read_with_the_names_of_v9(void **state) {
	struct fixture *fixture = *state;

	put16(fixture, 5);
	put16(fixture, 1);
	put32(fixture, UPTIME_MS);
	put32(fixture, NOW_S);
	put32(fixture, 500000000);
	put32(fixture, 10);
	put16(fixture, 0x0102);
	put16(fixture, 0x4064); // one of 100
	put32(fixture, 0xc0000201);
	put32(fixture, 0xc0000202);
	put32(fixture, 0);
	put16(fixture, 3);
	put16(fixture, 4);
	put32(fixture, 10);
	put32(fixture, 1000);
	put32(fixture, UPTIME_MS - 1000);
	put32(fixture, UPTIME_MS);
	put16(fixture, 1024);
	put16(fixture, 80);
	put32(fixture, 0x001b0600);
	put32(fixture, 0);
	put32(fixture, 0);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(value(&fixture->records[0], 1), 1000);
	assert_int_equal(value(&fixture->records[0], 2), 10);
	assert_int_equal(value(&fixture->records[0], 6), 0x1b);
	assert_int_equal(value(&fixture->records[0], 4), 6);
	assert_int_equal(value(&fixture->records[0], 11), 80);
	assert_int_equal(fixture->records[0].record.sampling_rate, 100);
	assert_true(fixture->records[0].record.last_ns == NOW_S * NS_PER_S + 500000000);
}

static void times_of_ntp_are_ns_since_1970(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	begin_set(fixture, 2);
	put_template(fixture, 256, (const uint16_t[]){156, 8, 157, 8, 0});
	end_set(fixture);
	begin_set(fixture, 256);
	put64(fixture, (UINT64_C(2208988800) + NOW_S) << 32);
	put64(fixture, (UINT64_C(2208988800) + NOW_S) << 32 | UINT64_C(0x80000000));
	end_set(fixture);
	send_it(fixture);
	assert_clean(fixture);
	assert_true(fixture->records[0].record.first_ns == NOW_S * NS_PER_S);
	assert_true(fixture->records[0].record.last_ns == NOW_S * NS_PER_S + NS_PER_S / 2);
}

// --- Each problem, alone.

static void other_versions_and_short_headers_are_named(void **state) {
	struct fixture *fixture = *state;

	fixture->n = 0;
	put16(fixture, 8);
	put64(fixture, 0);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_VERSION, 0);
	memset(fixture->problems, 0, sizeof(fixture->problems));
	begin_v9(fixture, 0, 0);
	fixture->n = 19;
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_HEADER_CUT, 0);
}

static void a_set_length_below_4_is_named(void **state) {
	struct fixture *fixture = *state;

	begin_v9(fixture, 0, 0);
	begin_set(fixture, 256);
	put32(fixture, 0);
	wire_put16(fixture->out + fixture->set + 2, 3);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_SET_LENGTH, 22);
}

static void a_set_that_runs_past_the_datagram_is_named(void **state) {
	struct fixture *fixture = *state;

	begin_v9(fixture, 0, 0);
	begin_set(fixture, 256);
	wire_put16(fixture->out + fixture->set + 2, 5);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_SET_OVERRUN, 22);
}

static void reserved_set_ids_are_named(void **state) {
	struct fixture *fixture = *state;

	begin_v9(fixture, 0, 0);
	begin_set(fixture, 2); // IPFIX's
	put32(fixture, 0);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_SET_ID, 20);
}

static void an_empty_set_is_named(void **state) {
	struct fixture *fixture = *state;

	begin_v9(fixture, 0, 0);
	begin_set(fixture, 0);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_SET_EMPTY, 20);
}

static void a_count_that_is_not_the_number_of_records_is_named(void **state) {
	struct fixture *fixture = *state;

	begin_v9(fixture, 2, 0);
	begin_set(fixture, 0);
	put_template(fixture, 256, simple);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_COUNT, 2);
}

static void data_before_its_template_is_named(void **state) {
	struct fixture *fixture = *state;

	send_simple(fixture, 0, 1, 2);
	assert_problem(fixture, FLOW_PROBLEM_NO_TEMPLATE, 20);
}

static void a_new_source_port_without_templates_is_named(void **state) {
	struct fixture *fixture = *state;

	send_template(fixture, simple);
	fixture->from.port++;
	send_simple(fixture, 1, 1, 2);
	assert_problem(fixture, FLOW_PROBLEM_NEW_SOURCE_PORT, 20);
}

static void a_gap_in_the_sequence_is_counted(void **state) {
	struct fixture *fixture = *state;
	struct flow_decode_domain domain;

	send_template(fixture, simple);
	send_simple(fixture, 4, 1, 2);
	assert_problem(fixture, FLOW_PROBLEM_SEQUENCE_GAP, 0);
	assert_true(flow_decode_domain(fixture->decoder, 0, &domain));
	assert_int_equal(domain.lost, 3);
	// One of the three comes late.
	send_simple(fixture, 2, 1, 2);
	assert_int_equal(fixture->problems[FLOW_PROBLEM_SEQUENCE_BACK], 1);
	send_simple(fixture, 5, 1, 2);
	assert_int_equal(n_problems(fixture, false), 2);
	assert_true(flow_decode_domain(fixture->decoder, 0, &domain));
	assert_int_equal(domain.lost, 2);
}

static void ipfix_counts_records_in_its_sequence(void **state) {
	struct fixture *fixture = *state;
	struct flow_decode_domain domain;

	begin_ipfix(fixture, 100);
	begin_set(fixture, 2);
	put_template(fixture, 256, (const uint16_t[]){2, 8, 0});
	end_set(fixture);
	send_it(fixture);
	for (uint32_t sequence = 100; sequence <= 104; sequence += 2) {
		begin_ipfix(fixture, sequence == 104 ? 107 : sequence);
		begin_set(fixture, 256);
		put64(fixture, 1);
		put64(fixture, 2);
		end_set(fixture);
		send_it(fixture);
	}
	assert_problem(fixture, FLOW_PROBLEM_SEQUENCE_GAP, 0);
	assert_true(flow_decode_domain(fixture->decoder, 0, &domain));
	assert_int_equal(domain.lost, 3);
}

static void padding_is_short_and_zero(void **state) {
	struct fixture *fixture = *state;

	send_template(fixture, simple);
	begin_v9(fixture, 1, 1);
	begin_set(fixture, 256);
	put_simple(fixture, 1, 2);
	put32(fixture, 0);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_PADDING_LONG, 24 + 24);
	memset(fixture->problems, 0, sizeof(fixture->problems));
	begin_v9(fixture, 1, 2);
	begin_set(fixture, 256);
	put_simple(fixture, 1, 2);
	put8(fixture, 0);
	put8(fixture, 9);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_PADDING_NOT_ZERO, 24 + 24 + 1);
}

static void trailing_octets_are_named(void **state) {
	struct fixture *fixture = *state;

	begin_v9(fixture, 1, 0);
	begin_set(fixture, 0);
	put_template(fixture, 256, simple);
	end_set(fixture);
	put16(fixture, 0);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_TRAILING, 20 + SIMPLE_TEMPLATE_BYTES);
}

static void the_length_of_a_message_is_its_own(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	wire_put16(fixture->out + 2, 17);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_MESSAGE_LENGTH, 2);
}

static void a_template_with_other_fields_is_named(void **state) {
	struct fixture *fixture = *state;

	send_template(fixture, simple);
	begin_v9(fixture, 1, 1);
	begin_set(fixture, 0);
	put_template(fixture, 256, (const uint16_t[]){8, 4, 0});
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_TEMPLATE_CHANGED, 24);
}

static void broken_templates_are_named(void **state) {
	static const struct {
		uint16_t octets[6];
		unsigned n;
		enum flow_problem_kind kind;
	} cases[] = {
		{{256, 2, 8, 4}, 4, FLOW_PROBLEM_TEMPLATE_CUT},
		{{255, 1, 8, 4}, 4, FLOW_PROBLEM_TEMPLATE_ID},
		{{256, 0}, 2, FLOW_PROBLEM_TEMPLATE_EMPTY},
		{{256, 1, 8, 5}, 4, FLOW_PROBLEM_FIELD_LENGTH},
		{{256, 1, 8, 0}, 4, FLOW_PROBLEM_FIELD_LENGTH},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *fixture;
		void *inner;

		(void)state;
		set_up(&inner);
		fixture = inner;
		begin_v9(fixture, cases[i].kind == FLOW_PROBLEM_TEMPLATE_CUT ? 0 : 1, 0);
		begin_set(fixture, 0);
		for (unsigned j = 0; j < cases[i].n; j++)
			put16(fixture, cases[i].octets[j]);
		end_set(fixture);
		send_it(fixture);
		assert_problem(fixture, cases[i].kind, 24);
		tear_down(&inner);
	}
}

static void an_options_template_has_a_scope(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	begin_set(fixture, 3);
	put16(fixture, 256);
	put16(fixture, 1);
	put16(fixture, 0);
	put32(fixture, 34 << 16 | 4);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_SCOPE_COUNT, 24);
}

static void a_record_that_runs_past_its_set_is_named(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	begin_set(fixture, 2);
	put_template(fixture, 256, (const uint16_t[]){82, 65535, 0});
	end_set(fixture);
	begin_set(fixture, 256);
	put16(fixture, 0x0361);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_RECORD_CUT, 16 + 12 + 4);
}

static void impossible_times_are_named(void **state) {
	static const struct {
		uint32_t first, last;
		enum flow_problem_kind kind;
		size_t offset;
	} cases[] = {
		{UPTIME_MS + 1, UPTIME_MS, FLOW_PROBLEM_FIRST_AFTER_UPTIME, 24 + 8},
		{UPTIME_MS, UPTIME_MS + 1, FLOW_PROBLEM_LAST_AFTER_UPTIME, 24 + 12},
		{UPTIME_MS, UPTIME_MS - 1, FLOW_PROBLEM_ENDS_BEFORE_BEGIN, 24},
	};
	struct fixture *fixture = *state;

	send_template(fixture, simple);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(fixture->problems, 0, sizeof(fixture->problems));
		send_simple(fixture, i + 1, cases[i].first, cases[i].last);
		assert_problem(fixture, cases[i].kind, cases[i].offset);
	}
}

static void seconds_for_milliseconds_are_named(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	begin_set(fixture, 2);
	put_template(fixture, 256, (const uint16_t[]){152, 8, 0});
	end_set(fixture);
	begin_set(fixture, 256);
	put64(fixture, NOW_S);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_TIME_FAR, 16 + 12 + 4);
}

static void advice_is_given_on_templates_that_collectors_misread(void **state) {
	struct fixture *fixture = *state;

	send_template(fixture, (const uint16_t[]){6, 2, 1, 4, 499, 4, 8, 4, 8, 4, 0});
	assert_clean(fixture);
	assert_int_equal(fixture->problems[FLOW_ADVICE_FLAGS_LENGTH], 1);
	assert_int_equal(fixture->problems[FLOW_ADVICE_COUNTER_SHORT], 1);
	assert_int_equal(fixture->problems[FLOW_ADVICE_UNKNOWN_ELEMENT], 1);
	assert_int_equal(fixture->problems[FLOW_ADVICE_ELEMENT_TWICE], 1);
	assert_int_equal(n_problems(fixture, true), 4);
}

static void advice_is_given_on_records_that_collectors_misread(void **state) {
	struct fixture *fixture = *state;

	send_template(fixture, (const uint16_t[]){27, 16, 28, 16, 4, 1, 11, 2, 10, 2, 0});
	begin_v9(fixture, 1, 1);
	begin_set(fixture, 256);
	memset(fixture->out + fixture->n, 0, 32);
	fixture->n += 32;
	put8(fixture, 58);
	put16(fixture, 0x8000);
	put16(fixture, 0);
	put16(fixture, 0);
	put8(fixture, 0);
	end_set(fixture);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(fixture->problems[FLOW_ADVICE_ICMP_ONE_PLACE], 1);
	assert_int_equal(fixture->problems[FLOW_ADVICE_IF_INDEX_0], 1);
	assert_int_equal(fixture->problems[FLOW_ADVICE_ADDRESSES_0], 1);
	assert_int_equal(n_problems(fixture, true), 3);
	flow_decode_finish(fixture->decoder);
	assert_int_equal(fixture->problems[FLOW_ADVICE_NO_SAMPLING], 1);
}

static void an_exporter_that_meters_its_own_export_is_told(void **state) {
	struct fixture *fixture = *state;

	send_template(fixture, (const uint16_t[]){8, 4, 12, 4, 4, 1, 11, 2, 210, 1, 0});
	begin_v9(fixture, 1, 1);
	begin_set(fixture, 256);
	put32(fixture, 0xc0000209);
	put32(fixture, 0xc0000202);
	put8(fixture, 17);
	put16(fixture, 2055);
	put8(fixture, 0);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_ADVICE_OWN_EXPORT, 24);
}

static void sequences_that_share_a_source_id_are_told(void **state) {
	struct fixture *fixture = *state;

	send_template(fixture, simple);
	for (uint32_t i = 1; i < 20; i++) {
		send_simple(fixture, i, 1, 2);
		send_simple(fixture, 50000 + i, 1, 2);
	}
	flow_decode_finish(fixture->decoder);
	assert_int_equal(fixture->problems[FLOW_ADVICE_SEQUENCES_MIXED], 1);
}

static void templates_that_come_rarely_are_told(void **state) {
	struct fixture *fixture = *state;

	send_template(fixture, simple);
	begin_v9(fixture, 1, 1);
	wire_put32(fixture->out + 8, NOW_S + 1801);
	begin_set(fixture, 256);
	put_simple(fixture, 1, 2);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_ADVICE_TEMPLATES_RARE, 20);
}

static void an_attacker_cannot_make_it_grow(void **state) {
	struct fixture *fixture = *state;
	struct flow_decode_domain domain;
	unsigned n = 0;

	for (unsigned port = 1; port <= 2 * FLOW_DECODE_MAX_DOMAINS; port++) {
		fixture->from.port = (uint16_t)port;
		for (unsigned id = 256; id < 256 + 40; id++) {
			begin_v9(fixture, 1, id - 256);
			begin_set(fixture, 0);
			put16(fixture, (uint16_t)id);
			put16(fixture, 100);
			for (uint16_t i = 0; i < 100; i++)
				put32(fixture, (uint32_t)(i + 1) << 16 | 4);
			end_set(fixture);
			send_it(fixture);
		}
	}
	assert_true(fixture->problems[FLOW_PROBLEM_LIMIT] > 0);
	uint64_t fields = 0;
	for (; flow_decode_domain(fixture->decoder, n, &domain); n++) {
		assert_in_range(domain.n_templates, 0, FLOW_DECODE_MAX_TEMPLATES);
		fields += domain.n_templates * 100;
	}
	assert_int_equal(n, FLOW_DECODE_MAX_DOMAINS);
	assert_in_range(fields, 1, FLOW_DECODE_MAX_ALL_FIELDS);
}

// --- What the encoder sends.

static void receive(const struct netflow9_run *run, void *arg) {
	struct fixture *fixture = arg;

	for (unsigned i = 0; i < run->n_datagrams; i++) {
		struct netflow9_run one = netflow9_run_part(run, i, 1);
		flow_decode_datagram(
			fixture->decoder, &fixture->from, one.octets, netflow9_run_bytes(&one)
		);
	}
}

static struct flow_record made_record(unsigned i) {
	struct flow_record record = {
		.first_ticks = (uint64_t)(INT64_C(1795000000000) + i) * TICKS_PER_MS,
		.last_ticks = (uint64_t)(INT64_C(1795000000500) + 2 * i) * TICKS_PER_MS,
		.packets = 1 + i,
		.octets = UINT64_C(5000000000) + i,
		.src_mac = {2, 0, 0, 0, 0, 1},
		.dst_mac = {2, 0, 0, 0, 0, 2},
		.in_if = (uint16_t)(1 + i % 3),
		.tcp_flags = (uint8_t)i,
		.tos = (uint8_t)(i * 7),
		.ttl_min = 60,
		.ttl_max = 64,
		.end = FLOW_END_IDLE,
	};
	record.key.family = i % 2 == 0 ? FLOW_IPV4 : FLOW_IPV6;
	record.key.proto = i % 5 == 0 ? (i % 2 == 0 ? 1 : 58) : 6;
	record.key.src_port = rte_cpu_to_be_16((uint16_t)(1024 + i));
	record.key.dst_port = rte_cpu_to_be_16((uint16_t)(80 + i));
	record.key.vlan_id = (uint16_t)(i % 4096);
	if (record.key.family == FLOW_IPV4) {
		memcpy(record.key.src4, (const uint8_t[]){10, 0, 0, (uint8_t)i}, 4);
		memcpy(record.key.dst4, (const uint8_t[]){10, 0, 1, (uint8_t)i}, 4);
	} else {
		memset(record.key.src6, 0x20, 16);
		memset(record.key.dst6, (int)(i & 0xff) | 1, 16);
	}
	return record;
}

static bool is_of_record(const struct kept *kept, const struct flow_record *record) {
	return value(kept, 2) == record->packets && kept->record.n_fields >= 22
	       && value(kept, 1) == record->octets;
}

static void assert_equal_record(const struct kept *kept, const struct flow_record *record) {
	bool ipv6 = record->key.family == FLOW_IPV6;
	const struct flow_field *src = flow_decoded_find(&kept->record, ipv6 ? 27 : 8),
				*dst = flow_decoded_find(&kept->record, ipv6 ? 28 : 12);
	bool icmp = record->key.proto == (ipv6 ? 58 : 1);

	assert_non_null(src);
	assert_non_null(dst);
	assert_memory_equal(src->octets, ipv6 ? record->key.src6 : record->key.src4, ipv6 ? 16 : 4);
	assert_memory_equal(dst->octets, ipv6 ? record->key.dst6 : record->key.dst4, ipv6 ? 16 : 4);
	assert_int_equal(value(kept, 7), rte_be_to_cpu_16(record->key.src_port));
	assert_int_equal(value(kept, 11), rte_be_to_cpu_16(record->key.dst_port));
	assert_int_equal(value(kept, 4), record->key.proto);
	assert_int_equal(value(kept, 5), record->tos);
	assert_int_equal(value(kept, 6), record->tcp_flags);
	assert_int_equal(value(kept, 32), icmp ? rte_be_to_cpu_16(record->key.dst_port) : 0);
	assert_int_equal(value(kept, 10), record->in_if);
	assert_int_equal(value(kept, 136), record->end);
	assert_int_equal(value(kept, 60), record->key.family);
	assert_int_equal(value(kept, 52), record->ttl_min);
	assert_int_equal(value(kept, 53), record->ttl_max);
	assert_int_equal(value(kept, 58), record->key.vlan_id);
	assert_memory_equal(flow_decoded_find(&kept->record, 56)->octets, record->src_mac, 6);
	assert_memory_equal(flow_decoded_find(&kept->record, 80)->octets, record->dst_mac, 6);
	assert_true(kept->record.first_ns == ms_of_ticks(record->first_ticks) * NS_PER_MS);
	assert_true(kept->record.last_ns == ms_of_ticks(record->last_ticks) * NS_PER_MS);
	assert_int_equal(kept->record.sampling_rate, 10);
}

static void what_the_encoder_sends_comes_back_field_for_field(void **state) {
	enum { N = 1000 };
	struct fixture *fixture = *state;
	struct netflow9 *encoder = netflow9_new(
		&(struct netflow9_config){
			.source_id = 42,
			.datagram_bytes = NETFLOW9_DEFAULT_DATAGRAM_BYTES,
			.template_interval_ms = 30000,
			.template_packets = 7,
			.sampling_interval = 10,
		},
		receive,
		fixture
	);
	bool found[N] = {false};
	unsigned n_found = 0;

	assert_non_null(encoder);
	for (unsigned i = 0; i < N; i++) {
		struct flow_record record = made_record(i);
		netflow9_add(encoder, &record, 1, 1795000002500);
	}
	netflow9_flush(encoder, 1795000002500);
	netflow9_free(encoder);
	flow_decode_finish(fixture->decoder);
	assert_clean(fixture);
	assert_int_equal(n_problems(fixture, true), 0);
	for (unsigned i = 0; i < fixture->n_records; i++) {
		const struct kept *kept = &fixture->records[i];
		if (kept->record.n_scopes > 0)
			continue;
		unsigned which = (unsigned)value(kept, 2) - 1;
		assert_in_range(which, 0, N - 1);
		struct flow_record record = made_record(which);
		assert_true(is_of_record(kept, &record));
		assert_equal_record(kept, &record);
		assert_false(found[which]);
		found[which] = true;
		n_found++;
	}
	assert_int_equal(n_found, N);
}

static void every_problem_has_a_name_of_its_own(void **state) {
	(void)state;
	for (unsigned i = 0; i < FLOW_PROBLEM_KINDS; i++) {
		assert_non_null(flow_problem_name(i));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(flow_problem_name(i), flow_problem_name(j));
	}
}

static void elements_are_found_by_number(void **state) {
	static const uint16_t sent[] = {8,  12, 27, 28, 31,  7,  11, 4,  5,  6,  32, 10, 14, 22,
					21, 1,  2,  61, 136, 60, 52, 53, 58, 56, 80, 34, 35};
	uint16_t before = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(sent) / sizeof(sent[0]); i++)
		assert_non_null(element_find(0, sent[i]));
	for (uint32_t id = 0; id <= UINT16_MAX; id++) {
		const struct element *element = element_find(0, (uint16_t)id);
		if (element == NULL)
			continue;
		assert_int_equal(element->id, id);
		before++;
	}
	assert_in_range(before, 440, 491);
	assert_null(element_find(0, 0));
	assert_null(element_find(0, 499));
	assert_string_equal(element_find(0, 152)->name, "flowStartMilliseconds");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(the_examples_of_rfc_7011_are_read),
		TEST(fields_of_variable_length_are_read),
		TEST(enterprise_numbers_keep_elements_apart),
		TEST(a_withdrawn_template_is_gone_in_a_file_and_stays_over_udp),
		TEST(v9_is_read_with_its_options_and_times),
		TEST(v5_is_read_with_the_names_of_v9),
		TEST(times_of_ntp_are_ns_since_1970),
		TEST(other_versions_and_short_headers_are_named),
		TEST(a_set_length_below_4_is_named),
		TEST(a_set_that_runs_past_the_datagram_is_named),
		TEST(reserved_set_ids_are_named),
		TEST(an_empty_set_is_named),
		TEST(a_count_that_is_not_the_number_of_records_is_named),
		TEST(data_before_its_template_is_named),
		TEST(a_new_source_port_without_templates_is_named),
		TEST(a_gap_in_the_sequence_is_counted),
		TEST(ipfix_counts_records_in_its_sequence),
		TEST(padding_is_short_and_zero),
		TEST(trailing_octets_are_named),
		TEST(the_length_of_a_message_is_its_own),
		TEST(a_template_with_other_fields_is_named),
		TEST(broken_templates_are_named),
		TEST(an_options_template_has_a_scope),
		TEST(a_record_that_runs_past_its_set_is_named),
		TEST(impossible_times_are_named),
		TEST(seconds_for_milliseconds_are_named),
		TEST(advice_is_given_on_templates_that_collectors_misread),
		TEST(advice_is_given_on_records_that_collectors_misread),
		TEST(an_exporter_that_meters_its_own_export_is_told),
		TEST(sequences_that_share_a_source_id_are_told),
		TEST(templates_that_come_rarely_are_told),
		TEST(an_attacker_cannot_make_it_grow),
		TEST(what_the_encoder_sends_comes_back_field_for_field),
		TEST(every_problem_has_a_name_of_its_own),
		TEST(elements_are_found_by_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
