// NetFlow v9 (RFC 3954): flow records become export packets. Buffer to buffer: no socket, no
// clock. One encoder for each destination, since sequence and template timer are a
// destination's own.
//
// Time: `now_ms` is an argument; in a replay it is the packets' clock, so that the same
// capture gives the same datagrams, byte for byte. unix_secs and sysUptime are chosen so that
// every collector computes the exact millisecond, and no LAST_SWITCHED lies after sysUptime.
//
// Threads: one at a time for each encoder.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "flow_record.h"

enum {
	NETFLOW9_MAX_DATAGRAM_BYTES = 8952, // 9000-octet MTU
	NETFLOW9_DEFAULT_DATAGRAM_BYTES = 1400,
	NETFLOW9_MIN_DATAGRAM_BYTES = 512, // templates, options and one record fit
};

struct netflow9_config {
	uint32_t source_id;            // observation domain, not 0
	uint16_t datagram_bytes;       // largest UDP payload, within the limits above
	uint32_t template_interval_ms; // templates and options again after this time ...
	uint32_t template_packets;     // ... or this many export packets, whichever is first
	uint32_t sampling_interval;    // 1 = every packet
};

struct netflow9_stats {
	uint64_t datagrams;
	uint64_t octets;
	uint64_t records;   // data records
	uint64_t templates; // template records, options templates among them
};

struct netflow9;

// Takes each finished export packet: `n_records` of its records are flow records. The octets
// are the encoder's and are gone when the call returns.
typedef void (*netflow9_send_fn
)(const uint8_t *datagram, size_t bytes, unsigned n_records, void *arg);

// NULL with errno EINVAL (config out of range) or ENOMEM.
[[nodiscard]] struct netflow9 *
netflow9_new(const struct netflow9_config *config, netflow9_send_fn send, void *arg);
void netflow9_free(struct netflow9 *encoder);

// Adds a record to the export packet under construction; calls `send` when that is full.
void netflow9_add(struct netflow9 *encoder, const struct flow_record *record, int64_t now_ms);

// Sends what is under construction, if anything.
void netflow9_flush(struct netflow9 *encoder, int64_t now_ms);

// The next export packet carries templates and options: after the socket was re-opened or
// the collector was found restarted.
void netflow9_renew_templates(struct netflow9 *encoder);

void netflow9_stats(const struct netflow9 *encoder, struct netflow9_stats *stats);
