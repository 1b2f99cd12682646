#include "lateness.h"

const uint32_t lateness_bounds_ms[LATENESS_BUCKETS] = {5, 10, 25, 50, 100, 250, 500, 1000, 2500};

void lateness_add(struct lateness *lateness, int64_t late_ms) {
	if (late_ms < 0)
		late_ms = 0;
	if (late_ms > LATENESS_MOST_MS)
		late_ms = LATENESS_MOST_MS;
	atomic_uint_fast64_t *count = &lateness->counts[late_ms];
	// Relaxed: one writer, and readers want the number alone.
	uint64_t n = atomic_load_explicit(count, memory_order_relaxed);
	atomic_store_explicit(count, n + 1, memory_order_relaxed);
}

void lateness_read(const struct lateness *lateness, struct ledger_lateness *read) {
	uint64_t counts[LATENESS_MOST_MS + 1];
	uint64_t n = 0, seen = 0;

	// Copied first: the percentiles are to be those of one set of counts.
	for (uint32_t ms = 0; ms <= LATENESS_MOST_MS; ms++) {
		counts[ms] = atomic_load_explicit(&lateness->counts[ms], memory_order_relaxed);
		n += counts[ms];
	}
	*read = (struct ledger_lateness){.n_flows = n};
	for (uint32_t ms = 0; ms <= LATENESS_MOST_MS && seen < n; ms++) {
		if (counts[ms] == 0)
			continue;
		if (seen < n - n / 2)
			read->p50_ms = ms;
		if (seen < n - n / 100)
			read->p99_ms = ms;
		seen += counts[ms];
		read->max_ms = ms;
	}
}

void lateness_read_histogram(const struct lateness *lateness, struct lateness_histogram *read) {
	unsigned bucket = 0;

	*read = (struct lateness_histogram){0};
	for (uint32_t ms = 0; ms <= LATENESS_MOST_MS; ms++) {
		// Relaxed: as in lateness_add().
		uint64_t n = atomic_load_explicit(&lateness->counts[ms], memory_order_relaxed);
		read->n_flows += n;
		read->sum_ms += n * ms;
		if (bucket < LATENESS_BUCKETS && ms == lateness_bounds_ms[bucket])
			read->counts[bucket++] = read->n_flows;
	}
}
