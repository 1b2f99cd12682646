// Top screen: a canvas on a terminal (ncurses), and its keys. Colours where the terminal has them
// and NO_COLOR (no-color.org) is not set; else bold and reverse.
//
// Threads: one. What is held: the terminal, from open to close.

#pragma once

#include "canvas.h"

enum {
	TOP_SCREEN_ERROR_BYTES = 160,
};

// 0, or a negative errno with one line in `error`. The terminal is as before then.
[[nodiscard]] int top_screen_open(char *error);

// Gives the terminal back as it was. Also where it was not opened.
void top_screen_close(void);

void top_screen_size(unsigned *rows, unsigned *cols);

// With `whole` also what the terminal is thought to show already.
void top_screen_show(const struct canvas *canvas, bool whole);

// The next key of top_keys.h, TOP_KEY_NONE where there is none.
int top_screen_key(void);
