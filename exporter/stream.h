// Stream: IPFIX messages over TCP, or TLS over TCP, to one collector (RFC 7011 sections 10.4 and
// 11; RFC 5153 on how to implement them). One session after another: what ends a session is
// counted and told in words, and the next is tried, first soon and then ever more rarely.
//
// A stream queues nothing. While no session is up, what is to be sent waits at the caller's; a
// new session starts with templates, since its collector knows none (RFC 7011 section 8.4).
// A message is sent when the kernel took the whole of it: what a collector had not read when
// its session broke is lost without anybody's knowing, as TCP has it.
//
// TLS is 1.2 or newer. The collector's certificate is always verified: its chain by the
// authorities given or the system's, its name by that of the destination. There is no switch for
// it to be left out; `ca_file` and `server_name` say what to trust instead.
//
// Threads: one at a time, the sender; but stream_abort(), stream_stats() and stream_sessions()
// may be called from any. Names are resolved on a thread that the stream starts for it, so that
// a slow name server delays nobody. Signals: none; a broken connection raises no SIGPIPE.
// Time: the monotonic clock for all waits, the wall clock for certificates.
//
// In the sandbox: sockets must yet be made and connected (sandbox_config.connect); where
// stream_needs_names(), names be looked up (look_up) too.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define STREAM_ERROR_BYTES 512

enum {
	STREAM_DEFAULT_STALL_MS = 30000,
	STREAM_DEFAULT_CONNECT_MS = 10000,
	STREAM_DEFAULT_RETRY_MS = 250,
	STREAM_MAX_RETRY_MS = 30000,
	STREAM_MAX_MESSAGE_BYTES = 65535, // of IPFIX, whose length field has 16 bits
};

struct stream;

// Strings are copied. NULL and 0 where nothing else is said: the default.
struct stream_config {
	const char *address; // "HOST:PORT", "[IPv6]:PORT"; names are resolved at each attempt
	const char *name;    // what errors call the destination; NULL = the address
	bool tls;
	// TLS alone; PEM files, read by stream_open() and not again.
	const char *ca_file;     // authorities to trust; NULL = the system's
	const char *cert_file;   // ours, and those between it and its authority; NULL = none
	const char *key_file;    // of it; NULL = in cert_file too
	const char *server_name; // that its certificate must carry, name or address; NULL = HOST
	unsigned stall_ms;       // a peer that takes nothing for so long has stalled
	unsigned connect_ms;     // time for one address: connection and TLS handshake
	unsigned retry_ms;       // the first wait between attempts
	uint64_t seed;           // of the back-off's jitter; 0 = random
};

// Why an attempt or a session ended.
enum stream_failure {
	STREAM_NAME,        // the host's name was not found, or nobody could be asked
	STREAM_REFUSED,     // nobody listens there
	STREAM_UNREACHABLE, // no route, host or network unreachable, also by a firewall's word
	STREAM_SILENT,      // no answer to the connection or the handshake in time
	STREAM_HANDSHAKE,   // no TLS there, or none that both could agree on
	STREAM_UNTRUSTED,   // its certificate: expired, not trusted, of another name
	STREAM_UNWELCOME,   // it wants a certificate of ours, or another one
	STREAM_STALLED,     // took nothing, or acknowledged nothing, for stall_ms
	STREAM_RESET,       // the connection was reset
	STREAM_CLOSED,      // the peer closed it
	STREAM_OTHER,       // any other error
	STREAM_FAILURES,
};

struct stream_stats {
	uint64_t attempts;                  // to connect, each to one address
	uint64_t sessions;                  // that have been up
	uint64_t messages;                  // handed to the kernel whole
	uint64_t octets;                    // of these, without what TLS adds
	uint64_t octets_discarded;          // that the peer sent; collectors send none
	uint64_t failures[STREAM_FAILURES]; // of attempts and sessions, by kind
	bool up;
};

// Reads certificates, resolves the name once, and does not connect. NULL on error, with one line
// in `error` (STREAM_ERROR_BYTES) that names the destination, the cause and the remedy.
[[nodiscard]] struct stream *stream_open(const struct stream_config *config, char *error);

// Ends the session in order: what is on its way is given up to a second to arrive, unless the
// stream was aborted. Frees the stream. NULL is fine.
void stream_close(struct stream *stream);

// Looks after the session: notices its end, and works on the next one for up to `timeout_ms`
// (0: what can be done without waiting). Returns 1 once a session is up, at once where one is
// and stays; 0 = not yet; -ECANCELED after stream_abort(). Call it also while there is nothing to
// write: so a collector's going away is noticed, and its return.
//
// A name's addresses are tried in turn. When none is left, the next attempt comes after 250 ms,
// then after twice as long each time, up to 30 s; each wait is shortened by up to half at random,
// so that the sensors of a network do not all come back at once. A session that lasted 10 s, or
// rather 40 first waits, starts again from there.
[[nodiscard]] int stream_connect(struct stream *stream, int timeout_ms);

// Hands one message to the kernel, waiting while the peer takes it, but for no longer than
// stall_ms without progress. Returns 0; -ENOTCONN where no session is up, and nothing is counted;
// or another negative errno, and the session is over and counted: whoever reads at the other end
// drops the part of a message that arrived. `n` from 1 to STREAM_MAX_MESSAGE_BYTES.
[[nodiscard]] int stream_write(struct stream *stream, const void *octets, size_t n);

// How many sessions have been up. Another number than before a message means: its collector
// has no templates yet. Any thread.
uint64_t stream_sessions(const struct stream *stream);

// From here on nothing waits: what waits now returns soon, -ECANCELED. A session that is up
// still takes what needs no waiting. Any thread; for good.
void stream_abort(struct stream *stream);

// The last failure in words, without the destination's name; "" when there was none. The sender's
// thread; holds until the next call of stream_connect() or stream_write().
const char *stream_error(const struct stream *stream);

// What a failure is called, in one word, such as in statistics: "refused".
const char *stream_failure_word(enum stream_failure failure);

// Whether HOST is a name, so that files are read and name servers asked at each attempt.
bool stream_needs_names(const struct stream *stream);

// The addresses of the session that is up. -ENOTCONN where none is: then `source` has no family,
// and `destination` is the first address that stream_open() found.
[[nodiscard]] int stream_addresses(
	const struct stream *stream,
	struct sockaddr_storage *source,
	struct sockaddr_storage *destination
);

// Any thread.
void stream_stats(const struct stream *stream, struct stream_stats *stats);
