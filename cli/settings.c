#include "settings.h"

#include <string.h>

#include "words.h"

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

const struct setting *setting_nearest(const char *section, const char *key) {
	const struct setting *nearest = NULL;
	unsigned least = 2 * word_reach(key) + 1;

	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *setting = &settings[i];
		unsigned found = word_distance(key, setting_name(setting));
		unsigned other[] = {
			word_distance(key, setting->option), word_distance(key, setting->key)};
		for (int j = 0; j < 2; j++)
			found = other[j] < found ? other[j] : found;
		if (found > word_reach(key))
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
	unsigned least = word_reach(name) + 1;

	for (size_t i = 0; i < n_setting_sections; i++) {
		unsigned found = word_distance(name, setting_sections[i].name);
		if (found < least) {
			least = found;
			nearest = &setting_sections[i];
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
