#include "moment.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

// A number of exactly `n_digits`, or -1.
static int number(const char **text, unsigned n_digits) {
	int value = 0;

	for (unsigned i = 0; i < n_digits; i++, (*text)++) {
		if (!isdigit((unsigned char)**text))
			return -1;
		value = value * 10 + (**text - '0');
	}
	return value;
}

static bool take(const char **text, char expected) {
	if (**text != expected)
		return false;
	(*text)++;
	return true;
}

// Up to nine digits behind the point. -1 where there are none, or more.
static int64_t fraction_ns(const char **text) {
	int64_t value = 0;
	unsigned n = 0;

	for (; isdigit((unsigned char)**text) && n < 9; n++, (*text)++)
		value = value * 10 + (**text - '0');
	if (n == 0 || isdigit((unsigned char)**text))
		return -1;
	for (; n < 9; n++)
		value *= 10;
	return value;
}

static int in_seconds(const char *text, time_ns_t *moment_ns) {
	int64_t seconds = 0, ns = 0;
	unsigned n = 0;

	for (; isdigit((unsigned char)*text) && n < 10; n++, text++)
		seconds = seconds * 10 + (*text - '0');
	if (n == 0 || seconds >= TIME_NS_MAX / NS_PER_S)
		return -EINVAL;
	if (take(&text, '.'))
		ns = fraction_ns(&text);
	if (ns < 0 || *text != '\0')
		return -EINVAL;
	*moment_ns = seconds * NS_PER_S + ns;
	return 0;
}

static bool is_date(const struct tm *tm) {
	struct tm same = *tm;
	time_t seconds = timegm(&same);

	// timegm() makes of February 30 March 1 or 2.
	return seconds >= 0 && seconds < TIME_NS_MAX / NS_PER_S && same.tm_mday == tm->tm_mday
	       && same.tm_mon == tm->tm_mon;
}

int moment_parse(const char *text, time_ns_t now_ns, time_ns_t *moment_ns) {
	struct tm tm = {0};
	int64_t ns = 0;

	if (strcmp(text, "now") == 0) {
		*moment_ns = now_ns;
		return 0;
	}
	if (text[0] == '@')
		return in_seconds(text + 1, moment_ns);

	tm.tm_year = number(&text, 4) - 1900;
	bool good = take(&text, '-') && (tm.tm_mon = number(&text, 2) - 1) >= 0 && tm.tm_mon < 12
		    && take(&text, '-') && (tm.tm_mday = number(&text, 2)) > 0;
	if (good && (take(&text, 'T') || take(&text, ' '))) {
		good = (tm.tm_hour = number(&text, 2)) >= 0 && tm.tm_hour < 24;
		if (good && take(&text, ':')) {
			good = (tm.tm_min = number(&text, 2)) >= 0 && tm.tm_min < 60;
			if (good && take(&text, ':'))
				good = (tm.tm_sec = number(&text, 2)) >= 0 && tm.tm_sec < 60;
			if (good && take(&text, '.'))
				good = (ns = fraction_ns(&text)) >= 0;
		}
		if (good)
			take(&text, 'Z');
	}
	if (!good || *text != '\0' || tm.tm_year < 70 || !is_date(&tm))
		return -EINVAL;
	*moment_ns = timegm(&tm) * NS_PER_S + ns;
	return 0;
}

void moment_text(char *text, time_ns_t moment_ns) {
	time_t seconds = moment_ns / NS_PER_S;
	unsigned ms = (unsigned)(moment_ns / NS_PER_MS % 1000);
	struct tm utc;
	char second[24];

	gmtime_r(&seconds, &utc);
	strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text, MOMENT_TEXT_BYTES, "%s.%03uZ", second, ms % 1000);
}
