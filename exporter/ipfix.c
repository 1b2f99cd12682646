#include "ipfix.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "field_profile.h"
#include "message.h"
#include "options_data.h"

struct ipfix {
	struct ipfix_config config;
	ipfix_send_fn send;
	void *arg;
	struct field_layout layouts[2];
	struct options_data options;

	uint32_t sequence; // data records before this message, those of options too
	bool templates;    // have been sent
	unsigned kinds;    // 1 << enum options_kind of what is to be told anew
	struct encoder_stats stats;

	size_t at;       // octets of the message; 0 = none is under construction
	size_t set;      // where its last set of records begins
	uint16_t set_id; // of that set, or 0
	unsigned n_records, n_options;
	int64_t newest_ms;
	uint8_t out[IPFIX_MAX_MESSAGE_BYTES + FIELDS_SLACK_BYTES];
};

struct ipfix *ipfix_new(const struct ipfix_config *config, ipfix_send_fn send, void *arg) {
	struct field_profile standard;

	if (config->message_bytes < IPFIX_MIN_MESSAGE_BYTES || config->sampling_interval == 0
	    || config->sampling_algorithm == 0 || config->sampling_algorithm > 2 || send == NULL) {
		errno = EINVAL;
		return NULL;
	}
	struct ipfix *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	encoder->config = *config;
	encoder->send = send;
	encoder->arg = arg;
	field_profile_standard(&standard);
	const struct field_profile *profile = config->profile != NULL ? config->profile : &standard;
	memcpy(encoder->layouts, profile->layouts[FIELDS_IPFIX], sizeof(encoder->layouts));
	options_data_init(&encoder->options, FIELDS_IPFIX, config->domain, encoder->layouts);
	encoder->options.sampling_interval = config->sampling_interval;
	encoder->options.sampling_algorithm = config->sampling_algorithm;
	return encoder;
}

void ipfix_free(struct ipfix *encoder) {
	free(encoder);
}

static void end_set(struct ipfix *encoder) {
	if (encoder->set_id != 0)
		encoder->at = message_end_set(
			FIELDS_IPFIX, encoder->out, encoder->set_id, encoder->set, encoder->at
		);
	encoder->set_id = 0;
}

static void begin_set(struct ipfix *encoder, uint16_t id) {
	end_set(encoder);
	encoder->set = encoder->at;
	encoder->set_id = id;
	encoder->at += SET_HEADER_BYTES;
}

static void send_message(struct ipfix *encoder) {
	int64_t seconds = encoder->newest_ms / 1000 + (encoder->newest_ms % 1000 > 0);
	const struct ipfix_message message = {encoder->out, encoder->at, encoder->n_records};

	message_put_header(
		FIELDS_IPFIX,
		encoder->out,
		&(struct message_header){
			.bytes = encoder->at,
			.second = (uint32_t)seconds,
			.sequence = encoder->sequence,
			.domain = encoder->config.domain,
		}
	);
	encoder->sequence += encoder->n_records + encoder->n_options;
	encoder->stats.datagrams++;
	encoder->stats.octets += encoder->at;
	encoder->stats.records += encoder->n_records;
	encoder->stats.options += encoder->n_options;
	encoder->at = 0;
	encoder->send(&message, encoder->arg);
}

// What of templates and options is due. What does not go into one message leaves before.
static void put_head(struct ipfix *encoder, bool templates) {
	struct options_cursor cursor = {.templates = templates, .kinds = encoder->kinds};

	for (;;) {
		encoder->options.octets = encoder->stats.octets;
		encoder->options.messages = encoder->stats.datagrams;
		encoder->options.flows = encoder->stats.records;
		encoder->at = options_put(
			&encoder->options,
			encoder->layouts,
			&cursor,
			encoder->out,
			encoder->at,
			encoder->config.message_bytes
		);
		encoder->n_options = cursor.n_options;
		encoder->stats.templates += cursor.n_templates;
		if (options_done(&cursor))
			break;
		send_message(encoder);
		encoder->at = message_header_bytes(FIELDS_IPFIX);
	}
	encoder->kinds = 0;
}

static void begin_message(struct ipfix *encoder, int64_t now_ms) {
	bool templates = !encoder->templates;

	encoder->at = message_header_bytes(FIELDS_IPFIX);
	encoder->set_id = 0;
	encoder->n_records = encoder->n_options = 0;
	encoder->newest_ms = now_ms;
	if (templates) {
		encoder->templates = true;
		encoder->kinds = OPTIONS_ALL;
	}
	if (encoder->kinds != 0)
		put_head(encoder, templates);
}

void ipfix_flush(struct ipfix *encoder) {
	if (encoder->at == 0)
		return;
	end_set(encoder);
	send_message(encoder);
}

static void add(struct ipfix *encoder, const struct flow_record *record, int64_t now_ms) {
	const struct field_layout *layout = &encoder->layouts[record->key.family == FLOW_IPV6];
	int64_t last_ms = ms_of_ticks(record->last_ticks);
	size_t needed = layout->record_bytes + (size_t)SET_HEADER_BYTES;

	if (encoder->at > 0 && encoder->set_id == layout->id)
		needed -= SET_HEADER_BYTES;
	if (encoder->at > 0 && encoder->at + needed > encoder->config.message_bytes)
		ipfix_flush(encoder);
	if (encoder->at == 0) {
		begin_message(encoder, now_ms);
		needed = layout->record_bytes + (size_t)SET_HEADER_BYTES;
		// Templates and options may have left no room behind them.
		if (encoder->at + needed > encoder->config.message_bytes) {
			send_message(encoder);
			begin_message(encoder, now_ms);
		}
	}
	if (encoder->set_id != layout->id)
		begin_set(encoder, layout->id);
	field_layout_encode(layout, encoder->out + encoder->at, record, 0);
	encoder->at += layout->record_bytes;
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
	struct options_data *options = &encoder->options;

	if (options->sampling_interval == interval && options->sampling_algorithm == algorithm)
		return;
	ipfix_flush(encoder);
	options->sampling_interval = interval;
	options->sampling_algorithm = algorithm;
	encoder->kinds |= 1u << OPTIONS_SAMPLING;
}

void ipfix_set_interfaces(
	struct ipfix *encoder, const struct export_interface *interfaces, size_t n
) {
	options_data_set_interfaces(&encoder->options, interfaces, n);
	encoder->templates = false;
}

void ipfix_set_counts(struct ipfix *encoder, const struct export_counts *counts) {
	// Their templates are told where there is something to tell.
	if (!encoder->options.has_counts)
		encoder->templates = false;
	encoder->options.counts = *counts;
	encoder->options.has_counts = true;
	encoder->kinds |= OPTIONS_COUNTS;
}

void ipfix_stats(const struct ipfix *encoder, struct encoder_stats *stats) {
	*stats = encoder->stats;
}
