// Sensor: ports in, record rings out, until it is stopped. One worker, or several between which
// packets are spread by the port (a queue for each worker, by a symmetric hash that was read
// back) or by weir itself (one thread reads, parses and hands each packet to the worker that the
// hash of its conversation chooses). Either way both directions of a flow meet on one worker.
//
// What is received ends in exactly one counter (sensor_ledger()), what the ports lost included.
//
// Threads: each worker, and the reader where there is one, has its own. All functions are for
// one thread, the owner's, and none of them delays the packet path.
// Time: live_clock.h, the kernel's or the device's where a port has them.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "flow_cache.h"
#include "flow_key.h"
#include "ledger.h"
#include "own_export.h"
#include "port.h"
#include "ring.h"
#include "selector.h"

enum {
	SENSOR_MAX_PORTS = 16,
	SENSOR_MAX_WORKERS = 64,
	SENSOR_MAX_CORES = 128,
	SENSOR_ERROR_BYTES = PORT_ERROR_BYTES,
};

enum sensor_idle {
	SENSOR_IDLE_ADAPTIVE, // a thread without packets rests
	SENSOR_IDLE_POLL,     // it asks on
};

struct sensor_config {
	const struct port_spec *ports;
	unsigned n_ports;
	unsigned n_workers;
	const unsigned *cores; // of the threads, in turn
	unsigned n_cores;      // 0 = wherever the kernel puts them
	uint32_t n_flows;      // in all caches together
	time_ns_t active_timeout_ns;
	time_ns_t idle_timeout_ns;
	bool mpls_labels; // in the records
	struct flow_secret secret;
	// Which packets are metered; what is to be random in it is the sensor's to fill in. With
	// queues of the port's, each worker looks for copies among its own packets, where both
	// copies are, as long as the port spreads them by their flows.
	struct selector_config selection;
	struct packet_filter *filter; // of the selection, or NULL; remains the caller's
	enum sensor_idle idle;
	bool hugepages; // for caches and packet buffers; without, they are had where there are any
	bool verbose_eal;
	// One line about something that happened; `bad` where it costs packets.
	void (*on_message)(const char *message, bool bad, void *arg);
	void *arg;
};

struct sensor;

// Opens the ports and takes all memory. NULL with one line in `error` (SENSOR_ERROR_BYTES).
[[nodiscard]] struct sensor *sensor_new(const struct sensor_config *config, char *error);
void sensor_free(struct sensor *sensor);

// The record rings, one for each worker, for the exporter that must run before sensor_start().
struct ring *const *sensor_rings(const struct sensor *sensor);

// The port `i`, in the order of the config; NULL behind the last.
const struct port *sensor_port(const struct sensor *sensor, unsigned i);

// Packets that are not to be metered; also while the sensor runs, from the next bursts on. Returns
// 0 or -ENOMEM.
[[nodiscard]] int sensor_exclude(struct sensor *sensor, const struct own_export *own);

// Other timeouts, also for flows that run, within a second.
void sensor_set_timeouts(
	struct sensor *sensor, time_ns_t active_timeout_ns, time_ns_t idle_timeout_ns
);

// Starts the threads, then reception. Returns 0, or a negative errno with one line in `error`;
// then sensor_stop() must end what was begun.
[[nodiscard]] int sensor_start(struct sensor *sensor, char *error);

// Looks after the ports, says what changed, and returns how many have not vanished. To be called
// about once a second.
unsigned sensor_watch(struct sensor *sensor);

// Of each thread that reads ports, a number that changes while it goes on; 0 before its first
// round. Fills in SENSOR_MAX_WORKERS at most; returns how many.
unsigned sensor_beats(const struct sensor *sensor, uint32_t *beats);

// Stops reception, reads what was received, flushes the caches and ends the record rings. The
// exporter must be running.
void sensor_stop(struct sensor *sensor);

// What was counted so far, without the sinks; what it points to
// remains the sensor's, until the next call. While the sensor runs its sums need not meet: they
// are read one after the other.
void sensor_ledger(struct sensor *sensor, struct ledger *ledger);

// The same for any thread, with the arrays that it points to in the caller's: `queues` has room for
// SENSOR_MAX_PORTS * SENSOR_MAX_WORKERS, `duplicates` for DUPLICATE_MOST_PAIRS.
void sensor_ledger_copy(
	struct sensor *sensor,
	struct ledger *ledger,
	struct ledger_port *queues,
	struct ledger_pair *duplicates
);

// Hands over the running flows of all workers, some at a time, each as it was between two packets,
// until `fn` says no more. Any thread, and the packet path is not held up. Returns whether all were
// handed over.
typedef bool (*sensor_flows_fn)(const struct flow_record *records, unsigned n, void *arg);
bool sensor_running(const struct sensor *sensor, sensor_flows_fn fn, void *arg);

// Buckets of all caches together, about one for five flows that fit.
uint32_t sensor_buckets(const struct sensor *sensor);

// As sensor_running(), of `count` buckets from `first` on those flows that had a packet at
// `since_ticks` or later. A part at a time, a large cache is read without haste.
bool sensor_active(
	const struct sensor *sensor,
	uint32_t first,
	uint32_t count,
	uint64_t since_ticks,
	sensor_flows_fn fn,
	void *arg
);

// Flows that began since the start.
uint64_t sensor_started_flows(const struct sensor *sensor);

// A worker: its flow cache, its ring of records to the exporter, its thread.
struct sensor_worker {
	struct flow_cache_stats cache;
	uint32_t capacity_flows;
	uint32_t ring_records; // that wait for the exporter; with marks of time among them
	uint32_t ring_capacity;
	uint64_t records_lost; // for which the ring had no room
	uint64_t busy_ns;      // in which the thread had packets, or flows to age
};

// Fills in SENSOR_MAX_WORKERS at most; returns how many.
unsigned sensor_workers(const struct sensor *sensor, struct sensor_worker *workers);

// Of the thread that reads for all workers. Returns false where each reads for itself.
bool sensor_reader_busy(const struct sensor *sensor, uint64_t *busy_ns);

struct sensor_port {
	const char *name; // the sensor's
	bool up;
};

// Fills in SENSOR_MAX_PORTS at most, as sensor_watch() last saw them; returns how many.
unsigned sensor_ports(const struct sensor *sensor, struct sensor_port *ports);
