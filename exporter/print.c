#include "print.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

struct print {
	enum print_format format;
	FILE *out;
	uint64_t n_unflushed;
	// Relaxed: one writer, and each number is of use by itself.
	atomic_ullong records;
	atomic_ullong written;
	atomic_ullong lost;
	atomic_int error; // negative errno of the first failure, or 0
};

// What every format prints, worked out once.
struct row {
	time_ns_t start_ns, end_ns;
	char src_addr[INET6_ADDRSTRLEN], dst_addr[INET6_ADDRSTRLEN];
	char src_mac[18], dst_mac[18];
	unsigned src_port, dst_port;
	unsigned icmp_type, icmp_code;
	unsigned etype;
};

static void mac_text(char *out, const uint8_t *mac) {
	snprintf(
		out,
		18,
		"%02x:%02x:%02x:%02x:%02x:%02x",
		mac[0],
		mac[1],
		mac[2],
		mac[3],
		mac[4],
		mac[5]
	);
}

static void fill_row(struct row *row, const struct flow_record *record) {
	const struct flow_key *key = &record->key;
	bool ipv6 = key->family == FLOW_IPV6;
	bool icmp = key->proto == (ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);

	row->start_ns = ns_of_ticks(record->first_ticks);
	row->end_ns = ns_of_ticks(record->last_ticks);
	inet_ntop(
		ipv6 ? AF_INET6 : AF_INET,
		ipv6 ? key->src6 : key->src4,
		row->src_addr,
		sizeof(row->src_addr)
	);
	inet_ntop(
		ipv6 ? AF_INET6 : AF_INET,
		ipv6 ? key->dst6 : key->dst4,
		row->dst_addr,
		sizeof(row->dst_addr)
	);
	mac_text(row->src_mac, record->src_mac);
	mac_text(row->dst_mac, record->dst_mac);
	row->src_port = rte_be_to_cpu_16(key->src_port);
	row->dst_port = rte_be_to_cpu_16(key->dst_port);
	row->icmp_type = icmp ? row->dst_port >> 8 : 0;
	row->icmp_code = icmp ? row->dst_port & 0xff : 0;
	row->etype = ipv6 ? 0x86dd : 0x0800;
}

static int add_csv(FILE *out, const struct flow_record *r, const struct row *row, uint32_t rate) {
	return fprintf(
		out,
		"%" PRId64 ",%" PRId64 ",%s,%s,%u,%u,%u,%" PRIu64 ",%" PRIu64
		",%u,%u,%u,%u,%s,%s,%u,%u,%u,%u,%u,%" PRIu32 ",%s,%u,%u\n",
		row->start_ns,
		row->end_ns,
		row->src_addr,
		row->dst_addr,
		r->key.proto,
		row->src_port,
		row->dst_port,
		r->octets,
		r->packets,
		r->tcp_flags,
		r->tos,
		r->in_if,
		r->in_if,
		row->src_mac,
		row->dst_mac,
		r->key.vlan_id,
		row->icmp_type,
		row->icmp_code,
		row->etype,
		r->ttl_min,
		rate,
		"",
		r->end,
		r->ttl_max
	);
}

static int add_json(FILE *out, const struct flow_record *r, const struct row *row, uint32_t rate) {
	return fprintf(
		out,
		"{\"time_flow_start_ns\":%" PRId64 ",\"time_flow_end_ns\":%" PRId64
		",\"src_addr\":\"%s\",\"dst_addr\":\"%s\",\"proto\":%u,\"src_port\":%u"
		",\"dst_port\":%u,\"bytes\":%" PRIu64 ",\"packets\":%" PRIu64
		",\"tcp_flags\":%u,\"ip_tos\":%u,\"in_if\":%u,\"out_if\":%u,\"src_mac\":\"%s\""
		",\"dst_mac\":\"%s\",\"vlan_id\":%u,\"icmp_type\":%u,\"icmp_code\":%u"
		",\"etype\":%u,\"ip_ttl\":%u,\"sampling_rate\":%" PRIu32
		",\"sampler_address\":\"\",\"flow_end_reason\":%u,\"ip_ttl_max\":%u}\n",
		row->start_ns,
		row->end_ns,
		row->src_addr,
		row->dst_addr,
		r->key.proto,
		row->src_port,
		row->dst_port,
		r->octets,
		r->packets,
		r->tcp_flags,
		r->tos,
		r->in_if,
		r->in_if,
		row->src_mac,
		row->dst_mac,
		r->key.vlan_id,
		row->icmp_type,
		row->icmp_code,
		row->etype,
		r->ttl_min,
		rate,
		r->end,
		r->ttl_max
	);
}

static void flags_text(char *out, uint8_t flags) {
	static const char letters[] = "CEUAPRSF";
	for (unsigned i = 0; i < 8; i++)
		out[i] = flags & (0x80 >> i) ? letters[i] : '.';
	out[8] = '\0';
}

static void proto_text(char *out, size_t bytes, uint8_t proto) {
	static const struct {
		uint8_t proto;
		const char *name;
	} known[] = {
		{1, "ICMP"},
		{2, "IGMP"},
		{6, "TCP"},
		{17, "UDP"},
		{33, "DCCP"},
		{47, "GRE"},
		{50, "ESP"},
		{58, "ICMP6"},
		{89, "OSPF"},
		{132, "SCTP"},
		{136, "UDPLITE"},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].proto == proto) {
			snprintf(out, bytes, "%s", known[i].name);
			return;
		}
	snprintf(out, bytes, "%u", proto);
}

static int add_text(FILE *out, const struct flow_record *r, const struct row *row) {
	char start[24] = "-", flags[9], proto[8], src[64], dst[64];
	time_t seconds = (time_t)(row->start_ns / NS_PER_S);
	struct tm tm;
	bool ipv6 = r->key.family == FLOW_IPV6;

	if (gmtime_r(&seconds, &tm) != NULL)
		strftime(start, sizeof(start), "%Y-%m-%dT%H:%M:%S", &tm);
	flags_text(flags, r->tcp_flags);
	proto_text(proto, sizeof(proto), r->key.proto);
	snprintf(src, sizeof(src), ipv6 ? "[%s]:%u" : "%s:%u", row->src_addr, row->src_port);
	snprintf(dst, sizeof(dst), ipv6 ? "[%s]:%u" : "%s:%u", row->dst_addr, row->dst_port);
	int64_t duration_ms = ms_of_ticks(r->last_ticks) - ms_of_ticks(r->first_ticks);
	return fprintf(
		out,
		"%s.%03d %8" PRId64 ".%03d %-7s %-28s %-28s %s %10" PRIu64 " %12" PRIu64
		" %4u %u\n",
		start,
		(int)(row->start_ns / NS_PER_MS % 1000),
		duration_ms / 1000,
		(int)(duration_ms % 1000),
		proto,
		src,
		dst,
		flags,
		r->packets,
		r->octets,
		r->key.vlan_id,
		r->end
	);
}

struct print *print_new(enum print_format format, FILE *out) {
	if (format != PRINT_TEXT && format != PRINT_CSV && format != PRINT_JSON) {
		errno = EINVAL;
		return NULL;
	}
	struct print *print = calloc(1, sizeof(*print));
	if (print == NULL)
		return NULL;
	print->format = format;
	print->out = out;
	if (format == PRINT_CSV)
		fprintf(out,
			"time_flow_start_ns,time_flow_end_ns,src_addr,dst_addr,proto,src_port,dst_"
			"port,"
			"bytes,packets,tcp_flags,ip_tos,in_if,out_if,src_mac,dst_mac,vlan_id,icmp_"
			"type,"
			"icmp_code,etype,ip_ttl,sampling_rate,sampler_address,flow_end_reason,"
			"ip_ttl_max\n");
	else if (format == PRINT_TEXT)
		fprintf(out,
			"%-23s %12s %-7s %-28s %-28s %-8s %10s %12s %4s %s\n",
			"start (UTC)",
			"seconds",
			"proto",
			"source",
			"destination",
			"flags",
			"packets",
			"bytes",
			"vlan",
			"end");
	return print;
}

void print_free(struct print *print) {
	free(print);
}

static void add(atomic_ullong *counter, uint64_t n) {
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static bool has_failed(const struct print *print) {
	return atomic_load_explicit(&print->error, memory_order_relaxed) != 0;
}

static void fail(struct print *print, int error) {
	atomic_store_explicit(&print->error, error != 0 ? -error : -EIO, memory_order_relaxed);
	// What stdio still held may or may not have been written: it counts as lost.
	add(&print->lost, print->n_unflushed);
	print->n_unflushed = 0;
}

void print_add(struct print *print, const struct flow_record *record, uint32_t sampling_rate) {
	struct row row;
	int rc;

	add(&print->records, 1);
	if (has_failed(print)) {
		add(&print->lost, 1);
		return;
	}
	print->n_unflushed++;
	fill_row(&row, record);
	if (print->format == PRINT_CSV)
		rc = add_csv(print->out, record, &row, sampling_rate);
	else if (print->format == PRINT_JSON)
		rc = add_json(print->out, record, &row, sampling_rate);
	else
		rc = add_text(print->out, record, &row);
	if (rc < 0)
		fail(print, errno);
}

void print_flush(struct print *print) {
	if (has_failed(print))
		return;
	if (fflush(print->out) != 0) {
		fail(print, errno);
		return;
	}
	add(&print->written, print->n_unflushed);
	print->n_unflushed = 0;
}

void print_stats(const struct print *print, struct print_stats *stats) {
	*stats = (struct print_stats){
		.records = atomic_load_explicit(&print->records, memory_order_relaxed),
		.written = atomic_load_explicit(&print->written, memory_order_relaxed),
		.lost = atomic_load_explicit(&print->lost, memory_order_relaxed),
		.error = atomic_load_explicit(&print->error, memory_order_relaxed),
	};
}
