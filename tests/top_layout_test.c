// What weir top shows, and what its keys do.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "top_keys.h"
#include "top_layout.h"

static struct canvas canvas;
static struct top_model model;
static struct top_choice choice;
static struct top_rows rows;

static int setup(void **state) {
	(void)state;
	model = (struct top_model){.has_status = true};
	struct live_status *status = &model.status;
	strcpy(status->version, "1.2.3");
	status->uptime_ns = (uint64_t)93784 * NS_PER_S;
	status->n_ports = 1;
	strcpy(status->ports[0].name, "eth1");
	status->ports[0].up = true;
	status->n_workers = 2;
	status->workers[0] = (struct status_worker){.flows = 250, .capacity = 500};
	status->workers[1] = (struct status_worker){.flows = 500, .capacity = 500, .lost = 3};
	status->n_reasons = 1;
	strcpy(status->reasons[0].name, "port_missed");
	status->n_sinks = 1;
	strcpy(status->sinks[0].name, "192.0.2.9:2055");
	status->sinks[0].n_losses = 1;
	status->sinks[0].losses[0] = (struct status_records){.name = "refused", .records = 12};
	model.rates = (struct top_rates){
		.seconds = 1,
		.packets = 1234567,
		.bits = 9.87e9,
		.dropped = 42,
		.not_metered = {42},
		.workers_busy = {0.5, 1},
		.sinks_sent = {100},
		.sinks_lost = {12},
	};
	rows = (struct top_rows){.n = 40, .n_all = 40, .octets_s = 4000, .packets_s = 400};
	for (unsigned i = 0; i < rows.n; i++)
		rows.rows[i] = (struct top_row){
			.key = {.family = FLOW_IPV4,
				.proto = 17,
				.src_port = htons(53),
				.dst_port = htons(40000),
				.src4 = {10, 0, 0, (uint8_t)i},
				.dst4 = {10, 0, 1, (uint8_t)i}},
			.octets_s = i == 0 ? 2000 : 50,
			.packets_s = 10,
			.flows = 1,
		};
	choice = (struct top_choice){.interval_s = 1};
	return 0;
}

static void draw(unsigned n_rows, unsigned cols) {
	canvas_begin(&canvas, n_rows, cols, false);
	top_layout(&canvas, &choice, &model, &rows);
}

static const char *row_of(unsigned row) {
	static char text[CANVAS_MAX_COLS + 1];
	for (unsigned col = 0; col < canvas.cols; col++)
		text[col] = (char)canvas.cells[row][col].glyph;
	text[canvas.cols] = '\0';
	return text;
}

static bool shows(const char *text) {
	for (unsigned row = 0; row < canvas.rows; row++)
		if (strstr(row_of(row), text) != NULL)
			return true;
	return false;
}

static void assert_shows(const char *text) {
	if (!shows(text)) {
		canvas_print(&canvas, stderr);
		fail_msg("'%s' is not shown", text);
	}
}

static void eighty_by_twenty_four_shows_all_figures(void **state) {
	(void)state;
	draw(24, 80);
	assert_shows("weir 1.2.3  up 1d 02:03:04  eth1");
	assert_shows("packets 1.23M/s  bits 9.87G/s");
	assert_shows("dropped 42/s");
	assert_shows("flows 750 of 1.00k [#######...]  75%");
	assert_shows("not metered port_missed 42/s");
	assert_shows("[#####.....]  50%  [##########] 100%");
	assert_shows("to 192.0.2.9:2055 100/s loses");
	assert_shows("SOURCE ADDRESS");
	assert_shows("10.0.0.0 ");
	assert_shows("16.0k        10       1  [#####.....]");
	assert_shows("q quit  ? help");
}

static void forty_by_ten_shows_what_matters(void **state) {
	(void)state;
	draw(10, 40);
	assert_shows("packets 1.23M/s  bits 9.87G/s");
	assert_shows("dropped 42/s");
	assert_shows("1 sources 2 3 4 5 6");
	assert_shows("10.0.0.3 ");
	assert_shows("q quit");
	assert_false(shows("not metered"));
}

static void any_size_is_drawn_within_it(void **state) {
	(void)state;
	for (unsigned view = 0; view < TOP_ALL_VIEWS; view++) {
		for (unsigned size = 1; size < 60; size++) {
			choice.view = view;
			draw(size, 60 - size);
			draw(60 - size, 3 * size);
		}
	}
	draw(1000, 1000);
	assert_int_equal(canvas.rows, CANVAS_MAX_ROWS);
	assert_int_equal(canvas.cols, CANVAS_MAX_COLS);
}

static void too_small_is_told(void **state) {
	(void)state;
	draw(4, 30);
	assert_shows("too small");
}

static void two_long_addresses_share_the_columns(void **state) {
	(void)state;
	struct flow_key *key = &rows.rows[0].key;

	choice.view = TOP_CONVERSATIONS;
	*key = (struct flow_key){.family = FLOW_IPV6};
	assert_int_equal(
		inet_pton(AF_INET6, "2001:db8:1111:2222:3333:4444:5555:6666", key->src6), 1
	);
	assert_int_equal(
		inet_pton(AF_INET6, "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", key->dst6), 1
	);
	draw(24, 80);
	assert_shows("2001:db8:1111:2222:3333~ - 2001:db8:aaaa:bbbb:cccc~");
	draw(24, 140);
	assert_shows(
		"2001:db8:1111:2222:3333:4444:5555:6666 - 2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"
	);
	assert_int_equal(inet_pton(AF_INET6, "::1", key->src6), 1);
	draw(24, 80);
	assert_shows("::1 - 2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff");
}

static void flows_show_their_ports(void **state) {
	(void)state;
	choice.view = TOP_FLOWS;
	draw(24, 80);
	assert_shows("udp   10.0.0.0:53 > 10.0.1.0:40000");
	rows.rows[0].key =
		(struct flow_key){.family = FLOW_IPV6, .proto = 58, .dst_port = htons(32768)};
	draw(24, 80);
	assert_shows("icmp6 :: > ::");
	choice.view = TOP_PORTS;
	rows.rows[0].key = (struct flow_key){.family = FLOW_IPV4, .proto = 254};
	draw(24, 80);
	assert_shows("proto 254");
	assert_shows("udp 53");
}

static bool name(const struct flow_key *key, bool source, char *out, void *arg) {
	(void)arg;
	(void)source;
	strcpy(out, "host.example");
	return key->src4[3] == 1;
}

static void names_stand_where_they_are_known_and_asked_for(void **state) {
	(void)state;
	choice.name = name;
	draw(24, 80);
	assert_false(shows("host.example"));
	choice.names = true;
	draw(24, 80);
	assert_shows("host.example");
	assert_shows("10.0.0.2 ");
	assert_false(shows("10.0.0.1 "));
}

static void the_sensor_view_tells_each_part(void **state) {
	(void)state;
	choice.view = TOP_SENSOR_VIEW;
	draw(24, 80);
	assert_shows("port   eth1");
	assert_shows("worker 1  [##########] 100%");
	assert_shows("lost 3");
	assert_shows("refused 12 records lost since the start");
	choice.scroll = 1000;
	draw(12, 80);
	assert_shows("refused 12 records lost");
}

static void keys_scroll_no_further_than_there_are_rows(void **state) {
	(void)state;
	assert_int_equal(top_keys_press(&choice, TOP_KEY_END, 10), TOP_DRAW);
	draw(24, 80);
	assert_int_equal(choice.scroll, 40 - 15);
	assert_shows("10.0.0.39 ");
	top_keys_press(&choice, TOP_KEY_UP, 10);
	top_keys_press(&choice, TOP_KEY_PAGE_UP, 10);
	assert_int_equal(choice.scroll, 40 - 15 - 1 - 9);
	top_keys_press(&choice, TOP_KEY_HOME, 10);
	top_keys_press(&choice, TOP_KEY_UP, 10);
	assert_int_equal(choice.scroll, 0);
}

static void keys_choose_view_and_order(void **state) {
	(void)state;
	top_keys_press(&choice, '6', 10);
	assert_int_equal(choice.view, TOP_SENSOR_VIEW);
	top_keys_press(&choice, '\t', 10);
	assert_int_equal(choice.view, TOP_SOURCES);
	top_keys_press(&choice, '7', 10);
	assert_int_equal(choice.view, TOP_SOURCES);
	top_keys_press(&choice, 's', 10);
	assert_int_equal(choice.sort, TOP_BY_PACKETS);
	top_keys_press(&choice, 'l', 10);
	top_keys_press(&choice, 's', 10);
	assert_int_equal(choice.sort, TOP_BY_BITS);
	assert_int_equal(top_keys_press(&choice, 'p', 10), TOP_PACE);
	assert_true(choice.paused);
	draw(24, 80);
	assert_shows("PAUSED");
	assert_int_equal(top_keys_press(&choice, '+', 10), TOP_PACE);
	assert_true(choice.interval_s == 2);
	for (unsigned i = 0; i < 40; i++)
		top_keys_press(&choice, '-', 10);
	assert_true(choice.interval_s >= 0.1);
	assert_int_equal(top_keys_press(&choice, 'q', 10), TOP_QUIT);
}

static void press(const char *keys) {
	for (; *keys != '\0'; keys++)
		top_keys_press(&choice, *keys, 10);
}

static void a_filter_is_typed_and_a_wrong_one_is_told(void **state) {
	(void)state;
	press("fq80"); // no quitting
	draw(24, 80);
	assert_shows("filter: q80_");
	top_keys_press(&choice, 'U' - '@', 10);
	press("81");
	top_keys_press(&choice, TOP_KEY_BACKSPACE, 10);
	press("0");
	top_keys_press(&choice, TOP_KEY_ENTER, 10);
	assert_string_equal(choice.filter.text, "80");
	draw(24, 80);
	assert_shows("SOURCE ADDRESS (80)");
	press("/x");
	top_keys_press(&choice, TOP_KEY_ENTER, 10);
	assert_string_equal(choice.filter.text, "80");
	draw(24, 80);
	assert_shows("'80x' is no address");
	press("f!");
	top_keys_press(&choice, TOP_KEY_ESCAPE, 10);
	assert_string_equal(choice.filter.text, "80");
	assert_false(choice.edits);
	// No more than its place takes.
	press("f");
	for (unsigned i = 0; i < 1000; i++)
		press("1");
	assert_int_equal(strlen(choice.edited), TOP_FILTER_BYTES - 1);
}

static void help_tells_every_key_on_any_screen(void **state) {
	(void)state;
	press("?");
	draw(24, 80);
	assert_shows("q Ctrl-C  quit");
	assert_shows("? h       this");
	draw(10, 40);
	assert_shows("q Ctrl-C  quit");
	assert_false(shows("? h       this"));
	top_keys_press(&choice, TOP_KEY_END, 10);
	draw(10, 40);
	assert_shows("? h       this");
	top_keys_press(&choice, TOP_KEY_ESCAPE, 10);
	assert_false(choice.help);
}

static void numbers_are_short(void **state) {
	(void)state;
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{0, "0"},
		{0.25, "0.25"},
		{7, "7"},
		{9.994, "9.99"},
		{9.996, "10"},
		{999.4, "999"},
		{999.6, "1.00k"},
		{1000, "1.00k"},
		{9996, "10.0k"},
		{99960, "100k"},
		{123456, "123k"},
		{999600, "1.00M"},
		{2.5e9, "2.50G"},
		{1e18, "1000P"},
	};
	char text[CANVAS_NUMBER_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(canvas_number(cases[i].value, text), cases[i].text);
}

static void bars_have_eighths_where_there_are_blocks(void **state) {
	(void)state;
	canvas_begin(&canvas, 2, 12, true);
	canvas_bar(&canvas, CANVAS_BAR, 0.55, 12);
	assert_int_equal(canvas.cells[0][5].glyph, 0x2588);
	assert_int_equal(canvas.cells[0][6].glyph, 0x258c); // a half
	assert_int_equal(canvas.cells[0][7].glyph, ' ');
	canvas_move(&canvas, 1, 0);
	canvas_bar(&canvas, CANVAS_BAR, 7, 12);
	assert_int_equal(canvas.cells[1][10].glyph, 0x2588);
	assert_int_equal(canvas.cells[1][11].glyph, ']');
}

static void nothing_that_is_put_is_a_command_of_the_terminal(void **state) {
	(void)state;
	canvas_begin(&canvas, 1, 10, true);
	canvas_put(&canvas, CANVAS_PLAIN, "%s", "a\x1b[2J\xff\n");
	assert_string_equal(row_of(0), "a?[2J??   ");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(eighty_by_twenty_four_shows_all_figures),
		TEST(forty_by_ten_shows_what_matters),
		TEST(any_size_is_drawn_within_it),
		TEST(too_small_is_told),
		TEST(two_long_addresses_share_the_columns),
		TEST(flows_show_their_ports),
		TEST(names_stand_where_they_are_known_and_asked_for),
		TEST(the_sensor_view_tells_each_part),
		TEST(keys_scroll_no_further_than_there_are_rows),
		TEST(keys_choose_view_and_order),
		TEST(a_filter_is_typed_and_a_wrong_one_is_told),
		TEST(help_tells_every_key_on_any_screen),
		TEST(numbers_are_short),
		TEST(bars_have_eighths_where_there_are_blocks),
		TEST(nothing_that_is_put_is_a_command_of_the_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
