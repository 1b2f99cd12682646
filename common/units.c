#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	double factor;
};

// A decimal number, not negative, and one of `units` after it. `bare` says whether a number
// other than 0 may stand alone.
static int
parse(const char *text, const struct unit *units, size_t n_units, bool bare, double *value) {
	char *end;

	// strtod() would also take "inf", "0x10" and leading space.
	if (!isdigit((unsigned char)text[0]) || text[strspn(text, "0123456789.")] == 'x')
		return -EINVAL;
	errno = 0;
	*value = strtod(text, &end);
	if (errno != 0)
		return -ERANGE;
	if (*end == '\0')
		return bare || *value == 0 ? 0 : -EINVAL;
	for (size_t i = 0; i < n_units; i++)
		if (strcmp(end, units[i].name) == 0) {
			*value *= units[i].factor;
			return 0;
		}
	return -EINVAL;
}

int units_duration(const char *text, time_ns_t *duration_ns) {
	static const struct unit units[] = {
		{"ns", 1},
		{"us", 1e3},
		{"ms", 1e6},
		{"s", 1e9},
		{"m", 60e9},
		{"min", 60e9},
		{"h", 3600e9},
		{"d", 86400e9},
	};
	double value;
	int rc = parse(text, units, sizeof(units) / sizeof(units[0]), false, &value);

	if (rc < 0)
		return rc;
	if (value > 9e18)
		return -ERANGE;
	*duration_ns = llround(value);
	return 0;
}

static int
parse_whole(const char *text, const struct unit *units, size_t n_units, uint64_t *whole) {
	double value;
	int rc = parse(text, units, n_units, true, &value);

	if (rc < 0)
		return rc;
	if (value > 9e15) // above this a double no longer holds every whole number
		return -ERANGE;
	if (value != floor(value))
		return -EINVAL;
	*whole = (uint64_t)value;
	return 0;
}

int units_count(const char *text, uint64_t *count) {
	static const struct unit units[] = {{"k", 1e3}, {"M", 1e6}, {"G", 1e9}};
	return parse_whole(text, units, sizeof(units) / sizeof(units[0]), count);
}

int units_bytes(const char *text, uint64_t *bytes) {
	static const struct unit units[] = {
		{"B", 1},
		{"KiB", 1024},
		{"MiB", 1048576},
		{"GiB", 1073741824},
		{"TiB", 1099511627776.0},
		{"kB", 1e3},
		{"MB", 1e6},
		{"GB", 1e9},
		{"TB", 1e12},
		{"K", 1024},
		{"M", 1048576},
		{"G", 1073741824},
	};
	return parse_whole(text, units, sizeof(units) / sizeof(units[0]), bytes);
}
