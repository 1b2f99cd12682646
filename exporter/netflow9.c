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
	RANDOM = 2,
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

// The export packets of one family under construction, back to back: all but the last are full
// and alike.
struct run {
	struct field_template template;
	unsigned full_records; // of a full datagram
	size_t full_bytes;
	unsigned most_datagrams;

	unsigned n_datagrams; // begun; 0 = closed
	int64_t *newest_ms;   // of the last one
	uint8_t *begin;       // of its records
	uint8_t *at;          // of its next record
	uint8_t *end;         // from where on make_room() is asked first

	int64_t newest_ms_of[EXPORT_RUN_DATAGRAMS]; // LAST of all records of each
	uint8_t out[EXPORT_RUN_BYTES];
};

struct netflow9 {
	struct netflow9_config config;
	export_send_fn send;
	void *arg;
	uint16_t sampling_a_id, sampling_b_id;

	uint32_t sequence;
	bool in_epoch;
	int64_t boot_ms;
	// With FIRST after boot, LAST up to `latest_ms` and a clock between these two a record
	// surely fits the epoch.
	int64_t earliest_ms, latest_ms;

	bool renew; // the next export packet carries templates
	int64_t templates_ms;
	uint32_t packets_since_templates;

	int64_t now_ms; // of the latest record under construction
	// The runs are to become one datagram: templates, and records of both families.
	bool mixed;
	unsigned n_others; // its template and option records
	size_t n_head;     // octets of its header, templates and options
	struct netflow9_stats stats;
	struct run ipv4, ipv6;
};

static void close_run(struct run *run) {
	run->n_datagrams = 0;
	run->begin = run->at = run->end = run->out;
}

static void run_init(struct run *run, struct field_template template, size_t datagram_bytes) {
	size_t head_bytes = HEADER_BYTES + FLOWSET_HEADER_BYTES;

	run->template = template;
	run->full_records = (unsigned)((datagram_bytes - head_bytes) / template.record_bytes);
	run->full_bytes = head_bytes + (size_t)run->full_records * template.record_bytes;
	run->most_datagrams = (unsigned)(EXPORT_RUN_BYTES / run->full_bytes);
	if (run->most_datagrams > EXPORT_RUN_DATAGRAMS)
		run->most_datagrams = EXPORT_RUN_DATAGRAMS;
	close_run(run);
}

struct netflow9 *
netflow9_new(const struct netflow9_config *config, export_send_fn send, void *arg) {
	if (config->source_id == 0 || config->datagram_bytes < NETFLOW9_MIN_DATAGRAM_BYTES
	    || config->datagram_bytes > NETFLOW9_MAX_DATAGRAM_BYTES
	    || config->template_interval_ms == 0 || config->template_packets == 0
	    || config->sampling_interval == 0 || config->sampling_algorithm > RANDOM
	    || send == NULL) {
		errno = EINVAL;
		return NULL;
	}

	struct netflow9 *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	encoder->config = *config;
	if (encoder->config.sampling_algorithm == 0)
		encoder->config.sampling_algorithm = DETERMINISTIC;
	encoder->send = send;
	encoder->arg = arg;
	run_init(&encoder->ipv4, fields_ipv4(), config->datagram_bytes);
	run_init(&encoder->ipv6, fields_ipv6(), config->datagram_bytes);
	encoder->latest_ms = INT64_MIN;
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
	uint8_t *out = encoder->ipv4.out;
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
		out[at++] = encoder->config.sampling_algorithm;
	encoder->n_others += 2;
	return end_flowset(out, begin, at);
}

static size_t put_templates(struct netflow9 *encoder, size_t at) {
	uint8_t *out = encoder->ipv4.out;
	size_t begin = at;

	wire_put16(out + at, TEMPLATE_FLOWSET);
	at = put_template(out, at + 4, &encoder->ipv4.template);
	at = put_template(out, at, &encoder->ipv6.template);
	encoder->n_others += 2;
	at = end_flowset(out, begin, at);
	at = put_options(encoder, at, encoder->sampling_a_id, sampling_a, 1);
	at = put_options(encoder, at, encoder->sampling_b_id, sampling_b, 2);
	encoder->stats.templates += 4;
	return at;
}

static bool is_open(const struct netflow9 *encoder) {
	return encoder->ipv4.n_datagrams > 0 || encoder->ipv6.n_datagrams > 0;
}

// Records of the last datagram.
static unsigned last_records(const struct run *run) {
	return (unsigned)((size_t)(run->at - run->begin) / run->template.record_bytes);
}

static uint8_t *datagram_of(struct run *run, unsigned i) {
	return run->out + i * run->full_bytes;
}

static void end_records(struct run *run) {
	uint8_t *flowset = run->begin - FLOWSET_HEADER_BYTES;
	wire_put16(flowset, run->template.id);
	end_flowset(flowset, 0, (size_t)(run->at - flowset));
}

// Begins the next datagram of a run, its records behind `n_head` octets and their FlowSet's
// header.
static void begin_datagram(struct run *run, size_t n_head) {
	if (run->n_datagrams > 0)
		end_records(run);
	run->begin = datagram_of(run, run->n_datagrams) + n_head + FLOWSET_HEADER_BYTES;
	run->at = run->begin;
	run->end = run->begin + (size_t)run->full_records * run->template.record_bytes;
	run->newest_ms = &run->newest_ms_of[run->n_datagrams++];
	*run->newest_ms = INT64_MIN;
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

static void put_header(struct netflow9 *encoder, uint8_t *out, unsigned count, int64_t newest_ms) {
	int64_t second = header_s(encoder->now_ms, newest_ms);
	// The clock may have run on past the epoch that the records fit in.
	int64_t last_second = floor_s(encoder->boot_ms + EPOCH_MOST_MS);
	if (second > last_second)
		second = last_second;
	wire_put16(out, VERSION);
	wire_put16(out + 2, (uint16_t)count);
	wire_put32(out + 4, (uint32_t)(second * 1000 - encoder->boot_ms));
	wire_put32(out + 8, (uint32_t)second);
	wire_put32(out + 12, encoder->sequence++);
	wire_put32(out + 16, encoder->config.source_id);
}

// Hands a run over whose FlowSets are complete. Its last datagram is of `last_bytes`, with
// `last_records` flow records and `n_others` of templates and options.
static void send_run(
	struct netflow9 *encoder,
	struct run *run,
	size_t last_bytes,
	unsigned n_last,
	unsigned n_others
) {
	const struct export_run done = {
		.octets = run->out,
		.datagram_bytes = run->full_bytes,
		.last_bytes = last_bytes,
		.n_datagrams = run->n_datagrams,
		.datagram_records = run->full_records,
		.last_records = n_last,
	};

	for (unsigned i = 0; i < done.n_datagrams; i++) {
		unsigned count = i + 1 < done.n_datagrams ? run->full_records : n_last + n_others;
		put_header(encoder, datagram_of(run, i), count, run->newest_ms_of[i]);
	}
	close_run(run);
	encoder->packets_since_templates += done.n_datagrams;
	encoder->stats.datagrams += done.n_datagrams;
	encoder->stats.octets += export_run_bytes(&done);
	encoder->stats.records += export_run_records(&done);
	encoder->send(&done, encoder->arg);
}

static void end_run(struct netflow9 *encoder, struct run *run) {
	if (run->n_datagrams == 0)
		return;
	end_records(run);
	size_t last_bytes = (size_t)(run->at - datagram_of(run, run->n_datagrams - 1));
	send_run(encoder, run, last_bytes, last_records(run), 0);
}

// Octets of a datagram of so many records of both families.
static size_t octets_of(size_t n_head, unsigned n_ipv4, unsigned n_ipv6) {
	size_t bytes = n_head;
	if (n_ipv4 > 0)
		bytes += FLOWSET_HEADER_BYTES + (size_t)n_ipv4 * FIELDS_IPV4_BYTES;
	if (n_ipv6 > 0)
		bytes += FLOWSET_HEADER_BYTES + (size_t)n_ipv6 * FIELDS_IPV6_BYTES;
	return bytes;
}

// One datagram of both families' records: behind templates, and at a flush where they fit, so
// that who exports little sends as few datagrams as can be.
static void end_joined(struct netflow9 *encoder) {
	struct run *ipv4 = &encoder->ipv4, *ipv6 = &encoder->ipv6;
	unsigned n_ipv4 = last_records(ipv4), n_ipv6 = last_records(ipv6);
	size_t at = encoder->mixed ? encoder->n_head : HEADER_BYTES;
	unsigned n_others = encoder->mixed ? encoder->n_others : 0;

	if (n_ipv4 > 0) {
		end_records(ipv4);
		at = (size_t)(ipv4->at - ipv4->out);
	}
	if (n_ipv6 > 0) {
		const uint8_t *flowset = ipv6->begin - FLOWSET_HEADER_BYTES;
		end_records(ipv6);
		memcpy(ipv4->out + at, flowset, (size_t)(ipv6->at - flowset));
		at += (size_t)(ipv6->at - flowset);
		if (*ipv6->newest_ms > *ipv4->newest_ms)
			*ipv4->newest_ms = *ipv6->newest_ms;
	}
	close_run(ipv6);
	encoder->mixed = false;
	send_run(encoder, ipv4, at, n_ipv4 + n_ipv6, n_others);
}

static void end_runs(struct netflow9 *encoder) {
	struct run *ipv4 = &encoder->ipv4, *ipv6 = &encoder->ipv6;
	size_t joined_bytes = octets_of(HEADER_BYTES, last_records(ipv4), last_records(ipv6));

	if (encoder->mixed
	    || (ipv4->n_datagrams == 1 && ipv6->n_datagrams == 1
		&& joined_bytes <= encoder->config.datagram_bytes)) {
		end_joined(encoder);
		return;
	}
	end_run(encoder, ipv4);
	end_run(encoder, ipv6);
}

void netflow9_flush(struct netflow9 *encoder, int64_t now_ms) {
	if (!is_open(encoder))
		return;
	// A clock that was set back since does not take the packets back with it.
	if (now_ms > encoder->now_ms && now_ms < TIME_MS_LIMIT)
		encoder->now_ms = now_ms;
	end_runs(encoder);
}

static bool templates_due(const struct netflow9 *encoder, int64_t now_ms) {
	int64_t since_ms = now_ms - encoder->templates_ms;
	unsigned n_packets = encoder->packets_since_templates + encoder->ipv4.n_datagrams
			     + encoder->ipv6.n_datagrams;
	return encoder->renew || since_ms < 0 || since_ms >= encoder->config.template_interval_ms
	       || n_packets >= encoder->config.template_packets;
}

static void begin_mixed(struct netflow9 *encoder, int64_t now_ms) {
	encoder->mixed = true;
	encoder->n_others = 0;
	encoder->n_head = put_templates(encoder, HEADER_BYTES);
	encoder->renew = false;
	encoder->templates_ms = now_ms;
	encoder->packets_since_templates = 0;
	begin_datagram(&encoder->ipv4, encoder->n_head);
	begin_datagram(&encoder->ipv6, HEADER_BYTES);
	// What fits depends on both: make_room() looks at every record.
	encoder->ipv4.end = encoder->ipv4.begin;
	encoder->ipv6.end = encoder->ipv6.begin;
}

// Makes room for a record in `run`. Once a datagram, but for those with templates.
[[gnu::noinline]] static void make_room(struct netflow9 *encoder, struct run *run, int64_t now_ms) {
	if (encoder->mixed) {
		unsigned n_ipv4 = last_records(&encoder->ipv4) + (run == &encoder->ipv4);
		unsigned n_ipv6 = last_records(&encoder->ipv6) + (run == &encoder->ipv6);
		if (octets_of(encoder->n_head, n_ipv4, n_ipv6) <= encoder->config.datagram_bytes)
			return;
		end_runs(encoder);
	} else if (run->n_datagrams == run->most_datagrams) {
		end_run(encoder, run);
	}

	bool due = templates_due(encoder, now_ms);
	if (due)
		end_runs(encoder);
	if (!is_open(encoder))
		encoder->now_ms = now_ms;
	if (due)
		begin_mixed(encoder, now_ms);
	else
		begin_datagram(run, HEADER_BYTES);
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
	if (is_open(encoder) && encoder->now_ms > now_ms)
		now_ms = encoder->now_ms;
	int64_t uptime_ms = header_s(now_ms, last_ms) * 1000 - encoder->boot_ms;
	return uptime_ms > EPOCH_LEAST_MS && uptime_ms <= EPOCH_MOST_MS;
}

// Begins another epoch where the present one does not do for a record.
[[gnu::noinline, gnu::cold]] static void
check_epoch(struct netflow9 *encoder, int64_t first_ms, int64_t last_ms, int64_t now_ms) {
	first_ms = bounded(first_ms);
	last_ms = bounded(last_ms);
	if (fits_epoch(encoder, first_ms, last_ms, now_ms))
		return;
	if (is_open(encoder))
		end_runs(encoder);
	encoder->in_epoch = true;
	encoder->boot_ms = (first_ms < now_ms ? first_ms : now_ms) - EPOCH_LEAD_MS;
	encoder->earliest_ms = encoder->boot_ms + EPOCH_LEAST_MS + 1000;
	encoder->latest_ms = floor_s(encoder->boot_ms + EPOCH_MOST_MS) * 1000;
	// A record weeks away from the clock fits no epoch: take a close look at the next ones.
	if (!fits_epoch(encoder, first_ms, last_ms, now_ms))
		encoder->latest_ms = INT64_MIN;
	encoder->renew = true;
}

void netflow9_add(
	struct netflow9 *encoder,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
) {
	now_ms = bounded(now_ms);
	for (const struct flow_record *record = records; record < records + n_records; record++) {
		bool ipv6 = record->key.family == FLOW_IPV6;
		struct run *run = ipv6 ? &encoder->ipv6 : &encoder->ipv4;
		int64_t first_ms = ms_of_ticks(record->first_ticks);
		int64_t last_ms = ms_of_ticks(record->last_ticks);

		if (first_ms <= encoder->boot_ms || last_ms > encoder->latest_ms
		    || now_ms < encoder->earliest_ms || now_ms > encoder->latest_ms)
			check_epoch(encoder, first_ms, last_ms, now_ms);
		if (run->at >= run->end)
			make_room(encoder, run, now_ms);
		if (now_ms > encoder->now_ms)
			encoder->now_ms = now_ms;
		if (last_ms > *run->newest_ms)
			*run->newest_ms = last_ms;
		if (ipv6)
			fields_encode_ipv6(run->at, record, encoder->boot_ms);
		else
			fields_encode_ipv4(run->at, record, encoder->boot_ms);
		run->at += ipv6 ? FIELDS_IPV6_BYTES : FIELDS_IPV4_BYTES;
	}
}

void netflow9_renew_templates(struct netflow9 *encoder) {
	encoder->renew = true;
}

void netflow9_set_sampling(struct netflow9 *encoder, uint32_t interval, uint8_t algorithm) {
	struct netflow9_config *config = &encoder->config;

	assert(interval > 0 && (algorithm == DETERMINISTIC || algorithm == RANDOM));
	if (config->sampling_interval == interval && config->sampling_algorithm == algorithm)
		return;
	if (is_open(encoder))
		end_runs(encoder);
	config->sampling_interval = interval;
	config->sampling_algorithm = algorithm;
	encoder->renew = true;
}

void netflow9_stats(const struct netflow9 *encoder, struct netflow9_stats *stats) {
	*stats = encoder->stats;
}
