// Collector: one destination of export messages. A connected UDP socket of its own, or a session
// over TCP or TLS (stream.h); its encoder, and so its sequence and template timer; its pacing.
//
// Errors of the network are counted by kind, told when they begin and end, and never fatal: every
// record ends as sent (handed to the kernel) or lost for a named reason.
//
// Threads: one at a time, but collector_stats(), collector_hurry() and collector_abort() may be
// called from any. Time: the monotonic clock for pacing and waits; messages have the caller's.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "encoder.h"
#include "flow_record.h"
#include "pacer.h"

#define COLLECTOR_ERROR_BYTES 512

struct collector;

// Files in PEM, all of which may be NULL (stream.h).
struct collector_tls {
	const char *ca_file;
	const char *cert_file;
	const char *key_file;
	const char *server_name;
};

struct collector_config {
	// "[SCHEME://]HOST:PORT", "[IPv6]:PORT"; names are resolved. The scheme says what is
	// spoken: netflow9, which is also what is spoken without one, ipfix, netflow5 over UDP;
	// ipfix+tcp, ipfix+tls in sessions (stream.h).
	const char *destination;
	// The protocol is the scheme's; datagram_bytes 0 = 1400, over IPv6 1232, over TCP 8192.
	// Its templates come once a session over TCP.
	struct encoder_config encoder;
	struct collector_tls tls;
	struct pacer_rate rate;
	bool wait; // while the socket is full; else its records are lost at once
	// A lasting failure makes the socket anew, under the name's address of then, and a session
	// is tried for ever. Else a session that has been down for `give_up_ms` is given up.
	bool live;
	unsigned give_up_ms;  // 0 = 30 s
	unsigned retry_ms;    // of sessions, for tests; 0 = what suits
	bool no_segmentation; // each datagram in a call of its own, as where UDP_SEGMENT is unknown
	// Called with one line for what begins and ends to go wrong, by the sending thread. Or
	// NULL.
	void (*on_message)(const char *message, bool bad, void *arg);
	void *arg;
};

// What is wrong with a destination as it is written, in words, or NULL. Nobody is asked whether
// there is such a host.
const char *collector_mistake(const char *destination);

struct collector_stats {
	uint64_t records;          // given to collector_add()
	uint64_t records_sent;     // handed to the kernel
	uint64_t lost_full;        // records lost: socket buffer full (EAGAIN, ENOBUFS)
	uint64_t lost_refused;     // records lost: nobody listens there (ECONNREFUSED), seen twice
	uint64_t lost_unreachable; // records lost: no route, host or network unreachable
	uint64_t lost_session;     // records lost: their session ended, or none could be had
	uint64_t lost_other;       // records lost: any other error of the socket
	uint64_t lost_stopped;     // records lost: after collector_abort()
	uint64_t lost_untold;      // records lost: the protocol has no words for them
	uint64_t datagrams_sent;
	uint64_t octets_sent;
	uint64_t refusals; // ICMP port unreachable seen: an earlier datagram went nowhere
	uint64_t reopened; // sockets made anew after a lasting failure
	uint64_t sessions; // over TCP or TLS that have been up
	bool gave_up;      // on having one
};

// Resolves, opens, and over UDP connects. NULL on error, with one line in `error`
// (COLLECTOR_ERROR_BYTES) that names the destination, the cause and the remedy.
[[nodiscard]] struct collector *collector_open(const struct collector_config *config, char *error);

// Flushes nothing: call collector_flush() first.
void collector_close(struct collector *collector);

// Whether records may be added: over UDP always, else while a session is up. Works on the next one
// for up to `timeout_ms`. After collector_abort(), or when it has been given up, records may be
// added too, and are lost.
[[nodiscard]] bool collector_ready(struct collector *collector, int timeout_ms);

// Whether a datagram was refused of late: whoever listens next is to get templates soon. Any
// thread.
bool collector_refused(const struct collector *collector);

// Whether collector_ready() is to be called every second or so also while there are no records, for
// the end of a session to be noticed.
bool collector_has_sessions(const struct collector *collector);

// Whether it must yet look up names, and so read files, when a session or socket is made anew.
bool collector_needs_names(const struct collector *collector);

// Adds records. What fills a run of datagrams is sent, to the kernel as one where it knows how
// (UDP_SEGMENT); the rest waits for more records or for collector_flush().
void collector_add(
	struct collector *collector,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
);

// The records that follow are of another sampling (encoder.h); those before are sent.
void collector_set_sampling(struct collector *collector, uint32_t interval, uint8_t algorithm);

// For options data (encoder.h).
void collector_set_interfaces(
	struct collector *collector, const struct export_interface *interfaces, size_t n
);
void collector_set_counts(struct collector *collector, const struct export_counts *counts);

// Sends everything.
void collector_flush(struct collector *collector, int64_t now_ms);

// What the destination was called on the command line.
const char *collector_name(const struct collector *collector);

// Why there was no session last, in words; "" where there was none to be had. The sender's thread.
const char *collector_cause(const struct collector *collector);

// The addresses that the datagrams carry. Of sessions, each of which has a port of its own, the
// source's port says nothing. Returns 0 or a negative errno: -ENOTCONN where they are not known.
[[nodiscard]] int collector_addresses(
	const struct collector *collector,
	struct sockaddr_storage *source,
	struct sockaddr_storage *destination
);

// From here on at least so many records a second leave, if the pacing let fewer. Any thread.
void collector_hurry(struct collector *collector, uint64_t records_per_s);

// From here on nothing waits: what is under way is sent if that needs no waiting, and what comes
// after is lost. Any thread; for good.
void collector_abort(struct collector *collector);

void collector_stats(const struct collector *collector, struct collector_stats *stats);
