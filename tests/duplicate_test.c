// Second copies of packets: what a mirror port makes of traffic, and what only looks like it.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "duplicate.h"
#include "frame_maker.h"
#include "packet_internal.h"
#include "random.h"

#define T0 (1700000000 * NS_PER_S)
#define WINDOW_NS (5 * NS_PER_MS)

enum {
	FRAME_BYTES = 256,
	ALL_PORTS = 40,
};

static struct duplicate_config defaults(void) {
	struct duplicate_config config = {
		.window_ns = WINDOW_NS,
		.n_packets = 1 << 14,
		.copies = 1,
		.place = flow_secret_fixed,
	};
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(flow_secret_random(&config.digest[i]), 0);
	return config;
}

static struct duplicate *open_with(const struct duplicate_config *config) {
	size_t bytes = duplicate_size(config);
	assert_true(bytes > 0);
	void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
	assert_non_null(memory);
	memset(memory, 0, bytes);
	struct duplicate *duplicate = duplicate_init(memory, config);
	assert_ptr_equal(duplicate, memory);
	return duplicate;
}

static struct duplicate *open_plain(void) {
	struct duplicate_config config = defaults();
	return open_with(&config);
}

// A frame in the making.
struct made {
	uint8_t octets[FRAME_BYTES];
	uint32_t bytes;
	uint32_t ip; // where it begins
};

// The layers in front of IP; `tags` of 0 to 2 VLANs.
static uint32_t put_link(uint8_t *out, uint8_t mac, unsigned n_tags, uint16_t vlan, bool ipv6) {
	uint32_t n = 12;

	memset(out, 0x02, 12);
	out[5] = mac;
	out[11] = (uint8_t)(mac + 1);
	for (unsigned i = 0; i < n_tags; i++, n += 4) {
		wire_put16(out + n, i + 1 < n_tags ? 0x88a8 : 0x8100);
		wire_put16(out + n + 2, (uint16_t)(vlan + i));
	}
	wire_put16(out + n, ipv6 ? 0x86dd : 0x0800);
	return n + 2;
}

static void put_checksum(uint8_t *ip) {
	uint32_t sum = 0;

	wire_put16(ip + 10, 0);
	for (unsigned i = 0; i < 20; i += 2)
		sum += wire_get16(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	wire_put16(ip + 10, (uint16_t) ~(sum + (sum >> 16)));
}

// TCP over IPv4 with 100 octets of payload, or over IPv6 with 80.
static struct made tcp(bool ipv6, uint16_t id, uint32_t seq) {
	struct made made = {.ip = put_link(made.octets, 1, 0, 0, ipv6)};
	uint8_t *ip = made.octets + made.ip;
	uint8_t *l4 = ip + (ipv6 ? 40 : 20);

	if (ipv6) {
		wire_put32(ip, 0x60000000);
		wire_put16(ip + 4, 100);
		ip[6] = 6;
		ip[7] = 64;
		memset(ip + 8, 0x20, 32);
	} else {
		wire_put32(ip, 0x45000000 | 140);
		wire_put16(ip + 4, id);
		wire_put16(ip + 6, 0x4000);
		ip[8] = 64;
		ip[9] = 6;
		wire_put32(ip + 12, 0xc0000201);
		wire_put32(ip + 16, 0xc6336402);
		put_checksum(ip);
	}
	wire_put16(l4, 443);
	wire_put16(l4 + 2, 50000);
	wire_put32(l4 + 4, seq);
	l4[12] = 0x50;
	l4[13] = 0x18;
	memset(l4 + 20, 0x61, 80 + (ipv6 ? 0 : 20));
	made.bytes = made.ip + 140;
	return made;
}

// The same IP packet behind another link layer.
static struct made relinked(const struct made *made, uint8_t mac, unsigned n_tags, uint16_t vlan) {
	bool ipv6 = made->octets[made->ip] >> 4 == 6;
	struct made other = {.ip = put_link(other.octets, mac, n_tags, vlan, ipv6)};

	other.bytes = other.ip + made->bytes - made->ip;
	memcpy(other.octets + other.ip, made->octets + made->ip, made->bytes - made->ip);
	return other;
}

// What a router makes of it.
static struct made routed(const struct made *made, unsigned hops) {
	struct made other = relinked(made, 9, 0, 0);
	uint8_t *ip = other.octets + other.ip;

	if (ip[0] >> 4 == 6) {
		ip[7] = (uint8_t)(ip[7] - hops);
	} else {
		ip[8] = (uint8_t)(ip[8] - hops);
		put_checksum(ip);
	}
	return other;
}

// Shows one frame in a block of exactly its size; whether it was taken for a copy.
static bool
is_copy_on(struct duplicate *duplicate, uint16_t port, const struct made *made, time_ns_t time_ns) {
	const struct meter meter = {.link = LINK_ETHERNET, .in_if = port};
	uint8_t *copy = malloc(made->bytes);
	assert_non_null(copy);
	memcpy(copy, made->octets, made->bytes);
	struct frame frame = {
		.data = copy,
		.captured_bytes = made->bytes,
		.wire_bytes = made->bytes,
		.time_ns = time_ns,
	};
	unsigned n = duplicate_mark(duplicate, &meter, &frame, 1);
	free(copy);
	assert_int_equal(n, frame.mark == FRAME_DUPLICATE);
	assert_int_equal(frame.captured_bytes, n == 1 ? 0 : made->bytes);
	return n == 1;
}

static bool is_copy(struct duplicate *duplicate, const struct made *made, time_ns_t time_ns) {
	return is_copy_on(duplicate, 1, made, time_ns);
}

static void copy_counts_within_the_window_in_both_directions_of_time(void **state) {
	static const struct {
		time_ns_t apart_ns;
		bool copy;
	} cases[] = {
		{0, true},
		{NS_PER_MS, true},
		{WINDOW_NS - 2048, true},
		{WINDOW_NS + 2048, false},
		{NS_PER_S, false},
		{-NS_PER_MS, true},
		{-WINDOW_NS + 2048, true},
		{-WINDOW_NS - 2048, false},
	};
	(void)state;

	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct duplicate *duplicate = open_plain();
			struct made made = tcp(ipv6, 1, 1);
			assert_false(is_copy(duplicate, &made, T0));
			assert_int_equal(
				is_copy(duplicate, &made, T0 + cases[i].apart_ns), cases[i].copy
			);
			free(duplicate);
		}
}

static void link_layer_does_not_matter(void **state) {
	(void)state;

	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned n_tags = 0; n_tags < 3; n_tags++)
			for (unsigned vlan = 0; vlan < 2; vlan++) {
				struct duplicate *duplicate = open_plain();
				struct made made = tcp(ipv6, 1, 1);
				struct made other =
					relinked(&made, 7, n_tags, (uint16_t)(10 + vlan));
				assert_false(is_copy(duplicate, &made, T0));
				assert_true(is_copy(duplicate, &other, T0));
				free(duplicate);
			}
}

static void retransmission_is_a_packet_of_its_own(void **state) {
	struct duplicate *duplicate = open_plain();
	struct made first = tcp(false, 1000, 77), again = tcp(false, 1001, 77);
	(void)state;

	// Another identification, at once; and the same packet when the window is over.
	assert_false(is_copy(duplicate, &first, T0));
	assert_false(is_copy(duplicate, &again, T0 + 100));
	assert_false(is_copy(duplicate, &first, T0 + 200 * NS_PER_MS));
	assert_true(is_copy(duplicate, &first, T0 + 201 * NS_PER_MS));
	// IPv6 has none: TCP's timestamps are within what is compared.
	first = tcp(true, 0, 77);
	again = first;
	again.octets[again.ip + 40 + 24]++;
	assert_false(is_copy(duplicate, &first, T0 + NS_PER_S));
	assert_false(is_copy(duplicate, &again, T0 + NS_PER_S));
	free(duplicate);
}

static void every_octet_of_the_first_96_counts_and_none_behind(void **state) {
	(void)state;

	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
		struct duplicate *duplicate = open_plain();
		struct made made = tcp(ipv6, 1, 1);
		time_ns_t now = T0;
		for (unsigned at = 0; at < 140; at++, now += NS_PER_S) {
			struct made other = made;
			// Version and lengths: less, and a packet as before.
			other.octets[made.ip + at] ^= at == 0 ? 0x0f & (ipv6 ? 0x0f : 0x03) : 0x10;
			assert_false(is_copy(duplicate, &made, now));
			assert_int_equal(is_copy(duplicate, &other, now), at >= DUPLICATE_OCTETS);
		}
		free(duplicate);
	}
}

static void padding_of_the_frame_is_not_compared(void **state) {
	struct duplicate *duplicate = open_plain();
	struct made made = tcp(false, 1, 1);
	(void)state;

	wire_put16(made.octets + made.ip + 2, 40);
	put_checksum(made.octets + made.ip);
	made.bytes = 60;
	memset(made.octets + 54, 0, 6);
	struct made other = relinked(&made, 1, 1, 5);
	other.octets[other.bytes - 1] = 0xaa;
	assert_false(is_copy(duplicate, &made, T0));
	assert_true(is_copy(duplicate, &other, T0));
	made.bytes = 54;
	assert_false(is_copy(duplicate, &made, T0));
	assert_true(is_copy(duplicate, &other, T0));
	free(duplicate);
}

static void routed_copies_are_found_only_if_asked_for_and_one_hop_away(void **state) {
	(void)state;

	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned ask = 0; ask < 2; ask++) {
			struct duplicate_config config = defaults();
			config.routed = ask == 1;
			struct duplicate *duplicate = open_with(&config);
			struct made in = tcp(ipv6, 1, 1);
			struct made out = routed(&in, 1), far = routed(&in, 2);

			assert_false(is_copy(duplicate, &in, T0));
			assert_false(is_copy(duplicate, &far, T0));
			assert_int_equal(is_copy(duplicate, &out, T0), ask);
			// The other way round, and in a VLAN.
			assert_false(is_copy(duplicate, &out, T0 + NS_PER_S));
			in = relinked(&in, 3, 1, 20);
			assert_int_equal(is_copy(duplicate, &in, T0 + NS_PER_S), ask);
			// What no router does.
			out.octets[out.ip + (ipv6 ? 39 : 19)] ^= 1;
			assert_false(is_copy(duplicate, &in, T0 + 2 * NS_PER_S));
			assert_false(is_copy(duplicate, &out, T0 + 2 * NS_PER_S));
			free(duplicate);
		}
}

static void equal_packets_that_are_all_mirrored_count_exactly_in_any_order(void **state) {
	struct made flood = tcp(true, 0, 1);
	struct random random = {7};
	(void)state;

	for (unsigned copies = 1; copies <= DUPLICATE_MOST_COPIES; copies += 7) {
		struct duplicate_config config = defaults();
		config.copies = copies;
		struct duplicate *duplicate = open_with(&config);
		unsigned n = 0;
		for (unsigned i = 0; i < 1000 * (copies + 1); i++)
			n += !is_copy(duplicate, &flood, T0 + i * random_below(&random, 2));
		assert_int_equal(n, 1000);
		free(duplicate);
	}
}

static void flood_of_one_packet_is_at_worst_halved(void **state) {
	struct duplicate *duplicate = open_plain();
	struct made ping = tcp(false, 0, 8);
	unsigned n = 0;
	(void)state;

	ping.octets[ping.ip + 9] = 1;
	for (unsigned i = 0; i < 100000; i++)
		n += !is_copy(duplicate, &ping, T0 + i * 700);
	assert_int_equal(n, 50000);
	free(duplicate);
}

static void fragments_are_told_apart(void **state) {
	struct duplicate *duplicate = open_plain();
	unsigned n = 0, n_copies = 0;
	(void)state;

	// The same octets in every fragment, as of a file of zeros.
	for (unsigned round = 0; round < 100; round++)
		for (unsigned copy = 0; copy < 2; copy++)
			for (unsigned i = 0; i < 10; i++) {
				struct made made = tcp(false, (uint16_t)round, 0);
				uint8_t *ip = made.octets + made.ip;
				wire_put16(ip + 6, (uint16_t)((i < 9) << 13 | i * 15));
				put_checksum(ip);
				bool is =
					is_copy(duplicate, &made, T0 + round * 10000 + copy * 500);
				assert_int_equal(is, copy);
				n_copies += is;
				n++;
			}
	assert_int_equal(n, 2 * n_copies);
	free(duplicate);
}

static void copies_are_counted_by_the_ports_of_both(void **state) {
	struct duplicate *duplicate = open_plain();
	struct duplicate_stats stats;
	struct ledger_count sum = {0};
	(void)state;

	for (uint16_t i = 0; i < 6; i++) {
		struct made made = tcp(false, i, i);
		assert_false(is_copy_on(duplicate, 10, &made, T0));
		assert_true(is_copy_on(duplicate, i < 2 ? 10 : 20, &made, T0));
	}
	struct made made = tcp(false, 99, 0);
	assert_false(is_copy_on(duplicate, 20, &made, T0));
	assert_true(is_copy_on(duplicate, 10, &made, T0));
	duplicate_stats(duplicate, &stats);
	assert_int_equal(stats.examined, 14);
	assert_int_equal(stats.duplicates, 7);
	assert_int_equal(stats.n_pairs, 3);
	static const struct ledger_pair expected[] = {
		{10, 10, {2, 308}}, {10, 20, {4, 616}}, {20, 10, {1, 154}}};
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(stats.pairs[i].first_if, expected[i].first_if);
		assert_int_equal(stats.pairs[i].second_if, expected[i].second_if);
		assert_int_equal(stats.pairs[i].count.packets, expected[i].count.packets);
		assert_int_equal(stats.pairs[i].count.bytes, expected[i].count.bytes);
	}

	// More ports than are told apart: nothing is lost but the names.
	for (uint16_t port = 1; port <= ALL_PORTS; port++) {
		made = tcp(false, port, 5);
		assert_false(is_copy_on(duplicate, port, &made, T0));
		assert_true(is_copy_on(duplicate, (uint16_t)(port + 1), &made, T0));
	}
	duplicate_stats(duplicate, &stats);
	for (unsigned i = 0; i < stats.n_pairs; i++)
		sum.packets += stats.pairs[i].count.packets;
	assert_int_equal(sum.packets, 7 + ALL_PORTS);
	assert_int_equal(stats.pairs[stats.n_pairs - 1].first_if, 0);
	free(duplicate);
}

static void clock_that_goes_back_or_leaps_forgets(void **state) {
	static const time_ns_t leaps[] = {
		-2 * NS_PER_S,
		-3600 * NS_PER_S,
		T0 / 2 - T0,
		(INT64_C(1) << 42), // 2^32 steps
		(INT64_C(1) << 42) + NS_PER_MS,
		INT64_MAX - T0,
	};
	struct made made = tcp(false, 1, 1), other = tcp(false, 2, 2);
	(void)state;

	for (unsigned i = 0; i < sizeof(leaps) / sizeof(leaps[0]); i++) {
		struct duplicate *duplicate = open_plain();
		assert_false(is_copy(duplicate, &made, T0));
		assert_false(is_copy(duplicate, &other, T0 + leaps[i]));
		assert_false(is_copy(duplicate, &made, T0 + leaps[i]));
		assert_true(is_copy(duplicate, &made, T0 + leaps[i]));
		// The same captures once more: not even at the same times.
		assert_false(is_copy(duplicate, &other, T0));
		free(duplicate);
	}
	// Times from zero on.
	struct duplicate *duplicate = open_plain();
	assert_false(is_copy(duplicate, &made, 0));
	assert_true(is_copy(duplicate, &made, 1));
	free(duplicate);
}

static void full_memory_forgets_the_oldest_and_says_so(void **state) {
	struct duplicate_config config = defaults();
	config.n_packets = DUPLICATE_MIN_PACKETS;
	struct duplicate *duplicate = open_with(&config);
	struct duplicate_stats stats;
	unsigned found = 0;
	(void)state;

	for (uint32_t i = 0; i < 1000; i++) {
		struct made made = tcp(false, (uint16_t)i, i);
		assert_false(is_copy(duplicate, &made, T0 + i * 1000));
	}
	for (uint32_t i = 0; i < 1000; i++) {
		struct made made = tcp(false, (uint16_t)i, i);
		found += is_copy(duplicate, &made, T0 + 1000000 + i);
	}
	duplicate_stats(duplicate, &stats);
	assert_true(found < DUPLICATE_MIN_PACKETS);
	assert_true(stats.forgotten > 900);
	assert_int_equal(stats.duplicates, found);
	// When the window is over there is nothing to forget.
	uint64_t before = stats.forgotten;
	for (uint32_t i = 0; i < 16; i++) {
		struct made made = tcp(false, (uint16_t)i, i + 5000);
		assert_false(is_copy(duplicate, &made, T0 + NS_PER_S + i * 10 * NS_PER_MS));
	}
	duplicate_stats(duplicate, &stats);
	assert_int_equal(stats.forgotten, before);
	free(duplicate);
}

static void what_would_not_be_metered_and_what_is_marked_is_left_alone(void **state) {
	struct duplicate *duplicate = open_plain();
	const struct meter meter = {.link = LINK_ETHERNET, .in_if = 1};
	struct made good = tcp(false, 1, 1);
	struct duplicate_stats stats;
	(void)state;

	struct made broken[] = {good, good, good, good, good, tcp(true, 1, 1)};
	broken[0].octets[12] = 0x06;                         // no IP
	broken[1].octets[14] = 0x65;                         // another version
	broken[2].octets[14] = 0x43;                         // no such header
	wire_put16(broken[3].octets + broken[3].ip + 2, 19); // shorter than its header
	broken[4].bytes = 14 + 19;                           // cut short
	broken[5].bytes = 14 + 39;
	for (unsigned i = 0; i < 6; i++)
		for (unsigned copy = 0; copy < 2; copy++)
			assert_false(is_copy(duplicate, &broken[i], T0));

	struct frame frames[4];
	for (unsigned i = 0; i < 4; i++) {
		frames[i] = (struct frame){
			.data = good.octets,
			.captured_bytes = good.bytes,
			.wire_bytes = good.bytes,
			.time_ns = T0,
		};
	}
	frame_set_mark(&frames[0], FRAME_FILTERED);
	frame_set_mark(&frames[2], FRAME_NOT_SAMPLED);
	assert_int_equal(duplicate_mark(duplicate, &meter, frames, 4), 1);
	assert_int_equal(frames[0].mark, FRAME_FILTERED);
	assert_int_equal(frames[1].mark, FRAME_PLAIN);
	assert_int_equal(frames[2].mark, FRAME_NOT_SAMPLED);
	assert_int_equal(frames[3].mark, FRAME_DUPLICATE);
	duplicate_stats(duplicate, &stats);
	assert_int_equal(stats.examined, 2);
	free(duplicate);
}

static void config_out_of_range_is_refused(void **state) {
	struct duplicate_config wrong[6];
	uint8_t memory[64];
	(void)state;

	for (unsigned i = 0; i < 6; i++)
		wrong[i] = defaults();
	wrong[0].window_ns = DUPLICATE_LEAST_WINDOW_NS - 1;
	wrong[1].window_ns = DUPLICATE_MOST_WINDOW_NS + 1;
	wrong[2].n_packets = DUPLICATE_MIN_PACKETS - 1;
	wrong[3].n_packets = DUPLICATE_MAX_PACKETS + 1;
	wrong[4].copies = 0;
	wrong[5].copies = DUPLICATE_MOST_COPIES + 1;
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(duplicate_size(&wrong[i]), 0);
		errno = 0;
		assert_null(duplicate_init(memory, &wrong[i]));
		assert_int_equal(errno, EINVAL);
	}
	assert_in_range(duplicate_packets_of(5 * NS_PER_MS), 297000, 298000);
	assert_int_equal(duplicate_packets_of(0), 1 << 16);
	assert_in_range(duplicate_packets_of(NS_PER_S), 1 << 24, DUPLICATE_MAX_PACKETS);
}

// A plain model: everything seen, compared octet by octet.
struct model_packet {
	uint8_t octets[DUPLICATE_OCTETS];
	uint32_t n_octets;
	time_ns_t time_ns;
	unsigned left;
};

enum {
	MODEL_PACKETS = 512, // more than come in a window
};

struct model {
	struct model_packet packets[MODEL_PACKETS];
	unsigned n;
};

static bool model_is_copy(struct model *model, enum link_type link, const struct frame *frame) {
	struct model_packet seen = {.time_ns = frame->time_ns, .left = 1};
	struct packet_link layer;
	struct packet packet;

	if (packet_parse(&packet, link, frame->data, frame->captured_bytes, frame->wire_bytes)
	    != PACKET_METERED)
		return false;
	assert_int_equal(
		packet_link_walk(&layer, link, frame->data, frame->captured_bytes), PACKET_METERED
	);
	bool ipv6 = packet.key.family == FLOW_IPV6;
	uint32_t there = frame->captured_bytes - layer.ip_offset;
	uint32_t octets = wire_get16(frame->data + layer.ip_offset + (ipv6 ? 4 : 2));
	if (octets > 0)
		there = octets + (ipv6 ? 40 : 0) < there ? octets + (ipv6 ? 40 : 0) : there;
	seen.n_octets = there < DUPLICATE_OCTETS ? there : DUPLICATE_OCTETS;
	memcpy(seen.octets, frame->data + layer.ip_offset, seen.n_octets);
	for (unsigned i = 0; i < MODEL_PACKETS; i++) {
		struct model_packet *before = &model->packets[i];
		int64_t steps = (seen.time_ns >> 10) - (before->time_ns >> 10);
		if (before->left > 0 && llabs(steps) <= WINDOW_NS >> 10
		    && before->n_octets == seen.n_octets
		    && memcmp(before->octets, seen.octets, seen.n_octets) == 0) {
			before->left--;
			return true;
		}
	}
	model->packets[model->n++ % MODEL_PACKETS] = seen;
	return false;
}

// Frames of every kind, one in three of which comes again, whole bursts at a time.
static void any_traffic_gives_what_comparing_every_octet_gives(void **state) {
	static const enum link_type links[] = {
		LINK_ETHERNET,
		LINK_ETHERNET,
		LINK_ETHERNET,
		LINK_RAW,
		LINK_SLL,
		LINK_SLL2,
		LINK_PPP,
		LINK_PPPOE,
		LINK_CISCO_HDLC};
	enum { MOST = 100 };
	static uint8_t octets[MOST][MADE_FRAME_MAX];
	static struct model model;
	uint64_t n_copies = 0, n_all = 0;
	(void)state;

	for (unsigned l = 0; l < sizeof(links) / sizeof(links[0]); l++) {
		const struct meter meter = {.link = links[l], .in_if = 1};
		struct duplicate *duplicate = open_plain();
		struct random random = {l + 1};
		struct frame frames[MOST];
		time_ns_t now = T0;

		memset(&model, 0, sizeof(model));
		for (unsigned round = 0; round < TEST_ROUNDS(500u); round++) {
			unsigned n = 1 + random_below(&random, MOST);
			for (unsigned i = 0; i < n; i++) {
				uint32_t bytes = make_frame(&random, links[l], octets[i], 50);
				if (i > 0 && random_below(&random, 3) == 0) {
					uint32_t from = random_below(&random, i);
					bytes = frames[from].captured_bytes;
					memcpy(octets[i], octets[from], bytes);
				}
				uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
				assert_non_null(copy);
				memcpy(copy, octets[i], bytes);
				now += random_below(&random, 200000);
				frames[i] = (struct frame){
					.data = copy,
					.captured_bytes = bytes,
					.wire_bytes = bytes,
					.time_ns = now,
				};
			}
			bool wanted[MOST];
			for (unsigned i = 0; i < n; i++)
				wanted[i] = model_is_copy(&model, links[l], &frames[i]);
			n_copies += duplicate_mark(duplicate, &meter, frames, n);
			n_all += n;
			for (unsigned i = 0; i < n; i++) {
				assert_int_equal(frames[i].mark == FRAME_DUPLICATE, wanted[i]);
				free((void *)(uintptr_t)frames[i].data);
			}
		}
		free(duplicate);
	}
	assert_in_range(n_copies, n_all / 10, n_all / 3);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy_counts_within_the_window_in_both_directions_of_time),
		cmocka_unit_test(link_layer_does_not_matter),
		cmocka_unit_test(retransmission_is_a_packet_of_its_own),
		cmocka_unit_test(every_octet_of_the_first_96_counts_and_none_behind),
		cmocka_unit_test(padding_of_the_frame_is_not_compared),
		cmocka_unit_test(routed_copies_are_found_only_if_asked_for_and_one_hop_away),
		cmocka_unit_test(equal_packets_that_are_all_mirrored_count_exactly_in_any_order),
		cmocka_unit_test(flood_of_one_packet_is_at_worst_halved),
		cmocka_unit_test(fragments_are_told_apart),
		cmocka_unit_test(copies_are_counted_by_the_ports_of_both),
		cmocka_unit_test(clock_that_goes_back_or_leaps_forgets),
		cmocka_unit_test(full_memory_forgets_the_oldest_and_says_so),
		cmocka_unit_test(what_would_not_be_metered_and_what_is_marked_is_left_alone),
		cmocka_unit_test(config_out_of_range_is_refused),
		cmocka_unit_test(any_traffic_gives_what_comparing_every_octet_gives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
