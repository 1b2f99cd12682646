// Sends flows that come and go into an interface, at a rate, until SIGTERM or SIGINT:
//
//   churn INTERFACE RATE FLOWS NEW SEED
//
// RATE is in packets a second, FLOWS how many run at once, NEW how many begin each second, and as
// many end. Half of the flows are TCP, a quarter IPv6; now and then a FIN ends one, and one frame
// in 1024 is of no protocol that a meter knows. Ends with a line of JSON that says what was sent:
// what the interface did not take is counted as refused, and not sent again.
//
// SIGSTOP holds it, between two batches, and what is told at the end is still exact.

#include <errno.h>
#include <inttypes.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "clock.h"
#include "packet_socket.h"
#include "random.h"
#include "wire.h"

enum {
	BATCH = 64,
	LEAST_OCTETS = 74, // of TCP over IPv6
	MOST_OCTETS = 590,
	IPV4_OCTETS = 20,
	IPV6_OCTETS = 40,
	STRANGE_EVERY = 1024,
	FIN_EVERY = 64,
	EXPERIMENT = 0x88b5, // IEEE 802's for local experiments
	ACK = 0x10,
	FIN_ACK = 0x11,
};

// After being held, and where the machine was busy: what was missed then is not made up for.
#define MOST_BEHIND_NS (20 * NS_PER_MS)

struct counts {
	uint64_t sent, octets, refused, strange, strange_octets;
};

struct churn {
	int socket;
	uint64_t rate, n_flows, n_new, seed;
	struct random random;
	uint64_t done; // packets, for the flows that run at the moment
	struct counts counts;
	uint8_t frames[BATCH][MOST_OCTETS];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH];
	bool strange[BATCH];
};

static volatile sig_atomic_t ended;

static void on_end(int number) {
	(void)number;
	ended = 1;
}

static time_ns_t now_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// The finalizer of splitmix64: a flow's fields are its number's, mixed.
static uint64_t mix(uint64_t x) {
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint16_t checksum(const uint8_t *header) {
	uint32_t sum = 0;
	for (unsigned i = 0; i < IPV4_OCTETS; i += 2)
		sum += wire_get16(header + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

// Returns where the transport header stands.
static uint8_t *put_ip(uint8_t *ip, uint64_t flow, uint8_t protocol, uint16_t ip_octets) {
	uint64_t hash = mix(flow);

	if (hash % 4 == 0) {
		wire_put32(ip, UINT32_C(6) << 28);
		wire_put16(ip + 4, (uint16_t)(ip_octets - IPV6_OCTETS));
		ip[6] = protocol;
		ip[7] = 64;
		wire_put64(ip + 8, UINT64_C(0x20010db800070000));
		wire_put64(ip + 16, hash);
		wire_put64(ip + 24, UINT64_C(0x20010db800080000));
		wire_put64(ip + 32, hash >> 56);
		return ip + IPV6_OCTETS;
	}
	ip[0] = 0x45;
	wire_put16(ip + 2, ip_octets);
	ip[8] = 64;
	ip[9] = protocol;
	wire_put32(ip + 12, (uint32_t)(0x0a000000 | (hash >> 8 & 0xffffff)));
	wire_put32(ip + 16, (uint32_t)(0xc6336400 | hash >> 56)); // for documentation
	wire_put16(ip + 10, checksum(ip));
	return ip + IPV4_OCTETS;
}

// Returns the frame's octets.
static unsigned make_frame(struct churn *churn, uint8_t *frame, bool *strange) {
	// So far as time goes on in packets: a rate that is not held holds the flows up too.
	uint64_t first = churn->done * churn->n_new / churn->rate;
	uint64_t flow = churn->seed << 40
			| (first + random_below(&churn->random, (uint32_t)churn->n_flows));
	unsigned octets =
		LEAST_OCTETS + random_below(&churn->random, MOST_OCTETS - LEAST_OCTETS + 1);
	uint8_t protocol = mix(flow) >> 2 & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	uint16_t ip_octets = (uint16_t)(octets - ETH_HLEN);

	memset(frame, 0, LEAST_OCTETS);
	wire_put64(frame, UINT64_C(0x0200000000020200)); // to 2, from 1
	wire_put32(frame + 8, 1);
	*strange = churn->done++ % STRANGE_EVERY == 0;
	wire_put16(frame + 2 * ETH_ALEN, EXPERIMENT);
	if (*strange)
		return octets;
	wire_put16(frame + 2 * ETH_ALEN, mix(flow) % 4 == 0 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	uint8_t *transport = put_ip(frame + ETH_HLEN, flow, protocol, ip_octets);
	uint16_t transport_octets = (uint16_t)(octets - (unsigned)(transport - frame));
	wire_put16(transport, (uint16_t)(1024 + (mix(flow) >> 32) % 60000));
	wire_put16(transport + 2, (uint16_t)(protocol == IPPROTO_TCP ? 443 : 53));
	if (protocol == IPPROTO_UDP) {
		wire_put16(transport + 4, transport_octets);
	} else {
		transport[12] = 5 << 4;
		transport[13] = random_below(&churn->random, FIN_EVERY) == 0 ? FIN_ACK : ACK;
	}
	return octets;
}

static void wait_until(time_ns_t due_ns) {
	const struct timespec due = {due_ns / NS_PER_S, due_ns % NS_PER_S};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR && !ended)
		;
}

static void count(struct churn *churn, unsigned i) {
	size_t octets = churn->parts[i].iov_len;

	churn->counts.sent++;
	churn->counts.octets += octets;
	if (!churn->strange[i])
		return;
	churn->counts.strange++;
	churn->counts.strange_octets += octets;
}

// Returns 0, or a negative errno of what is no matter of the interface.
static int send_batch(struct churn *churn, unsigned n) {
	for (unsigned at = 0; at < n;) {
		int rc = sendmmsg(churn->socket, churn->messages + at, n - at, 0);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0 && errno != ENOBUFS && errno != ENETDOWN && errno != EAGAIN)
			return -errno;
		for (int i = 0; i < rc; i++)
			count(churn, at++);
		// The kernel has dropped the one at which it ended, also where it does not say why.
		if (at < n) {
			churn->counts.refused++;
			at++;
		}
	}
	return 0;
}

static int send_all(struct churn *churn) {
	// What comes in a millisecond.
	uint64_t at_once = churn->rate / 1000;
	unsigned most = at_once >= BATCH ? BATCH : at_once == 0 ? 1 : (unsigned)at_once;
	time_ns_t due_ns = now_ns();

	while (!ended) {
		for (unsigned i = 0; i < most; i++)
			churn->parts[i].iov_len =
				make_frame(churn, churn->frames[i], &churn->strange[i]);
		wait_until(due_ns);
		int rc = send_batch(churn, most);
		if (rc < 0)
			return rc;
		due_ns += (time_ns_t)(most * NS_PER_S / churn->rate);
		if (now_ns() - due_ns > MOST_BEHIND_NS)
			due_ns = now_ns();
	}
	return 0;
}

int main(int argc, char **argv) {
	static struct churn churn;
	const struct sigaction action = {.sa_handler = on_end};

	if (argc == 6) {
		churn.rate = strtoull(argv[2], NULL, 10);
		churn.n_flows = strtoull(argv[3], NULL, 10);
		churn.n_new = strtoull(argv[4], NULL, 10);
		churn.seed = strtoull(argv[5], NULL, 10);
	}
	if (churn.rate == 0 || churn.n_flows == 0 || churn.n_flows > UINT32_MAX) {
		fprintf(stderr, "usage: churn INTERFACE RATE FLOWS NEW SEED\n");
		return 2;
	}
	churn.random.state = mix(churn.seed) | 1;
	churn.socket = packet_socket_open(argv[1]);
	if (churn.socket < 0) {
		fprintf(stderr, "churn: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (unsigned i = 0; i < BATCH; i++) {
		churn.parts[i] = (struct iovec){churn.frames[i], 0};
		churn.messages[i].msg_hdr =
			(struct msghdr){.msg_iov = &churn.parts[i], .msg_iovlen = 1};
	}
	int rc = send_all(&churn);
	printf("{\"sent\":%" PRIu64 ",\"octets\":%" PRIu64 ",\"refused\":%" PRIu64
	       ",\"strange\":%" PRIu64 ",\"strange_octets\":%" PRIu64 ",\"flows\":%" PRIu64 "}\n",
	       churn.counts.sent,
	       churn.counts.octets,
	       churn.counts.refused,
	       churn.counts.strange,
	       churn.counts.strange_octets,
	       churn.done * churn.n_new / churn.rate + churn.n_flows);
	if (rc < 0)
		fprintf(stderr, "churn: %s: %s\n", argv[1], strerror(-rc));
	return rc < 0;
}
