// Field profile: what a destination is told of each flow, in every protocol and of both families.
// One of the named ones, or a user's choice:
//
//   standard                   what collectors know, and no more (docs/netflow.md)
//   minimal                    what they need to count: keys, times, counters, interfaces
//   standard+qinq, +mpls       and both VLAN tags, the outermost MPLS label
//   standard,-mac,+245         a named one changed, by the names of groups or elements, or by ids
//   8,12,7,11,4,1,2,22,21      a list of its own
//
// A choice is a set: in whatever order it is written, records have one layout, and what is told
// in other elements for IPv6 or in IPFIX is chosen with its twin (8 and 27, 21 and 153).
//
// Threads: pure functions. A profile is a plain struct.

#pragma once

#include "fields.h"

#define FIELD_PROFILE_ERROR_BYTES 256

// Which times NetFlow v9 tells: milliseconds of uptime (22, 21), absolute ones (152, 153).
enum field_timestamps { FIELD_UPTIME, FIELD_ABSOLUTE, FIELD_BOTH_TIMES };

struct field_profile {
	struct field_layout layouts[FIELD_PROTOCOLS][2]; // IPv4, IPv6
};

void field_profile_standard(struct field_profile *profile);

// Reads `text` as above. `timestamps` settles the times of v9 in the named profiles; a list says
// itself which it wants. Returns 0, or -EINVAL with one line in `error`
// (FIELD_PROFILE_ERROR_BYTES) that says what is wrong and what to write instead.
[[nodiscard]] int field_profile_parse(
	struct field_profile *profile,
	const char *text,
	enum field_timestamps timestamps,
	char *error
);

// "uptime", "absolute" or "both". Returns 0 or -EINVAL.
[[nodiscard]] int field_timestamps_parse(enum field_timestamps *timestamps, const char *text);
