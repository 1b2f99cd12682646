// The packets of a soak: flows that come and go, as frames, and what was sent of them.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "random.h"

enum {
	CHURN_MOST_OCTETS = 590, // of a frame
};

struct churn {
	uint64_t rate;    // packets a second
	uint64_t n_flows; // that run at once
	uint64_t n_new;   // that begin each second; as many end
	uint64_t seed;
	struct random random;
	uint64_t done; // packets that were made, for the flows that run at the moment
	struct churn_counts {
		uint64_t sent, octets, refused, strange, strange_octets;
	} counts;
};

// False where that cannot be.
[[nodiscard]] bool
churn_begin(struct churn *churn, uint64_t rate, uint64_t n_flows, uint64_t n_new, uint64_t seed);

// How many frames are due at once: what comes in a millisecond, at least one and at most `most`.
unsigned churn_at_once(const struct churn *churn, unsigned most);

// Makes the next frame in CHURN_MOST_OCTETS. Returns its octets; `strange` says that it is of no
// protocol that a meter knows.
unsigned churn_frame(struct churn *churn, uint8_t *frame, bool *strange);

// That frame was sent. What was not is to be counted in counts.refused.
void churn_sent(struct churn *churn, size_t octets, bool strange);

// When the next `n` frames are due after those of `due_ns`, which is 0 at first and may lie in the
// past: what was missed while nothing could be sent is not made up for.
time_ns_t churn_due_ns(const struct churn *churn, time_ns_t due_ns, unsigned n);

// Sleeps until then, or until a signal comes.
void churn_wait(time_ns_t due_ns);

// The line of JSON that says what was sent.
void churn_tell(const struct churn *churn, char *text, size_t size);
