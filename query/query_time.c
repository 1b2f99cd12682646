#include "query_time.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "units.h"

// Exactly `n` digits.
static bool digits(const char **at, unsigned n, int *value) {
	*value = 0;
	for (unsigned i = 0; i < n; i++, ++*at) {
		if (!isdigit((unsigned char)**at))
			return false;
		*value = *value * 10 + (**at - '0');
	}
	return true;
}

// ".5", at most nine digits.
static bool decimals(const char **at, time_ns_t *ns) {
	time_ns_t unit = NS_PER_S / 10;

	*ns = 0;
	if (**at != '.')
		return true;
	for (++*at; isdigit((unsigned char)**at) && unit > 0; ++*at, unit /= 10)
		*ns += unit * (**at - '0');
	return unit < NS_PER_S / 10 && !isdigit((unsigned char)**at);
}

// Z, +01:00, +0100, or nothing, which is UTC.
static bool offset(const char **at, int *seconds) {
	int hours, minutes, sign = **at == '-' ? -1 : 1;

	*seconds = 0;
	if (**at == 'Z' || **at == 'z') {
		++*at;
		return true;
	}
	if (**at != '+' && **at != '-')
		return true;
	++*at;
	if (!digits(at, 2, &hours))
		return false;
	*at += **at == ':' ? 1 : 0;
	if (!digits(at, 2, &minutes) || hours > 14 || minutes > 59)
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool days_of_month_hold(const struct tm *tm) {
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = tm->tm_year + 1900;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return tm->tm_mday >= 1 && tm->tm_mday <= days[tm->tm_mon] + (leap && tm->tm_mon == 1);
}

static int parse_date(const char *at, time_ns_t *time_ns) {
	struct tm tm = {0};
	time_ns_t ns = 0;
	int east = 0;

	if (!digits(&at, 4, &tm.tm_year) || *at++ != '-' || !digits(&at, 2, &tm.tm_mon)
	    || *at++ != '-' || !digits(&at, 2, &tm.tm_mday))
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (*at == 'T' || *at == 't' || *at == ' ') {
		at++;
		if (!digits(&at, 2, &tm.tm_hour) || *at++ != ':' || !digits(&at, 2, &tm.tm_min))
			return -EINVAL;
		if (*at == ':') {
			at++;
			if (!digits(&at, 2, &tm.tm_sec) || !decimals(&at, &ns))
				return -EINVAL;
		}
		if (!offset(&at, &east))
			return -EINVAL;
	} else if (*at == 'Z') {
		at++;
	}
	if (*at != '\0' || tm.tm_mon < 0 || tm.tm_mon > 11 || !days_of_month_hold(&tm)
	    || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	int64_t seconds = timegm(&tm) - east;
	if (seconds < 0 || seconds >= TIME_NS_MAX / NS_PER_S)
		return -ERANGE;
	*time_ns = seconds * NS_PER_S + ns;
	return 0;
}

int query_time_parse(const char *text, time_ns_t now_ns, time_ns_t *time_ns) {
	time_ns_t back, ns;
	size_t n_digits = strspn(text, "0123456789");

	if (strcmp(text, "now") == 0) {
		*time_ns = now_ns;
		return 0;
	}
	if (text[0] == '-') {
		int rc = units_duration(text + 1, &back);
		if (rc < 0)
			return rc;
		if (back > now_ns)
			return -ERANGE;
		*time_ns = now_ns - back;
		return 0;
	}
	if (n_digits == 0 || (text[n_digits] != '\0' && text[n_digits] != '.'))
		return parse_date(text, time_ns);
	// Seconds since 1970; by strtod() half a day in nanoseconds would be lost.
	const char *rest = text + n_digits;
	if (!decimals(&rest, &ns) || *rest != '\0')
		return -EINVAL;
	if (n_digits > 10 || strtoll(text, NULL, 10) >= TIME_NS_MAX / NS_PER_S)
		return -ERANGE;
	*time_ns = strtoll(text, NULL, 10) * NS_PER_S + ns;
	return 0;
}

void query_time_text(time_ns_t time_ns, char *text) {
	time_ns_t ns = time_ns % NS_PER_S;
	time_t seconds = time_ns / NS_PER_S;
	struct tm tm;

	if (ns < 0) {
		ns += NS_PER_S;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	size_t used = strftime(text, TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	char *end = text + used;
	size_t left = TIME_TEXT_BYTES - used;
	if (ns % NS_PER_MS != 0 && ns % NS_PER_US != 0)
		snprintf(end, left, ".%09dZ", (int)ns);
	else if (ns % NS_PER_MS != 0)
		snprintf(end, left, ".%06dZ", (int)(ns / NS_PER_US));
	else if (ns != 0)
		snprintf(end, left, ".%03dZ", (int)(ns / NS_PER_MS));
	else
		snprintf(end, left, "Z");
}

void query_duration_text(time_ns_t duration_ns, char *text) {
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"d", UINT64_C(86400000000000)},
		{"h", UINT64_C(3600000000000)},
		{"m", UINT64_C(60000000000)},
		{"s", UINT64_C(1000000000)},
		{"ms", UINT64_C(1000000)},
		{"us", UINT64_C(1000)},
		{"ns", 1},
	};
	uint64_t left = duration_ns < 0 ? -(uint64_t)duration_ns : (uint64_t)duration_ns;
	size_t used = 0;
	unsigned n_units = 0;

	if (left == 0) {
		snprintf(text, TIME_TEXT_BYTES, "0s");
		return;
	}
	if (duration_ns < 0)
		text[used++] = '-';
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && n_units < 3; i++) {
		if (left < units[i].ns && n_units == 0)
			continue;
		n_units++;
		if (left >= units[i].ns)
			used += (size_t)snprintf(
				text + used,
				TIME_TEXT_BYTES - used,
				"%llu%s",
				(unsigned long long)(left / units[i].ns),
				units[i].name
			);
		left %= units[i].ns;
	}
}
