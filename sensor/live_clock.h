// Live clock: the wall clock, read from a counter that is cheap to read. Between looks at the
// real wall clock the counter's ticks are scaled; at each look the scale is set so that what
// deviates is made up by the next one. So the time never jumps where the wall clock is only
// corrected, and it never goes back.
//
// A wall clock that somebody set is another matter: LIVE_CLOCK_JUMP_NS ahead is followed at
// once; as far back is followed too, and the caller told, whose flows end by the clock they
// lived by.
//
// Threads: one. Time: the core takes numbers; live_clock_ticks() and live_clock_wall_ns() read
// them.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define LIVE_CLOCK_JUMP_NS (10 * NS_PER_S)

struct live_clock {
	uint64_t anchor_ticks;
	time_ns_t anchor_ns;
	double ns_per_tick; // at present, what deviates being made up
	double true_ns_per_tick;
	uint64_t look_ticks; // the last look at the wall clock
	time_ns_t look_ns;
	time_ns_t last_ns;
};

enum live_clock_change {
	LIVE_CLOCK_STEADY,
	LIVE_CLOCK_SET_AHEAD,
	LIVE_CLOCK_SET_BACK, // live_clock_now() went back
};

// Begins at a moment of which both times are known.
void live_clock_init(
	struct live_clock *clock, uint64_t ticks, time_ns_t wall_ns, double ns_per_tick
);

// The time of something at `ticks`, which may lie before what was told already: of packets that a
// device stamped.
static inline time_ns_t live_clock_at(const struct live_clock *clock, uint64_t ticks) {
	return clock->anchor_ns
	       + (time_ns_t)((double)(int64_t)(ticks - clock->anchor_ticks) * clock->ns_per_tick);
}

// The time at `ticks`; not before any that it returned since the clock was set.
static inline time_ns_t live_clock_now(struct live_clock *clock, uint64_t ticks) {
	// Signed: another core's counter may be a few ticks behind.
	time_ns_t now_ns = live_clock_at(clock, ticks);
	if (now_ns > clock->last_ns)
		clock->last_ns = now_ns;
	return clock->last_ns;
}

// Looks at the wall clock, `wall_ns` at `ticks`. To be called every `interval_ns` or so.
enum live_clock_change live_clock_discipline(
	struct live_clock *clock, uint64_t ticks, time_ns_t wall_ns, time_ns_t interval_ns
);

// The counter: the processor's time stamp counter where it never stops nor changes its rate,
// else the kernel's monotonic clock.
uint64_t live_clock_ticks(void);

// A clock that runs. Takes 10 ms, in which the counter's rate is measured.
void live_clock_start(struct live_clock *clock);

// The same for the counter of a device, which `read` reads (0 or a negative errno). live_clock_at()
// then tells when it stamped a packet, as long as it is looked at. Returns what `read` does, or
// -EINVAL of a counter that stands still.
typedef int (*live_clock_read_fn)(void *arg, uint64_t *ticks);
[[nodiscard]] int
live_clock_start_device(struct live_clock *clock, live_clock_read_fn read, void *arg);
void live_clock_look_device(
	struct live_clock *clock, time_ns_t interval_ns, live_clock_read_fn read, void *arg
);

// Looks at the wall clock now.
enum live_clock_change live_clock_look(struct live_clock *clock, time_ns_t interval_ns);
