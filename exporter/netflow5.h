// NetFlow v5: flow records become export packets, for collectors that know nothing else. There is
// no RFC; the format is Cisco's, of fixed records of 48 octets.
//
// It has no words for IPv6, MAC addresses, VLANs, TTLs and end reasons, 16 bits for an interface
// and 14 for the sampling. IPv6 records are counted and left out, as are all records while a
// sampling is in force that cannot be told, rather than told wrongly. Counters have 32 bits: what
// is more goes as several records of the same flow, which add up.
//
// Time: as in NetFlow v9 (uptime_epoch.h), exact to the millisecond also for collectors that
// overlook the nanoseconds of the header, which are 0.
//
// Threads: one at a time for each encoder.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "export_run.h"
#include "flow_record.h"

enum {
	NETFLOW5_MIN_DATAGRAM_BYTES = 24 + 48,
	NETFLOW5_MAX_DATAGRAM_BYTES = 24 + 30 * 48, // no packet has more than 30 records
	NETFLOW5_MAX_SAMPLING = 0x3fff,
};

struct netflow5_config {
	uint32_t source_id;      // its lower 16 bits are engine type and engine id
	uint16_t datagram_bytes; // at least NETFLOW5_MIN_DATAGRAM_BYTES; more than the most is fine
	uint32_t sampling_interval; // 1 = every packet; up to NETFLOW5_MAX_SAMPLING
	uint8_t sampling_algorithm; // 1 deterministic (0 too), 2 random
};

struct netflow5_stats {
	uint64_t datagrams;
	uint64_t octets;
	uint64_t records; // flow records that were sent, however many it took
	uint64_t untold;  // flow records that were left out
};

struct netflow5;

// NULL with errno EINVAL (config out of range) or ENOMEM.
[[nodiscard]] struct netflow5 *
netflow5_new(const struct netflow5_config *config, export_send_fn send, void *arg);
void netflow5_free(struct netflow5 *encoder);

// Adds records to the export packet under construction; calls `send` when it is full.
void netflow5_add(
	struct netflow5 *encoder,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
);

// Sends what is under construction, if anything.
void netflow5_flush(struct netflow5 *encoder, int64_t now_ms);

// Records added from here on are of another sampling: sends what is under construction.
// `interval` > 0, `algorithm` 1 or 2.
void netflow5_set_sampling(struct netflow5 *encoder, uint32_t interval, uint8_t algorithm);

void netflow5_stats(const struct netflow5 *encoder, struct netflow5_stats *stats);
