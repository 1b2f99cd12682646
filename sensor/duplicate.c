#include "duplicate.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "packet_fast.h"
#include "packet_internal.h"
#include "wire.h"

enum {
	BUCKET_PACKETS = 4,
	GROUP_FRAMES = 32, // asked for at once, see ask()
	BLOCK_OCTETS = 16,
	DIGEST_WORDS = 16,
	OTHER_PORT = DUPLICATE_PORTS, // index of those that are not told apart
	// Packets/s of 64 octets at 10 Gbit/s.
	LINE_RATE = 14880952,
};

// Time is kept in 32 bits of this unit, which last 73 minutes.
#define LOG2_NS_PER_STEP 10
#define MOST_STEP_NS (3600 * NS_PER_S)

static_assert(DUPLICATE_OCTETS % BLOCK_OCTETS == 0, "the digest takes whole blocks");

// A packet that was seen, and may be seen again.
struct seen {
	uint64_t digest;
	uint32_t time; // in steps
	uint8_t left;  // copies that may still come; 0 = free
	uint8_t ttl;
	uint8_t port; // index
	uint8_t reserved;
};

struct bucket {
	struct seen seen[BUCKET_PACKETS];
};

static_assert(sizeof(struct bucket) == 64, "one line a packet");

struct counts {
	uint64_t packets;
	uint64_t bytes;
};

struct duplicate {
	struct bucket *buckets;
	uint32_t bucket_shift; // of a 64-bit hash, to leave a bucket's number
	uint32_t window;       // in steps
	uint8_t copies;
	bool routed;
	uint64_t digest[DIGEST_WORDS];
	struct flow_secret place;

	// The clock in steps never goes back: where the packets' does, `base` makes up for it.
	time_ns_t latest_ns;
	uint32_t base;

	// Written by the writer alone, with plain stores that readers see late but never torn.
	uint64_t examined;
	uint64_t duplicates;
	uint64_t forgotten;
	uint16_t ports[DUPLICATE_PORTS];
	unsigned n_ports;
	struct counts pairs[DUPLICATE_PORTS + 1][DUPLICATE_PORTS + 1];
};

// The buckets follow in the same memory.
#define HEAD_BYTES RTE_ALIGN_CEIL(sizeof(struct duplicate), sizeof(struct bucket))

// A packet on its way through the two passes over a group.
struct look {
	struct frame *frame;
	struct bucket *bucket;
	uint64_t digest;
	uint32_t time;
	uint8_t ttl;
};

// Where an IP packet lies in a frame.
struct ip {
	const uint8_t *at;
	uint32_t octets; // that are compared
	bool ipv4;
};

uint32_t duplicate_packets_of(time_ns_t window_ns) {
	uint64_t ns = (uint64_t)RTE_MIN(RTE_MAX(window_ns, 0), DUPLICATE_MOST_WINDOW_NS);
	uint64_t wanted = 4 * ns * LINE_RATE / NS_PER_S;
	// Not so few that buckets overflow by chance at the rates of a small network.
	return (uint32_t)RTE_MIN(RTE_MAX(wanted, UINT64_C(1) << 16), DUPLICATE_MAX_PACKETS + 0ull);
}

static uint32_t log2_buckets(uint32_t n_packets) {
	uint32_t log2 = 0;
	while (((uint64_t)BUCKET_PACKETS << log2) < n_packets)
		log2++;
	return log2;
}

size_t duplicate_size(const struct duplicate_config *config) {
	if (config->window_ns < DUPLICATE_LEAST_WINDOW_NS
	    || config->window_ns > DUPLICATE_MOST_WINDOW_NS
	    || config->n_packets < DUPLICATE_MIN_PACKETS
	    || config->n_packets > DUPLICATE_MAX_PACKETS || config->copies < 1
	    || config->copies > DUPLICATE_MOST_COPIES)
		return 0;
	return HEAD_BYTES + (sizeof(struct bucket) << log2_buckets(config->n_packets));
}

struct duplicate *duplicate_init(void *memory, const struct duplicate_config *config) {
	struct duplicate *duplicate = memory;

	if (duplicate_size(config) == 0) {
		errno = EINVAL;
		return NULL;
	}
	*duplicate = (struct duplicate){
		.buckets = (struct bucket *)(void *)((uint8_t *)memory + HEAD_BYTES),
		.bucket_shift = 64 - log2_buckets(config->n_packets),
		.window = (uint32_t)(config->window_ns >> LOG2_NS_PER_STEP),
		.copies = (uint8_t)config->copies,
		.routed = config->routed,
		.place = config->place,
	};
	static_assert(sizeof(duplicate->digest) == sizeof(config->digest), "");
	memcpy(duplicate->digest, config->digest, sizeof(duplicate->digest));
	return duplicate;
}

// The packet at `at`, of which `captured` octets are there. False where it is malformed: the
// meter will say how.
static inline bool
find_packet(struct ip *ip, const uint8_t *at, uint32_t captured, unsigned family) {
	if (unlikely(captured < IPV4_HEADER_BYTES))
		return false;
	unsigned version = at[0] >> 4;
	uint32_t octets;

	if (unlikely(family != 0 && version != family))
		return false;
	if (likely(version == FLOW_IPV4)) {
		uint32_t header = (at[0] & 15) * 4u;
		octets = wire_get16(at + 2);
		if (unlikely(octets == 0)) // segmentation offload
			octets = captured;
		if (unlikely(header < IPV4_HEADER_BYTES || header > captured || octets < header))
			return false;
	} else {
		if (unlikely(version != FLOW_IPV6 || captured < IPV6_HEADER_BYTES))
			return false;
		octets = wire_get16(at + 4);
		octets = octets == 0 ? captured : IPV6_HEADER_BYTES + octets;
	}
	ip->at = at;
	ip->octets = RTE_MIN(RTE_MIN(octets, captured), DUPLICATE_OCTETS + 0u);
	ip->ipv4 = version == FLOW_IPV4;
	return true;
}

[[gnu::noinline]] static bool
find_any(struct ip *ip, enum link_type type, const struct frame *frame) {
	struct packet_link link;

	if (packet_link_walk(&link, type, frame->data, frame->captured_bytes) != PACKET_METERED)
		return false;
	return find_packet(
		ip,
		frame->data + link.ip_offset,
		frame->captured_bytes - link.ip_offset,
		link.family
	);
}

static inline bool find_ip(struct ip *ip, enum link_type type, const struct frame *frame) {
	const uint8_t *data = frame->data;
	uint32_t offset = ETHERNET_HEADER_BYTES;

	if (unlikely(type != LINK_ETHERNET || frame->captured_bytes < FAST_BYTES))
		return find_any(ip, type, frame);
	rte_be16_t ethertype = load16(data + 12);
	if (ethertype == RTE_BE16(ETHERTYPE_VLAN)
	    || ethertype == RTE_BE16(ETHERTYPE_VLAN_SERVICE)) {
		ethertype = load16(data + 16);
		offset += VLAN_TAG_BYTES;
	}
	unsigned family = ethertype == RTE_BE16(ETHERTYPE_IPV4)   ? FLOW_IPV4
			  : ethertype == RTE_BE16(ETHERTYPE_IPV6) ? FLOW_IPV6
								  : 0;
	if (unlikely(family == 0))
		return find_any(ip, type, frame);
	return find_packet(ip, data + offset, frame->captured_bytes - offset, family);
}

// Always as many blocks, the last ones lying over each other where the packet is shorter: no
// branch that the mix of lengths would have mispredicted, and no octet read behind it. For a
// given length the blocks say every octet; the length is one more block.
static inline uint64_t
digest_of(const struct duplicate *duplicate, const uint8_t *at, uint32_t octets) {
	const uint64_t *k = duplicate->digest;
	const uint64_t *finish = k + 2 * (DUPLICATE_OCTETS / BLOCK_OCTETS);
	uint32_t last = octets - BLOCK_OCTETS;
	unsigned __int128 sum = (unsigned __int128)(octets + finish[0]) * finish[1];

	for (uint32_t i = 0; i < DUPLICATE_OCTETS / BLOCK_OCTETS; i++) {
		const uint8_t *block = at + RTE_MIN(i * BLOCK_OCTETS, last);
		sum += (unsigned __int128)(load64(block) + k[2 * i])
		       * (load64(block + 8) + k[2 * i + 1]);
	}
	return flow_key_fold((uint64_t)sum ^ finish[2], (uint64_t)(sum >> 64) ^ finish[3]);
}

// What a router changes is not compared.
[[gnu::noinline]] static uint64_t
digest_routed(const struct duplicate *duplicate, const struct ip *ip) {
	uint8_t copy[DUPLICATE_OCTETS];

	memcpy(copy, ip->at, ip->octets);
	if (ip->ipv4) {
		copy[8] = 0; // TTL
		copy[10] = copy[11] = 0;
	} else {
		copy[7] = 0; // hop limit
	}
	return digest_of(duplicate, copy, ip->octets);
}

// By what tells packets apart most often and no router changes: identification and lengths,
// addresses, ports, sequence numbers, checksums.
static inline struct bucket *bucket_of(const struct duplicate *duplicate, const struct ip *ip) {
	const uint64_t *s = duplicate->place.words;
	uint32_t header = ip->ipv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
	uint32_t last = ip->octets - 8;
	uint64_t head = load64(ip->at), addresses;

	if (ip->ipv4) {
		addresses = load64(ip->at + 12);
	} else {
		head &= UINT64_C(0x00ffffffffffffff);
		addresses = load64(ip->at + 16) ^ (load64(ip->at + 32) * s[4]);
	}
	uint64_t transport = flow_key_fold(
		load64(ip->at + RTE_MIN(header, last)) ^ s[2],
		load64(ip->at + RTE_MIN(header + 8, last)) ^ s[3]
	);
	uint64_t hash = flow_key_fold(head ^ s[0], addresses ^ s[1]) ^ transport;
	hash = flow_key_fold(hash ^ s[6], s[7]);
	return &duplicate->buckets[hash >> duplicate->bucket_shift];
}

// The clock was set back, or stood still for so long that the steps' 32 bits may come round: it
// goes on behind everything that was seen before.
[[gnu::noinline, gnu::cold]] static void rebase(struct duplicate *duplicate, time_ns_t time_ns) {
	duplicate->base += (uint32_t)(duplicate->latest_ns >> LOG2_NS_PER_STEP)
			   - (uint32_t)(time_ns >> LOG2_NS_PER_STEP)
			   + (uint32_t)(NS_PER_S >> LOG2_NS_PER_STEP) + 2 * duplicate->window + 1;
	duplicate->latest_ns = time_ns;
}

// What lies back less than a second is late and no more.
static inline uint32_t step_of(struct duplicate *duplicate, time_ns_t time_ns) {
	uint64_t ahead = (uint64_t)time_ns - (uint64_t)duplicate->latest_ns + NS_PER_S;
	if (unlikely(ahead > NS_PER_S + MOST_STEP_NS + 0ull))
		rebase(duplicate, time_ns);
	duplicate->latest_ns = RTE_MAX(duplicate->latest_ns, time_ns);
	return (uint32_t)(time_ns >> LOG2_NS_PER_STEP) + duplicate->base;
}

static inline void count(uint64_t *counter, uint64_t n) {
	// Relaxed: one writer, and readers ask for no order among counters.
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void count_pair(struct counts *pair, const struct frame *frame) {
	count(&pair->packets, 1);
	count(&pair->bytes, frame->wire_bytes);
}

static unsigned index_of_port(struct duplicate *duplicate, uint16_t in_if) {
	unsigned n = duplicate->n_ports;

	for (unsigned i = 0; i < n; i++)
		if (duplicate->ports[i] == in_if)
			return i;
	if (n == DUPLICATE_PORTS)
		return OTHER_PORT;
	duplicate->ports[n] = in_if;
	// Pairs with duplicate_stats(): who sees the number sees the port.
	__atomic_store_n(&duplicate->n_ports, n + 1, __ATOMIC_RELEASE);
	return n;
}

// From `window` steps in the future (0) to as many in the past (2 * window); more than that: not
// in the window.
static inline uint32_t age_of(const struct duplicate *duplicate, uint32_t now, uint32_t then) {
	return now - then + duplicate->window;
}

static inline bool
is_copy(const struct duplicate *duplicate, const struct seen *seen, const struct look *look) {
	uint32_t age = age_of(duplicate, look->time, seen->time);
	int apart = (int)look->ttl - seen->ttl;

	return seen->left > 0 && age <= 2 * duplicate->window && apart >= -1 && apart <= 1;
}

// In the place of one that is free or out of its window, else of the oldest. Returns whether that
// was forgotten too early.
static inline bool
remember(const struct duplicate *duplicate, const struct look *look, uint8_t port) {
	struct seen *seen = look->bucket->seen;
	uint32_t most = 0, place = 0;

	for (uint32_t i = 0; i < BUCKET_PACKETS; i++) {
		uint32_t age = age_of(duplicate, look->time, seen[i].time);
		age = seen[i].left == 0 ? UINT32_MAX : age;
		place = age > most ? i : place;
		most = RTE_MAX(most, age);
	}
	seen[place] = (struct seen){
		.digest = look->digest,
		.time = look->time,
		.left = duplicate->copies,
		.ttl = look->ttl,
		.port = port,
	};
	return most <= 2 * duplicate->window;
}

// The packet that `look` is a copy of, or NULL. The TTL is part of the digest unless routed
// copies count.
static inline struct seen *find(const struct duplicate *duplicate, const struct look *look) {
	struct seen *seen = look->bucket->seen;

	for (unsigned i = 0; i < BUCKET_PACKETS; i++)
		if (unlikely(seen[i].digest == look->digest) && is_copy(duplicate, &seen[i], look))
			return &seen[i];
	return NULL;
}

static inline void ask_headers(const struct frame *frames, unsigned n) {
	for (unsigned i = 0; i < n; i++)
		meter_prefetch(&frames[i]);
}

// First pass over a group: digests, and then the buckets asked for. Returns how many are to be
// looked at. One right after the other, as with the headers: a prefetch that misses the TLB holds
// up all that follows, and with a digest worked out between them hardly two would be under way.
static inline unsigned
ask(struct duplicate *duplicate,
    enum link_type type,
    struct frame *frames,
    unsigned n,
    struct look *looks) {
	unsigned n_looks = 0;

	for (unsigned i = 0; i < n; i++) {
		struct look *look = &looks[n_looks];
		struct ip ip;

		if (unlikely(frames[i].mark != FRAME_PLAIN || !find_ip(&ip, type, &frames[i])))
			continue;
		look->frame = &frames[i];
		look->bucket = bucket_of(duplicate, &ip);
		look->digest = unlikely(duplicate->routed) ? digest_routed(duplicate, &ip)
							   : digest_of(duplicate, ip.at, ip.octets);
		look->ttl = ip.at[ip.ipv4 ? 8 : 7];
		look->time = step_of(duplicate, frames[i].time_ns);
		n_looks++;
	}
	for (unsigned i = 0; i < n_looks; i++)
		__builtin_prefetch(looks[i].bucket, 1);
	return n_looks;
}

unsigned duplicate_mark(
	struct duplicate *duplicate, const struct meter *meter, struct frame *frames, unsigned n
) {
	struct look looks[GROUP_FRAMES];
	unsigned port = index_of_port(duplicate, meter->in_if);
	uint64_t examined = 0, forgotten = 0;
	unsigned found = 0;

	ask_headers(frames, RTE_MIN(n, GROUP_FRAMES + 0u));
	for (unsigned done = 0; done < n; done += GROUP_FRAMES) {
		unsigned n_looks =
			ask(duplicate,
			    meter->link,
			    frames + done,
			    RTE_MIN(n - done, GROUP_FRAMES + 0u),
			    looks);
		unsigned next = done + GROUP_FRAMES;
		if (next < n)
			ask_headers(frames + next, RTE_MIN(n - next, GROUP_FRAMES + 0u));
		for (unsigned i = 0; i < n_looks; i++) {
			struct seen *first = find(duplicate, &looks[i]);
			if (likely(first == NULL)) {
				forgotten += remember(duplicate, &looks[i], (uint8_t)port);
				continue;
			}
			first->left--;
			count_pair(&duplicate->pairs[first->port][port], looks[i].frame);
			frame_set_mark(looks[i].frame, FRAME_DUPLICATE);
			found++;
		}
		examined += n_looks;
	}
	count(&duplicate->examined, examined);
	count(&duplicate->duplicates, found);
	count(&duplicate->forgotten, forgotten);
	return found;
}

void duplicate_stats(const struct duplicate *duplicate, struct duplicate_stats *stats) {
	// Pairs with index_of_port().
	unsigned n_ports = __atomic_load_n(&duplicate->n_ports, __ATOMIC_ACQUIRE);

	*stats = (struct duplicate_stats){
		.examined = __atomic_load_n(&duplicate->examined, __ATOMIC_RELAXED),
		.duplicates = __atomic_load_n(&duplicate->duplicates, __ATOMIC_RELAXED),
		.forgotten = __atomic_load_n(&duplicate->forgotten, __ATOMIC_RELAXED),
	};
	for (unsigned i = 0; i <= DUPLICATE_PORTS; i++)
		for (unsigned j = 0; j <= DUPLICATE_PORTS; j++) {
			const struct counts *pair = &duplicate->pairs[i][j];
			struct ledger_count sum = {
				.packets = __atomic_load_n(&pair->packets, __ATOMIC_RELAXED),
				.bytes = __atomic_load_n(&pair->bytes, __ATOMIC_RELAXED),
			};
			if (sum.packets == 0 || (i >= n_ports && i != OTHER_PORT)
			    || (j >= n_ports && j != OTHER_PORT))
				continue;
			stats->pairs[stats->n_pairs++] = (struct ledger_pair){
				.first_if = i == OTHER_PORT ? 0 : duplicate->ports[i],
				.second_if = j == OTHER_PORT ? 0 : duplicate->ports[j],
				.count = sum,
			};
		}
}
