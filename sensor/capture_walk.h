// Capture walk: the records of a classic pcap file (draft-ietf-opsawg-pcap section 5), in
// memory. Four variants, for both byte orders and both resolutions, so that none of them asks
// at each record.
//
// Threads: pure functions, callable from any. Time: not touched.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "capture_file.h"

enum {
	CAPTURE_RECORD_HEADER_BYTES = 16,
	CAPTURE_MAX_RECORD_BYTES = 262144, // of captured octets, libpcap's own limit
};

struct capture_walk {
	const uint8_t *at;  // the next record header
	const uint8_t *end; // of the octets that are there
	uint32_t snaplen;   // longer records are cut to this
	// What the walk stopped at: 0, or how many octets the next record wants in all. More than
	// CAPTURE_RECORD_HEADER_BYTES + CAPTURE_MAX_RECORD_BYTES: it is impossible.
	uint64_t wanted_bytes;
};

// Fills up to `max` frames from whole records and moves `at` behind them. Returns how many.
typedef unsigned (*capture_walk_fn)(struct capture_walk *walk, struct frame *frames, unsigned max);

// The variant for a file that begins with the 24 octets at `header`; NULL where it is not a
// classic pcap of version 2.4.
capture_walk_fn capture_walk_of(const uint8_t *header);
