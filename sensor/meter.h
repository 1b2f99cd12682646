// Meter: frames of a source become packets, and what does not is counted by reason. The first
// half of the packet path, apart from the flow cache so that packets can also be handed to the
// cache of another thread.
//
// Threads: pure functions; each `meter_counts` has one writer. Time: not touched.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#include "frame.h"
#include "ledger.h"
#include "packet.h"
#include "packet_fast.h"

// What is the same for all frames of a source.
struct meter {
	enum link_type link;
	uint16_t in_if; // ifIndex, never 0
};

// What became of frames.
struct meter_counts {
	struct ledger_count received;                        // packets and octets on the wire
	struct ledger_count marked[FRAME_MARK_COUNT];        // by mark, FRAME_PLAIN unused
	struct ledger_count unmetered[PACKET_VERDICT_COUNT]; // by reason, PACKET_METERED unused
	uint64_t metered_octets;                             // of IP
};

// Parses `n` frames into `packets`, of which there must be as many, hashes them, and adds what
// became of them to `counts`. Returns how many packets there are.
unsigned meter_parse(
	const struct meter *meter,
	const struct flow_secret *secret,
	const struct frame *frames,
	unsigned n,
	struct packet *packets,
	struct meter_counts *counts
);

// A short lower-case name for the ledger, such as "filtered" or "duplicate".
const char *meter_mark_name(enum frame_mark mark);

// Adds to `ledger` every reason for which frames were not metered.
void meter_counts_reasons(const struct meter_counts *counts, struct ledger *ledger);

// Frames that became packets, and their octets on the wire.
struct ledger_count meter_counts_metered(const struct meter_counts *counts);

// Parses a frame by every rule. Where it is no packet, counts why and returns false.
[[gnu::noinline, gnu::cold]] bool meter_by_rules(
	const struct meter *meter,
	const struct flow_secret *secret,
	const struct frame *frame,
	struct packet *packet,
	struct meter_counts *counts
);

static inline void meter_prefetch(const struct frame *frame) {
	// Both lines: an IPv6 header behind a VLAN tag ends in the second.
	rte_prefetch0(frame->data);
	rte_prefetch0(frame->data + 64);
}

// Parses one frame, inlined into the loops over bursts; they add what was received and
// metered_octets themselves, in registers. False where the frame is no packet.
static inline __attribute__((always_inline)) bool meter_frame(
	const struct meter *meter,
	const struct flow_secret *secret,
	const struct frame *frame,
	struct packet *packet,
	struct meter_counts *counts
) {
	// Of a marked frame nothing is said to be captured, and so it is not plain.
	if (unlikely(
		    meter->link != LINK_ETHERNET
		    || !packet_parse_plain(packet, frame->data, frame->captured_bytes, secret)
	    )
	    && !meter_by_rules(meter, secret, frame, packet, counts))
		return false;
	packet->time_ns = frame->time_ns;
	packet->in_if = meter->in_if;
	return true;
}
