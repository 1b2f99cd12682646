#include "churn_frames.h"

#include <inttypes.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "wire.h"

enum {
	LEAST_OCTETS = 74, // of TCP over IPv6
	IPV4_OCTETS = 20,
	IPV6_OCTETS = 40,
	STRANGE_EVERY = 1024,
	FIN_EVERY = 64,
	EXPERIMENT = 0x88b5, // IEEE 802's for local experiments
	ACK = 0x10,
	FIN_ACK = 0x11,
};

// After being held, and where the machine was busy.
#define MOST_BEHIND_NS (20 * NS_PER_MS)

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

unsigned churn_frame(struct churn *churn, uint8_t *frame, bool *strange) {
	// So far as time goes on in packets: a rate that is not held holds the flows up too.
	uint64_t first = churn->done * churn->n_new / churn->rate;
	uint64_t flow = churn->seed << 40
			| (first + random_below(&churn->random, (uint32_t)churn->n_flows));
	unsigned octets =
		LEAST_OCTETS + random_below(&churn->random, CHURN_MOST_OCTETS - LEAST_OCTETS + 1);
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

void churn_sent(struct churn *churn, size_t octets, bool strange) {
	churn->counts.sent++;
	churn->counts.octets += octets;
	if (!strange)
		return;
	churn->counts.strange++;
	churn->counts.strange_octets += octets;
}

bool churn_begin(
	struct churn *churn, uint64_t rate, uint64_t n_flows, uint64_t n_new, uint64_t seed
) {
	*churn = (struct churn){.rate = rate, .n_flows = n_flows, .n_new = n_new, .seed = seed};
	churn->random.state = mix(seed) | 1;
	return rate > 0 && n_flows > 0 && n_flows <= UINT32_MAX;
}

unsigned churn_at_once(const struct churn *churn, unsigned most) {
	uint64_t n = churn->rate / 1000;
	return n >= most ? most : n == 0 ? 1 : (unsigned)n;
}

time_ns_t churn_due_ns(const struct churn *churn, time_ns_t due_ns, unsigned n) {
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time_ns_t now_ns = time.tv_sec * NS_PER_S + time.tv_nsec;
	due_ns += (time_ns_t)(n * NS_PER_S / churn->rate);
	return now_ns - due_ns > MOST_BEHIND_NS ? now_ns : due_ns;
}

void churn_wait(time_ns_t due_ns) {
	const struct timespec due = {due_ns / NS_PER_S, due_ns % NS_PER_S};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

void churn_tell(const struct churn *churn, char *text, size_t size) {
	const struct churn_counts *counts = &churn->counts;

	snprintf(
		text,
		size,
		"{\"sent\":%" PRIu64 ",\"octets\":%" PRIu64 ",\"refused\":%" PRIu64
		",\"strange\":%" PRIu64 ",\"strange_octets\":%" PRIu64 ",\"flows\":%" PRIu64 "}\n",
		counts->sent,
		counts->octets,
		counts->refused,
		counts->strange,
		counts->strange_octets,
		churn->done * churn->n_new / churn->rate + churn->n_flows
	);
}
