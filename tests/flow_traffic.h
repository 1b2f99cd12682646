// Packets for tests of the flow cache: of which flow, and when. Every pick of flows goes with
// every course of time.

#pragma once

#include "flow_cache_fixture.h"
#include "flow_cache_internal.h"
#include "random.h"

enum pick {
	PICK_UNIFORM,
	PICK_ZIPF,
	PICK_CHURN,     // flows of 3 to 10 packets, then never again
	PICK_NEW,       // every packet begins a flow
	PICK_SCAN,      // a SYN each, and some of them a RST back
	PICK_ELEPHANTS, // three flows have nearly all
	PICK_COLLIDING, // all in one bucket: made by one who knows the secret
	PICK_REUSE,     // few flows, closed and opened again and again
	PICK_COUNT,
};

enum course {
	COURSE_STEADY,
	COURSE_BURSTS, // many packets of one time
	COURSE_LATE,   // a quarter of the packets up to an hour late
	COURSE_JUMPS,  // silences of seconds to years
	COURSE_WRAP,   // the low 32 bits of the tick wrap in mid-course
	COURSE_ZERO,   // from 1970 on
	COURSE_COUNT,
};

static const char *const pick_names[PICK_COUNT] = {
	"uniform", "zipf", "churn", "new", "scan", "elephants", "colliding", "reuse"};
static const char *const course_names[COURSE_COUNT] = {
	"steady", "bursts", "late", "jumps", "wrap", "zero"};

enum {
	TRAFFIC_LIVE = 400,      // flows at once, where a pick has some
	TRAFFIC_COLLIDING = 25,  // flows of one bucket
	TRAFFIC_MOST_IDS = 8000, // of the picks from a fixed number
	TRAFFIC_MEAN_GAP_US = 2000,
};

struct flow_traffic {
	enum pick pick;
	enum course course;
	struct random random;
	time_ns_t now_ns; // the clock: of the latest packet
	uint32_t next_id;
	struct {
		uint32_t id, left;
	} live[TRAFFIC_LIVE];
	uint32_t colliding[TRAFFIC_COLLIDING];
	bool jumped; // since this was last asked
};

// A packet of flow `id` with something in every field. Its id decides the key.
static inline struct packet varied_packet(struct random *random, uint32_t id, time_ns_t time_ns) {
	static const uint8_t flags[] = {0x10, 0x10, 0x10, 0x10, 0x18, 0x18, 0x02, 0x11, 0x04, 0x12};
	struct packet packet = packet_of(id, time_ns);
	uint64_t bits = random64(random);

	packet.octets = 40 + bits % 1461;
	packet.ttl = (uint8_t)(bits >> 16);
	packet.tos = (uint8_t)(bits >> 24);
	packet.src_mac[5] = (uint8_t)(bits >> 32);
	packet.dst_mac[0] = (uint8_t)(bits >> 40);
	packet.inner_vlan_id = (uint16_t)(bits >> 48 & 0xfff);
	if (id % 3 == 0) {
		packet.key.family = FLOW_IPV6;
		memset(packet.key.dst6, (int)(id & 0xff), 16);
	}
	packet.tcp_flags = flags[random_below(random, sizeof(flags))];
	if (id % 4 == 0) {
		packet.key.proto = 17;
		packet.tcp_flags = 0;
	}
	return packet;
}

static inline void flow_traffic_init(
	struct flow_traffic *traffic,
	enum pick pick,
	enum course course,
	const struct flow_cache *cache
) {
	uint64_t start = ticks_of_ns(1700000000 * NS_PER_S);

	*traffic = (struct flow_traffic){
		.pick = pick,
		.course = course,
		.random = {1 + pick * COURSE_COUNT + course},
	};
	if (course == COURSE_ZERO)
		start = 0;
	if (course == COURSE_WRAP) // 5 s before
		start = (((start >> 32) + 1) << 32) - 5 * TICKS_PER_S;
	traffic->now_ns = ns_of_ticks(start);
	for (unsigned n = 0; pick == PICK_COLLIDING && n < TRAFFIC_COLLIDING; traffic->next_id++) {
		struct packet packet = varied_packet(&traffic->random, traffic->next_id, 0);
		uint64_t hash = flow_key_hash(&packet.key, &cache->secret);
		if (flow_cache_bucket(cache, hash) == 3)
			traffic->colliding[n++] = traffic->next_id;
	}
}

static inline uint32_t flow_traffic_pick(struct flow_traffic *traffic) {
	struct random *random = &traffic->random;

	switch (traffic->pick) {
	case PICK_UNIFORM:
		return random_below(random, 4 * TRAFFIC_LIVE);
	case PICK_ZIPF:
		return random_zipf(random, TRAFFIC_MOST_IDS);
	case PICK_CHURN: {
		unsigned i = random_below(random, TRAFFIC_LIVE);
		if (traffic->live[i].left == 0) {
			traffic->live[i].id = traffic->next_id++;
			traffic->live[i].left = 3 + random_below(random, 8);
		}
		traffic->live[i].left--;
		return traffic->live[i].id;
	}
	case PICK_ELEPHANTS:
		return random_below(random, 20) == 0 ? traffic->next_id++ : random_below(random, 3);
	case PICK_COLLIDING:
		return traffic->colliding[random_below(random, TRAFFIC_COLLIDING)];
	case PICK_REUSE:
		return 1 + random_below(random, 30);
	default:
		return traffic->next_id++;
	}
}

static inline void flow_traffic_step(struct flow_traffic *traffic) {
	struct random *random = &traffic->random;
	time_ns_t gap_ns = random_below(random, 2 * TRAFFIC_MEAN_GAP_US) * NS_PER_US;

	switch (traffic->course) {
	case COURSE_BURSTS:
		if (random_below(random, 300) == 0)
			traffic->now_ns += 300 * gap_ns;
		return;
	case COURSE_JUMPS:
		if (random_below(random, 1000) == 0) {
			static const time_ns_t longest_s[] = {30, 7200, 3 * 86400, 3 * 365 * 86400};
			time_ns_t longest = longest_s[random_below(random, 4)] * NS_PER_S;
			traffic->now_ns += (time_ns_t)(random_unit(random) * (double)longest);
			traffic->jumped = true;
		}
		break;
	default:
		break;
	}
	traffic->now_ns += gap_ns;
}

// The next packet. With a jump of time the clock has to be moved before it is pushed.
static inline struct packet flow_traffic_next(struct flow_traffic *traffic, uint32_t *id) {
	struct random *random = &traffic->random;
	time_ns_t time_ns;

	flow_traffic_step(traffic);
	time_ns = traffic->now_ns;
	if (traffic->course == COURSE_LATE && random_below(random, 4) == 0) {
		// Mostly a little, seldom a lot.
		time_ns_t most = random_below(random, 20) == 0 ? 3600 * NS_PER_S : 8 * NS_PER_S;
		time_ns -= (time_ns_t)(random_unit(random) * (double)most);
	}
	*id = flow_traffic_pick(traffic);
	struct packet packet = varied_packet(random, *id, time_ns);
	bool tcp = packet.key.proto == 6;
	if (traffic->pick == PICK_SCAN && tcp)
		packet.tcp_flags = random_below(random, 4) == 0 ? 0x14 : 0x02;
	else if (traffic->pick == PICK_ELEPHANTS && tcp)
		packet.tcp_flags = 0x10;
	return packet;
}
