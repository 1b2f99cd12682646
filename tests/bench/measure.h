// Measure: what the benches of the packet path share: memory of a kind of page, the two
// yardsticks, medians, pinning.
//
// A speed alone says little on a shared machine. So every run also takes
//   p  parse and hash alone, over the same frames: what no flow meter can go below
//   q  one random read-modify-write of a 64-octet line over 256 MiB, prefetched, in bursts of
//      32: what a DRAM line costs
// and the goals are told in them.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum pages {
	PAGES_HUGE,  // hugetlbfs: must have been reserved
	PAGES_THP,   // transparent huge pages, by madvise
	PAGES_SMALL, // 4 KiB
	PAGES_KINDS
};

const char *pages_name(enum pages pages);

// Zeroed, populated memory. NULL where there is none of the kind.
void *pages_map(size_t bytes, enum pages pages);
void pages_unmap(void *memory, size_t bytes, enum pages pages);

// Nanoseconds of a clock that nobody adjusts.
int64_t measure_now(void);

// The calling thread to one core.
void measure_pin(unsigned core);

// The middle value; sorts.
double measure_median(double *values, size_t n);
double measure_min(const double *values, size_t n);

// Peak resident set of the process, octets.
uint64_t measure_peak_bytes(void);

struct yardstick;

// NULL with errno ENOMEM.
struct yardstick *yardstick_new(enum pages pages);
void yardstick_free(struct yardstick *yardstick);

// ns for parsing and hashing `n` frames.
int64_t yardstick_p(struct yardstick *yardstick, const struct frame *frames, unsigned n);

// ns for `n` lines.
int64_t yardstick_q(struct yardstick *yardstick, unsigned n);
