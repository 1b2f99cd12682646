// Flow mix: flow records as a sensor before a campus of some thousand hosts makes them: in the
// order of their ends, both directions of a conversation as records of their own, addresses and
// services by Zipf's law, a fifth IPv6, DNS, web, some ICMP, and a scan.
//
// Threads: one mix is one thread's. Time: 2023-11-14 on, 10,000 records a second.

#pragma once

#include <stdint.h>

#include "flow_record.h"
#include "random.h"

struct flow_mix {
	struct random random;
	uint64_t now_ticks;
	struct flow_record answer; // the other direction of the last record
	bool has_answer;
};

void flow_mix_init(struct flow_mix *mix, uint64_t seed);

// The next `n` records.
void flow_mix_fill(struct flow_mix *mix, struct flow_record *records, uint32_t n);
