// Config events: a config file as libyaml's events, and what is wrong with it at that level:
// syntax, and what YAML has that no config file uses (anchors, aliases, tags).
//
// Threads: one.

#pragma once

#include <yaml.h>

#include "config_file.h"

enum {
	CONFIG_SHOWN_BYTES = 48,
};

struct config_reader {
	struct setting_values *values;
	const char *text;
	size_t n_bytes;
	config_mistake_fn on_mistake;
	void *arg;
	unsigned n_mistakes;
	unsigned section_lines[16]; // by section: where it begins; 0 = not yet
	yaml_parser_t parser;
	yaml_event_t event; // the last one
	bool ended;         // by an error, or by too many mistakes: no event any more
	bool broken;        // by a mistake of syntax
	int error;
};

// Tells a mistake, and after too many that there are more.
[[gnu::format(printf, 3, 4)]] void
config_mistake(struct config_reader *reader, unsigned line, const char *format, ...);

// What a value looks like in a message: its beginning, and nothing that moves a cursor, in `found`
// (CONFIG_SHOWN_BYTES), which is returned.
const char *config_shown(const char *value, char *found);

// Takes the next event; false at an error, which has been told.
bool config_next(struct config_reader *reader);

// Of the event: its line; whether it is a value that YAML calls null.
unsigned config_line(const struct config_reader *reader);
bool config_is_null(const yaml_event_t *event);

// Whether the node that begins at the event is free of what is not used here; tells what is not.
bool config_is_simple(struct config_reader *reader);

// Goes behind the node that begins at the event.
void config_skip(struct config_reader *reader);
