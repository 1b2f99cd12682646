#include <stdio.h>
#include <string.h>

#include "config_file.h"
#include "utf8.h"

struct scan {
	config_mistake_fn on_mistake;
	void *arg;
	unsigned n_mistakes;
};

static void tell(struct scan *scan, unsigned line, size_t column, const char *what) {
	char mistake[CONFIG_MISTAKE_BYTES];

	snprintf(mistake, sizeof(mistake), "%u: column %zu: %s", line, column, what);
	scan->on_mistake(mistake, scan->arg);
	scan->n_mistakes++;
}

// A character of a line, whose first is at column 1. Returns its octets, 0 after a mistake.
static size_t
check_character(struct scan *scan, const char *text, size_t n_bytes, unsigned line, size_t column) {
	char character[5] = {0}, what[128];
	unsigned char first = (unsigned char)text[0];

	memcpy(character, text, n_bytes < 4 ? n_bytes : 4);
	if (first >= ' ' && first != 0x7f) {
		size_t n = utf8_bytes(character);
		if (n > 0)
			return n;
		snprintf(
			what,
			sizeof(what),
			"the octet 0x%02X is no character; save the file as UTF-8",
			first
		);
		tell(scan, line, column, what);
		return 0;
	}
	if (first == '\t' || first == '\r')
		return 1;
	snprintf(what, sizeof(what), "the control character 0x%02X; remove it", first);
	tell(scan, line, column, what);
	return 0;
}

// One mistake of a line is enough.
static void check_line(struct scan *scan, const char *text, size_t n_bytes, unsigned line) {
	size_t indent = 0, column = 1;

	while (indent < n_bytes && (text[indent] == ' ' || text[indent] == '\t'))
		indent++;
	const char *tab = memchr(text, '\t', indent);
	if (tab != NULL && indent < n_bytes && text[indent] != '#' && text[indent] != '\r') {
		tell(scan,
		     line,
		     (size_t)(tab - text) + 1,
		     "a tab in the indentation, of which every editor makes something else; use "
		     "spaces");
		return;
	}
	for (size_t i = 0, n; i < n_bytes; i += n, column++) {
		n = check_character(scan, text + i, n_bytes - i, line, column);
		if (n == 0)
			return;
	}
}

static const char *other_encoding(const char *text, size_t n_bytes) {
	if (n_bytes >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
		return "the file is UTF-16; save it as UTF-8";
	return NULL;
}

unsigned
config_syntax_check(const char *text, size_t n_bytes, config_mistake_fn on_mistake, void *arg) {
	struct scan scan = {.on_mistake = on_mistake, .arg = arg};
	const char *encoding = other_encoding(text, n_bytes);
	unsigned line = 1;

	if (encoding != NULL) {
		tell(&scan, 1, 1, encoding);
		return 1;
	}
	while (n_bytes > 0 && scan.n_mistakes < CONFIG_FILE_MOST_MISTAKES) {
		const char *end = memchr(text, '\n', n_bytes);
		size_t n = end != NULL ? (size_t)(end - text) : n_bytes;
		check_line(&scan, text, n, line++);
		n += end != NULL;
		text += n;
		n_bytes -= n;
	}
	return scan.n_mistakes;
}

const char *config_syntax_remedy(const char *problem) {
	static const struct {
		const char *problem, *remedy;
	} remedies[] = {
		{"mapping values are not allowed",
		 "a second ': ' in the line, or a key that is indented further than the one above; "
		 "put a value with ': ' in quotes, and indent the keys of a section alike"},
		{"could not find expected ':'",
		 "a key without its colon, or a value that runs over several lines; write "
		 "'key: value', with a space behind the colon"},
		{"did not find expected key",
		 "the line fits neither the section above it nor the top; indent the keys of a "
		 "section alike, and put values with quotes inside in quotes"},
		{"did not find expected '-'",
		 "a list ends in the middle; begin each of its lines with '- ', indented alike"},
		{"block sequence entries are not allowed",
		 "a '- ' that no list can have here; begin a list below its key"},
		{"cannot start any token",
		 "a value that begins with a character which YAML keeps for itself; put it in "
		 "quotes"},
		{"found unexpected end of stream",
		 "quotes that are opened and not closed; close them"},
		{"found unexpected document indicator",
		 "quotes that are opened and not closed; close them"},
		{"',' or ']'", "a list in brackets that is not closed; write [a, b]"},
		{"',' or '}'",
		 "braces that are not closed; write a section as lines below its key"},
		{"unknown escape character",
		 "in double quotes '\\' begins an escape; use single quotes"},
		{"did not find expected hexdecimal number",
		 "in double quotes '\\' begins an escape; use single quotes"},
		{"did not find expected alphabetic or numeric character",
		 "a value that begins with '*' or '&', which means something to YAML; put it in "
		 "quotes"},
		{"found undefined tag handle",
		 "a value that begins with '!', which means something to YAML; put it in quotes"},
		{"did not find expected <document start>",
		 "something stands before the first key or behind the last; a file is sections "
		 "with keys alone"},
		{"exceeded", "too many brackets; no list here has another inside"},
	};

	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
		if (problem != NULL && strstr(problem, remedies[i].problem) != NULL)
			return remedies[i].remedy;
	return "this is no YAML; 'weir show-config --example' prints a file that is, and values "
	       "with other characters than letters, digits, '.', '/' and ':' are safe in quotes";
}
