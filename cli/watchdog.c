#include "watchdog.h"

#include <time.h>

#include <inttypes.h>
#include <string.h>

// Of a manager's patience this much passes between two signs of life, as sd_watchdog_enabled(3)
// advises, less one look of weir's own for a machine that is busy.
#define SIGNS_IN_PATIENCE 3
// Until all threads have been round, they are looked at this often.
#define READY_LOOK_NS (5 * NS_PER_MS)
#define STATUS_EVERY_NS (10 * NS_PER_S)

int watchdog_begin(struct watchdog *watchdog) {
	*watchdog = (struct watchdog){0};
	return notify_open(&watchdog->notify);
}

time_ns_t watchdog_wait_ns(const struct watchdog *watchdog, time_ns_t ns) {
	bool waits = watchdog->notify.fd >= 0 && !watchdog->ready;
	return waits && ns > READY_LOOK_NS ? READY_LOOK_NS : ns;
}

// Whether every thread has been round since `watchdog->beats`, which is then made new.
static bool all_go_on(struct watchdog *watchdog, const struct sensor *sensor) {
	uint32_t beats[SENSOR_MAX_WORKERS];
	unsigned n = sensor_beats(sensor, beats);

	for (unsigned i = 0; i < n; i++)
		if (beats[i] == watchdog->beats[i])
			return false;
	memcpy(watchdog->beats, beats, n * sizeof(beats[0]));
	return true;
}

static void send_status(struct watchdog *watchdog, struct sensor *sensor, time_ns_t now_ns) {
	struct ledger ledger;

	sensor_ledger(sensor, &ledger);
	uint64_t packets = ledger.received.packets - watchdog->packets;
	double seconds = (double)(now_ns - watchdog->counted_ns) / 1e9;
	if (watchdog->counted_ns > 0 && seconds > 0)
		notify_send(
			&watchdog->notify,
			"STATUS=%.0f packets/s, %" PRIu64 " flows in the cache, %" PRIu64
			" records lost",
			(double)packets / seconds,
			ledger.cached_flows,
			ledger.records_lost
		);
	watchdog->packets = ledger.received.packets;
	watchdog->counted_ns = watchdog->status_ns = now_ns;
}

void watchdog_update(struct watchdog *watchdog, struct sensor *sensor, time_ns_t now_ns) {
	const struct notify *notify = &watchdog->notify;

	if (notify->fd < 0)
		return;
	if (!watchdog->ready) {
		// They began with no beats.
		if (!all_go_on(watchdog, sensor))
			return;
		notify_send(notify, "READY=1\nSTATUS=metering");
		watchdog->ready = true;
		watchdog->alive_ns = now_ns;
		send_status(watchdog, sensor, now_ns);
		return;
	}
	if (now_ns - watchdog->status_ns >= STATUS_EVERY_NS)
		send_status(watchdog, sensor, now_ns);
	if (notify->watchdog_ns == 0
	    || now_ns - watchdog->alive_ns < notify->watchdog_ns / SIGNS_IN_PATIENCE - NS_PER_S)
		return;
	if (!all_go_on(watchdog, sensor))
		return;
	notify_send(notify, "WATCHDOG=1");
	watchdog->alive_ns = now_ns;
}

void watchdog_reloading(const struct watchdog *watchdog) {
	struct timespec now;

	if (!watchdog->ready)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send(
		&watchdog->notify,
		"RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)now.tv_sec * 1000000 + now.tv_nsec / 1000
	);
}

void watchdog_reloaded(const struct watchdog *watchdog, const char *how) {
	if (watchdog->ready)
		notify_send(&watchdog->notify, "READY=1\nSTATUS=metering; last reload: %s", how);
}

void watchdog_stopping(struct watchdog *watchdog) {
	// The last sign of life: a stop is over before the next would be due.
	notify_send(&watchdog->notify, "STOPPING=1\nWATCHDOG=1\nSTATUS=exporting what is left");
}

void watchdog_end(struct watchdog *watchdog) {
	notify_close(&watchdog->notify);
}
