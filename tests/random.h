// Random numbers for tests: the same in every run, on every machine.

#pragma once

#include <math.h>
#include <stdint.h>

// The state, never 0: the seed.
struct random {
	uint64_t state;
};

// xorshift64*
static inline uint64_t random64(struct random *random) {
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

static inline uint32_t random_below(struct random *random, uint32_t n) {
	return (uint32_t)((random64(random) >> 32) * n >> 32);
}

// From 0 to below 1.
static inline double random_unit(struct random *random) {
	return (double)(random64(random) >> 11) * 0x1p-53;
}

// A rank below `n` by Zipf's law with exponent 1: by inverting the integral that approximates
// the sum of 1/rank.
static inline uint32_t random_zipf(struct random *random, uint32_t n) {
	double rank = exp(random_unit(random) * log((double)n + 1)) - 1;
	return rank >= n ? n - 1 : (uint32_t)rank;
}

static inline void random_fill(struct random *random, void *out, unsigned n_bytes) {
	uint8_t *at = out;
	for (unsigned i = 0; i < n_bytes; i++)
		at[i] = (uint8_t)(random64(random) >> 56);
}

// Sanitizers make code several times as slow, ThreadSanitizer many times: there a test runs a
// part of its rounds.
#if defined(__has_feature)
#define TEST_HAS(feature) __has_feature(feature)
#else
#define TEST_HAS(feature) 0
#endif

#if defined(__SANITIZE_THREAD__) || TEST_HAS(thread_sanitizer)
#define TEST_SLOWNESS 20
#elif defined(__SANITIZE_ADDRESS__) || TEST_HAS(address_sanitizer)
#define TEST_SLOWNESS 5
#else
#define TEST_SLOWNESS 1
#endif

#define TEST_SANITIZED (TEST_SLOWNESS > 1)
#define TEST_ROUNDS(n) ((n) / TEST_SLOWNESS)
