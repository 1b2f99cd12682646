#include "netflow9.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fields.h"
#include "wire.h"

enum {
	VERSION = 9,
	HEADER_BYTES = 20,
	FLOWSET_HEADER_BYTES = 4,
	TEMPLATE_FLOWSET = 0,
	OPTIONS_TEMPLATE_FLOWSET = 1,
	SCOPE_SYSTEM = 1,
	SAMPLING_INTERVAL = 34,
	SAMPLING_ALGORITHM = 35,
	DETERMINISTIC = 1,
};

// How far before the first record an epoch begins: uptime starts at two hours, so that flows
// which began earlier still have one above 0.
#define EPOCH_LEAD_MS INT64_C(7200000)

// Uptime stays above an hour, so that no flow begins before boot, and below its top bit.
#define EPOCH_LEAST_MS INT64_C(3600000)
#define EPOCH_MOST_MS INT64_C(0x7fffffff)

// Times are kept away from the ends of their type; no clock that is right comes near.
#define TIME_MS_LIMIT (INT64_MAX / 4)

// The two forms of sampling options: some collectors know only the first, the others want
// the second (docs/netflow.md).
static const struct field sampling_a[] = {{SAMPLING_INTERVAL, 4}};
static const struct field sampling_b[] = {{SAMPLING_INTERVAL, 4}, {SAMPLING_ALGORITHM, 1}};

struct netflow9 {
	struct netflow9_config config;
	netflow9_send_fn send;
	void *arg;
	struct field_template ipv4, ipv6;
	uint16_t sampling_a_id, sampling_b_id;

	uint32_t sequence;
	bool in_epoch;
	int64_t boot_ms;

	bool renew; // the next export packet carries templates
	int64_t templates_ms;
	uint32_t packets_since_templates;

	// The export packet under construction: header, templates, IPv4 FlowSet; IPv6 apart.
	bool open;
	int64_t now_ms;    // of the latest record
	int64_t newest_ms; // LAST of all its records
	unsigned n_ipv4, n_ipv6;
	unsigned n_others; // template and option records
	size_t n_head;     // octets of header, templates and options
	struct netflow9_stats stats;
	uint8_t out[NETFLOW9_MAX_DATAGRAM_BYTES];
	uint8_t ipv6_records[NETFLOW9_MAX_DATAGRAM_BYTES];
};

struct netflow9 *
netflow9_new(const struct netflow9_config *config, netflow9_send_fn send, void *arg) {
	if (config->source_id == 0 || config->datagram_bytes < NETFLOW9_MIN_DATAGRAM_BYTES
	    || config->datagram_bytes > NETFLOW9_MAX_DATAGRAM_BYTES
	    || config->template_interval_ms == 0 || config->template_packets == 0
	    || config->sampling_interval == 0 || send == NULL) {
		errno = EINVAL;
		return NULL;
	}

	struct netflow9 *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	encoder->config = *config;
	encoder->send = send;
	encoder->arg = arg;
	encoder->ipv4 = fields_ipv4();
	encoder->ipv6 = fields_ipv6();
	encoder->sampling_a_id = fields_template_id(sampling_a, 1);
	encoder->sampling_b_id = fields_template_id(sampling_b, 2);
	encoder->renew = true;
	return encoder;
}

void netflow9_free(struct netflow9 *encoder) {
	free(encoder);
}

// Ends a FlowSet that begins at `begin`: pads it to 32 bits and fills in its length.
static size_t end_flowset(uint8_t *out, size_t begin, size_t end) {
	while ((end - begin) % 4 != 0)
		out[end++] = 0;
	wire_put16(out + begin + 2, (uint16_t)(end - begin));
	return end;
}

static size_t put_fields(uint8_t *out, size_t at, const struct field *fields, unsigned n) {
	for (unsigned i = 0; i < n; i++, at += 4) {
		wire_put16(out + at, fields[i].id);
		wire_put16(out + at + 2, fields[i].bytes);
	}
	return at;
}

// RFC 3954 section 5.2.
static size_t put_template(uint8_t *out, size_t at, const struct field_template *template) {
	wire_put16(out + at, template->id);
	wire_put16(out + at + 2, template->n_fields);
	return put_fields(out, at + 4, template->fields, template->n_fields);
}

// An options template and its one record, each in a FlowSet of its own: several in one FlowSet
// are more than some collectors read. RFC 3954 section 6.1.
static size_t put_options(
	struct netflow9 *encoder,
	size_t at,
	uint16_t id,
	const struct field *fields,
	unsigned n_fields
) {
	uint8_t *out = encoder->out;
	size_t begin = at;

	wire_put16(out + at, OPTIONS_TEMPLATE_FLOWSET);
	wire_put16(out + at + 4, id);
	wire_put16(out + at + 6, 4);                        // octets of scope fields
	wire_put16(out + at + 8, (uint16_t)(4 * n_fields)); // octets of option fields
	at = put_fields(out, at + 10, &(struct field){SCOPE_SYSTEM, 4}, 1);
	at = put_fields(out, at, fields, n_fields);
	at = end_flowset(out, begin, at);

	begin = at;
	wire_put16(out + at, id);
	wire_put32(out + at + 4, encoder->config.source_id); // the system
	wire_put32(out + at + 8, encoder->config.sampling_interval);
	at += 12;
	if (n_fields > 1)
		out[at++] = DETERMINISTIC;
	encoder->n_others += 2;
	return end_flowset(out, begin, at);
}

static size_t put_templates(struct netflow9 *encoder, size_t at) {
	size_t begin = at;

	wire_put16(encoder->out + at, TEMPLATE_FLOWSET);
	at = put_template(encoder->out, at + 4, &encoder->ipv4);
	at = put_template(encoder->out, at, &encoder->ipv6);
	encoder->n_others += 2;
	at = end_flowset(encoder->out, begin, at);
	at = put_options(encoder, at, encoder->sampling_a_id, sampling_a, 1);
	at = put_options(encoder, at, encoder->sampling_b_id, sampling_b, 2);
	encoder->stats.templates += 4;
	return at;
}

static void begin_packet(struct netflow9 *encoder, int64_t now_ms) {
	encoder->open = true;
	encoder->now_ms = now_ms;
	encoder->newest_ms = INT64_MIN;
	encoder->n_ipv4 = encoder->n_ipv6 = encoder->n_others = 0;
	encoder->n_head = HEADER_BYTES;

	int64_t since_ms = now_ms - encoder->templates_ms;
	if (!encoder->renew && since_ms >= 0 && since_ms < encoder->config.template_interval_ms
	    && encoder->packets_since_templates < encoder->config.template_packets)
		return;
	encoder->n_head = put_templates(encoder, HEADER_BYTES);
	encoder->renew = false;
	encoder->templates_ms = now_ms;
	encoder->packets_since_templates = 0;
}

static int64_t ceil_s(int64_t ms) {
	return ms / 1000 + (ms % 1000 > 0);
}

static int64_t floor_s(int64_t ms) {
	return ms / 1000 - (ms % 1000 < 0);
}

// unix_secs, from which sysUptime follows: a whole second at which no LAST lies in the future.
static int64_t header_s(int64_t now_ms, int64_t newest_ms) {
	int64_t now_s = floor_s(now_ms), newest_s = ceil_s(newest_ms);
	return now_s > newest_s ? now_s : newest_s;
}

static size_t octets_of(const struct netflow9 *encoder, unsigned n_ipv4, unsigned n_ipv6) {
	size_t bytes = encoder->n_head;
	if (n_ipv4 > 0)
		bytes += FLOWSET_HEADER_BYTES + (size_t)n_ipv4 * FIELDS_IPV4_BYTES;
	if (n_ipv6 > 0)
		bytes += FLOWSET_HEADER_BYTES + (size_t)n_ipv6 * FIELDS_IPV6_BYTES;
	return bytes;
}

void netflow9_flush(struct netflow9 *encoder, int64_t now_ms) {
	if (!encoder->open)
		return;
	// A clock that was set back since does not take the packet back with it.
	if (now_ms > encoder->now_ms && now_ms < TIME_MS_LIMIT)
		encoder->now_ms = now_ms;

	uint8_t *out = encoder->out;
	size_t at = encoder->n_head;
	if (encoder->n_ipv4 > 0) {
		wire_put16(out + at, encoder->ipv4.id);
		at = end_flowset(out, at, at + 4 + (size_t)encoder->n_ipv4 * FIELDS_IPV4_BYTES);
	}
	if (encoder->n_ipv6 > 0) {
		size_t bytes = (size_t)encoder->n_ipv6 * FIELDS_IPV6_BYTES;
		wire_put16(out + at, encoder->ipv6.id);
		memcpy(out + at + 4, encoder->ipv6_records, bytes);
		at = end_flowset(out, at, at + 4 + bytes);
	}

	unsigned n_records = encoder->n_ipv4 + encoder->n_ipv6;
	int64_t second = header_s(encoder->now_ms, encoder->newest_ms);
	// The clock may have run on past the epoch that the records fit in.
	int64_t last_second = floor_s(encoder->boot_ms + EPOCH_MOST_MS);
	if (second > last_second)
		second = last_second;
	wire_put16(out, VERSION);
	wire_put16(out + 2, (uint16_t)(n_records + encoder->n_others));
	wire_put32(out + 4, (uint32_t)(second * 1000 - encoder->boot_ms));
	wire_put32(out + 8, (uint32_t)second);
	wire_put32(out + 12, encoder->sequence++);
	wire_put32(out + 16, encoder->config.source_id);

	encoder->open = false;
	encoder->packets_since_templates++;
	encoder->stats.datagrams++;
	encoder->stats.octets += at;
	encoder->stats.records += n_records;
	encoder->send(out, at, n_records, encoder->arg);
}

static int64_t bounded(int64_t ms) {
	return ms < 0 ? 0 : ms > TIME_MS_LIMIT ? TIME_MS_LIMIT : ms;
}

// Whether a record of these times can be told in the present epoch.
static bool
fits_epoch(const struct netflow9 *encoder, int64_t first_ms, int64_t last_ms, int64_t now_ms) {
	// At boot itself LAST_SWITCHED would be 0, which reads as absent.
	if (!encoder->in_epoch || first_ms <= encoder->boot_ms)
		return false;
	int64_t newest_ms =
		encoder->open && encoder->newest_ms > last_ms ? encoder->newest_ms : last_ms;
	if (encoder->open && encoder->now_ms > now_ms)
		now_ms = encoder->now_ms;
	int64_t uptime_ms = header_s(now_ms, newest_ms) * 1000 - encoder->boot_ms;
	return uptime_ms > EPOCH_LEAST_MS && uptime_ms <= EPOCH_MOST_MS;
}

void netflow9_add(struct netflow9 *encoder, const struct flow_record *record, int64_t now_ms) {
	int64_t first_ms = bounded(ms_of_ticks(record->first_ticks));
	int64_t last_ms = bounded(ms_of_ticks(record->last_ticks));
	bool ipv6 = record->key.family == FLOW_IPV6;

	now_ms = bounded(now_ms);
	if (!fits_epoch(encoder, first_ms, last_ms, now_ms)) {
		netflow9_flush(encoder, encoder->now_ms);
		encoder->in_epoch = true;
		encoder->boot_ms = (first_ms < now_ms ? first_ms : now_ms) - EPOCH_LEAD_MS;
		encoder->renew = true;
	}
	if (encoder->open
	    && octets_of(encoder, encoder->n_ipv4 + !ipv6, encoder->n_ipv6 + ipv6)
		       > encoder->config.datagram_bytes)
		netflow9_flush(encoder, encoder->now_ms);
	if (!encoder->open)
		begin_packet(encoder, now_ms);

	if (now_ms > encoder->now_ms)
		encoder->now_ms = now_ms;
	if (last_ms > encoder->newest_ms)
		encoder->newest_ms = last_ms;
	if (ipv6) {
		fields_encode_ipv6(
			encoder->ipv6_records + (size_t)encoder->n_ipv6++ * FIELDS_IPV6_BYTES,
			record,
			encoder->boot_ms
		);
	} else {
		fields_encode_ipv4(
			encoder->out + encoder->n_head + FLOWSET_HEADER_BYTES
				+ (size_t)encoder->n_ipv4++ * FIELDS_IPV4_BYTES,
			record,
			encoder->boot_ms
		);
	}
}

void netflow9_renew_templates(struct netflow9 *encoder) {
	encoder->renew = true;
}

void netflow9_stats(const struct netflow9 *encoder, struct netflow9_stats *stats) {
	*stats = encoder->stats;
}
