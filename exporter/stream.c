#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "stream_internal.h"

enum {
	FAREWELL_MS = 1000, // for the peer to close too
};

static uint64_t get(const atomic_ullong *counter) {
	return atomic_load_explicit(counter, memory_order_relaxed);
}

// Open and close.

static void copy_settings(struct stream *stream, const struct stream_config *config) {
	stream->stall_ms = config->stall_ms != 0 ? config->stall_ms : STREAM_DEFAULT_STALL_MS;
	stream->connect_ms =
		config->connect_ms != 0 ? config->connect_ms : STREAM_DEFAULT_CONNECT_MS;
	stream->retry_ms = config->retry_ms != 0 ? config->retry_ms : STREAM_DEFAULT_RETRY_MS;
	stream->back_off_ms = stream->retry_ms;
	stream->random = config->seed;
	// Without randomness from the kernel the address of the stream has to do.
	if (stream->random == 0
	    && getrandom(&stream->random, sizeof(stream->random), GRND_NONBLOCK)
		       != sizeof(stream->random))
		stream->random = (uintptr_t)stream;
}

// Returns 0, or a negative errno with what is wrong in `wrong`.
static int find_host(struct stream *stream, const char *address, char *wrong) {
	const char *port, *cause;

	cause = host_port_split(address, stream->host, &port);
	if (cause != NULL) {
		snprintf(
			wrong,
			STREAM_WRONG_BYTES,
			"%s; use HOST:PORT or [IPV6]:PORT, such as 127.0.0.1:4739",
			cause
		);
		return -EINVAL;
	}
	snprintf(stream->port, sizeof(stream->port), "%lu", strtoul(port, NULL, 10));
	int n = name_lookup_now(stream->host, stream->port, true, stream->addresses, &cause);
	if (n < 0) {
		stream->needs_names = true;
		n = name_lookup_now(stream->host, stream->port, false, stream->addresses, &cause);
	}
	if (n < 0) {
		snprintf(
			wrong,
			STREAM_WRONG_BYTES,
			"cannot resolve %s: %s; check the name, or give an address",
			stream->host,
			cause
		);
		return n;
	}
	stream->n_addresses = (unsigned)n;
	return 0;
}

static int set_up(struct stream *stream, const struct stream_config *config, char *wrong) {
	stream->name = strdup(config->name != NULL ? config->name : config->address);
	stream->abort_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stream->name == NULL || stream->abort_event < 0) {
		int rc = -errno;
		snprintf(wrong, STREAM_WRONG_BYTES, "%s", strerror(-rc));
		return rc;
	}
	int rc = find_host(stream, config->address, wrong);
	if (rc == 0 && config->tls)
		rc = stream_tls_load(stream, config, wrong);
	return rc;
}

struct stream *stream_open(const struct stream_config *config, char *error) {
	const char *name = config->name != NULL ? config->name : config->address;
	struct stream *stream = calloc(1, sizeof(*stream));
	char wrong[STREAM_WRONG_BYTES];

	if (stream == NULL) {
		snprintf(error, STREAM_ERROR_BYTES, "collector %s: %s", name, strerror(errno));
		return NULL;
	}
	stream->socket = -1;
	stream->abort_event = -1;
	copy_settings(stream, config);
	int rc = set_up(stream, config, wrong);
	if (rc < 0) {
		snprintf(error, STREAM_ERROR_BYTES, "collector %s: %s", name, wrong);
		stream_close(stream);
		errno = -rc;
		return NULL;
	}
	return stream;
}

// A close() while something lies unread would be a reset, at which the peer's kernel throws away
// what the peer has not read. So our end is said first, and the peer's is waited for.
static void take_leave(struct stream *stream) {
	const struct stream_wait wait = {
		.fd = stream->socket,
		.events = POLLIN,
		.until_ms = stream_monotonic_ms() + FAREWELL_MS,
	};

	if (stream->ssl != NULL)
		stream_tls_end(stream);
	shutdown(stream->socket, SHUT_WR);
	// Below TLS: after a farewell nothing of it matters.
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	while (stream_discard(stream) == 0 && !stream_is_aborted(stream)
	       && stream_monotonic_ms() < wait.until_ms)
		stream_wait_for(stream, &wait, wait.until_ms);
}

void stream_close(struct stream *stream) {
	if (stream == NULL)
		return;
	if (stream->phase == STREAM_UP)
		take_leave(stream);
	stream_hang_up(stream);
	name_lookup_free(stream->lookup);
	SSL_CTX_free(stream->tls);
	if (stream->abort_event >= 0)
		close(stream->abort_event);
	free(stream->server_name);
	free(stream->name);
	free(stream);
}

// Write.

// As much of the message as goes without waiting. Returns how much, -EAGAIN with what to wait
// for, or stream_fail().
static ssize_t send_some(struct stream *stream, const uint8_t *octets, size_t n, short *events) {
	if (stream->ssl != NULL)
		return stream_tls_send(stream, octets, n, events);
	*events = POLLOUT;
	return stream_socket_send(stream, octets, n);
}

// Until the peer takes more, by `until_ms` at the latest.
static int wait_for_peer(struct stream *stream, short events, int64_t until_ms) {
	// Also its end is waited for, which may come instead.
	const struct stream_wait wait = {stream->socket, (short)(events | POLLIN), until_ms};

	if (stream_is_aborted(stream)) {
		stream_fail(stream, STREAM_STALLED, ECANCELED, "had not taken all when weir ended");
		return -ECANCELED;
	}
	if (stream_monotonic_ms() >= until_ms)
		return stream_fail(
			stream,
			STREAM_STALLED,
			ETIMEDOUT,
			"stalled: took nothing for %u ms",
			stream->stall_ms
		);
	if (stream_wait_for(stream, &wait, until_ms) & POLLIN)
		return stream_discard(stream);
	return 0;
}

static int write_whole(struct stream *stream, const uint8_t *octets, size_t n) {
	int64_t moved_ms = stream_monotonic_ms();
	uint64_t octets_out = stream->octets_out;

	for (size_t done = 0; done < n;) {
		short events = 0;
		ssize_t some = send_some(stream, octets + done, n - done, &events);
		if (some < 0 && some != -EAGAIN)
			return (int)some;
		if (some > 0)
			done += (size_t)some;
		if (stream->octets_out != octets_out) {
			octets_out = stream->octets_out;
			moved_ms = stream_monotonic_ms();
		}
		if (some == -EAGAIN) {
			int rc = wait_for_peer(stream, events, moved_ms + stream->stall_ms);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int stream_write(struct stream *stream, const void *octets, size_t n) {
	if (stream->phase != STREAM_UP)
		return -ENOTCONN;
	// First whether it is still there: what is sent after its end is lost.
	int rc = stream_discard(stream);
	if (rc == 0)
		rc = write_whole(stream, octets, n);
	if (rc < 0) {
		stream_lose(stream);
		return rc;
	}
	stream_add(&stream->counters.messages, 1);
	stream_add(&stream->counters.octets, n);
	return 0;
}

// Questions.

void stream_abort(struct stream *stream) {
	atomic_store_explicit(&stream->aborted, true, memory_order_relaxed);
	(void)!write(stream->abort_event, &(uint64_t){1}, sizeof(uint64_t));
}

const char *stream_error(const struct stream *stream) {
	return stream->error;
}

bool stream_needs_names(const struct stream *stream) {
	return stream->needs_names;
}

int stream_addresses(
	const struct stream *stream,
	struct sockaddr_storage *source,
	struct sockaddr_storage *destination
) {
	socklen_t source_bytes = sizeof(*source), destination_bytes = sizeof(*destination);

	if (stream->phase != STREAM_UP) {
		*source = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
		*destination = stream->addresses[0].address;
		return -ENOTCONN;
	}
	if (getsockname(stream->socket, (struct sockaddr *)source, &source_bytes) < 0
	    || getpeername(stream->socket, (struct sockaddr *)destination, &destination_bytes) < 0)
		return -errno;
	return 0;
}

uint64_t stream_sessions(const struct stream *stream) {
	return get(&stream->counters.sessions);
}

void stream_stats(const struct stream *stream, struct stream_stats *stats) {
	const struct stream_counters *counters = &stream->counters;

	*stats = (struct stream_stats){
		.attempts = get(&counters->attempts),
		.sessions = get(&counters->sessions),
		.messages = get(&counters->messages),
		.octets = get(&counters->octets),
		.octets_discarded = get(&counters->octets_discarded),
		.up = atomic_load_explicit(&counters->up, memory_order_relaxed),
	};
	for (unsigned i = 0; i < STREAM_FAILURES; i++)
		stats->failures[i] = get(&counters->failures[i]);
}
