#include "encoder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datagrams.h"
#include "ipfix.h"
#include "netflow5.h"
#include "netflow9.h"

struct encoder {
	struct datagrams *datagrams; // or else
	struct ipfix *ipfix;         // in order
	struct netflow5 *netflow5;
	export_send_fn send;
	void *arg;
	bool scales;
	uint32_t scale; // of the records to come
};

// An IPFIX message is a run of one.
static void send_message(const struct ipfix_message *message, void *arg) {
	struct encoder *encoder = arg;
	const struct export_run run = {
		.octets = message->octets,
		.datagram_bytes = message->n,
		.last_bytes = message->n,
		.n_datagrams = 1,
		.datagram_records = message->n_records,
		.last_records = message->n_records,
	};

	encoder->send(&run, encoder->arg);
}

static void new_ipfix(struct encoder *encoder, const struct encoder_config *config) {
	encoder->ipfix = ipfix_new(
		&(struct ipfix_config){
			.domain = config->source_id,
			.message_bytes = config->datagram_bytes,
			.sampling_interval = config->sampling_interval,
			.sampling_algorithm =
				config->sampling_algorithm != 0 ? config->sampling_algorithm : 1,
			.profile = config->profile,
		},
		send_message,
		encoder
	);
}

static void new_netflow5(struct encoder *encoder, const struct encoder_config *config) {
	encoder->netflow5 = netflow5_new(
		&(struct netflow5_config){
			.source_id = config->source_id,
			.datagram_bytes = config->datagram_bytes,
			.sampling_interval = config->sampling_interval,
			.sampling_algorithm = config->sampling_algorithm,
		},
		encoder->send,
		encoder->arg
	);
}

struct encoder *encoder_new(const struct encoder_config *wanted, export_send_fn send, void *arg) {
	struct encoder_config own = *wanted;
	const struct encoder_config *config = &own;

	if (own.scale_counters && own.sampling_interval > 0)
		own.sampling_interval = 1;
	if (send == NULL) {
		errno = EINVAL;
		return NULL;
	}
	struct encoder *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	encoder->send = send;
	encoder->arg = arg;
	encoder->scales = own.scale_counters;
	encoder->scale = own.scale_counters ? wanted->sampling_interval : 1;
	bool once = config->template_interval_ms == 0 && config->template_packets == 0;
	if (config->protocol == ENCODER_IPFIX && once)
		new_ipfix(encoder, config);
	else if (config->protocol == ENCODER_IPFIX || config->protocol == ENCODER_NETFLOW9)
		encoder->datagrams = datagrams_new(config, send, arg);
	else if (config->protocol == ENCODER_NETFLOW5)
		new_netflow5(encoder, config);
	else
		errno = EPROTONOSUPPORT;
	if (encoder->datagrams == NULL && encoder->ipfix == NULL && encoder->netflow5 == NULL) {
		int error = errno;
		encoder_free(encoder);
		errno = error;
		return NULL;
	}
	return encoder;
}

void encoder_free(struct encoder *encoder) {
	if (encoder == NULL)
		return;
	datagrams_free(encoder->datagrams);
	ipfix_free(encoder->ipfix);
	netflow5_free(encoder->netflow5);
	free(encoder);
}

uint16_t encoder_least_bytes(enum encoder_protocol protocol) {
	if (protocol == ENCODER_NETFLOW5)
		return NETFLOW5_MIN_DATAGRAM_BYTES;
	return protocol == ENCODER_IPFIX ? IPFIX_MIN_MESSAGE_BYTES : NETFLOW9_MIN_DATAGRAM_BYTES;
}

uint16_t encoder_most_bytes(enum encoder_protocol protocol) {
	return protocol == ENCODER_IPFIX ? IPFIX_MAX_MESSAGE_BYTES : NETFLOW9_MAX_DATAGRAM_BYTES;
}

static void
add(struct encoder *encoder, const struct flow_record *records, size_t n_records, int64_t now_ms) {
	if (encoder->ipfix != NULL)
		ipfix_add(encoder->ipfix, records, n_records, now_ms);
	else if (encoder->netflow5 != NULL)
		netflow5_add(encoder->netflow5, records, n_records, now_ms);
	else
		datagrams_add(encoder->datagrams, records, n_records, now_ms);
}

static uint64_t times(uint64_t value, uint32_t scale) {
	uint64_t product;
	return __builtin_mul_overflow(value, scale, &product) ? UINT64_MAX : product;
}

void encoder_add(
	struct encoder *encoder, const struct flow_record *records, size_t n_records, int64_t now_ms
) {
	enum { AT_ONCE = 64 };
	struct flow_record scaled[AT_ONCE];

	if (encoder->scale <= 1) {
		add(encoder, records, n_records, now_ms);
		return;
	}
	for (size_t n; n_records > 0; records += n, n_records -= n) {
		n = n_records < AT_ONCE ? n_records : AT_ONCE;
		memcpy(scaled, records, n * sizeof(*records));
		for (size_t i = 0; i < n; i++) {
			scaled[i].packets = times(records[i].packets, encoder->scale);
			scaled[i].octets = times(records[i].octets, encoder->scale);
		}
		add(encoder, scaled, n, now_ms);
	}
}

void encoder_flush(struct encoder *encoder, int64_t now_ms) {
	if (encoder->ipfix != NULL)
		ipfix_flush(encoder->ipfix);
	else if (encoder->netflow5 != NULL)
		netflow5_flush(encoder->netflow5, now_ms);
	else
		datagrams_flush(encoder->datagrams, now_ms);
}

void encoder_renew_templates(struct encoder *encoder) {
	if (encoder->ipfix != NULL)
		ipfix_renew_templates(encoder->ipfix);
	else if (encoder->datagrams != NULL)
		datagrams_renew_templates(encoder->datagrams);
}

void encoder_set_sampling(struct encoder *encoder, uint32_t interval, uint8_t algorithm) {
	if (encoder->scales) {
		encoder->scale = interval;
		return;
	}
	if (encoder->ipfix != NULL)
		ipfix_set_sampling(encoder->ipfix, interval, algorithm);
	else if (encoder->netflow5 != NULL)
		netflow5_set_sampling(encoder->netflow5, interval, algorithm);
	else
		datagrams_set_sampling(encoder->datagrams, interval, algorithm);
}

void encoder_set_interfaces(
	struct encoder *encoder, const struct export_interface *interfaces, size_t n
) {
	if (encoder->ipfix != NULL)
		ipfix_set_interfaces(encoder->ipfix, interfaces, n);
	else if (encoder->datagrams != NULL)
		datagrams_set_interfaces(encoder->datagrams, interfaces, n);
}

void encoder_set_counts(struct encoder *encoder, const struct export_counts *counts) {
	if (encoder->ipfix != NULL)
		ipfix_set_counts(encoder->ipfix, counts);
	else if (encoder->datagrams != NULL)
		datagrams_set_counts(encoder->datagrams, counts);
}

static void stats_of_netflow5(const struct netflow5 *encoder, struct encoder_stats *stats) {
	struct netflow5_stats of_v5;

	netflow5_stats(encoder, &of_v5);
	*stats = (struct encoder_stats){
		.datagrams = of_v5.datagrams,
		.octets = of_v5.octets,
		.records = of_v5.records,
		.untold = of_v5.untold,
	};
}

void encoder_stats(const struct encoder *encoder, struct encoder_stats *stats) {
	if (encoder->ipfix != NULL)
		ipfix_stats(encoder->ipfix, stats);
	else if (encoder->netflow5 != NULL)
		stats_of_netflow5(encoder->netflow5, stats);
	else
		datagrams_stats(encoder->datagrams, stats);
}
