// Live status: what a sensor counted, as text for who asks at its socket, and that text read again.
//
// A line is a word and its values, with a space between: numbers, or names, in which octets up to
// the space, '%' and those from 127 on are written %XX. The first line is "weir-status 1", the last
// "end". Lines whose word is not known are of a newer sensor, and passed over.
//
//   version NAME                 taken_ns MONOTONIC           time_ns SINCE_1970
//   uptime_ns N                  sampling N
//   received PACKETS BYTES       metered PACKETS BYTES OCTETS
//   reason NAME PACKETS BYTES    for which packets were not metered
//   records NAME N               by why the flow ended
//   record_sums PACKETS OCTETS   records_lost N
//   lateness FLOWS P50_MS P99_MS MAX_MS
//   port NAME UP PACKETS BYTES MISSED ERRORS NO_MBUF
//   reader BUSY_NS               where one thread reads for all workers
//   worker FLOWS CAPACITY STARTED PACKETS OCTETS RING RING_CAPACITY LOST BUSY_NS
//   sink NAME RECORDS SENT DATAGRAMS OCTETS
//   loss NAME RECORDS            of the sink above it
//
// Pure. Nothing that is read is believed: it may be cut, or not of weir at all.

#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "clock.h"

struct metrics;

enum {
	LIVE_STATUS_MOST_BYTES = 256 << 10,
	LIVE_STATUS_LINE_BYTES = 1024,
	LIVE_STATUS_ERROR_BYTES = 128,
	STATUS_NAME_BYTES = 128, // longer names are cut
	STATUS_MAX_REASONS = 32,
	STATUS_MAX_ENDS = 8,
	STATUS_MAX_PORTS = 16,
	STATUS_MAX_WORKERS = 64,
	STATUS_MAX_SINKS = 32,
	STATUS_MAX_LOSSES = 8,
};

struct status_count {
	uint64_t packets, bytes;
};

struct status_reason {
	char name[STATUS_NAME_BYTES];
	struct status_count count;
};

struct status_records {
	char name[STATUS_NAME_BYTES];
	uint64_t records;
};

struct status_port {
	char name[STATUS_NAME_BYTES];
	bool up;
	struct status_count received;
	uint64_t missed, errors, no_mbuf;
};

struct status_worker {
	uint64_t flows, capacity, started, packets, octets;
	uint64_t ring, ring_capacity, lost, busy_ns;
};

struct status_sink {
	char name[STATUS_NAME_BYTES];
	uint64_t records, sent, datagrams, octets;
	struct status_records losses[STATUS_MAX_LOSSES];
	unsigned n_losses;
};

struct live_status {
	char version[STATUS_NAME_BYTES];
	uint64_t taken_ns, time_ns, uptime_ns, sampling;
	struct status_count received, metered;
	uint64_t metered_octets;
	struct status_reason reasons[STATUS_MAX_REASONS];
	unsigned n_reasons;
	struct status_records ends[STATUS_MAX_ENDS];
	unsigned n_ends;
	uint64_t record_packets, record_octets, records_lost;
	uint64_t late_flows, late_p50_ms, late_p99_ms, late_max_ms;
	struct status_port ports[STATUS_MAX_PORTS];
	unsigned n_ports;
	bool has_reader;
	uint64_t reader_busy_ns;
	struct status_worker workers[STATUS_MAX_WORKERS];
	unsigned n_workers;
	struct status_sink sinks[STATUS_MAX_SINKS];
	unsigned n_sinks;
};

void live_status_print(const struct metrics *metrics, time_ns_t now_ns, FILE *out);

// Reads `n` octets of text. 0, or -EBADMSG with a line in `error`
// (LIVE_STATUS_ERROR_BYTES). Of names all octets are printable ASCII: '?' stands for others.
[[nodiscard]] int
live_status_parse(const char *text, size_t n, struct live_status *status, char *error);
