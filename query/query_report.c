#include "query_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Keys that are one column have its name.
static const struct {
	const char *key;
	const char *select; // what stands for it; each has its name
	const char *group;
} keys[] = {
	{"src_addr", "src_addr", "1"},
	{"dst_addr", "dst_addr", "1"},
	{"src_port", "proto_name(proto) AS proto, src_port", "flows.proto, src_port"},
	{"dst_port", "proto_name(proto) AS proto, dst_port", "flows.proto, dst_port"},
	{"proto", "proto_name(proto) AS proto", "flows.proto"},
	{"conversations", "src_addr, dst_addr", "src_addr, dst_addr"},
	{"flows",
	 "src_addr, src_port, dst_addr, dst_port, proto_name(proto) AS proto",
	 "src_addr, src_port, dst_addr, dst_port, flows.proto"},
	{"src_mac", "src_mac", "1"},
	{"dst_mac", "dst_mac", "1"},
	{"vlan_id", "vlan_id", "1"},
	{"in_if", "in_if", "1"},
	{"ip_tos", "ip_tos", "1"},
	{"flow_end_reason", "flow_end_reason", "1"},
};

enum {
	N_KEYS = sizeof(keys) / sizeof(keys[0]),
};

const char *query_report_keys(void) {
	static char text[256];
	size_t used = 0;

	for (size_t i = 0; i < N_KEYS && text[sizeof(text) - 1] == '\0'; i++)
		used += (size_t
		)snprintf(text + used, sizeof(text) - used, i == 0 ? "%s" : ", %s", keys[i].key);
	return text;
}

static size_t key_of(const char *key) {
	size_t i = 0;

	while (i < N_KEYS && strcmp(keys[i].key, key) != 0)
		i++;
	return i;
}

const char *query_report_key(const char *name, size_t n) {
	for (size_t i = 0; i < N_KEYS; i++)
		if (strlen(keys[i].key) == n && memcmp(keys[i].key, name, n) == 0)
			return keys[i].key;
	return NULL;
}

// A condition is in brackets, and ends its line: what it has of OR, or of a comment, is its own.
static void put_where(FILE *out, const struct query_report *report) {
	const char *begin = " WHERE";

	if (report->from_ns >= 0) {
		fprintf(out, "%s time_flow_start_ns >= %" PRId64, begin, report->from_ns);
		begin = " AND";
	}
	if (report->to_ns >= 0) {
		fprintf(out, "%s time_flow_start_ns < %" PRId64, begin, report->to_ns);
		begin = " AND";
	}
	if (report->where != NULL)
		fprintf(out, "%s (%s\n)", begin, report->where);
}

char *query_report_sql(const struct query_report *report) {
	static const char sums[] =
		"sum(bytes) AS bytes, sum(packets) AS packets, count(*) AS flows FROM flows";
	static const char *const by[] = {"bytes", "packets", "flows"};
	static const char *const value[] = {
		"sum(bytes) AS bytes",
		"sum(packets) AS packets",
		"count(*) AS flows",
	};
	char *sql = NULL;
	size_t n;
	FILE *out = open_memstream(&sql, &n);

	if (out == NULL)
		return NULL;
	if (report->step != NULL) {
		fprintf(out,
			"SELECT time_bucket(time_flow_start_ns, '%s') AS time, %s FROM flows",
			report->step,
			value[report->by]);
		put_where(out, report);
		fprintf(out, " GROUP BY 1 ORDER BY 1");
	} else if (report->top != NULL) {
		size_t key = key_of(report->top);
		fprintf(out, "SELECT %s, %s", keys[key].select, sums);
		put_where(out, report);
		fprintf(out,
			" GROUP BY %s ORDER BY %s DESC, %s LIMIT %u",
			keys[key].group,
			by[report->by],
			keys[key].group,
			report->n_top);
	} else {
		fprintf(out,
			"SELECT %s, min(time_flow_start_ns) AS first_ns, "
			"max(time_flow_end_ns) AS last_ns FROM flows",
			"count(*) AS flows, sum(packets) AS packets, sum(bytes) AS bytes");
		put_where(out, report);
	}
	if (fclose(out) != 0) {
		free(sql);
		return NULL;
	}
	return sql;
}
