// What a sensor says of itself, and who reads it; and what is asked of it.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "live_protocol.h"
#include "live_request.h"
#include "live_status.h"
#include "metrics.h"

static struct live_status status;
static char error[LIVE_STATUS_ERROR_BYTES];

static int parse(const char *text) {
	return live_status_parse(text, strlen(text), &status, error);
}

static void what_is_said_is_read_again(void **state) {
	(void)state;
	static struct metrics metrics;
	static struct ledger_port queues[] = {
		{.name = "eth 1%\x1b", .queue = 0, .received = {70, 7000}, .missed = 3},
		{.name = "eth 1%\x1b", .queue = 1, .received = {30, 3000}},
	};
	static struct ledger_sink sinks[2] = {
		{.name = "192.0.2.1:2055", .records = 9, .sent = 7, .datagrams = 2, .octets = 300},
		{.name = "archive /var/lib/my archive", .records = 9, .sent = 9},
	};
	char *text = NULL;
	size_t bytes = 0;

	ledger_sink_add_loss(&sinks[0], "refused", 2);
	metrics = (struct metrics){
		.taken_ns = 5000,
		.started_ns = 1000,
		.sampling_interval = 4,
		.ports = {{.name = "eth 1%\x1b", .up = true}},
		.n_ports = 1,
		.has_reader = true,
		.reader_busy_ns = 77,
		.workers =
			{{.cache = {.packets = 90, .octets = 9000, .flows = 5, .started = 14},
			  .capacity_flows = 100,
			  .ring_records = 8,
			  .ring_capacity = 16,
			  .records_lost = 1,
			  .busy_ns = 55}},
		.n_workers = 1,
		.ledger =
			{
				.received = {103, 10000},
				.metered = {90, 9500},
				.metered_octets = 9000,
				.ports = queues,
				.n_ports = 2,
				.records = {[FLOW_END_IDLE] = 6, [FLOW_END_ACTIVE] = 3},
				.record_packets = 50,
				.record_octets = 5000,
				.records_lost = 1,
				.lateness = {9, 1, 2, 3},
				.sinks = sinks,
				.n_sinks = 2,
			},
	};
	ledger_add_reason(&metrics.ledger, "filtered", (struct ledger_count){10, 500});
	FILE *out = open_memstream(&text, &bytes);
	live_status_print(&metrics, 7000, out);
	fclose(out);
	assert_int_equal(live_status_parse(text, bytes, &status, error), 0);
	free(text);

	assert_string_equal(status.version, WEIR_VERSION);
	assert_int_equal(status.taken_ns, 5000);
	assert_int_equal(status.time_ns, 7000);
	assert_int_equal(status.uptime_ns, 6000);
	assert_int_equal(status.sampling, 4);
	assert_int_equal(status.received.packets, 103);
	assert_int_equal(status.received.bytes, 10000);
	assert_int_equal(status.metered.packets, 90);
	assert_int_equal(status.metered_octets, 9000);
	assert_int_equal(status.n_reasons, 1);
	assert_string_equal(status.reasons[0].name, "filtered");
	assert_int_equal(status.reasons[0].count.bytes, 500);
	assert_int_equal(status.n_ends, FLOW_END_COUNT - 1);
	assert_string_equal(status.ends[FLOW_END_ACTIVE - 1].name, "active");
	assert_int_equal(status.ends[FLOW_END_ACTIVE - 1].records, 3);
	assert_int_equal(status.record_packets, 50);
	assert_int_equal(status.record_octets, 5000);
	assert_int_equal(status.records_lost, 1);
	assert_int_equal(status.late_flows, 9);
	assert_int_equal(status.late_max_ms, 3);
	// Both queues; and nothing in a name that a terminal would obey.
	assert_int_equal(status.n_ports, 1);
	assert_string_equal(status.ports[0].name, "eth 1%?");
	assert_true(status.ports[0].up);
	assert_int_equal(status.ports[0].received.packets, 100);
	assert_int_equal(status.ports[0].missed, 3);
	assert_true(status.has_reader);
	assert_int_equal(status.reader_busy_ns, 77);
	assert_int_equal(status.n_workers, 1);
	assert_int_equal(status.workers[0].flows, 5);
	assert_int_equal(status.workers[0].capacity, 100);
	assert_int_equal(status.workers[0].started, 14);
	assert_int_equal(status.workers[0].packets, 90);
	assert_int_equal(status.workers[0].octets, 9000);
	assert_int_equal(status.workers[0].ring, 8);
	assert_int_equal(status.workers[0].ring_capacity, 16);
	assert_int_equal(status.workers[0].lost, 1);
	assert_int_equal(status.workers[0].busy_ns, 55);
	assert_int_equal(status.n_sinks, 2);
	assert_int_equal(status.sinks[0].sent, 7);
	assert_int_equal(status.sinks[0].octets, 300);
	assert_int_equal(status.sinks[0].n_losses, 1);
	assert_string_equal(status.sinks[0].losses[0].name, "refused");
	assert_int_equal(status.sinks[0].losses[0].records, 2);
	assert_string_equal(status.sinks[1].name, "archive /var/lib/my archive");
	assert_int_equal(status.sinks[1].n_losses, 0);
}

static void lines_of_a_newer_sensor_are_passed_over(void **state) {
	(void)state;
	assert_int_equal(parse("weir-status 1\nmood good enough\nsampling 3\nend\n"), 0);
	assert_int_equal(status.sampling, 3);
}

static void what_is_cut_or_malformed_is_refused(void **state) {
	(void)state;
	static const char *const bad[] = {
		"",
		"weir-status 2\nend\n",
		"weir-status 1\n",
		"weir-status 1\nend",
		"weir-status 1\nend\nsampling 1\n",
		"weir-status 1\nsampling\nend\n",
		"weir-status 1\nsampling 1 2\nend\n",
		"weir-status 1\nsampling -1\nend\n",
		"weir-status 1\nsampling +1\nend\n",
		"weir-status 1\nsampling  1\nend\n",
		"weir-status 1\nsampling 0x1\nend\n",
		"weir-status 1\nsampling 99999999999999999999\nend\n",
		"weir-status 1\nreceived 1\nend\n",
		"weir-status 1\n\nend\n",
		"weir-status 1\n sampling 1\nend\n",
		"weir-status 1\nloss refused 1\nend\n",
		"weir-status 1\nrecords id%4 1\nend\n",
		"weir-status 1\nrecords id%zz 1\nend\n",
		"weir-status 1\nrecords 1\nend\n",
		"weir-status 1\nrecords idle 1 \nend\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i]) != -EBADMSG)
			fail_msg("was read: %s", bad[i]);
	const char nul[] = "weir-status 1\nversion a\0b\nend\n";
	assert_int_equal(live_status_parse(nul, sizeof(nul) - 1, &status, error), -EBADMSG);
	assert_int_equal(parse("weir-status 1\nsampling 1\nsampling x\nend\n"), -EBADMSG);
	assert_string_equal(error, "line 3 of the answer cannot be read");
}

static void no_array_takes_more_than_it_holds(void **state) {
	(void)state;
	static const struct {
		const char *line;
		unsigned most;
	} arrays[] = {
		{"reason r 1 1\n", STATUS_MAX_REASONS},
		{"records r 1\n", STATUS_MAX_ENDS},
		{"port p 1 1 1 1 1 1\n", STATUS_MAX_PORTS},
		{"worker 1 1 1 1 1 1 1 1 1\n", STATUS_MAX_WORKERS},
		{"sink s 1 1 1 1\n", STATUS_MAX_SINKS},
		{"loss l 1\n", STATUS_MAX_LOSSES},
	};
	char text[4096];

	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
		for (unsigned more = 0; more < 2; more++) {
			strcpy(text, "weir-status 1\n");
			if (arrays[i].line[0] == 'l')
				strcat(text, "sink s 1 1 1 1\n");
			for (unsigned n = 0; n < arrays[i].most + more; n++)
				strcat(text, arrays[i].line);
			strcat(text, "end\n");
			assert_int_equal(parse(text), more ? -EBADMSG : 0);
		}
	}
}

static void a_line_that_is_too_long_is_refused(void **state) {
	(void)state;
	char text[2 * LIVE_STATUS_LINE_BYTES] = "weir-status 1\nnews ";

	memset(text + strlen(text), 'a', LIVE_STATUS_LINE_BYTES);
	strcat(text, "\nend\n");
	assert_int_equal(parse(text), -EBADMSG);
	// And a name that is too long for its place.
	memset(text, 0, sizeof(text));
	strcpy(text, "weir-status 1\nversion ");
	memset(text + strlen(text), 'a', STATUS_NAME_BYTES);
	strcat(text, "\nend\n");
	assert_int_equal(parse(text), -EBADMSG);
}

static void requests_are_lines_of_known_words(void **state) {
	(void)state;
	static const char *const bad[] = {
		"",
		"\n",
		"flows",
		"flow\n",
		"flows \n",
		"status 1\n",
		"active\n",
		"active 1 2\n",
		"active 1 2 3 4\n",
		"active 1 2 3",
		"active -1 2 3\n",
		"active 1  2 3\n",
		"active 1 4294967296 3\n",
		"active 1 2 65537\n",
		"active 18446744073709551616 2 3\n",
		"active1 2 3\n",
		"actively 1 2 3\n",
	};
	struct live_request request;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (live_request_parse(bad[i], &request) != -EBADMSG)
			fail_msg("was taken: %s", bad[i]);
	assert_int_equal(live_request_parse("flows\n", &request), 0);
	assert_int_equal(request.want, LIVE_FLOWS);
	assert_int_equal(live_request_parse("status\n", &request), 0);
	assert_int_equal(request.want, LIVE_STATUS);
	assert_int_equal(
		live_request_parse("active 18446744073709551615 4294967295 65536\n", &request), 0
	);
	assert_int_equal(request.want, LIVE_ACTIVE);
	assert_true(request.since_ticks == UINT64_MAX && request.first == UINT32_MAX);
	assert_int_equal(request.count, LIVE_MOST_BUCKETS);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said_is_read_again),
		cmocka_unit_test(lines_of_a_newer_sensor_are_passed_over),
		cmocka_unit_test(what_is_cut_or_malformed_is_refused),
		cmocka_unit_test(no_array_takes_more_than_it_holds),
		cmocka_unit_test(a_line_that_is_too_long_is_refused),
		cmocka_unit_test(requests_are_lines_of_known_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
