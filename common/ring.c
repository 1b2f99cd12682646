#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ring *ring_new(uint32_t n_slots, size_t slot_bytes) {
	if (n_slots == 0 || n_slots > UINT32_C(1) << 30 || (n_slots & (n_slots - 1)) != 0
	    || slot_bytes == 0) {
		errno = EINVAL;
		return NULL;
	}

	struct ring *ring = aligned_alloc(alignof(struct ring), sizeof(*ring));
	if (ring == NULL)
		return NULL;
	memset(ring, 0, sizeof(*ring));
	ring->slots = calloc(n_slots, slot_bytes);
	if (ring->slots == NULL) {
		free(ring);
		errno = ENOMEM;
		return NULL;
	}
	ring->slot_bytes = slot_bytes;
	ring->mask = n_slots - 1;
	return ring;
}

void ring_free(struct ring *ring) {
	if (ring == NULL)
		return;
	free(ring->slots);
	free(ring);
}
