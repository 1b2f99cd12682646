// Top table: sums by key in memory that does not grow. Sets of 8: a key that finds its set full
// takes the place of the one with the least weight, if it has more. So what is large stays,
// whatever number of small ones passes by; what went is counted.
//
// Pure, but for the memory. Threads: one at a time.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "flow_key.h"

enum {
	TOP_TABLE_WAYS = 8,
};

struct top_entry {
	struct flow_key key; // family 0 = free
	double weight;       // set by the caller: who has least leaves
	double octets_s, packets_s;
	uint64_t octets, packets; // since its record began
	uint64_t first_ticks;
	uint64_t seen_ticks; // when it was last read
	uint32_t flows;
	uint32_t part; // of the flow caches, that it was read with
};

struct top_table {
	struct top_entry *entries;
	uint32_t n_sets; // a power of two
	uint64_t displaced;
	double displaced_weight;
};

// 0 or -ENOMEM. `n_sets` is a power of two.
[[nodiscard]] int top_table_init(struct top_table *table, uint32_t n_sets);
void top_table_done(struct top_table *table);
void top_table_clear(struct top_table *table);

// The entry of `key`. A new one is zero but for its key. NULL where there is none, and those
// in its set all weigh more than `weight`.
struct top_entry *
top_table_take(struct top_table *table, const struct flow_key *key, double weight, bool *is_new);

// How many entries there are, free ones among them.
static inline uint32_t top_table_room(const struct top_table *table) {
	return table->n_sets * TOP_TABLE_WAYS;
}
