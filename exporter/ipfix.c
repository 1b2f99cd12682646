#include "ipfix.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "clock.h"
#include "fields.h"
#include "wire.h"

enum {
	VERSION = 10,
	HEADER_BYTES = 16,
	SET_HEADER_BYTES = 4,
	TEMPLATE_SET = 2,
	OPTIONS_TEMPLATE_SET = 3,
	OBSERVATION_DOMAIN_ID = 149,
	SAMPLING_INTERVAL = 34,
	SAMPLING_ALGORITHM = 35,
	RANDOM = 2,
};

// The first is the scope. Of the elements for sampling these are the ones that collectors know.
static const struct field sampling[] = {
	{OBSERVATION_DOMAIN_ID, 4}, {SAMPLING_INTERVAL, 4}, {SAMPLING_ALGORITHM, 1}};

struct ipfix {
	struct ipfix_config config;
	ipfix_send_fn send;
	void *arg;
	struct field_template ipv4, ipv6;
	uint16_t sampling_id;

	uint32_t sequence; // data records before this message, those of options too
	bool templates;    // have been sent, at `templates_ms`, and so many messages before this
	bool options;      // so has the present sampling
	int64_t templates_ms;
	uint32_t n_since;

	size_t at;       // octets of the message; 0 = none is under construction
	size_t set;      // where its last set begins
	uint16_t set_id; // of the last set, or 0
	unsigned n_records, n_options;
	int64_t newest_ms;
	uint8_t out[IPFIX_MAX_MESSAGE_BYTES];
};

struct ipfix *ipfix_new(const struct ipfix_config *config, ipfix_send_fn send, void *arg) {
	if (config->message_bytes < IPFIX_MIN_MESSAGE_BYTES || config->sampling_interval == 0
	    || config->sampling_algorithm == 0 || config->sampling_algorithm > RANDOM
	    || send == NULL) {
		errno = EINVAL;
		return NULL;
	}
	struct ipfix *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	encoder->config = *config;
	encoder->send = send;
	encoder->arg = arg;
	encoder->ipv4 = fields_ipfix_ipv4();
	encoder->ipv6 = fields_ipfix_ipv6();
	encoder->sampling_id = fields_template_id(sampling, sizeof(sampling) / sizeof(sampling[0]));
	return encoder;
}

void ipfix_free(struct ipfix *encoder) {
	free(encoder);
}

static void end_set(struct ipfix *encoder) {
	if (encoder->set_id == 0)
		return;
	wire_put16(encoder->out + encoder->set, encoder->set_id);
	wire_put16(encoder->out + encoder->set + 2, (uint16_t)(encoder->at - encoder->set));
	encoder->set_id = 0;
}

static void begin_set(struct ipfix *encoder, uint16_t id) {
	end_set(encoder);
	encoder->set = encoder->at;
	encoder->set_id = id;
	encoder->at += SET_HEADER_BYTES;
}

static void put16(struct ipfix *encoder, uint16_t value) {
	wire_put16(encoder->out + encoder->at, value);
	encoder->at += 2;
}

static void put32(struct ipfix *encoder, uint32_t value) {
	wire_put32(encoder->out + encoder->at, value);
	encoder->at += 4;
}

static void put_fields(struct ipfix *encoder, const struct field *fields, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		put16(encoder, fields[i].id);
		put16(encoder, fields[i].bytes);
	}
}

// RFC 7011 section 3.4.1.
static void put_template(struct ipfix *encoder, const struct field_template *template) {
	put16(encoder, template->id);
	put16(encoder, template->n_fields);
	put_fields(encoder, template->fields, template->n_fields);
}

// RFC 7011 section 3.4.2.
static void put_options_template(struct ipfix *encoder) {
	unsigned n = sizeof(sampling) / sizeof(sampling[0]);

	begin_set(encoder, OPTIONS_TEMPLATE_SET);
	put16(encoder, encoder->sampling_id);
	put16(encoder, (uint16_t)n);
	put16(encoder, 1); // of them the scope
	put_fields(encoder, sampling, n);
}

static void put_options(struct ipfix *encoder) {
	begin_set(encoder, encoder->sampling_id);
	put32(encoder, encoder->config.domain);
	put32(encoder, encoder->config.sampling_interval);
	encoder->out[encoder->at++] = encoder->config.sampling_algorithm;
	encoder->n_options++;
}

static bool templates_due(const struct ipfix *encoder, int64_t now_ms) {
	const struct ipfix_config *config = &encoder->config;
	int64_t since_ms = now_ms - encoder->templates_ms;

	if (!encoder->templates)
		return true;
	// A clock that went back is no reason to wait for it.
	return (config->template_interval_ms > 0
		&& (since_ms < 0 || since_ms >= config->template_interval_ms))
	       || (config->template_messages > 0 && encoder->n_since >= config->template_messages);
}

static void begin_message(struct ipfix *encoder, int64_t now_ms) {
	encoder->at = HEADER_BYTES;
	encoder->set_id = 0;
	encoder->n_records = encoder->n_options = 0;
	encoder->newest_ms = 0;
	encoder->n_since++;
	if (templates_due(encoder, now_ms)) {
		encoder->templates_ms = now_ms;
		encoder->n_since = 1;
		encoder->options = false;
		begin_set(encoder, TEMPLATE_SET);
		put_template(encoder, &encoder->ipv4);
		put_template(encoder, &encoder->ipv6);
		put_options_template(encoder);
		encoder->templates = true;
	}
	if (!encoder->options) {
		put_options(encoder);
		encoder->options = true;
	}
}

void ipfix_flush(struct ipfix *encoder) {
	uint8_t *out = encoder->out;

	if (encoder->at == 0)
		return;
	end_set(encoder);
	int64_t seconds = encoder->newest_ms / 1000 + (encoder->newest_ms % 1000 > 0);
	wire_put16(out, VERSION);
	wire_put16(out + 2, (uint16_t)encoder->at);
	wire_put32(out + 4, (uint32_t)seconds);
	wire_put32(out + 8, encoder->sequence);
	wire_put32(out + 12, encoder->config.domain);
	const struct ipfix_message message = {out, encoder->at, encoder->n_records};
	encoder->sequence += encoder->n_records + encoder->n_options;
	encoder->at = 0;
	encoder->send(&message, encoder->arg);
}

static void add(struct ipfix *encoder, const struct flow_record *record, int64_t now_ms) {
	bool ipv6 = record->key.family == FLOW_IPV6;
	const struct field_template *template = ipv6 ? &encoder->ipv6 : &encoder->ipv4;
	int64_t last_ms = ms_of_ticks(record->last_ticks);
	size_t needed = template->record_bytes;

	if (encoder->at > 0 && encoder->set_id != template->id)
		needed += SET_HEADER_BYTES;
	if (encoder->at > 0 && encoder->at + needed > encoder->config.message_bytes)
		ipfix_flush(encoder);
	if (encoder->at == 0)
		begin_message(encoder, now_ms);
	if (encoder->set_id != template->id)
		begin_set(encoder, template->id);
	if (ipv6)
		fields_encode_ipfix_ipv6(encoder->out + encoder->at, record);
	else
		fields_encode_ipfix_ipv4(encoder->out + encoder->at, record);
	encoder->at += template->record_bytes;
	encoder->n_records++;
	if (last_ms > now_ms)
		now_ms = last_ms;
	if (now_ms > encoder->newest_ms)
		encoder->newest_ms = now_ms;
}

void ipfix_add(
	struct ipfix *encoder, const struct flow_record *records, size_t n_records, int64_t now_ms
) {
	for (size_t i = 0; i < n_records; i++)
		add(encoder, &records[i], now_ms);
}

void ipfix_renew_templates(struct ipfix *encoder) {
	encoder->templates = false;
}

void ipfix_set_sampling(struct ipfix *encoder, uint32_t interval, uint8_t algorithm) {
	if (encoder->config.sampling_interval == interval
	    && encoder->config.sampling_algorithm == algorithm)
		return;
	ipfix_flush(encoder);
	encoder->config.sampling_interval = interval;
	encoder->config.sampling_algorithm = algorithm;
	encoder->options = false;
}
