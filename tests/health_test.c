#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "status_json.h"

static struct metrics metrics;
static struct minute minute;
static struct minute_counts last;
static struct health health;
static struct history history;

// Two ports, two collectors and an archive, that have been well for a minute.
static int setup(void **state) {
	(void)state;
	memset(&metrics, 0, sizeof(metrics));
	memset(&minute, 0, sizeof(minute));
	memset(&history, 0, sizeof(history));
	metrics.dpdk = "DPDK 22.11.0";
	metrics.taken_ns = 1000 * NS_PER_S;
	metrics.sampling_interval = 1;
	metrics.n_ports = 2;
	metrics.ports[0] = (struct sensor_port){.name = "eth1", .up = true};
	metrics.ports[1] = (struct sensor_port){.name = "eth2", .up = true};
	metrics.ledger.ports = metrics.queues;
	metrics.ledger.n_ports = 3;
	metrics.queues[0] = (struct ledger_port){.name = "eth1"};
	metrics.queues[1] = (struct ledger_port){.name = "eth1", .queue = 1};
	metrics.queues[2] = (struct ledger_port){.name = "eth2"};
	ledger_add_reason(&metrics.ledger, "not_ip", (struct ledger_count){0});
	ledger_add_reason(&metrics.ledger, "ip_truncated", (struct ledger_count){0});
	metrics.n_workers = 2;
	metrics.workers[0].capacity_flows = metrics.workers[1].capacity_flows = 1000;
	metrics.ledger.sinks = metrics.sinks.sinks;
	metrics.ledger.n_sinks = 3;
	metrics.sinks.n_collectors = 2;
	metrics.sinks.sinks[0].name = "192.0.2.1:2055";
	metrics.sinks.sinks[1].name = "192.0.2.2:2055";
	metrics.sinks.sinks[2].name = "archive /a";
	ledger_sink_add_loss(&metrics.sinks.sinks[0], "queue_full", 0);
	ledger_sink_add_loss(&metrics.sinks.sinks[0], "refused", 0);
	ledger_sink_add_loss(&metrics.sinks.sinks[1], "queue_full", 0);
	ledger_sink_add_loss(&metrics.sinks.sinks[2], "write_error", 0);
	metrics.archive = "/a";
	for (unsigned i = 0; i < MINUTE_MARKS; i++) {
		minute_mark(&minute, &metrics);
		metrics.taken_ns += 5 * NS_PER_S;
	}
	for (unsigned i = 0; i < 3; i++)
		metrics.queues[i].received.packets = 100;
	metrics.ledger.received.packets = metrics.ledger.metered.packets = 300;
	return 0;
}

static void read_in(enum run_state state) {
	minute_read(&minute, &metrics, &last);
	health_read(&metrics, &last, state, 0, &health);
}

static void assert_line(unsigned i, enum health_level level, const char *text) {
	assert_true(i < health.n);
	assert_string_equal(health.lines[i].text, text);
	assert_int_equal(health.lines[i].level, level);
}

static void assert_only(enum health_level level, const char *text) {
	read_in(RUN_METERS);
	assert_line(0, level, text);
	assert_int_equal(health.n, 1);
}

static void what_is_well_is_said_in_one_sentence(void **state) {
	(void)state;
	assert_only(HEALTH_GOOD, "All packets are metered, nothing was lost.");
	metrics.ledger.reasons[0].count.packets = 30;
	assert_only(
		HEALTH_GOOD,
		"Nothing was lost; 10 % of the packets are not metered, for the reasons below."
	);
}

static void what_a_port_loses_is_told_with_its_name_and_cause(void **state) {
	(void)state;
	metrics.queues[0].missed = 1200;
	assert_only(
		HEALTH_BAD,
		"Port eth1 dropped 1,200 packets in the last minute: the machine is too slow for "
		"it."
	);
	metrics.queues[0].missed = 0;
	metrics.queues[2].no_mbuf = 1;
	assert_only(
		HEALTH_BAD,
		"Port eth2 had no buffer for 1 packet in the last minute: the machine is too slow "
		"for it."
	);
	metrics.queues[2].no_mbuf = 0;
	metrics.queues[2].errors = 1234567;
	assert_only(
		HEALTH_WARNING,
		"Port eth2 received 1,234,567 damaged packets in the last minute: look at the "
		"cable or the optics."
	);
}

static void a_port_that_is_down_or_silent_is_told(void **state) {
	(void)state;
	metrics.queues[2].received.packets = 0;
	assert_only(HEALTH_WARNING, "No packet came from port eth2 in the last minute.");
	metrics.ports[1].up = false;
	assert_only(HEALTH_BAD, "Port eth2 is down: no packets come from it.");
}

static void what_a_sink_loses_is_told_with_the_main_cause(void **state) {
	(void)state;
	metrics.sinks.sinks[0].losses[0].records = 5;
	metrics.sinks.sinks[0].losses[1].records = 50;
	assert_only(
		HEALTH_BAD,
		"55 records for 192.0.2.1:2055 were lost in the last minute: nobody listens there."
	);
	metrics.sinks.sinks[0].losses[0].records = metrics.sinks.sinks[0].losses[1].records = 0;
	metrics.sinks.refusals[1] = 3;
	assert_only(
		HEALTH_BAD,
		"Nobody listens at 192.0.2.2:2055: 3 datagrams were refused in the last minute."
	);
	metrics.sinks.refusals[1] = 0;
	metrics.archive_stats.errors = 1;
	assert_only(
		HEALTH_WARNING,
		"The archive's disk failed 1 time in the last minute; weir tries again."
	);
}

static void the_cache_and_the_threads_are_looked_at(void **state) {
	(void)state;
	metrics.workers[0].cache.flows = metrics.workers[1].cache.flows = 940;
	assert_only(HEALTH_WARNING, "The flow cache is 94 % full; --cache-entries makes room.");
	metrics.workers[1].cache.records[FLOW_END_RESOURCES] = 7000;
	assert_only(
		HEALTH_WARNING,
		"The flow cache is too small: 7,000 flows left it before their time in the last "
		"minute; --cache-entries makes room."
	);
	metrics.workers[1].cache = (struct flow_cache_stats){0};
	metrics.workers[1].busy_ns = 62 * NS_PER_S;
	assert_only(
		HEALTH_WARNING,
		"Worker 1 was busy for 95 % of the last minute: packets are lost soon."
	);
	metrics.workers[1].busy_ns = 0;
	metrics.ledger.records_lost = 12;
	assert_only(
		HEALTH_BAD,
		"12 flow records found no room on the way to the exporter in the last minute."
	);
}

static void many_malformed_packets_are_told_and_a_few_are_not(void **state) {
	(void)state;
	metrics.ledger.reasons[1].count.packets = 3;
	read_in(RUN_METERS);
	assert_int_equal(health.lines[0].level, HEALTH_GOOD);
	metrics.ledger.reasons[1].count.packets = 30;
	assert_only(
		HEALTH_WARNING, "30 packets of the last minute, 10.0 % of them, were malformed."
	);
}

static void what_was_lost_before_the_last_minute_is_a_note(void **state) {
	(void)state;
	metrics.queues[0].missed = 17;
	metrics.sinks.sinks[0].losses[0].records = 4;
	for (unsigned i = 0; i < MINUTE_MARKS; i++) {
		metrics.taken_ns += 5 * NS_PER_S;
		minute_mark(&minute, &metrics);
	}
	for (unsigned i = 0; i < 3; i++)
		metrics.queues[i].received.packets += 100;
	assert_only(
		HEALTH_NOTE,
		"17 packets and 4 records were lost since the start, none in the last minute."
	);
}

static void the_worst_comes_first_and_what_has_no_room_is_the_least(void **state) {
	(void)state;
	metrics.workers[0].cache.flows = metrics.workers[1].cache.flows = 940;
	metrics.queues[2].errors = 5;
	metrics.ports[0].up = false;
	metrics.queues[0].missed = 9;
	read_in(RUN_STOPS);
	assert_int_equal(health.n, 5);
	assert_int_equal(health.lines[0].level, HEALTH_BAD);
	assert_non_null(strstr(health.lines[0].text, "dropped 9 packets"));
	assert_non_null(strstr(health.lines[1].text, "eth1 is down"));
	assert_line(2, HEALTH_WARNING, "weir is stopping.");
	assert_non_null(strstr(health.lines[3].text, "damaged"));
	assert_non_null(strstr(health.lines[4].text, "94 % full"));

	metrics.n_workers = SENSOR_MAX_WORKERS;
	for (unsigned i = 0; i < SENSOR_MAX_WORKERS; i++)
		metrics.workers[i].busy_ns = 64 * NS_PER_S;
	metrics.sinks.sinks[0].losses[0].records = 1; // is read behind the workers
	read_in(RUN_STOPS);
	assert_int_equal(health.n, HEALTH_MAX_LINES);
	assert_int_equal(health.n + health.n_more, 5 + 64 + 1);
	assert_non_null(strstr(health.lines[2].text, "1 record for 192.0.2.1:2055 was lost"));
}

static void a_minute_that_is_not_over_is_called_by_its_seconds(void **state) {
	(void)state;
	minute.n = minute.next = 0;
	metrics.taken_ns = 1000 * NS_PER_S;
	minute_mark(&minute, &metrics);
	metrics.taken_ns += 12 * NS_PER_S;
	metrics.queues[0].missed = 2;
	assert_only(
		HEALTH_BAD,
		"Port eth1 dropped 2 packets in the last 12 s: the machine is too slow for it."
	);
}

static void a_sink_is_known_by_its_name_when_others_come_and_go(void **state) {
	(void)state;
	metrics.sinks.sinks[1].losses[0].records = 1000;
	for (unsigned i = 0; i < MINUTE_MARKS; i++) {
		metrics.taken_ns += 5 * NS_PER_S;
		minute_mark(&minute, &metrics);
	}
	// The first is gone, and the second has taken its place.
	metrics.sinks.sinks[0] = metrics.sinks.sinks[1];
	metrics.sinks.sinks[0].losses[0].records += 2;
	metrics.sinks.sinks[1] = metrics.sinks.sinks[2];
	metrics.ledger.n_sinks = 2;
	metrics.sinks.n_collectors = 1;
	minute_read(&minute, &metrics, &last);
	assert_int_equal(last.sinks[0].lost[0], 2);
	assert_int_equal(minute_records_lost(&last), 2);
}

static char *printed(void) {
	char *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	read_in(RUN_METERS);
	status_json_print(
		&(struct status_facts){
			.metrics = &metrics,
			.last = &last,
			.health = &health,
			.history = &history,
			.state = RUN_METERS,
			.now_ns = INT64_C(1795651200) * NS_PER_S,
		},
		out
	);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void names_from_outside_are_escaped(void **state) {
	(void)state;
	metrics.sinks.sinks[0].name = "a\"b\\c\nd\xff</script>";
	metrics.sinks.sinks[0].losses[0].records = 1;
	char *text = printed();
	assert_non_null(strstr(text, "{\"name\":\"a\\\"b\\\\c\\u000ad\xef\xbf\xbd</script>\","));
	assert_non_null(strstr(text, "\"text\":\"1 record for a\\\"b\\\\c\\u000ad\xef\xbf\xbd"));
	free(text);
}

static void totals_and_the_last_minute_stand_side_by_side(void **state) {
	(void)state;
	metrics.ledger.reasons[0].count = (struct ledger_count){.packets = 30, .bytes = 1800};
	metrics.queues[1].received = (struct ledger_count){.packets = 250, .bytes = 9000};
	metrics.sinks.sinks[1].sent = 77;
	metrics.sinks.refusals[1] = 3;
	char *text = printed();
	assert_non_null(strstr(text, "\"last_s\":65.0,"));
	assert_non_null(
		strstr(text, "{\"reason\":\"not_ip\",\"packets\":30,\"bytes\":1800,\"last\":30}")
	);
	assert_non_null(strstr(text, "\"name\":\"eth1\",\"up\":true,\"packets\":350,"));
	assert_non_null(strstr(text, "\"sent\":77,\"last_sent\":77,"));
	assert_non_null(strstr(text, "\"refusals\":3,\"last_refusals\":3,"));
	free(text);
}

static void the_largest_is_of_bounded_size(void **state) {
	(void)state;
	metrics.n_ports = SENSOR_MAX_PORTS;
	metrics.n_workers = SENSOR_MAX_WORKERS;
	metrics.ledger.n_sinks = SINKS_MAX_COUNTS;
	metrics.sinks.n_collectors = SINKS_MAX_COLLECTORS;
	for (unsigned i = 0; i < SENSOR_MAX_PORTS; i++)
		metrics.ports[i].name = "eth0123456789ab";
	for (unsigned i = 0; i < SINKS_MAX_COUNTS; i++) {
		metrics.sinks.sinks[i] = (struct ledger_sink){
			.name = "ipfix+tls://[2001:db8:1234:5678:9abc:def0:1234:5678]:65535",
			.records = UINT64_MAX,
			.sent = UINT64_MAX,
		};
		for (unsigned j = 0; j < LEDGER_MAX_LOSSES; j++)
			ledger_sink_add_loss(&metrics.sinks.sinks[i], "unreachable", UINT64_MAX);
	}
	char *text = printed();
	assert_true(strlen(text) < 65536);
	free(text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_well_is_said_in_one_sentence, setup),
		cmocka_unit_test_setup(what_a_port_loses_is_told_with_its_name_and_cause, setup),
		cmocka_unit_test_setup(a_port_that_is_down_or_silent_is_told, setup),
		cmocka_unit_test_setup(what_a_sink_loses_is_told_with_the_main_cause, setup),
		cmocka_unit_test_setup(the_cache_and_the_threads_are_looked_at, setup),
		cmocka_unit_test_setup(many_malformed_packets_are_told_and_a_few_are_not, setup),
		cmocka_unit_test_setup(what_was_lost_before_the_last_minute_is_a_note, setup),
		cmocka_unit_test_setup(
			the_worst_comes_first_and_what_has_no_room_is_the_least, setup
		),
		cmocka_unit_test_setup(a_minute_that_is_not_over_is_called_by_its_seconds, setup),
		cmocka_unit_test_setup(a_sink_is_known_by_its_name_when_others_come_and_go, setup),
		cmocka_unit_test_setup(names_from_outside_are_escaped, setup),
		cmocka_unit_test_setup(totals_and_the_last_minute_stand_side_by_side, setup),
		cmocka_unit_test_setup(the_largest_is_of_bounded_size, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
