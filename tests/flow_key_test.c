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

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bit_of_an_ipv4_key_changes_about_half_of_the_hash),
		cmocka_unit_test(every_bit_of_an_ipv6_key_changes_about_half_of_the_hash),
		cmocka_unit_test(another_secret_gives_another_hash),
		cmocka_unit_test(counting_keys_fill_buckets_evenly),
		cmocka_unit_test(equality_sees_every_octet),
		cmocka_unit_test(random_secrets_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
