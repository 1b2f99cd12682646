// Top filter: which flows are looked at. Words, all of which must be true of a flow:
//
//   192.0.2.7  2001:db8::/32    one of its addresses is that, or in that network
//   443                         one of its ports is that
//   tcp, udp, icmp, icmp6, sctp, gre, esp    its protocol is that
//   vlan 7                      its VLAN
//   !WORD                       the word is not true of it
//
// Pure.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "flow_key.h"

enum {
	TOP_FILTER_TERMS = 8,
	TOP_FILTER_BYTES = 128, // of its text, with the NUL
	TOP_FILTER_ERROR_BYTES = 96,
};

enum top_term_kind {
	TOP_TERM_NETWORK,
	TOP_TERM_PORT,
	TOP_TERM_PROTO,
	TOP_TERM_VLAN,
};

struct top_term {
	enum top_term_kind kind;
	bool negated;
	uint8_t family; // of the network
	uint8_t address[16];
	unsigned bits;
	uint16_t number; // port, protocol, VLAN
};

struct top_filter {
	struct top_term terms[TOP_FILTER_TERMS];
	unsigned n; // 0 = all flows
	char text[TOP_FILTER_BYTES];
};

// 0, or -EINVAL with a line in `error` (TOP_FILTER_ERROR_BYTES); then `filter` is as before.
[[nodiscard]] int top_filter_parse(const char *text, struct top_filter *filter, char *error);

bool top_filter_matches(const struct top_filter *filter, const struct flow_key *key);

// "tcp", or NULL where it has no name here.
const char *top_proto_name(uint8_t proto);
