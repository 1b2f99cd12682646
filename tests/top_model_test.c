// The figures and tables of weir top.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "top_model.h"

static struct top_model model;
static struct top_rows rows;
static const struct top_filter all;

// Ticks at which the sensor answers; flows are as old as tests say.
#define T0 UINT64_C(1000000000)

static int setup(void **state) {
	(void)state;
	return top_model_init(&model, NS_PER_S);
}

static int teardown(void **state) {
	(void)state;
	top_model_done(&model);
	return 0;
}

static struct flow_record flow_of(uint8_t host, uint16_t port, uint64_t octets) {
	struct flow_record record = {
		.key = {.family = FLOW_IPV4,
			.proto = 6,
			.src_port = htons(40000),
			.dst_port = htons(port),
			.src4 = {10, 0, 0, host},
			.dst4 = {192, 0, 2, 1}},
		.first_ticks = T0 - 100 * TICKS_PER_S,
		.packets = octets / 100,
		.octets = octets,
	};
	return record;
}

// An answer `s` seconds after T0.
static void answer(double s, const struct flow_record *records, size_t n) {
	const struct live_header header = {
		.now_ticks = T0 + (uint64_t)(s * TICKS_PER_S),
		.sampling_rate = 1,
		.n_buckets = 1000,
	};

	top_model_begin(&model, &header);
	top_model_add(&model, records, n);
	top_model_end(&model);
}

static void look(enum top_view view, enum top_sort sort) {
	top_model_rows(&model, view, sort, &all, &rows);
}

static struct live_status status_at(double s) {
	struct live_status status = {
		.taken_ns = (uint64_t)((s + 50) * 1e9),
		.time_ns = (uint64_t)((s + 1e6) * 1e9),
		.uptime_ns = (uint64_t)((s + 10) * 1e9),
		.sampling = 1,
		.n_workers = 1,
		.n_ports = 1,
		.n_sinks = 1,
		.n_reasons = 1,
		.n_ends = 1,
	};
	status.sinks[0].n_losses = 1;
	return status;
}

static void rates_are_between_two_answers(void **state) {
	(void)state;
	struct live_status before = status_at(0), now = status_at(2);

	now.received = (struct status_count){2000, 250000};
	now.workers[0] = (struct status_worker){.started = 20, .busy_ns = 500000000, .packets = 50};
	now.reasons[0].count.packets = 6;
	now.ends[0].records = 12;
	now.ports[0].missed = 4;
	now.ports[0].received.packets = 2000;
	now.records_lost = 2;
	now.sinks[0].sent = 10;
	now.sinks[0].losses[0].records = 8;
	top_model_status(&model, &before);
	assert_true(model.rates.seconds == 0 && model.rates.packets == 0);
	top_model_status(&model, &now);
	assert_true(model.rates.seconds == 2);
	assert_true(model.rates.packets == 1000);
	assert_true(model.rates.bits == 1e6);
	assert_true(model.rates.new_flows == 10);
	assert_true(model.rates.records == 6);
	assert_true(model.rates.not_metered[0] == 3);
	assert_true(model.rates.dropped == 3); // 4 packets and 2 records
	assert_true(model.rates.workers_busy[0] == 0.25);
	assert_true(model.rates.workers_packets[0] == 25);
	assert_true(model.rates.ports_packets[0] == 1000);
	assert_true(model.rates.sinks_sent[0] == 5 && model.rates.sinks_lost[0] == 4);
}

static void a_counter_that_falls_gives_no_rate(void **state) {
	(void)state;
	struct live_status before = status_at(0), now = status_at(1);

	before.ports[0].missed = 100;
	top_model_status(&model, &before);
	top_model_status(&model, &now);
	assert_true(model.rates.dropped == 0);
}

static void another_sensor_begins_anew(void **state) {
	(void)state;
	struct live_status before = status_at(5), now = status_at(6);
	const struct flow_record record = flow_of(1, 80, 1000);

	before.received.packets = 1000;
	now.received.packets = 10;
	top_model_status(&model, &before);
	answer(0, &record, 1);
	top_model_status(&model, &now);
	assert_true(model.rates.seconds == 0 && model.rates.packets == 0);
	look(TOP_SOURCES, TOP_BY_BITS);
	assert_int_equal(rows.n, 0);
}

static void a_flow_moved_the_difference_between_two_readings(void **state) {
	(void)state;
	struct flow_record record = flow_of(1, 80, 100000);

	answer(0, &record, 1);
	record.octets += 5000;
	record.packets += 50;
	answer(2, &record, 1);
	look(TOP_FLOWS, TOP_BY_BITS);
	assert_int_equal(rows.n, 1);
	assert_true(rows.rows[0].octets_s == 2500 && rows.rows[0].packets_s == 25);
	assert_int_equal(rows.rows[0].octets, 105000);
}

static void a_flow_that_was_not_known_has_its_average(void **state) {
	(void)state;
	const struct flow_record record = flow_of(1, 80, 100000);

	answer(0, &record, 1); // 100 s old
	look(TOP_FLOWS, TOP_BY_BITS);
	assert_true(rows.rows[0].octets_s == 1000);
}

static void a_flow_that_began_since_has_moved_all_it_counts(void **state) {
	(void)state;
	struct flow_record record = flow_of(1, 80, 6000);

	answer(0, NULL, 0);
	record.first_ticks = T0 + TICKS_PER_S;
	answer(2, &record, 1);
	look(TOP_FLOWS, TOP_BY_BITS);
	assert_true(rows.rows[0].octets_s == 3000);
}

static void a_record_that_was_cut_counts_from_its_cut(void **state) {
	(void)state;
	struct flow_record record = flow_of(1, 80, 100000);

	answer(0, &record, 1);
	record.first_ticks = T0 + TICKS_PER_S;
	record.octets = 800;
	answer(2, &record, 1);
	look(TOP_FLOWS, TOP_BY_BITS);
	assert_true(rows.rows[0].octets_s == 400);
}

static void a_flow_that_rests_is_not_shown_and_is_known_when_it_moves_again(void **state) {
	(void)state;
	struct flow_record record = flow_of(1, 80, 100000);

	answer(0, &record, 1);
	answer(1, NULL, 0);
	look(TOP_FLOWS, TOP_BY_BITS);
	assert_int_equal(rows.n, 0);
	record.octets += 700;
	answer(2, &record, 1);
	look(TOP_FLOWS, TOP_BY_BITS);
	assert_int_equal(rows.n, 1);
	assert_true(rows.rows[0].octets_s == 700);
}

static void views_add_up_what_is_the_same_to_them(void **state) {
	(void)state;
	struct flow_record records[] = {
		flow_of(1, 80, 1000),
		flow_of(1, 443, 2000),
		flow_of(2, 80, 500),
		flow_of(2, 80, 0)};

	// The last one is the answer to the first.
	records[3] = records[0];
	memcpy(records[3].key.src4, records[0].key.dst4, 4);
	memcpy(records[3].key.dst4, records[0].key.src4, 4);
	records[3].key.src_port = records[0].key.dst_port;
	records[3].key.dst_port = records[0].key.src_port;
	answer(0, records, 4);

	look(TOP_SOURCES, TOP_BY_BITS);
	assert_int_equal(rows.n, 3);
	assert_memory_equal(rows.rows[0].key.src4, ((uint8_t[]){10, 0, 0, 1}), 4);
	assert_int_equal(rows.rows[0].octets, 3000);
	assert_int_equal(rows.rows[0].flows, 2);
	look(TOP_DESTINATIONS, TOP_BY_BITS);
	assert_int_equal(rows.n, 2);
	assert_int_equal(rows.rows[0].octets, 3500);
	look(TOP_PORTS, TOP_BY_BITS);
	assert_int_equal(rows.n, 2);
	assert_int_equal(ntohs(rows.rows[0].key.src_port), 80); // of both directions
	assert_int_equal(rows.rows[0].octets, 2500);
	look(TOP_CONVERSATIONS, TOP_BY_BITS);
	assert_int_equal(rows.n, 2);
	assert_int_equal(rows.rows[0].octets, 4000);
	look(TOP_FLOWS, TOP_BY_BITS);
	assert_int_equal(rows.n, 4);
	assert_true(rows.octets_s == 45);
}

static void rows_are_sorted_by_what_is_chosen(void **state) {
	(void)state;
	struct flow_record records[] = {
		flow_of(1, 80, 9000), flow_of(2, 80, 100), flow_of(2, 81, 100)};

	records[0].packets = 1;
	records[1].packets = 500;
	answer(0, records, 3);
	look(TOP_SOURCES, TOP_BY_BITS);
	assert_int_equal(rows.rows[0].key.src4[3], 1);
	look(TOP_SOURCES, TOP_BY_PACKETS);
	assert_int_equal(rows.rows[0].key.src4[3], 2);
	look(TOP_SOURCES, TOP_BY_FLOWS);
	assert_int_equal(rows.rows[0].key.src4[3], 2);
}

static void what_is_sampled_is_multiplied(void **state) {
	(void)state;
	const struct flow_record record = flow_of(1, 80, 100000);
	const struct live_header header = {.now_ticks = T0, .sampling_rate = 10, .n_buckets = 1000};

	top_model_begin(&model, &header);
	top_model_add(&model, &record, 1);
	top_model_end(&model);
	look(TOP_SOURCES, TOP_BY_BITS);
	assert_true(rows.rows[0].octets_s == 10000);
	assert_int_equal(rows.rows[0].octets, 1000000);
}

static void what_is_large_stays_among_a_million_of_small_ones(void **state) {
	(void)state;
	static struct flow_record part[512];

	// 20 elephants, then ever more mice.
	for (unsigned i = 0; i < 20; i++)
		part[i] = flow_of((uint8_t)(i + 1), 80, 1000000 + i);
	const struct live_header header = {.now_ticks = T0, .sampling_rate = 1, .n_buckets = 1000};
	top_model_begin(&model, &header);
	top_model_add(&model, part, 20);
	for (uint32_t mouse = 0; mouse < 1 << 20; mouse += 512) {
		for (uint32_t i = 0; i < 512; i++) {
			uint32_t n = mouse + i;
			part[i] = flow_of(0, 80, 100);
			part[i].key.src4[0] = 172;
			memcpy(&part[i].key.src4[1], &n, 3);
		}
		top_model_add(&model, part, 512);
	}
	top_model_end(&model);
	assert_true(model.flows.displaced > 900000);
	look(TOP_SOURCES, TOP_BY_BITS);
	assert_int_equal(rows.n, TOP_MAX_ROWS);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(rows.rows[i].key.src4[3], 20 - i);
}

static void a_large_cache_is_read_in_parts(void **state) {
	(void)state;
	const struct flow_record record = flow_of(1, 80, 1000), other = flow_of(2, 80, 1000);
	struct live_header header = {
		.now_ticks = T0, .sampling_rate = 1, .n_buckets = 2 * LIVE_MOST_BUCKETS + 5};

	for (unsigned part = 0; part < 7; part++) {
		struct live_request request = top_model_request(&model);
		assert_int_equal(request.first, part % 3 * LIVE_MOST_BUCKETS);
		assert_int_equal(request.count, LIVE_MOST_BUCKETS);
		// When this part, not another, was read last.
		if (part >= 3)
			assert_int_equal(request.since_ticks, T0 + (part - 3) * 10);
		header.now_ticks = T0 + part * 10;
		top_model_begin(&model, &header);
		if (part < 2)
			top_model_add(&model, part == 0 ? &record : &other, 1);
		top_model_end(&model);
		look(TOP_SOURCES, TOP_BY_BITS);
		// Each stays until its own part is read again.
		static const unsigned n_rows[] = {1, 2, 2, 1, 0, 0, 0};
		assert_int_equal(rows.n, n_rows[part]);
	}
}

static void filters_are_words_that_are_all_true(void **state) {
	(void)state;
	static const struct {
		const char *text;
		bool matches;
	} cases[] = {
		{"", true},
		{"10.0.0.1", true},
		{"192.0.2.1", true},
		{"10.0.0.2", false},
		{"10.0.0.0/31", true},
		{"10.0.0.2/31", false},
		{"0.0.0.0/0", true},
		{"::/0", false},
		{"443", true},
		{"40000", true},
		{"80", false},
		{"tcp", true},
		{"TCP 443 10.0.0.0/8", true},
		{"udp", false},
		{"!udp", true},
		{"tcp !443", false},
		{"vlan 0", true},
		{"vlan 7", false},
		{"!vlan 7 tcp", true},
	};
	static const char *const bad[] = {
		"tpc",
		"10.0.0.0/33",
		"65536",
		"vlan",
		"vlan x",
		"vlan 4096",
		"10.0.0",
		"!",
		"::/129",
		"10.0.0.0/",
		"1 2 3 4 5 6 7 8 9",
	};
	const struct flow_record record = flow_of(1, 443, 100);
	struct top_filter filter;
	char error[TOP_FILTER_ERROR_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(top_filter_parse(cases[i].text, &filter, error), 0);
		if (top_filter_matches(&filter, &record.key) != cases[i].matches)
			fail_msg("'%s'", cases[i].text);
	}
	assert_int_equal(top_filter_parse("udp", &filter, error), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (top_filter_parse(bad[i], &filter, error) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		assert_string_equal(filter.text, "udp");
	}
	const struct flow_key ipv6 = {
		.family = FLOW_IPV6,
		.proto = 58,
		.dst_port = htons(128 << 8),
		.dst6 = {0x20, 1, 0xd, 0xb8}};
	assert_int_equal(top_filter_parse("2001:db8::/32 icmp6", &filter, error), 0);
	assert_true(top_filter_matches(&filter, &ipv6));
	assert_int_equal(top_filter_parse("32768", &filter, error), 0); // its type, no port
	assert_false(top_filter_matches(&filter, &ipv6));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(rates_are_between_two_answers),
		TEST(a_counter_that_falls_gives_no_rate),
		TEST(another_sensor_begins_anew),
		TEST(a_flow_moved_the_difference_between_two_readings),
		TEST(a_flow_that_was_not_known_has_its_average),
		TEST(a_flow_that_began_since_has_moved_all_it_counts),
		TEST(a_record_that_was_cut_counts_from_its_cut),
		TEST(a_flow_that_rests_is_not_shown_and_is_known_when_it_moves_again),
		TEST(views_add_up_what_is_the_same_to_them),
		TEST(rows_are_sorted_by_what_is_chosen),
		TEST(what_is_sampled_is_multiplied),
		TEST(what_is_large_stays_among_a_million_of_small_ones),
		TEST(a_large_cache_is_read_in_parts),
		TEST(filters_are_words_that_are_all_true),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
