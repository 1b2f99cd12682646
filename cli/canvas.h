// Canvas: a picture of text, row by row, that a terminal shows or a file takes. What does not fit
// is cut. Letters are ASCII; bars are made of blocks of Unicode, or of '#'.
//
// Pure. Threads: one at a time.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	CANVAS_MAX_ROWS = 256,
	CANVAS_MAX_COLS = 512,
};

enum canvas_style {
	CANVAS_PLAIN,
	CANVAS_TITLE,
	CANVAS_LABEL,
	CANVAS_HEAD, // of a column
	CANVAS_CHOSEN,
	CANVAS_GOOD,
	CANVAS_WARN,
	CANVAS_BAD,
	CANVAS_BAR,
	CANVAS_STYLE_COUNT
};

struct canvas_cell {
	uint16_t glyph; // of Unicode
	uint8_t style;  // enum canvas_style
};

struct canvas {
	unsigned rows, cols;
	bool utf8;
	unsigned row, col; // where the next text goes
	struct canvas_cell cells[CANVAS_MAX_ROWS][CANVAS_MAX_COLS];
};

// Blank, of that size or the largest there is.
void canvas_begin(struct canvas *canvas, unsigned rows, unsigned cols, bool utf8);

void canvas_move(struct canvas *canvas, unsigned row, unsigned col);
[[gnu::format(printf, 3, 4)]] void
canvas_put(struct canvas *canvas, enum canvas_style style, const char *format, ...);

// Text in `cols` columns, cut with a '~' or filled up with blanks; on the right with `right`.
void canvas_field(
	struct canvas *canvas, enum canvas_style style, const char *text, unsigned cols, bool right
);

// Gives the rest of the row a style.
void canvas_fill(struct canvas *canvas, enum canvas_style style);

// "[####....]" of `cols` columns, brackets included, for a share of 0 to 1.
void canvas_bar(struct canvas *canvas, enum canvas_style style, double share, unsigned cols);

// The rows down to the last that has text, as lines.
void canvas_print(const struct canvas *canvas, FILE *out);

// A number in 6 columns at most: "0", "0.25", "999", "1.25k", "12.5M", "125G".
enum {
	CANVAS_NUMBER_BYTES = 16,
};
const char *canvas_number(double value, char text[CANVAS_NUMBER_BYTES]);
