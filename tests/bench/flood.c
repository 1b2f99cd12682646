// Sends UDP packets into an interface as fast as the kernel takes them, or at a rate: a packet
// socket without queueing discipline, up to 64 packets a call.
//
//   flood INTERFACE PACKETS FLOWS [RATE [OCTETS]]
//
// Packet i is of flow i modulo FLOWS, a source address and port each; with 0 flows the frames are
// of no protocol that a meter knows. RATE is in packets a second,
// 0 = no limit; OCTETS is of the frame without its checksum, 60 and more. Ends with a line of JSON:
// the packets that the kernel took, and the seconds that it took. The interface must be up.

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "clock.h"
#include "packet_socket.h"
#include "wire.h"

enum {
	BATCH = 64,
	LEAST_OCTETS = 60,
	MOST_OCTETS = 1514,
	IP_OCTETS = 20,
	FLOWS_OF_ADDRESS = 16384, // ports from 1024 on
};

struct flood {
	int socket;
	uint64_t n_packets, n_flows, rate;
	unsigned octets;
	uint8_t frames[BATCH][MOST_OCTETS];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH];
};

static time_ns_t now_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int fail(const char *what) {
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	return 1;
}

static uint16_t checksum(const uint8_t *header) {
	uint32_t sum = 0;
	for (unsigned i = 0; i < IP_OCTETS; i += 2)
		sum += wire_get16(header + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void make_frame(const struct flood *flood, uint8_t *frame) {
	uint8_t *ip = frame + ETH_HLEN;

	wire_put64(frame, UINT64_C(0x0200000000020200)); // to 2, from 1
	wire_put32(frame + 8, 0x00000001);
	// 0x88b5: IEEE 802's for local experiments.
	wire_put16(frame + 2 * ETH_ALEN, flood->n_flows > 0 ? ETHERTYPE_IP : 0x88b5);
	ip[0] = 0x45;
	wire_put16(ip + 2, (uint16_t)(flood->octets - ETH_HLEN));
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	wire_put32(ip + 16, 0xc6336401); // 198.51.100.1, for documentation
	wire_put16(ip + IP_OCTETS + 2, 2000);
	wire_put16(ip + IP_OCTETS + 4, (uint16_t)(flood->octets - ETH_HLEN - IP_OCTETS));
}

static void set_flow(uint8_t *frame, uint64_t flow) {
	uint8_t *ip = frame + ETH_HLEN;

	wire_put32(ip + 12, (uint32_t)(0x0a000000 + flow / FLOWS_OF_ADDRESS));
	wire_put16(ip + 10, 0);
	wire_put16(ip + 10, checksum(ip));
	wire_put16(ip + IP_OCTETS, (uint16_t)(1024 + flow % FLOWS_OF_ADDRESS));
}

static void wait_until(time_ns_t due_ns) {
	const struct timespec due = {due_ns / NS_PER_S, due_ns % NS_PER_S};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		;
}

// Sends all of a batch; what the interface has no room for, again.
static int send_batch(struct flood *flood, unsigned n) {
	for (unsigned sent = 0; sent < n;) {
		int rc = sendmmsg(flood->socket, flood->messages + sent, n - sent, 0);
		if (rc > 0)
			sent += (unsigned)rc;
		else if (errno != ENOBUFS && errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return 0;
}

static int send_all(struct flood *flood) {
	// At a rate, what comes in a millisecond.
	uint64_t at_once = flood->rate / 1000;
	unsigned most = flood->rate == 0 || at_once >= BATCH ? BATCH
			: at_once == 0                       ? 1
							     : (unsigned)at_once;
	time_ns_t begun_ns = now_ns();

	for (uint64_t done = 0; done < flood->n_packets;) {
		uint64_t left = flood->n_packets - done;
		unsigned n = left < most ? (unsigned)left : most;
		for (unsigned i = 0; i < n && flood->n_flows > 0; i++)
			set_flow(flood->frames[i], (done + i) % flood->n_flows);
		if (flood->rate > 0)
			wait_until(
				begun_ns + (time_ns_t)((double)done * 1e9 / (double)flood->rate)
			);
		if (send_batch(flood, n) < 0)
			return fail("send");
		done += n;
	}
	printf("{\"sent\":%" PRIu64 ",\"seconds\":%.6f}\n",
	       flood->n_packets,
	       (double)(now_ns() - begun_ns) / 1e9);
	return 0;
}

static uint64_t number(int argc, char **argv, int i, uint64_t otherwise) {
	return i < argc ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
	static struct flood flood;

	flood.n_packets = number(argc, argv, 2, 0);
	flood.n_flows = number(argc, argv, 3, 0);
	flood.rate = number(argc, argv, 4, 0);
	flood.octets = (unsigned)number(argc, argv, 5, LEAST_OCTETS);
	if (flood.n_packets == 0 || argc < 4 || flood.octets < LEAST_OCTETS
	    || flood.octets > MOST_OCTETS) {
		fprintf(stderr, "usage: flood INTERFACE PACKETS FLOWS [RATE [OCTETS]]\n");
		return 2;
	}
	flood.socket = packet_socket_open(argv[1]);
	if (flood.socket < 0)
		return fail(argv[1]);
	for (unsigned i = 0; i < BATCH; i++) {
		make_frame(&flood, flood.frames[i]);
		flood.parts[i] = (struct iovec){flood.frames[i], flood.octets};
		flood.messages[i].msg_hdr =
			(struct msghdr){.msg_iov = &flood.parts[i], .msg_iovlen = 1};
	}
	return send_all(&flood);
}
