// Minute: what a sensor counted in the last minute, beside its counters since the start. Marks of
// the counters are kept, one each 5 s; the last minute is from the oldest of them to now.
//
// Sinks come and go while the sensor runs: they are known by their names.
//
// Pure. Threads: one at a time. Time: that of the metrics.

#pragma once

#include "metrics.h"

enum {
	MINUTE_MARKS = 13, // 12 spaces between them
};

// Since the start, or of a time. What stands in an array of the metrics has the same place here.
struct minute_counts {
	time_ns_t span_ns; // of a time: how long
	uint64_t received;
	uint64_t reasons[LEDGER_MAX_REASONS]; // packets not metered
	struct minute_port {
		uint64_t packets, bytes, missed, errors, no_mbuf;
	} ports[SENSOR_MAX_PORTS];
	uint64_t records[FLOW_END_COUNT];
	uint64_t records_lost; // in rings
	uint64_t busy_ns[SENSOR_MAX_WORKERS], reader_busy_ns;
	struct minute_sink {
		uint64_t name; // a hash of it
		uint64_t sent, refusals;
		uint64_t lost[LEDGER_MAX_LOSSES];
	} sinks[SINKS_MAX_COUNTS];
	unsigned n_sinks;
	uint64_t archive_errors;
};

struct minute {
	struct minute_counts marks[MINUTE_MARKS]; // span_ns is when they were made
	unsigned n;                               // that are there
	unsigned next;
};

// Makes a mark. The caller sees to it that 5 s are between two.
void minute_mark(struct minute *minute, const struct metrics *metrics);

// What all counted since the start, and since the oldest mark, which there must be.
void minute_totals(const struct metrics *metrics, struct minute_counts *totals);
void minute_read(
	const struct minute *minute, const struct metrics *metrics, struct minute_counts *last
);

// All that ports lost, and all records that were lost, at whatever sink.
uint64_t minute_packets_lost(const struct minute_counts *counts);
uint64_t minute_records_lost(const struct minute_counts *counts);
