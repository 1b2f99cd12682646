#include "canvas.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

enum {
	FULL_BLOCK = 0x2588, // and up to 0x258f those of 7 to 1 eighths
};

void canvas_begin(struct canvas *canvas, unsigned rows, unsigned cols, bool utf8) {
	canvas->rows = rows < CANVAS_MAX_ROWS ? rows : CANVAS_MAX_ROWS;
	canvas->cols = cols < CANVAS_MAX_COLS ? cols : CANVAS_MAX_COLS;
	canvas->utf8 = utf8;
	canvas->row = canvas->col = 0;
	for (unsigned row = 0; row < canvas->rows; row++)
		for (unsigned col = 0; col < canvas->cols; col++)
			canvas->cells[row][col] = (struct canvas_cell){' ', CANVAS_PLAIN};
}

void canvas_move(struct canvas *canvas, unsigned row, unsigned col) {
	canvas->row = row;
	canvas->col = col;
}

static void put_glyph(struct canvas *canvas, enum canvas_style style, unsigned glyph) {
	if (canvas->row < canvas->rows && canvas->col < canvas->cols)
		canvas->cells[canvas->row][canvas->col] =
			(struct canvas_cell){(uint16_t)glyph, (uint8_t)style};
	canvas->col++;
}

static void put_char(struct canvas *canvas, enum canvas_style style, char c) {
	// Nothing that a terminal would take for a command.
	put_glyph(canvas, style, c >= ' ' && c < 127 ? (unsigned char)c : '?');
}

void canvas_put(struct canvas *canvas, enum canvas_style style, const char *format, ...) {
	char text[CANVAS_MAX_COLS];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (const char *at = text; *at != '\0'; at++)
		put_char(canvas, style, *at);
}

void canvas_field(
	struct canvas *canvas, enum canvas_style style, const char *text, unsigned cols, bool right
) {
	unsigned n = (unsigned)strlen(text);

	for (unsigned i = n; right && i < cols; i++)
		put_char(canvas, style, ' ');
	for (unsigned i = 0; i < n && i < cols; i++)
		put_char(canvas, style, n > cols && i == cols - 1 ? '~' : text[i]);
	for (unsigned i = n; !right && i < cols; i++)
		put_char(canvas, style, ' ');
}

void canvas_fill(struct canvas *canvas, enum canvas_style style) {
	while (canvas->col < canvas->cols)
		put_char(canvas, style, ' ');
}

void canvas_bar(struct canvas *canvas, enum canvas_style style, double share, unsigned cols) {
	if (cols < 3)
		return;
	double all = (share > 0 ? share < 1 ? share : 1 : 0) * (cols - 2);
	unsigned whole = (unsigned)all, eighths = (unsigned)((all - whole) * 8);

	put_char(canvas, CANVAS_LABEL, '[');
	for (unsigned i = 0; i < cols - 2; i++) {
		if (i < whole)
			put_glyph(canvas, style, canvas->utf8 ? FULL_BLOCK : '#');
		else if (i == whole && eighths > 0 && canvas->utf8)
			put_glyph(canvas, style, FULL_BLOCK + 8 - eighths);
		else
			put_char(canvas, CANVAS_LABEL, canvas->utf8 ? ' ' : '.');
	}
	put_char(canvas, CANVAS_LABEL, ']');
}

static void print_glyph(unsigned glyph, FILE *out) {
	if (glyph < 0x80) {
		fputc((int)glyph, out);
		return;
	}
	// All that is not ASCII has three octets (RFC 3629 section 3).
	fputc((int)(0xe0 | glyph >> 12), out);
	fputc((int)(0x80 | (glyph >> 6 & 0x3f)), out);
	fputc((int)(0x80 | (glyph & 0x3f)), out);
}

static unsigned used_cols(const struct canvas *canvas, unsigned row) {
	unsigned n = canvas->cols;
	while (n > 0 && canvas->cells[row][n - 1].glyph == ' ')
		n--;
	return n;
}

void canvas_print(const struct canvas *canvas, FILE *out) {
	unsigned rows = canvas->rows;

	while (rows > 0 && used_cols(canvas, rows - 1) == 0)
		rows--;
	for (unsigned row = 0; row < rows; row++) {
		unsigned n = used_cols(canvas, row);
		for (unsigned col = 0; col < n; col++)
			print_glyph(canvas->cells[row][col].glyph, out);
		fputc('\n', out);
	}
}

const char *canvas_number(double value, char text[CANVAS_NUMBER_BYTES]) {
	static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
	unsigned i = 0;

	// From 999.5 on three digits would be rounded to four.
	while (value >= 999.5 && i < 5) {
		value /= 1000;
		i++;
	}
	int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
	if (i == 0 && (value >= 9.995 || value == floor(value)))
		decimals = 0;
	snprintf(text, CANVAS_NUMBER_BYTES, "%.*f%s", decimals, value, prefixes[i]);
	return text;
}
