// Top keys: what a key does to what is shown.
//
// Pure. Threads: one.

#pragma once

#include "top_layout.h"

// Keys are characters, and these.
enum top_key {
	TOP_KEY_NONE = 0,
	TOP_KEY_ESCAPE = 27,
	TOP_KEY_UP = 256,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_ENTER,
	TOP_KEY_BACKSPACE,
	TOP_KEY_RESIZE,
};

enum top_action {
	TOP_NOTHING,
	TOP_DRAW,
	TOP_REDRAW, // all of the screen
	TOP_PACE,   // paused or not, or another interval
	TOP_QUIT,
};

// `page` is how many rows are seen at once.
enum top_action top_keys_press(struct top_choice *choice, int key, unsigned page);
