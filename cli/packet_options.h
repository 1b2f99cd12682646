// Options about which packets are metered, the same for every command that meters some.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "sampler.h"

// Second copies of packets: the terms of duplicate.h.
struct copies_options {
	time_ns_t window_ns; // 0 = not looked for
	unsigned most;       // of a packet
	bool routed;
};

struct sampling_options {
	enum sampler_algorithm algorithm;
	uint32_t interval; // 1 = every packet
};

// What to write instead, for the user who was misunderstood.
#define PACKET_OPTIONS_COPIES                                                                      \
	"use a time from 10us to 1s, such as 5ms, and then as needed ,routed (a router lies "      \
	"between the copies) and ,copies=N (1 to 15)"
#define PACKET_OPTIONS_SAMPLING                                                                    \
	"use N for every Nth packet, random:N for one of N, up to 1000000000"

// "5ms", "5ms,routed", "1ms,copies=2". Returns 0 or -EINVAL.
int packet_options_copies(const char *text, struct copies_options *copies);

// "1000", "random:1000". Returns 0 or -EINVAL.
int packet_options_sampling(const char *text, struct sampling_options *sampling);
