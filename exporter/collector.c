#include "collector.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "collector_internal.h"
#include "collector_socket.h"
#include "host_port.h"

enum {
	DATAGRAM_BYTES = 1400,
	IPV6_DATAGRAM_BYTES = 1232, // 1280, the least MTU of IPv6, without the headers
	STREAM_MESSAGE_BYTES = 8192,
	// By which rates in other units are compared with records.
	DATAGRAM_RECORDS = 12, // of IPv6, in a datagram that is as short
	RECORD_BITS = 100 * 8,
};

#define CATCH_UP_NS (1 * NS_PER_MS)
// What the rate needs to be reached at all on a busy machine.
#define HURRY_CATCH_UP_NS (100 * NS_PER_MS)
#define MOST_SLEEP_NS (100 * NS_PER_MS)

static uint64_t get(const atomic_ullong *counter) {
	return atomic_load_explicit(counter, memory_order_relaxed);
}

time_ns_t collector_now(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// Records that the pacing lets through each second, roughly.
static uint64_t records_per_s(const struct pacer_rate *rate) {
	switch (rate->unit) {
	case PACER_RECORDS:
		return rate->per_s;
	case PACER_BITS:
		return rate->per_s / RECORD_BITS;
	default:
		return rate->per_s * DATAGRAM_RECORDS;
	}
}

static bool hurry_has_come(const struct collector *collector) {
	return !collector->hurries && get(&collector->hurry) > 0;
}

static void hurry(struct collector *collector) {
	struct pacer *pacer = &collector->pacer;
	uint64_t wanted = get(&collector->hurry);

	collector->hurries = true;
	if (pacer->rate.per_s == 0 || records_per_s(&pacer->rate) >= wanted)
		return;
	*pacer = (struct pacer){
		.rate = {wanted, PACER_RECORDS},
		.catch_up_ns = HURRY_CATCH_UP_NS,
	};
}

// Sleeps, but no longer than until there is reason not to. Who is late does not sleep: also a
// sleep that is over at once gives the core away.
static void sleep_until(const struct collector *collector, time_ns_t due_ns, time_ns_t now_ns) {
	while (now_ns < due_ns && !collector_aborted(collector) && !hurry_has_come(collector)) {
		time_ns_t until_ns =
			due_ns - now_ns > MOST_SLEEP_NS ? now_ns + MOST_SLEEP_NS : due_ns;
		struct timespec until = {
			.tv_sec = until_ns / NS_PER_S,
			.tv_nsec = until_ns % NS_PER_S,
		};
		if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
			continue;
		now_ns = until_ns == due_ns ? due_ns : collector_now();
	}
}

// How many of the run's datagrams, from `first` on, may leave now. Holds back what would come
// faster than the rate, a burst at a time: a receiver's buffer takes a burst, and a sleep for each
// datagram would cost more than the datagram.
static unsigned pace(struct collector *collector, const struct export_run *run, unsigned first) {
	struct pacer *pacer = &collector->pacer;
	const struct pacer_cost each = {1, run->datagram_records, run->datagram_bytes};
	unsigned n = collector->segments ? run->n_datagrams - first : 1;

	if (pacer->rate.per_s == 0)
		return n;
	if (hurry_has_come(collector))
		hurry(collector);
	n = pacer_burst(pacer, n, &each);
	struct export_run part = export_run_part(run, first, n);
	const struct pacer_cost cost = {n, export_run_records(&part), export_run_bytes(&part)};
	time_ns_t now_ns = collector_now();
	sleep_until(collector, pacer_take(pacer, now_ns, &cost), now_ns);
	return n;
}

// Without segmentation one call for each datagram: sendmmsg() keeps to itself the error that
// ends it early, and with that a refusal.
static void send_run(const struct export_run *run, void *arg) {
	struct collector *collector = arg;

	for (unsigned i = 0, n; i < run->n_datagrams; i += n) {
		n = pace(collector, run, i);
		struct export_run part = export_run_part(run, i, n);
		if (collector_aborted(collector))
			collector_count(
				&collector->counters.lost_stopped, export_run_records(&part)
			);
		else if (collector->stream != NULL)
			collector_messages(collector, &part);
		else
			collector_datagrams(collector, &part);
	}
}

// What stands before "://" and the protocol that it means.
static const struct scheme {
	const char *name;
	enum encoder_protocol protocol;
	bool stream, tls;
} schemes[] = {
	{"netflow9", ENCODER_NETFLOW9, false, false},
	{"netflow5", ENCODER_NETFLOW5, false, false},
	{"ipfix", ENCODER_IPFIX, false, false},
	{"ipfix+tcp", ENCODER_IPFIX, true, false},
	{"ipfix+tls", ENCODER_IPFIX, true, true},
};

// The address in `destination`, NULL where its scheme is another.
static const char *behind_scheme(const char *destination, const struct scheme **scheme) {
	const char *at = strstr(destination, "://");

	*scheme = &schemes[0];
	if (at == NULL)
		return destination;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strlen(schemes[i].name) == (size_t)(at - destination)
		    && strncmp(destination, schemes[i].name, (size_t)(at - destination)) == 0) {
			*scheme = &schemes[i];
			return at + 3;
		}
	return NULL;
}

#define SCHEMES_SPOKEN                                                                             \
	"weir speaks netflow9://, ipfix:// and netflow5:// over UDP, ipfix+tcp:// and "            \
	"ipfix+tls://"

const char *collector_mistake(const char *destination) {
	char host[HOST_PORT_HOST_BYTES];
	const struct scheme *scheme;
	const char *port, *address = behind_scheme(destination, &scheme);

	return address == NULL ? SCHEMES_SPOKEN : host_port_split(address, host, &port);
}

static void complain(const struct collector_config *config, char *error, const char *wrong) {
	snprintf(error, COLLECTOR_ERROR_BYTES, "collector %s: %s", config->destination, wrong);
}

static bool open_socket(struct collector *collector, char *error) {
	struct encoder_config *encoder = &collector->config.encoder;

	collector->socket = collector_socket_open(collector->address, &collector->family, error);
	if (collector->socket < 0)
		return false;
	// 0 is what it is anyway; a kernel that does not know the option says so.
	collector->segments =
		!collector->config.no_segmentation
		&& setsockopt(collector->socket, IPPROTO_UDP, UDP_SEGMENT, &(int){0}, sizeof(int))
			   == 0;
	if (encoder->datagram_bytes == 0)
		encoder->datagram_bytes =
			collector->family == AF_INET6 ? IPV6_DATAGRAM_BYTES : DATAGRAM_BYTES;
	return true;
}

static bool open_stream(struct collector *collector, bool tls, char *error) {
	struct encoder_config *encoder = &collector->config.encoder;

	if (encoder->datagram_bytes == 0)
		encoder->datagram_bytes = STREAM_MESSAGE_BYTES;
	encoder->template_interval_ms = 0;
	encoder->template_packets = 0;
	return collector_stream_open(collector, tls, error);
}

// Returns whether it could.
static bool open_transport(struct collector *collector, char *error) {
	const struct scheme *scheme;

	collector->address = behind_scheme(collector->name, &scheme);
	if (collector->address == NULL) {
		complain(&collector->config, error, SCHEMES_SPOKEN);
		return false;
	}
	collector->config.encoder.protocol = scheme->protocol;
	return scheme->stream ? open_stream(collector, scheme->tls, error)
			      : open_socket(collector, error);
}

struct encoder *collector_new_encoder(struct collector *collector) {
	struct encoder *encoder = encoder_new(&collector->config.encoder, send_run, collector);

	if (encoder == NULL)
		return NULL;
	if (collector->interval > 0)
		encoder_set_sampling(encoder, collector->interval, collector->algorithm);
	if (collector->n_interfaces > 0)
		encoder_set_interfaces(encoder, collector->interfaces, collector->n_interfaces);
	encoder_set_counts(encoder, &collector->counts);
	return encoder;
}

struct collector *collector_open(const struct collector_config *config, char *error) {
	struct collector *collector = calloc(1, sizeof(*collector));

	if (collector == NULL) {
		complain(config, error, strerror(errno));
		return NULL;
	}
	collector->config = *config;
	collector->socket = -1;
	collector->pacer = (struct pacer){.rate = config->rate, .catch_up_ns = CATCH_UP_NS};
	collector->name = strdup(config->destination);
	if (collector->name == NULL) {
		complain(config, error, strerror(errno));
		collector_close(collector);
		return NULL;
	}
	collector->troubles = (struct troubles){
		.name = collector->name,
		.on_message = config->on_message,
		.arg = config->arg,
	};
	if (!open_transport(collector, error)) {
		collector_close(collector);
		return NULL;
	}
	// A replay is over soon, and then says what it lost.
	if (!config->live && collector->stream == NULL)
		collector->troubles.on_message = NULL;
	collector->encoder = collector_new_encoder(collector);
	if (collector->encoder == NULL) {
		complain(config, error, strerror(errno));
		collector_close(collector);
		return NULL;
	}
	return collector;
}

void collector_close(struct collector *collector) {
	if (collector == NULL)
		return;
	if (collector->socket >= 0)
		close(collector->socket);
	encoder_free(collector->encoder);
	stream_close(collector->stream);
	free(collector->name);
	free(collector);
}

// What the encoder passed over.
static void count_untold(struct collector *collector) {
	struct encoder_stats stats;

	encoder_stats(collector->encoder, &stats);
	// Relaxed: as all counters.
	atomic_store_explicit(&collector->counters.lost_untold, stats.untold, memory_order_relaxed);
}

void collector_add(
	struct collector *collector,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
) {
	collector_count(&collector->counters.records, n_records);
	encoder_add(collector->encoder, records, n_records, now_ms);
	if (collector->broken)
		encoder_flush(collector->encoder, now_ms);
	if (collector->config.encoder.protocol == ENCODER_NETFLOW5)
		count_untold(collector);
}

void collector_set_sampling(struct collector *collector, uint32_t interval, uint8_t algorithm) {
	collector->interval = interval;
	collector->algorithm = algorithm;
	encoder_set_sampling(collector->encoder, interval, algorithm);
}

void collector_set_interfaces(
	struct collector *collector, const struct export_interface *interfaces, size_t n
) {
	collector->n_interfaces = n < EXPORT_MOST_INTERFACES ? n : EXPORT_MOST_INTERFACES;
	memcpy(collector->interfaces, interfaces, collector->n_interfaces * sizeof(*interfaces));
	encoder_set_interfaces(collector->encoder, collector->interfaces, collector->n_interfaces);
}

void collector_set_counts(struct collector *collector, const struct export_counts *counts) {
	collector->counts = *counts;
	encoder_set_counts(collector->encoder, counts);
}

bool collector_ready(struct collector *collector, int timeout_ms) {
	return collector->stream == NULL || collector_stream_ready(collector, timeout_ms);
}

bool collector_has_sessions(const struct collector *collector) {
	return collector->stream != NULL;
}

bool collector_refused(const struct collector *collector) {
	return atomic_load_explicit(&collector->refused, memory_order_relaxed);
}

bool collector_needs_names(const struct collector *collector) {
	return collector->stream != NULL ? stream_needs_names(collector->stream)
					 : collector_socket_has_name(collector->address);
}

void collector_flush(struct collector *collector, int64_t now_ms) {
	encoder_flush(collector->encoder, now_ms);
	if (collector->stream == NULL)
		collector_look_for_refusal(collector);
}

const char *collector_name(const struct collector *collector) {
	return collector->name;
}

int collector_addresses(
	const struct collector *collector,
	struct sockaddr_storage *source,
	struct sockaddr_storage *destination
) {
	if (collector->stream != NULL) {
		*source = collector->source;
		*destination = collector->peer;
		return collector->peer.ss_family != AF_UNSPEC ? 0 : -ENOTCONN;
	}
	socklen_t source_bytes = sizeof(*source), destination_bytes = sizeof(*destination);

	if (getsockname(collector->socket, (struct sockaddr *)source, &source_bytes) < 0
	    || getpeername(collector->socket, (struct sockaddr *)destination, &destination_bytes)
		       < 0)
		return -errno;
	return 0;
}

const char *collector_cause(const struct collector *collector) {
	return collector->stream != NULL ? stream_error(collector->stream) : "";
}

void collector_hurry(struct collector *collector, uint64_t records_a_second) {
	atomic_store_explicit(&collector->hurry, records_a_second, memory_order_relaxed);
}

void collector_abort(struct collector *collector) {
	atomic_store_explicit(&collector->aborted, true, memory_order_relaxed);
	if (collector->stream != NULL)
		stream_abort(collector->stream);
}

void collector_stats(const struct collector *collector, struct collector_stats *stats) {
	const struct collector_counters *counters = &collector->counters;

	*stats = (struct collector_stats){
		.records = get(&counters->records),
		.records_sent = get(&counters->records_sent),
		.lost_full = get(&counters->lost_full),
		.lost_refused = get(&counters->lost_refused),
		.lost_unreachable = get(&counters->lost_unreachable),
		.lost_session = get(&counters->lost_session),
		.lost_other = get(&counters->lost_other),
		.lost_stopped = get(&counters->lost_stopped),
		.lost_untold = get(&counters->lost_untold),
		.datagrams_sent = get(&counters->datagrams_sent),
		.octets_sent = get(&counters->octets_sent),
		.refusals = get(&counters->refusals),
		.reopened = get(&counters->reopened),
		.sessions = collector->stream != NULL ? stream_sessions(collector->stream) : 0,
		.gave_up = atomic_load_explicit(&counters->gave_up, memory_order_relaxed),
	};
}
