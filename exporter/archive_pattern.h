// Archive pattern: names that are digits in a frame.

#pragma once

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

// Whether `text` begins like `pattern`, where the capitals D, H, M, N, S, Y stand for any digit.
static inline bool archive_pattern_begins(const char *text, const char *pattern) {
	for (; *pattern != '\0'; text++, pattern++) {
		bool digit = isupper((unsigned char)*pattern) && *pattern != 'T' && *pattern != 'Z';
		if (digit ? !isdigit((unsigned char)*text) : *text != *pattern)
			return false;
	}
	return true;
}

static inline bool archive_pattern_is(const char *text, const char *pattern) {
	return strlen(text) == strlen(pattern) && archive_pattern_begins(text, pattern);
}
