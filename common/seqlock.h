// Seqlock: one writer changes what many read, and never waits for them; a reader who met a
// change sees that he did, and reads again (Lameter, 2005; Boehm, 2012, "Can seqlocks get along
// with programming language memory models?").
//
//   writer:  seqlock_begin(&seq);  seqlock_put(&a, 1);  seqlock_put(&b, 2);  seqlock_end(&seq);
//   reader:  do { s = seqlock_read(&seq);  x = seqlock_get(&a);  y = seqlock_get(&b); }
//            while (!seqlock_same(&seq, s));
//
// The number is odd while a change is under way. Why it works: a reader who got a new value
// from seqlock_get() (acquire) synchronizes with its seqlock_put() (release), before which the
// writer made the number odd; so seqlock_same() sees that or what came later, not `s`. And a
// reader whose `s` is that of a finished change synchronizes with its seqlock_end(), so that he
// gets nothing older. Orders on each access rather than fences: on x86 they are plain moves
// either way, and TSan knows them.
//
// The numbers wrap after 2^31 changes; a reader is misled if exactly so many, or a multiple,
// happen while he reads a few lines. At one change in 10 ns that is a reader who was stopped
// for 21.47 s, to a change.
//
// Threads: one writer, any number of readers. Time: none.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#define seqlock_put(place, value) __atomic_store_n((place), (value), __ATOMIC_RELEASE)
#define seqlock_get(place) __atomic_load_n((place), __ATOMIC_ACQUIRE)

static inline void seqlock_begin(uint32_t *seq) {
	// Relaxed: the puts that follow are released after it.
	__atomic_store_n(seq, *seq + 1, __ATOMIC_RELAXED);
}

static inline void seqlock_end(uint32_t *seq) {
	__atomic_store_n(seq, *seq + 1, __ATOMIC_RELEASE);
}

// The number of the last finished change. Waits out one that is under way: some ns, unless
// the writer was taken off its core in the midst of it.
static inline uint32_t seqlock_read(const uint32_t *seq) {
	uint32_t s;
	while ((s = __atomic_load_n(seq, __ATOMIC_ACQUIRE)) % 2 != 0)
		__builtin_ia32_pause();
	return s;
}

// Whether nothing changed since seqlock_read() returned `s`.
static inline bool seqlock_same(const uint32_t *seq, uint32_t s) {
	// Relaxed: the gets before it are acquired, and so come first.
	return __atomic_load_n(seq, __ATOMIC_RELAXED) == s;
}
