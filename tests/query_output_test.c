// How `weir query` prints rows.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "output.h"

// What a statement prints; without `end` what it printed before its last row.
static char *print(const char *sql, struct output_config config, bool end) {
	sqlite3 *db;
	sqlite3_stmt *statement;
	const char *names[16];
	char *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	config.out = out;
	struct output *output = output_new(&config);
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	for (int i = 0; i < sqlite3_column_count(statement); i++)
		names[i] = sqlite3_column_name(statement, i);
	assert_int_equal(output_begin(output, (unsigned)sqlite3_column_count(statement), names), 0);
	while (sqlite3_step(statement) == SQLITE_ROW)
		assert_int_equal(output_row(output, statement), 0);
	if (end)
		assert_int_equal(output_end(output), 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	output_free(output);
	fclose(out);
	return text;
}

static void prints(const char *sql, struct output_config config, const char *expected) {
	char *text = print(sql, config, true);
	assert_string_equal(text, expected);
	free(text);
}

static void csv_quotes_what_needs_it(void **state) {
	(void)state;
	prints("SELECT 1 AS a, 'x,y' AS \"b,c\", 'say \"no\"' AS d, NULL AS e, 1.5 AS f, char(10) "
	       "AS g",
	       (struct output_config){.format = OUTPUT_CSV},
	       "a,\"b,c\",d,e,f,g\n1,\"x,y\",\"say \"\"no\"\"\",,1.5,\"\n\"\n");
	prints("SELECT 1 AS a WHERE 0", (struct output_config){.format = OUTPUT_CSV}, "a\n");
}

static void json_is_one_object_a_line(void **state) {
	(void)state;
	prints("SELECT 1 AS a, 'x\"\\' || char(9) AS b, NULL AS c, 1.5 AS d, 9e999 AS e UNION ALL "
	       "SELECT 2, '', 3, 4, 5",
	       (struct output_config){.format = OUTPUT_JSON},
	       "{\"a\":1,\"b\":\"x\\\"\\\\\\u0009\",\"c\":null,\"d\":1.5,\"e\":null}\n"
	       "{\"a\":2,\"b\":\"\",\"c\":3,\"d\":4,\"e\":5}\n");
	prints("SELECT 1 AS a WHERE 0", (struct output_config){.format = OUTPUT_JSON}, "");
}

static void tables_align_numbers_to_the_right(void **state) {
	(void)state;
	prints("SELECT 'a' AS name, 5 AS n, 7 AS flows UNION ALL SELECT 'longer', 12345, NULL",
	       (struct output_config){.format = OUTPUT_TABLE},
	       "name        n  flows\n"
	       "a           5      7\n"
	       "longer  12345      -\n");
	prints("SELECT 'a' AS name WHERE 0",
	       (struct output_config){.format = OUTPUT_TABLE},
	       "name\n");
}

static void tables_tell_octets_and_times_as_people_read_them(void **state) {
	(void)state;
	prints("SELECT 1795514400000000000 AS time, 1023 AS bytes, 1536 AS \"sum(bytes)\" UNION "
	       "ALL "
	       "SELECT 1795514400500000000, 1048575, 5e12",
	       (struct output_config){.format = OUTPUT_TABLE},
	       "time                        bytes  sum(bytes)\n"
	       "2026-11-24T10:00:00Z       1023 B     1.5 KiB\n"
	       "2026-11-24T10:00:00.500Z  1.0 MiB     4.5 TiB\n");
}

static void terminals_get_no_control_characters(void **state) {
	(void)state;
	prints("SELECT 'a' || char(27) || '[2J' || char(10) || 'b' AS \"x\ny\"",
	       (struct output_config){.format = OUTPUT_TABLE},
	       "x?y\na?[2J?b\n");
}

static void long_tables_print_as_they_come(void **state) {
	const char *sql =
		"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < "
		"2500) SELECT n, 'x' AS t FROM c";
	(void)state;
	char *part = print(sql, (struct output_config){.format = OUTPUT_TABLE}, false);
	char *whole = print(sql, (struct output_config){.format = OUTPUT_TABLE}, true);
	assert_string_equal(part, whole);
	assert_non_null(strstr(whole, "\n2500  x\n"));
	assert_non_null(strstr(whole, "\n   1  x\n"));
	free(part);
	free(whole);
}

static void a_table_or_chart_of_a_part_is_not_printed(void **state) {
	(void)state;
	for (enum output_format format = OUTPUT_TABLE; format <= OUTPUT_CHART;
	     format += OUTPUT_CHART - OUTPUT_TABLE) {
		char *text =
			print("SELECT 1 AS a, 2 AS b UNION ALL SELECT 3, 4",
			      (struct output_config){.format = format, .width = 80, .height = 24},
			      false);
		assert_string_equal(text, "");
		free(text);
	}
}

static const char rising[] = "SELECT 1795514400000000000 AS time, 0 AS flows UNION ALL "
			     "SELECT 1795514460000000000, 1000 UNION ALL "
			     "SELECT 1795514520000000000, 2000";

static void charts_are_drawn_in_ascii(void **state) {
	(void)state;
	prints(rising,
	       (struct output_config){.format = OUTPUT_CHART, .width = 33, .height = 8},
	       "flows\n"
	       "       2k +                  ***\n"
	       "          |             *****\n"
	       "       1k +        *****\n"
	       "          |   *****\n"
	       "        0 +***\n"
	       "          +---------------------\n"
	       "2026-11-24T10:00:00Z - 2026-11-24T10:02:00Z\n");
}

static void charts_are_drawn_in_braille(void **state) {
	(void)state;
	char *text =
		print(rising,
		      (struct output_config
		      ){.format = OUTPUT_CHART, .width = 80, .height = 10, .utf8 = true},
		      true);
	// Empty at the top left, dots at the top right, and no line wider than the terminal.
	assert_non_null(strstr(text, "2k ┤"));
	assert_non_null(strstr(text, "⠉\n"));
	assert_non_null(strstr(text, "0 ┤⣀"));
	unsigned n_lines = 0;
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		unsigned width = 0;
		for (const char *at = line; *at != '\n'; at++)
			width += (*at & 0xc0) != 0x80;
		assert_in_range(width, 1, 79);
		n_lines++;
	}
	assert_int_equal(n_lines, 10);
	free(text);
}

static void where_steps_are_missing_a_chart_goes_down_to_0(void **state) {
	(void)state;
	prints("SELECT 0 AS time, 100 AS flows UNION ALL SELECT 60000000000, 100 UNION ALL "
	       "SELECT 600000000000, 100",
	       (struct output_config
	       ){.format = OUTPUT_CHART, .width = 33, .height = 6, .step_ns = 60000000000},
	       "flows\n"
	       "      100 +***                 *\n"
	       "          |   *               *\n"
	       "        0 +    ***************\n"
	       "          +---------------------\n"
	       "1970-01-01T00:00:00Z - 1970-01-01T00:10:00Z\n");
}

static void nothing_and_one_point_are_charts_too(void **state) {
	struct output_config config = {.format = OUTPUT_CHART, .width = 33, .height = 6};
	(void)state;

	prints("SELECT 1 AS time, 2 AS flows WHERE 0", config, "no flows\n");
	char *text = print("SELECT 1 AS time, 2 AS flows", config, true);
	assert_non_null(strstr(text, "2 +*\n"));
	free(text);
	text = print("SELECT NULL AS time, 2 AS flows", config, true);
	assert_string_equal(text, "no flows\n");
	free(text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_quotes_what_needs_it),
		cmocka_unit_test(json_is_one_object_a_line),
		cmocka_unit_test(tables_align_numbers_to_the_right),
		cmocka_unit_test(tables_tell_octets_and_times_as_people_read_them),
		cmocka_unit_test(terminals_get_no_control_characters),
		cmocka_unit_test(long_tables_print_as_they_come),
		cmocka_unit_test(a_table_or_chart_of_a_part_is_not_printed),
		cmocka_unit_test(charts_are_drawn_in_ascii),
		cmocka_unit_test(charts_are_drawn_in_braille),
		cmocka_unit_test(where_steps_are_missing_a_chart_goes_down_to_0),
		cmocka_unit_test(nothing_and_one_point_are_charts_too),
	};
	return cmocka_run_group_tests_name("query output", tests, NULL, NULL);
}
