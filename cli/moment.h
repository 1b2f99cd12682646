// Moments: points in time as people write them on a command line. UTC, as everywhere in weir.

#pragma once

#include "clock.h"

// "2026-11-24", "2026-11-24T10", "2026-11-24T10:30", "2026-11-24 10:30:15.250", each also with a
// Z, "@1795514400" (seconds since 1970), or "now". Returns 0, or -EINVAL where it is no such
// moment.
int moment_parse(const char *text, time_ns_t now_ns, time_ns_t *moment_ns);

// What to write instead, for the user who was misunderstood.
#define MOMENT_EXAMPLES "use UTC, such as 2026-11-24, 2026-11-24T10:30 or 2026-11-24T10:30:15Z"

enum {
	MOMENT_TEXT_BYTES = 32,
};

// "2026-11-24T10:30:15.250Z", to the millisecond below.
void moment_text(char *text, time_ns_t moment_ns);
