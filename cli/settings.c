#include "settings.h"

#include <ctype.h>
#include <string.h>

enum {
	LONGEST_WORD = 64, // what is longer is no slip of the fingers
};

const struct setting *setting_of_key(const char *key) {
	for (size_t i = 0; i < n_settings; i++)
		if (strcmp(settings[i].key, key) == 0)
			return &settings[i];
	return NULL;
}

const struct setting *setting_of_option(const char *option) {
	for (size_t i = 0; i < n_settings; i++)
		if (strcmp(settings[i].option, option) == 0)
			return &settings[i];
	return NULL;
}

const struct setting *setting_of_id(int id) {
	for (size_t i = 0; i < n_settings; i++)
		if (settings[i].id == (id & ~SETTING_NO))
			return &settings[i];
	return NULL;
}

const struct setting_section *setting_section(const char *name) {
	for (size_t i = 0; i < n_setting_sections; i++)
		if (strcmp(setting_sections[i].name, name) == 0)
			return &setting_sections[i];
	return NULL;
}

bool setting_in_section(const struct setting *setting, const char *section) {
	size_t n = strlen(section);
	return strncmp(setting->key, section, n) == 0 && setting->key[n] == '.';
}

const char *setting_name(const struct setting *setting) {
	const char *dot = strchr(setting->key, '.');
	return dot != NULL ? dot + 1 : setting->key;
}

static char plain(char c) {
	return c == '-' || c == ' ' ? '_' : (char)tolower((unsigned char)c);
}

static unsigned least_of(unsigned a, unsigned b) {
	return a < b ? a : b;
}

// Letters to insert, drop, replace or swap with their neighbour until `a` is `b`: the distance of
// Damerau and Levenshtein, where no letter is touched twice. '-' and '_' are one, as are cases.
static unsigned distance(const char *a, const char *b) {
	unsigned rows[3][LONGEST_WORD + 1];
	size_t n_a = strlen(a), n_b = strlen(b);

	if (n_a > LONGEST_WORD || n_b > LONGEST_WORD)
		return LONGEST_WORD;
	for (size_t j = 0; j <= n_b; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n_a; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i - 1) % 3], *two_above = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n_b; j++) {
			char x = plain(a[i - 1]), y = plain(b[j - 1]);
			row[j] = least_of(above[j - 1] + (x != y), above[j] + 1);
			row[j] = least_of(row[j], row[j - 1] + 1);
			if (i > 1 && j > 1 && x == plain(b[j - 2]) && y == plain(a[i - 2]))
				row[j] = least_of(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[n_a % 3][n_b];
}

// Up to which distance one word may be meant for another: a third of its letters are wrong.
static unsigned near(const char *word) {
	return (unsigned)strlen(word) / 3 + 1;
}

const struct setting *setting_nearest(const char *section, const char *key) {
	const struct setting *nearest = NULL;
	unsigned least = 2 * near(key) + 1;

	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *setting = &settings[i];
		unsigned found = distance(key, setting_name(setting));
		found = least_of(found, distance(key, setting->option));
		found = least_of(found, distance(key, setting->key));
		if (found > near(key))
			continue;
		// Of two that are as near, that of the same section.
		found = 2 * found + !(section != NULL && setting_in_section(setting, section));
		if (found < least) {
			least = found;
			nearest = setting;
		}
	}
	return nearest;
}

const struct setting_section *setting_nearest_section(const char *name) {
	const struct setting_section *nearest = NULL;
	unsigned least = near(name) + 1;

	for (size_t i = 0; i < n_setting_sections; i++) {
		unsigned found = distance(name, setting_sections[i].name);
		if (found < least) {
			least = found;
			nearest = &setting_sections[i];
		}
	}
	return nearest;
}

const struct setting *setting_nearest_option(const char *option) {
	const struct setting *nearest = NULL;
	unsigned least = near(option) + 1;

	for (size_t i = 0; i < n_settings; i++) {
		unsigned found = distance(option, settings[i].option);
		if (found < least) {
			least = found;
			nearest = &settings[i];
		}
	}
	return nearest;
}

void setting_allowed(const struct setting *setting, char *allowed) {
	const char *rest = setting->allowed != NULL ? setting->allowed : "";
	const char *none = setting->none ? ", or none" : "";

	switch (setting->type) {
	case SETTING_FLAG:
		snprintf(allowed, SETTING_ALLOWED_BYTES, "true or false");
		break;
	case SETTING_COUNT:
		snprintf(
			allowed,
			SETTING_ALLOWED_BYTES,
			"a whole number from %s to %s%s%s",
			setting->least,
			setting->most,
			rest,
			none
		);
		break;
	case SETTING_DURATION:
		snprintf(
			allowed,
			SETTING_ALLOWED_BYTES,
			"a time%s%s%s%s%s%s",
			setting->least != NULL ? " from " : " up",
			setting->least != NULL ? setting->least : "",
			" to ",
			setting->most,
			rest,
			none
		);
		break;
	default:
		snprintf(allowed, SETTING_ALLOWED_BYTES, "%s%s", rest, none);
		break;
	}
}
