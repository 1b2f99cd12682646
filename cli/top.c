// weir top: what a running sensor does, on a terminal, or as text or JSON for scripts.

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "top_feed.h"
#include "top_json.h"
#include "top_keys.h"
#include "top_layout.h"
#include "top_names.h"
#include "top_options.h"
#include "top_screen.h"

enum {
	ONCE_COLS = 80,
	ONCE_ROWS_ABOVE = 8,  // of the table
	ONCE_LEAST_ROWS = 24, // or else lines would be left out
	NAMES_MS = 2000,      // that --once waits for names
	NAMES_LOOK_MS = 50,
};

struct top {
	struct top_options options;
	struct top_model model;
	struct top_choice choice;
	struct top_rows rows;
	struct canvas canvas;
	struct top_names *names; // or NULL
	bool utf8;
};

static volatile sig_atomic_t ending; // by this signal

static void on_signal(int number) {
	ending = number;
}

static bool name_of(const struct flow_key *key, bool source, char *out, void *arg) {
	struct top *top = arg;
	char name[TOP_NAME_BYTES];

	static_assert((int)TOP_NAME_BYTES <= (int)TOP_ADDRESS_BYTES, "");
	if (top->names == NULL)
		top->names = top_names_new();
	if (top->names == NULL || !top_names_get(top->names, key, source, name))
		return false;
	memcpy(out, name, sizeof(name));
	return true;
}

static int failed(const char *error) {
	fprintf(stderr, "weir top: %s\n", error);
	return EXIT_FAILED;
}

// Of a sensor that had answered before.
static int lost(const char *error) {
	fprintf(stderr, "weir top: the sensor is lost: %s\n", error);
	return EXIT_FAILED;
}

static int interrupted(void) {
	return 128 + ending;
}

static void begin(struct top *top) {
	top->choice = (struct top_choice){
		.view = top->options.view,
		.sort = top->options.sort,
		.filter = top->options.filter,
		.names = top->options.names,
		.interval_s = (double)top->options.interval_ns / 1e9,
		.name = name_of,
		.arg = top,
	};
	(void)setlocale(LC_CTYPE, "");
	top->utf8 = !top->options.ascii && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

// The rows of the chosen view, on a canvas of that size.
static void draw(struct top *top, unsigned rows, unsigned cols) {
	canvas_begin(&top->canvas, rows, cols, top->utf8);
	if (top->choice.view < TOP_VIEW_COUNT && top->model.has_status)
		top_model_rows(
			&top->model,
			(enum top_view)top->choice.view,
			top->choice.sort,
			&top->choice.filter,
			&top->rows
		);
	if (top->choice.no_keys && top->rows.n > top->options.n_rows)
		top->rows.n = top->options.n_rows;
	top_layout(&top->canvas, &top->choice, &top->model, &top->rows);
}

// Without a terminal.

static void rest(time_ns_t ns) {
	struct timespec left = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
	while (ending == 0 && nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

// Draws until no name came for a while: there is one look alone.
static void draw_with_names(struct top *top, unsigned rows, unsigned cols) {
	draw(top, rows, cols);
	for (unsigned ms = 0; top->names != NULL && ms < NAMES_MS && ending == 0;
	     ms += NAMES_LOOK_MS) {
		rest(NAMES_LOOK_MS * NS_PER_MS);
		if (top_names_came(top->names))
			draw(top, rows, cols);
	}
}

static int print_once(struct top *top) {
	top->choice.no_keys = true;
	unsigned rows = top->options.n_rows + ONCE_ROWS_ABOVE;
	rows = rows > ONCE_LEAST_ROWS ? rows : ONCE_LEAST_ROWS;
	draw_with_names(top, rows, ONCE_COLS);
	canvas_print(&top->canvas, stdout);
	return fflush(stdout) != 0 ? -EIO : 0;
}

static int run_plain(struct top *top) {
	char error[LIVE_SOCKET_ERROR_BYTES];
	bool more = true;

	int rc = top_feed_ask(top->options.socket, &top->model, error);
	bool answered = rc == 0;
	while (rc == 0 && more) {
		rest(top->options.interval_ns);
		if (ending != 0)
			return interrupted();
		rc = top_feed_ask(top->options.socket, &top->model, error);
		if (rc < 0)
			break;
		int written = top->options.json ? top_json_print(
				      &top->model, &top->choice, top->options.n_rows, stdout
			      )
						: print_once(top);
		if (written < 0)
			return failed("standard output cannot be written to");
		more = !top->options.once;
	}
	if (rc < 0)
		return answered ? lost(error) : failed(error);
	return EXIT_OK;
}

// On a terminal.

struct session {
	struct top *top;
	struct top_feed *feed;
	unsigned rows, cols;
};

static void show(struct session *session, bool whole) {
	struct top *top = session->top;

	top_screen_size(&session->rows, &session->cols);
	top_feed_lock(session->feed);
	draw(top, session->rows, session->cols);
	top_feed_unlock(session->feed);
	top_screen_show(&top->canvas, whole);
}

// Does what the keys say that were pressed. Returns false where it is to end.
static bool press_keys(struct session *session) {
	struct top_choice *choice = &session->top->choice;
	bool draws = false, whole = false;
	int key;

	while ((key = top_screen_key()) != TOP_KEY_NONE) {
		switch (top_keys_press(choice, key, session->rows / 2)) {
		case TOP_QUIT:
			return false;
		case TOP_PACE:
			top_feed_set(
				session->feed, (time_ns_t)(choice->interval_s * 1e9), choice->paused
			);
			draws = true;
			break;
		case TOP_REDRAW:
			whole = true;
			break;
		case TOP_DRAW:
			draws = true;
			break;
		case TOP_NOTHING:
			break;
		}
	}
	if (draws || whole)
		show(session, whole);
	return true;
}

// Until the user quits, a signal comes, or the sensor is lost: 0, or a negative errno.
static int interact(struct session *session, const sigset_t *unblocked, char *error) {
	struct top *top = session->top;

	while (ending == 0) {
		struct pollfd fds[] = {
			{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = top_feed_fd(session->feed), .events = POLLIN},
		};
		const struct timespec look = {.tv_nsec = 200 * NS_PER_MS}; // for names
		bool waits = top->choice.names && top->names != NULL;
		int n = ppoll(fds, 2, waits ? &look : NULL, unblocked);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && (fds[1].revents & POLLIN) != 0) {
			int rc = top_feed_came(session->feed, error);
			if (rc < 0)
				return rc;
			show(session, false);
		}
		// A change of the terminal's size is told as a key.
		if (!press_keys(session))
			return 0;
		if (n > 0 && (fds[0].revents & (POLLHUP | POLLERR)) != 0)
			return 0; // the terminal is gone
		if (waits && top_names_came(top->names))
			show(session, false);
	}
	return 0;
}

static int run_on_terminal(struct top *top) {
	struct session session = {.top = top};
	char error[LIVE_SOCKET_ERROR_BYTES] = "";
	sigset_t ends, unblocked;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fprintf(stderr, "weir top: needs a terminal; --once and --json do without\n");
		return EXIT_USAGE;
	}
	// Where there is no sensor the terminal need not be touched.
	int rc = top_feed_ask(top->options.socket, &top->model, error);
	if (rc < 0)
		return failed(error);
	// Signals come while we wait alone.
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ends, &unblocked);
	rc = top_screen_open(error);
	if (rc < 0)
		return failed(error);
	session.feed = top_feed_new(top->options.socket, &top->model, top->options.interval_ns);
	if (session.feed == NULL) {
		rc = -errno;
		snprintf(error, sizeof(error), "no thread: %s", strerror(errno));
	} else {
		show(&session, false);
		rc = interact(&session, &unblocked, error);
	}
	top_screen_close();
	if (session.feed == NULL || top_feed_end(session.feed))
		top_model_done(&top->model);
	if (rc < 0)
		return lost(error);
	return ending != 0 ? interrupted() : EXIT_OK;
}

int command_top(int argc, char **argv) {
	static struct top top; // some 700 KiB
	struct sigaction action = {.sa_handler = on_signal};

	int rc = top_options_parse(&top.options, argc, argv);
	if (rc != 0)
		return rc > 0 ? EXIT_OK : EXIT_USAGE;
	if (top_model_init(&top.model, top.options.interval_ns) < 0)
		return failed(strerror(ENOMEM));
	begin(&top);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	if (top.options.once || top.options.json) {
		rc = run_plain(&top);
		top_model_done(&top.model);
	} else {
		rc = run_on_terminal(&top);
	}
	top_names_end(top.names);
	return rc;
}
