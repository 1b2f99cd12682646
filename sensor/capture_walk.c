#include "capture_walk.h"

#include <stdbool.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>

#include "wire.h"

static inline uint32_t get32(const uint8_t *in, bool big_endian) {
	uint32_t v;
	memcpy(&v, in, sizeof(v));
	return big_endian ? rte_be_to_cpu_32(v) : rte_le_to_cpu_32(v);
}

static inline uint16_t get16(const uint8_t *in, bool big_endian) {
	uint16_t v;
	memcpy(&v, in, sizeof(v));
	return big_endian ? rte_be_to_cpu_16(v) : rte_le_to_cpu_16(v);
}

// `big_endian` and `ns_per_unit` are constants of each variant.
static inline __attribute__((always_inline)) unsigned walk_records(
	struct capture_walk *walk,
	struct frame *frames,
	unsigned max,
	bool big_endian,
	int64_t ns_per_unit
) {
	const uint8_t *at = walk->at;
	size_t left = (size_t)(walk->end - at);
	unsigned n = 0;

	walk->wanted_bytes = 0;
	for (; n < max; n++) {
		if (unlikely(left < CAPTURE_RECORD_HEADER_BYTES)) {
			walk->wanted_bytes = CAPTURE_RECORD_HEADER_BYTES;
			break;
		}
		uint32_t captured = get32(at + 8, big_endian);
		uint64_t bytes = CAPTURE_RECORD_HEADER_BYTES + (uint64_t)captured;
		if (unlikely(left < bytes || captured > CAPTURE_MAX_RECORD_BYTES)) {
			walk->wanted_bytes = bytes;
			break;
		}
		// A fraction of a second or more is added as it stands; 2^32 s and 2^32 units fit.
		frames[n] = (struct frame){
			.data = at + CAPTURE_RECORD_HEADER_BYTES,
			.captured_bytes = captured <= walk->snaplen ? captured : walk->snaplen,
			.wire_bytes = get32(at + 12, big_endian),
			.time_ns = (int64_t)get32(at, big_endian) * NS_PER_S
				   + (int64_t)get32(at + 4, big_endian) * ns_per_unit,
		};
		at += bytes;
		left -= bytes;
	}
	walk->at = at;
	return n;
}

static unsigned walk_little_us(struct capture_walk *walk, struct frame *frames, unsigned max) {
	return walk_records(walk, frames, max, false, NS_PER_US);
}

static unsigned walk_little_ns(struct capture_walk *walk, struct frame *frames, unsigned max) {
	return walk_records(walk, frames, max, false, 1);
}

static unsigned walk_big_us(struct capture_walk *walk, struct frame *frames, unsigned max) {
	return walk_records(walk, frames, max, true, NS_PER_US);
}

static unsigned walk_big_ns(struct capture_walk *walk, struct frame *frames, unsigned max) {
	return walk_records(walk, frames, max, true, 1);
}

capture_walk_fn capture_walk_of(const uint8_t *header) {
	static const struct {
		uint32_t magic; // as its octets lie in the file
		bool big_endian;
		capture_walk_fn walk;
	} variants[] = {
		{0xd4c3b2a1, false, walk_little_us},
		{0x4d3cb2a1, false, walk_little_ns},
		{0xa1b2c3d4, true, walk_big_us},
		{0xa1b23c4d, true, walk_big_ns},
	};

	for (unsigned i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		if (wire_get32(header) == variants[i].magic
		    && get16(header + 4, variants[i].big_endian) == 2
		    && get16(header + 6, variants[i].big_endian) == 4)
			return variants[i].walk;
	return NULL;
}
