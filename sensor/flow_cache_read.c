// What other threads may see of a flow cache while its writer works.

#include <string.h>

#include "flow_cache.h"
#include "flow_cache_internal.h"
#include "seqlock.h"

#define STATS_WORDS (sizeof(struct flow_cache_stats) / sizeof(uint64_t))

static_assert(
	sizeof(struct flow_cache_stats) == STATS_WORDS * sizeof(uint64_t), "nothing but such words"
);

void flow_cache_show_stats(struct flow_cache *cache) {
	const uint64_t *from = (const uint64_t *)&cache->stats;
	uint64_t *to = (uint64_t *)&cache->shown;

	seqlock_begin(&cache->shown_seq);
	for (size_t i = 0; i < STATS_WORDS; i++)
		seqlock_put(&to[i], from[i]);
	seqlock_end(&cache->shown_seq);
}

void flow_cache_stats(const struct flow_cache *cache, struct flow_cache_stats *stats) {
	const uint64_t *from = (const uint64_t *)&cache->shown;
	uint64_t *to = (uint64_t *)stats;
	uint32_t seq;

	do {
		seq = seqlock_read(&cache->shown_seq);
		for (size_t i = 0; i < STATS_WORDS; i++)
			to[i] = seqlock_get(&from[i]);
	} while (!seqlock_same(&cache->shown_seq, seq));
}

uint32_t flow_cache_buckets(const struct flow_cache *cache) {
	return cache->n_buckets;
}

// Copies a flow as it was between two packets. What it holds of another flow's making, its
// slot having changed hands, the caller sees by the bucket's number.
static void copy_flow(const struct flow_cache *cache, uint32_t slot, struct flow_record *record) {
	const struct flow *flow = &cache->slab[slot];
	const struct flow_cold *cold = &cache->cold[slot];
	struct flow_cold mine;
	struct flow copy;
	uint32_t label = 0;

	do {
		while (((copy.counts = seqlock_get(&flow->counts)) & COUNT_BUSY) != 0)
			__builtin_ia32_pause();
		for (unsigned i = 0; i < 5; i++)
			copy.key.words[i] = seqlock_get(&flow->key.words[i]);
		copy.first = seqlock_get(&flow->first);
		copy.last = seqlock_get(&flow->last);
		copy.seen = seqlock_get(&flow->seen);
		mine.words[0] = seqlock_get(&cold->words[0]);
		mine.words[1] = seqlock_get(&cold->words[1]);
		if (cache->labels != NULL)
			label = seqlock_get(&cache->labels[slot]);
		// Relaxed: the gets before it are acquired. A packet adds to the counts, so equal
		// counts mean that none was added meanwhile.
	} while (__atomic_load_n(&flow->counts, __ATOMIC_RELAXED) != copy.counts);

	// It only has to be near, flow times reach 37 h either way. Acquire, with the release in
	// flow_cache_set_now(): should the clock have been set anew since, the bucket's number
	// will tell.
	uint64_t now = __atomic_load_n(&cache->now, __ATOMIC_ACQUIRE);
	*record = (struct flow_record){
		.key = copy.key,
		.first_ticks = flow_cache_full_ticks(now, copy.first),
		.last_ticks = flow_cache_full_ticks(now, copy.last),
		.packets = count_packets(copy.counts),
		.octets = count_octets(copy.counts),
		.inner_vlan_id = mine.inner_vlan_id & VLAN_ID_MASK,
		.in_if = mine.in_if,
		.tcp_flags = copy.tcp_flags,
		.tos = copy.tos,
		.ttl_min = copy.ttl_min,
		.ttl_max = copy.ttl_max,
		.end = FLOW_END_NONE,
	};
	memcpy(record->src_mac, mine.src_mac, sizeof(record->src_mac));
	memcpy(record->dst_mac, mine.dst_mac, sizeof(record->dst_mac));
	if ((mine.inner_vlan_id & PACKET_LABELLED) != 0)
		memcpy(record->mpls_label, &label, sizeof(record->mpls_label));
}

unsigned flow_cache_read(
	const struct flow_cache *cache,
	uint32_t bucket_index,
	struct flow_record records[FLOW_CACHE_BUCKET_FLOWS]
) {
	const struct bucket *bucket = &cache->buckets[bucket_index];
	uint32_t seq;
	unsigned n;

	do {
		seq = seqlock_read(&bucket->seq);
		n = 0;
		for (unsigned way = 0; way < BUCKET_WAYS; way++)
			if (seqlock_get(&bucket->tags[way]) != 0)
				copy_flow(cache, seqlock_get(&bucket->flows[way]), &records[n++]);
	} while (!seqlock_same(&bucket->seq, seq));
	return n;
}

bool flow_cache_find(
	const struct flow_cache *cache, const struct flow_key *key, struct flow_record *record
) {
	struct flow_record records[FLOW_CACHE_BUCKET_FLOWS];
	uint64_t hash = flow_key_hash(key, &cache->secret);
	unsigned n = flow_cache_read(cache, flow_cache_bucket(cache, hash), records);

	for (unsigned i = 0; i < n; i++) {
		if (flow_key_equal(&records[i].key, key)) {
			*record = records[i];
			return true;
		}
	}
	return false;
}
