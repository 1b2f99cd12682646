// The ledger: sums that hold, sums that do not, and what is printed of them.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger.h"

static struct ledger_sink sink;

static struct ledger balanced(void) {
	struct ledger ledger = {
		.received = {10, 1000},
		.metered = {7, 800},
		.metered_octets = 700,
		.records = {[FLOW_END_IDLE] = 2, [FLOW_END_FORCED] = 1},
		.record_packets = 7,
		.record_octets = 700,
		.sinks = &sink,
		.n_sinks = 1,
	};
	ledger_add_reason(&ledger, "filtered", (struct ledger_count){1, 50});
	ledger_add_reason(&ledger, "not_ip", (struct ledger_count){2, 150});
	static const struct ledger_pair pairs[] = {{1, 2, {1, 60}}, {2, 2, {1, 90}}};
	ledger_add_reason(&ledger, "duplicate", (struct ledger_count){2, 150});
	ledger.received = (struct ledger_count){12, 1150};
	ledger.duplicates = pairs;
	ledger.n_duplicates = 2;
	static struct ledger_port ports[2];
	ports[0] = (struct ledger_port){"eth1", 0, {6, 650}, .missed = 2, .no_mbuf = 1};
	ports[1] = (struct ledger_port){"eth1", 1, {3, 500}};
	ledger.ports = ports;
	ledger.n_ports = 2;
	ledger.lateness = (struct ledger_lateness){2, 100, 240, 250};
	sink = (struct ledger_sink){.name = "a\"b\\c\n", .records = 3, .sent = 1};
	ledger_sink_add_loss(&sink, "refused", 2);
	return ledger;
}

static void balanced_ledger_passes(void **state) {
	struct ledger ledger = balanced();
	char error[LEDGER_ERROR_BYTES];
	(void)state;

	assert_int_equal(ledger_check(&ledger, error), 0);
	assert_string_equal(error, "");
}

static void every_sum_that_does_not_hold_is_named(void **state) {
	struct ledger ledger;
	char error[LEDGER_ERROR_BYTES];
	(void)state;

#define BREAKS(change, words)                                                                      \
	do {                                                                                       \
		ledger = balanced();                                                               \
		change;                                                                            \
		assert_true(ledger_check(&ledger, error) < 0);                                     \
		assert_non_null(strstr(error, words));                                             \
	} while (0)
	BREAKS(ledger.received.packets++, "packets received");
	BREAKS(ledger.received.bytes++, "bytes received");
	BREAKS(ledger.reasons[1].count.packets--, "packets received");
	BREAKS(ledger.n_duplicates--, "duplicate packets");
	BREAKS(ledger.n_ports--, "those by ports");
	BREAKS(ledger.record_packets--, "packets metered");
	BREAKS(ledger.record_octets++, "octets metered");
	BREAKS(ledger.records[FLOW_END_IDLE]++, "records made");
	BREAKS(sink.sent++, "records given");
	BREAKS(sink.losses[0].records = 0, "records given");
}

static char *printed(int (*print)(const struct ledger *, FILE *), const struct ledger *ledger) {
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(print(ledger, out), 0);
	fclose(out);
	return text;
}

static void sinks_that_came_late_or_left_are_given_the_rest(void **state) {
	struct ledger ledger = balanced();
	char error[LEDGER_ERROR_BYTES];
	struct ledger_sink sinks[3];
	(void)state;

	sinks[0] = sink;
	sinks[1] = (struct ledger_sink){.name = "late", .records = 1, .absent = 2, .sent = 1};
	ledger.sinks = sinks;
	ledger.n_sinks = 2;
	assert_int_equal(ledger_check(&ledger, error), 0);
	char *text = printed(ledger_print_text, &ledger);
	assert_non_null(strstr(text, "  made while not there                   2 records\n"));
	free(text);
	sinks[1].absent = 1;
	assert_true(ledger_check(&ledger, error) < 0);
	assert_non_null(strstr(error, "records made"));

	// Of three that are gone, each had what was made meanwhile.
	sinks[1] = (struct ledger_sink
	){.name = "former", .former = true, .due = 7, .records = 7, .sent = 7};
	assert_int_equal(ledger_check(&ledger, error), 0);
	sinks[1].due = 8;
	assert_true(ledger_check(&ledger, error) < 0);

	// One record was made while there was none of those that share.
	for (unsigned i = 1; i < 3; i++)
		sinks[i] = (struct ledger_sink
		){.name = "shares", .records = 1, .absent = 1, .shares = true, .sent = 1};
	ledger.n_sinks = 3;
	assert_int_equal(ledger_check(&ledger, error), 0);
	sinks[2].records = sinks[2].sent = 2;
	assert_true(ledger_check(&ledger, error) < 0);
	assert_non_null(strstr(error, "shared out"));
}

static void flows_still_cached_excuse_their_packets(void **state) {
	struct ledger ledger = balanced();
	char error[LEDGER_ERROR_BYTES];
	(void)state;

	ledger.record_packets = 3;
	ledger.record_octets = 300;
	ledger.cached_flows = 1;
	assert_int_equal(ledger_check(&ledger, error), 0);
}

static void json_names_every_counter_and_escapes_names(void **state) {
	struct ledger ledger = balanced();
	(void)state;

	char *text = printed(ledger_print_json, &ledger);
	assert_string_equal(
		text,
		"{\"received\":{\"packets\":12,\"bytes\":1150},\"metered\":{\"packets\":7,"
		"\"bytes\":800},"
		"\"metered_octets\":700,\"not_metered\":{\"filtered\":{\"packets\":1,\"bytes\":50},"
		"\"not_ip\":{\"packets\":2,\"bytes\":150},"
		"\"duplicate\":{\"packets\":2,\"bytes\":150}},\"duplicates\":["
		"{\"first_if\":1,\"second_if\":2,\"packets\":1,\"bytes\":60},"
		"{\"first_if\":2,\"second_if\":2,\"packets\":1,\"bytes\":90}],"
		"\"duplicates_forgotten\":0,\"ports\":["
		"{\"name\":\"eth1\",\"queue\":0,\"packets\":6,\"bytes\":650,\"missed\":2,"
		"\"errors\":0,\"no_mbuf\":1},"
		"{\"name\":\"eth1\",\"queue\":1,\"packets\":3,\"bytes\":500,\"missed\":0,"
		"\"errors\":0,\"no_mbuf\":0}],\"lateness\":{\"flows\":2,\"p50_ms\":100,"
		"\"p99_ms\":240,\"max_ms\":250},\"records\":3,\"records_by_end\":{"
		"\"idle\":2,"
		"\"active\":0,\"detected\":0,\"forced\":1,\"resources\":0},\"records_lost\":0,"
		"\"record_packets\":7,"
		"\"record_octets\":700,\"cached_flows\":0,\"sinks\":[{\"name\":"
		"\"a\\\"b\\\\c\\u000a\","
		"\"records\":3,\"absent\":0,\"sent\":1,\"lost\":{\"refused\":2},\"datagrams\":0,"
		"\"octets\":0}],"
		"\"balanced\":true}\n"
	);
	free(text);
}

static void text_says_whether_it_balances(void **state) {
	struct ledger ledger = balanced();
	(void)state;

	char *text = printed(ledger_print_text, &ledger);
	assert_non_null(strstr(text, "not_ip"));
	assert_non_null(strstr(text, "duplicate: port 1     then 2            1 packets"));
	assert_non_null(strstr(text, "port eth1 queue 1: 3 packets, 500 bytes\n"));
	assert_non_null(strstr(text, "the port lost: missed 2, errors 0, no_mbuf 1"));
	assert_non_null(strstr(text, "left late by at most 250 ms; 99 % of them by 240 ms"));
	assert_non_null(strstr(text, "every packet and every record is accounted for"));
	free(text);
	ledger.received.packets++;
	text = printed(ledger_print_text, &ledger);
	assert_non_null(strstr(text, "BROKEN"));
	free(text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(balanced_ledger_passes),
		cmocka_unit_test(every_sum_that_does_not_hold_is_named),
		cmocka_unit_test(sinks_that_came_late_or_left_are_given_the_rest),
		cmocka_unit_test(flows_still_cached_excuse_their_packets),
		cmocka_unit_test(json_names_every_counter_and_escapes_names),
		cmocka_unit_test(text_says_whether_it_balances),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
