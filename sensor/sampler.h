// Sampler: one packet of N is metered, the others are marked FRAME_NOT_SAMPLED. What is counted of
// a flow is then about an Nth of it; collectors multiply, being told N and how it was chosen.
//
// Two ways, both counting packets (RFC 5475):
//   - deterministic (section 5.1, systematic count-based): every Nth packet. Traffic that repeats
//     in step with N is misjudged.
//   - random (section 5.2.1, n-out-of-N with n = 1): of each N packets in a row one, each with the
//     same chance. As many as every Nth, but in step with nothing; nobody who does not know the
//     seed can send packets between the samples.
//
// Frames that are marked already, filtered or duplicate, are not among the packets counted here.
//
// Threads: a sampler is one thread's. Time: not touched.

#pragma once

#include <stdint.h>

#include "frame.h"

// As collectors know them (SAMPLING_ALGORITHM, element 35).
enum sampler_algorithm {
	SAMPLER_DETERMINISTIC = 1,
	SAMPLER_RANDOM = 2,
};

// What the options of a record export can say.
#define SAMPLER_MOST_INTERVAL UINT32_C(1000000000)

struct sampler {
	enum sampler_algorithm algorithm;
	uint32_t interval; // N
	uint32_t skip;     // packets before the next that is taken
	uint32_t rest;     // packets behind that one which belong to the same N
	uint64_t state;    // of the random numbers
};

// `interval` from 1 (every packet) to SAMPLER_MOST_INTERVAL. The same `seed` takes the same
// packets; live it is random. It does not matter where not random.
void sampler_init(
	struct sampler *sampler, enum sampler_algorithm algorithm, uint32_t interval, uint64_t seed
);

// Marks those of `n` frames that are left out. Hot path: no allocation, no system call.
void sampler_mark(struct sampler *sampler, struct frame *frames, unsigned n);
