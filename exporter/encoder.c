#include "encoder.h"

#include <errno.h>
#include <stdlib.h>

#include "ipfix.h"
#include "netflow5.h"
#include "netflow9.h"

struct encoder {
	enum encoder_protocol protocol;
	struct netflow9 *netflow9; // or else
	struct ipfix *ipfix;
	struct netflow5 *netflow5;
	export_send_fn send;
	void *arg;
	struct encoder_stats stats; // of IPFIX
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

	encoder->stats.datagrams++;
	encoder->stats.octets += message->n;
	encoder->stats.records += message->n_records;
	encoder->send(&run, encoder->arg);
}

static void new_netflow9(struct encoder *encoder, const struct encoder_config *config) {
	encoder->netflow9 = netflow9_new(
		&(struct netflow9_config){
			.source_id = config->source_id,
			.datagram_bytes = config->datagram_bytes,
			.template_interval_ms = config->template_interval_ms,
			.template_packets = config->template_packets,
			.sampling_interval = config->sampling_interval,
			.sampling_algorithm = config->sampling_algorithm,
		},
		encoder->send,
		encoder->arg
	);
}

static void new_ipfix(struct encoder *encoder, const struct encoder_config *config) {
	encoder->ipfix = ipfix_new(
		&(struct ipfix_config){
			.domain = config->source_id,
			.message_bytes = config->datagram_bytes,
			.template_interval_ms = config->template_interval_ms,
			.template_messages = config->template_packets,
			.sampling_interval = config->sampling_interval,
			.sampling_algorithm =
				config->sampling_algorithm != 0 ? config->sampling_algorithm : 1,
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

struct encoder *encoder_new(const struct encoder_config *config, export_send_fn send, void *arg) {
	if (send == NULL) {
		errno = EINVAL;
		return NULL;
	}
	struct encoder *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	encoder->protocol = config->protocol;
	encoder->send = send;
	encoder->arg = arg;
	switch (config->protocol) {
	case ENCODER_NETFLOW9:
		new_netflow9(encoder, config);
		break;
	case ENCODER_IPFIX:
		new_ipfix(encoder, config);
		break;
	case ENCODER_NETFLOW5:
		new_netflow5(encoder, config);
		break;
	default:
		errno = EPROTONOSUPPORT;
		break;
	}
	if (encoder->netflow9 == NULL && encoder->ipfix == NULL && encoder->netflow5 == NULL) {
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
	netflow9_free(encoder->netflow9);
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

void encoder_add(
	struct encoder *encoder, const struct flow_record *records, size_t n_records, int64_t now_ms
) {
	if (encoder->ipfix != NULL)
		ipfix_add(encoder->ipfix, records, n_records, now_ms);
	else if (encoder->netflow5 != NULL)
		netflow5_add(encoder->netflow5, records, n_records, now_ms);
	else
		netflow9_add(encoder->netflow9, records, n_records, now_ms);
}

void encoder_flush(struct encoder *encoder, int64_t now_ms) {
	if (encoder->ipfix != NULL)
		ipfix_flush(encoder->ipfix);
	else if (encoder->netflow5 != NULL)
		netflow5_flush(encoder->netflow5, now_ms);
	else
		netflow9_flush(encoder->netflow9, now_ms);
}

void encoder_renew_templates(struct encoder *encoder) {
	if (encoder->ipfix != NULL)
		ipfix_renew_templates(encoder->ipfix);
	else if (encoder->netflow9 != NULL)
		netflow9_renew_templates(encoder->netflow9);
}

void encoder_set_sampling(struct encoder *encoder, uint32_t interval, uint8_t algorithm) {
	if (encoder->ipfix != NULL)
		ipfix_set_sampling(encoder->ipfix, interval, algorithm);
	else if (encoder->netflow5 != NULL)
		netflow5_set_sampling(encoder->netflow5, interval, algorithm);
	else
		netflow9_set_sampling(encoder->netflow9, interval, algorithm);
}

void encoder_stats(const struct encoder *encoder, struct encoder_stats *stats) {
	struct netflow9_stats of_v9;
	struct netflow5_stats of_v5;

	*stats = encoder->stats;
	if (encoder->netflow5 != NULL) {
		netflow5_stats(encoder->netflow5, &of_v5);
		*stats = (struct encoder_stats){
			.datagrams = of_v5.datagrams,
			.octets = of_v5.octets,
			.records = of_v5.records,
			.untold = of_v5.untold,
		};
	}
	if (encoder->netflow9 == NULL)
		return;
	netflow9_stats(encoder->netflow9, &of_v9);
	*stats = (struct encoder_stats){
		.datagrams = of_v9.datagrams,
		.octets = of_v9.octets,
		.records = of_v9.records,
		.templates = of_v9.templates,
		.options = of_v9.templates / 2,
	};
}
