#include "flow_mix.h"

#include <math.h>
#include <string.h>

#include "clock.h"
#include "wire.h"

enum {
	N_CLIENTS = 4000,
	N_SERVERS = 20000,
	N_PREFIXES = 300, // that servers lie in
	RECORDS_PER_S = 10000,
};

#define BEGIN_TICKS (UINT64_C(1700000000) * TICKS_PER_S)

struct service {
	uint16_t port;
	uint8_t proto;
	uint8_t in_256; // how many of 256 conversations
	uint16_t request_bytes, answer_bytes;
	double packets; // mean
};

static const struct service services[] = {
	{443, 6, 90, 180, 900, 14},
	{53, 17, 70, 70, 150, 1},
	{443, 17, 30, 300, 1100, 20},
	{80, 6, 22, 200, 1000, 8},
	{0, 1, 8, 84, 84, 2}, // ICMP echo
	{123, 17, 8, 76, 76, 1},
	{22, 6, 6, 120, 140, 60},
	{25, 6, 4, 700, 90, 12},
	{3389, 6, 4, 150, 500, 90},
	{8080, 6, 14, 220, 950, 7},
};

void flow_mix_init(struct flow_mix *mix, uint64_t seed) {
	*mix = (struct flow_mix){.random = {seed}, .now_ticks = BEGIN_TICKS};
}

// A bijection of 64 bits (splitmix64's finaliser), so that what a host is like is its own.
static uint64_t traits(uint64_t x) {
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void put_address(uint8_t *octets, bool ipv6, bool server, uint32_t host) {
	uint64_t who = traits(host * 2 + server + 1);

	if (ipv6) {
		wire_put64(
			octets,
			server ? UINT64_C(0x20010db800000000)
					 + traits(host % N_PREFIXES) % 65536 * 65536
			       : UINT64_C(0x2001067c02940000) + host % 16
		);
		wire_put64(octets + 8, server ? who % 256 + 1 : who);
	} else if (server) {
		wire_put32(octets, (uint32_t)(traits(host % N_PREFIXES + 1) << 8 | who % 256));
	} else {
		wire_put32(octets, 0x0a000000 + host);
	}
}

static double exponential(struct random *random, double mean) {
	return -mean * log(1 - random_unit(random));
}

static void put_mac(uint8_t *mac, bool server, uint32_t host) {
	memcpy(mac, "\2\0\0\0\0\1", 6); // the router, which all servers lie behind
	if (!server)
		wire_put32(mac + 2, (uint32_t)traits(host));
}

static void
count(struct flow_mix *mix, struct flow_record *record, double packets, unsigned bytes) {
	record->packets = 1 + (uint64_t)exponential(&mix->random, packets - 0.9);
	record->octets = record->packets * bytes + random_below(&mix->random, 64);
}

static void converse(struct flow_mix *mix, struct flow_record *asked) {
	struct random *random = &mix->random;
	const struct service *service = services;
	uint32_t client = random_zipf(random, N_CLIENTS), server = random_zipf(random, N_SERVERS);
	bool ipv6 = traits(server) % 5 == 0;
	struct flow_key *key = &asked->key;
	unsigned dice = random_below(random, 256);

	while (dice >= service->in_256)
		dice -= service++->in_256;
	if (service->port == 53)
		server %= 4; // resolvers
	*asked = (struct flow_record){.in_if = 2, .end = FLOW_END_IDLE};
	key->family = ipv6 ? FLOW_IPV6 : FLOW_IPV4;
	key->proto = service->proto == 1 && ipv6 ? 58 : service->proto;
	key->vlan_id = (uint16_t)(10 + client % 8);
	key->src_port = rte_cpu_to_be_16((uint16_t)(32768 + random_below(random, 28232)));
	key->dst_port = rte_cpu_to_be_16(service->port);
	put_address(ipv6 ? key->src6 : key->src4, ipv6, false, client);
	put_address(ipv6 ? key->dst6 : key->dst4, ipv6, true, server);
	put_mac(asked->src_mac, false, client);
	put_mac(asked->dst_mac, true, server);
	count(mix, asked, service->packets, service->request_bytes);
	asked->ttl_min = asked->ttl_max = client % 3 == 0 ? 128 : 64;
	if (service->proto == 6) {
		asked->tcp_flags = random_below(random, 10) == 0 ? 0x1a : 0x1b;
		asked->end = random_below(random, 10) == 0 ? FLOW_END_IDLE : FLOW_END_DETECTED;
	}
	if (service->packets > 10 && random_below(random, 20) == 0)
		asked->end = FLOW_END_ACTIVE;
	asked->last_ticks = mix->now_ticks;
	double last_s = asked->packets == 1 ? 0 : exponential(random, 0.2 * service->packets);
	asked->first_ticks = asked->last_ticks - (uint64_t)(last_s * TICKS_PER_S);

	struct flow_record *answer = &mix->answer;
	*answer = *asked;
	answer->key.src_port = key->dst_port;
	answer->key.dst_port = key->src_port;
	put_address(ipv6 ? answer->key.src6 : answer->key.src4, ipv6, true, server);
	put_address(ipv6 ? answer->key.dst6 : answer->key.dst4, ipv6, false, client);
	put_mac(answer->src_mac, true, server);
	put_mac(answer->dst_mac, false, client);
	count(mix, answer, service->packets, service->answer_bytes);
	answer->ttl_min = answer->ttl_max = (uint8_t)(64 - 8 - traits(server) % 12);
	uint64_t trip = 16 + traits(server) % 1600 + random_below(random, 32);
	answer->first_ticks += trip;
	answer->last_ticks += answer->packets == 1 ? trip : random_below(random, 64);
	if (answer->first_ticks > answer->last_ticks)
		answer->first_ticks = answer->last_ticks;
	if (service->proto == 1) {
		key->src_port = answer->key.src_port = 0;
		key->dst_port = rte_cpu_to_be_16(ipv6 ? 128 * 256 : 8 * 256);
		answer->key.dst_port = rte_cpu_to_be_16(ipv6 ? 129 * 256 : 0);
	}
	mix->has_answer = true;
}

static void scan(struct flow_mix *mix, struct flow_record *record) {
	struct random *random = &mix->random;

	*record = (struct flow_record){
		.in_if = 2,
		.packets = 1,
		.octets = 44,
		.tcp_flags = 2,
		.ttl_min = 49,
		.ttl_max = 49,
		.end = FLOW_END_IDLE,
		.first_ticks = mix->now_ticks,
		.last_ticks = mix->now_ticks,
	};
	record->key.family = FLOW_IPV4;
	record->key.proto = 6;
	record->key.vlan_id = 10;
	record->key.src_port = rte_cpu_to_be_16(51234);
	record->key.dst_port = rte_cpu_to_be_16((uint16_t)(random_below(random, 1024)));
	wire_put32(record->key.src4, 0xcb007109);
	wire_put32(record->key.dst4, 0x0a000000 + random_below(random, 65536));
	put_mac(record->src_mac, true, 0);
	put_mac(record->dst_mac, false, random_below(random, 16));
}

void flow_mix_fill(struct flow_mix *mix, struct flow_record *records, uint32_t n) {
	for (uint32_t i = 0; i < n; i++) {
		mix->now_ticks += (uint64_t
		)(exponential(&mix->random, 1.0 * TICKS_PER_S / RECORDS_PER_S) + 0.5);
		if (mix->has_answer) {
			records[i] = mix->answer;
			mix->has_answer = false;
		} else if (random_below(&mix->random, 50) == 0) {
			scan(mix, &records[i]);
		} else {
			converse(mix, &records[i]);
		}
	}
}
