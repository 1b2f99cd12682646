// What the files of the collector share.

#pragma once

#include <netdb.h>
#include <stdatomic.h>

#include "collector.h"
#include "stream.h"
#include "trouble.h"

// Written by the one thread that sends, read by any. Relaxed: each counter stands for itself,
// and with one writer a load, an add and a store are enough.
struct collector_counters {
	atomic_ullong records;
	atomic_ullong records_sent;
	atomic_ullong lost_full;
	atomic_ullong lost_refused;
	atomic_ullong lost_unreachable;
	atomic_ullong lost_session;
	atomic_ullong lost_other;
	atomic_ullong lost_stopped;
	atomic_ullong lost_untold;
	atomic_ullong datagrams_sent;
	atomic_ullong octets_sent;
	atomic_ullong refusals;
	atomic_ullong reopened;
	atomic_bool gave_up;
};

struct collector {
	struct collector_config config;
	char *name;
	const char *address; // in it, behind the scheme
	struct encoder *encoder;
	// What a new encoder of another session is to know too.
	uint32_t interval;
	uint8_t algorithm;
	struct export_interface interfaces[EXPORT_MOST_INTERFACES];
	size_t n_interfaces;
	struct export_counts counts;

	// In sessions.
	struct stream *stream;
	uint64_t n_sessions;                  // when the encoder was made
	struct sockaddr_storage source, peer; // of sessions, as far as it was known at the start
	time_ns_t down_ns;                    // since when there is no session; 0 = there is
	bool broken;                          // what is under construction belongs to no session

	// Over UDP.
	int socket;
	int family;
	bool segments; // the kernel cuts a run into its datagrams (UDP_SEGMENT)
	time_ns_t reopened_ns;
	time_ns_t renewed_ns; // when templates followed a refusal
	struct pacer pacer;
	bool hurries;
	// Set by any thread. Relaxed: they may be seen late.
	atomic_ullong hurry; // records a second
	atomic_bool aborted;
	atomic_bool refused; // set by the sending thread, read by any
	struct troubles troubles;
	struct collector_counters counters;
};

static inline void collector_count(atomic_ullong *counter, uint64_t n) {
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static inline bool collector_aborted(const struct collector *collector) {
	return atomic_load_explicit(&collector->aborted, memory_order_relaxed);
}

// Monotonic.
time_ns_t collector_now(void);

// Sends datagrams that are paced already, and counts them as sent or lost.
void collector_datagrams(struct collector *collector, const struct export_run *run);

// The same over a stream.
void collector_messages(struct collector *collector, const struct export_run *run);
[[nodiscard]] bool collector_stream_open(struct collector *collector, bool tls, char *error);
[[nodiscard]] bool collector_stream_ready(struct collector *collector, int timeout_ms);

// What encodes, from the first message on.
[[nodiscard]] struct encoder *collector_new_encoder(struct collector *collector);

// After a flush: the answer to the last datagrams, which no further one may be there to bring.
void collector_look_for_refusal(struct collector *collector);
