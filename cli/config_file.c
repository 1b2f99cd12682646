#include "config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Anchors, tags and documents, in libyaml's words, are of a thing that is called an event.
#include <yaml.h>

enum {
	DEEPEST = 16, // of what is skipped
	FOUND_BYTES = 48,
	WORDS_BYTES = 320,
	KEY_BYTES = 96,
};

struct reader {
	struct setting_values *values;
	const char *text;
	size_t n_bytes;
	config_mistake_fn on_mistake;
	void *arg;
	unsigned n_mistakes;
	unsigned section_lines[16]; // by section: where it begins; 0 = not yet
	yaml_parser_t parser;
	yaml_event_t event;
	bool ended;  // by an error, or by too many mistakes: no event any more
	bool broken; // by a mistake of syntax
	int error;
};

// What a value looks like in a message: its beginning, and nothing that moves a cursor.
static const char *shown(const char *value, char *found) {
	size_t n = strnlen(value, FOUND_BYTES - 4);

	memcpy(found, value, n);
	strcpy(found + n, value[n] != '\0' ? "..." : "");
	for (char *at = found; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	return found;
}

[[gnu::format(printf, 3, 4)]] static void
mistake(struct reader *reader, unsigned line, const char *format, ...) {
	char text[CONFIG_MISTAKE_BYTES];
	va_list args;

	if (reader->n_mistakes++ == CONFIG_FILE_MOST_MISTAKES) {
		snprintf(text, sizeof(text), "%u: more mistakes; mend those above first", line);
		reader->ended = true;
	} else {
		int n = snprintf(text, sizeof(text), "%u: ", line);
		va_start(args, format);
		vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
		va_end(args);
	}
	reader->on_mistake(text, reader->arg);
}

static unsigned line_of(const struct reader *reader) {
	return (unsigned)reader->event.start_mark.line + 1;
}

static void syntax_mistake(struct reader *reader) {
	const yaml_parser_t *parser = &reader->parser;
	unsigned line = (unsigned)parser->problem_mark.line + 1;
	unsigned column = (unsigned)parser->problem_mark.column + 1;

	if (parser->error == YAML_MEMORY_ERROR) {
		reader->error = -ENOMEM;
		return;
	}
	if (parser->error == YAML_READER_ERROR) {
		reader->broken = true;
		line = column = 1;
		for (size_t i = 0; i < parser->problem_offset && i < reader->n_bytes; i++) {
			column = reader->text[i] == '\n' ? 1 : column + 1;
			line += reader->text[i] == '\n';
		}
		mistake(reader,
			line,
			"column %u: a character that YAML does not allow; remove it",
			column);
		return;
	}
	reader->broken = true;
	// Of quotes and brackets that nothing closes, the end is the last thing to look at.
	const char *problem = parser->problem != NULL ? parser->problem : "";
	bool opened =
		parser->context != NULL
		&& (strstr(problem, "unexpected") != NULL || strstr(problem, "',' or") != NULL);
	if (opened) {
		line = (unsigned)parser->context_mark.line + 1;
		column = (unsigned)parser->context_mark.column + 1;
	}
	mistake(reader, line, "column %u: %s", column, config_syntax_remedy(problem));
}

// The next event; false at an error.
static bool next(struct reader *reader) {
	yaml_event_delete(&reader->event);
	if (reader->ended)
		return false;
	if (yaml_parser_parse(&reader->parser, &reader->event))
		return true;
	syntax_mistake(reader);
	reader->ended = true;
	return false;
}

static const char *anchor_of(const yaml_event_t *event) {
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return (const char *)event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return (const char *)event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return (const char *)event->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

static const char *tag_of(const yaml_event_t *event) {
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return (const char *)event->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return (const char *)event->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return (const char *)event->data.mapping_start.tag;
	default:
		return NULL;
	}
}

// Whether the node that begins at the event is free of what is not used here.
static bool is_simple(struct reader *reader) {
	const yaml_event_t *event = &reader->event;
	char found[FOUND_BYTES];

	if (event->type == YAML_ALIAS_EVENT) {
		shown((const char *)event->data.alias.anchor, found);
		mistake(reader,
			line_of(reader),
			"*%s: an alias, which is not used here; write the value itself, or put "
			"it in quotes",
			found);
		return false;
	}
	if (anchor_of(event) != NULL) {
		shown(anchor_of(event), found);
		mistake(reader,
			line_of(reader),
			"&%s: an anchor, which is not used here; remove it, or put the value in "
			"quotes",
			found);
		return false;
	}
	if (tag_of(event) != NULL) {
		shown(tag_of(event), found);
		mistake(reader,
			line_of(reader),
			"%s: a tag, which is not used here; remove it, or put the value in quotes",
			found);
		return false;
	}
	return true;
}

// Goes behind the node that begins at the event.
static void skip(struct reader *reader) {
	unsigned depth = 0;

	do {
		switch (reader->event.type) {
		case YAML_SEQUENCE_START_EVENT:
		case YAML_MAPPING_START_EVENT:
			if (++depth > DEEPEST) {
				mistake(reader,
					line_of(reader),
					"too deep; there are sections, keys in them, and lists");
				reader->ended = true;
				return;
			}
			break;
		case YAML_SEQUENCE_END_EVENT:
		case YAML_MAPPING_END_EVENT:
			depth--;
			break;
		default:
			break;
		}
	} while (depth > 0 && next(reader));
}

static bool is_null(const yaml_event_t *event) {
	const char *text = (const char *)event->data.scalar.value;

	return event->type == YAML_SCALAR_EVENT
	       && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
	       && (text[0] == '\0' || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0);
}

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

static void take_scalar(struct reader *reader, const struct setting *setting) {
	const yaml_event_t *event = &reader->event;
	const char *text = (const char *)event->data.scalar.value;
	char allowed[SETTING_ALLOWED_BYTES], found[FOUND_BYTES];
	unsigned line = line_of(reader);

	setting_allowed(setting, allowed);
	if (is_null(event) || text[0] == '\0') {
		mistake(reader,
			line,
			"%s: no value; use %s, or remove the line",
			setting->key,
			allowed);
		return;
	}
	if (strlen(text) != event->data.scalar.length) {
		mistake(reader, line, "%s: a NUL octet in the value; remove it", setting->key);
		return;
	}
	if (strchr(text, '\n') != NULL) {
		mistake(reader,
			line,
			"%s: %s: a value of several lines; write it on one",
			setting->key,
			shown(text, found));
		return;
	}
	if (value_of(setting, text) == NULL) {
		shown(text, found);
		mistake(reader, line, "%s: %s: use %s", setting->key, found, allowed);
		return;
	}
	if (setting_values_add(reader->values, setting, value_of(setting, text), line) < 0) {
		reader->error = -ENOMEM;
		reader->ended = true;
	}
}

static void take_list(struct reader *reader, const struct setting *setting) {
	unsigned line = line_of(reader), n = 0;

	while (next(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		n++;
		if (!is_simple(reader)) {
			skip(reader);
		} else if (reader->event.type == YAML_SCALAR_EVENT) {
			take_scalar(reader, setting);
		} else {
			mistake(reader,
				line_of(reader),
				"%s: %s inside of the list; write one value in each line, and put "
				"one with ': ' in quotes",
				setting->key,
				reader->event.type == YAML_SEQUENCE_START_EVENT ? "a list"
										: "a section");
			skip(reader);
		}
	}
	if (n == 0 && !reader->ended)
		mistake(reader,
			line,
			"%s: an empty list; add a line such as '- %s', or remove the key",
			setting->key,
			setting->example);
}

static void take_value(struct reader *reader, const struct setting *setting) {
	char found[FOUND_BYTES];

	if (!is_simple(reader)) {
		skip(reader);
		return;
	}
	switch (reader->event.type) {
	case YAML_SCALAR_EVENT:
		if (setting->list && !is_null(&reader->event)) {
			shown((const char *)reader->event.data.scalar.value, found);
			mistake(reader,
				line_of(reader),
				"%s: %s: one value where a list is due; write '%s: [%s]', or '- "
				"%s' "
				"in a line below",
				setting->key,
				found,
				setting_name(setting),
				found,
				found);
		} else {
			take_scalar(reader, setting);
		}
		break;
	case YAML_SEQUENCE_START_EVENT:
		if (setting->list) {
			take_list(reader, setting);
			break;
		}
		mistake(reader,
			line_of(reader),
			"%s: a list where one value is due; write '%s: %s', without brackets or "
			"'-', or in quotes if the brackets are its own",
			setting->key,
			setting_name(setting),
			setting->standard != NULL ? setting->standard : setting->example);
		skip(reader);
		break;
	default:
		mistake(reader,
			line_of(reader),
			"%s: keys below a key that has a value; write '%s: %s' in one line",
			setting->key,
			setting_name(setting),
			setting->standard != NULL ? setting->standard : setting->example);
		skip(reader);
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
unknown_key(struct reader *reader, const char *section, const char *key, unsigned line) {
	const struct setting *near = setting_nearest(section, key);
	char words[WORDS_BYTES], found[FOUND_BYTES];

	list_keys(section, words);
	mistake(reader,
		line,
		"%s.%s: not known%s%s%s there are %s",
		section,
		shown(key, found),
		near != NULL ? "; did you mean " : "",
		near != NULL ? near->key : "",
		near != NULL ? "? Here" : "; here",
		words);
}

// A setting that is spoken of twice, also in other words.
static bool is_second(struct reader *reader, const struct setting *setting, unsigned line) {
	unsigned first = setting_values_line(reader->values, setting);

	if (first > 0) {
		mistake(reader,
			line,
			"%s: given twice, first in line %u; remove one of them",
			setting->key,
			first);
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
			mistake(reader,
				line,
				"%s: line %u says the same with %s; remove one of them",
				setting->key,
				first,
				other->key);
			return true;
		}
	}
	return false;
}

// A key, which is copied. False after a mistake, and then its value has been skipped.
static bool take_key(struct reader *reader, char *key, unsigned *line) {
	*line = line_of(reader);
	bool simple = is_simple(reader);
	if (simple && reader->event.type == YAML_SCALAR_EVENT) {
		snprintf(key, KEY_BYTES, "%s", (const char *)reader->event.data.scalar.value);
		return true;
	}
	if (simple)
		mistake(reader, *line, "a list or a section where a key is due; write 'key: value'"
		);
	skip(reader);
	if (next(reader))
		skip(reader);
	return false;
}

static void take_section(struct reader *reader, const struct setting_section *section) {
	char key[KEY_BYTES], full[2 * KEY_BYTES];
	unsigned line;

	while (next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
		if (!take_key(reader, key, &line))
			continue;
		if (!next(reader))
			return;
		snprintf(full, sizeof(full), "%s.%s", section->name, key);
		const struct setting *setting = setting_of_key(full);
		if (setting == NULL)
			unknown_key(reader, section->name, key, line);
		if (setting != NULL && !is_second(reader, setting, line))
			take_value(reader, setting);
		else
			skip(reader);
	}
}

static void unknown_section(struct reader *reader, const char *key, unsigned line) {
	const struct setting_section *section = setting_nearest_section(key);
	const struct setting *near = setting_nearest(NULL, key);
	char words[WORDS_BYTES], found[FOUND_BYTES];

	shown(key, found);
	list_sections(words);
	if (section != NULL)
		mistake(reader,
			line,
			"%s: no such section; did you mean %s? There are %s",
			found,
			section->name,
			words);
	else if (near != NULL)
		mistake(reader,
			line,
			"%s: not a section; did you mean %s? Then write '%.*s:', and below it, "
			"indented, '%s:'",
			found,
			near->key,
			(int)strcspn(near->key, "."),
			near->key,
			setting_name(near));
	else
		mistake(reader, line, "%s: no such section; there are %s", found, words);
}

static void
take_section_value(struct reader *reader, const struct setting_section *section, unsigned line) {
	unsigned *first = &reader->section_lines[section - setting_sections];
	char words[WORDS_BYTES], found[FOUND_BYTES];

	if (*first > 0) {
		mistake(reader,
			line,
			"%s: given twice, first in line %u; put its keys together",
			section->name,
			*first);
		skip(reader);
		return;
	}
	*first = line;
	if (!is_simple(reader)) {
		skip(reader);
	} else if (reader->event.type == YAML_MAPPING_START_EVENT) {
		take_section(reader, section);
	} else if (!is_null(&reader->event)) {
		const yaml_event_t *event = &reader->event;
		bool scalar = event->type == YAML_SCALAR_EVENT;
		list_keys(section->name, words);
		mistake(reader,
			line_of(reader),
			"%s: %s%s where a section is due; write 'key: value' in lines below it, "
			"indented, with a space behind the colon; its keys are %s",
			section->name,
			scalar ? shown((const char *)event->data.scalar.value, found) : "a list",
			scalar ? ": a value" : "",
			words);
		skip(reader);
	}
}

static void take_root(struct reader *reader) {
	char key[KEY_BYTES];
	unsigned line;

	if (is_null(&reader->event))
		return;
	if (!is_simple(reader) || reader->event.type != YAML_MAPPING_START_EVENT) {
		if (reader->n_mistakes == 0)
			mistake(reader,
				line_of(reader),
				"%s where sections are due; write such as 'capture:', and its keys "
				"in lines below it, indented",
				reader->event.type == YAML_SCALAR_EVENT ? "a value" : "a list");
		skip(reader);
		return;
	}
	while (next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
		if (!take_key(reader, key, &line))
			continue;
		if (!next(reader))
			return;
		const struct setting_section *section = setting_section(key);
		if (section != NULL) {
			take_section_value(reader, section, line);
		} else {
			unknown_section(reader, key, line);
			skip(reader);
		}
	}
}

static void take_stream(struct reader *reader) {
	unsigned n_documents = 0;

	while (next(reader) && reader->event.type != YAML_STREAM_END_EVENT) {
		if (reader->event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		if (n_documents++ > 0) {
			mistake(reader,
				line_of(reader),
				"a second document; remove the '---' or '...' before it");
			return;
		}
		if (next(reader))
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
	struct reader reader = {
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
