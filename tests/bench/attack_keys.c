#include "attack_keys.h"

#include <stdio.h>
#include <string.h>

#include <nmmintrin.h>

#include "flow_cache_internal.h"

typedef uint64_t (*hash_fn)(const struct flow_key *key);

static const char *const names[ATTACK_KINDS] = {
	[ATTACK_NONE] = "by chance",
	[ATTACK_CRC32C] = "crc32c",
	[ATTACK_TOEPLITZ] = "toeplitz 6d5a",
	[ATTACK_XOR] = "xor",
	[ATTACK_XXHASH] = "xxhash seed 0",
	[ATTACK_BUCKET] = "one bucket (secret known)",
};

const char *attack_name(enum attack attack) {
	return names[attack];
}

static uint64_t random64(uint64_t *state) { // splitmix64
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t hash_crc32c(const struct flow_key *key) {
	uint64_t crc = UINT32_MAX;
	for (unsigned i = 0; i < 5; i++)
		crc = _mm_crc32_u64(crc, key->words[i]);
	return crc;
}

// Over source, destination and ports, as NICs do.
static uint64_t hash_toeplitz(const struct flow_key *key) {
	uint8_t input[12];
	uint32_t hash = 0, window = 0x6d5a6d5a;

	memcpy(input, key->src4, 8);
	memcpy(input + 8, &key->src_port, 4);
	for (unsigned bit = 0; bit < 96; bit++) {
		if (input[bit / 8] & 0x80 >> bit % 8)
			hash ^= window;
		window = window << 1 | (0x6d5a >> (15 - bit % 16) & 1);
	}
	return hash;
}

static uint64_t hash_xor(const struct flow_key *key) {
	uint64_t x = key->words[0] ^ key->words[1] ^ key->words[2] ^ key->words[3] ^ key->words[4];
	return (x ^ x >> 32) & UINT32_MAX;
}

// The bits of an IPv4 key that a sender chooses: ports, then addresses.
static void flip(struct flow_key *key, unsigned bit) {
	if (bit < 32)
		key->words[0] ^= UINT64_C(1) << bit;
	else
		key->words[1] ^= UINT64_C(1) << (bit - 32);
}

static struct flow_key base_key(enum flow_family family) {
	struct flow_key key = {.proto = 17, .family = (uint8_t)family};
	return key;
}

// Keys of one hash value: any sum of differences that the hash does not see.
static void linear_keys(hash_fn hash, struct flow_key *keys, uint32_t n) {
	enum { FREE_BITS = 96 };
	struct {
		uint64_t image;
		uint64_t low, high;
	} pivots[64] = {0};
	uint64_t low[FREE_BITS], high[FREE_BITS];
	unsigned n_kernel = 0;
	uint64_t state = 1;
	const struct flow_key base = base_key(FLOW_IPV4);

	for (unsigned bit = 0; bit < FREE_BITS; bit++) {
		struct flow_key key = base;
		flip(&key, bit);
		uint64_t image = hash(&key) ^ hash(&base);
		uint64_t l = bit < 64 ? UINT64_C(1) << bit : 0,
			 h = bit < 64 ? 0 : UINT64_C(1) << (bit - 64);
		while (image != 0) {
			unsigned top = 63u - (unsigned)__builtin_clzll(image);
			if (pivots[top].image == 0) {
				pivots[top].image = image;
				pivots[top].low = l;
				pivots[top].high = h;
				break;
			}
			image ^= pivots[top].image;
			l ^= pivots[top].low;
			h ^= pivots[top].high;
		}
		if (image == 0) {
			low[n_kernel] = l;
			high[n_kernel++] = h;
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		uint64_t choice = random64(&state), l = 0, h = 0;
		for (unsigned j = 0; j < n_kernel && j < 64; j++) {
			if (choice >> j & 1) {
				l ^= low[j];
				h ^= high[j];
			}
		}
		keys[i] = base;
		for (unsigned bit = 0; bit < FREE_BITS; bit++)
			if ((bit < 64 ? l >> bit : h >> (bit - 64)) & 1)
				flip(&keys[i], bit);
	}
}

// XXH64 (Collet, xxHash specification 0.1.1) of 40 octets with seed 0.
#define XX1 UINT64_C(0x9e3779b185ebca87)
#define XX2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define XX3 UINT64_C(0x165667b19e3779f9)
#define XX4 UINT64_C(0x85ebca77c2b2ae63)

static uint64_t rotate(uint64_t x, unsigned n) {
	return x << n | x >> (64 - n);
}

static uint64_t xx_round(uint64_t lane, uint64_t input) {
	return rotate(lane + input * XX2, 31) * XX1;
}

// The state before the last 8 octets go in.
static uint64_t xx_before_last(const struct flow_key *key) {
	uint64_t lanes[4] = {XX1 + XX2, XX2, 0, -XX1};
	uint64_t hash = 0;

	for (unsigned i = 0; i < 4; i++)
		lanes[i] = xx_round(lanes[i], key->words[i]);
	for (unsigned i = 0; i < 4; i++)
		hash += rotate(lanes[i], (const unsigned[]){1, 7, 12, 18}[i]);
	for (unsigned i = 0; i < 4; i++)
		hash = (hash ^ xx_round(0, lanes[i])) * XX1 + XX4;
	return hash + sizeof(*key);
}

static uint64_t hash_xxhash(const struct flow_key *key) {
	uint64_t hash = xx_before_last(key) ^ xx_round(0, key->words[4]);

	hash = rotate(hash, 27) * XX1 + XX4;
	hash = (hash ^ hash >> 33) * XX2;
	hash = (hash ^ hash >> 29) * XX3;
	return hash ^ hash >> 32;
}

// Of an odd number, modulo 2^64, by Newton's iteration.
static uint64_t inverse(uint64_t odd) {
	uint64_t x = odd;
	for (unsigned i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

static void xxhash_keys(struct flow_key *keys, uint32_t n) {
	const uint64_t wanted = UINT64_C(0x77656972); // the state behind the last 8 octets
	uint64_t state = 2;

	for (uint32_t i = 0; i < n; i++) {
		struct flow_key key = base_key(FLOW_IPV6);
		key.src_port = (uint16_t)random64(&state);
		key.words[1] = random64(&state);
		key.words[2] = random64(&state);
		key.words[3] = random64(&state);
		uint64_t round = xx_before_last(&key) ^ wanted;
		key.words[4] = rotate(round * inverse(XX1), 64 - 31) * inverse(XX2);
		keys[i] = key;
	}
}

static struct flow_key chance_key(uint64_t *state) {
	struct flow_key key = base_key(FLOW_IPV4);
	key.words[0] |= random64(state) & UINT32_MAX;
	key.words[1] = random64(state);
	return key;
}

static bool same_place(const struct flow_cache *cache, uint64_t a, uint64_t b) {
	return flow_cache_bucket(cache, a) == flow_cache_bucket(cache, b)
	       && flow_cache_tag(a) == flow_cache_tag(b);
}

static void bucket_keys(const struct flow_cache *cache, struct flow_key *keys, uint32_t n) {
	uint64_t state = 3;
	uint64_t wanted = 0;

	for (uint32_t found = 0; found < n;) {
		struct flow_key key = chance_key(&state);
		uint64_t hash = flow_key_hash(&key, &flow_secret_fixed);
		if (found == 0)
			wanted = hash;
		if (same_place(cache, hash, wanted))
			keys[found++] = key;
	}
}

bool attack_keys(
	enum attack attack, const struct flow_cache *cache, struct flow_key *keys, uint32_t n
) {
	static const hash_fn hashes[ATTACK_KINDS] = {
		[ATTACK_CRC32C] = hash_crc32c,
		[ATTACK_TOEPLITZ] = hash_toeplitz,
		[ATTACK_XOR] = hash_xor,
		[ATTACK_XXHASH] = hash_xxhash,
	};
	uint64_t state = 4;

	switch (attack) {
	case ATTACK_CRC32C:
	case ATTACK_TOEPLITZ:
	case ATTACK_XOR:
		linear_keys(hashes[attack], keys, n);
		break;
	case ATTACK_XXHASH:
		xxhash_keys(keys, n);
		break;
	case ATTACK_BUCKET:
		bucket_keys(cache, keys, n);
		break;
	default:
		for (uint32_t i = 0; i < n; i++)
			keys[i] = chance_key(&state);
	}
	for (uint32_t i = 1; hashes[attack] != NULL && i < n; i++) {
		if (hashes[attack](&keys[i]) != hashes[attack](&keys[0])) {
			fprintf(stderr, "%s: key %u does not collide\n", names[attack], i);
			return false;
		}
	}
	return true;
}
