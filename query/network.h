// Network: a block of IPv4 or IPv6 addresses, such as 10.0.0.0/8, and whether an address that is
// text lies in it.
//
// Pure.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NETWORK_PREFIX_BYTES = 48,
};

struct network {
	bool ipv6;
	unsigned n_bits;
	uint8_t address[16]; // the bits behind the first n_bits are 0
};

// "10.0.0.0/8", "2001:db8::/32", or one address. -EINVAL where it is none.
[[nodiscard]] int network_parse(struct network *network, const char *text, size_t n);

// An address of `n` octets of text. Returns 4 or 6, or 0 where it is none.
unsigned network_address(const char *text, size_t n, uint8_t *address);

// Whether the address lies in the network; not where it is no address.
bool network_has(const struct network *network, const char *text, size_t n);

// Octets that the text of each address in the network begins with, as inet_ntop() writes it.
// Returns how many; 0 says nothing.
unsigned network_prefix(const struct network *network, char *prefix);
