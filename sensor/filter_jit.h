// Filter in machine code: a packet filter as DPDK's rte_bpf compiles it, where EAL runs. Without
// EAL, from which rte_bpf takes its memory, and on machines that it makes no code for, libpcap's
// interpreter goes on; both decide the same.
//
// Threads: made and freed by one, before and after all that use the filter; eal_stop() comes later.
// Time: none.

#pragma once

#include "packet_filter.h"

struct filter_jit;

// Has `filter` run by machine code from here on, until filter_jit_free(). NULL where it cannot be
// had: the filter is as it was.
[[nodiscard]] struct filter_jit *filter_jit_new(struct packet_filter *filter);

// NULL is fine.
void filter_jit_free(struct filter_jit *jit);
