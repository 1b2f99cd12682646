// What the tests of the flow decoder share: a decoder whose findings are kept, and datagrams under
// construction.

#pragma once

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

static inline void
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

static inline void
on_template(const struct flow_datagram *datagram, const struct flow_template *template, void *arg) {
	struct fixture *fixture = arg;

	(void)datagram;
	if (template->n_fields == 0)
		fixture->n_withdrawn++;
	else
		fixture->n_templates++;
}

static inline void on_problem(const struct flow_problem *problem, void *arg) {
	struct fixture *fixture = arg;

	fixture->problems[problem->kind]++;
	fixture->offsets[problem->kind] = problem->offset;
	snprintf(fixture->text, sizeof(fixture->text), "%s", problem->text);
}

static inline int set_up(void **state) {
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

static inline int tear_down(void **state) {
	struct fixture *fixture = *state;

	flow_decode_free(fixture->decoder);
	free(fixture->records);
	free(fixture);
	return 0;
}

static inline unsigned n_problems(const struct fixture *fixture, bool advice) {
	unsigned n = 0;

	for (unsigned i = 0; i < FLOW_PROBLEM_KINDS; i++)
		if (flow_problem_is_advice(i) == advice)
			n += fixture->problems[i];
	return n;
}

static inline void assert_clean(const struct fixture *fixture) {
	if (n_problems(fixture, false) > 0)
		fail_msg("%s", fixture->text);
}

// One problem, of this kind, at this place.
static inline void
assert_problem(struct fixture *fixture, enum flow_problem_kind kind, size_t offset) {
	if (fixture->problems[kind] != 1)
		fail_msg("no %s; %s", flow_problem_name(kind), fixture->text);
	if (n_problems(fixture, flow_problem_is_advice(kind)) != 1)
		fail_msg("more than %s: %s", flow_problem_name(kind), fixture->text);
	assert_int_equal(fixture->offsets[kind], offset);
	assert_true(strlen(fixture->text) > 0);
}

static inline void put8(struct fixture *fixture, uint8_t value) {
	fixture->out[fixture->n++] = value;
}

static inline void put16(struct fixture *fixture, uint16_t value) {
	wire_put16(fixture->out + fixture->n, value);
	fixture->n += 2;
}

static inline void put32(struct fixture *fixture, uint32_t value) {
	wire_put32(fixture->out + fixture->n, value);
	fixture->n += 4;
}

static inline void put64(struct fixture *fixture, uint64_t value) {
	wire_put64(fixture->out + fixture->n, value);
	fixture->n += 8;
}

static inline void put_hex(struct fixture *fixture, const char *text) {
	for (unsigned octet; sscanf(text, " %2x", &octet) == 1; text += 2) {
		put8(fixture, (uint8_t)octet);
		while (*text == ' ')
			text++;
	}
}

static inline void begin_v9(struct fixture *fixture, uint16_t count, uint32_t sequence) {
	fixture->n = 0;
	put16(fixture, 9);
	put16(fixture, count);
	put32(fixture, UPTIME_MS);
	put32(fixture, NOW_S);
	put32(fixture, sequence);
	put32(fixture, 7);
}

static inline void begin_ipfix(struct fixture *fixture, uint32_t sequence) {
	fixture->n = 0;
	put16(fixture, 10);
	put16(fixture, 0);
	put32(fixture, NOW_S);
	put32(fixture, sequence);
	put32(fixture, 7);
}

static inline void begin_set(struct fixture *fixture, uint16_t id) {
	fixture->set = fixture->n;
	put16(fixture, id);
	put16(fixture, 0);
}

static inline void end_set(struct fixture *fixture) {
	wire_put16(fixture->out + fixture->set + 2, (uint16_t)(fixture->n - fixture->set));
}

static inline void send_it(struct fixture *fixture) {
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
static inline void put_template(struct fixture *fixture, uint16_t id, const uint16_t *fields) {
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

static inline void put_simple(struct fixture *fixture, uint32_t first, uint32_t last) {
	put32(fixture, 0xc0000201);
	put32(fixture, 0xc0000202);
	put32(fixture, first);
	put32(fixture, last);
	put64(fixture, 5);
}

static inline void send_template(struct fixture *fixture, const uint16_t *fields) {
	begin_v9(fixture, 1, 0);
	begin_set(fixture, 0);
	put_template(fixture, 256, fields);
	end_set(fixture);
	send_it(fixture);
}

static inline void
send_simple(struct fixture *fixture, uint32_t sequence, uint32_t first, uint32_t last) {
	begin_v9(fixture, 1, sequence);
	begin_set(fixture, 256);
	put_simple(fixture, first, last);
	end_set(fixture);
	send_it(fixture);
}

static inline uint64_t value(const struct kept *kept, uint16_t id) {
	const struct flow_field *field = flow_decoded_find(&kept->record, id);

	assert_non_null(field);
	return flow_field_number(field);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
