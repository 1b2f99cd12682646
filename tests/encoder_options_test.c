// The encoder's options data: what is told besides of flows, when, and that nothing is told twice.

#include "encoder_fixture.h"

static void options_tell_the_interfaces_each_in_a_set_of_its_own(void **state) {
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 1400);
		struct encoder *encoder = open_encoder(&fixture, NULL, 100);
		encoder_set_interfaces(encoder, two, 2);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_interfaces, 2);
		assert_int_equal(fixture.interfaces[0], 1);
		assert_int_equal(fixture.interfaces[1], 7);
		assert_string_equal(fixture.names[1], "eth1");
		assert_string_equal(fixture.descriptions[0], "to the internet");
		assert_string_equal(fixture.descriptions[1], "");
		assert_int_equal(fixture.n_advice[FLOW_ADVICE_OPTIONS_TOGETHER], 0);
		// Others are told at once.
		encoder_set_interfaces(encoder, two + 1, 1);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_interfaces, 3);
		assert_int_equal(fixture.interfaces[2], 7);
		end(&fixture, encoder);
	}
}

static void text_is_cut_where_a_character_ends(void **state) {
	char out[8];
	(void)state;

	export_text(out, sizeof(out), "lan");
	assert_memory_equal(out, "lan\0\0\0\0\0", 8);
	export_text(out, sizeof(out), "1234567");
	assert_string_equal(out, "1234567");
	export_text(out, sizeof(out), "12345678");
	assert_string_equal(out, "1234567");
	export_text(out, sizeof(out), "12345\xc3\xa4"); // seven octets, the last two an umlaut
	assert_string_equal(out, "12345\xc3\xa4");
	export_text(out, sizeof(out), "123456\xc3\xa4");
	assert_memory_equal(out, "123456\0\0", 8);
	export_text(out, sizeof(out), "1234\xf0\x9f\x90\x9f");
	assert_memory_equal(out, "1234\0\0\0\0", 8);
	export_text(out, sizeof(out), "1\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac");
	assert_string_equal(out, "1\xe2\x82\xac\xe2\x82\xac");
	export_text(out, sizeof(out), "\x80\x80\x80\x80\x80\x80\x80\x80\x80");
	assert_memory_equal(out, "\0\0\0\0\0\0\0\0", 8);
}

// More interfaces than go into the smallest datagram: all are told before the first record.
static void options_that_do_not_fit_go_in_several_datagrams(void **state) {
	struct export_interface many[EXPORT_MOST_INTERFACES + 1] = {0};
	(void)state;

	for (unsigned i = 0; i < EXPORT_MOST_INTERFACES + 1; i++)
		many[i] = (struct export_interface){i + 1, "eth", "x"};
	for (unsigned i = 0; i < 3; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 512);
		struct encoder *encoder = open_encoder(&fixture, NULL, i == 2 ? 0 : 100);
		encoder_set_interfaces(encoder, many, EXPORT_MOST_INTERFACES + 1);
		encoder_set_counts(encoder, &(struct export_counts){0});
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_interfaces, EXPORT_MOST_INTERFACES);
		assert_int_equal(fixture.interfaces[63], 64);
		assert_in_range(fixture.n_datagrams, 9, 12);
		assert_int_equal(
			fixture.n_before_data, EXPORT_MOST_INTERFACES + (i == 0 ? 2 : 1) + 3
		);
		end(&fixture, encoder);
	}
}

static void exporter_statistics_are_what_was_handed_over_before(void **state) {
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 1400);
		struct encoder *encoder = open_encoder(&fixture, NULL, 10);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_statistics, 1);
		assert_int_equal(fixture.told_messages, 0);
		for (unsigned n = 1; n < 10; n++)
			send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_statistics, 1);
		uint64_t octets = fixture.octets;
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_statistics, 2);
		assert_int_equal(fixture.told_octets, octets);
		assert_int_equal(fixture.told_messages, 10);
		assert_int_equal(fixture.told_flows, 10);
		end(&fixture, encoder);
	}
}

static void losses_are_told_once_somebody_counts_them(void **state) {
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 1400);
		struct encoder *encoder = open_encoder(&fixture, NULL, 1);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_packets_dropped + fixture.n_flows_dropped, 0);
		encoder_set_counts(encoder, &(struct export_counts){UINT64_C(5) << 40, 6});
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_packets_dropped, 1);
		assert_int_equal(fixture.n_flows_dropped, 1);
		assert_true(fixture.packets_dropped == UINT64_C(5) << 40);
		assert_int_equal(fixture.flows_dropped, 6);
		end(&fixture, encoder);
	}
}

// A stream gets templates once, and counts whenever they are others.
static void a_stream_is_told_counts_without_their_templates(void **state) {
	struct fixture fixture;
	struct flow_decode_stats before, after;
	(void)state;

	begin(&fixture, ENCODER_IPFIX, 1400);
	struct encoder *encoder = open_encoder(&fixture, NULL, 0);
	encoder_set_counts(encoder, &(struct export_counts){1, 2});
	send_one(&fixture, encoder, MS_2026);
	flow_decode_stats(fixture.decoder, &before);
	send_one(&fixture, encoder, MS_2026 + 3600000);
	assert_int_equal(fixture.n_flows_dropped, 1);
	encoder_set_counts(encoder, &(struct export_counts){1, 3});
	send_one(&fixture, encoder, MS_2026 + 3600000);
	flow_decode_stats(fixture.decoder, &after);
	assert_int_equal(after.templates, before.templates);
	assert_int_equal(fixture.n_flows_dropped, 2);
	assert_int_equal(fixture.flows_dropped, 3);
	assert_int_equal(fixture.n_statistics, 2);
	assert_int_equal(fixture.told_flows, 2);
	// Another session.
	encoder_renew_templates(encoder);
	send_one(&fixture, encoder, MS_2026 + 3600000);
	flow_decode_stats(fixture.decoder, &after);
	assert_int_equal(after.templates, 2 * before.templates);
	end(&fixture, encoder);
}

// A collector that skips what is sampled unannounced loses all of it.
static void sampling_is_announced_also_when_every_packet_counts(void **state) {
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 1400);
		struct encoder *encoder = open_encoder(&fixture, NULL, i == 2 ? 0 : 100);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_sampling, i == 0 ? 2 : 1);
		assert_int_equal(fixture.sampling, 1);
		assert_int_equal(fixture.algorithm, 1);
		encoder_set_sampling(encoder, 512, 2);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_sampling, i == 0 ? 4 : 2);
		assert_int_equal(fixture.sampling, 512);
		assert_int_equal(fixture.algorithm, 2);
		end(&fixture, encoder);
	}
}

// The collector reads what was before sampling, and that nothing was sampled.
static void counters_are_scaled_where_it_is_asked_for(void **state) {
	static struct flow_record records[N_RECORDS], expected[N_RECORDS];
	struct random random = {4};
	(void)state;

	make_records(records, N_RECORDS, &random);
	for (unsigned i = 0; i < 2; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 1400);
		fixture.records = expected;
		struct encoder *encoder = encoder_new(
			&(struct encoder_config){
				.protocol = fixture.protocol,
				.source_id = SOURCE_ID,
				.datagram_bytes = fixture.datagram_bytes,
				.template_packets = 100,
				.sampling_interval = 10,
				.scale_counters = true,
			},
			take,
			&fixture
		);
		assert_non_null(encoder);
		for (unsigned n = 0; n < N_RECORDS; n++) {
			uint64_t scale = n < N_RECORDS / 2 ? 10 : 1000;
			records[n].packets >>= 20; // no overflow; one below
			records[n].octets >>= 20;
			expected[n] = records[n];
			expected[n].packets *= scale;
			expected[n].octets *= scale;
		}
		records[N_RECORDS - 1].octets = UINT64_MAX / 2;
		expected[N_RECORDS - 1].octets = UINT64_MAX;
		encoder_add(encoder, records, N_RECORDS / 2, MS_2026);
		encoder_set_sampling(encoder, 1000, 2);
		encoder_add(encoder, records + N_RECORDS / 2, N_RECORDS - N_RECORDS / 2, MS_2026);
		encoder_flush(encoder, MS_2026);
		assert_int_equal(fixture.n_records[0] + fixture.n_records[1], N_RECORDS);
		assert_int_equal(fixture.sampling, 1);
		end(&fixture, encoder);
	}
}

// What people who run collectors would be advised of an exporter.
static void the_default_gives_no_reason_for_advice(void **state) {
	static struct flow_record records[N_RECORDS];
	struct random random = {3};
	struct fixture fixture;
	(void)state;

	make_records(records, N_RECORDS, &random);
	begin(&fixture, ENCODER_NETFLOW9, 1400);
	fixture.records = records;
	struct encoder *encoder = open_encoder(&fixture, NULL, 4800);
	encoder_set_interfaces(encoder, two, 2);
	encoder_add(encoder, records, N_RECORDS, MS_2026);
	encoder_flush(encoder, MS_2026);
	flow_decode_finish(fixture.decoder);
	for (unsigned kind = 0; kind < FLOW_PROBLEM_KINDS; kind++)
		if (fixture.n_advice[kind] > 0)
			fail_msg("%s", flow_problem_name(kind));
	end(&fixture, encoder);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_tell_the_interfaces_each_in_a_set_of_its_own),
		cmocka_unit_test(text_is_cut_where_a_character_ends),
		cmocka_unit_test(options_that_do_not_fit_go_in_several_datagrams),
		cmocka_unit_test(exporter_statistics_are_what_was_handed_over_before),
		cmocka_unit_test(losses_are_told_once_somebody_counts_them),
		cmocka_unit_test(a_stream_is_told_counts_without_their_templates),
		cmocka_unit_test(sampling_is_announced_also_when_every_packet_counts),
		cmocka_unit_test(counters_are_scaled_where_it_is_asked_for),
		cmocka_unit_test(the_default_gives_no_reason_for_advice),
	};
	return cmocka_run_group_tests_name("encoder options", tests, NULL, NULL);
}
