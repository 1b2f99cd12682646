#include "config_file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config_events.h"

enum {
	WORDS_BYTES = 320,
	KEY_BYTES = 96,
};

static bool is_one_of(const char *text, const char *const *words) {
	for (; *words != NULL; words++)
		if (strcasecmp(text, *words) == 0)
			return true;
	return false;
}

// "true" or "false" for what people write for it; the text itself otherwise, NULL for a flag that
// is neither.
static const char *value_of(const struct setting *setting, const char *text) {
	static const char *const yes[] = {"true", "yes", "on", NULL};
	static const char *const no[] = {"false", "no", "off", NULL};

	if (setting->type != SETTING_FLAG)
		return text;
	return is_one_of(text, yes) ? "true" : is_one_of(text, no) ? "false" : NULL;
}

static void take_scalar(struct config_reader *reader, const struct setting *setting) {
	const yaml_event_t *event = &reader->event;
	const char *text = (const char *)event->data.scalar.value;
	char allowed[SETTING_ALLOWED_BYTES], found[CONFIG_SHOWN_BYTES];
	unsigned line = config_line(reader);

	setting_allowed(setting, allowed);
	if (config_is_null(event) || text[0] == '\0') {
		config_mistake(
			reader,
			line,
			"%s: no value; use %s, or remove the line",
			setting->key,
			allowed
		);
		return;
	}
	if (strlen(text) != event->data.scalar.length) {
		config_mistake(
			reader, line, "%s: a NUL octet in the value; remove it", setting->key
		);
		return;
	}
	if (strchr(text, '\n') != NULL) {
		config_mistake(
			reader,
			line,
			"%s: %s: a value of several lines; write it on one",
			setting->key,
			config_shown(text, found)
		);
		return;
	}
	if (value_of(setting, text) == NULL) {
		config_shown(text, found);
		config_mistake(reader, line, "%s: %s: use %s", setting->key, found, allowed);
		return;
	}
	if (setting_values_add(reader->values, setting, value_of(setting, text), line) < 0) {
		reader->error = -ENOMEM;
		reader->ended = true;
	}
}

static void take_list(struct config_reader *reader, const struct setting *setting) {
	unsigned line = config_line(reader), n = 0;

	while (config_next(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		n++;
		if (!config_is_simple(reader)) {
			config_skip(reader);
		} else if (reader->event.type == YAML_SCALAR_EVENT) {
			take_scalar(reader, setting);
		} else {
			config_mistake(
				reader,
				config_line(reader),
				"%s: %s inside of the list; write one value in each line, and put "
				"one with ': ' in quotes",
				setting->key,
				reader->event.type == YAML_SEQUENCE_START_EVENT ? "a list"
										: "a section"
			);
			config_skip(reader);
		}
	}
	if (n == 0 && !reader->ended)
		config_mistake(
			reader,
			line,
			"%s: an empty list; add a line such as '- %s', or remove the key",
			setting->key,
			setting->example
		);
}

static void take_value(struct config_reader *reader, const struct setting *setting) {
	char found[CONFIG_SHOWN_BYTES];

	if (!config_is_simple(reader)) {
		config_skip(reader);
		return;
	}
	switch (reader->event.type) {
	case YAML_SCALAR_EVENT:
		if (setting->list && !config_is_null(&reader->event)) {
			config_shown((const char *)reader->event.data.scalar.value, found);
			config_mistake(
				reader,
				config_line(reader),
				"%s: %s: one value where a list is due; write '%s: [%s]', or '- "
				"%s' "
				"in a line below",
				setting->key,
				found,
				setting_name(setting),
				found,
				found
			);
		} else {
			take_scalar(reader, setting);
		}
		break;
	case YAML_SEQUENCE_START_EVENT:
		if (setting->list) {
			take_list(reader, setting);
			break;
		}
		config_mistake(
			reader,
			config_line(reader),
			"%s: a list where one value is due; write '%s: %s', without brackets or "
			"'-', or in quotes if the brackets are its own",
			setting->key,
			setting_name(setting),
			setting->standard != NULL ? setting->standard : setting->example
		);
		config_skip(reader);
		break;
	default:
		config_mistake(
			reader,
			config_line(reader),
			"%s: keys below a key that has a value; write '%s: %s' in one line",
			setting->key,
			setting_name(setting),
			setting->standard != NULL ? setting->standard : setting->example
		);
		config_skip(reader);
	}
}

// "active_timeout, entries, idle_timeout".
static void list_keys(const char *section, char *words) {
	size_t n = 0;

	words[0] = '\0';
	for (size_t i = 0; i < n_settings; i++)
		if (setting_in_section(&settings[i], section) && n < WORDS_BYTES)
			n += (size_t)snprintf(
				words + n,
				WORDS_BYTES - n,
				"%s%s",
				n > 0 ? ", " : "",
				setting_name(&settings[i])
			);
}

static void list_sections(char *words) {
	size_t n = 0;

	words[0] = '\0';
	for (size_t i = 0; i < n_setting_sections && n < WORDS_BYTES; i++)
		n += (size_t)snprintf(
			words + n,
			WORDS_BYTES - n,
			"%s%s",
			n > 0 ? ", " : "",
			setting_sections[i].name
		);
}

static void
unknown_key(struct config_reader *reader, const char *section, const char *key, unsigned line) {
	const struct setting *near = setting_nearest(section, key);
	char words[WORDS_BYTES], found[CONFIG_SHOWN_BYTES];

	list_keys(section, words);
	config_mistake(
		reader,
		line,
		"%s.%s: not known%s%s%s there are %s",
		section,
		config_shown(key, found),
		near != NULL ? "; did you mean " : "",
		near != NULL ? near->key : "",
		near != NULL ? "? Here" : "; here",
		words
	);
}

// A setting that is spoken of twice, also in other words.
static bool is_second(struct config_reader *reader, const struct setting *setting, unsigned line) {
	unsigned first = setting_values_line(reader->values, setting);

	if (first > 0) {
		config_mistake(
			reader,
			line,
			"%s: given twice, first in line %u; remove one of them",
			setting->key,
			first
		);
		return true;
	}
	setting_values_set_line(reader->values, setting, line);
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *other = &settings[i];
		first = setting_values_line(reader->values, other);
		bool same =
			(other->instead_of != NULL && strcmp(other->instead_of, setting->key) == 0)
			|| (setting->instead_of != NULL
			    && strcmp(setting->instead_of, other->key) == 0);
		if (same && first > 0) {
			config_mistake(
				reader,
				line,
				"%s: line %u says the same with %s; remove one of them",
				setting->key,
				first,
				other->key
			);
			return true;
		}
	}
	return false;
}

// A key, which is copied. False after a mistake, and then its value has been skipped.
static bool take_key(struct config_reader *reader, char *key, unsigned *line) {
	*line = config_line(reader);
	bool simple = config_is_simple(reader);
	if (simple && reader->event.type == YAML_SCALAR_EVENT) {
		snprintf(key, KEY_BYTES, "%s", (const char *)reader->event.data.scalar.value);
		return true;
	}
	if (simple)
		config_mistake(
			reader, *line, "a list or a section where a key is due; write 'key: value'"
		);
	config_skip(reader);
	if (config_next(reader))
		config_skip(reader);
	return false;
}

static void take_section(struct config_reader *reader, const struct setting_section *section) {
	char key[KEY_BYTES], full[2 * KEY_BYTES];
	unsigned line;

	while (config_next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
		if (!take_key(reader, key, &line))
			continue;
		if (!config_next(reader))
			return;
		snprintf(full, sizeof(full), "%s.%s", section->name, key);
		const struct setting *setting = setting_of_key(full);
		if (setting == NULL)
			unknown_key(reader, section->name, key, line);
		if (setting != NULL && !is_second(reader, setting, line))
			take_value(reader, setting);
		else
			config_skip(reader);
	}
}

static void unknown_section(struct config_reader *reader, const char *key, unsigned line) {
	const struct setting_section *section = setting_nearest_section(key);
	const struct setting *near = setting_nearest(NULL, key);
	char words[WORDS_BYTES], found[CONFIG_SHOWN_BYTES];

	config_shown(key, found);
	list_sections(words);
	if (section != NULL)
		config_mistake(
			reader,
			line,
			"%s: no such section; did you mean %s? There are %s",
			found,
			section->name,
			words
		);
	else if (near != NULL)
		config_mistake(
			reader,
			line,
			"%s: not a section; did you mean %s? Then write '%.*s:', and below it, "
			"indented, '%s:'",
			found,
			near->key,
			(int)strcspn(near->key, "."),
			near->key,
			setting_name(near)
		);
	else
		config_mistake(reader, line, "%s: no such section; there are %s", found, words);
}

static void take_section_value(
	struct config_reader *reader, const struct setting_section *section, unsigned line
) {
	size_t index = (size_t)(section - setting_sections);
	assert(index < sizeof(reader->section_lines) / sizeof(reader->section_lines[0]));
	unsigned *first = &reader->section_lines[index];
	char words[WORDS_BYTES], found[CONFIG_SHOWN_BYTES];

	if (*first > 0) {
		config_mistake(
			reader,
			line,
			"%s: given twice, first in line %u; put its keys together",
			section->name,
			*first
		);
		config_skip(reader);
		return;
	}
	*first = line;
	if (!config_is_simple(reader)) {
		config_skip(reader);
	} else if (reader->event.type == YAML_MAPPING_START_EVENT) {
		take_section(reader, section);
	} else if (!config_is_null(&reader->event)) {
		const yaml_event_t *event = &reader->event;
		bool scalar = event->type == YAML_SCALAR_EVENT;
		list_keys(section->name, words);
		config_mistake(
			reader,
			config_line(reader),
			"%s: %s%s where a section is due; write 'key: value' in lines below it, "
			"indented, with a space behind the colon; its keys are %s",
			section->name,
			scalar ? config_shown((const char *)event->data.scalar.value, found)
			       : "a list",
			scalar ? ": a value" : "",
			words
		);
		config_skip(reader);
	}
}

static void take_root(struct config_reader *reader) {
	char key[KEY_BYTES];
	unsigned line;

	if (config_is_null(&reader->event))
		return;
	if (!config_is_simple(reader) || reader->event.type != YAML_MAPPING_START_EVENT) {
		if (reader->n_mistakes == 0)
			config_mistake(
				reader,
				config_line(reader),
				"%s where sections are due; write such as 'capture:', and its keys "
				"in lines below it, indented",
				reader->event.type == YAML_SCALAR_EVENT ? "a value" : "a list"
			);
		config_skip(reader);
		return;
	}
	while (config_next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
		if (!take_key(reader, key, &line))
			continue;
		if (!config_next(reader))
			return;
		const struct setting_section *section = setting_section(key);
		if (section != NULL) {
			take_section_value(reader, section, line);
		} else {
			unknown_section(reader, key, line);
			config_skip(reader);
		}
	}
}

static void take_stream(struct config_reader *reader) {
	unsigned n_documents = 0;

	while (config_next(reader) && reader->event.type != YAML_STREAM_END_EVENT) {
		if (reader->event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		if (n_documents++ > 0) {
			config_mistake(
				reader,
				config_line(reader),
				"a second document; remove the '---' or '...' before it"
			);
			return;
		}
		if (config_next(reader))
			take_root(reader);
	}
}

int config_file_parse(
	struct setting_values *values,
	const char *text,
	size_t n_bytes,
	config_mistake_fn on_mistake,
	void *arg
) {
	struct config_reader reader = {
		.values = values,
		.text = text,
		.n_bytes = n_bytes,
		.on_mistake = on_mistake,
		.arg = arg,
	};

	if (config_syntax_check(text, n_bytes, on_mistake, arg) > 0)
		return -EBADMSG;
	if (!yaml_parser_initialize(&reader.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, n_bytes);
	take_stream(&reader);
	yaml_event_delete(&reader.event);
	yaml_parser_delete(&reader.parser);
	if (reader.error < 0)
		return reader.error;
	if (reader.broken) {
		setting_values_drop_file(values);
		return -EBADMSG;
	}
	return reader.n_mistakes > 0 ? -EINVAL : 0;
}
