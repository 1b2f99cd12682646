// Record sink: a UDP socket on loopback that another core empties, for benches that send NetFlow
// v9 from the same process. It looks at no more of most datagrams than their header, so that its
// core has time for what else runs there.
//
// Threads: one of its own on core 1; the counts may be read from any.

#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct record_sink {
	int socket;
	unsigned port; // on 127.0.0.1
	pthread_t thread;
	atomic_ullong datagrams;
	atomic_ullong records; // Count of their headers, without templates and options
};

// Returns 0 or a negative errno: -EPERM where the kernel does not grant `buffer_bytes` of receive
// buffer, as it does to CAP_NET_ADMIN.
[[nodiscard]] int record_sink_open(struct record_sink *sink, int buffer_bytes);
