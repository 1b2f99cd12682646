#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exposition.h"
#include "metrics.h"

// Every number another one, so that none can stand for another.
static uint64_t next_number;

static uint64_t number(void) {
	return next_number += 7;
}

static struct ledger_count count(void) {
	return (struct ledger_count){.packets = number(), .bytes = number()};
}

static void fill_ledger(struct metrics *metrics) {
	struct ledger *ledger = &metrics->ledger;

	ledger->received = count();
	ledger->metered = count();
	ledger->metered_octets = number();
	ledger_add_reason(ledger, "not_ip", count());
	ledger_add_reason(ledger, "port_missed", count());
	metrics->queues[0] = (struct ledger_port){
		.name = "eth1",
		.received = count(),
		.missed = number(),
		.errors = number(),
		.no_mbuf = number(),
	};
	metrics->queues[1] = (struct ledger_port){.name = "eth1", .queue = 1, .received = count()};
	ledger->ports = metrics->queues;
	ledger->n_ports = 2;
	metrics->duplicates[0] =
		(struct ledger_pair){.first_if = 3, .second_if = 4, .count = count()};
	ledger->duplicates = metrics->duplicates;
	ledger->n_duplicates = 1;
	ledger->duplicates_forgotten = number();
	ledger->record_packets = number();
	ledger->record_octets = number();
	metrics->sinks.sinks[0] = (struct ledger_sink){
		.name = "192.0.2.1:2055",
		.records = number(),
		.sent = number(),
		.datagrams = number(),
		.octets = number(),
	};
	ledger_sink_add_loss(&metrics->sinks.sinks[0], "socket_full", number());
	ledger_sink_add_loss(&metrics->sinks.sinks[0], "refused", number());
	metrics->sinks.sinks[1] = (struct ledger_sink){
		.name = "archive /var/lib/weir",
		.records = number(),
		.sent = number(),
	};
	ledger_sink_add_loss(&metrics->sinks.sinks[1], "archive_full", number());
	ledger->sinks = metrics->sinks.sinks;
	ledger->n_sinks = 2;
	metrics->sinks.n_collectors = 1;
	metrics->sinks.refusals[0] = number();
}

static struct metrics *filled(void) {
	static struct metrics metrics;

	next_number = 1000;
	metrics = (struct metrics){.dpdk = "DPDK 22.11.0", .sampling_interval = 100};
	fill_ledger(&metrics);
	metrics.ports[0] = (struct sensor_port){.name = "eth1", .up = true};
	metrics.n_ports = 1;
	metrics.n_workers = 2;
	for (unsigned i = 0; i < metrics.n_workers; i++) {
		struct sensor_worker *worker = &metrics.workers[i];
		*worker = (struct sensor_worker){
			.cache.flows = number(),
			.cache.started = number(),
			.capacity_flows = (uint32_t)number(),
			.ring_records = (uint32_t)number(),
			.ring_capacity = (uint32_t)number(),
			.records_lost = number(),
			.busy_ns = UINT64_C(1500000000) * (i + 1),
		};
		for (unsigned end = 0; end < FLOW_END_COUNT; end++)
			worker->cache.records[end] = end == FLOW_END_NONE ? 0 : number();
	}
	metrics.lateness = (struct lateness_histogram){
		.counts = {1, 2, 3, 4, 5, 6, 7, 8, 9},
		.n_flows = 10,
		.sum_ms = 4321,
	};
	metrics.archive = "/var/lib/weir";
	metrics.archive_stats = (struct archive_stats){
		.files = number(),
		.bytes = number(),
		.deleted = number(),
		.errors = number(),
		.recovered = number(),
		.damaged = number(),
	};
	metrics.started_ns = INT64_C(1795651200) * NS_PER_S + NS_PER_S / 4;
	return &metrics;
}

static char *printed(const struct metrics *metrics, bool openmetrics) {
	char *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	metrics_print(metrics, out, openmetrics);
	assert_int_equal(fclose(out), 0);
	return text;
}

// That the text has a line "SERIES VALUE".
static void assert_value(const char *text, uint64_t value, const char *series) {
	char line[256];

	snprintf(line, sizeof(line), "\n%s %llu\n", series, (unsigned long long)value);
	if (strstr(text, line) == NULL)
		fail_msg("no '%s %llu'", series, (unsigned long long)value);
}

static void every_count_of_the_ledger_is_told(void **state) {
	const struct metrics *metrics = filled();
	const struct ledger *ledger = &metrics->ledger;
	char *text = printed(metrics, false);

	(void)state;
	assert_value(text, ledger->received.packets, "weir_received_packets_total");
	assert_value(text, ledger->received.bytes, "weir_received_bytes_total");
	assert_value(text, ledger->metered.packets, "weir_metered_packets_total");
	assert_value(text, ledger->metered.bytes, "weir_metered_bytes_total");
	assert_value(text, ledger->metered_octets, "weir_metered_ip_bytes_total");
	assert_value(text, ledger->record_packets, "weir_flow_record_packets_total");
	assert_value(text, ledger->record_octets, "weir_flow_record_ip_bytes_total");
	assert_value(text, ledger->duplicates_forgotten, "weir_duplicate_forgotten_packets_total");
	assert_value(
		text,
		ledger->duplicates[0].count.packets,
		"weir_duplicate_packets_total{first_if=\"3\",second_if=\"4\"}"
	);
	assert_value(
		text,
		ledger->reasons[0].count.packets,
		"weir_unmetered_packets_total{reason=\"not_ip\"}"
	);
	assert_value(
		text,
		ledger->reasons[1].count.bytes,
		"weir_unmetered_bytes_total{reason=\"port_missed\"}"
	);
	assert_value(
		text,
		ledger->ports[1].received.packets,
		"weir_packets_total{port=\"eth1\",queue=\"1\"}"
	);
	assert_value(
		text, ledger->ports[0].received.bytes, "weir_bytes_total{port=\"eth1\",queue=\"0\"}"
	);
	static const char *const reasons[] = {"missed", "errors", "no_mbuf"};
	const uint64_t lost[] = {
		ledger->ports[0].missed, ledger->ports[0].errors, ledger->ports[0].no_mbuf};
	for (unsigned i = 0; i < 3; i++) {
		char series[128];
		snprintf(
			series,
			sizeof(series),
			"weir_port_lost_packets_total{port=\"eth1\",reason=\"%s\"}",
			reasons[i]
		);
		assert_value(text, lost[i], series);
	}
	free(text);
}

static void every_sink_is_told_with_what_it_lost(void **state) {
	const struct metrics *metrics = filled();
	const struct ledger_sink *sinks = metrics->sinks.sinks;
	char *text = printed(metrics, false);

	(void)state;
	assert_value(text, sinks[0].records, "weir_sink_records_total{sink=\"192.0.2.1:2055\"}");
	assert_value(
		text, sinks[1].sent, "weir_sink_sent_records_total{sink=\"archive /var/lib/weir\"}"
	);
	assert_value(
		text,
		sinks[0].losses[1].records,
		"weir_sink_lost_records_total{sink=\"192.0.2.1:2055\",reason=\"refused\"}"
	);
	assert_value(
		text,
		sinks[1].losses[0].records,
		"weir_sink_lost_records_total{sink=\"archive "
		"/var/lib/weir\",reason=\"archive_full\"}"
	);
	assert_value(
		text, sinks[0].datagrams, "weir_collector_datagrams_total{sink=\"192.0.2.1:2055\"}"
	);
	assert_value(text, sinks[0].octets, "weir_collector_bytes_total{sink=\"192.0.2.1:2055\"}");
	assert_value(
		text,
		metrics->sinks.refusals[0],
		"weir_collector_refusals_total{sink=\"192.0.2.1:2055\"}"
	);
	assert_null(strstr(text, "weir_collector_bytes_total{sink=\"archive"));
	assert_value(
		text,
		metrics->archive_stats.errors,
		"weir_archive_errors_total{dir=\"/var/lib/weir\"}"
	);
	assert_value(
		text,
		metrics->archive_stats.bytes,
		"weir_archive_bytes_total{dir=\"/var/lib/weir\"}"
	);
	free(text);
}

static void every_worker_is_told(void **state) {
	struct metrics *metrics = filled();
	const struct sensor_worker *worker = &metrics->workers[1];
	char *text = printed(metrics, false);

	(void)state;
	assert_value(text, worker->cache.flows, "weir_cache_flows{worker=\"1\"}");
	assert_value(text, worker->capacity_flows, "weir_cache_capacity_flows{worker=\"1\"}");
	assert_value(text, worker->cache.started, "weir_flows_started_total{worker=\"1\"}");
	assert_value(text, worker->ring_records, "weir_ring_records{worker=\"1\"}");
	assert_value(text, worker->ring_capacity, "weir_ring_capacity_records{worker=\"1\"}");
	assert_value(text, worker->records_lost, "weir_ring_lost_records_total{worker=\"1\"}");
	assert_value(text, 3, "weir_worker_busy_seconds_total{worker=\"1\"}");
	for (unsigned end = FLOW_END_NONE + 1; end < FLOW_END_COUNT; end++) {
		char series[128];
		snprintf(
			series,
			sizeof(series),
			"weir_flow_records_total{worker=\"1\",reason=\"%s\"}",
			flow_end_name((enum flow_end)end)
		);
		assert_value(text, worker->cache.records[end], series);
	}
	assert_null(strstr(text, "worker=\"reader\""));
	free(text);
	metrics->has_reader = true;
	metrics->reader_busy_ns = 5 * NS_PER_S;
	text = printed(metrics, false);
	assert_value(text, 5, "weir_worker_busy_seconds_total{worker=\"reader\"}");
	free(text);
}

static void lateness_is_a_histogram_in_seconds(void **state) {
	char *text = printed(filled(), false);

	(void)state;
	assert_non_null(strstr(
		text,
		"_bucket{le=\"0.005\"} 1\nweir_ageing_lateness_seconds_bucket{le=\"0.01\"} 2\n"
	));
	assert_value(text, 8, "weir_ageing_lateness_seconds_bucket{le=\"1.0\"}");
	assert_value(text, 10, "weir_ageing_lateness_seconds_bucket{le=\"+Inf\"}");
	assert_non_null(strstr(
		text,
		"\nweir_ageing_lateness_seconds_sum 4.321\nweir_ageing_lateness_seconds_count 10\n"
	));
	free(text);
}

static void reloads_are_told_where_there_is_a_config_file(void **state) {
	struct metrics *metrics = filled();
	char *text = printed(metrics, false);

	(void)state;
	assert_non_null(strstr(text, "# TYPE weir_config_reloads_total counter\n"));
	assert_null(strstr(text, "\nweir_config_"));
	free(text);
	metrics->has_reload = true;
	metrics->reloads = (struct reload_counts){
		.results = {[RELOAD_APPLIED] = 5, [RELOAD_REFUSED] = 2},
		.last = RELOAD_PARTLY,
		.read_ns = INT64_C(1795651300) * NS_PER_S + NS_PER_S / 2,
	};
	text = printed(metrics, false);
	assert_value(text, 5, "weir_config_reloads_total{result=\"applied\"}");
	assert_value(text, 0, "weir_config_reloads_total{result=\"partly\"}");
	assert_value(text, 2, "weir_config_reloads_total{result=\"refused\"}");
	assert_value(text, 1, "weir_config_last_reload_successful");
	assert_non_null(
		strstr(text, "\nweir_config_last_reload_success_timestamp_seconds 1795651300.5\n")
	);
	free(text);
	metrics->reloads.last = RELOAD_REFUSED;
	text = printed(metrics, false);
	assert_value(text, 0, "weir_config_last_reload_successful");
	free(text);
}

// OpenMetrics 1.0: a counter's family has no _total, its samples have, and the end is marked.
static void the_formats_differ_where_they_must(void **state) {
	char *text = printed(filled(), false);

	(void)state;
	assert_non_null(strstr(text, "\n# TYPE weir_metered_packets_total counter\n"));
	assert_non_null(strstr(text, "\nprocess_start_time_seconds 1795651200.25\n"));
	assert_null(strstr(text, "# EOF"));
	free(text);
	text = printed(filled(), true);
	assert_non_null(strstr(text, "\n# TYPE weir_metered_packets counter\n"));
	assert_non_null(strstr(text, "\nweir_metered_packets_total "));
	assert_string_equal(text + strlen(text) - 7, "\n# EOF\n");
	free(text);
}

static void each_family_is_told_once_with_its_help_and_type(void **state) {
	char *text = printed(filled(), false);
	unsigned n = 0;

	(void)state;
	for (const char *at = text; (at = strstr(at, "# TYPE ")) != NULL; n++) {
		char name[128], head[160];
		at += strlen("# TYPE ");
		assert_int_equal(sscanf(at, "%127s", name), 1);
		snprintf(head, sizeof(head), "# TYPE %s ", name);
		assert_null(strstr(at, head));
		snprintf(head, sizeof(head), "# HELP %s ", name);
		assert_non_null(strstr(text, head));
	}
	assert_true(n > 30);
	free(text);
}

static void names_from_outside_break_no_line(void **state) {
	struct metrics *metrics = filled();

	(void)state;
	metrics->sinks.sinks[1].name = "archive a\"b\\c\nd\xff\xc3\xa9";
	char *text = printed(metrics, false);
	assert_value(
		text,
		metrics->sinks.sinks[1].records,
		"weir_sink_records_total{sink=\"archive a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa9\"}"
	);
	free(text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_count_of_the_ledger_is_told),
		cmocka_unit_test(every_sink_is_told_with_what_it_lost),
		cmocka_unit_test(every_worker_is_told),
		cmocka_unit_test(lateness_is_a_histogram_in_seconds),
		cmocka_unit_test(reloads_are_told_where_there_is_a_config_file),
		cmocka_unit_test(the_formats_differ_where_they_must),
		cmocka_unit_test(each_family_is_told_once_with_its_help_and_type),
		cmocka_unit_test(names_from_outside_break_no_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
