// The NetFlow v5 encoder through weir's strict decoder, and by the octets of Cisco's format.

#include "flow_decode_fixture.h"

#include <errno.h>

#include "netflow5.h"
#include "random.h"

#define MS_2026 INT64_C(1795000000000)

struct v5 {
	struct fixture *fixture;
	struct netflow5 *encoder;
	unsigned n_datagrams, n_records, most_bytes;
	uint32_t sequence;     // wanted next
	uint64_t n_flows;      // as runs say
	uint64_t hash;         // of all octets
	uint16_t sampling;     // of the last header
	uint32_t secs, uptime; // of the last header
};

static void on_run(const struct export_run *run, void *arg) {
	struct v5 *v5 = arg;
	const uint8_t *out = run->octets;

	assert_int_equal(run->n_datagrams, 1);
	unsigned count = wire_get16(out + 2);
	assert_in_range(count, 1, 30);
	assert_int_equal(wire_get16(out), 5);
	assert_int_equal(run->last_bytes, 24 + 48 * count);
	assert_int_equal(wire_get32(out + 12), 0);
	assert_int_equal(wire_get32(out + 16), v5->sequence);
	v5->sequence += count;
	v5->n_records += count;
	v5->n_flows += export_run_records(run);
	v5->n_datagrams++;
	v5->secs = wire_get32(out + 8);
	v5->uptime = wire_get32(out + 4);
	v5->sampling = wire_get16(out + 22);
	if (run->last_bytes > v5->most_bytes)
		v5->most_bytes = (unsigned)run->last_bytes;
	for (size_t i = 0; i < run->last_bytes; i++)
		v5->hash = (v5->hash ^ out[i]) * UINT64_C(1099511628211);
	for (unsigned i = 0; i < count; i++) // no LAST in the future, none that reads as absent
		assert_in_range(wire_get32(out + 24 + 48 * i + 28), 1, v5->uptime);
	flow_decode_datagram(v5->fixture->decoder, &v5->fixture->from, out, run->last_bytes);
}

static struct netflow5_config config_of(uint16_t datagram_bytes) {
	return (struct netflow5_config){
		.source_id = 0x0307,
		.datagram_bytes = datagram_bytes,
		.sampling_interval = 1,
	};
}

static void begin(struct v5 *v5, void *fixture, const struct netflow5_config *config) {
	*v5 = (struct v5){.fixture = fixture, .encoder = netflow5_new(config, on_run, v5)};
	assert_non_null(v5->encoder);
	v5->fixture->n_records = 0;
}

static struct flow_record record_of(int64_t first_ms, int64_t last_ms) {
	struct flow_record record = {
		.first_ticks = (uint64_t)first_ms * TICKS_PER_MS,
		.last_ticks = (uint64_t)last_ms * TICKS_PER_MS,
		.packets = 7,
		.octets = 4321,
		.in_if = 12,
		.tcp_flags = 0x1b,
		.tos = 0xb8,
		.ttl_min = 60,
		.ttl_max = 61,
		.end = FLOW_END_IDLE,
	};
	record.key.family = FLOW_IPV4;
	record.key.proto = 6;
	memcpy(record.key.src4, "\xc0\x00\x02\x01", 4);
	memcpy(record.key.dst4, "\xc6\x33\x64\x02", 4);
	record.key.src_port = rte_cpu_to_be_16(54321);
	record.key.dst_port = rte_cpu_to_be_16(443);
	return record;
}

static uint64_t number(const struct kept *kept, uint16_t id) {
	const struct flow_field *field = flow_decoded_find(&kept->record, id);
	assert_non_null(field);
	return flow_field_number(field);
}

static void assert_times(const struct kept *kept, int64_t first_ms, int64_t last_ms) {
	assert_true(kept->record.has_first && kept->record.has_last);
	assert_int_equal(kept->record.first_ns, first_ms * NS_PER_MS);
	assert_int_equal(kept->record.last_ns, last_ms * NS_PER_MS);
}

static void config_out_of_range_is_refused(void **state) {
	struct netflow5_config config;
	(void)state;

	for (int i = 0; i < 4; i++) {
		config = config_of(1400);
		if (i == 0)
			config.datagram_bytes = NETFLOW5_MIN_DATAGRAM_BYTES - 1;
		else if (i == 1)
			config.sampling_interval = 0;
		else if (i == 2)
			config.sampling_interval = NETFLOW5_MAX_SAMPLING + 1;
		else
			config.sampling_algorithm = 3;
		errno = 0;
		assert_null(netflow5_new(&config, on_run, NULL));
		assert_int_equal(errno, EINVAL);
	}
	config = config_of(1400);
	assert_null(netflow5_new(&config, NULL, NULL));
}

static void every_field_of_the_format_is_told(void **state) {
	struct netflow5_config config = config_of(1400);
	struct v5 v5;
	struct flow_record record = record_of(MS_2026 + 1, MS_2026 + 60999);

	begin(&v5, *state, &config);
	netflow5_add(v5.encoder, &record, 1, MS_2026 + 75123);
	assert_int_equal(v5.n_datagrams, 0);
	netflow5_flush(v5.encoder, MS_2026 + 75123);
	netflow5_flush(v5.encoder, MS_2026 + 75123);
	assert_int_equal(v5.n_datagrams, 1);
	assert_clean(v5.fixture);
	assert_int_equal(v5.fixture->n_records, 1);
	assert_int_equal(v5.secs, MS_2026 / 1000 + 75);

	const struct kept *kept = &v5.fixture->records[0];
	assert_int_equal(number(kept, 8), 0xc0000201);
	assert_int_equal(number(kept, 12), 0xc6336402);
	assert_int_equal(number(kept, 7), 54321);
	assert_int_equal(number(kept, 11), 443);
	assert_int_equal(number(kept, 4), 6);
	assert_int_equal(number(kept, 5), 0xb8);
	assert_int_equal(number(kept, 6), 0x1b);
	assert_int_equal(number(kept, 10), 12);
	assert_int_equal(number(kept, 14), 12);
	assert_int_equal(number(kept, 2), 7);
	assert_int_equal(number(kept, 1), 4321);
	assert_times(kept, MS_2026 + 1, MS_2026 + 60999);
	netflow5_free(v5.encoder);
}

static void what_has_no_words_is_counted_and_left_out(void **state) {
	struct netflow5_config config = config_of(1400);
	struct v5 v5;
	struct flow_record records[3];
	struct netflow5_stats stats;

	for (int i = 0; i < 3; i++)
		records[i] = record_of(MS_2026, MS_2026 + 1);
	records[1].key.family = FLOW_IPV6;
	begin(&v5, *state, &config);
	netflow5_add(v5.encoder, records, 3, MS_2026 + 1);
	netflow5_set_sampling(v5.encoder, NETFLOW5_MAX_SAMPLING + 1, 1);
	assert_int_equal(v5.n_flows, 2); // another sampling: another packet
	netflow5_add(v5.encoder, records, 3, MS_2026 + 1);
	netflow5_set_sampling(v5.encoder, NETFLOW5_MAX_SAMPLING, 2);
	netflow5_add(v5.encoder, records, 1, MS_2026 + 1);
	netflow5_flush(v5.encoder, MS_2026 + 2);
	netflow5_stats(v5.encoder, &stats);
	assert_int_equal(v5.sampling, 0x8000 | NETFLOW5_MAX_SAMPLING);
	assert_int_equal(v5.n_flows, 3);
	assert_int_equal(stats.records, 3);
	assert_int_equal(stats.untold, 4);
	assert_int_equal(stats.datagrams, v5.n_datagrams);
	assert_int_equal(stats.octets, 2 * 24 + 3 * 48);
	assert_clean(v5.fixture);
	netflow5_free(v5.encoder);
}

static void sampling_is_told_in_each_header(void **state) {
	static const struct {
		uint32_t interval;
		uint8_t algorithm;
		uint16_t field;
	} cases[] = {{1, 0, 0}, {1, 2, 0}, {100, 0, 0x4064}, {100, 1, 0x4064}, {100, 2, 0x8064}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct netflow5_config config = config_of(1400);
		config.sampling_interval = cases[i].interval;
		config.sampling_algorithm = cases[i].algorithm;
		struct v5 v5;
		struct flow_record record = record_of(MS_2026, MS_2026 + 1);
		begin(&v5, *state, &config);
		netflow5_add(v5.encoder, &record, 1, MS_2026 + 1);
		netflow5_flush(v5.encoder, MS_2026 + 1);
		assert_int_equal(v5.sampling, cases[i].field);
		netflow5_free(v5.encoder);
	}
}

static void counters_above_32_bits_go_as_several_records_that_add_up(void **state) {
	struct netflow5_config config = config_of(NETFLOW5_MIN_DATAGRAM_BYTES + 48);
	struct v5 v5;
	struct flow_record record = record_of(MS_2026, MS_2026 + 1000);

	record.octets = 3 * (uint64_t)UINT32_MAX + 2;
	record.packets = UINT32_MAX + UINT64_C(2);
	begin(&v5, *state, &config);
	netflow5_add(v5.encoder, &record, 1, MS_2026 + 1000);
	netflow5_flush(v5.encoder, MS_2026 + 1000);
	assert_clean(v5.fixture);
	assert_int_equal(v5.n_datagrams, 2);
	assert_int_equal(v5.n_flows, 1);
	assert_int_equal(v5.fixture->n_records, 4);
	uint64_t packets = 0, octets = 0;
	for (unsigned i = 0; i < 4; i++) {
		packets += number(&v5.fixture->records[i], 2);
		octets += number(&v5.fixture->records[i], 1);
		assert_times(&v5.fixture->records[i], MS_2026, MS_2026 + 1000);
	}
	assert_int_equal(packets, record.packets);
	assert_int_equal(octets, record.octets);
	netflow5_free(v5.encoder);
}

static void no_packet_has_more_than_30_records_or_too_many_octets(void **state) {
	static const struct {
		uint16_t bytes;
		unsigned most;
	} cases[] = {{9000, 24 + 30 * 48}, {1464, 1464}, {1463, 1416}, {1400, 1368}, {72, 72}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct netflow5_config config = config_of(cases[i].bytes);
		struct v5 v5;
		struct flow_record record = record_of(MS_2026, MS_2026 + 1);
		begin(&v5, *state, &config);
		for (int j = 0; j < 100; j++)
			netflow5_add(v5.encoder, &record, 1, MS_2026 + 1);
		netflow5_flush(v5.encoder, MS_2026 + 1);
		assert_int_equal(v5.most_bytes, cases[i].most);
		assert_int_equal(v5.n_records, 100);
		assert_int_equal(v5.n_flows, 100);
		netflow5_free(v5.encoder);
	}
}

// 120 days in steps of 20 minutes, over two starts of an epoch and both wraps of 32 bits, with
// records of up to half an hour.
static void times_are_exact_over_120_days(void **state) {
	struct netflow5_config config = config_of(1400);
	struct v5 v5;
	struct random random = {7};
	int64_t now_ms = MS_2026;

	begin(&v5, *state, &config);
	for (int step = 0; step < 120 * 72; step++) {
		now_ms += 20 * 60 * 1000 + (int64_t)random_below(&random, 1000);
		int64_t last_ms = now_ms - (int64_t)random_below(&random, 15000);
		int64_t first_ms = last_ms - (int64_t)random_below(&random, 1800000);
		struct flow_record record = record_of(first_ms, last_ms);
		v5.fixture->n_records = 0;
		netflow5_add(v5.encoder, &record, 1, now_ms);
		netflow5_flush(v5.encoder, now_ms);
		assert_int_equal(v5.fixture->n_records, 1);
		assert_times(&v5.fixture->records[0], first_ms, last_ms);
		assert_in_range(v5.uptime, 3600000, INT32_MAX);
	}
	assert_clean(v5.fixture);
	netflow5_free(v5.encoder);
}

// Random records and clocks, in calls of random lengths: each comes out as it went in, and the
// octets do not depend on the calls.
static void records_come_back_and_calls_do_not_show(void **state) {
	struct netflow5_config config = config_of(1400);
	uint64_t hashes[2];

	for (int way = 0; way < 2; way++) {
		struct v5 v5;
		struct random random = {11}, calls = {(uint64_t)way + 1};
		struct flow_record records[500];
		begin(&v5, *state, &config);
		v5.fixture->from.port++; // another exporter, of its own sequence
		for (unsigned i = 0; i < 500; i++) {
			int64_t last_ms = MS_2026 + (int64_t)random_below(&random, 100000);
			records[i] =
				record_of(last_ms - (int64_t)random_below(&random, 60000), last_ms);
			records[i].octets = random_below(&random, UINT32_MAX);
			records[i].in_if = (uint16_t)(1 + random_below(&random, 65535));
		}
		for (unsigned i = 0; i < 500;) {
			unsigned n = 1 + (unsigned)random_below(&calls, 40);
			n = n > 500 - i ? 500 - i : n;
			netflow5_add(v5.encoder, &records[i], n, MS_2026 + 100000);
			i += n;
		}
		netflow5_flush(v5.encoder, MS_2026 + 100000);
		assert_clean(v5.fixture);
		assert_int_equal(v5.fixture->n_records, 500);
		for (unsigned i = 0; i < 500; i++) {
			const struct kept *kept = &v5.fixture->records[i];
			assert_int_equal(number(kept, 1), records[i].octets);
			assert_int_equal(number(kept, 10), records[i].in_if);
			assert_times(
				kept,
				ms_of_ticks(records[i].first_ticks),
				ms_of_ticks(records[i].last_ticks)
			);
		}
		hashes[way] = v5.hash;
		netflow5_free(v5.encoder);
	}
	assert_int_equal(hashes[0], hashes[1]);
}

// What lies years from the clock is held at the edge, whatever the times.
static void times_that_cannot_be_are_held(void **state) {
	static const int64_t clocks[] = {0, 1, MS_2026, INT64_MAX / 32, MS_2026 * 1000};
	struct netflow5_config config = config_of(1400);
	struct v5 v5;
	struct random random = {13};

	begin(&v5, *state, &config);
	for (int i = 0; i < 2000; i++) {
		int64_t first_ms = clocks[random_below(&random, 5)];
		int64_t last_ms = clocks[random_below(&random, 5)];
		struct flow_record record = record_of(0, 0);
		record.first_ticks = (uint64_t)first_ms * TICKS_PER_MS;
		record.last_ticks = (uint64_t)last_ms * TICKS_PER_MS;
		v5.fixture->n_records = 0;
		netflow5_add(v5.encoder, &record, 1, clocks[random_below(&random, 5)]);
	}
	netflow5_flush(v5.encoder, MS_2026);
	assert_int_equal(v5.n_flows, 2000);
	netflow5_free(v5.encoder);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_out_of_range_is_refused),
		TEST(every_field_of_the_format_is_told),
		TEST(what_has_no_words_is_counted_and_left_out),
		TEST(sampling_is_told_in_each_header),
		TEST(counters_above_32_bits_go_as_several_records_that_add_up),
		TEST(no_packet_has_more_than_30_records_or_too_many_octets),
		TEST(times_are_exact_over_120_days),
		TEST(records_come_back_and_calls_do_not_show),
		TEST(times_that_cannot_be_are_held),
	};
	return cmocka_run_group_tests_name("netflow5", tests, NULL, NULL);
}
