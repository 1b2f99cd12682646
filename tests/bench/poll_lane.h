// Poll lane: one poller with its port, its worker and its traffic, as poll_bench times it.
//
// The poller runs as in weir run, on a thread of its own. Each time its ring is empty the watch is
// stopped, frames are made, and it is started again: so a chunk is RING_PORT_FRAMES packets, and
// all that the loop does for them and between them. Every eighth time the same frames go first
// through the yardstick of live metering, a loop that reads the port and gives the mbufs back, and
// p and q are taken.
//
// Threads: the owner's, and between poll_lane_start() and poll_lane_wait() the poller's.

#pragma once

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "measure.h"
#include "poller.h"
#include "ring_port.h"
#include "rows.h"
#include "worker.h"

enum {
	POLL_MOST_CHUNKS = 1 << 16, // for medians; means are of all
};

struct poll_records { // read from a ring
	uint64_t records, packets, octets;
	bool ended;
};

struct poll_times {
	double chunk_ns[POLL_MOST_CHUNKS]; // a packet, by the wall clock
	unsigned n_chunks;
	double spent_ns; // CPU time of all
	uint64_t packets;
};

struct poll_lane {
	struct worker *worker;
	struct poller *poller;
	struct traffic *traffic;
	struct ring_port *port;
	struct ring_port_counts counts_before;
	unsigned core;

	const struct row *row;
	uint64_t n_fill;        // packets, before the times
	uint64_t n_most;        // packets in the times; 0 = as many as `seconds` allow
	double seconds;         // of the wall clock, frames being made included
	bool reads_ring;        // between the chunks, into `records`: nobody else does
	atomic_uint *n_filling; // of all lanes; the times begin when none is
	bool filled;
	uint64_t n_filled;
	unsigned n_turns;
	int64_t begun_ns, chunk_begun_ns;
	double spent_before_ns;
	bool timing;
	uint64_t n_yardstick; // packets that no poller saw
	struct poll_times weir, yardstick;
	struct yardstick *pq; // p and q of measure.h, taken beside it
	double p_ns[POLL_MOST_CHUNKS], q_ns[POLL_MOST_CHUNKS];
	struct poll_records records;
	sem_t done;
};

// Reads what is in the record ring.
void poll_lane_read(struct worker *worker, struct poll_records *records);

// The callback of the lane's port.
bool poll_lane_on_empty(void *lane);

// Prepares for a row. The port, the core and the fields from `row` to `n_filling` are set; worker
// and traffic are made. False without memory.
[[nodiscard]] bool
poll_lane_open(struct poll_lane *lane, time_ns_t active_timeout_ns, uint64_t seed);
void poll_lane_close(struct poll_lane *lane);

// Whether every packet that was put into the ring is in the poller's counts, metered or for the
// right reason, and every metered packet and octet in the flow cache's records.
bool poll_lane_conserved(const struct poll_lane *lane);
