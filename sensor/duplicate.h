// Duplicate: finds the second copies of a packet that a mirror port makes, and marks them
// FRAME_DUPLICATE before they are metered. A packet that is mirrored where it enters the switch
// and where it leaves it, or in two VLANs, or on two ports, comes twice within a short time.
//
// Two frames are copies of each other if they come within the window (either way round: two
// ports are not in step), and of their IP packets are equal
//   - the first 96 octets, or all of a shorter one: IPv4's identification, TTL, checksum and
//     length, the addresses, the transport header with sequence numbers and checksum, and the
//     beginning of the payload. Padding of the frame is no part of it.
// Not compared is the link layer: MAC addresses, VLAN tags, MPLS labels. So a copy in another VLAN
// counts as one. With `routed` also TTL (hop limit) and IPv4 checksum may differ, the TTL by one:
// what a router between the two mirrored ports does. It is an option because the same packet on
// its way round a routing loop looks no different.
//
// What is sent twice is no copy: a host gives a retransmission another identification, and later
// times or sequences to what follows. Packets without any of this that repeat to the octet within
// the window cannot be told from copies (IPv6 and IPv4 with an identification of 0: a
// retransmission within the window without TCP timestamps, duplicate ACKs without SACK, a flood
// of one packet). Therefore a packet has at most `copies` copies (1): then the next one counts as
// new. Where a mirror makes two of each, the count of such packets is exact in any order; where it
// makes one, it is at worst halved. A flood is not hidden.
//
// Not found: packets changed on the way otherwise (NAT, fragments, a new DSCP, tunnels), copies
// that were captured to different lengths, frames that would not be metered.
//
// Octets are compared by a keyed 64-bit digest (sums of 128-bit products, as UMAC's NH,
// RFC 4418, and a multiplication to fold them), against the 4 packets of a bucket that another
// hash chose. So an honest packet is taken for a copy with a chance of 2^-62: at 14.88 million
// packets/s once in 9,800 years. Nobody who does not know the digest's secret can raise it, not
// knowing which octets fall together; it is random, also in a replay. Whoever sends more packets
// in a window than the memory holds makes copies count, and packets never vanish.
//
// Threads: one writer. duplicate_stats() may be called from any; each of its numbers is as it was
// at some moment during the call.
// Time: only the packets' own.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "flow_key.h"
#include "frame.h"
#include "ledger.h"
#include "meter.h"

// Copies come within micro- to milliseconds; what comes later is something else.
#define DUPLICATE_MOST_WINDOW_NS NS_PER_S
#define DUPLICATE_LEAST_WINDOW_NS (10 * NS_PER_US)

enum {
	DUPLICATE_OCTETS = 96, // of IP, that are compared
	DUPLICATE_MOST_COPIES = 15,
	DUPLICATE_PORTS = 16, // told apart; further ones are counted together as port 0
	DUPLICATE_MIN_PACKETS = 64,
	DUPLICATE_MAX_PACKETS = 1 << 26,
};

struct duplicate;

struct duplicate_config {
	time_ns_t window_ns; // within the limits above; in steps of 1.024 us
	uint32_t n_packets;  // remembered at once; rounded up to a power of two
	unsigned copies;     // of a packet beside the first, 1 to DUPLICATE_MOST_COPIES
	bool routed;         // TTL one apart and another IPv4 checksum make a copy too
	// Of the digest: two times flow_secret_random().
	struct flow_secret digest[2];
	// Of the place in memory: random too, but the fixed one in a replay, where the choice of
	// what is forgotten first must repeat.
	struct flow_secret place;
};

enum {
	DUPLICATE_MOST_PAIRS = (DUPLICATE_PORTS + 1) * (DUPLICATE_PORTS + 1),
};

struct duplicate_stats {
	uint64_t examined;   // packets looked for among those before
	uint64_t duplicates; // found
	uint64_t forgotten;  // packets given up before their window was over: n_packets is small
	unsigned n_pairs;
	struct ledger_pair pairs[DUPLICATE_MOST_PAIRS]; // of ports that have duplicates
};

// How many packets to remember for a window at 10 GbE line rate: four times as many as come in it,
// so that one bucket in thousands is too small by chance.
uint32_t duplicate_packets_of(time_ns_t window_ns);

// Octets of memory that duplicate_init() needs, 16 a packet; 0 where `config` is out of range.
size_t duplicate_size(const struct duplicate_config *config);

// In duplicate_size() octets of zeroed memory at `memory`, aligned to 64, which remains the
// caller's. NULL with errno EINVAL where `config` is out of range.
[[nodiscard]] struct duplicate *duplicate_init(void *memory, const struct duplicate_config *config);

// Marks those of `n` frames, all of one port, that are copies of a frame before them; returns how
// many. Frames that are marked already are left alone. Hot path: no allocation, no system call, no
// lock, no log, no atomic read-modify-write; the work for a frame is bounded.
unsigned duplicate_mark(
	struct duplicate *duplicate, const struct meter *meter, struct frame *frames, unsigned n
);

void duplicate_stats(const struct duplicate *duplicate, struct duplicate_stats *stats);
