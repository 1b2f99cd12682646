#include "netflow5.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "uptime_epoch.h"
#include "wire.h"

enum {
	VERSION = 5,
	HEADER_BYTES = 24,
	RECORD_BYTES = 48,
	RANDOM = 2,
	SAMPLING_MODE_SHIFT = 14,
};

struct netflow5 {
	struct netflow5_config config;
	export_send_fn send;
	void *arg;
	unsigned most_records; // of a packet

	uint32_t sequence; // records before this packet
	struct uptime_epoch epoch;

	unsigned n_records; // under construction
	unsigned n_flows;   // whose last record is among them
	int64_t now_ms;     // the latest clock of them
	int64_t newest_ms;  // LAST of them all
	struct netflow5_stats stats;
	uint8_t out[NETFLOW5_MAX_DATAGRAM_BYTES];
};

struct netflow5 *
netflow5_new(const struct netflow5_config *config, export_send_fn send, void *arg) {
	if (config->datagram_bytes < NETFLOW5_MIN_DATAGRAM_BYTES || config->sampling_interval == 0
	    || config->sampling_interval > NETFLOW5_MAX_SAMPLING
	    || config->sampling_algorithm > RANDOM || send == NULL) {
		errno = EINVAL;
		return NULL;
	}
	struct netflow5 *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	encoder->config = *config;
	encoder->send = send;
	encoder->arg = arg;
	uptime_epoch_init(&encoder->epoch, false);
	size_t bytes = config->datagram_bytes < NETFLOW5_MAX_DATAGRAM_BYTES
			       ? config->datagram_bytes
			       : NETFLOW5_MAX_DATAGRAM_BYTES;
	encoder->most_records = (unsigned)((bytes - HEADER_BYTES) / RECORD_BYTES);
	return encoder;
}

void netflow5_free(struct netflow5 *encoder) {
	free(encoder);
}

// 2 bits for the mode, 1 deterministic and 2 random, before the interval. Without sampling 0,
// which all read so.
static uint16_t sampling_of(const struct netflow5_config *config) {
	unsigned mode = config->sampling_algorithm == RANDOM ? RANDOM : 1;

	if (config->sampling_interval == 1)
		return 0;
	return (uint16_t)(mode << SAMPLING_MODE_SHIFT | config->sampling_interval);
}

static void put_header(struct netflow5 *encoder) {
	uint8_t *out = encoder->out;
	int64_t second =
		uptime_epoch_header_s(&encoder->epoch, encoder->now_ms, encoder->newest_ms);

	wire_put16(out, VERSION);
	wire_put16(out + 2, (uint16_t)encoder->n_records);
	wire_put32(out + 4, (uint32_t)(second * 1000 - encoder->epoch.boot_ms));
	wire_put32(out + 8, (uint32_t)second);
	wire_put32(out + 12, 0); // nanoseconds
	wire_put32(out + 16, encoder->sequence);
	wire_put16(out + 20, (uint16_t)encoder->config.source_id);
	wire_put16(out + 22, sampling_of(&encoder->config));
}

static void end_packet(struct netflow5 *encoder) {
	if (encoder->n_records == 0)
		return;
	const struct export_run run = {
		.octets = encoder->out,
		.datagram_bytes = HEADER_BYTES + (size_t)encoder->n_records * RECORD_BYTES,
		.last_bytes = HEADER_BYTES + (size_t)encoder->n_records * RECORD_BYTES,
		.n_datagrams = 1,
		.datagram_records = encoder->n_flows,
		.last_records = encoder->n_flows,
	};

	put_header(encoder);
	encoder->sequence += encoder->n_records;
	encoder->stats.datagrams++;
	encoder->stats.octets += run.last_bytes;
	encoder->stats.records += encoder->n_flows;
	encoder->n_records = encoder->n_flows = 0;
	encoder->send(&run, encoder->arg);
}

void netflow5_flush(struct netflow5 *encoder, int64_t now_ms) {
	// A clock that was set back since does not take the packets back with it.
	if (now_ms > encoder->now_ms)
		encoder->now_ms = now_ms;
	end_packet(encoder);
}

static void put_record(
	struct netflow5 *encoder,
	const struct flow_record *record,
	uint32_t packets,
	uint32_t octets
) {
	const struct uptime_epoch *epoch = &encoder->epoch;
	uint8_t *out = encoder->out + HEADER_BYTES + (size_t)encoder->n_records++ * RECORD_BYTES;

	memset(out, 0, RECORD_BYTES); // next hop, AS numbers and masks are a router's
	memcpy(out, record->key.src4, 4);
	memcpy(out + 4, record->key.dst4, 4);
	wire_put16(out + 12, record->in_if);
	wire_put16(out + 14, record->in_if); // collectors drop records with 0
	wire_put32(out + 16, packets);
	wire_put32(out + 20, octets);
	wire_put32(out + 24, uptime_epoch_uptime(epoch, ms_of_ticks(record->first_ticks), 0));
	wire_put32(out + 28, uptime_epoch_uptime(epoch, ms_of_ticks(record->last_ticks), 1));
	memcpy(out + 32, &record->key.src_port, 2);
	memcpy(out + 34, &record->key.dst_port, 2); // of ICMP type and code
	out[37] = record->tcp_flags;
	out[38] = record->key.proto;
	out[39] = record->tos;
}

static void
begin_packet_for(struct netflow5 *encoder, int64_t first_ms, int64_t last_ms, int64_t now_ms) {
	if (encoder->n_records == encoder->most_records)
		end_packet(encoder);
	if (encoder->n_records > 0 && encoder->now_ms > now_ms)
		now_ms = encoder->now_ms;
	if (!uptime_epoch_surely_fits(&encoder->epoch, first_ms, last_ms, now_ms)
	    && !uptime_epoch_fits(&encoder->epoch, first_ms, last_ms, now_ms)) {
		end_packet(encoder);
		uptime_epoch_begin(&encoder->epoch, first_ms, last_ms, now_ms);
	}
	if (encoder->n_records == 0) {
		encoder->now_ms = now_ms;
		encoder->newest_ms = last_ms;
	}
	if (now_ms > encoder->now_ms)
		encoder->now_ms = now_ms;
	if (last_ms > encoder->newest_ms)
		encoder->newest_ms = last_ms;
}

// As many records as its counters need, all but the first of equal parts.
static void add(struct netflow5 *encoder, const struct flow_record *record, int64_t now_ms) {
	int64_t first_ms = ms_of_ticks(record->first_ticks);
	int64_t last_ms = ms_of_ticks(record->last_ticks);
	uint64_t larger = record->octets > record->packets ? record->octets : record->packets;
	uint64_t n = larger / UINT32_MAX + 1, packets = record->packets, octets = record->octets;

	for (uint64_t left = n; left > 0; left--) {
		uint64_t part_packets = packets / left, part_octets = octets / left;
		begin_packet_for(encoder, first_ms, last_ms, now_ms);
		put_record(encoder, record, (uint32_t)part_packets, (uint32_t)part_octets);
		packets -= part_packets;
		octets -= part_octets;
	}
	encoder->n_flows++;
}

void netflow5_add(
	struct netflow5 *encoder,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
) {
	for (const struct flow_record *record = records; record < records + n_records; record++) {
		if (record->key.family == FLOW_IPV4
		    && encoder->config.sampling_interval <= NETFLOW5_MAX_SAMPLING)
			add(encoder, record, now_ms);
		else
			encoder->stats.untold++;
	}
}

void netflow5_set_sampling(struct netflow5 *encoder, uint32_t interval, uint8_t algorithm) {
	assert(interval > 0 && algorithm > 0 && algorithm <= RANDOM);
	if (encoder->config.sampling_interval == interval
	    && encoder->config.sampling_algorithm == algorithm)
		return;
	end_packet(encoder);
	encoder->config.sampling_interval = interval;
	encoder->config.sampling_algorithm = algorithm;
}

void netflow5_stats(const struct netflow5 *encoder, struct netflow5_stats *stats) {
	*stats = encoder->stats;
}
