#include "uptime_epoch.h"

// How far before the first record an epoch begins: uptime starts at two hours, so that flows
// which began earlier still have one above 0.
#define LEAD_MS INT64_C(7200000)

// Uptime stays above an hour, so that no flow begins before boot, and below its top bit.
#define LEAST_MS INT64_C(3600000)
#define MOST_MS INT64_C(0x7fffffff)

void uptime_epoch_init(struct uptime_epoch *epoch, bool absolute) {
	*epoch = (struct uptime_epoch){
		.absolute = absolute,
		.begun = absolute,
		.boot_ms = absolute ? INT64_MIN : 0,
		.earliest_ms = absolute ? INT64_MIN : 0,
		.latest_ms = absolute ? INT64_MAX : INT64_MIN,
	};
}

static int64_t ceil_s(int64_t ms) {
	return ms / 1000 + (ms % 1000 > 0);
}

static int64_t floor_s(int64_t ms) {
	return ms / 1000 - (ms % 1000 < 0);
}

static int64_t header_s(int64_t now_ms, int64_t newest_ms) {
	int64_t now_s = floor_s(now_ms), newest_s = ceil_s(newest_ms);
	return now_s > newest_s ? now_s : newest_s;
}

int64_t uptime_epoch_header_s(const struct uptime_epoch *epoch, int64_t now_ms, int64_t newest_ms) {
	int64_t second = header_s(now_ms, newest_ms);

	if (epoch->absolute)
		return second;
	// The clock may have run on past the epoch that the records fit in.
	int64_t last_second = (epoch->boot_ms + epoch->most_uptime_ms) / 1000;
	return second < last_second ? second : last_second;
}

bool uptime_epoch_fits(
	const struct uptime_epoch *epoch, int64_t first_ms, int64_t last_ms, int64_t now_ms
) {
	if (epoch->absolute)
		return true;
	// At boot itself LAST_SWITCHED would be 0, which reads as absent.
	if (!epoch->begun || uptime_bounded_ms(first_ms) <= epoch->boot_ms)
		return false;
	int64_t uptime_ms = header_s(uptime_bounded_ms(now_ms), uptime_bounded_ms(last_ms)) * 1000
			    - epoch->boot_ms;
	return uptime_ms > LEAST_MS && uptime_ms <= MOST_MS;
}

void uptime_epoch_begin(
	struct uptime_epoch *epoch, int64_t first_ms, int64_t last_ms, int64_t now_ms
) {
	first_ms = uptime_bounded_ms(first_ms);
	now_ms = uptime_bounded_ms(now_ms);
	epoch->begun = true;
	epoch->boot_ms = (first_ms < now_ms ? first_ms : now_ms) - LEAD_MS;
	epoch->earliest_ms = epoch->boot_ms + LEAST_MS + 1000;
	epoch->latest_ms = floor_s(epoch->boot_ms + MOST_MS) * 1000;
	epoch->most_uptime_ms = epoch->latest_ms - epoch->boot_ms;
	if (!uptime_epoch_fits(epoch, first_ms, last_ms, now_ms))
		epoch->latest_ms = INT64_MIN;
}
