// What `weir query` adds to SQL: functions, times, networks.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include <cmocka.h>

#include "network.h"
#include "query_time.h"
#include "random.h"
#include "sql_functions.h"

static time_ns_t now_ns = 1795514400 * NS_PER_S; // 2026-11-24T10:00:00Z

static int setup(void **state) {
	sqlite3 *db;

	if (sqlite3_open(":memory:", &db) != SQLITE_OK
	    || sql_functions_register(db, &now_ns) != SQLITE_OK)
		return -1;
	*state = db;
	return 0;
}

static int teardown(void **state) {
	return sqlite3_close(*state);
}

// The value of an expression as text; NULL as "NULL", and "ERROR: ..." where it has none.
static const char *value_of(void **state, const char *expression) {
	static char text[512];
	char sql[512];
	sqlite3_stmt *statement;

	snprintf(sql, sizeof(sql), "SELECT %s", expression);
	assert_int_equal(sqlite3_prepare_v2(*state, sql, -1, &statement, NULL), SQLITE_OK);
	if (sqlite3_step(statement) == SQLITE_ROW) {
		const char *value = (const char *)sqlite3_column_text(statement, 0);
		snprintf(text, sizeof(text), "%s", value == NULL ? "NULL" : value);
	} else {
		snprintf(text, sizeof(text), "ERROR: %s", sqlite3_errmsg(*state));
	}
	sqlite3_finalize(statement);
	return text;
}

struct expected {
	const char *expression, *value;
};

static void check(void **state, const struct expected *expected, size_t n) {
	for (size_t i = 0; i < n; i++) {
		const char *value = value_of(state, expected[i].expression);
		if (strcmp(value, expected[i].value) != 0)
			fail_msg(
				"%s is %s, not %s", expected[i].expression, value, expected[i].value
			);
	}
}

#define CHECK(...)                                                                                 \
	do {                                                                                       \
		static const struct expected expected[] = {__VA_ARGS__};                           \
		check(state, expected, sizeof(expected) / sizeof(expected[0]));                    \
	} while (0)

static void an_address_is_in_its_network_alone(void **state) {
	CHECK({"ip_in('10.1.2.3', '10.0.0.0/8')", "1"},
	      {"ip_in('11.1.2.3', '10.0.0.0/8')", "0"},
	      {"ip_in('10.1.2.3', '10.1.2.3')", "1"},
	      {"ip_in('10.1.2.4', '10.1.2.3')", "0"},
	      {"ip_in('10.1.2.3', '10.1.2.99/24')", "1"},
	      {"ip_in('172.31.255.255', '172.16.0.0/12')", "1"},
	      {"ip_in('172.32.0.0', '172.16.0.0/12')", "0"},
	      {"ip_in('1.2.3.4', '0.0.0.0/0')", "1"},
	      {"ip_in('::1', '0.0.0.0/0')", "0"},
	      {"ip_in('1.2.3.4', '::/0')", "0"},
	      {"ip_in('2001:db8::1', '2001:db8::/32')", "1"},
	      {"ip_in('2001:db9::1', '2001:db8::/32')", "0"},
	      {"ip_in('fe80::1', 'fe80::/10')", "1"},
	      {"ip_in('fec0::1', 'fe80::/10')", "0"},
	      {"ip_in('not an address', '10.0.0.0/8')", "0"},
	      {"ip_in('10.0.0.01', '10.0.0.0/8')", "0"},
	      {"ip_in('10.0.0', '10.0.0.0/8')", "0"},
	      {"ip_in(NULL, '10.0.0.0/8')", "NULL"},
	      {"ip_in('10.0.0.1', NULL)", "NULL"});
}

static void a_network_that_is_none_is_named(void **state) {
	static const char *const wrong[] = {
		"10.0.0.0/33",
		"10.0.0/8",
		"10.0.0.0/",
		"10.0.0.0/x",
		"10.0.0.0/-1",
		"",
		"::/129",
		"10.0.0.0/8/8",
		"10.0.0.256",
		"host",
		"10.0.0.0/0008",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char expression[128];
		snprintf(expression, sizeof(expression), "ip_in('10.0.0.1', '%s')", wrong[i]);
		const char *value = value_of(state, expression);
		assert_non_null(strstr(value, "ERROR: ip_in"));
		assert_non_null(strstr(value, wrong[i]));
	}
}

// Against inet_pton(), by bits.
static void networks_hold_what_their_bits_say(void **state) {
	struct random random = {7};
	(void)state;

	for (unsigned i = 0; i < TEST_ROUNDS(200000); i++) {
		bool ipv6 = random_below(&random, 2) == 0;
		unsigned most = ipv6 ? 128 : 32, bits = random_below(&random, most + 1);
		uint8_t of_network[16], of_address[16];
		char text[64], network_text[80], address_text[64];
		struct network network;
		random_fill(&random, of_network, sizeof(of_network));
		memcpy(of_address, of_network, sizeof(of_address));
		// Mostly near it.
		unsigned flip = random_below(&random, most);
		of_address[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
		inet_ntop(ipv6 ? AF_INET6 : AF_INET, of_network, text, sizeof(text));
		inet_ntop(
			ipv6 ? AF_INET6 : AF_INET, of_address, address_text, sizeof(address_text)
		);
		snprintf(network_text, sizeof(network_text), "%s/%u", text, bits);
		assert_int_equal(network_parse(&network, network_text, strlen(network_text)), 0);
		assert_true(network_has(&network, text, strlen(text)));
		assert_int_equal(
			network_has(&network, address_text, strlen(address_text)), flip >= bits
		);
		// What is in the network begins with its prefix.
		char prefix[NETWORK_PREFIX_BYTES];
		unsigned n = network_prefix(&network, prefix);
		assert_memory_equal(text, prefix, n);
		if (flip >= bits)
			assert_memory_equal(address_text, prefix, n);
	}
}

static void families_are_4_and_6(void **state) {
	CHECK({"ip_family('10.0.0.1')", "4"},
	      {"ip_family('::1')", "6"},
	      {"ip_family('x')", "NULL"},
	      {"ip_family(NULL)", "NULL"});
}

static void times_are_counted_back_from_now(void **state) {
	CHECK({"ago('1h')", "1795510800000000000"},
	      {"ago('0')", "1795514400000000000"},
	      {"ago(NULL)", "NULL"},
	      {"ago('1 hour')",
	       "ERROR: ago: '1 hour' is no duration; such as '90s', '15m', '1h' or '7d'"});
}

static void times_are_read_in_every_form(void **state) {
	CHECK({"ts('2026-11-24T10:00:00Z')", "1795514400000000000"},
	      {"ts('2026-11-24T10:00:00')", "1795514400000000000"},
	      {"ts('2026-11-24 10:00')", "1795514400000000000"},
	      {"ts('2026-11-24T11:00:00+01:00')", "1795514400000000000"},
	      {"ts('2026-11-24T05:30-0430')", "1795514400000000000"},
	      {"ts('2026-11-24T10:00:00.5Z')", "1795514400500000000"},
	      {"ts('2026-11-24T10:00:00.000000001Z')", "1795514400000000001"},
	      {"ts('2026-11-24')", "1795478400000000000"},
	      {"ts('2024-02-29')", "1709164800000000000"},
	      {"ts('1795514400')", "1795514400000000000"},
	      {"ts('1795514400.25')", "1795514400250000000"},
	      {"ts('now')", "1795514400000000000"},
	      {"ts('-1h')", "1795510800000000000"},
	      {"ts('0')", "0"},
	      {"ts(NULL)", "NULL"});
}

static void times_that_are_none_are_named(void **state) {
	static const char *const wrong[] = {
		"2026-13-01",
		"2026-02-29",
		"2026-11-24T24:00",
		"2026-11-24T10:60",
		"2026-11-24T1:00",
		"yesterday",
		"",
		"2026-11-24x",
		"2026-11-24T10:00+15:00",
		"1.",
		"1.x",
		"-x",
		"1960-01-01",
		"2300-01-01",
		"99999999999999999999",
		"2026-11-24T10:00:00.",
		"-100000d",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char expression[128];
		snprintf(expression, sizeof(expression), "ts('%s')", wrong[i]);
		const char *value = value_of(state, expression);
		if (strstr(value, "ERROR: ts:") == NULL || strstr(value, wrong[i]) == NULL)
			fail_msg("%s: %s", expression, value);
	}
}

static void a_time_as_text_reads_back(void **state) {
	struct random random = {3};
	char text[TIME_TEXT_BYTES];
	time_ns_t back;

	CHECK({"time_text(1795514400000000000)", "2026-11-24T10:00:00Z"},
	      {"time_text(1795514400500000000)", "2026-11-24T10:00:00.500Z"},
	      {"time_text(1795514400000062500)", "2026-11-24T10:00:00.000062500Z"},
	      {"time_text(0)", "1970-01-01T00:00:00Z"},
	      {"time_text(-1)", "1969-12-31T23:59:59.999999999Z"},
	      {"time_text(NULL)", "NULL"});
	for (unsigned i = 0; i < 10000; i++) {
		time_ns_t time_ns = (time_ns_t)(random64(&random) >> 2);
		query_time_text(time_ns, text);
		assert_int_equal(query_time_parse(text, 0, &back), 0);
		assert_true(back == time_ns);
	}
}

static void durations_have_their_three_greatest_units(void **state) {
	CHECK({"duration_text(0)", "0s"},
	      {"duration_text(1)", "1ns"},
	      {"duration_text(90000000000)", "1m30s"},
	      {"duration_text(3723000000000)", "1h2m3s"},
	      {"duration_text(250000000)", "250ms"},
	      {"duration_text(-1500000000)", "-1s500ms"},
	      {"duration_text(86400000000000)", "1d"},
	      {"duration_text(NULL)", "NULL"});
}

static void buckets_are_rounded_down(void **state) {
	CHECK({"time_bucket(125000000000, '1m')", "120000000000"},
	      {"time_bucket(120000000000, '1m')", "120000000000"},
	      {"time_bucket(-1, '1m')", "-60000000000"},
	      {"time_bucket(NULL, '1m')", "NULL"},
	      {"time_bucket(1, '0')", "ERROR: time_bucket: a step of 0"});
}

static void protocols_have_names(void **state) {
	CHECK({"proto_name(6)", "tcp"},
	      {"proto_name(17)", "udp"},
	      {"proto_name(1)", "icmp"},
	      {"proto_name(58)", "icmpv6"},
	      {"proto_name(132)", "sctp"},
	      {"proto_name(253)", "253"},
	      {"proto_name(NULL)", "NULL"});
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_in_its_network_alone),
		cmocka_unit_test(a_network_that_is_none_is_named),
		cmocka_unit_test(networks_hold_what_their_bits_say),
		cmocka_unit_test(families_are_4_and_6),
		cmocka_unit_test(times_are_counted_back_from_now),
		cmocka_unit_test(times_are_read_in_every_form),
		cmocka_unit_test(times_that_are_none_are_named),
		cmocka_unit_test(a_time_as_text_reads_back),
		cmocka_unit_test(durations_have_their_three_greatest_units),
		cmocka_unit_test(buckets_are_rounded_down),
		cmocka_unit_test(protocols_have_names),
	};
	return cmocka_run_group_tests_name("query functions", tests, setup, teardown);
}
