#include "log_line.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "utf8.h"

struct writer {
	char *out;
	size_t n;
	size_t most;
};

enum escape {
	ESCAPE_TEXT,
	ESCAPE_JSON,
};

// All of it or nothing, so that no character or escape is cut in two.
static void put(struct writer *writer, const char *bytes, size_t n) {
	if (n > writer->most - writer->n) {
		writer->most = writer->n;
		return;
	}
	memcpy(writer->out + writer->n, bytes, n);
	writer->n += n;
}

[[gnu::format(printf, 2, 3)]] static void
put_format(struct writer *writer, const char *format, ...) {
	char text[128];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n > 0)
		put(writer, text, strnlen(text, sizeof(text)));
}

// C0, DEL, and C1, which some terminals obey too.
static bool is_control(const unsigned char *text, size_t n) {
	return (n == 1 && (text[0] < 0x20 || text[0] == 0x7f))
	       || (n == 2 && text[0] == 0xc2 && text[1] < 0xa0);
}

static void put_escaped(struct writer *writer, const char *string, enum escape escape) {
	const unsigned char *text = (const unsigned char *)string;

	while (*text != '\0') {
		size_t n = utf8_bytes((const char *)text);
		if (escape == ESCAPE_JSON && n == 0)
			put_format(writer, "\\ufffd");
		else if (escape == ESCAPE_JSON && (*text == '"' || *text == '\\'))
			put_format(writer, "\\%c", *text);
		else if (escape == ESCAPE_JSON && is_control(text, n))
			put_format(writer, "\\u%04x", n == 1 ? text[0] : text[1]);
		else if (n == 0)
			put_format(writer, "\\x%02x", *text);
		else if (is_control(text, n))
			put_format(writer, "\\x%02x", n == 1 ? text[0] : text[1]);
		else
			put(writer, (const char *)text, n);
		text += n > 0 ? n : 1;
	}
}

static void put_message(struct writer *writer, const struct log_line *line, enum escape escape) {
	if (line->thing != NULL && line->thing[0] != '\0') {
		put_escaped(writer, line->thing, escape);
		put(writer, ": ", 2);
	}
	put_escaped(writer, line->text, escape);
}

// ISO 8601, UTC.
static void put_time(struct writer *writer, time_ns_t time_ns) {
	time_t seconds = time_ns / NS_PER_S;
	struct tm utc;
	char text[32];

	gmtime_r(&seconds, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	put_format(writer, "%s.%03dZ", text, (int)(time_ns % NS_PER_S / NS_PER_MS));
}

// Of syslog(3).
static int priority_of(enum log_level level) {
	static const int priorities[LOG_LEVEL_COUNT] = {
		[LOG_LEVEL_ERROR] = 3,
		[LOG_LEVEL_WARNING] = 4,
		[LOG_LEVEL_NOTICE] = 5,
		[LOG_LEVEL_INFO] = 6,
		[LOG_LEVEL_DEBUG] = 7,
	};
	return priorities[level];
}

// Whatever did not fit, the line ends.
static size_t end(struct writer *writer, const char *tail) {
	size_t n = strlen(tail);
	memcpy(writer->out + writer->n, tail, n);
	return writer->n + n;
}

size_t log_line_text(char *out, const struct log_line *line, bool stamp, bool priority) {
	struct writer writer = {.out = out, .most = LOG_LINE_BYTES - 1};

	if (priority)
		put_format(&writer, "<%d>", priority_of(line->level));
	if (stamp) {
		put_time(&writer, line->time_ns);
		put_format(&writer, " %s ", log_level_name(line->level));
	}
	put_escaped(&writer, line->program, ESCAPE_TEXT);
	put(&writer, ": ", 2);
	put_message(&writer, line, ESCAPE_TEXT);
	return end(&writer, "\n");
}

size_t log_line_json(char *out, const struct log_line *line, bool priority) {
	struct writer writer = {.out = out, .most = LOG_LINE_BYTES - 3};

	if (priority)
		put_format(&writer, "<%d>", priority_of(line->level));
	put_format(&writer, "{\"time\":\"");
	put_time(&writer, line->time_ns);
	put_format(&writer, "\",\"level\":\"%s\",\"program\":\"", log_level_name(line->level));
	put_escaped(&writer, line->program, ESCAPE_JSON);
	if (line->thing != NULL && line->thing[0] != '\0') {
		put_format(&writer, "\",\"thing\":\"");
		put_escaped(&writer, line->thing, ESCAPE_JSON);
	}
	put_format(&writer, "\",\"message\":\"");
	put_message(&writer, line, ESCAPE_JSON);
	return end(&writer, "\"}\n");
}

size_t log_line_journal(char *out, const struct log_line *line) {
	struct writer writer = {.out = out, .most = LOG_LINE_BYTES - 1};

	put_format(&writer, "PRIORITY=%d\n", priority_of(line->level));
	put_format(&writer, "SYSLOG_IDENTIFIER=weir\n");
	if (line->thing != NULL && line->thing[0] != '\0') {
		put_format(&writer, "WEIR_THING=");
		put_escaped(&writer, line->thing, ESCAPE_TEXT);
		put(&writer, "\n", 1);
	}
	// No value has a line feed, so none needs its length told.
	put_format(&writer, "MESSAGE=");
	put_message(&writer, line, ESCAPE_TEXT);
	return end(&writer, "\n");
}
