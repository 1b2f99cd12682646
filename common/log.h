// Log: what a running sensor says, one line an event: the thing, then the cause. To standard
// error, as text or JSON; where that is systemd's journal, to the journal itself.
//
// The same event of the same thing is told a few times a minute and then counted (log_limit.h).
//
// Threads: log_begin() and log_end() from one, the rest from any; not from a signal handler, and
// not on the packet path. A line costs one system call or two, no allocation, and waits no longer
// than LOG_WAIT_MS where standard error takes nothing (a pipe whose reader sleeps, a terminal that
// was stopped): it is given up then, and it is told how many were.
// Time: the wall clock for stamps, CLOCK_MONOTONIC for the limit.

#pragma once

#include <stdbool.h>

enum {
	LOG_WAIT_MS = 50,
	LOG_MESSAGE_BYTES = 1024, // a longer one is cut off
};

enum log_level {
	LOG_LEVEL_ERROR,   // weir cannot do what it was asked to
	LOG_LEVEL_WARNING, // packets or records are lost, or may be
	LOG_LEVEL_NOTICE,  // it starts, it ends
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_COUNT,
};

enum log_format {
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON,
};

struct log_config {
	enum log_level level; // and all that are worse
	enum log_format format;
	const char *program; // such as "weir run"; remains the caller's
	// For tests; NULL or 0 for what is right.
	const char *journal_socket;
	int fd; // 0 = standard error
};

// Before it lines go to standard error as text.
void log_begin(const struct log_config *config);

// Another level and format from here on. Any thread. Where the journal is told in its own fields,
// it is when the format is text; a journal that log_begin() did not open is not opened any more.
void log_set(enum log_level level, enum log_format format);

// Tells what was held back.
void log_end(void);

// "error", "warning", ...
const char *log_level_name(enum log_level level);

// `thing` is what it happened to, such as "port eth1"; NULL = weir itself.
[[gnu::format(printf, 3, 4)]] void
log_event(enum log_level level, const char *thing, const char *format, ...);

// A line that was made elsewhere: what stands before its first ": " is the thing.
void log_message(enum log_level level, const char *line);

// The same for what comes at a pace of its own, such as a report: never held back.
void log_paced(enum log_level level, const char *line);

// Tells what was held back of events whose time is over. To be called about once a second.
void log_tick(void);
