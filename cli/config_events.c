#include "config_events.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	DEEPEST = 16, // of what is skipped
};

const char *config_shown(const char *value, char *found) {
	size_t n = strnlen(value, CONFIG_SHOWN_BYTES - 4);

	while (value[n] != '\0' && n > 0 && (value[n] & 0xc0) == 0x80) // no part of a character
		n--;
	memcpy(found, value, n);
	memcpy(found + n, value[n] != '\0' ? "..." : "", value[n] != '\0' ? 4 : 1);
	for (char *at = found; *at != '\0'; at++) {
		unsigned char octet = (unsigned char)*at;
		bool c1 = octet == 0xc2 && (unsigned char)at[1] < 0xa0; // U+0080 to U+009F
		if (octet < ' ' || octet == 0x7f || c1)
			*at = '?';
		if (c1)
			*++at = '?';
	}
	return found;
}

void config_mistake(struct config_reader *reader, unsigned line, const char *format, ...) {
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

unsigned config_line(const struct config_reader *reader) {
	return (unsigned)reader->event.start_mark.line + 1;
}

static void syntax_mistake(struct config_reader *reader) {
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
		config_mistake(
			reader,
			line,
			"column %u: a character that YAML does not allow; remove it",
			column
		);
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
	config_mistake(reader, line, "column %u: %s", column, config_syntax_remedy(problem));
}

bool config_next(struct config_reader *reader) {
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

bool config_is_simple(struct config_reader *reader) {
	const yaml_event_t *event = &reader->event;
	char found[CONFIG_SHOWN_BYTES];

	if (event->type == YAML_ALIAS_EVENT) {
		config_shown((const char *)event->data.alias.anchor, found);
		config_mistake(
			reader,
			config_line(reader),
			"*%s: an alias, which is not used here; write the value itself, or put "
			"it in quotes",
			found
		);
		return false;
	}
	if (anchor_of(event) != NULL) {
		config_shown(anchor_of(event), found);
		config_mistake(
			reader,
			config_line(reader),
			"&%s: an anchor, which is not used here; remove it, or put the value in "
			"quotes",
			found
		);
		return false;
	}
	if (tag_of(event) != NULL) {
		config_shown(tag_of(event), found);
		config_mistake(
			reader,
			config_line(reader),
			"%s: a tag, which is not used here; remove it, or put the value in quotes",
			found
		);
		return false;
	}
	return true;
}

void config_skip(struct config_reader *reader) {
	unsigned depth = 0;

	do {
		switch (reader->event.type) {
		case YAML_SEQUENCE_START_EVENT:
		case YAML_MAPPING_START_EVENT:
			if (++depth > DEEPEST) {
				config_mistake(
					reader,
					config_line(reader),
					"too deep; there are sections, keys in them, and lists"
				);
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
	} while (depth > 0 && config_next(reader));
}

bool config_is_null(const yaml_event_t *event) {
	const char *text = (const char *)event->data.scalar.value;

	return event->type == YAML_SCALAR_EVENT
	       && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
	       && (text[0] == '\0' || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0);
}
