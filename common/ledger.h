// Ledger: where every packet and every record went. Each packet that was received ends in
// exactly one counter, metered or not for a named reason; each record that was made ends at
// every sink as sent or as lost for a named reason. The sums are checked by ledger_check(),
// not taken on trust.
//
// Threads: a plain struct, filled by one thread when the counting is over.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flow_record.h"

enum {
	LEDGER_MAX_REASONS = 16,
	LEDGER_MAX_LOSSES = 12,
	LEDGER_ERROR_BYTES = 256,
};

struct ledger_count {
	uint64_t packets;
	uint64_t bytes; // frames on the wire, link layer included
};

struct ledger_reason {
	const char *name;
	struct ledger_count count;
};

// Second copies of packets, by the ports that saw the first and the second one.
struct ledger_pair {
	uint16_t first_if;
	uint16_t second_if; // 0 = one of the many ports that are not told apart
	struct ledger_count count;
};

// What one receive queue of a port delivered, and what the port lost before that.
struct ledger_port {
	const char *name;
	unsigned queue;
	struct ledger_count received;
	// Of the whole port: with its first queue.
	uint64_t missed, errors, no_mbuf;
};

// How long after their idle timeout flows left: 50 %, 99 % and all of them within so many ms.
struct ledger_lateness {
	uint64_t n_flows;
	uint32_t p50_ms, p99_ms, max_ms;
};

struct ledger_loss {
	const char *name;
	uint64_t records;
};

struct ledger_sink {
	const char *name;
	uint64_t records; // given to the sink
	uint64_t absent;  // made while it was no sink; of sinks that share, while none of them was
	bool shares;      // gets a part of all records, other such sinks the others
	bool former;      // all sinks that there are no more: `due` counts instead of `absent`
	uint64_t due;     // made while each of them was there; of those that share not asked for
	uint64_t sent;
	struct ledger_loss losses[LEDGER_MAX_LOSSES];
	unsigned n_losses;
	uint64_t datagrams; // 0 where there are none
	uint64_t octets;
};

struct ledger {
	struct ledger_count received;
	struct ledger_count metered;
	uint64_t metered_octets; // of IP
	struct ledger_reason reasons[LEDGER_MAX_REASONS];
	unsigned n_reasons;
	const struct ledger_pair *duplicates; // add up to the reason "duplicate"
	unsigned n_duplicates;
	uint64_t duplicates_forgotten; // packets given up before their window was over

	const struct ledger_port *ports; // queues; where there are any, they add up to `received`
	unsigned n_ports;
	struct ledger_lateness lateness; // without flows where it was not measured

	uint64_t records[FLOW_END_COUNT];
	uint64_t record_packets;
	uint64_t record_octets;
	uint64_t cached_flows; // still running: 0 when all is flushed
	uint64_t records_lost; // made, and no room in the ring to the exporter (live only)

	struct ledger_sink *sinks;
	unsigned n_sinks;
};

// A short lower-case name of a flow end reason, such as "idle".
const char *flow_end_name(enum flow_end end);

// All records made.
uint64_t ledger_records(const struct ledger *ledger);

// Adds a reason for which packets were not metered. At most LEDGER_MAX_REASONS.
void ledger_add_reason(struct ledger *ledger, const char *name, struct ledger_count count);

void ledger_sink_add_loss(struct ledger_sink *sink, const char *name, uint64_t records);

// 0 where every sum holds for the sinks of `records` in all; else -EBADMSG, with a line in `error`
// (LEDGER_ERROR_BYTES).
int ledger_check_sinks(
	const struct ledger_sink *sinks, unsigned n_sinks, uint64_t records, char *error
);

// 0 where every sum holds; else -EBADMSG, and `error` (LEDGER_ERROR_BYTES) says which does
// not and by how much.
int ledger_check(const struct ledger *ledger, char *error);

// Prints it for people, or as one JSON object with a newline. Returns 0 or a negative errno.
int ledger_print_text(const struct ledger *ledger, FILE *out);
int ledger_print_json(const struct ledger *ledger, FILE *out);
