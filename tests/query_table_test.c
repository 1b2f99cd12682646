// The tables of `weir query` against SQLite's own: the same records in a plain table, which SQLite
// fills, filters and adds up by itself, must give the same answers as the archive, both by the
// slow and by the fast way.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "archive_maker.h"
#include "clock.h"
#include "database.h"
#include "sql_functions.h"

#define BEGIN_NS (INT64_C(1795514400) * NS_PER_S)
#define HOUR_NS (3600 * NS_PER_S)

static struct made_archive archive;
static struct database *plain, *fast;
static sqlite3 *oracle;
static time_ns_t now_ns = BEGIN_NS + 3 * HOUR_NS;

static void bind(sqlite3_stmt *insert, const struct flow_record *record) {
	char text[FLOW_COLUMN_TEXT_BYTES];
	bool null;

	sqlite3_reset(insert);
	for (int i = 0; i < FLOW_COLUMN_COUNT; i++) {
		enum flow_column column = (enum flow_column)i;
		if (flow_columns[i].type == COLUMN_TEXT) {
			int n = flow_column_text(record, &archive.source, column, text);
			sqlite3_bind_text(insert, i + 1, n < 0 ? NULL : text, n, SQLITE_TRANSIENT);
			continue;
		}
		int64_t value = flow_column_number(record, &archive.source, column, &null);
		if (null)
			sqlite3_bind_null(insert, i + 1);
		else
			sqlite3_bind_int64(insert, i + 1, value);
	}
	assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
}

static void fill_oracle(void) {
	char schema[FLOWS_SCHEMA_BYTES], sql[256];
	sqlite3_stmt *insert;

	assert_int_equal(sqlite3_open(":memory:", &oracle), SQLITE_OK);
	assert_int_equal(sql_functions_register(oracle, &now_ns), SQLITE_OK);
	flows_schema(schema);
	char *create = sqlite3_mprintf("CREATE TABLE flows(%s)", strchr(schema, '(') + 1);
	assert_int_equal(sqlite3_exec(oracle, create, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_free(create);
	int used = snprintf(sql, sizeof(sql), "INSERT INTO flows VALUES(?");
	for (int i = 1; i < FLOW_COLUMN_COUNT; i++)
		used += snprintf(sql + used, sizeof(sql) - (size_t)used, ",?");
	snprintf(sql + used, sizeof(sql) - (size_t)used, ")");
	assert_int_equal(sqlite3_prepare_v2(oracle, sql, -1, &insert, NULL), SQLITE_OK);
	for (uint32_t i = 0; i < archive.n; i++)
		bind(insert, &archive.records[i]);
	sqlite3_finalize(insert);
}

// A sensor that has the same flows in its cache, unless it does not answer.
static bool sensor_is_gone;

static int snapshot(
	void *arg, struct flow_record **records, size_t *n, struct flow_source *source, char *error
) {
	const struct made_archive *from = arg;

	if (sensor_is_gone) {
		snprintf(error, LIVE_ERROR_BYTES, "the sensor does not answer");
		return -ECONNREFUSED;
	}
	*records = malloc(from->n * sizeof(**records));
	memcpy(*records, from->records, from->n * sizeof(**records));
	*n = from->n;
	*source = from->source;
	return 0;
}

static const struct live_source sensor = {snapshot, &archive};

static struct database *open_database(bool is_plain, unsigned n_threads) {
	char error[DATABASE_ERROR_BYTES];
	struct database *database = database_open(
		&(struct database_config){
			.archive = {.dir = archive.dir, .n_threads = n_threads},
			.now_ns = now_ns,
			.plain = is_plain,
			.live = is_plain ? &sensor : NULL,
		},
		error
	);
	assert_non_null(database);
	return database;
}

static int setup(void **state) {
	(void)state;
	made_archive_begin(&archive, 11);
	// Three hours of one sensor, and one of another, in files of several row groups.
	for (int hour = 0; hour < 3; hour++)
		made_archive_add(
			&archive,
			"a",
			BEGIN_NS + hour * HOUR_NS,
			BEGIN_NS + hour * HOUR_NS,
			700,
			200,
			0,
			NULL
		);
	made_archive_add(&archive, "b", BEGIN_NS, BEGIN_NS, 300, 1000, 0, NULL);
	fill_oracle();
	plain = open_database(true, 2);
	fast = open_database(false, 2);
	return 0;
}

static int teardown(void **state) {
	(void)state;
	database_close(plain);
	database_close(fast);
	sqlite3_close(oracle);
	made_archive_end(&archive);
	return 0;
}

static int compare_lines(const void *a, const void *b) {
	return strcmp(*(char *const *)a, *(char *const *)b);
}

// Lines in one order: what has no ORDER BY may come in any.
static char *sorted(char *text) {
	char **lines = calloc(strlen(text) + 1, sizeof(*lines));
	char *out = calloc(1, strlen(text) + 2), *at = out;
	size_t n = 0;

	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
		lines[n++] = line;
	qsort(lines, n, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < n; i++)
		at += sprintf(at, "%s\n", lines[i]);
	free(lines);
	free(text);
	return out;
}

// The answer as CSV, sorted; an error as its text.
static char *answer(struct database *database, const char *sql) {
	char error[DATABASE_ERROR_BYTES] = "", *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	struct output *output =
		output_new(&(struct output_config){.format = OUTPUT_CSV, .out = out});

	int rc = database_run(database, sql, output, error);
	output_free(output);
	fclose(out);
	if (rc == 0)
		return sorted(text);
	free(text);
	return strdup(error);
}

static char *true_answer(const char *sql) {
	char *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	struct output *output =
		output_new(&(struct output_config){.format = OUTPUT_CSV, .out = out});
	sqlite3_stmt *statement;
	const char *names[64];

	if (sqlite3_prepare_v2(oracle, sql, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(oracle));
	int n_columns = sqlite3_column_count(statement);
	for (int i = 0; i < n_columns; i++)
		names[i] = sqlite3_column_name(statement, i);
	assert_int_equal(output_begin(output, (unsigned)n_columns, names), 0);
	while (sqlite3_step(statement) == SQLITE_ROW)
		assert_int_equal(output_row(output, statement), 0);
	assert_int_equal(output_end(output), 0);
	sqlite3_finalize(statement);
	output_free(output);
	fclose(out);
	return sorted(text);
}

static void compare(struct database *database, const char *way, const char *sql) {
	char *is = answer(database, sql), *should = true_answer(sql);

	if (strcmp(is, should) != 0)
		fail_msg("%s, the %s way:\n%.2000s\nshould be\n%.2000s", sql, way, is, should);
	free(is);
	free(should);
}

static void same(const char *sql) {
	compare(plain, "slow", sql);
	compare(fast, "fast", sql);
}

static void all_rows_and_columns_are_there(void **state) {
	(void)state;
	same("SELECT * FROM flows");
}

static void the_running_sensor_has_the_same_columns(void **state) {
	static const char *const statements[] = {
		"SELECT * FROM %s",
		("SELECT src_addr, sum(bytes) FROM %s WHERE ip_in(src_addr, '10.0.0.0/8') "
		 "GROUP BY 1"),
		"SELECT count(*) FROM %s WHERE icmp_type IS NULL AND proto IN (6, 17)",
	};
	(void)state;

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		char live[256], flows[256];
		snprintf(live, sizeof(live), statements[i], "live");
		snprintf(flows, sizeof(flows), statements[i], "flows");
		char *is = answer(plain, live), *should = true_answer(flows);
		assert_string_equal(is, should);
		free(is);
		free(should);
	}
	sensor_is_gone = true;
	char *is = answer(plain, "SELECT * FROM live");
	sensor_is_gone = false;
	assert_string_equal(is, "the sensor does not answer");
	free(is);
}

static void row_ids_differ(void **state) {
	(void)state;
	char *is = answer(plain, "SELECT count(DISTINCT rowid) = count(*) FROM flows");
	assert_string_equal(is, "1\ncount(DISTINCT rowid) = count(*)\n");
	free(is);
}

// What numbers are compared with, of every type that SQL has.
static const char *number(struct random *random, const char *column, char *text) {
	static const char *const others[] = {
		"NULL",
		"'443'",
		"'abc'",
		"x'00'",
		"443.0",
		"443.5",
		"-1",
		"1e300",
		"-1e300",
		"'6 '",
		"9223372036854775807",
		"-9223372036854775808",
		"9.3e18",
		"0x50",
		"''",
		"ago('150m')",
	};
	bool time = strncmp(column, "time", 4) == 0;
	uint32_t dice = random_below(random, 20);

	if (dice < 5)
		snprintf(
			text,
			64,
			"%s",
			others[random_below(random, sizeof(others) / sizeof(others[0]))]
		);
	else if (time && dice < 8)
		snprintf(text, 64, "ago('%um')", random_below(random, 200));
	else if (time)
		snprintf(
			text,
			64,
			"%lld",
			(long long)BEGIN_NS + (long long)random_below(random, 4 * 3600) * NS_PER_S
		);
	else {
		static const int numbers[] = {0, 1, 2, 6, 17, 22, 53, 58, 62, 80, 443, 1000, 65535};
		snprintf(text, 64, "%d", numbers[random_below(random, 13)]);
	}
	return text;
}

static const char *text_of(struct random *random, char *text) {
	static const char *const texts[] = {
		"'10.0.0.5'",
		"'10.1.0.1'",
		"'192.168.1.12'",
		"'fe80::1'",
		"'2001:db8::3'",
		"NULL",
		"5",
		"'02:00:00:00:00:01'",
		"'00:00:00:00:00:02'",
		"'192.0.2.1'",
		"''",
		"x'31'",
		"'~'",
	};
	snprintf(text, 64, "%s", texts[random_below(random, sizeof(texts) / sizeof(texts[0]))]);
	return text;
}

static void put_term(struct random *random, char *sql) {
	static const char *const numbers[] = {
		"time_flow_start_ns",
		"time_flow_end_ns",
		"proto",
		"dst_port",
		"src_port",
		"bytes",
		"packets",
		"icmp_type",
		"vlan_id",
		"in_if",
		"sampling_rate",
		"flow_end_reason",
	};
	static const char *const texts[] = {
		"src_addr",
		"dst_addr",
		"src_mac",
		"sampler_address",
		"dst_mac",
	};
	static const char *const networks[] = {
		"'10.0.0.0/8'",
		"'10.0.0.0/15'",
		"'192.168.1.0/24'",
		"'::/0'",
		"'2001:db8::/32'",
		"'fe80::/10'",
		"'0.0.0.0/0'",
		"'8.8.8.4'",
		"NULL",
		"'203.0.113.0/24'",
		"'2001:db8::/126'",
	};
	static const char *const compares[] = {"=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT"};
	char a[64], b[64], c[64];
	const char *column = numbers[random_below(random, 12)];
	const char *name = texts[random_below(random, 5)];

	switch (random_below(random, 10)) {
	case 0:
	case 1:
	case 2:
		sprintf(sql,
			"%s %s %s",
			column,
			compares[random_below(random, 8)],
			number(random, column, a));
		break;
	case 3:
		sprintf(sql,
			"%s BETWEEN %s AND %s",
			column,
			number(random, column, a),
			number(random, column, b));
		break;
	case 4:
		sprintf(sql,
			"%s IN (%s, %s, %s)",
			column,
			number(random, column, a),
			number(random, column, b),
			number(random, column, c));
		break;
	case 5:
		sprintf(sql, "%s %s %s", name, compares[random_below(random, 8)], text_of(random, a)
		);
		break;
	case 6:
		sprintf(sql, "%s IN (%s, %s)", name, text_of(random, a), text_of(random, b));
		break;
	case 7:
		sprintf(sql, "ip_in(%s, %s)", name, networks[random_below(random, 11)]);
		break;
	case 8:
		sprintf(sql, "%s LIKE '1%%'", name);
		break;
	default:
		sprintf(sql, "%s = %s COLLATE NOCASE", name, text_of(random, a));
		break;
	}
}

static void put_condition(struct random *random, char *sql) {
	unsigned n = 1 + random_below(random, 4);
	int used = 0;

	for (unsigned i = 0; i < n; i++) {
		char term[256];
		put_term(random, term);
		if (i > 0)
			used +=
				sprintf(sql + used,
					random_below(random, 4) == 0 ? " OR " : " AND ");
		used += sprintf(sql + used, random_below(random, 8) == 0 ? "NOT %s" : "%s", term);
	}
}

static void any_condition_gives_the_rows_that_sqlite_finds(void **state) {
	struct random random = {5};
	char condition[2048], sql[4096];
	(void)state;

	for (unsigned i = 0; i < TEST_ROUNDS(600) + 100; i++) {
		put_condition(&random, condition);
		snprintf(
			sql,
			sizeof(sql),
			"SELECT time_flow_start_ns, src_addr, dst_port, bytes FROM flows WHERE %s",
			condition
		);
		compare(plain, "slow", sql);
	}
}

static void sums_by_any_group_are_those_that_sqlite_finds(void **state) {
	static const char *const keys[] = {
		"src_addr",
		"dst_addr",
		"proto",
		"dst_port",
		"vlan_id",
		"icmp_type",
		"time_bucket(time_flow_start_ns, '10m')",
		"proto_name(proto)",
		"bytes / 100",
		"sampler_address",
		"time_bucket(time_flow_end_ns, '7m')",
	};
	static const char *const sums[] = {
		"count(*)",
		"sum(bytes)",
		"sum(packets), min(bytes)",
		"max(bytes) - min(packets)",
		"round(avg(bytes), 3)",
		"total(packets)",
		"count(DISTINCT dst_port)",
		"min(time_flow_start_ns)",
		"sum(bytes) * 8 / count(*)",
		"max(dst_port)",
		"sum(DISTINCT packets)",
		"count(icmp_type)",
		"max(src_addr)",
		"sum(bytes + 1)",
	};
	static const char *const tails[] = {
		"",
		" HAVING count(*) > 5",
		" ORDER BY 1",
		" HAVING sum(bytes) > 20000 ORDER BY 2, 1",
	};
	struct random random = {6};
	char condition[2048], sql[8192];
	unsigned n_fast = 0, n = TEST_ROUNDS(600) + 100;
	(void)state;

	for (unsigned i = 0; i < n; i++) {
		const char *key = keys[random_below(&random, 11)],
			   *other = keys[random_below(&random, 11)];
		bool two = random_below(&random, 2) == 0, where = random_below(&random, 3) > 0;
		put_condition(&random, condition);
		snprintf(
			sql,
			sizeof(sql),
			"SELECT %s, %s%s%s, %s FROM flows %s %s GROUP BY %s%s",
			key,
			two ? other : "",
			two ? ", " : "",
			sums[random_below(&random, 14)],
			sums[random_below(&random, 14)],
			where ? "WHERE" : "",
			where ? condition : "",
			two ? "1, 2" : "1",
			tails[random_below(&random, 4)]
		);
		same(sql);
		n_fast += database_was_rewritten(fast);
	}
	// Or nothing was tested.
	assert_in_range(n_fast, n / 3, n - 1);
}

// All but the greatest are left out before SQLite sees them, if that is certain.
static void the_greatest_sums_are_those_that_sqlite_finds(void **state) {
	static const char *const keys[] = {
		"src_addr",
		"src_addr, dst_addr",
		"dst_port, proto",
		"vlan_id",
		"icmp_type",
		"bytes",
	};
	static const unsigned n_keys[] = {1, 2, 2, 1, 1, 1};
	static const char *const sums[] = {"sum(bytes)", "count(*)", "sum(packets)", "max(bytes)"};
	static const char *const orders[] = {
		"s DESC",
		"%u DESC",
		"%u",
		"s DESC NULLS LAST",
		"s + 0 DESC",
	};
	struct random random = {8};
	char condition[2048], sql[8192], order[64];
	(void)state;

	for (unsigned i = 0; i < TEST_ROUNDS(600) + 100; i++) {
		unsigned key = random_below(&random, 6), where = random_below(&random, 4);
		put_condition(&random, condition);
		sprintf(order, orders[random_below(&random, 5)], n_keys[key] + 1);
		// Conditions of the group's own columns, which the scan answers or SQLite.
		if (where == 1)
			sprintf(condition,
				random_below(&random, 2) == 0 ? "src_addr LIKE '10.%%'"
							      : "(proto = 6 AND (bytes > 90))");
		snprintf(
			sql,
			sizeof(sql),
			"SELECT %s, %s AS s, sum(bytes) AS b FROM flows %s %s GROUP BY %s%s ORDER "
			"BY %s, %s LIMIT %u%s",
			keys[key],
			sums[random_below(&random, 4)],
			where > 0 ? "WHERE" : "",
			where > 0 ? condition : "",
			keys[key],
			random_below(&random, 8) == 0 ? " HAVING sum(bytes) < 5000" : "",
			order,
			keys[key],
			random_below(&random, 12),
			random_below(&random, 4) == 0 ? " OFFSET 2" : ""
		);
		same(sql);
	}
}

static void sums_of_all_rows_need_no_group(void **state) {
	(void)state;
	same("SELECT count(*) FROM flows");
	assert_true(database_was_rewritten(fast));
	same("SELECT sum(bytes), count(*), avg(packets) FROM flows");
	same("SELECT count(*), sum(bytes), total(bytes), avg(bytes), min(bytes) FROM flows WHERE "
	     "proto = 99");
	same("SELECT count(*) FROM flows WHERE bytes > 1000");
	same("SELECT DISTINCT proto, vlan_id FROM flows");
	assert_true(database_was_rewritten(fast));
	same("SELECT proto, count(*) FROM flows WHERE time_flow_start_ns > ago('1h') GROUP BY proto"
	);
}

static void what_stands_close_together_or_in_comments_is_read(void **state) {
	(void)state;
	same("SELECT proto,sum(bytes)as b,'sum(bytes)'/*sum(bytes)*/FROM flows WHERE bytes>=100 -- "
	     "x\n GROUP BY proto");
	same("SELECT flows.proto, count(*) AS flows FROM flows WHERE flows.bytes<>100 GROUP BY "
	     "flows.proto");
	same("SELECT proto AS \"from flows\", sum(bytes)||'x' FROM flows GROUP BY 1;");
}

static void whatever_is_more_than_sums_stays_as_it_is(void **state) {
	static const char *const statements[] = {
		"SELECT group_concat(proto) FROM flows WHERE proto = 47",
		"SELECT (SELECT count(*) FROM flows) AS n",
		"SELECT sum(bytes) OVER () FROM flows LIMIT 3",
		"SELECT count(*) FILTER (WHERE proto = 6) FROM flows",
		"SELECT count(*) FROM flows AS f WHERE f.proto = 6",
		"WITH x AS (SELECT * FROM flows) SELECT count(*) FROM x",
		"SELECT proto, count(*) FROM flows GROUP BY 1 UNION SELECT 1, 2",
		"SELECT count(*), max(rowid) > 0 FROM flows",
		"SELECT count(*) FROM (VALUES (6), (17)) v, flows WHERE proto = v.column1",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		same(statements[i]);
		assert_false(database_was_rewritten(fast));
	}
}

static void wrong_sql_is_told_in_the_words_it_was_written(void **state) {
	static const struct {
		const char *sql, *error;
	} cases[] = {
		{"SELECT nonsense, count(*) FROM flows", "no such column: nonsense"},
		{"SELECT count(* FROM flows", "near \"FROM\": syntax error"},
		{"SELECT * FROM nowhere", "no such table: nowhere"},
		{"SELECT sum(\"bites\") FROM flows", "no such column: bites"},
		{"", "no statement"},
		{"SELECT 1; SELECT 2", "one statement at a time; behind it:  SELECT 2"},
		{"ATTACH 'x' AS y", "a query can only read: SELECT ... FROM flows"},
		{"CREATE TABLE x(y)", "a query can only read: SELECT ... FROM flows"},
		{"PRAGMA temp_store_directory = '/tmp'",
		 "a query can only read: SELECT ... FROM flows"},
		{"DELETE FROM flows", "table flows may not be modified"},
		{"SELECT count(*) FROM flows WHERE ip_in(src_addr, '10.0/8')",
		 "ip_in: '10.0/8' is no network; such as '10.0.0.0/8' or '2001:db8::/32'"},
		{"SELECT * FROM live",
		 "no sensor is running that 'live' could be read from; start one with 'weir run', "
		 "or ask "
		 "the archive: FROM flows"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *is = answer(fast, cases[i].sql);
		assert_string_equal(is, cases[i].error);
		free(is);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_rows_and_columns_are_there),
		cmocka_unit_test(the_running_sensor_has_the_same_columns),
		cmocka_unit_test(row_ids_differ),
		cmocka_unit_test(any_condition_gives_the_rows_that_sqlite_finds),
		cmocka_unit_test(sums_by_any_group_are_those_that_sqlite_finds),
		cmocka_unit_test(the_greatest_sums_are_those_that_sqlite_finds),
		cmocka_unit_test(sums_of_all_rows_need_no_group),
		cmocka_unit_test(what_stands_close_together_or_in_comments_is_read),
		cmocka_unit_test(whatever_is_more_than_sums_stays_as_it_is),
		cmocka_unit_test(wrong_sql_is_told_in_the_words_it_was_written),
	};
	return cmocka_run_group_tests_name("query table", tests, setup, teardown);
}
