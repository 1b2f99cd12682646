#include "sql_functions.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"
#include "query_time.h"
#include "units.h"

// Fails with a message; `text` fills in its %s.
static void fail(sqlite3_context *context, const char *format, const char *text) {
	char *message = sqlite3_mprintf(format, text);

	if (message == NULL) {
		sqlite3_result_error_nomem(context);
		return;
	}
	sqlite3_result_error(context, message, -1);
	sqlite3_free(message);
}

// NULL where the argument is.
static const char *text_of(sqlite3_value *value, size_t *n) {
	const char *text = (const char *)sqlite3_value_text(value);

	*n = text == NULL ? 0 : (size_t)sqlite3_value_bytes(value);
	return text;
}

void sql_ip_in(sqlite3_context *context, int n_args, sqlite3_value **args) {
	struct network *network = sqlite3_get_auxdata(context, 1);
	size_t n_address, n;
	const char *text;

	(void)n_args;
	if (sqlite3_value_type(args[0]) == SQLITE_NULL || (text = text_of(args[1], &n)) == NULL)
		return;
	// A network that is the same for all rows is read once.
	bool kept = network != NULL;
	struct network read;
	if (!kept) {
		if (network_parse(&read, text, n) < 0) {
			fail(context, SQL_NO_NETWORK, text);
			return;
		}
		network = &read;
	}
	const char *address = text_of(args[0], &n_address);
	if (address == NULL) {
		sqlite3_result_error_nomem(context);
		return;
	}
	sqlite3_result_int(context, network_has(network, address, n_address));
	if (kept)
		return;
	network = malloc(sizeof(*network));
	if (network != NULL) {
		*network = read;
		sqlite3_set_auxdata(context, 1, network, free);
	}
}

static void ip_family(sqlite3_context *context, int n_args, sqlite3_value **args) {
	uint8_t address[16];
	size_t n;
	const char *text = text_of(args[0], &n);

	(void)n_args;
	unsigned family = text == NULL ? 0 : network_address(text, n, address);
	if (family != 0)
		sqlite3_result_int(context, (int)family);
}

static bool duration_of(
	sqlite3_context *context, sqlite3_value *value, const char *function, time_ns_t *duration
) {
	size_t n;
	const char *text = text_of(value, &n);

	if (text == NULL)
		return false;
	if (units_duration(text, duration) == 0)
		return true;
	char *format = sqlite3_mprintf(
		"%s: '%%s' is no duration; such as '90s', '15m', '1h' or '7d'", function
	);
	if (format != NULL)
		fail(context, format, text);
	else
		sqlite3_result_error_nomem(context);
	sqlite3_free(format);
	return false;
}

static void ago(sqlite3_context *context, int n_args, sqlite3_value **args) {
	const time_ns_t *now_ns = sqlite3_user_data(context);
	time_ns_t duration;

	(void)n_args;
	if (duration_of(context, args[0], "ago", &duration))
		sqlite3_result_int64(context, *now_ns - duration);
}

static void ts(sqlite3_context *context, int n_args, sqlite3_value **args) {
	const time_ns_t *now_ns = sqlite3_user_data(context);
	time_ns_t time_ns;
	size_t n;
	const char *text = text_of(args[0], &n);

	(void)n_args;
	if (text == NULL)
		return;
	if (query_time_parse(text, *now_ns, &time_ns) == 0)
		sqlite3_result_int64(context, time_ns);
	else
		fail(context,
		     "ts: '%s' is no time from 1970 to 2262; such as '2026-11-24T10:00:00Z', "
		     "'1795514400' or '-1h'",
		     text);
}

static void time_text(sqlite3_context *context, int n_args, sqlite3_value **args) {
	char text[TIME_TEXT_BYTES];

	(void)n_args;
	if (sqlite3_value_type(args[0]) == SQLITE_NULL)
		return;
	query_time_text(sqlite3_value_int64(args[0]), text);
	sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

static void time_bucket(sqlite3_context *context, int n_args, sqlite3_value **args) {
	time_ns_t step;

	(void)n_args;
	if (sqlite3_value_type(args[0]) == SQLITE_NULL
	    || !duration_of(context, args[1], "time_bucket", &step))
		return;
	if (step == 0) {
		sqlite3_result_error(context, "time_bucket: a step of 0", -1);
		return;
	}
	time_ns_t time_ns = sqlite3_value_int64(args[0]), rest = time_ns % step;
	sqlite3_result_int64(context, time_ns - (rest < 0 ? rest + step : rest));
}

static void duration_text(sqlite3_context *context, int n_args, sqlite3_value **args) {
	char text[TIME_TEXT_BYTES];

	(void)n_args;
	if (sqlite3_value_type(args[0]) == SQLITE_NULL)
		return;
	query_duration_text(sqlite3_value_int64(args[0]), text);
	sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

static void proto_name(sqlite3_context *context, int n_args, sqlite3_value **args) {
	static const struct {
		int number;
		const char *name;
	} names[] = {
		{IPPROTO_ICMP, "icmp"},
		{IPPROTO_IGMP, "igmp"},
		{4, "ipip"},
		{IPPROTO_TCP, "tcp"},
		{IPPROTO_UDP, "udp"},
		{IPPROTO_IPV6, "ipv6"},
		{IPPROTO_GRE, "gre"},
		{IPPROTO_ESP, "esp"},
		{IPPROTO_AH, "ah"},
		{IPPROTO_ICMPV6, "icmpv6"},
		{89, "ospf"},
		{IPPROTO_PIM, "pim"},
		{112, "vrrp"},
		{IPPROTO_SCTP, "sctp"},
		{IPPROTO_UDPLITE, "udplite"},
	};
	char text[24];

	(void)n_args;
	if (sqlite3_value_type(args[0]) == SQLITE_NULL)
		return;
	sqlite3_int64 number = sqlite3_value_int64(args[0]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == number) {
			sqlite3_result_text(context, names[i].name, -1, SQLITE_STATIC);
			return;
		}
	snprintf(text, sizeof(text), "%lld", (long long)number);
	sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

int sql_functions_register(sqlite3 *db, const time_ns_t *now_ns) {
	static const struct {
		const char *name;
		int n_args;
		void (*function)(sqlite3_context *, int, sqlite3_value **);
	} functions[] = {
		{"ip_in", 2, sql_ip_in},
		{"ip_family", 1, ip_family},
		{"ago", 1, ago},
		{"ts", 1, ts},
		{"time_text", 1, time_text},
		{"time_bucket", 2, time_bucket},
		{"duration_text", 1, duration_text},
		{"proto_name", 1, proto_name},
	};
	int rc = SQLITE_OK;

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]) && rc == SQLITE_OK; i++)
		rc = sqlite3_create_function(
			db,
			functions[i].name,
			functions[i].n_args,
			SQLITE_UTF8 | SQLITE_DETERMINISTIC,
			(void *)now_ns,
			functions[i].function,
			NULL,
			NULL
		);
	return rc;
}
