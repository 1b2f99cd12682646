// Makes a capture for benches: the same octets for the same arguments, on any machine.
//
//   make_capture OUT PACKETS CONVERSATIONS SECONDS IPV6_PERCENT ZIPF
//
// Conversations have two directions; each packet belongs to one of them chosen by a Zipf law
// of the given exponent (0 = uniform), and to one direction at random. Frames are 90 octets on
// disk at most: headers are all that a flow meter reads.
//
// Prints the truth as JSON, to compare with what a meter makes of the file: packets and octets
// of IP, one-way flows (different keys), and the records of a meter that ends a flow after a
// gap of 15 s and a record 60 s after its first packet. Nothing else ends one: there is no FIN
// or RST. `truth` is the form of all this; it goes up when the same arguments give other octets.

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

enum {
	TRUTH = 2,
	SNAPLEN = 96,
	FIRST_S = 1700000000, // since 1970
	// Times lie on a raster that no meter of this resolution or better can round across a
	// timeout.
	RASTER_US = 125,
	IDLE = 15 * 1000000 / RASTER_US,
	ACTIVE = 60 * 1000000 / RASTER_US,
};

// One direction of a conversation, in units of the raster, counted from 1.
struct flow {
	uint32_t first; // of the running record; 0 = never seen
	uint32_t last;
};

struct truth {
	struct flow *flows; // two for each conversation
	uint64_t n_flows;
	uint64_t n_records;
	uint64_t octets;
	uint64_t file_octets;
};

static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t random64(void) { // xorshift64*
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t mix(uint64_t x) { // splitmix64's finaliser: a conversation's own constants
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

// A rank below `n` by Zipf's law, by inverting the integral that approximates its sum.
static uint64_t zipf(uint64_t n, double exponent) {
	double u = (double)(random64() >> 11) * 0x1p-53;
	double x;

	if (exponent == 0)
		x = u * (double)n;
	else if (exponent == 1)
		x = pow((double)n + 1, u) - 1;
	else
		x = pow(u * (pow((double)n + 1, 1 - exponent) - 1) + 1, 1 / (1 - exponent)) - 1;
	return x >= (double)n ? n - 1 : (uint64_t)x;
}

static void put_le32(uint8_t *out, uint32_t v) {
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(v >> 8 * i);
}

static void count_packet(struct truth *truth, struct flow *flow, uint32_t time) {
	if (flow->first == 0 || time - flow->last >= IDLE || time - flow->first >= ACTIVE) {
		truth->n_flows += flow->first == 0;
		truth->n_records++;
		flow->first = time;
	}
	flow->last = time;
}

static void put_header(FILE *out, struct truth *truth) {
	uint8_t header[24] = {0};
	put_le32(header, 0xa1b2c3d4);
	header[4] = 2; // version 2.4
	header[6] = 4;
	put_le32(header + 16, SNAPLEN);
	put_le32(header + 20, 1); // Ethernet
	fwrite(header, sizeof(header), 1, out);
	truth->file_octets = sizeof(header);
}

static size_t
put_ip(uint8_t *at, uint64_t who, bool ipv6, bool back, uint8_t proto, uint16_t length) {
	uint64_t client = mix(who * 2), server = mix(who * 2 + 1);

	if (ipv6) {
		at[0] = 0x60;
		wire_put16(at + 4, (uint16_t)(length - 40));
		at[6] = proto;
		at[7] = 60;
		uint8_t *src = at + (back ? 24 : 8), *dst = at + (back ? 8 : 24);
		wire_put32(src, 0x20010db8);
		wire_put64(src + 8, client);
		wire_put32(dst, 0x20010db8);
		wire_put64(dst + 8, server);
		return 40;
	}
	at[0] = 0x45;
	wire_put16(at + 2, length);
	wire_put16(at + 4, (uint16_t)random64());
	at[8] = 60;
	at[9] = proto;
	// Private addresses, with the conversation's number in them: no two share a key.
	wire_put32(at + (back ? 16 : 12), 0x0a000000 | (uint32_t)(who & 0xffffff));
	wire_put32(at + (back ? 12 : 16), 0xac100000 | (uint32_t)(server & 0xfffff));
	return 20;
}

static void
put_packet(FILE *out, struct truth *truth, uint64_t who, uint32_t time, unsigned ipv6_percent) {
	uint8_t record[16 + SNAPLEN] = {0};
	uint8_t *frame = record + 16;
	uint64_t bits = random64(), self = mix(who);
	bool back = bits & 1;
	bool ipv6 = self % 100 < ipv6_percent;
	bool udp = (self >> 8) % 10 < 3;
	uint16_t length =
		(uint16_t)((bits >> 8) % 10 < 7 ? 60 + (bits >> 16) % 40 : 100 + (bits >> 16) % 60);

	memcpy(frame, back ? "\2\0\0\0\0\1\2\0\0\0\0\2" : "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
	wire_put16(frame + 12, ipv6 ? 0x86dd : 0x0800);
	size_t at = 14 + put_ip(frame + 14, who, ipv6, back, udp ? 17 : 6, length);
	uint16_t client_port = (uint16_t)(1024 + (self >> 16) % 60000);
	wire_put16(frame + at, back ? 443 : client_port);
	wire_put16(frame + at + 2, back ? client_port : 443);
	if (udp) {
		wire_put16(frame + at + 4, (uint16_t)(length - (at - 14)));
		at += 8;
	} else {
		frame[at + 12] = 0x50;
		frame[at + 13] = 0x10;
		at += 20;
	}

	uint32_t wire = 14u + length;
	uint32_t captured = wire < 90 ? wire : 90;
	put_le32(record, FIRST_S + time / (1000000 / RASTER_US));
	put_le32(record + 4, time % (1000000 / RASTER_US) * RASTER_US);
	put_le32(record + 8, captured);
	put_le32(record + 12, wire);
	fwrite(record, 16 + captured, 1, out);
	truth->file_octets += 16 + captured;
	truth->octets += length;
	count_packet(truth, &truth->flows[who * 2 + back], time + 1);
}

int main(int argc, char **argv) {
	if (argc != 7) {
		fprintf(stderr,
			"usage: make_capture OUT PACKETS CONVERSATIONS SECONDS IPV6_PERCENT ZIPF\n"
		);
		return 2;
	}
	uint64_t packets = strtoull(argv[2], NULL, 10);
	uint64_t conversations = strtoull(argv[3], NULL, 10);
	double seconds = strtod(argv[4], NULL);
	unsigned ipv6_percent = (unsigned)strtoul(argv[5], NULL, 10);
	double exponent = strtod(argv[6], NULL);

	// 24 bits of IPv4 addresses tell the conversations apart.
	if (packets == 0 || conversations == 0 || conversations > UINT64_C(1) << 24
	    || !(seconds > 0) || seconds > 86400 || exponent < 0) {
		fprintf(stderr, "make_capture: a number is out of range\n");
		return 2;
	}
	struct truth truth = {.flows = calloc(conversations * 2, sizeof(struct flow))};
	FILE *out = truth.flows == NULL ? NULL : fopen(argv[1], "w");
	if (out == NULL) {
		fprintf(stderr, "make_capture: %s: %s\n", argv[1], strerror(errno));
		free(truth.flows);
		return 1;
	}

	put_header(out, &truth);
	for (uint64_t i = 0; i < packets; i++) {
		uint32_t time =
			(uint32_t)((double)i / (double)packets * seconds * (1e6 / RASTER_US));
		put_packet(out, &truth, zipf(conversations, exponent), time, ipv6_percent);
	}
	free(truth.flows);
	bool failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		fprintf(stderr, "make_capture: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	printf("{\"truth\":%d,\"conversations\":%" PRIu64 ",\"seconds\":%g,\"ipv6_percent\":%u,"
	       "\"zipf\":%g,\"file_octets\":%" PRIu64 ",\"packets\":%" PRIu64 ",\"octets\":%" PRIu64
	       ",\"flows\":%" PRIu64 ",\"records\":%" PRIu64 "}\n",
	       TRUTH,
	       conversations,
	       seconds,
	       ipv6_percent,
	       exponent,
	       truth.file_octets,
	       packets,
	       truth.octets,
	       truth.n_flows,
	       truth.n_records);
	return fflush(stdout) != 0;
}
