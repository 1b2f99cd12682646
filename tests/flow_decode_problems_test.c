// Every mistake that the flow decoder can name, provoked alone, in datagrams made by hand.

#include "flow_decode_fixture.h"

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

static void send_at_uptime(struct fixture *fixture, uint32_t sequence, uint32_t uptime_ms) {
	begin_v9(fixture, 1, sequence);
	wire_put32(fixture->out + 4, uptime_ms);
	begin_set(fixture, 256);
	put_simple(fixture, 1, 2);
	end_set(fixture);
	send_it(fixture);
}

static void a_wrap_of_uptime_and_a_restart_are_told(void **state) {
	struct fixture *fixture = *state;

	send_template(fixture, simple);
	send_at_uptime(fixture, 1, UINT32_MAX - 5);
	send_at_uptime(fixture, 2, 5);
	assert_int_equal(fixture->problems[FLOW_ADVICE_UPTIME_WRAP], 1);
	assert_int_equal(fixture->problems[FLOW_ADVICE_RESTART], 0);
	send_at_uptime(fixture, 3, UPTIME_MS);
	send_at_uptime(fixture, 0, 1000);
	assert_int_equal(fixture->problems[FLOW_ADVICE_RESTART], 1);
	assert_int_equal(fixture->problems[FLOW_PROBLEM_SEQUENCE_BACK], 0);
}

static void ipfix_with_times_of_an_unknown_boot_is_told(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	begin_set(fixture, 2);
	put_template(fixture, 256, simple);
	end_set(fixture);
	begin_set(fixture, 256);
	put_simple(fixture, 1, 2);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_ADVICE_UPTIME_WITHOUT_BOOT, 16 + 28 + 12);
	assert_clean(fixture);
	assert_false(fixture->records[0].record.has_first);
}

static void put_sampling_template(struct fixture *fixture, uint16_t id) {
	put16(fixture, id);
	put16(fixture, 4);
	put16(fixture, 4);
	put32(fixture, 1 << 16 | 4);
	put32(fixture, 34 << 16 | 4);
}

static void options_together_or_apart_are_told(void **state) {
	struct fixture *fixture = *state;

	begin_v9(fixture, 2, 0);
	begin_set(fixture, 1);
	put_sampling_template(fixture, 300);
	put_sampling_template(fixture, 301);
	end_set(fixture);
	send_it(fixture);
	assert_problem(fixture, FLOW_ADVICE_OPTIONS_TOGETHER, 24 + 14);
	begin_v9(fixture, 1, 1);
	begin_set(fixture, 300);
	put32(fixture, 7);
	put32(fixture, 100);
	end_set(fixture);
	send_it(fixture);
	// The records have another source id.
	for (uint32_t sequence = 0; sequence < 2; sequence++) {
		begin_v9(fixture, 1, sequence);
		wire_put32(fixture->out + 16, 8);
		begin_set(fixture, sequence == 0 ? 0 : 256);
		if (sequence == 0)
			put_template(fixture, 256, simple);
		else
			put_simple(fixture, 1, 2);
		end_set(fixture);
		send_it(fixture);
	}
	flow_decode_finish(fixture->decoder);
	assert_clean(fixture);
	assert_int_equal(fixture->problems[FLOW_ADVICE_OPTIONS_APART], 1);
	assert_int_equal(fixture->problems[FLOW_ADVICE_NO_SAMPLING], 0);
}

static void what_is_over_the_mtu_or_off_a_word_is_told(void **state) {
	struct fixture *fixture = *state;

	send_template(fixture, (const uint16_t[]){4, 1, 0});
	begin_v9(fixture, 1469, 1);
	begin_set(fixture, 256);
	for (unsigned i = 0; i < 1469; i++)
		put8(fixture, 6);
	end_set(fixture);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(fixture->problems[FLOW_ADVICE_OVER_MTU], 1);
	assert_int_equal(fixture->problems[FLOW_ADVICE_SET_UNALIGNED], 1);
	assert_int_equal(fixture->offsets[FLOW_ADVICE_SET_UNALIGNED], 22);
	assert_int_equal(fixture->n_records, 1469);
}

static void a_v5_count_beyond_its_records_is_named(void **state) {
	struct fixture *fixture = *state;

	fixture->n = 0;
	put16(fixture, 5);
	put16(fixture, 2);
	put32(fixture, UPTIME_MS);
	put32(fixture, NOW_S);
	put64(fixture, 0);
	put32(fixture, 0);
	memset(fixture->out + fixture->n, 0, 48);
	fixture->n += 48;
	send_it(fixture);
	assert_problem(fixture, FLOW_PROBLEM_COUNT, 2);
	assert_int_equal(fixture->n_records, 1);
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

static void every_problem_has_a_name_of_its_own(void **state) {
	(void)state;
	for (unsigned i = 0; i < FLOW_PROBLEM_KINDS; i++) {
		assert_non_null(flow_problem_name(i));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(flow_problem_name(i), flow_problem_name(j));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
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
		TEST(a_wrap_of_uptime_and_a_restart_are_told),
		TEST(ipfix_with_times_of_an_unknown_boot_is_told),
		TEST(options_together_or_apart_are_told),
		TEST(what_is_over_the_mtu_or_off_a_word_is_told),
		TEST(a_v5_count_beyond_its_records_is_named),
		TEST(an_attacker_cannot_make_it_grow),
		TEST(every_problem_has_a_name_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
