#include "top_screen.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

// Not its macros that are words.
#define NCURSES_NOMACROS 1
#include <curses.h>

#include "top_keys.h"

static SCREEN *screen;
static attr_t styles[CANVAS_STYLE_COUNT];

enum {
	ESCAPE_MS = 25, // after which Escape is no part of another key
};

static void set_styles(void) {
	styles[CANVAS_PLAIN] = A_NORMAL;
	styles[CANVAS_TITLE] = A_REVERSE;
	styles[CANVAS_LABEL] = A_NORMAL;
	styles[CANVAS_HEAD] = A_UNDERLINE;
	styles[CANVAS_CHOSEN] = A_BOLD | A_REVERSE;
	styles[CANVAS_GOOD] = A_NORMAL;
	styles[CANVAS_WARN] = A_BOLD;
	styles[CANVAS_BAD] = A_BOLD | A_REVERSE;
	styles[CANVAS_BAR] = A_NORMAL;
}

static void set_colors(void) {
	static const struct {
		enum canvas_style style;
		short color;
		attr_t with;
	} colors[] = {
		{CANVAS_LABEL, COLOR_CYAN, A_NORMAL},
		{CANVAS_GOOD, COLOR_GREEN, A_NORMAL},
		{CANVAS_WARN, COLOR_YELLOW, A_NORMAL},
		{CANVAS_BAD, COLOR_RED, A_BOLD},
		{CANVAS_BAR, COLOR_BLUE, A_NORMAL},
	};
	const char *no_color = getenv("NO_COLOR");

	if (!has_colors() || (no_color != NULL && no_color[0] != '\0') || start_color() == ERR)
		return;
	short background = use_default_colors() == OK ? -1 : COLOR_BLACK;
	for (short i = 0; i < (short)(sizeof(colors) / sizeof(colors[0])); i++) {
		if (init_pair((short)(i + 1), colors[i].color, background) == ERR)
			continue;
		styles[colors[i].style] = (attr_t)COLOR_PAIR(i + 1) | colors[i].with;
	}
}

int top_screen_open(char *error) {
	const char *term = getenv("TERM");

	// initscr() would end the program where it knows no such terminal.
	screen = newterm(NULL, stdout, stdin);
	if (screen == NULL) {
		snprintf(
			error,
			TOP_SCREEN_ERROR_BYTES,
			"no terminal '%.40s' is known; set TERM, or use --once",
			term != NULL ? term : ""
		);
		return -ENOTTY;
	}
	if (tigetstr("cup") == NULL) {
		snprintf(
			error,
			TOP_SCREEN_ERROR_BYTES,
			"terminal '%.40s' cannot put text in its place; set TERM, or use --once",
			term != NULL ? term : ""
		);
		top_screen_close();
		return -ENOTTY;
	}
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	(void)curs_set(0);
	set_styles();
	set_colors();
	return 0;
}

void top_screen_close(void) {
	if (screen == NULL)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

void top_screen_size(unsigned *rows, unsigned *cols) {
	int y, x;

	getmaxyx(stdscr, y, x);
	*rows = y > 0 ? (unsigned)y : 1;
	*cols = x > 0 ? (unsigned)x : 1;
}

static void show_cell(const struct canvas_cell *cell) {
	wchar_t text[2] = {(wchar_t)cell->glyph, L'\0'};
	cchar_t glyph;
	attr_t style = styles[cell->style];

	if (setcchar(&glyph, text, style, (short)PAIR_NUMBER(style), NULL) == OK)
		add_wch(&glyph);
}

void top_screen_show(const struct canvas *canvas, bool whole) {
	if (whole)
		clearok(stdscr, TRUE);
	erase();
	for (unsigned row = 0; row < canvas->rows; row++) {
		move((int)row, 0);
		for (unsigned col = 0; col < canvas->cols; col++)
			show_cell(&canvas->cells[row][col]);
	}
	refresh();
}

int top_screen_key(void) {
	int key = getch();

	switch (key) {
	case ERR:
		return TOP_KEY_NONE;
	case KEY_UP:
		return TOP_KEY_UP;
	case KEY_DOWN:
		return TOP_KEY_DOWN;
	case KEY_PPAGE:
		return TOP_KEY_PAGE_UP;
	case KEY_NPAGE:
		return TOP_KEY_PAGE_DOWN;
	case KEY_HOME:
		return TOP_KEY_HOME;
	case KEY_END:
		return TOP_KEY_END;
	case KEY_ENTER:
	case '\r':
	case '\n':
		return TOP_KEY_ENTER;
	case KEY_BACKSPACE:
	case 127:
	case '\b':
		return TOP_KEY_BACKSPACE;
	case KEY_RESIZE:
		return TOP_KEY_RESIZE;
	default: // some other key does nothing
		return key < 128 ? key : TOP_KEY_NONE;
	}
}
