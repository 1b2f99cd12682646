// Top names: the names of addresses, asked of DNS (or what nsswitch.conf(5) says) by a thread of
// its own, so that nobody waits. As many are kept as the table below holds; what is asked for while
// many wait already is asked for again later.
//
// Threads: one calls. Time: CLOCK_MONOTONIC, for how old a name is.

#pragma once

#include <stdbool.h>

#include "flow_key.h"

enum {
	TOP_NAME_BYTES = 64, // longer names are cut
};

struct top_names;

// NULL where there is no memory, or no thread.
[[nodiscard]] struct top_names *top_names_new(void);

// The name of a key's source or destination into `out` (TOP_NAME_BYTES), printable ASCII. False
// where it has none, or none is known yet: then the thread looks.
bool top_names_get(struct top_names *names, const struct flow_key *key, bool source, char *out);

// Whether one came since the last call.
bool top_names_came(struct top_names *names);

// A thread that waits for DNS is not waited for: it ends with the program, and so the memory stays.
void top_names_end(struct top_names *names);
