#include "flow_cache.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <rte_common.h>

#include "flow_cache_internal.h"

static size_t round_line(size_t bytes) {
	return (bytes + 63) & ~(size_t)63;
}

static uint32_t buckets_for(uint32_t n_flows) {
	// Five slots a bucket of ten ways: at 80 % fill one insert in a thousand finds it full.
	return n_flows / 5 + 1;
}

static uint32_t blocks_for(uint32_t n_flows) {
	return (n_flows + BLOCK_FLOWS - 1) / BLOCK_FLOWS;
}

// The packet path's builds, the slowest first.
static const struct flow_cache_path *const paths[] = {
	&flow_cache_path_scalar,
#ifdef __x86_64__
	&flow_cache_path_sse42,
	&flow_cache_path_avx2,
	&flow_cache_path_avx512,
#endif
};

// The one of that name, or the fastest; NULL where this machine has none such.
static const struct flow_cache_path *choose_path(const char *name) {
	for (size_t i = RTE_DIM(paths); i-- > 0;)
		if (paths[i]->here() && (name == NULL || strcmp(paths[i]->name, name) == 0))
			return paths[i];
	return NULL;
}

const char *const *flow_cache_paths(void) {
	static const char *names[RTE_DIM(paths) + 1];
	size_t n = 0;

	for (size_t i = 0; i < RTE_DIM(paths); i++)
		if (paths[i]->here())
			names[n++] = paths[i]->name;
	return names;
}

const char *flow_cache_path(const struct flow_cache *cache) {
	return cache->path->name;
}

static bool timeout_in_range(time_ns_t timeout_ns) {
	return timeout_ns >= 0 && timeout_ns <= FLOW_CACHE_LONGEST_TIMEOUT_NS;
}

size_t flow_cache_memory(uint32_t n_flows) {
	if (n_flows < FLOW_CACHE_MIN_FLOWS || n_flows > FLOW_CACHE_MAX_FLOWS)
		return 0;
	return round_line(sizeof(struct flow_cache))
	       + (size_t)buckets_for(n_flows) * sizeof(struct bucket)
	       + (size_t)n_flows * sizeof(struct flow)
	       + round_line((size_t)n_flows * sizeof(struct flow_cold))
	       + (size_t)blocks_for(n_flows) * BLOCK_FLOWS * sizeof(due_t);
}

size_t flow_cache_size(const struct flow_cache_config *config) {
	if (!timeout_in_range(config->active_timeout_ns)
	    || !timeout_in_range(config->idle_timeout_ns) || config->on_evict == NULL)
		return 0;
	size_t bytes = flow_cache_memory(config->n_flows);
	if (bytes > 0 && config->mpls_labels)
		bytes += round_line((size_t)config->n_flows * sizeof(uint32_t));
	return bytes;
}

static uint32_t timeout_ticks(time_ns_t timeout_ns) {
	if (timeout_ns == 0)
		timeout_ns = FLOW_CACHE_LONGEST_TIMEOUT_NS;
	// Round up: a flow must not end before its timeout.
	return (uint32_t)((timeout_ns + NS_PER_TICK - 1) / NS_PER_TICK);
}

// Of a flow that ended by FIN or RST.
static uint32_t linger_ticks(const struct flow_cache *cache) {
	return RTE_MIN(timeout_ticks(FLOW_CACHE_LINGER_NS), cache->idle_ticks);
}

struct flow_cache *flow_cache_init(void *memory, const struct flow_cache_config *config) {
	const struct flow_cache_path *path = choose_path(config->path);
	if (flow_cache_size(config) == 0 || path == NULL || (uintptr_t)memory % 64 != 0) {
		errno = EINVAL;
		return NULL;
	}

	struct flow_cache *cache = memory;
	uint8_t *at = (uint8_t *)memory + round_line(sizeof(*cache));
	*cache = (struct flow_cache){
		.n_slots = config->n_flows,
		.n_buckets = buckets_for(config->n_flows),
		.active_ticks = timeout_ticks(config->active_timeout_ns),
		.idle_ticks = timeout_ticks(config->idle_timeout_ns),
		.chunk = NO_FLOW,
		.secret = config->secret,
		.path = path,
		.on_evict = config->on_evict,
		.arg = config->arg,
	};
	cache->linger_ticks = linger_ticks(cache);
	cache->evict_age = cache->idle_ticks;
	// Small enough that one batch cannot meet the same flow twice on its way round.
	cache->evict_batch = RTE_MIN(RTE_MAX(cache->n_slots / 512, 1u), EVICT_BATCH + 0u);
	cache->buckets = (struct bucket *)(void *)at;
	at += (size_t)cache->n_buckets * sizeof(struct bucket);
	cache->slab = (struct flow *)(void *)at;
	at += (size_t)cache->n_slots * sizeof(struct flow);
	cache->cold = (struct flow_cold *)(void *)at;
	at += round_line((size_t)cache->n_slots * sizeof(struct flow_cold));
	cache->due = (due_t *)(void *)at;
	at += (size_t)blocks_for(cache->n_slots) * BLOCK_FLOWS * sizeof(due_t);
	cache->inner_mask = VLAN_ID_MASK;
	if (config->mpls_labels) {
		cache->labels = (uint32_t *)(void *)at;
		cache->inner_mask |= PACKET_LABELLED;
	}
	return cache;
}

int flow_cache_set_timeouts(
	struct flow_cache *cache, time_ns_t active_timeout_ns, time_ns_t idle_timeout_ns
) {
	if (!timeout_in_range(active_timeout_ns) || !timeout_in_range(idle_timeout_ns))
		return -EINVAL;
	flow_cache_drain(cache);
	cache->active_ticks = timeout_ticks(active_timeout_ns);
	cache->idle_ticks = timeout_ticks(idle_timeout_ns);
	cache->linger_ticks = linger_ticks(cache);
	cache->evict_age = RTE_MIN(cache->evict_age, cache->idle_ticks);
	// Due times were put down for the old ones. The hand is somewhere: after its second end it
	// has been everywhere.
	cache->n_rechecks = 2;
	return 0;
}

void flow_cache_meter(
	struct flow_cache *cache,
	const struct meter *meter,
	const struct frame *frames,
	unsigned n,
	struct meter_counts *counts
) {
	cache->path->meter(cache, meter, frames, n, counts);
	flow_cache_show_stats(cache);
}

void flow_cache_push(struct flow_cache *cache, const struct packet *packets, unsigned n) {
	cache->path->push(cache, packets, n);
	flow_cache_show_stats(cache);
}

void flow_cache_drain(struct flow_cache *cache) {
	cache->path->drain(cache);
	flow_cache_show_stats(cache);
}

time_ns_t flow_cache_now(const struct flow_cache *cache) {
	return ns_of_ticks(cache->now);
}
