// Decode's sources: a UDP port, a capture, an IPFIX file (RFC 5655).
//
// Errors are said on standard error, naming the thing and the cause.
// Threads: one. SIGINT and SIGTERM are to set `*stop`.

#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow_decode.h"

struct decode_source {
	struct flow_decode *decoder;
	const volatile sig_atomic_t *stop;
	uint64_t most;            // datagrams; 0 = no end
	uint16_t port;            // in captures; 0 = whatever looks like an export
	void (*flush)(void *arg); // before each wait for more
	void *arg;

	// Frames and datagrams that were not decoded.
	uint64_t other;     // other traffic
	uint64_t fragments; // of IP packets
	uint64_t cut;       // by the capture's snaplen
	uint64_t overflow;  // lost by the socket: its buffer was full
};

// Receives at "[HOST:]PORT" until stopped. Returns 0 or a negative errno, which has been said.
int decode_source_listen(struct decode_source *source, const char *at);

// Reads "PATH" or "-" to its end. Returns 0 or a negative errno, which has been said.
int decode_source_file(struct decode_source *source, const char *path);

static inline bool decode_source_done(const struct decode_source *source) {
	struct flow_decode_stats stats;

	if (*source->stop)
		return true;
	flow_decode_stats(source->decoder, &stats);
	return source->most != 0 && stats.datagrams >= source->most;
}
