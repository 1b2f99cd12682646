// Which statements are rewritten, and to what. That they mean the same: query_table_test.c.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rewrite.h"

static void gives(const char *sql, const char *expected) {
	struct rewrite rewrite;
	int rc = rewrite_sql(sql, &rewrite);

	if (expected == NULL) {
		if (rc != 0)
			fail_msg("%s was rewritten: %s", sql, rewrite.sql);
		return;
	}
	assert_int_equal(rc, 1);
	assert_string_equal(rewrite.sql, expected);
	free(rewrite.sql);
}

static struct rewrite_top top_of(const char *sql) {
	struct rewrite rewrite;

	assert_int_equal(rewrite_sql(sql, &rewrite), 1);
	free(rewrite.sql);
	return rewrite.top;
}

static void aggregates_of_columns_are_those_of_parts(void **state) {
	(void)state;
	gives("SELECT src_addr, sum(bytes) FROM flows GROUP BY 1",
	      "SELECT src_addr, sum(_sum_bytes)FROM flow_groups AS flows GROUP BY 1 ");
	gives("select Count(*) from FLOWS where proto>=6",
	      "select coalesce(sum(_rows),0)from flow_groups AS flows where proto>=6 ");
	gives("SELECT avg(bytes) FROM flows",
	      "SELECT (total(_sum_bytes)/sum(_rows))FROM flow_groups AS flows ");
	gives("SELECT min(bytes),max(PACKETS),count(DISTINCT proto) FROM flows;",
	      "SELECT min(_least_bytes),max(_greatest_packets),count(DISTINCT proto) FROM "
	      "flow_groups AS flows ");
}

static void a_bucket_is_a_column_where_there_is_one_alone(void **state) {
	struct rewrite rewrite;
	(void)state;

	assert_int_equal(
		rewrite_sql(
			"SELECT time_bucket(time_flow_end_ns, '1m'), count(*) FROM flows GROUP BY "
			"1",
			&rewrite
		),
		1
	);
	assert_non_null(strstr(rewrite.sql, "SELECT _bucket "));
	assert_int_equal(rewrite.bucket_column, COLUMN_TIME_FLOW_END_NS);
	assert_true(rewrite.bucket_step == INT64_C(60000000000));
	free(rewrite.sql);
	assert_int_equal(
		rewrite_sql(
			"SELECT time_bucket(bytes, '1ns'), time_bucket(bytes, '2ns') FROM flows "
			"GROUP BY 1, 2",
			&rewrite
		),
		1
	);
	assert_non_null(strstr(rewrite.sql, "_bucket , time_bucket(bytes, '2ns')"));
	free(rewrite.sql);
}

static void what_needs_rows_stays(void **state) {
	static const char *const statements[] = {
		"SELECT src_addr FROM flows",
		"SELECT * FROM flows",
		"SELECT count(*) FROM live",
		"SELECT *, count(*) FROM flows",
		"SELECT sum(bytes * 2) FROM flows",
		"SELECT max(src_addr) FROM flows",
		"SELECT sum(icmp_type) FROM flows",
		"SELECT count(bytes) FROM flows",
		"SELECT max(bytes, 5), count(*) FROM flows",
		"SELECT group_concat(proto), count(*) FROM flows",
		"SELECT json_group_array(proto) FROM flows",
		"SELECT count(*) FROM flows f",
		"SELECT count(*) FROM flows, live",
		"SELECT count(*) FROM flows WHERE proto = ?",
		"SELECT count(*), rowid FROM flows",
		"SELECT count(*), \"rowid\" FROM flows",
		"SELECT random(), count(*) FROM flows",
		"SELECT count(*) FROM flows UNION SELECT 1",
		"EXPLAIN SELECT count(*) FROM flows",
		"SELECT sum(bytes) OVER () FROM flows",
		"SELECT 'unended, count(*) FROM flows",
		"SELECT \"sum\"(bytes) FROM flows",
		"SELECT sum(bytes",
		"",
		"SELECT",
		"(",
		"SELECT sum(",
		"SELECT time_bucket(",
		"SELECT count(DISTINCT",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		gives(statements[i], NULL);
}

static void the_greatest_alone_are_wanted_where_that_is_certain(void **state) {
	static const char *const where[] = {
		"",
		"WHERE proto = 6",
		"WHERE (time_flow_start_ns >= 5 AND (ip_in(src_addr, '10.0.0.0/8')))",
		"WHERE dst_port IN (80, 443) AND src_mac <> '' AND packets < -1",
		"WHERE bytes BETWEEN 1 AND 5 AND src_addr == 'x'",
		"WHERE time_flow_start_ns > ago('1h')",
	};
	char sql[512];
	(void)state;

	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		snprintf(
			sql,
			sizeof(sql),
			"SELECT src_addr, sum(bytes) AS b FROM flows %s GROUP BY 1, flows.proto "
			"ORDER BY b "
			"DESC, 1 LIMIT 10 OFFSET 5",
			where[i]
		);
		struct rewrite_top top = top_of(sql);
		assert_int_equal(top.n, 15);
		assert_int_equal(top.by, COLUMN_BYTES);
		assert_true(
			top.group == (UINT64_C(1) << COLUMN_SRC_ADDR | UINT64_C(1) << COLUMN_PROTO)
		);
	}
	assert_int_equal(
		top_of("SELECT proto FROM flows GROUP BY proto ORDER BY count(*) DESC LIMIT 3").by,
		-1
	);
}

static void all_are_wanted_where_that_is_not_certain(void **state) {
	static const struct {
		const char *what, *tail;
	} cases[] = {
		{"proto, sum(bytes)", "GROUP BY 1 ORDER BY 2 DESC"},
		{"proto, sum(bytes)", "GROUP BY 1 ORDER BY 2 LIMIT 3"},
		{"proto, sum(bytes)", "GROUP BY 1 ORDER BY 2 DESC LIMIT -1"},
		{"proto, sum(bytes)", "GROUP BY 1 ORDER BY 2 DESC LIMIT 1, 2"},
		{"proto, sum(bytes)", "GROUP BY 1 ORDER BY 1 DESC LIMIT 3"},
		{"proto, sum(bytes)", "GROUP BY 1 ORDER BY 2 + 1 DESC LIMIT 3"},
		{"proto, sum(bytes)", "GROUP BY 1 HAVING sum(bytes) < 9 ORDER BY 2 DESC LIMIT 3"},
		{"proto, total(bytes)", "GROUP BY 1 ORDER BY 2 DESC LIMIT 3"},
		{"proto, avg(bytes)", "GROUP BY 1 ORDER BY 2 DESC LIMIT 3"},
		{"proto / 2, sum(bytes)", "GROUP BY 1 ORDER BY 2 DESC LIMIT 3"},
		{"sum(bytes)", "ORDER BY 1 DESC LIMIT 3"},
	};
	static const char *const where[] = {
		"proto + 1 = 7",
		"proto = 6 OR proto = 7",
		"NOT proto = 6",
		"proto = 6 + 1",
		"src_addr < '1'",
		"src_addr = '1' COLLATE NOCASE",
		"proto NOT IN (6)",
		"proto = bytes",
		"ip_in(src_addr, dst_addr)",
		"proto IS 6",
		"proto",
		"src_addr LIKE '1'",
	};
	char sql[512];
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(sql, sizeof(sql), "SELECT %s FROM flows %s", cases[i].what, cases[i].tail);
		if (top_of(sql).n != 0)
			fail_msg("%s", sql);
	}
	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		snprintf(
			sql,
			sizeof(sql),
			"SELECT proto, sum(bytes) FROM flows WHERE %s GROUP BY 1 ORDER BY 2 DESC "
			"LIMIT 3",
			where[i]
		);
		if (top_of(sql).n != 0)
			fail_msg("%s", sql);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aggregates_of_columns_are_those_of_parts),
		cmocka_unit_test(a_bucket_is_a_column_where_there_is_one_alone),
		cmocka_unit_test(what_needs_rows_stays),
		cmocka_unit_test(the_greatest_alone_are_wanted_where_that_is_certain),
		cmocka_unit_test(all_are_wanted_where_that_is_not_certain),
	};
	return cmocka_run_group_tests_name("rewrite", tests, NULL, NULL);
}
