// The NetFlow v9 encoder through a decoder that shares nothing with it. Most names are mistakes
// that exporters have made and collectors suffered from (docs/netflow.md).

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "encoder.h"
#include "netflow9.h"
#include "netflow9_decode.h"

#define DAY_MS INT64_C(86400000)
#define MS_2026 INT64_C(1795000000000)

enum {
	IN_BYTES = 1,
	IN_PKTS = 2,
	PROTOCOL = 4,
	L4_SRC_PORT = 7,
	IPV4_SRC_ADDR = 8,
	L4_DST_PORT = 11,
	ICMP_TYPE = 32,
};

struct fixture {
	struct encoder_config config;
	struct encoder *encoder;
	struct decoder decoder;
	size_t largest;
	unsigned n_records;
	uint64_t octets;
	uint64_t checksum;                                // over all octets sent
	unsigned n_since_templates, most_since_templates; // datagrams, that with templates too
	uint32_t unix_secs;
	bool clock_went_back;
};

static void receive_datagram(
	struct fixture *fixture, const uint8_t *datagram, size_t bytes, unsigned n_records
) {
	size_t before = fixture->decoder.n_records;
	uint64_t templates_before = fixture->decoder.n_with_templates;
	const char *wrong = decode_datagram(&fixture->decoder, datagram, bytes);

	if (wrong != NULL)
		fail_msg("datagram %lu: %s", fixture->decoder.n_datagrams, wrong);
	assert_int_equal(fixture->decoder.n_records - before, n_records);
	assert_true(bytes <= fixture->config.datagram_bytes);
	fixture->n_records += n_records;
	fixture->octets += bytes;
	if (fixture->decoder.n_with_templates > templates_before)
		fixture->n_since_templates = 0;
	if (++fixture->n_since_templates > fixture->most_since_templates)
		fixture->most_since_templates = fixture->n_since_templates;
	if (fixture->decoder.unix_secs < fixture->unix_secs)
		fixture->clock_went_back = true;
	fixture->unix_secs = fixture->decoder.unix_secs;
	if (bytes > fixture->largest)
		fixture->largest = bytes;
	for (size_t i = 0; i < bytes; i++)
		fixture->checksum = (fixture->checksum ^ datagram[i]) * UINT64_C(0x100000001b3);
}

static void receive(const struct export_run *run, void *arg) {
	const uint8_t *at = run->octets;
	unsigned n_records = 0;

	assert_in_range(run->n_datagrams, 1, EXPORT_RUN_DATAGRAMS);
	assert_true(export_run_bytes(run) <= EXPORT_RUN_BYTES);
	// UDP_SEGMENT wants no longer one behind the others.
	assert_true(run->n_datagrams == 1 || run->last_bytes <= run->datagram_bytes);
	for (unsigned i = 0; i < run->n_datagrams; i++) {
		struct export_run one = export_run_part(run, i, 1);
		assert_ptr_equal(one.octets, at);
		assert_int_equal(one.n_datagrams, 1);
		receive_datagram(arg, one.octets, export_run_bytes(&one), export_run_records(&one));
		at += export_run_bytes(&one);
		n_records += export_run_records(&one);
	}
	assert_int_equal(at - run->octets, export_run_bytes(run));
	assert_int_equal(n_records, export_run_records(run));
}

static void begin(struct fixture *fixture) {
	memset(fixture, 0, sizeof(*fixture));
	fixture->config = (struct encoder_config){
		.source_id = 42,
		.datagram_bytes = NETFLOW9_DEFAULT_DATAGRAM_BYTES,
		.template_interval_ms = 30000,
		.template_packets = 4800,
		.sampling_interval = 1,
	};
}

static void open_encoder(struct fixture *fixture) {
	fixture->encoder = encoder_new(&fixture->config, receive, fixture);
	assert_non_null(fixture->encoder);
}

static void end(struct fixture *fixture) {
	encoder_free(fixture->encoder);
	decoder_free(&fixture->decoder);
}

static struct flow_record record_at(int64_t first_ms, int64_t last_ms, uint8_t family) {
	struct flow_record record = {
		.first_ticks = (uint64_t)first_ms * TICKS_PER_MS,
		.last_ticks = (uint64_t)last_ms * TICKS_PER_MS + TICKS_PER_MS - 1,
		.packets = 3,
		.octets = 180,
		.in_if = 1,
		.end = FLOW_END_IDLE,
	};
	record.key.family = family;
	record.key.proto = 17;
	record.key.src4[0] = 192;
	record.key.dst4[0] = 198;
	return record;
}

static void add(struct fixture *fixture, int64_t first_ms, int64_t last_ms, int64_t now_ms) {
	struct flow_record record = record_at(first_ms, last_ms, FLOW_IPV4);
	encoder_add(fixture->encoder, &record, 1, now_ms);
}

static void
check_times(const struct fixture *fixture, size_t i, int64_t first_ms, int64_t last_ms) {
	assert_true(i < fixture->decoder.n_records);
	assert_true(fixture->decoder.records[i].first_ms == first_ms);
	assert_true(fixture->decoder.records[i].last_ms == last_ms);
}

static void wrong_settings_are_refused(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	struct encoder_config wrong[] = {
		fixture.config, fixture.config, fixture.config, fixture.config, fixture.config};
	wrong[0].source_id = 0;
	wrong[1].datagram_bytes = NETFLOW9_MIN_DATAGRAM_BYTES - 1;
	wrong[2].datagram_bytes = NETFLOW9_MAX_DATAGRAM_BYTES + 1;
	wrong[3].sampling_interval = 0;
	wrong[4].sampling_algorithm = 3;
	for (unsigned i = 0; i < 5; i++) {
		errno = 0;
		assert_null(encoder_new(&wrong[i], receive, &fixture));
		assert_int_equal(errno, EINVAL);
	}
	encoder_free(NULL);
}

static void nothing_is_sent_without_a_record(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	encoder_flush(fixture.encoder, MS_2026);
	encoder_renew_templates(fixture.encoder);
	encoder_flush(fixture.encoder, MS_2026 + DAY_MS);
	assert_int_equal(fixture.decoder.n_datagrams, 0);
	end(&fixture);
}

static void values_arrive_as_they_were(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	struct flow_record record = record_at(MS_2026 + 1, MS_2026 + 2, FLOW_IPV6);
	memcpy(record.key.src6, "0123456789abcdef", 16);
	record.key.proto = 58;
	record.key.dst_port = rte_cpu_to_be_16(128 * 256);
	record.octets = UINT64_C(1) << 40;
	record.packets = UINT64_C(1) << 33;
	encoder_add(fixture.encoder, &record, 1, MS_2026 + 900);
	encoder_flush(fixture.encoder, MS_2026 + 900);

	const struct decode_record *got = fixture.decoder.records;
	assert_int_equal(fixture.decoder.n_records, 1);
	check_times(&fixture, 0, MS_2026 + 1, MS_2026 + 2);
	assert_memory_equal(got->src6, "0123456789abcdef", 16);
	assert_int_equal(got->has[IPV4_SRC_ADDR], 0);
	assert_true(got->values[IN_BYTES] == UINT64_C(1) << 40);
	assert_true(got->values[IN_PKTS] == UINT64_C(1) << 33);
	assert_int_equal(got->values[PROTOCOL], 58);
	assert_int_equal(got->values[ICMP_TYPE], 128 * 256);
	assert_int_equal(got->values[L4_DST_PORT], 128 * 256);
	assert_int_equal(got->values[L4_SRC_PORT], 0);
	end(&fixture);
}

static void last_is_never_after_sysuptime(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	// A packet that is older than the clock, one that is younger within its second, one of the
	// last millisecond of it: the decoder refuses LAST after sysUptime.
	for (int64_t ms = 0; ms < 3000; ms++)
		add(&fixture, MS_2026, MS_2026 + ms, MS_2026 + ms / 2);
	encoder_flush(fixture.encoder, MS_2026);
	assert_int_equal(fixture.decoder.n_records, 3000);
	for (int64_t ms = 0; ms < 3000; ms++)
		check_times(&fixture, (size_t)ms, MS_2026, MS_2026 + ms);
	end(&fixture);
}

static void header_time_is_the_clock_rounded_to_a_second(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	add(&fixture, MS_2026, MS_2026 + 10, MS_2026 + 5999);
	encoder_flush(fixture.encoder, MS_2026 + 5999);
	assert_int_equal(fixture.decoder.unix_secs, MS_2026 / 1000 + 5);
	add(&fixture, MS_2026, MS_2026 + 6001, MS_2026 + 6001);
	encoder_flush(fixture.encoder, MS_2026 + 6001);
	assert_int_equal(fixture.decoder.unix_secs, MS_2026 / 1000 + 7);
	end(&fixture);
}

static void uptime_of_120_days_crosses_both_wraps_to_the_millisecond(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	const int64_t step_ms = 297531;
	int64_t first_ms = MS_2026, n = 0;

	for (int64_t now_ms = MS_2026; now_ms < MS_2026 + 120 * DAY_MS; now_ms += step_ms, n++) {
		// Flows of all lengths up to a day, as the active timeout of 24 h allows.
		first_ms = now_ms - n * 7919 % DAY_MS;
		add(&fixture, first_ms, now_ms, now_ms);
		if (n % 3 == 0)
			encoder_flush(fixture.encoder, now_ms);
		if (fixture.decoder.n_records > 0) {
			const struct decode_record *got =
				&fixture.decoder.records[fixture.decoder.n_records - 1];
			assert_true(got->last_ms <= now_ms);
		}
	}
	encoder_flush(fixture.encoder, MS_2026 + 120 * DAY_MS);
	assert_int_equal(fixture.decoder.n_records, n);
	for (int64_t i = 0; i < n; i++) {
		int64_t now_ms = MS_2026 + i * step_ms;
		check_times(&fixture, (size_t)i, now_ms - i * 7919 % DAY_MS, now_ms);
	}
	end(&fixture);
}

static void packets_of_1970_keep_their_times(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	add(&fixture, 0, 0, 0);
	add(&fixture, 0, 1, 1);
	add(&fixture, 1500, 2500, 2500);
	encoder_flush(fixture.encoder, 2500);
	check_times(&fixture, 0, 0, 0);
	check_times(&fixture, 1, 0, 1);
	check_times(&fixture, 2, 1500, 2500);
	end(&fixture);
}

static void a_jump_of_years_and_back_begins_an_epoch(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	const int64_t years_ms = 5 * 365 * DAY_MS;
	const int64_t times[] = {
		MS_2026,
		MS_2026 + years_ms,
		MS_2026 + 1,
		MS_2026 - years_ms,
		5,
		MS_2026 - 7200000,
		MS_2026 + 30 * DAY_MS};

	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		add(&fixture, times[i], times[i] + 3, times[i] + 3);
	encoder_flush(fixture.encoder, MS_2026);
	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		check_times(&fixture, i, times[i], times[i] + 3);
	// Each epoch comes with templates, for collectors that take its header for a restart.
	assert_int_equal(fixture.decoder.n_datagrams, fixture.decoder.n_with_templates);
	end(&fixture);
}

static void a_clock_that_ran_on_does_not_outrun_the_epoch(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	add(&fixture, MS_2026, MS_2026 + 1, MS_2026 + 1);
	encoder_flush(fixture.encoder, MS_2026 + 400 * DAY_MS);
	check_times(&fixture, 0, MS_2026, MS_2026 + 1);
	end(&fixture);
}

static void templates_come_first_and_again_after_30_s(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	for (int64_t s = 0; s < 100; s++) {
		add(&fixture, MS_2026 + s * 1000, MS_2026 + s * 1000, MS_2026 + s * 1000);
		encoder_flush(fixture.encoder, MS_2026 + s * 1000);
		assert_int_equal(fixture.decoder.n_with_templates, 1 + s / 30);
	}
	end(&fixture);
}

static void templates_come_again_after_so_many_packets(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	fixture.config.template_packets = 10;
	open_encoder(&fixture);
	for (int n = 0; n < 95; n++) {
		add(&fixture, MS_2026, MS_2026, MS_2026);
		encoder_flush(fixture.encoder, MS_2026);
	}
	assert_int_equal(fixture.decoder.n_datagrams, 95);
	assert_int_equal(fixture.decoder.n_with_templates, 10);
	end(&fixture);
}

static void a_new_socket_begins_with_templates(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	for (int n = 0; n < 3; n++) {
		add(&fixture, MS_2026, MS_2026, MS_2026);
		encoder_flush(fixture.encoder, MS_2026);
	}
	assert_int_equal(fixture.decoder.n_with_templates, 1);
	encoder_renew_templates(fixture.encoder);
	add(&fixture, MS_2026, MS_2026, MS_2026);
	encoder_flush(fixture.encoder, MS_2026);
	assert_int_equal(fixture.decoder.n_with_templates, 2);
	end(&fixture);
}

static void sampling_is_announced_in_both_forms_also_when_every_packet_counts(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	add(&fixture, MS_2026, MS_2026, MS_2026);
	encoder_flush(fixture.encoder, MS_2026);
	assert_int_equal(fixture.decoder.sampling_intervals[0], 1);
	assert_int_equal(fixture.decoder.sampling_intervals[1], 1);
	assert_int_equal(fixture.decoder.sampling_algorithm, 1);
	end(&fixture);

	begin(&fixture);
	fixture.config.sampling_interval = 1000;
	open_encoder(&fixture);
	add(&fixture, MS_2026, MS_2026, MS_2026);
	encoder_flush(fixture.encoder, MS_2026);
	assert_int_equal(fixture.decoder.sampling_intervals[0], 1000);
	assert_int_equal(fixture.decoder.sampling_intervals[1], 1000);
	assert_int_equal(fixture.decoder.sampling_algorithm, 1);
	end(&fixture);

	begin(&fixture);
	fixture.config.sampling_interval = 10;
	fixture.config.sampling_algorithm = 2;
	open_encoder(&fixture);
	add(&fixture, MS_2026, MS_2026, MS_2026);
	encoder_flush(fixture.encoder, MS_2026);
	assert_int_equal(fixture.decoder.sampling_intervals[1], 10);
	assert_int_equal(fixture.decoder.sampling_algorithm, 2);
	end(&fixture);
}

static void another_sampling_is_announced_before_its_records(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	add(&fixture, MS_2026, MS_2026, MS_2026);
	encoder_set_sampling(fixture.encoder, 1, 1); // as it is: nothing is sent for it
	assert_int_equal(fixture.decoder.n_datagrams, 0);
	encoder_set_sampling(fixture.encoder, 100, 2);
	assert_int_equal(fixture.decoder.n_records, 1);
	assert_int_equal(fixture.decoder.sampling_intervals[0], 1);
	add(&fixture, MS_2026, MS_2026, MS_2026);
	encoder_flush(fixture.encoder, MS_2026);
	assert_int_equal(fixture.decoder.n_records, 2);
	assert_int_equal(fixture.decoder.n_with_templates, 2);
	assert_int_equal(fixture.decoder.sampling_intervals[0], 100);
	assert_int_equal(fixture.decoder.sampling_intervals[1], 100);
	assert_int_equal(fixture.decoder.sampling_algorithm, 2);
	end(&fixture);
}

// All sizes, both families in any mixture: the decoder checks Count, FlowSets and templates.
static void datagrams_are_filled_and_never_too_long(void **state) {
	(void)state;
	const uint16_t sizes[] = {
		NETFLOW9_MIN_DATAGRAM_BYTES, 700, 1232, 1400, 1401, NETFLOW9_MAX_DATAGRAM_BYTES};
	const unsigned n = 3000;

	srandom(1);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct fixture fixture;
		begin(&fixture);
		fixture.config.datagram_bytes = sizes[i];
		open_encoder(&fixture);
		for (unsigned j = 0; j < n; j++) {
			uint8_t family = random() % 3 == 0 ? FLOW_IPV6 : FLOW_IPV4;
			struct flow_record record = record_at(MS_2026, MS_2026 + j, family);
			encoder_add(fixture.encoder, &record, 1, MS_2026 + j);
		}
		encoder_flush(fixture.encoder, MS_2026 + n);
		assert_int_equal(fixture.n_records, n);
		// Another record would not have fitted.
		assert_true(fixture.largest + 96 + 4 > sizes[i]);

		struct encoder_stats stats;
		encoder_stats(fixture.encoder, &stats);
		assert_int_equal(stats.records, n);
		assert_int_equal(stats.datagrams, fixture.decoder.n_datagrams);
		assert_int_equal(stats.octets, fixture.octets);
		assert_int_equal(stats.templates, 5 * fixture.decoder.n_with_templates);
		end(&fixture);
	}
}

static void the_same_records_give_the_same_octets(void **state) {
	(void)state;
	uint64_t checksums[2];

	for (unsigned run = 0; run < 2; run++) {
		struct fixture fixture;
		begin(&fixture);
		open_encoder(&fixture);
		for (int64_t i = 0; i < 1000; i++) {
			struct flow_record record = record_at(
				MS_2026 + i * 100,
				MS_2026 + i * 150,
				i % 5 == 0 ? FLOW_IPV6 : FLOW_IPV4
			);
			encoder_add(fixture.encoder, &record, 1, MS_2026 + i * 150);
		}
		encoder_flush(fixture.encoder, MS_2026 + 200000);
		checksums[run] = fixture.checksum;
		end(&fixture);
	}
	assert_true(checksums[0] == checksums[1]);
}

static void records_give_the_same_octets_however_they_are_cut_into_calls(void **state) {
	(void)state;
	enum { N = 4000 };
	static struct flow_record records[N];
	uint64_t checksums[4];

	srandom(2);
	for (unsigned i = 0; i < N; i++)
		records[i] = record_at(
			MS_2026 - random() % 5000,
			MS_2026 + random() % 5000,
			random() % 4 == 0 ? FLOW_IPV6 : FLOW_IPV4
		);
	for (unsigned run = 0; run < 4; run++) {
		const unsigned at_once[] = {1, 7, 256, N};
		struct fixture fixture;
		begin(&fixture);
		fixture.config.template_packets = 50;
		open_encoder(&fixture);
		for (unsigned i = 0, n; i < N; i += n) {
			n = at_once[run] < N - i ? at_once[run] : N - i;
			encoder_add(fixture.encoder, &records[i], n, MS_2026 + 4000);
		}
		encoder_flush(fixture.encoder, MS_2026 + 4000);
		assert_int_equal(fixture.n_records, N);
		checksums[run] = fixture.checksum;
		end(&fixture);
	}
	for (unsigned run = 1; run < 4; run++)
		assert_true(checksums[run] == checksums[0]);
}

// Datagrams of both families are under construction for long before they leave.
static void templates_are_never_later_than_so_many_packets(void **state) {
	(void)state;
	for (uint32_t most = 1; most <= 70; most += most < 4 ? 1 : 11) {
		struct fixture fixture;
		begin(&fixture);
		fixture.config.template_packets = most;
		open_encoder(&fixture);
		for (unsigned i = 0; i < 5000; i++) {
			struct flow_record record = record_at(
				MS_2026, MS_2026, i / 100 % 3 == i % 3 ? FLOW_IPV6 : FLOW_IPV4
			);
			encoder_add(fixture.encoder, &record, 1, MS_2026);
			if (i % 1000 == 999)
				encoder_flush(fixture.encoder, MS_2026);
		}
		assert_int_equal(fixture.n_records, 5000);
		assert_int_equal(fixture.most_since_templates, most);
		end(&fixture);
	}
}

static void export_time_runs_on_though_a_family_waits_for_its_datagram(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	for (int64_t i = 0; i < 20000; i++) {
		struct flow_record record = record_at(
			MS_2026 - 1000, MS_2026 + i - 1000, i % 100 == 0 ? FLOW_IPV6 : FLOW_IPV4
		);
		encoder_add(fixture.encoder, &record, 1, MS_2026 + i);
	}
	encoder_flush(fixture.encoder, MS_2026 + 20000);
	assert_int_equal(fixture.n_records, 20000);
	assert_true(fixture.decoder.unix_secs == MS_2026 / 1000 + 20);
	assert_false(fixture.clock_went_back);
	end(&fixture);
}

static void times_at_the_ends_of_the_range_do_no_harm(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture);
	open_encoder(&fixture);
	struct flow_record record = record_at(MS_2026, MS_2026, FLOW_IPV4);
	const uint64_t latest = ticks_of_ns(TIME_NS_MAX);
	const uint64_t ticks[] = {0, 1, latest, latest - 1, 1, UINT64_MAX, 0};

	for (unsigned i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++) {
		record.first_ticks = record.last_ticks = ticks[i];
		encoder_add(fixture.encoder, &record, 1, ms_of_ticks(ticks[i]));
		encoder_add(fixture.encoder, &record, 1, i % 2 == 0 ? INT64_MAX : INT64_MIN);
	}
	encoder_flush(fixture.encoder, INT64_MAX);
	assert_int_equal(fixture.n_records, 14);
	end(&fixture);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_settings_are_refused),
		cmocka_unit_test(nothing_is_sent_without_a_record),
		cmocka_unit_test(values_arrive_as_they_were),
		cmocka_unit_test(last_is_never_after_sysuptime),
		cmocka_unit_test(header_time_is_the_clock_rounded_to_a_second),
		cmocka_unit_test(uptime_of_120_days_crosses_both_wraps_to_the_millisecond),
		cmocka_unit_test(packets_of_1970_keep_their_times),
		cmocka_unit_test(a_jump_of_years_and_back_begins_an_epoch),
		cmocka_unit_test(a_clock_that_ran_on_does_not_outrun_the_epoch),
		cmocka_unit_test(templates_come_first_and_again_after_30_s),
		cmocka_unit_test(templates_come_again_after_so_many_packets),
		cmocka_unit_test(a_new_socket_begins_with_templates),
		cmocka_unit_test(sampling_is_announced_in_both_forms_also_when_every_packet_counts),
		cmocka_unit_test(another_sampling_is_announced_before_its_records),
		cmocka_unit_test(datagrams_are_filled_and_never_too_long),
		cmocka_unit_test(the_same_records_give_the_same_octets),
		cmocka_unit_test(records_give_the_same_octets_however_they_are_cut_into_calls),
		cmocka_unit_test(templates_are_never_later_than_so_many_packets),
		cmocka_unit_test(export_time_runs_on_though_a_family_waits_for_its_datagram),
		cmocka_unit_test(times_at_the_ends_of_the_range_do_no_harm),
	};
	return cmocka_run_group_tests_name("netflow9", tests, NULL, NULL);
}
