// A collector in sessions, over TCP or TLS.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "collector_internal.h"
#include "collector_socket.h"

enum {
	GIVE_UP_MS = 30000,
};

// Until then a session that is not up is only being made.
#define PATIENCE_NS (3 * NS_PER_S)

// Which addresses its sessions will be between: those of a datagram that would go there.
static void find_addresses(struct collector *collector) {
	char error[COLLECTOR_ERROR_BYTES];
	socklen_t source_bytes = sizeof(collector->source), peer_bytes = sizeof(collector->peer);
	int family;
	int fd = collector_socket_open(collector->address, &family, error);

	if (fd < 0)
		return;
	if (getsockname(fd, (struct sockaddr *)&collector->source, &source_bytes) < 0
	    || getpeername(fd, (struct sockaddr *)&collector->peer, &peer_bytes) < 0)
		collector->peer.ss_family = AF_UNSPEC;
	close(fd);
}

bool collector_stream_open(struct collector *collector, bool tls, char *error) {
	const struct collector_tls *files = &collector->config.tls;
	char wrong[STREAM_ERROR_BYTES];

	collector->stream = stream_open(
		&(struct stream_config){
			.address = collector->address,
			.name = collector->name,
			.tls = tls,
			.ca_file = files->ca_file,
			.cert_file = files->cert_file,
			.key_file = files->key_file,
			.server_name = files->server_name,
			.retry_ms = collector->config.retry_ms,
		},
		wrong
	);
	if (collector->stream == NULL)
		snprintf(error, COLLECTOR_ERROR_BYTES, "%s", wrong);
	else
		find_addresses(collector);
	return collector->stream != NULL;
}

static void lose_session(struct collector *collector, unsigned n_records) {
	const char *cause = stream_error(collector->stream);

	collector->broken = true;
	collector_count(&collector->counters.lost_session, n_records);
	trouble_seen(
		&collector->troubles,
		TROUBLE_SESSION,
		collector_now(),
		n_records,
		cause[0] != '\0' ? cause : NULL
	);
}

// Behind a message that did not go through no other does: to a new session it would be the middle
// of what was never begun.
void collector_messages(struct collector *collector, const struct export_run *run) {
	struct collector_counters *counters = &collector->counters;

	for (unsigned i = 0; i < run->n_datagrams; i++) {
		struct export_run one = export_run_part(run, i, 1);
		unsigned n_records = export_run_records(&one);
		size_t n = export_run_bytes(&one);
		if (collector->broken || stream_write(collector->stream, one.octets, n) < 0) {
			lose_session(collector, n_records);
			continue;
		}
		collector_count(&counters->records_sent, n_records);
		collector_count(&counters->datagrams_sent, 1);
		collector_count(&counters->octets_sent, n);
	}
}

// A new session has a sequence and templates of its own. Returns whether there is memory for it.
static bool begin_session(struct collector *collector) {
	time_ns_t now_ns = collector_now();

	// The last one may have ended, and this one begun, between two looks.
	if (collector->n_sessions > 0)
		trouble_seen(
			&collector->troubles,
			TROUBLE_SESSION,
			now_ns,
			0,
			stream_error(collector->stream)
		);
	// What was under construction was lost with its session.
	collector->broken = true;
	encoder_flush(collector->encoder, 0);
	struct encoder *encoder = collector_new_encoder(collector);
	if (encoder == NULL)
		return false;
	encoder_free(collector->encoder);
	collector->encoder = encoder;
	collector->n_sessions = stream_sessions(collector->stream);
	collector->broken = false;
	collector->down_ns = 0;
	trouble_over(&collector->troubles, TROUBLE_SESSION, now_ns);
	return true;
}

bool collector_stream_ready(struct collector *collector, int timeout_ms) {
	const struct collector_config *config = &collector->config;
	unsigned give_up_ms = config->give_up_ms != 0 ? config->give_up_ms : GIVE_UP_MS;

	if (collector_aborted(collector)
	    || atomic_load_explicit(&collector->counters.gave_up, memory_order_relaxed)) {
		collector->broken = true;
		return true;
	}
	if (stream_connect(collector->stream, timeout_ms) == 1) {
		if (!collector->broken
		    && stream_sessions(collector->stream) == collector->n_sessions)
			return true;
		return begin_session(collector);
	}

	time_ns_t now_ns = collector_now();
	const char *cause = stream_error(collector->stream);
	if (collector->down_ns == 0)
		collector->down_ns = now_ns;
	if (cause[0] != '\0')
		trouble_seen(&collector->troubles, TROUBLE_SESSION, now_ns, 0, cause);
	else if (now_ns - collector->down_ns >= PATIENCE_NS)
		trouble_seen(&collector->troubles, TROUBLE_SESSION, now_ns, 0, "no answer yet");
	if (!config->live && now_ns - collector->down_ns >= give_up_ms * NS_PER_MS)
		atomic_store_explicit(&collector->counters.gave_up, true, memory_order_relaxed);
	return false;
}
