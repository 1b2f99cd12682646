#include "selector.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <rte_common.h>

struct selector {
	const struct packet_filter *filter;
	struct duplicate *duplicate; // NULL = not asked for
	size_t duplicate_bytes;
	bool samples;
	struct sampler sampler;
};

bool selector_selects(const struct selector_config *config) {
	return config->filter != NULL || config->duplicate_window_ns > 0
	       || config->sampling_interval > 1;
}

// The memory of what may be seen again. Returns 0 or a negative errno.
static int open_duplicate(struct selector *selector, const struct selector_config *config) {
	struct duplicate_config duplicate = {
		.window_ns = config->duplicate_window_ns,
		.n_packets = duplicate_packets_of(config->duplicate_window_ns),
		.copies = config->duplicate_copies,
		.routed = config->duplicate_routed,
		.place = config->duplicate_place,
	};

	for (unsigned i = 0; i < RTE_DIM(duplicate.digest); i++) {
		int rc = flow_secret_random(&duplicate.digest[i]);
		if (rc < 0)
			return rc;
	}
	size_t bytes = duplicate_size(&duplicate);
	if (bytes == 0)
		return -EINVAL;
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	// Advice: without huge pages it is slower, not wrong.
	(void)madvise(memory, bytes, MADV_HUGEPAGE);
	selector->duplicate = duplicate_init(memory, &duplicate);
	selector->duplicate_bytes = bytes;
	return 0;
}

struct selector *selector_new(const struct selector_config *config) {
	if (config->sampling_interval > SAMPLER_MOST_INTERVAL) {
		errno = EINVAL;
		return NULL;
	}
	struct selector *selector = calloc(1, sizeof(*selector));
	if (selector == NULL)
		return NULL;
	selector->filter = config->filter;
	selector->samples = config->sampling_interval > 1;
	if (selector->samples)
		sampler_init(
			&selector->sampler,
			config->sampling_algorithm,
			config->sampling_interval,
			config->sampling_seed
		);
	int rc = config->duplicate_window_ns == 0 ? 0 : open_duplicate(selector, config);
	if (rc == 0)
		return selector;
	selector_free(selector);
	errno = -rc;
	return NULL;
}

void selector_free(struct selector *selector) {
	if (selector == NULL)
		return;
	if (selector->duplicate != NULL)
		munmap(selector->duplicate, selector->duplicate_bytes);
	free(selector);
}

void selector_mark(
	struct selector *selector, const struct meter *meter, struct frame *frames, unsigned n
) {
	if (selector->filter != NULL)
		packet_filter_mark(selector->filter, frames, n);
	if (selector->duplicate != NULL)
		duplicate_mark(selector->duplicate, meter, frames, n);
	if (selector->samples)
		sampler_mark(&selector->sampler, frames, n);
}

// The pair of ports in `sum`, new there if need be. There are as many as ports can make.
static struct ledger_pair *
pair_of(struct duplicate_stats *sum, uint16_t first_if, uint16_t second_if) {
	for (unsigned i = 0; i < sum->n_pairs; i++)
		if (sum->pairs[i].first_if == first_if && sum->pairs[i].second_if == second_if)
			return &sum->pairs[i];
	// Each selector tells 16 ports apart; of others, together more than there is room for,
	// nothing more is told than that.
	if (sum->n_pairs == DUPLICATE_MOST_PAIRS)
		return first_if == 0 && second_if == 0 ? &sum->pairs[0] : pair_of(sum, 0, 0);
	struct ledger_pair *pair = &sum->pairs[sum->n_pairs++];
	*pair = (struct ledger_pair){.first_if = first_if, .second_if = second_if};
	return pair;
}

void selector_duplicates(const struct selector *selector, struct duplicate_stats *sum) {
	struct duplicate_stats own;

	if (selector->duplicate == NULL)
		return;
	duplicate_stats(selector->duplicate, &own);
	sum->examined += own.examined;
	sum->duplicates += own.duplicates;
	sum->forgotten += own.forgotten;
	for (unsigned i = 0; i < own.n_pairs; i++) {
		const struct ledger_pair *found = &own.pairs[i];
		struct ledger_pair *pair = pair_of(sum, found->first_if, found->second_if);
		pair->count.packets += found->count.packets;
		pair->count.bytes += found->count.bytes;
	}
}
