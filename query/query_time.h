// Query time: times and durations as people write them in a query, and the other way round. All
// times are UTC.
//
// Pure.

#pragma once

#include <stddef.h>

#include "clock.h"

enum {
	TIME_TEXT_BYTES = 40,
};

// "2026-11-24", "2026-11-24T10:00", "2026-11-24 10:00:00.5", each also with Z or an offset such as
// +01:00; seconds since 1970 such as "1795514400"; "-1h", counted back from `now_ns`; "now".
// -EINVAL where it is none of these, -ERANGE where it lies before 1970 or after 2262.
[[nodiscard]] int query_time_parse(const char *text, time_ns_t now_ns, time_ns_t *time_ns);

// "2026-11-24T10:00:00Z", with as many decimals of a second, by threes, as it has.
void query_time_text(time_ns_t time_ns, char *text);

// "1h2m3s", "250ms", "0s": the three greatest units.
void query_duration_text(time_ns_t duration_ns, char *text);
