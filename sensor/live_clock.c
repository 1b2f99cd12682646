#include "live_clock.h"

#include <errno.h>
#include <math.h>
#include <time.h>

#include <rte_common.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum {
	MEASURE_MS = 10,
	LOOK_TRIES = 3,
};

// How much faster or slower the clock may run to make up for what deviates.
#define MOST_SLEW 0.1
// The counter's rate is measured anew over no less than this.
#define BASELINE_NS (1 * NS_PER_S)
// What a measured rate may differ from the one before: crystals are better than this, and a wall
// clock that is being slewed is worse.
#define MOST_DRIFT 0.001

static time_ns_t ns_of(clockid_t id) {
	struct timespec now;
	clock_gettime(id, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void live_clock_init(
	struct live_clock *clock, uint64_t ticks, time_ns_t wall_ns, double ns_per_tick
) {
	*clock = (struct live_clock){
		.anchor_ticks = ticks,
		.anchor_ns = wall_ns,
		.ns_per_tick = ns_per_tick,
		.true_ns_per_tick = ns_per_tick,
		.look_ticks = ticks,
		.look_ns = wall_ns,
		.last_ns = wall_ns,
	};
}

// The wall clock ran on by `wall_ns` while the counter ran by `ticks`: what a tick is worth.
static void learn_rate(struct live_clock *clock, uint64_t ticks, time_ns_t wall_ns) {
	double since_ticks = (double)(int64_t)(ticks - clock->look_ticks);
	time_ns_t since_ns = wall_ns - clock->look_ns;

	if (since_ns < BASELINE_NS)
		return;
	double rate = (double)since_ns / since_ticks;
	if (since_ticks > 0 && fabs(rate / clock->true_ns_per_tick - 1) < MOST_DRIFT)
		clock->true_ns_per_tick = rate;
	clock->look_ticks = ticks;
	clock->look_ns = wall_ns;
}

enum live_clock_change live_clock_discipline(
	struct live_clock *clock, uint64_t ticks, time_ns_t wall_ns, time_ns_t interval_ns
) {
	time_ns_t now_ns = live_clock_now(clock, ticks);
	time_ns_t ahead_ns = wall_ns - now_ns;

	if (ahead_ns >= LIVE_CLOCK_JUMP_NS || ahead_ns <= -LIVE_CLOCK_JUMP_NS) {
		live_clock_init(clock, ticks, wall_ns, clock->true_ns_per_tick);
		return ahead_ns > 0 ? LIVE_CLOCK_SET_AHEAD : LIVE_CLOCK_SET_BACK;
	}
	learn_rate(clock, ticks, wall_ns);
	// What deviates is gone at the next look, unless that asked for too much.
	double slew = (double)ahead_ns / (double)interval_ns;
	slew = RTE_MAX(RTE_MIN(slew, MOST_SLEW), -MOST_SLEW);
	clock->anchor_ticks = ticks;
	clock->anchor_ns = now_ns;
	clock->ns_per_tick = clock->true_ns_per_tick * (1 + slew);
	return LIVE_CLOCK_STEADY;
}

static bool has_steady_tsc(void) {
#if defined(__x86_64__)
	unsigned a, b, c, d;
	// Advanced power management: bit 8 is the invariant time stamp counter.
	return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d >> 8 & 1) != 0;
#else
	return false;
#endif
}

// Written once, before there are threads.
static int steady_tsc = -1;

uint64_t live_clock_ticks(void) {
#if defined(__x86_64__)
	if (steady_tsc > 0)
		return __builtin_ia32_rdtsc();
#endif
	return (uint64_t)ns_of(CLOCK_MONOTONIC);
}

// Both times of one moment: of a few tries the one during which the least time went by.
static void look(uint64_t *ticks, time_ns_t *wall_ns, clockid_t id) {
	uint64_t least = UINT64_MAX;

	*ticks = 0;
	*wall_ns = 0;

	for (unsigned i = 0; i < LOOK_TRIES; i++) {
		uint64_t before = live_clock_ticks();
		time_ns_t ns = ns_of(id);
		uint64_t took = live_clock_ticks() - before;
		if (took < least) {
			least = took;
			*ticks = before + took / 2;
			*wall_ns = ns;
		}
	}
}

void live_clock_start(struct live_clock *clock) {
	uint64_t from, to;
	time_ns_t from_ns, to_ns;

	if (steady_tsc < 0)
		steady_tsc = has_steady_tsc();
	// By a clock that nobody sets.
	look(&from, &from_ns, CLOCK_MONOTONIC);
	nanosleep(&(struct timespec){.tv_nsec = MEASURE_MS * NS_PER_MS}, NULL);
	look(&to, &to_ns, CLOCK_MONOTONIC);
	double ns_per_tick = (double)(to_ns - from_ns) / (double)(to - from);

	look(&to, &to_ns, CLOCK_REALTIME);
	live_clock_init(clock, to, to_ns, ns_per_tick);
}

enum live_clock_change live_clock_look(struct live_clock *clock, time_ns_t interval_ns) {
	uint64_t ticks;
	time_ns_t wall_ns;

	look(&ticks, &wall_ns, CLOCK_REALTIME);
	return live_clock_discipline(clock, ticks, wall_ns, interval_ns);
}

// The counter and the wall clock at one moment: between two readings of the counter, of which the
// way to the device takes most of the time.
static int look_at_device(
	live_clock_read_fn read, void *arg, clockid_t id, uint64_t *ticks, time_ns_t *now_ns
) {
	time_ns_t least_ns = INT64_MAX;

	for (unsigned i = 0; i < LOOK_TRIES; i++) {
		uint64_t at;
		time_ns_t before_ns = ns_of(id);
		int rc = read(arg, &at);
		if (rc < 0)
			return rc;
		time_ns_t took_ns = ns_of(id) - before_ns;
		if (took_ns >= least_ns)
			continue;
		least_ns = took_ns;
		*ticks = at;
		*now_ns = before_ns + took_ns / 2;
	}
	return 0;
}

int live_clock_start_device(struct live_clock *clock, live_clock_read_fn read, void *arg) {
	uint64_t from = 0, to = 0;
	time_ns_t from_ns = 0, to_ns = 0;

	int rc = look_at_device(read, arg, CLOCK_MONOTONIC, &from, &from_ns);
	if (rc < 0)
		return rc;
	nanosleep(&(struct timespec){.tv_nsec = MEASURE_MS * NS_PER_MS}, NULL);
	rc = look_at_device(read, arg, CLOCK_MONOTONIC, &to, &to_ns);
	if (rc < 0)
		return rc;
	if (to <= from || to_ns <= from_ns)
		return -EINVAL;
	double ns_per_tick = (double)(to_ns - from_ns) / (double)(to - from);
	rc = look_at_device(read, arg, CLOCK_REALTIME, &to, &to_ns);
	if (rc == 0)
		live_clock_init(clock, to, to_ns, ns_per_tick);
	return rc;
}

void live_clock_look_device(
	struct live_clock *clock, time_ns_t interval_ns, live_clock_read_fn read, void *arg
) {
	uint64_t ticks = 0;
	time_ns_t wall_ns = 0;

	// A reading that fails is made up for by the next.
	if (look_at_device(read, arg, CLOCK_REALTIME, &ticks, &wall_ns) == 0)
		(void)live_clock_discipline(clock, ticks, wall_ns, interval_ns);
}
