#include "stream.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "clock.h"
#include "stream_internal.h"

enum {
	LASTING_WAITS = 40,       // a session of so many first waits makes the next one short again
	SETTLE_MS = 1000,         // for a peer to refuse our certificate
	DISCARD_BYTES = 16384,    // as much as a TLS record holds
	MAX_DISCARDS_AT_ONCE = 4, // a peer that talks without end keeps nobody
};

void stream_add(atomic_ullong *counter, uint64_t n) {
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

int64_t stream_monotonic_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec * NS_PER_S + now.tv_nsec) / NS_PER_MS;
}

// Relaxed: the event that is written after it is what wakes, and wakes until it is seen.
bool stream_is_aborted(const struct stream *stream) {
	return atomic_load_explicit(&stream->aborted, memory_order_relaxed);
}

// Waits for what `wait` says, no longer than `until_ms`; or for stream_abort(). Returns what is
// with wait->fd.
short stream_wait_for(
	const struct stream *stream, const struct stream_wait *wait, int64_t until_ms
) {
	struct pollfd fds[] = {
		{.fd = stream->abort_event, .events = POLLIN},
		{.fd = wait->fd, .events = wait->events},
	};
	int64_t left_ms =
		(wait->until_ms < until_ms ? wait->until_ms : until_ms) - stream_monotonic_ms();

	if (left_ms <= 0)
		left_ms = 0;
	// Longer than any caller waits; it comes again.
	if (left_ms > STREAM_MAX_RETRY_MS)
		left_ms = STREAM_MAX_RETRY_MS;
	if (poll(fds, 2, (int)left_ms) <= 0)
		return 0;
	return fds[1].revents;
}

void stream_hang_up(struct stream *stream) {
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	if (stream->socket >= 0)
		close(stream->socket);
	stream->socket = -1;
	atomic_store_explicit(&stream->counters.up, false, memory_order_relaxed);
}

static ssize_t receive(struct stream *stream, void *octets, size_t n) {
	return stream->ssl != NULL ? stream_tls_receive(stream, octets, n)
				   : stream_socket_receive(stream, octets, n);
}

// Reads what the peer says, which is nothing that an exporter could use; what matters is its
// end. Returns 0, or stream_fail().
int stream_discard(struct stream *stream) {
	uint8_t octets[DISCARD_BYTES];

	for (unsigned i = 0; i < MAX_DISCARDS_AT_ONCE; i++) {
		ssize_t n = receive(stream, octets, sizeof(octets));
		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return (int)n;
		stream_add(&stream->counters.octets_discarded, (size_t)n);
	}
	return 0;
}

// From phase to phase. Each returns whether the next can be entered at once; or else what is to
// be waited for.

// xorshift64*; what it is for needs no better.
static uint64_t random_next(struct stream *stream) {
	uint64_t state = stream->random | 1;
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	stream->random = state;
	return state * UINT64_C(0x2545f4914f6cdd1d) >> 33;
}

static void rest(struct stream *stream, int64_t now_ms) {
	unsigned half_ms = stream->back_off_ms / 2;

	stream->phase = STREAM_RESTING;
	stream->due_ms =
		now_ms + stream->back_off_ms - (int64_t)(random_next(stream) % (half_ms + 1));
	stream->back_off_ms = stream->back_off_ms < STREAM_MAX_RETRY_MS / 2
				      ? stream->back_off_ms * 2
				      : STREAM_MAX_RETRY_MS;
}

static void count_failure(struct stream *stream) {
	stream_add(&stream->counters.failures[stream->failure], 1);
	stream_hang_up(stream);
}

// The session that was up is over.
void stream_lose(struct stream *stream) {
	int64_t now_ms = stream_monotonic_ms();

	count_failure(stream);
	if (now_ms - stream->up_ms >= (int64_t)LASTING_WAITS * stream->retry_ms)
		stream->back_off_ms = stream->retry_ms;
	rest(stream, now_ms);
}

static bool connect_next(struct stream *stream, int64_t now_ms) {
	while (stream->n_tried < stream->n_addresses) {
		stream_add(&stream->counters.attempts, 1);
		int fd = stream_socket_start(
			&stream->addresses[stream->n_tried++], stream->stall_ms
		);
		stream->phase = STREAM_CONNECTING;
		if (fd >= 0) {
			stream->socket = fd;
			stream->deadline_ms = now_ms + stream->connect_ms;
			return true;
		}
		stream_fail_errno(stream, -fd);
		count_failure(stream);
	}
	rest(stream, now_ms);
	return true;
}

static bool wait_on_socket(struct stream *stream, short events, struct stream_wait *wait) {
	*wait = (struct stream_wait){stream->socket, events, stream->deadline_ms};
	return false;
}

static bool give_up_address(struct stream *stream, int64_t now_ms) {
	count_failure(stream);
	return connect_next(stream, now_ms);
}

static bool give_up_waiting(struct stream *stream, int64_t now_ms) {
	if (stream->phase == STREAM_HANDSHAKING)
		stream_fail(
			stream,
			STREAM_SILENT,
			ETIMEDOUT,
			"no answer to the TLS handshake within %u ms; does it speak TLS at that "
			"port?",
			stream->connect_ms
		);
	else
		stream_fail(
			stream,
			STREAM_SILENT,
			ETIMEDOUT,
			"no answer within %u ms; a firewall may drop what is sent to it",
			stream->connect_ms
		);
	return give_up_address(stream, now_ms);
}

static bool begin_attempt(struct stream *stream, int64_t now_ms, struct stream_wait *wait) {
	if (now_ms < stream->due_ms) {
		*wait = (struct stream_wait){-1, 0, stream->due_ms};
		return false;
	}
	stream->n_tried = 0;
	if (!stream->needs_names)
		return connect_next(stream, now_ms);
	stream->lookup = name_lookup_start(stream->host, stream->port);
	stream->phase = STREAM_LOOKING_UP;
	if (stream->lookup == NULL) {
		stream_fail(stream, STREAM_OTHER, errno, "name lookup: %s", strerror(errno));
		count_failure(stream);
		rest(stream, now_ms);
	}
	return true;
}

static bool look_up(struct stream *stream, int64_t now_ms, struct stream_wait *wait) {
	const char *wrong;

	int n = name_lookup_take(stream->lookup, stream->addresses, &wrong);
	if (n == 0) {
		*wait = (struct stream_wait
		){name_lookup_fd(stream->lookup), POLLIN, now_ms + STREAM_MAX_RETRY_MS};
		return false;
	}
	name_lookup_free(stream->lookup);
	stream->lookup = NULL;
	stream->n_addresses = n > 0 ? (unsigned)n : 0;
	if (n < 0) {
		stream_fail(stream, STREAM_NAME, -n, "cannot resolve %s: %s", stream->host, wrong);
		count_failure(stream);
	}
	return connect_next(stream, now_ms);
}

static bool begin_session(struct stream *stream, int64_t now_ms) {
	stream->phase = STREAM_UP;
	stream->up_ms = now_ms;
	stream_add(&stream->counters.sessions, 1);
	atomic_store_explicit(&stream->counters.up, true, memory_order_relaxed);
	return true;
}

static bool connected(struct stream *stream, int64_t now_ms, struct stream_wait *wait) {
	int rc = stream_socket_connected(stream->socket);

	if (rc == -EAGAIN)
		return now_ms >= stream->deadline_ms ? give_up_waiting(stream, now_ms)
						     : wait_on_socket(stream, POLLOUT, wait);
	if (rc < 0) {
		stream_fail_errno(stream, -rc);
		return give_up_address(stream, now_ms);
	}
	if (stream->tls == NULL)
		return begin_session(stream, now_ms);
	if (stream_tls_start(stream) < 0)
		return give_up_address(stream, now_ms);
	stream->phase = STREAM_HANDSHAKING;
	return true;
}

static bool shake_hands(struct stream *stream, int64_t now_ms, struct stream_wait *wait) {
	short events = 0;
	int rc = stream_tls_handshake(stream, &events);

	if (rc == -EAGAIN)
		return now_ms >= stream->deadline_ms ? give_up_waiting(stream, now_ms)
						     : wait_on_socket(stream, events, wait);
	if (rc < 0)
		return give_up_address(stream, now_ms);
	// With TLS 1.3 a client is done before its certificate has been looked at. The server's
	// first tickets say that it was, an alert that it was not liked; some say nothing.
	if (!stream->asked_for_certificate || SSL_version(stream->ssl) < TLS1_3_VERSION)
		return begin_session(stream, now_ms);
	stream->phase = STREAM_SETTLING;
	stream->deadline_ms = now_ms + SETTLE_MS;
	return true;
}

static bool settle(struct stream *stream, int64_t now_ms, struct stream_wait *wait) {
	if (stream_discard(stream) < 0)
		return give_up_address(stream, now_ms);
	if (stream->ticketed || now_ms >= stream->deadline_ms)
		return begin_session(stream, now_ms);
	return wait_on_socket(stream, POLLIN, wait);
}

static bool step(struct stream *stream, struct stream_wait *wait) {
	int64_t now_ms = stream_monotonic_ms();

	switch (stream->phase) {
	case STREAM_RESTING:
		return begin_attempt(stream, now_ms, wait);
	case STREAM_LOOKING_UP:
		return look_up(stream, now_ms, wait);
	case STREAM_CONNECTING:
		return connected(stream, now_ms, wait);
	case STREAM_HANDSHAKING:
		return shake_hands(stream, now_ms, wait);
	case STREAM_SETTLING:
		return settle(stream, now_ms, wait);
	case STREAM_UP:
		break;
	}
	return false;
}

int stream_connect(struct stream *stream, int timeout_ms) {
	int64_t until_ms = stream_monotonic_ms() + timeout_ms;
	struct stream_wait wait = {.fd = -1};

	if (stream->phase == STREAM_UP && stream_discard(stream) < 0)
		stream_lose(stream);
	for (;;) {
		if (stream->phase == STREAM_UP)
			return 1;
		if (stream_is_aborted(stream))
			return -ECANCELED;
		if (step(stream, &wait))
			continue;
		if (stream_monotonic_ms() >= until_ms)
			return 0;
		stream_wait_for(stream, &wait, until_ms);
	}
}
