#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REDRAW_NS (100 * NS_PER_MS)

static time_ns_t monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int terminal_width(void) {
	struct winsize size;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return 80;
}

static void bytes_text(char *out, size_t size, uint64_t bytes) {
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(out, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

// A number, or one a second, in five characters or so.
static void count_text(char *out, size_t size, double value) {
	static const char *const units[] = {"", "k", "M", "G", "T"};
	unsigned unit = 0;

	while (value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	snprintf(out, size, unit == 0 ? "%.0f%s" : "%.1f%s", value, units[unit]);
}

void progress_begin(struct progress *progress, const char *counts) {
	*progress = (struct progress){.counts = counts, .start_ns = monotonic_ns()};
}

void progress_update(struct progress *progress, const struct replay_progress *state) {
	char read[32], total[32], packets[32], per_s[32], line[256], bar[13];
	time_ns_t now_ns = monotonic_ns();

	if (now_ns - progress->drawn_ns < REDRAW_NS)
		return;
	progress->drawn_ns = now_ns;

	double seconds = (double)(now_ns - progress->start_ns) / 1e9;
	double rate = seconds > 0 ? (double)state->packets / seconds : 0;
	bytes_text(read, sizeof(read), state->bytes_read);
	count_text(packets, sizeof(packets), (double)state->packets);
	count_text(per_s, sizeof(per_s), rate);
	int n;
	if (state->bytes_total > 0) {
		double part = (double)state->bytes_read / (double)state->bytes_total;
		if (part > 1) // a file that grew since
			part = 1;
		unsigned filled = (unsigned)(part * (sizeof(bar) - 1));
		memset(bar, '.', sizeof(bar) - 1);
		memset(bar, '#', filled);
		bar[sizeof(bar) - 1] = '\0';
		bytes_text(total, sizeof(total), state->bytes_total);
		long left = part > 0 ? (long)(seconds / part - seconds + 0.5) : 0;
		n = snprintf(
			line,
			sizeof(line),
			"[%s] %3.0f%%  %s of %s  %s %s  %s/s  %ld:%02ld left",
			bar,
			part * 100,
			read,
			total,
			packets,
			progress->counts,
			per_s,
			left / 60,
			left % 60
		);
	} else {
		n = snprintf(
			line,
			sizeof(line),
			"%s read  %s %s  %s/s  %.0f s",
			read,
			packets,
			progress->counts,
			per_s,
			seconds
		);
	}

	// A line that wraps could not be drawn over.
	int width = terminal_width() - 1;
	if (n > width)
		n = width;
	fprintf(stderr,
		"\r%.*s%*s",
		n,
		line,
		progress->last_width > n ? progress->last_width - n : 0,
		"");
	fflush(stderr);
	progress->last_width = n;
	progress->shown = true;
}

void progress_end(struct progress *progress) {
	if (!progress->shown)
		return;
	fprintf(stderr, "\r%*s\r", progress->last_width, "");
	fflush(stderr);
	progress->shown = false;
}
