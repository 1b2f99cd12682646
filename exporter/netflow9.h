// NetFlow v9 (RFC 3954): flow records become export packets. Buffer to buffer: no socket, no
// clock. One encoder for each destination, since sequence and template timer are a
// destination's own.
//
// Each family fills datagrams of its own, so that full ones are equal in length, and hands them
// over in runs, which the kernel can be given as one (UDP_SEGMENT). Templates, and what is left
// of both families at a flush, go together where they fit. Sequence and header time are those
// of the hand-over.
//
// Time: `now_ms` is an argument; in a replay it is the packets' clock, so that the same
// capture gives the same datagrams, byte for byte. unix_secs and sysUptime are chosen so that
// every collector computes the exact millisecond, and no LAST_SWITCHED lies after sysUptime.
//
// Threads: one at a time for each encoder.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "export_run.h"
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
	uint8_t sampling_algorithm;    // SAMPLING_ALGORITHM: 1 deterministic (0 too), 2 random
};

struct netflow9_stats {
	uint64_t datagrams;
	uint64_t octets;
	uint64_t records;   // data records
	uint64_t templates; // template records, options templates among them
};

struct netflow9;

// NULL with errno EINVAL (config out of range) or ENOMEM.
[[nodiscard]] struct netflow9 *
netflow9_new(const struct netflow9_config *config, export_send_fn send, void *arg);
void netflow9_free(struct netflow9 *encoder);

// Adds records to the export packets under construction; calls `send` when a run is full, or
// templates are due. The same records give the same octets however they are cut into calls.
void netflow9_add(
	struct netflow9 *encoder,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
);

// Sends what is under construction, if anything.
void netflow9_flush(struct netflow9 *encoder, int64_t now_ms);

// The next export packet carries templates and options: after the socket was re-opened or
// the collector was found restarted.
void netflow9_renew_templates(struct netflow9 *encoder);

// Records added from here on are of another sampling: sends what is under construction, and
// announces it with the next export packet. `interval` > 0, `algorithm` 1 or 2.
void netflow9_set_sampling(struct netflow9 *encoder, uint32_t interval, uint8_t algorithm);

void netflow9_stats(const struct netflow9 *encoder, struct netflow9_stats *stats);
