// Units: numbers as people write them on a command line. Each returns 0, or -EINVAL where the
// text is not such a number and -ERANGE where it lies outside what the type holds.

#pragma once

#include <stdint.h>

#include "clock.h"

// "60s", "500ms", "1.5m", "2h", "1d", "250us", "0". A unit is asked for: nobody should have
// to guess what "15" meant.
int units_duration(const char *text, time_ns_t *duration_ns);

// "1000000", "64k", "4M": decimal multiples.
int units_count(const char *text, uint64_t *count);

// "512MiB", "1GiB", "64KiB", "1000000", also "1GB" for 10^9.
int units_bytes(const char *text, uint64_t *bytes);
