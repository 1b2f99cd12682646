#include "traffic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <emmintrin.h>

#include "wire.h"

enum {
	FRAME_STRIDE = 2304,
	TIME_STEP_NS = 50,
};

struct live_flow {
	uint32_t id;
	uint32_t packets_left;
};

struct traffic {
	struct traffic_config config;
	struct traffic_truth truth;
	uint64_t random;
	time_ns_t now_ns;
	uint32_t next_id;
	double zipf_log;
	uint64_t *seen;          // a bit for each id below n_flows
	struct live_flow *churn; // n_flows of them
	uint8_t *octets;
	struct frame frames[TRAFFIC_FRAMES];
	uint16_t order[TRAFFIC_FRAMES];
};

static uint64_t random64(struct traffic *traffic) { // xorshift64*
	uint64_t x = traffic->random;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	traffic->random = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

static uint32_t random_below(struct traffic *traffic, uint32_t n) {
	return (uint32_t)((random64(traffic) >> 32) * n >> 32);
}

// A bijection of 64 bits (splitmix64's finaliser).
static uint64_t mix(uint64_t x) {
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void *map(size_t bytes) {
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

struct traffic *traffic_new(const struct traffic_config *config) {
	struct traffic *traffic = calloc(1, sizeof(*traffic));
	if (traffic == NULL)
		return NULL;
	traffic->config = *config;
	traffic->random = mix(config->seed + 1);
	traffic->now_ns = TRAFFIC_BEGIN_NS;
	traffic->zipf_log = log((double)config->n_flows + 1);
	traffic->octets = map((size_t)TRAFFIC_FRAMES * FRAME_STRIDE);
	traffic->seen = calloc(config->n_flows / 64 + 1, sizeof(uint64_t));
	if (config->kind == TRAFFIC_CHURN)
		traffic->churn = calloc(config->n_flows, sizeof(struct live_flow));
	if (traffic->octets == NULL || traffic->seen == NULL
	    || (config->kind == TRAFFIC_CHURN && traffic->churn == NULL)) {
		traffic_free(traffic);
		return NULL;
	}
	madvise(traffic->octets, (size_t)TRAFFIC_FRAMES * FRAME_STRIDE, MADV_HUGEPAGE);
	for (unsigned i = 0; i < TRAFFIC_FRAMES; i++) { // Fisher and Yates
		unsigned j = random_below(traffic, i + 1);
		traffic->order[i] = traffic->order[j];
		traffic->order[j] = (uint16_t)i;
	}
	return traffic;
}

void traffic_free(struct traffic *traffic) {
	if (traffic == NULL)
		return;
	if (traffic->octets != NULL)
		munmap(traffic->octets, (size_t)TRAFFIC_FRAMES * FRAME_STRIDE);
	free(traffic->seen);
	free(traffic->churn);
	free(traffic);
}

void traffic_set_kind(struct traffic *traffic, enum traffic_kind kind) {
	traffic->config.kind = kind;
}

static uint32_t new_id(struct traffic *traffic) {
	traffic->truth.flows++;
	return traffic->next_id++;
}

static uint32_t known_id(struct traffic *traffic, uint32_t id) {
	uint64_t bit = UINT64_C(1) << id % 64;
	if ((traffic->seen[id / 64] & bit) == 0) {
		traffic->seen[id / 64] |= bit;
		traffic->truth.flows++;
	}
	return id;
}

static uint32_t next_id(struct traffic *traffic) {
	uint32_t n = traffic->config.n_flows;

	switch (traffic->config.kind) {
	case TRAFFIC_UNIFORM:
		return known_id(traffic, random_below(traffic, n));
	case TRAFFIC_ZIPF: {
		// By inverting the integral that approximates the sum of 1/rank. The bijection
		// of the id into addresses scatters the ranks.
		double u = (double)(random64(traffic) >> 11) * 0x1p-53;
		double rank = exp(u * traffic->zipf_log) - 1;
		return known_id(traffic, rank >= n ? n - 1 : (uint32_t)rank);
	}
	case TRAFFIC_CHURN: {
		struct live_flow *flow = &traffic->churn[random_below(traffic, n)];
		if (flow->packets_left == 0) {
			flow->id = new_id(traffic);
			flow->packets_left = 3 + random_below(traffic, 8);
		}
		flow->packets_left--;
		return flow->id;
	}
	case TRAFFIC_EACH:
		if (traffic->next_id >= n)
			traffic->next_id = 0;
		return known_id(traffic, traffic->next_id++);
	case TRAFFIC_NEW:
		break;
	}
	return new_id(traffic);
}

static unsigned put_frame(struct traffic *traffic, uint8_t *frame, uint32_t id) {
	uint64_t who = mix((uint64_t)id << 16 | traffic->config.seed << 48);
	bool ipv6 = who % 5 == 0;
	bool udp = (who >> 8) % 4 == 0;
	unsigned length = (ipv6 ? 60 : 40) + (id & 31);
	uint8_t *ip = frame + 14;

	memcpy(frame, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
	wire_put16(frame + 12, ipv6 ? 0x86dd : 0x0800);
	if (ipv6) {
		memset(ip, 0, 40);
		ip[0] = 0x60;
		wire_put16(ip + 4, (uint16_t)(length - 40));
		ip[6] = udp ? 17 : 6;
		ip[7] = 60;
		wire_put32(ip + 8, 0x20010db8);
		wire_put64(ip + 16, who);
		wire_put32(ip + 24, 0x20010db8);
		wire_put64(ip + 32, ~who);
	} else {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		wire_put16(ip + 2, (uint16_t)length);
		ip[8] = 60;
		ip[9] = udp ? 17 : 6;
		wire_put64(ip + 12, who);
	}
	uint8_t *l4 = ip + (ipv6 ? 40 : 20);
	memset(l4, 0, 20);
	wire_put16(l4, (uint16_t)(who >> 16 | 1024));
	wire_put16(l4 + 2, 443);
	if (udp) {
		wire_put16(l4 + 4, (uint16_t)(length - (l4 - ip)));
	} else {
		l4[12] = 0x50;
		l4[13] = 0x10;
	}
	return length;
}

const struct frame *traffic_fill(struct traffic *traffic, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		uint8_t *octets = traffic->octets + (size_t)traffic->order[i] * FRAME_STRIDE;
		unsigned length = put_frame(traffic, octets, next_id(traffic));
		traffic->truth.packets++;
		traffic->truth.octets += length;
		traffic->now_ns += TIME_STEP_NS;
		traffic->frames[i] = (struct frame){
			.data = octets,
			.captured_bytes = 14 + length,
			.wire_bytes = 14 + length,
			.time_ns = traffic->now_ns,
		};
	}
	traffic_flush(traffic);
	return traffic->frames;
}

void traffic_flush(const struct traffic *traffic) {
	if (!traffic->config.out_of_cache)
		return;
	for (unsigned i = 0; i < TRAFFIC_FRAMES; i++) {
		_mm_clflush(traffic->octets + (size_t)i * FRAME_STRIDE);
		_mm_clflush(traffic->octets + (size_t)i * FRAME_STRIDE + 64);
	}
	_mm_mfence();
}

const struct traffic_truth *traffic_truth(const struct traffic *traffic) {
	return &traffic->truth;
}
