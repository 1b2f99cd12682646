// Export run: finished messages of an export protocol in the order of their sequence, one behind
// the other. The last may be shorter and hold fewer records, the others are alike, so that the
// kernel can be given a run as one (UDP_SEGMENT). A stream or a file takes its octets as they are.
//
// Threads: pure functions. The octets belong to the encoder that made them.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EXPORT_RUN_DATAGRAMS = 32, // most of a run: more gain nothing; udp(7) allows 64
	EXPORT_RUN_BYTES = 65507,  // and what one UDP send takes; a single message may be longer
};

struct export_run {
	const uint8_t *octets;
	size_t datagram_bytes; // of each but the last
	size_t last_bytes;
	unsigned n_datagrams;      // at least 1
	unsigned datagram_records; // flow records in each but the last
	unsigned last_records;
};

// Takes each run. The octets are gone when the call returns.
typedef void (*export_send_fn)(const struct export_run *run, void *arg);

// The part of a run that is its datagrams `first` to `first + n - 1`. `n` > 0.
static inline struct export_run
export_run_part(const struct export_run *run, unsigned first, unsigned n) {
	bool to_end = first + n == run->n_datagrams;
	return (struct export_run){
		.octets = run->octets + first * run->datagram_bytes,
		.datagram_bytes = run->datagram_bytes,
		.last_bytes = to_end ? run->last_bytes : run->datagram_bytes,
		.n_datagrams = n,
		.datagram_records = run->datagram_records,
		.last_records = to_end ? run->last_records : run->datagram_records,
	};
}

static inline size_t export_run_bytes(const struct export_run *run) {
	return (run->n_datagrams - 1) * run->datagram_bytes + run->last_bytes;
}

static inline unsigned export_run_records(const struct export_run *run) {
	return (run->n_datagrams - 1) * run->datagram_records + run->last_records;
}
