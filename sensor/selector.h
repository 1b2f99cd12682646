// Selector: which frames of a source are metered (the Selection Process of RFC 5474). First the
// packet filter, then second copies, then sampling: what has no copy is sampled, and what the
// filter turns away takes part in neither. What is not selected is marked, and the meter counts it
// by its mark.
//
// Threads: one writer. selector_duplicates() may be called from any.
// Time: only the packets' own.

#pragma once

#include "duplicate.h"
#include "packet_filter.h"
#include "sampler.h"

struct selector_config {
	const struct packet_filter *filter; // NULL = everything; remains the caller's
	time_ns_t duplicate_window_ns;      // of duplicate.h; 0 = copies count as packets
	unsigned duplicate_copies;
	bool duplicate_routed;
	struct flow_secret duplicate_place;        // random, or fixed in a replay
	enum sampler_algorithm sampling_algorithm; // with an interval above 1
	uint32_t sampling_interval;                // 0 and 1 = every packet
	uint64_t sampling_seed;                    // random, or fixed in a replay
};

struct selector;

// NULL with errno EINVAL (a number out of range) or ENOMEM, or of getrandom(2).
[[nodiscard]] struct selector *selector_new(const struct selector_config *config);
void selector_free(struct selector *selector);

// Whether it has anything to do.
bool selector_selects(const struct selector_config *config);

// Marks those of `n` frames, all of one port, that are not to be metered. Hot path: no allocation,
// no system call, no lock.
void selector_mark(
	struct selector *selector, const struct meter *meter, struct frame *frames, unsigned n
);

// Adds what was found of second copies to `sum`.
void selector_duplicates(const struct selector *selector, struct duplicate_stats *sum);
