// Sensor, inside: what sensor.c, which starts and stops, and sensor_read.c, which reads what was
// counted, both know.

#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "duplicate.h"
#include "filter_jit.h"
#include "poller.h"
#include "sensor.h"
#include "worker.h"

enum {
	SENSOR_MAX_QUEUES = SENSOR_MAX_PORTS * SENSOR_MAX_WORKERS,
};

struct watched_port {
	struct port *port;
	enum port_state state;
	struct port_losses losses;
};

// Who reads a receive queue.
struct read_queue {
	unsigned port;
	unsigned queue;
	unsigned poller;
	unsigned source;
};

// What the pollers leave out.
struct exclusion {
	struct own_export own;
	struct exclusion *older;
	uint32_t beats[SENSOR_MAX_WORKERS]; // of the pollers, when a newer one took its place
};

struct sensor {
	struct sensor_config config;
	struct watched_port ports[SENSOR_MAX_PORTS];
	unsigned n_ports; // opened
	struct worker *workers[SENSOR_MAX_WORKERS];
	struct ring *rings[SENSOR_MAX_WORKERS];
	struct poller *pollers[SENSOR_MAX_WORKERS];
	struct filter_jit *filter_jit;
	struct selector *selectors[SENSOR_MAX_WORKERS]; // of the pollers; NULL: nothing to select
	unsigned n_pollers;
	struct duplicate_stats duplicates;
	struct read_queue queues[SENSOR_MAX_QUEUES];
	unsigned n_queues;
	struct ledger_port queue_counts[SENSOR_MAX_QUEUES]; // of sensor_ledger()
	// For `duplicates`, `queue_counts`, and the ports' losses, which more than one thread
	// tells. None of the packet path takes it.
	pthread_mutex_t lock;
	bool started;
	_Atomic(const struct own_export *) own; // the pollers'
	struct exclusion *exclusions;           // that, and older ones that they may yet read
	atomic_bool stop;
	pthread_t prefaulter;
	bool prefaults;
};
