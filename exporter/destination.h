// Destination: a collector with a queue and a thread of its own. Whoever makes records hands them
// over and goes on: a destination that is slow, paced or dead delays no other, nor the archive.
//
// In a replay a full queue is waited for: nothing is lost, and a destination gets the same messages
// in every run, whatever its thread does when. Live, what finds no room is lost, and counted.
//
// A record waits for others to fill its message no longer than a second, by the records' clock.
// The thread sleeps until there is something to send: a full run of datagrams, or what has waited
// so long. Idle it costs nothing.
//
// Threads: one that adds (destination_add() to destination_end()); destination_hurry(),
// destination_stop() and destination_stats() may be called from any. Time: the records' clock
// as an argument; the monotonic one for waits.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector.h"

struct destination;

struct destination_config {
	struct collector_config collector; // its `live` and `wait` are set by what follows
	bool live;
	uint32_t queue_records; // a power of two, 0 = what suits
};

struct destination_stats {
	struct collector_stats collector;
	uint64_t records;      // given to destination_add()
	uint64_t lost_queue;   // records lost: no room in the queue
	uint64_t lost_stopped; // records lost: not sent when the time to stop was over
};

// How records are shared out between destinations.
enum distribution {
	DISTRIBUTE_MIRROR,  // each gets all
	DISTRIBUTE_BALANCE, // each gets whole conversations, by the hash of their ends
};

// Opens the collector and starts the thread. NULL on error, with a line in `error`
// (COLLECTOR_ERROR_BYTES).
[[nodiscard]] struct destination *
destination_open(const struct destination_config *config, char *error);

// Adds records, whose clock is `now_ms`. They are copied.
void destination_add(
	struct destination *destination,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
);

// Adds records to all destinations, or each record to that of its conversation.
void destination_distribute(
	struct destination *const *destinations,
	unsigned n_destinations,
	enum distribution distribution,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
);

// Tells the time: no older record follows. What has waited long enough leaves.
void destination_tick(struct destination *destination, int64_t now_ms);

// For options data (encoder.h): the interfaces before the first record, and what was lost before
// the flow cache and before the destinations whenever that is more. Any thread.
void destination_set_interfaces(
	struct destination *destination, const struct export_interface *interfaces, size_t n
);
void destination_set_dropped(struct destination *destination, uint64_t packets, uint64_t flows);

// The records that follow are of another sampling.
void destination_set_sampling(
	struct destination *destination, uint32_t interval, uint8_t algorithm
);

// No more records follow. What there is leaves.
void destination_end(struct destination *destination);

// Live: the sensor is about to stop, and at most so many records will come. From here on records
// wait for room, for `patience_ns` in all, and leave as fast as is needed for that. In a replay
// they leave faster, and nothing else changes. Async-signal-safe.
void destination_hurry(struct destination *destination, uint64_t n_records, time_ns_t patience_ns);

// After destination_end(): waits until all has left. Live no longer than the patience of
// destination_hurry(), or a second without that; what is left then is lost.
void destination_stop(struct destination *destination);

// Stops first, if need be. NULL is fine.
void destination_close(struct destination *destination);

const struct collector *destination_collector(const struct destination *destination);
void destination_stats(const struct destination *destination, struct destination_stats *stats);
