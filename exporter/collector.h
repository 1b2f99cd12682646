// Collector: one destination of export packets. Its own connected UDP socket, sequence,
// template timer and pacing; nothing it does delays or disturbs another destination.
//
// Errors of the network are counted by kind and never fatal: every record ends as sent
// (handed to the kernel) or lost for a named reason.
//
// Threads: one at a time, but collector_stats() and collector_set_rate() may be called from any.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "flow_record.h"
#include "netflow9.h"

#define COLLECTOR_ERROR_BYTES 512

struct collector;

struct collector_config {
	// "HOST:PORT", "[IPv6]:PORT"; names are resolved. Behind "ipfix://" IPFIX goes there, else
	// NetFlow v9, which "netflow9://" says too.
	const char *destination;
	struct netflow9_config netflow9; // and of IPFIX; datagram_bytes 0 = 1400, over IPv6 1232
	uint32_t datagrams_per_s;        // pacing; 0 = as fast as the socket takes them
	bool wait;            // replay: wait while the socket is full; live: count the loss
	bool no_segmentation; // each datagram in a call of its own, as where UDP_SEGMENT is unknown
};

struct collector_stats {
	uint64_t records;          // given to collector_add()
	uint64_t records_sent;     // handed to the kernel
	uint64_t lost_full;        // records lost: socket buffer full (EAGAIN, ENOBUFS)
	uint64_t lost_refused;     // records lost: nobody listens there (ECONNREFUSED), seen twice
	uint64_t lost_unreachable; // records lost: no route, host or network unreachable
	uint64_t lost_other;       // records lost: any other error of the socket
	uint64_t datagrams_sent;
	uint64_t octets_sent;
	uint64_t refusals; // ICMP port unreachable seen: an earlier datagram went nowhere
};

// Resolves, opens, connects. NULL on error, with one line in `error`
// (COLLECTOR_ERROR_BYTES) that names the destination, the cause and the remedy.
[[nodiscard]] struct collector *collector_open(const struct collector_config *config, char *error);

// Flushes nothing: call collector_flush() first.
void collector_close(struct collector *collector);

// Adds records. What fills a run of datagrams is sent, to the kernel as one where it knows how
// (UDP_SEGMENT); the rest waits for more records or for collector_flush().
void collector_add(
	struct collector *collector,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
);

// The records that follow are of another sampling (netflow9.h); those before are sent.
void collector_set_sampling(struct collector *collector, uint32_t interval, uint8_t algorithm);

// Sends everything.
void collector_flush(struct collector *collector, int64_t now_ms);

// What the destination was called on the command line.
const char *collector_name(const struct collector *collector);

// The addresses that the datagrams carry. Returns 0 or a negative errno.
[[nodiscard]] int collector_addresses(
	const struct collector *collector,
	struct sockaddr_storage *source,
	struct sockaddr_storage *destination
);

// Another rate of pacing from here on; 0 = as fast as the socket takes them. Any thread.
void collector_set_rate(struct collector *collector, uint32_t datagrams_per_s);

void collector_stats(const struct collector *collector, struct collector_stats *stats);
