#include "sampler.h"

// splitmix64: every state is followed by every other once.
static uint64_t next_random(struct sampler *sampler) {
	uint64_t x = sampler->state += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

// Chooses the packet to take among the next N, behind those left of the N before.
static void choose(struct sampler *sampler) {
	uint32_t before = sampler->interval - 1; // the last of the N

	// 64 bits against an interval of 30: no place has a chance greater by more than 2^-34.
	if (sampler->algorithm == SAMPLER_RANDOM)
		before = (uint32_t
		)((unsigned __int128)next_random(sampler) * sampler->interval >> 64);
	sampler->skip = sampler->rest + before;
	sampler->rest = sampler->interval - 1 - before;
}

void sampler_init(
	struct sampler *sampler, enum sampler_algorithm algorithm, uint32_t interval, uint64_t seed
) {
	*sampler = (struct sampler){
		.algorithm = algorithm,
		.interval = interval,
		.state = seed,
	};
	choose(sampler);
}

void sampler_mark(struct sampler *sampler, struct frame *frames, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		if (frames[i].mark != FRAME_PLAIN)
			continue;
		if (sampler->skip > 0) {
			sampler->skip--;
			frame_set_mark(&frames[i], FRAME_NOT_SAMPLED);
		} else {
			choose(sampler);
		}
	}
}
