// Metrics: what a running sensor counted, copied at one time, and told to Prometheus: the whole
// ledger and what stands beside it. The names are a promise to whoever made a dashboard of them;
// docs/operate.md explains them.
//
// metrics_print() is pure. Threads: metrics_take() may be called from any, each with
// metrics of its own; what the packet path counts it reads without locks, so that never waits.
// Time: CLOCK_MONOTONIC in metrics_take(), for rates.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "archive.h"
#include "duplicate.h"
#include "lateness.h"
#include "ledger.h"
#include "reload.h"
#include "sensor.h"
#include "sinks.h"

enum {
	METRICS_MAX_QUEUES = SENSOR_MAX_PORTS * SENSOR_MAX_WORKERS,
};

// Over the time since the last metrics_take().
struct metrics_rates {
	double packets, bytes; // received, a second
	double flows;          // begun
	double records;        // made
	double busy[SENSOR_MAX_WORKERS];
	double reader_busy;
};

struct metrics {
	struct ledger ledger; // what it points to is below
	struct ledger_port queues[METRICS_MAX_QUEUES];
	struct ledger_pair duplicates[DUPLICATE_MOST_PAIRS];
	struct sinks_counts sinks;
	struct sensor_port ports[SENSOR_MAX_PORTS];
	unsigned n_ports;
	struct sensor_worker workers[SENSOR_MAX_WORKERS];
	unsigned n_workers;
	bool has_reader;
	uint64_t reader_busy_ns;
	struct lateness_histogram lateness;
	const char *archive; // its folder, or NULL
	struct archive_stats archive_stats;
	uint32_t sampling_interval;
	bool has_reload; // there is a config file
	struct reload_counts reloads;
	struct metrics_rates rates;

	const char *dpdk;     // its version
	time_ns_t taken_ns;   // CLOCK_MONOTONIC
	time_ns_t started_ns; // since 1970
	double cpu_s;         // of the process
};

struct metrics_sources {
	struct sensor *sensor;
	const struct sinks *sinks;
	const struct lateness *lateness;
	uint32_t sampling_interval;
	struct reload *reload; // or NULL
};

// Zeroes `metrics` at first; later ones also make rates out of what it held. Names remain the
// sources'.
void metrics_begin(struct metrics *metrics);
void metrics_take(struct metrics *metrics, const struct metrics_sources *sources);

void metrics_print(const struct metrics *metrics, FILE *out, bool openmetrics);
