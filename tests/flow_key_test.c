// The flow key's hash: that it depends on every bit of key and secret, and spreads.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "flow_key.h"

static struct flow_key some_key(uint32_t i) {
	struct flow_key key = {.proto = 6, .family = FLOW_IPV4, .dst_port = 80};
	key.src_port = (uint16_t)i;
	memcpy(key.src4, &i, 4);
	return key;
}

static struct flow_key some_key6(uint32_t i) {
	struct flow_key key = some_key(i);

	key.family = FLOW_IPV6;
	memset(key.src6, (int)(i & 0xff), sizeof(key.src6));
	memcpy(key.dst6 + 12, &i, 4);
	return key;
}

// Of the first `n_bits`: an IPv4 key has 128 that can differ.
static void assert_avalanche(struct flow_key (*key_of)(uint32_t i), unsigned n_bits) {
	unsigned least = 64, most = 0;
	uint64_t sum = 0;

	for (unsigned bit = 0; bit < n_bits; bit++) {
		unsigned changed = 0;
		for (uint32_t i = 0; i < 100; i++) {
			struct flow_key key = key_of(i * 7919);
			uint64_t before = flow_key_hash(&key, &flow_secret_fixed);
			key.words[bit / 64] ^= UINT64_C(1) << bit % 64;
			changed += (unsigned
			)__builtin_popcountll(before ^ flow_key_hash(&key, &flow_secret_fixed));
		}
		least = changed / 100 < least ? changed / 100 : least;
		most = changed / 100 > most ? changed / 100 : most;
		sum += changed;
	}
	assert_true(least >= 28 && most <= 36);
	assert_in_range(sum / n_bits / 100, 31, 32);
}

static void every_bit_of_an_ipv4_key_changes_about_half_of_the_hash(void **state) {
	(void)state;
	assert_avalanche(some_key, 128);
}

static void every_bit_of_an_ipv6_key_changes_about_half_of_the_hash(void **state) {
	(void)state;
	assert_avalanche(some_key6, 320);
}

static void another_secret_gives_another_hash(void **state) {
	struct flow_key key4 = some_key(1), key6 = some_key6(1);
	(void)state;

	for (unsigned word = 0; word < 8; word++) {
		struct flow_secret secret = flow_secret_fixed;
		secret.words[word] ^= 1;
		assert_true(
			flow_key_hash(&key6, &secret) != flow_key_hash(&key6, &flow_secret_fixed)
		);
		if (word < 2 || word > 5) // of the others IPv4 makes no use
			assert_true(
				flow_key_hash(&key4, &secret)
				!= flow_key_hash(&key4, &flow_secret_fixed)
			);
	}
}

// Counting keys are what scanners and load generators send.
static void counting_keys_fill_buckets_evenly(void **state) {
	static unsigned load[1000];
	(void)state;

	for (uint32_t i = 0; i < 100000; i++) {
		struct flow_key key = some_key(i);
		uint64_t hash = flow_key_hash(&key, &flow_secret_fixed);
		load[(hash & UINT32_MAX) * 1000 >> 32]++;
	}
	// Poisson of mean 100: beyond six standard deviations once in a billion.
	for (unsigned i = 0; i < 1000; i++)
		assert_in_range(load[i], 40, 160);
}

static void equality_sees_every_octet(void **state) {
	struct flow_key a = some_key(1), b;
	(void)state;

	assert_true(flow_key_equal(&a, &a));
	for (unsigned i = 0; i < sizeof(a); i++) {
		b = a;
		((uint8_t *)&b)[i] ^= 0x40;
		assert_false(flow_key_equal(&a, &b));
	}
}

static void random_secrets_differ(void **state) {
	struct flow_secret a, b;
	(void)state;

	assert_int_equal(flow_secret_random(&a), 0);
	assert_int_equal(flow_secret_random(&b), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

static struct flow_key reversed(const struct flow_key *key) {
	struct flow_key other = *key;

	other.src_port = key->dst_port;
	other.dst_port = key->src_port;
	if (key->family == FLOW_IPV4) {
		memcpy(other.src4, key->dst4, sizeof(key->dst4));
		memcpy(other.dst4, key->src4, sizeof(key->src4));
	} else {
		memcpy(other.src6, key->dst6, sizeof(key->dst6));
		memcpy(other.dst6, key->src6, sizeof(key->src6));
	}
	return other;
}

static void both_directions_go_to_one_worker(void **state) {
	(void)state;
	for (uint32_t i = 1; i < 10000; i++) {
		struct flow_key keys[] = {some_key(i * 7919), some_key6(i * 104729)};
		for (unsigned j = 0; j < 2; j++) {
			struct flow_key back = reversed(&keys[j]);
			assert_false(flow_key_equal(&keys[j], &back));
			for (unsigned n = 1; n <= 64; n = 2 * n + 1)
				assert_int_equal(
					flow_key_worker(&keys[j], &flow_secret_fixed, n),
					flow_key_worker(&back, &flow_secret_fixed, n)
				);
		}
	}
}

static void an_answer_to_a_ping_goes_where_the_ping_went(void **state) {
	struct flow_key ping = some_key(1), ping6 = some_key6(1);
	(void)state;

	ping.proto = 1;
	ping6.proto = 58;
	ping.src_port = ping6.src_port = 0;
	ping.dst_port = rte_cpu_to_be_16(0x0800);
	ping6.dst_port = rte_cpu_to_be_16(0x8000);
	struct flow_key pong = reversed(&ping), pong6 = reversed(&ping6);
	pong.src_port = pong.dst_port = 0;
	pong6.src_port = 0;
	pong6.dst_port = rte_cpu_to_be_16(0x8100);
	assert_true(
		flow_key_conversation_hash(&ping, &flow_secret_fixed)
		== flow_key_conversation_hash(&pong, &flow_secret_fixed)
	);
	assert_true(
		flow_key_conversation_hash(&ping6, &flow_secret_fixed)
		== flow_key_conversation_hash(&pong6, &flow_secret_fixed)
	);
}

static void conversations_are_spread_evenly(void **state) {
	enum { N = 60000, WORKERS = 6 };
	unsigned counts[WORKERS] = {0};
	(void)state;

	// Ends whose sums and differences are equal, which a plain XOR or sum would send to one.
	for (uint32_t i = 0; i < N; i++) {
		struct flow_key key = {.proto = 17, .family = FLOW_IPV4};
		uint32_t src = i, dst = N - i;
		memcpy(key.src4, &src, 4);
		memcpy(key.dst4, &dst, 4);
		key.src_port = key.dst_port = (uint16_t)i;
		counts[flow_key_worker(&key, &flow_secret_fixed, WORKERS)]++;
	}
	for (unsigned i = 0; i < WORKERS; i++)
		assert_in_range(counts[i], N / WORKERS * 9 / 10, N / WORKERS * 11 / 10);
}

static void the_secret_chooses_the_worker(void **state) {
	struct flow_secret other = flow_secret_fixed;
	unsigned n_moved = 0;
	(void)state;

	other.words[2] ^= 1;
	for (uint32_t i = 0; i < 1000; i++) {
		struct flow_key key = some_key(i);
		n_moved += flow_key_worker(&key, &flow_secret_fixed, 2)
			   != flow_key_worker(&key, &other, 2);
	}
	assert_in_range(n_moved, 400, 600);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bit_of_an_ipv4_key_changes_about_half_of_the_hash),
		cmocka_unit_test(every_bit_of_an_ipv6_key_changes_about_half_of_the_hash),
		cmocka_unit_test(another_secret_gives_another_hash),
		cmocka_unit_test(counting_keys_fill_buckets_evenly),
		cmocka_unit_test(equality_sees_every_octet),
		cmocka_unit_test(random_secrets_differ),
		cmocka_unit_test(both_directions_go_to_one_worker),
		cmocka_unit_test(an_answer_to_a_ping_goes_where_the_ping_went),
		cmocka_unit_test(conversations_are_spread_evenly),
		cmocka_unit_test(the_secret_chooses_the_worker),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
