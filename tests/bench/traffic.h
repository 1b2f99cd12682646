// Traffic for benches: frames of chosen flows, made in chunks so that the making can be left
// out of the timing, and the truth about them, counted as they are made.
//
// 8192 frames lie 2304 octets apart, as in the mbufs of a port, and come in random order. A
// fifth of the flows is IPv6, a quarter UDP. A flow's number is scrambled by a bijection into
// its addresses, so no two flows share a key.
//
// Threads: one traffic is one thread's.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "frame.h"

enum {
	TRAFFIC_FRAMES = 8192, // in a chunk, at most
};

#define TRAFFIC_BEGIN_NS (1700000000 * NS_PER_S) // 2023-11-14

enum traffic_kind {
	TRAFFIC_UNIFORM, // each packet of any flow of `n_flows`
	TRAFFIC_ZIPF,    // by Zipf's law with exponent 1.0
	TRAFFIC_CHURN,   // `n_flows` live at once, of 3 to 10 packets each, then never again
	TRAFFIC_NEW,     // each packet begins a flow
	TRAFFIC_EACH,    // every flow of `n_flows` once, in order, then again
};

struct traffic_config {
	enum traffic_kind kind;
	uint32_t n_flows;
	uint64_t seed;     // also sets the flows' numbers apart from those of other seeds
	bool out_of_cache; // the frames' octets are flushed from the caches once made
};

struct traffic_truth {
	uint64_t packets;
	uint64_t octets; // of IP
	uint64_t flows;  // different keys so far
};

struct traffic;

// NULL with errno ENOMEM.
struct traffic *traffic_new(const struct traffic_config *config);
void traffic_free(struct traffic *traffic);

// From now on flows are picked otherwise; the numbers of the flows stay.
void traffic_set_kind(struct traffic *traffic, enum traffic_kind kind);

// Makes the next `n` frames. They are the traffic's until its next call. Packets are 50 ns
// apart, beginning at TRAFFIC_BEGIN_NS.
const struct frame *traffic_fill(struct traffic *traffic, unsigned n);

// Takes the octets of the frames out of the caches again, where they are to be out of them.
void traffic_flush(const struct traffic *traffic);

const struct traffic_truth *traffic_truth(const struct traffic *traffic);
