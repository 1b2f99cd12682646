// Uptime epoch: NetFlow v5 and v9 tell times as milliseconds since the exporter's boot, in 32 bits,
// and when that was by a pair of uptime and whole second in each header. The boot is an epoch of
// our own, which begins anew before uptime gets near its top bit, so that a sensor may run for
// years, and a capture of any day be replayed; to collectors, which compute the boot for each
// packet, that is invisible (docs/netflow.md).
//
// Threads: the encoder's. Time: arguments, milliseconds since 1970.

#pragma once

#include <stdbool.h>
#include <stdint.h>

struct uptime_epoch {
	int64_t boot_ms;
	// With a first packet after boot, a last one up to `latest_ms` and a clock between these
	// two a record surely fits.
	int64_t earliest_ms, latest_ms;
	int64_t most_uptime_ms; // that of the last second of the epoch
	bool begun;
	bool absolute; // IPFIX: there is none
};

// Times are kept away from the ends of their type; no clock that is right comes near.
#define UPTIME_TIME_MS_LIMIT (INT64_MAX / 4)

static inline int64_t uptime_bounded_ms(int64_t ms) {
	return ms < 0 ? 0 : ms > UPTIME_TIME_MS_LIMIT ? UPTIME_TIME_MS_LIMIT : ms;
}

// `absolute`: times need no epoch, every record fits.
void uptime_epoch_init(struct uptime_epoch *epoch, bool absolute);

// Whether a record needs no closer look. Hot path.
static inline bool uptime_epoch_surely_fits(
	const struct uptime_epoch *epoch, int64_t first_ms, int64_t last_ms, int64_t now_ms
) {
	return first_ms > epoch->boot_ms && last_ms <= epoch->latest_ms
	       && now_ms >= epoch->earliest_ms && now_ms <= epoch->latest_ms;
}

// The uptime at a time, held between `least` and the epoch's end.
static inline uint32_t
uptime_epoch_uptime(const struct uptime_epoch *epoch, int64_t time_ms, int64_t least) {
	int64_t ms = time_ms - epoch->boot_ms;
	return (uint32_t
	)(ms < least                   ? least
	  : ms > epoch->most_uptime_ms ? epoch->most_uptime_ms
				       : ms);
}

// Whether a record can be told in the present epoch, in a packet of the clock `now_ms`.
bool uptime_epoch_fits(
	const struct uptime_epoch *epoch, int64_t first_ms, int64_t last_ms, int64_t now_ms
);

// Begins an epoch for such a record. One that lies weeks away from the clock fits none: its times
// are held at the edge, and the next record is looked at closely.
void uptime_epoch_begin(
	struct uptime_epoch *epoch, int64_t first_ms, int64_t last_ms, int64_t now_ms
);

// The second of a header, to whose uptime no LAST of the packet lies in the future. The uptime is
// that second's, * 1000, less `boot_ms`.
int64_t uptime_epoch_header_s(const struct uptime_epoch *epoch, int64_t now_ms, int64_t newest_ms);
