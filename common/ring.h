// Ring: a bounded queue of fixed-size slots between two threads. Slots are written and read in
// place; a batch is published with one store.
//
//   producer:  while ((slot = ring_reserve(ring)) == NULL) wait;  write *slot;  ring_push(ring);
//              ...;  ring_publish(ring);
//   consumer:  n = ring_ready(ring);  for (i < n) read ring_at(ring, i);  ring_release(ring, n);
//
// Threads: one producer, one consumer, wait-free both. Neither stores to a line that the other
// stores to; each keeps its last sight of the other's count and looks again only when that
// does not suffice.
// Time: none.

#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	// Set at the start.
	uint8_t *slots;
	size_t slot_bytes;
	uint32_t mask; // number of slots - 1

	// The producer's line. The counts run freely; differences are right across their wrap.
	alignas(64) _Atomic(uint32_t) published;
	uint32_t pushed;        // >= published: written, not yet shown
	uint32_t released_seen; // last sight of `released`

	// The consumer's line.
	alignas(64) _Atomic(uint32_t) released;
	uint32_t taken;          // = released, for the consumer's own use
	uint32_t published_seen; // last sight of `published`
};

// A ring of `n_slots` (a power of two, up to 2^30) slots. NULL with errno EINVAL or ENOMEM.
[[nodiscard]] struct ring *ring_new(uint32_t n_slots, size_t slot_bytes);
void ring_free(struct ring *ring);

// The next slot to write, NULL while the ring is full.
static inline void *ring_reserve(struct ring *ring) {
	if (ring->pushed - ring->released_seen > ring->mask) {
		// Acquire, with the release in ring_release(): the consumer has read the slot.
		ring->released_seen = atomic_load_explicit(&ring->released, memory_order_acquire);
		if (ring->pushed - ring->released_seen > ring->mask)
			return NULL;
	}
	return ring->slots + (size_t)(ring->pushed & ring->mask) * ring->slot_bytes;
}

// Whether `n` slots are free.
static inline bool ring_has_room(struct ring *ring, uint32_t n) {
	uint32_t n_slots = ring->mask + 1;
	if (n_slots - (ring->pushed - ring->released_seen) >= n)
		return true;
	// Acquire: as in ring_reserve().
	ring->released_seen = atomic_load_explicit(&ring->released, memory_order_acquire);
	return n_slots - (ring->pushed - ring->released_seen) >= n;
}

// Adds the slot that was reserved; not shown to the consumer yet.
static inline void ring_push(struct ring *ring) {
	ring->pushed++;
}

// Shows the consumer all that was pushed.
static inline void ring_publish(struct ring *ring) {
	// Release, with the acquire in ring_ready(): the slots are written before the count.
	atomic_store_explicit(&ring->published, ring->pushed, memory_order_release);
}

// Slots pushed but not published.
static inline uint32_t ring_unpublished(const struct ring *ring) {
	// Relaxed: the producer reads its own store.
	return ring->pushed - atomic_load_explicit(&ring->published, memory_order_relaxed);
}

// How many slots may be read.
static inline uint32_t ring_ready(struct ring *ring) {
	if (ring->published_seen == ring->taken)
		ring->published_seen = atomic_load_explicit(&ring->published, memory_order_acquire);
	return ring->published_seen - ring->taken;
}

// The slot `i` behind the oldest; i < ring_ready().
static inline const void *ring_at(const struct ring *ring, uint32_t i) {
	return ring->slots + (size_t)((ring->taken + i) & ring->mask) * ring->slot_bytes;
}

// How many slots lie in memory one behind the other from slot `i` on: up to the ring's end.
static inline uint32_t ring_contiguous(const struct ring *ring, uint32_t i) {
	return ring->mask + 1 - ((ring->taken + i) & ring->mask);
}

// Gives the oldest `n` slots back.
static inline void ring_release(struct ring *ring, uint32_t n) {
	ring->taken += n;
	atomic_store_explicit(&ring->released, ring->taken, memory_order_release);
}

static inline uint32_t ring_capacity(const struct ring *ring) {
	return ring->mask + 1;
}

// About how many slots are shown and not given back. Any thread.
static inline uint32_t ring_depth(const struct ring *ring) {
	// Relaxed: the slots are not looked at. The consumer's count first: read later, it might
	// have overtaken the other.
	uint32_t released = atomic_load_explicit(&ring->released, memory_order_relaxed);
	uint32_t depth = atomic_load_explicit(&ring->published, memory_order_relaxed) - released;
	return depth <= ring->mask ? depth : ring->mask + 1;
}
