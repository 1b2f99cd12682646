#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log_journal.h"
#include "log_limit.h"
#include "log_line.h"

static struct {
	pthread_mutex_t lock; // for all below
	struct log_config config;
	int journal; // its socket, or negative
	bool priorities;
	bool stamps;
	bool stuck; // the last line was not taken
	unsigned n_lost;
	struct log_limit limit;
} state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.config = {.level = LOG_LEVEL_INFO, .program = "weir", .fd = STDERR_FILENO},
	.journal = -1,
};

const char *log_level_name(enum log_level level) {
	static const char *const names[LOG_LEVEL_COUNT] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_NOTICE] = "notice",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};
	return names[level];
}

static time_ns_t time_of(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// What a file, a pipe or a terminal has room for, or nothing.
static bool write_line(const char *line, size_t n) {
	struct pollfd fd = {.fd = state.config.fd, .events = POLLOUT};

	// Once it was waited for; then others are not to wait too.
	if (poll(&fd, 1, state.stuck ? 0 : LOG_WAIT_MS) <= 0)
		return false;
	// Nobody reads any more, and to write would be answered with SIGPIPE.
	if ((fd.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
		return false;
	while (n > 0) {
		ssize_t written = write(state.config.fd, line, n);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		line += written;
		n -= (size_t)written;
	}
	return true;
}

static bool write_event(const struct log_line *line) {
	char out[LOG_LINE_BYTES];

	if (state.journal >= 0 && state.config.format == LOG_FORMAT_TEXT
	    && log_journal_send(state.journal, out, log_line_journal(out, line)) == 0)
		return true;
	size_t n = state.config.format == LOG_FORMAT_JSON
			   ? log_line_json(out, line, state.priorities)
			   : log_line_text(out, line, state.stamps, state.priorities);
	return write_line(out, n);
}

static void tell(enum log_level level, const char *thing, const char *text) {
	struct log_line line = {
		.level = LOG_LEVEL_WARNING,
		.program = state.config.program,
		.time_ns = time_of(CLOCK_REALTIME),
	};
	char lost[80];

	if (state.n_lost > 0) {
		snprintf(lost, sizeof(lost), "%u lines could not be written", state.n_lost);
		line.thing = "log";
		line.text = lost;
		state.stuck = !write_event(&line);
		if (!state.stuck)
			state.n_lost = 0;
	}
	line.level = level;
	line.thing = thing;
	line.text = text;
	state.stuck = state.stuck || !write_event(&line);
	state.n_lost += state.stuck;
}

static void tell_held(const struct log_limit_event *event, time_ns_t now_ns) {
	char text[LOG_LIMIT_TEXT_BYTES + 64];

	snprintf(
		text,
		sizeof(text),
		"%s; %u more in %.0f s",
		event->text,
		event->n_held,
		(double)(now_ns - event->begun_ns) / 1e9
	);
	tell((enum log_level)event->level, event->thing, text);
}

static void tell_over(time_ns_t now_ns, bool all) {
	struct log_limit_event ended;

	while (log_limit_over(&state.limit, now_ns, all, &ended))
		tell_held(&ended, now_ns);
}

static void take(enum log_level level, const char *thing, const char *text) {
	struct log_limit_event ended;
	time_ns_t now_ns = time_of(CLOCK_MONOTONIC);

	pthread_mutex_lock(&state.lock);
	if (level <= state.config.level) {
		tell_over(now_ns, false);
		bool told = log_limit_take(&state.limit, (int)level, thing, text, now_ns, &ended);
		if (ended.n_held > 0)
			tell_held(&ended, now_ns);
		if (told)
			tell(level, thing, text);
	}
	pthread_mutex_unlock(&state.lock);
}

void log_event(enum log_level level, const char *thing, const char *format, ...) {
	char text[LOG_MESSAGE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	take(level, thing, text);
}

// What stands before the first ": ", copied, and what behind it.
static const char *split(const char *line, char thing[LOG_MESSAGE_BYTES]) {
	const char *at = strstr(line, ": ");

	thing[0] = '\0';
	if (at == NULL || at - line >= LOG_MESSAGE_BYTES)
		return line;
	memcpy(thing, line, (size_t)(at - line));
	thing[at - line] = '\0';
	return at + 2;
}

void log_message(enum log_level level, const char *line) {
	char thing[LOG_MESSAGE_BYTES];
	const char *text = split(line, thing);

	take(level, thing, text);
}

void log_paced(enum log_level level, const char *line) {
	pthread_mutex_lock(&state.lock);
	if (level <= state.config.level)
		tell(level, NULL, line);
	pthread_mutex_unlock(&state.lock);
}

void log_tick(void) {
	time_ns_t now_ns = time_of(CLOCK_MONOTONIC);

	pthread_mutex_lock(&state.lock);
	tell_over(now_ns, false);
	pthread_mutex_unlock(&state.lock);
}

void log_begin(const struct log_config *config) {
	const char *socket = config->journal_socket;

	pthread_mutex_lock(&state.lock);
	state.config = *config;
	if (state.config.fd == 0)
		state.config.fd = STDERR_FILENO;
	state.priorities = log_journal_reads(state.config.fd, getenv("JOURNAL_STREAM"));
	// JSON is for whoever reads the journal's lines: it stays as it is, in the stream.
	if (state.priorities && state.config.format == LOG_FORMAT_TEXT)
		state.journal = log_journal_open(socket != NULL ? socket : LOG_JOURNAL_SOCKET);
	state.stamps = !state.priorities && isatty(state.config.fd) != 1;
	state.stuck = false;
	state.n_lost = 0;
	// The C library looks for its time zone once; later it may not open files.
	tzset();
	pthread_mutex_unlock(&state.lock);
}

void log_set(enum log_level level, enum log_format format) {
	pthread_mutex_lock(&state.lock);
	state.config.level = level;
	state.config.format = format;
	pthread_mutex_unlock(&state.lock);
}

void log_end(void) {
	time_ns_t now_ns = time_of(CLOCK_MONOTONIC);

	pthread_mutex_lock(&state.lock);
	tell_over(now_ns, true);
	if (state.journal >= 0)
		close(state.journal);
	state.journal = -1;
	pthread_mutex_unlock(&state.lock);
}
