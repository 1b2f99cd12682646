// How datagrams leave by a UDP socket, and what becomes of those that do not.

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "collector_internal.h"
#include "collector_socket.h"

enum {
	WAIT_MS = 100,  // for room in a full socket, each time
	MAX_WAITS = 50, // after which the datagram is given up
};

// A failure that lasts so long is worth another look at the name, and another socket.
#define REOPEN_EVERY_NS (30 * NS_PER_S)

// While there are refusals, and some seconds after. One refusal says nothing of what follows it:
// Linux answers so about once a second, whatever it is sent in between.
#define RENEW_EVERY_NS (300 * NS_PER_MS)

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
		if (!full || !collector->config.wait || collector_aborted(collector)
		    || n_waits++ == MAX_WAITS)
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

static atomic_ullong *
loss_of(struct collector_counters *counters, int error, enum trouble_kind *kind) {
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
		*kind = TROUBLE_FULL;
		return &counters->lost_full;
	case ECONNREFUSED:
		*kind = TROUBLE_REFUSED;
		return &counters->lost_refused;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		*kind = TROUBLE_UNREACHABLE;
		return &counters->lost_unreachable;
	default:
		*kind = TROUBLE_OTHER;
		return &counters->lost_other;
	}
}

static void count_loss(struct collector *collector, int error, unsigned n_records) {
	char cause[64];
	enum trouble_kind kind;
	atomic_ullong *loss = loss_of(&collector->counters, error, &kind);

	collector_count(loss, n_records);
	trouble_seen(
		&collector->troubles,
		kind,
		collector_now(),
		n_records,
		strerror_r(error, cause, sizeof(cause))
	);
}

// Whoever listens next has no templates yet.
static void count_refusal(struct collector *collector) {
	collector_count(&collector->counters.refusals, 1);
	encoder_renew_templates(collector->encoder);
	collector->renewed_ns = collector_now();
	atomic_store_explicit(&collector->refused, true, memory_order_relaxed);
	trouble_seen(&collector->troubles, TROUBLE_REFUSED, collector->renewed_ns, 0, NULL);
}

void collector_look_for_refusal(struct collector *collector) {
	int error = 0;

	getsockopt(collector->socket, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
	if (error == ECONNREFUSED)
		count_refusal(collector);
}

// Whether an error may come of segmentation alone: a kernel or a driver without it, or segments
// longer than the path takes, which go as fragments otherwise.
static bool is_refused_segmentation(int error) {
	return error == EINVAL || error == EIO || error == EMSGSIZE || error == ENOPROTOOPT
	       || error == EOPNOTSUPP;
}

static time_ns_t failing_for(const struct collector *collector, time_ns_t now_ns) {
	static const enum trouble_kind kinds[] = {
		TROUBLE_REFUSED, TROUBLE_UNREACHABLE, TROUBLE_OTHER};
	time_ns_t longest_ns = 0;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		time_ns_t lasts_ns = trouble_lasts(&collector->troubles, kinds[i], now_ns);
		if (lasts_ns > longest_ns)
			longest_ns = lasts_ns;
	}
	return longest_ns;
}

// The name may have got another address, or this machine may have: a socket keeps both.
static void reopen(struct collector *collector, time_ns_t now_ns) {
	char error[COLLECTOR_ERROR_BYTES];

	if (!collector->config.live || failing_for(collector, now_ns) < REOPEN_EVERY_NS
	    || now_ns - collector->reopened_ns < REOPEN_EVERY_NS)
		return;
	int rc = collector_socket_renew(
		collector->address, &collector->socket, &collector->family, error
	);
	collector->reopened_ns = collector_now();
	if (rc == 0) {
		collector_count(&collector->counters.reopened, 1);
		encoder_renew_templates(collector->encoder);
	}
	if (rc == -EHOSTUNREACH)
		trouble_seen(&collector->troubles, TROUBLE_NAME, now_ns, 0, NULL);
	else
		trouble_over(&collector->troubles, TROUBLE_NAME, now_ns);
}

// Whoever listens there next may have begun after the last templates went nowhere.
static void renew_again(struct collector *collector, time_ns_t now_ns) {
	if (!collector->troubles.kinds[TROUBLE_REFUSED].on
	    || now_ns - collector->renewed_ns < RENEW_EVERY_NS)
		return;
	collector->renewed_ns = now_ns;
	encoder_renew_templates(collector->encoder);
}

void collector_datagrams(struct collector *collector, const struct export_run *run) {
	struct collector_counters *counters = &collector->counters;

	int rc = send_once(collector, run);
	if (rc == -ECONNREFUSED) {
		// The answer to an earlier datagram; this one has not been sent.
		count_refusal(collector);
		rc = send_once(collector, run);
	}
	if (run->n_datagrams > 1 && rc < 0 && is_refused_segmentation(-rc)) {
		collector->segments = false;
		for (unsigned i = 0; i < run->n_datagrams; i++) {
			struct export_run one = export_run_part(run, i, 1);
			collector_datagrams(collector, &one);
		}
		return;
	}
	if (rc < 0) {
		count_loss(collector, -rc, export_run_records(run));
	} else {
		collector_count(&counters->records_sent, export_run_records(run));
		collector_count(&counters->datagrams_sent, run->n_datagrams);
		collector_count(&counters->octets_sent, export_run_bytes(run));
	}
	if (collector->troubles.n_on > 0) {
		time_ns_t now_ns = collector_now();
		trouble_tick(&collector->troubles, now_ns);
		renew_again(collector, now_ns);
		atomic_store_explicit(
			&collector->refused,
			collector->troubles.kinds[TROUBLE_REFUSED].on,
			memory_order_relaxed
		);
		reopen(collector, now_ns);
	}
}
