// Log line: what is logged, as octets: a line of text, a line of JSON, or a datagram of the
// journal's native protocol. What comes from outside (names, causes) can neither end a line nor
// steer a terminal: control characters and what is no UTF-8 are escaped.
//
// Pure: buffer to buffer, time an argument.

#pragma once

#include <stddef.h>

#include "clock.h"
#include "log.h"

enum {
	LOG_LINE_BYTES = 4096, // PIPE_BUF: a pipe takes a line as a whole
};

struct log_line {
	enum log_level level;
	const char *program; // such as "weir run"
	const char *thing;   // NULL or "": none
	const char *text;    // the event and its cause, without the thing
	time_ns_t time_ns;   // of the wall clock
};

// Each writes at most LOG_LINE_BYTES and returns how many; what does not fit is cut off.

// "program: thing: text\n"; with `stamp` after time and level, with `priority` after <N>.
size_t log_line_text(char *out, const struct log_line *line, bool stamp, bool priority);

// An object: time, level, program, thing where there is one, message (with the thing).
size_t log_line_json(char *out, const struct log_line *line, bool priority);

// MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, WEIR_THING
// (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/).
size_t log_line_journal(char *out, const struct log_line *line);
