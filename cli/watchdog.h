// Watchdog: tells a service manager how a running sensor is (notify.h): ready once every thread
// that reads ports has been round its loop, then what it does, and that it lives, but only while
// all of these threads go on. One that hangs takes the whole sensor down after the unit's
// WatchdogSec, and the manager starts it anew.
//
// Threads: that which owns the sensor. Time: the caller's, monotonic.

#pragma once

#include "notify.h"
#include "sensor.h"

struct watchdog {
	struct notify notify;
	bool ready;
	time_ns_t alive_ns;  // when it was last said
	time_ns_t status_ns; // likewise
	uint64_t packets;    // received, and when counted
	time_ns_t counted_ns;
	uint32_t beats[SENSOR_MAX_WORKERS]; // when it was last said
};

// Before the sandbox is entered. Returns 0 or a negative errno, see notify_open().
int watchdog_begin(struct watchdog *watchdog);

// How long the next watchdog_update() may be waited for, at most `ns`.
time_ns_t watchdog_wait_ns(const struct watchdog *watchdog, time_ns_t ns);

// Looks at the sensor, and says what is to be said.
void watchdog_update(struct watchdog *watchdog, struct sensor *sensor, time_ns_t now_ns);

// Its config file is read again; and that is over, with a word about how.
void watchdog_reloading(const struct watchdog *watchdog);
void watchdog_reloaded(const struct watchdog *watchdog, const char *how);

// The sensor is about to stop.
void watchdog_stopping(struct watchdog *watchdog);
void watchdog_end(struct watchdog *watchdog);
