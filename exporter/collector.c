#include "collector.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "collector_socket.h"
#include "encoder.h"

enum {
	IPV6_DATAGRAM_BYTES = 1232, // 1280, the least MTU of IPv6, without the headers
	BURST_DATAGRAMS = 16,       // sent at once before the pacing looks at the clock
	WAIT_MS = 100,              // for room in a full socket, each time
	MAX_WAITS = 50,             // after which the datagram is given up
};

#define CATCH_UP_NS (1 * NS_PER_MS)
#define HURRY_CATCH_UP_NS (100 * NS_PER_MS)

// Written by the one thread that sends, read by any. Relaxed: each counter stands for itself,
// and with one writer a load, an add and a store are enough.
struct counters {
	atomic_ullong records;
	atomic_ullong records_sent;
	atomic_ullong lost_full;
	atomic_ullong lost_refused;
	atomic_ullong lost_unreachable;
	atomic_ullong lost_other;
	atomic_ullong datagrams_sent;
	atomic_ullong octets_sent;
	atomic_ullong refusals;
};

struct collector {
	struct collector_config config;
	char *name;
	int socket;
	bool segments; // the kernel cuts a run into its datagrams (UDP_SEGMENT)
	struct encoder *encoder;
	atomic_uint rate; // datagrams a second; relaxed, the change may be seen late
	unsigned n_burst;
	time_ns_t due_ns; // of the next burst, by the monotonic clock
	struct counters counters;
};

static void add(atomic_ullong *counter, uint64_t n) {
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static uint64_t get(const atomic_ullong *counter) {
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static time_ns_t monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// How many of `n` datagrams may leave now. Holds back what would come faster than the rate, a
// burst at a time: a receiver's buffer takes a burst, and a sleep for each datagram would cost
// more than the datagram.
static unsigned pace(struct collector *collector, unsigned n) {
	uint32_t rate = atomic_load_explicit(&collector->rate, memory_order_relaxed);
	if (rate == 0)
		return n;

	if (collector->n_burst == BURST_DATAGRAMS) {
		time_ns_t now_ns = monotonic_ns();
		// A sleep that took too long is made up for, within what a receiver's buffer takes;
		// in a hurry within what the rate needs to be reached at all on a busy machine.
		time_ns_t most_ns =
			rate > collector->config.datagrams_per_s ? HURRY_CATCH_UP_NS : CATCH_UP_NS;
		if (collector->due_ns < now_ns - most_ns)
			collector->due_ns = now_ns - most_ns;
		struct timespec due = {
			.tv_sec = collector->due_ns / NS_PER_S,
			.tv_nsec = collector->due_ns % NS_PER_S,
		};
		// Who is late does not sleep: also a sleep that is over at once gives the core
		// away.
		while (collector->due_ns > now_ns
		       && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
			;
		collector->due_ns += BURST_DATAGRAMS * NS_PER_S / rate;
		collector->n_burst = 0;
	}
	if (n > BURST_DATAGRAMS - collector->n_burst)
		n = BURST_DATAGRAMS - collector->n_burst;
	collector->n_burst += n;
	return n;
}

// Datagrams to the kernel in one call, all or none: several only with segmentation. Returns 0
// or a negative errno.
static int hand_over(struct collector *collector, const struct export_run *run) {
	struct iovec octets = {(void *)run->octets, export_run_bytes(run)};
	struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1};
	alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};

	if (run->n_datagrams > 1) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		struct cmsghdr *segment = CMSG_FIRSTHDR(&message);
		segment->cmsg_level = IPPROTO_UDP;
		segment->cmsg_type = UDP_SEGMENT;
		segment->cmsg_len = CMSG_LEN(sizeof(uint16_t));
		memcpy(CMSG_DATA(segment), &(uint16_t){(uint16_t)run->datagram_bytes}, 2);
	}
	return sendmsg(collector->socket, &message, MSG_NOSIGNAL) >= 0 ? 0 : -errno;
}

// The same, with patience where the config asks for it.
static int send_once(struct collector *collector, const struct export_run *run) {
	for (unsigned n_waits = 0;;) {
		int rc = hand_over(collector, run);
		if (rc == -EINTR)
			continue;
		bool full = rc == -EAGAIN || rc == -ENOBUFS;
		if (!full || !collector->config.wait || n_waits++ == MAX_WAITS)
			return rc;
		// ENOBUFS is the interface's queue, which poll() does not know of.
		if (rc == -ENOBUFS)
			nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
		else
			poll(&(struct pollfd){.fd = collector->socket, .events = POLLOUT},
			     1,
			     WAIT_MS);
	}
}

static atomic_ullong *loss_of(struct counters *counters, int error) {
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
		return &counters->lost_full;
	case ECONNREFUSED:
		return &counters->lost_refused;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		return &counters->lost_unreachable;
	default:
		return &counters->lost_other;
	}
}

// Whoever listens next has no templates yet.
static void count_refusal(struct collector *collector) {
	add(&collector->counters.refusals, 1);
	encoder_renew_templates(collector->encoder);
}

// Whether an error may come of segmentation alone: a kernel or a driver without it, or segments
// longer than the path takes, which go as fragments otherwise.
static bool is_refused_segmentation(int error) {
	return error == EINVAL || error == EIO || error == EMSGSIZE || error == ENOPROTOOPT
	       || error == EOPNOTSUPP;
}

// Sends datagrams that are paced already, and counts them as sent or lost.
static void send_part(struct collector *collector, const struct export_run *part) {
	struct counters *counters = &collector->counters;

	int rc = send_once(collector, part);
	if (rc == -ECONNREFUSED) {
		// The answer to an earlier datagram; this one has not been sent.
		count_refusal(collector);
		rc = send_once(collector, part);
	}
	if (part->n_datagrams > 1 && rc < 0 && is_refused_segmentation(-rc)) {
		collector->segments = false;
		for (unsigned i = 0; i < part->n_datagrams; i++) {
			struct export_run one = export_run_part(part, i, 1);
			send_part(collector, &one);
		}
		return;
	}
	if (rc < 0) {
		add(loss_of(counters, -rc), export_run_records(part));
		return;
	}
	add(&counters->records_sent, export_run_records(part));
	add(&counters->datagrams_sent, part->n_datagrams);
	add(&counters->octets_sent, export_run_bytes(part));
}

// Without segmentation one call for each datagram: sendmmsg() keeps to itself the error that
// ends it early, and with that a refusal.
static void send_run(const struct export_run *run, void *arg) {
	struct collector *collector = arg;

	for (unsigned i = 0, n; i < run->n_datagrams; i += n) {
		n = pace(collector, collector->segments ? run->n_datagrams - i : 1);
		struct export_run part = export_run_part(run, i, n);
		send_part(collector, &part);
	}
}

// What stands behind "ipfix://" or "netflow9://", and which. NULL where it is another scheme.
static const char *behind_scheme(const char *destination, bool *ipfix) {
	const char *at = strstr(destination, "://");

	*ipfix = strncmp(destination, "ipfix://", 8) == 0;
	if (at == NULL)
		return destination;
	return *ipfix || strncmp(destination, "netflow9://", 11) == 0 ? at + 3 : NULL;
}

static bool make_encoder(struct collector *collector, bool ipfix) {
	const struct netflow9_config *config = &collector->config.netflow9;

	collector->encoder = encoder_new(
		&(struct encoder_config){
			.protocol = ipfix ? ENCODER_IPFIX : ENCODER_NETFLOW9,
			.source_id = config->source_id,
			.datagram_bytes = config->datagram_bytes,
			.template_interval_ms = config->template_interval_ms,
			.template_packets = config->template_packets,
			.sampling_interval = config->sampling_interval,
			.sampling_algorithm = config->sampling_algorithm,
		},
		send_run,
		collector
	);
	return collector->encoder != NULL;
}

struct collector *collector_open(const struct collector_config *config, char *error) {
	struct collector *collector = calloc(1, sizeof(*collector));
	int family = AF_UNSPEC;
	bool ipfix;
	const char *address = behind_scheme(config->destination, &ipfix);

	if (collector == NULL) {
		snprintf(
			error,
			COLLECTOR_ERROR_BYTES,
			"collector %s: %s",
			config->destination,
			strerror(errno)
		);
		return NULL;
	}
	collector->config = *config;
	atomic_init(&collector->rate, config->datagrams_per_s);
	collector->socket = -1;
	if (address == NULL)
		snprintf(
			error,
			COLLECTOR_ERROR_BYTES,
			"collector %s: weir speaks netflow9:// and ipfix://, over UDP",
			config->destination
		);
	else
		collector->socket = collector_socket_open(address, &family, error);
	if (collector->socket < 0) {
		collector_close(collector);
		return NULL;
	}
	// 0 is what it is anyway; a kernel that does not know the option says so.
	collector->segments =
		!config->no_segmentation
		&& setsockopt(collector->socket, IPPROTO_UDP, UDP_SEGMENT, &(int){0}, sizeof(int))
			   == 0;
	if (collector->config.netflow9.datagram_bytes == 0)
		collector->config.netflow9.datagram_bytes =
			family == AF_INET6 ? IPV6_DATAGRAM_BYTES : NETFLOW9_DEFAULT_DATAGRAM_BYTES;
	collector->name = strdup(config->destination);
	if (!make_encoder(collector, ipfix) || collector->name == NULL) {
		snprintf(
			error,
			COLLECTOR_ERROR_BYTES,
			"collector %s: %s",
			config->destination,
			strerror(errno)
		);
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
	free(collector->name);
	free(collector);
}

void collector_add(
	struct collector *collector,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
) {
	add(&collector->counters.records, n_records);
	encoder_add(collector->encoder, records, n_records, now_ms);
}

void collector_set_sampling(struct collector *collector, uint32_t interval, uint8_t algorithm) {
	encoder_set_sampling(collector->encoder, interval, algorithm);
}

void collector_flush(struct collector *collector, int64_t now_ms) {
	int error = 0;

	encoder_flush(collector->encoder, now_ms);
	// The answer to the last datagrams, which no further one may be there to bring.
	getsockopt(collector->socket, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
	if (error == ECONNREFUSED)
		count_refusal(collector);
}

const char *collector_name(const struct collector *collector) {
	return collector->name;
}

int collector_addresses(
	const struct collector *collector,
	struct sockaddr_storage *source,
	struct sockaddr_storage *destination
) {
	socklen_t source_bytes = sizeof(*source), destination_bytes = sizeof(*destination);

	if (getsockname(collector->socket, (struct sockaddr *)source, &source_bytes) < 0
	    || getpeername(collector->socket, (struct sockaddr *)destination, &destination_bytes)
		       < 0)
		return -errno;
	return 0;
}

void collector_set_rate(struct collector *collector, uint32_t datagrams_per_s) {
	atomic_store_explicit(&collector->rate, datagrams_per_s, memory_order_relaxed);
}

void collector_stats(const struct collector *collector, struct collector_stats *stats) {
	const struct counters *counters = &collector->counters;

	*stats = (struct collector_stats){
		.records = get(&counters->records),
		.records_sent = get(&counters->records_sent),
		.lost_full = get(&counters->lost_full),
		.lost_refused = get(&counters->lost_refused),
		.lost_unreachable = get(&counters->lost_unreachable),
		.lost_other = get(&counters->lost_other),
		.datagrams_sent = get(&counters->datagrams_sent),
		.octets_sent = get(&counters->octets_sent),
		.refusals = get(&counters->refusals),
	};
}
