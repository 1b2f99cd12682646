// NetFlow v9 (RFC 3954): the limits of its export packets, and what an exporter may be told of
// them; its epoch. datagrams.h makes them.

#pragma once

#include <stdbool.h>
#include <stdint.h>

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

// Times are kept away from the ends of their type; no clock that is right comes near.
#define NETFLOW9_TIME_MS_LIMIT (INT64_MAX / 4)

// The epoch that uptimes count from. It moves before an uptime wraps; collectors compute the same
// times across the move.
struct netflow9_epoch {
	bool absolute; // times need none: IPFIX
	bool begun;
	int64_t boot_ms;
	// With FIRST after boot, LAST up to `latest_ms` and a clock between these two a record
	// surely fits the epoch.
	int64_t earliest_ms, latest_ms;
};

void netflow9_epoch_init(struct netflow9_epoch *epoch, bool absolute);

// Whether a record of these times can be told in the present epoch under a header of `now_ms`; and
// the same at a glance, which may say no where it can.
bool netflow9_epoch_fits(
	const struct netflow9_epoch *epoch, int64_t first_ms, int64_t last_ms, int64_t now_ms
);
static inline bool netflow9_epoch_surely_fits(
	const struct netflow9_epoch *epoch, int64_t first_ms, int64_t last_ms, int64_t now_ms
) {
	return first_ms > epoch->boot_ms && last_ms <= epoch->latest_ms
	       && now_ms >= epoch->earliest_ms && now_ms <= epoch->latest_ms;
}

// Begins the epoch in which a record of these times is told.
void netflow9_epoch_begin(
	struct netflow9_epoch *epoch, int64_t first_ms, int64_t last_ms, int64_t now_ms
);

// unix_secs, from which sysUptime follows: a whole second at which no LAST lies in the future.
int64_t netflow9_header_s(const struct netflow9_epoch *epoch, int64_t now_ms, int64_t newest_ms);

static inline int64_t netflow9_bounded_ms(int64_t ms) {
	return ms < 0 ? 0 : ms > NETFLOW9_TIME_MS_LIMIT ? NETFLOW9_TIME_MS_LIMIT : ms;
}
