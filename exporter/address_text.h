// Address text: IPv4, IPv6 and MAC addresses as text, octet for octet what inet_ntop() and
// printf("%02x:...") write, in a tenth of their time.
//
// Pure.

#pragma once

#include <stdint.h>

enum {
	ADDRESS_TEXT_BYTES = 48, // room for any of them; more of it may be overwritten than is text
};

// Each writes to `text`, without an end, and returns the number of octets.
unsigned address_text_ipv4(const uint8_t *address, char *text);
unsigned address_text_ipv6(const uint8_t *address, char *text);
unsigned address_text_mac(const uint8_t *address, char *text);
