// What the parts of a stream share: stream.c opens, writes and closes, stream_connect.c goes from
// session to session, stream_socket.c speaks
// TCP, stream_tls.c reads certificates, stream_session.c speaks TLS, stream_words.c finds words.

#pragma once

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/types.h>

#include "host_port.h"
#include "name_lookup.h"
#include "stream.h"

enum {
	// What is wrong with a config, before the destination is named.
	STREAM_WRONG_BYTES = STREAM_ERROR_BYTES - 100,
};

enum stream_phase {
	STREAM_RESTING,     // until due_ms
	STREAM_LOOKING_UP,  // the host's addresses
	STREAM_CONNECTING,  // to addresses[n_tried - 1]
	STREAM_HANDSHAKING, // TLS
	STREAM_SETTLING,    // it asked for our certificate, and may yet refuse it
	STREAM_UP,
};

// What the peer's first octet in a TLS handshake said of it.
enum stream_heard {
	STREAM_HEARD_NOTHING,
	STREAM_HEARD_TLS,
	STREAM_HEARD_OTHER,
};

// Written by the sender, read by any. Relaxed: each counter stands for itself, and with one writer
// a load, an add and a store are enough.
struct stream_counters {
	atomic_ullong attempts;
	atomic_ullong sessions;
	atomic_ullong messages;
	atomic_ullong octets;
	atomic_ullong octets_discarded;
	atomic_ullong failures[STREAM_FAILURES];
	atomic_bool up;
};

struct stream {
	char *name;
	char host[HOST_PORT_HOST_BYTES];
	char port[8];
	bool needs_names;
	unsigned stall_ms, connect_ms, retry_ms;

	SSL_CTX *tls; // NULL = plain TCP
	char *server_name;
	bool has_certificate; // of its own

	int abort_event; // written once, never read: whoever polls it returns
	atomic_bool aborted;

	struct host_address addresses[NAME_LOOKUP_MAX];
	unsigned n_addresses, n_tried;
	struct name_lookup *lookup;

	enum stream_phase phase;
	int64_t due_ms;      // RESTING: of the next attempt
	int64_t deadline_ms; // CONNECTING to SETTLING: when this address is given up
	int64_t up_ms;       // since when a session is up
	unsigned back_off_ms;
	uint64_t random;

	int socket;
	SSL *ssl;
	int io_error; // of the last call to the socket below TLS
	enum stream_heard heard;
	bool asked_for_certificate, ticketed;
	uint64_t octets_out; // taken by the socket, with all that TLS adds

	enum stream_failure failure; // the last, not counted yet
	char error[STREAM_ERROR_BYTES];
	struct stream_counters counters;
};

// What has to happen before the next call is worth it.
struct stream_wait {
	int fd; // -1 = none
	short events;
	int64_t until_ms;
};

// stream_connect.c

void stream_add(atomic_ullong *counter, uint64_t n);
int64_t stream_monotonic_ms(void);
bool stream_is_aborted(const struct stream *stream);

// Waits for what `wait` says, no longer than `until_ms`; or for stream_abort(). Returns what is
// with wait->fd.
short stream_wait_for(
	const struct stream *stream, const struct stream_wait *wait, int64_t until_ms
);

// Reads what the peer says, which is nothing that an exporter could use; what matters is its
// end. Returns 0, or stream_fail().
int stream_discard(struct stream *stream);

// Closes the socket, whatever was on its way.
void stream_hang_up(struct stream *stream);

// The session that was up is over, by stream_fail().
void stream_lose(struct stream *stream);

// stream_words.c

// Notes why the session is over. Returns -`error`, for the caller to pass on.
[[gnu::format(printf, 4, 5)]] int
stream_fail(struct stream *stream, enum stream_failure failure, int error, const char *format, ...);

// The same for an error of the socket.
int stream_fail_errno(struct stream *stream, int error);

// For what OpenSSL says after a call that returned `rc`: a failure, or -EAGAIN with what is to be
// waited for in `events`.
int stream_fail_tls(struct stream *stream, int rc, short *events);

// stream_socket.c: without blocking.

// Begins to connect to an address. Returns the socket or a negative errno.
int stream_socket_start(const struct host_address *address, unsigned stall_ms);

// Whether it is connected by now: 0, -EAGAIN or another negative errno.
int stream_socket_connected(int fd);

// Octets taken or read, more than 0, or -EAGAIN, or stream_fail().
ssize_t stream_socket_send(struct stream *stream, const void *octets, size_t n);
ssize_t stream_socket_receive(struct stream *stream, void *octets, size_t n);

// stream_tls.c

// The certificates of a stream. Returns 0, or a negative errno with what is wrong in `wrong`
// (STREAM_WRONG_BYTES) and how to mend it.
int stream_tls_load(struct stream *stream, const struct stream_config *config, char *wrong);

// stream_session.c: TLS over the socket. Each returns what it does, or -EAGAIN with `events` to
// wait for, or stream_fail().

int stream_tls_start(struct stream *stream);
int stream_tls_handshake(struct stream *stream, short *events);

// `n`: all of them, as TLS has it. To be called again with the same octets after -EAGAIN.
ssize_t stream_tls_send(struct stream *stream, const void *octets, size_t n, short *events);
ssize_t stream_tls_receive(struct stream *stream, void *octets, size_t n);

// Says farewell (close_notify), as far as it goes without waiting.
void stream_tls_end(struct stream *stream);
