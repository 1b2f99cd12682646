// Encoders of NetFlow v9 and IPFIX through the strict decoder of `weir decode`, which shares
// nothing with them: random records, of each profile, in datagrams of any size, arrive as they
// were. Many of the names, also in encoder_options_test.c, are mistakes that exporters have made
// (docs/netflow.md).

#include "encoder_fixture.h"

static void records_arrive_as_they_were_whatever_profile_and_size(void **state) {
	struct random random = {1};
	(void)state;

	for (unsigned n = 0; n < 150; n++) {
		static struct flow_record records[N_RECORDS];
		struct fixture fixture;
		struct field_profile profile;
		char error[FIELD_PROFILE_ERROR_BYTES];
		unsigned timestamps = random_below(&random, 3);

		make_records(records, N_RECORDS, &random);
		assert_int_equal(
			field_profile_parse(
				&profile,
				profiles[random_below(
					&random, sizeof(profiles) / sizeof(profiles[0])
				)],
				(enum field_timestamps)timestamps,
				error
			),
			0
		);
		begin(&fixture,
		      n % 2 == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX,
		      (uint16_t
		      )(n % 3 == 0 ? 512 + random_below(&random, 8441)
				   : 512 + random_below(&random, 1000)));
		fixture.records = records;
		// n % 10 of 1: a stream of IPFIX.
		uint32_t packets = n % 10 == 1 ? 0 : 1 + random_below(&random, 30);
		struct encoder *encoder = open_encoder(&fixture, &profile, packets);
		if (n % 4 >= 2)
			encoder_set_interfaces(encoder, two, 2);
		if (n % 8 >= 4)
			encoder_set_counts(encoder, &(struct export_counts){n, 2 * n});
		for (unsigned at = 0, these; at < N_RECORDS; at += these) {
			these = 1 + random_below(&random, 100);
			if (these > N_RECORDS - at)
				these = N_RECORDS - at;
			encoder_add(encoder, records + at, these, MS_2026 + at);
			if (random_below(&random, 10) == 0)
				encoder_flush(encoder, MS_2026 + at + these);
		}
		encoder_flush(encoder, MS_2026 + N_RECORDS);
		assert_int_equal(fixture.n_records[0] + fixture.n_records[1], N_RECORDS);

		struct encoder_stats stats;
		struct flow_decode_stats seen;
		encoder_stats(encoder, &stats);
		flow_decode_stats(fixture.decoder, &seen);
		assert_int_equal(stats.datagrams, seen.datagrams);
		assert_int_equal(stats.octets, seen.octets);
		assert_int_equal(stats.records, seen.records);
		assert_int_equal(stats.templates, seen.templates);
		assert_int_equal(stats.options, seen.options);
		end(&fixture, encoder);
	}
}

static void records_give_the_same_octets_however_they_are_cut_into_calls(void **state) {
	static struct flow_record records[N_RECORDS];
	struct random random = {2};
	(void)state;

	make_records(records, N_RECORDS, &random);
	for (unsigned i = 0; i < 3 * sizeof(profiles) / sizeof(profiles[0]); i++) {
		struct field_profile profile;
		char error[FIELD_PROFILE_ERROR_BYTES];
		uint64_t checksums[3];
		assert_int_equal(
			field_profile_parse(&profile, profiles[i / 3], FIELD_UPTIME, error), 0
		);
		for (unsigned cut = 0; cut < 3; cut++) {
			struct fixture fixture;
			begin(&fixture, i % 3 == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 700);
			fixture.records = records;
			struct encoder *encoder =
				open_encoder(&fixture, &profile, i % 3 == 2 ? 0 : 7);
			encoder_set_interfaces(encoder, two, 2);
			for (unsigned at = 0, these; at < N_RECORDS; at += these) {
				// Time stands still for 50 records.
				unsigned left = 50 - at % 50;
				these = cut == 0   ? left
					: cut == 1 ? 1
						   : 1 + random_below(&random, left);
				encoder_add(encoder, records + at, these, MS_2026 + at / 50);
			}
			encoder_flush(encoder, MS_2026 + 1000);
			checksums[cut] = fixture.checksum;
			assert_int_equal(fixture.n_records[0] + fixture.n_records[1], N_RECORDS);
			end(&fixture, encoder);
		}
		assert_true(checksums[1] == checksums[0]);
		assert_true(checksums[2] == checksums[0]);
	}
}

static void keep_first(const struct export_run *run, void *arg) {
	uint8_t *first = arg;
	if (wire_get16(first) == 0)
		memcpy(first, run->octets, 512);
}

static void count_is_the_number_of_records_of_every_kind(void **state) {
	uint8_t first[512] = {0};
	const struct flow_record record = {
		.key = {.family = FLOW_IPV4},
		.first_ticks = (uint64_t)MS_2026 * TICKS_PER_MS,
		.last_ticks = (uint64_t)MS_2026 * TICKS_PER_MS,
		.in_if = 1,
	};
	(void)state;

	struct encoder *encoder = encoder_new(
		&(struct encoder_config
		){.source_id = SOURCE_ID, .datagram_bytes = 1400, .sampling_interval = 1},
		keep_first,
		first
	);
	assert_non_null(encoder);
	encoder_add(encoder, &record, 1, MS_2026);
	encoder_flush(encoder, MS_2026);
	// Templates of IPv4 and IPv6, three of options and a record of each, a flow.
	assert_int_equal(wire_get16(first + 2), 2 + 3 + 3 + 1);
	assert_int_equal(wire_get32(first + 12), 0);
	assert_int_equal(wire_get32(first + 16), SOURCE_ID);
	encoder_free(encoder);
}

// nfdump counts every other distance as a failure.
static void sequence_of_v9_counts_packets_also_those_of_options_alone(void **state) {
	struct export_interface many[EXPORT_MOST_INTERFACES] = {0};
	struct fixture fixture;
	(void)state;

	begin(&fixture, ENCODER_NETFLOW9, 512);
	struct encoder *encoder = open_encoder(&fixture, NULL, 4800);
	encoder_set_interfaces(encoder, many, EXPORT_MOST_INTERFACES);
	send_one(&fixture, encoder, MS_2026);
	assert_in_range(fixture.n_datagrams, 8, 12);
	assert_int_equal(fixture.sequence, fixture.n_datagrams);
	end(&fixture, encoder);
}

static void wrong_settings_are_refused(void **state) {
	const struct encoder_config right = {
		.source_id = 1, .datagram_bytes = 1400, .sampling_interval = 1};
	struct encoder_config wrong[] = {right, right, right, right};
	(void)state;

	wrong[0].protocol = ENCODER_IPFIX + 100;
	wrong[1].datagram_bytes = 511;
	wrong[2].protocol = ENCODER_IPFIX;
	wrong[2].sampling_interval = 0;
	wrong[3].sampling_algorithm = 3;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		assert_null(encoder_new(&wrong[i], take, NULL));
		assert_int_equal(errno, i == 0 ? EPROTONOSUPPORT : EINVAL);
	}
	errno = 0;
	assert_null(encoder_new(&right, NULL, NULL));
	assert_int_equal(errno, EINVAL);
	encoder_free(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_arrive_as_they_were_whatever_profile_and_size),
		cmocka_unit_test(records_give_the_same_octets_however_they_are_cut_into_calls),
		cmocka_unit_test(count_is_the_number_of_records_of_every_kind),
		cmocka_unit_test(sequence_of_v9_counts_packets_also_those_of_options_alone),
		cmocka_unit_test(wrong_settings_are_refused),
	};
	return cmocka_run_group_tests_name("encoder", tests, NULL, NULL);
}
