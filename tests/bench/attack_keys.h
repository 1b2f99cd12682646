// Attack keys: flow keys that all have one value of a hash which is not weir's, and keys that fall
// into one bucket of weir's cache for who knows its secret.
//
// CRC, Toeplitz and XOR are linear over the bits of a key: differences that do not change the hash
// are the kernel of a linear map, found by elimination, and hold for every seed. Of xxHash with
// a known seed the last step is solved backwards.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "flow_cache.h"
#include "flow_key.h"

enum attack {
	ATTACK_NONE, // keys by chance: what the others are compared with
	ATTACK_CRC32C,
	ATTACK_TOEPLITZ, // with the symmetric key 6d5a... that many use for RSS
	ATTACK_XOR,
	ATTACK_XXHASH, // XXH64 of the 40 octets, seed 0; IPv6
	ATTACK_BUCKET, // one bucket and one tag, with the secret known
	ATTACK_KINDS
};

const char *attack_name(enum attack attack);

// Fills `keys` with `n` different keys. For ATTACK_BUCKET of `cache`, whose secret is the fixed
// one. False, with a line on standard error, where they do not collide as they should.
bool attack_keys(
	enum attack attack, const struct flow_cache *cache, struct flow_key *keys, uint32_t n
);
