#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

// The plain form alone, which is what the archive has: four numbers without zeros before them.
static bool ipv4_of(const char *text, size_t n, uint8_t *address) {
	const char *at = text, *end = text + n;

	for (unsigned i = 0; i < 4; i++) {
		const char *first = at;
		unsigned value = 0;
		while (at < end && *at >= '0' && *at <= '9' && at - first < 3)
			value = value * 10 + (unsigned)(*at++ - '0');
		if (at == first || value > 255 || (*first == '0' && at - first > 1))
			return false;
		address[i] = (uint8_t)value;
		if (i < 3 && (at == end || *at++ != '.'))
			return false;
	}
	return at == end;
}

unsigned network_address(const char *text, size_t n, uint8_t *address) {
	char ended[INET6_ADDRSTRLEN];

	if (ipv4_of(text, n, address))
		return 4;
	// What is cut off here has no 0 inside: it would end an address early.
	if (n >= sizeof(ended) || memchr(text, ':', n) == NULL || memchr(text, 0, n) != NULL)
		return 0;
	memcpy(ended, text, n);
	ended[n] = '\0';
	return inet_pton(AF_INET6, ended, address) == 1 ? 6 : 0;
}

int network_parse(struct network *network, const char *text, size_t n) {
	const char *slash = memchr(text, '/', n);
	size_t n_address = slash == NULL ? n : (size_t)(slash - text);
	unsigned bits, family;

	*network = (struct network){0};
	family = network_address(text, n_address, network->address);
	if (family == 0)
		return -EINVAL;
	network->ipv6 = family == 6;
	bits = family == 6 ? 128 : 32;
	network->n_bits = bits;
	if (slash != NULL) {
		size_t n_digits = n - n_address - 1;
		unsigned value = 0;
		if (n_digits < 1 || n_digits > 3)
			return -EINVAL;
		for (size_t i = 1; i <= n_digits; i++) {
			if (slash[i] < '0' || slash[i] > '9')
				return -EINVAL;
			value = value * 10 + (unsigned)(slash[i] - '0');
		}
		if (value > bits)
			return -EINVAL;
		network->n_bits = value;
	}
	for (unsigned bit = network->n_bits; bit < bits; bit++)
		network->address[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
	return 0;
}

bool network_has(const struct network *network, const char *text, size_t n) {
	unsigned whole = network->n_bits / 8, rest = network->n_bits % 8;
	uint8_t address[16];

	// Most addresses are IPv4, and a network of the other kind need not read them.
	if (network->ipv6 && n > 0 && n < 16 && memchr(text, ':', n) == NULL)
		return false;
	if (network_address(text, n, address) != (network->ipv6 ? 6 : 4))
		return false;
	if (memcmp(address, network->address, whole) != 0)
		return false;
	return rest == 0 || (address[whole] ^ network->address[whole]) >> (8 - rest) == 0;
}

unsigned network_prefix(const struct network *network, char *prefix) {
	unsigned n = 0;

	if (!network->ipv6) {
		for (unsigned i = 0; i < network->n_bits / 8; i++)
			n += (unsigned)snprintf(
				prefix + n,
				NETWORK_PREFIX_BYTES - n,
				i < 3 ? "%u." : "%u",
				network->address[i]
			);
		return n;
	}
	// Groups that are not 0 are never part of "::".
	for (unsigned i = 0; i < network->n_bits / 16; i++) {
		unsigned group =
			(unsigned)network->address[2 * i] << 8 | network->address[2 * i + 1];
		if (group == 0)
			break;
		n += (unsigned
		)snprintf(prefix + n, NETWORK_PREFIX_BYTES - n, i < 7 ? "%x:" : "%x", group);
	}
	return n;
}
