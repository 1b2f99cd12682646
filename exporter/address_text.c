#include "address_text.h"

#include "wire.h"

static const char digits[] = "0123456789abcdef";

static char *put_octet(char *at, unsigned v) {
	if (v >= 100) {
		*at++ = (char)('0' + v / 100);
		v %= 100;
		*at++ = (char)('0' + v / 10);
	} else if (v >= 10) {
		*at++ = (char)('0' + v / 10);
	}
	*at++ = (char)('0' + v % 10);
	return at;
}

static char *put_ipv4(char *at, const uint8_t *address) {
	for (unsigned i = 0; i < 4; i++) {
		if (i != 0)
			*at++ = '.';
		at = put_octet(at, address[i]);
	}
	return at;
}

static char *put_group(char *at, unsigned v) {
	if (v >= 0x1000)
		*at++ = digits[v >> 12];
	if (v >= 0x100)
		*at++ = digits[v >> 8 & 15];
	if (v >= 0x10)
		*at++ = digits[v >> 4 & 15];
	*at++ = digits[v & 15];
	return at;
}

unsigned address_text_ipv4(const uint8_t *address, char *text) {
	return (unsigned)(put_ipv4(text, address) - text);
}

unsigned address_text_ipv6(const uint8_t *address, char *text) {
	unsigned groups[8], best = 8, best_n = 1; // one group of zeros is not shortened
	char *at = text;

	for (unsigned i = 0; i < 8; i++)
		groups[i] = wire_get16(address + 2 * (size_t)i);
	for (unsigned i = 0; i < 8;) {
		unsigned n = 0;
		while (i + n < 8 && groups[i + n] == 0)
			n++;
		if (n > best_n) { // the first of the longest
			best = i;
			best_n = n;
		}
		i += n + 1;
	}
	for (unsigned i = 0; i < 8; i++) {
		if (i == best) {
			*at++ = ':';
			i += best_n - 1;
			if (i == 7)
				*at++ = ':';
			continue;
		}
		if (i != 0)
			*at++ = ':';
		// IPv4-compatible and IPv4-mapped addresses, as inet_ntop() shows them.
		if (i == 6 && best == 0 && (best_n == 6 || (best_n == 5 && groups[5] == 0xffff)))
			return (unsigned)(put_ipv4(at, address + 12) - text);
		at = put_group(at, groups[i]);
	}
	return (unsigned)(at - text);
}

unsigned address_text_mac(const uint8_t *address, char *text) {
	char *at = text;
	for (unsigned i = 0; i < 6; i++) {
		if (i != 0)
			*at++ = ':';
		*at++ = digits[address[i] >> 4];
		*at++ = digits[address[i] & 15];
	}
	return (unsigned)(at - text);
}
