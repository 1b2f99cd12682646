#include "chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "query_time.h"

enum {
	LABEL = 10, // characters before the axis
	MOST_WIDTH = 500,
	MOST_HEIGHT = 100,
	MOST_DOTS = MOST_WIDTH * 2,
};

// The plot, in dots. A character has dots_x by dots_y of them.
struct plot {
	unsigned columns, rows; // of characters
	unsigned dots_x, dots_y;
	double y[MOST_DOTS]; // NaN = none
	double max;
	uint8_t cells[MOST_HEIGHT][MOST_WIDTH];
};

static void put(struct byte_buffer *out, const char *text) {
	byte_buffer_put(out, text, strlen(text));
}

static void label_text(const struct chart *chart, double value, char *text, size_t size) {
	static const char *const binary[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	static const char *const decimal[] = {"", "k", "M", "G", "T", "P"};
	double factor = chart->bytes ? 1024 : 1000;
	unsigned unit = 0;

	while (value >= factor * 0.99995 && unit < 5) {
		value /= factor;
		unit++;
	}
	const char *name = chart->bytes ? binary[unit] : decimal[unit];
	// Few decimals for what is large, none for what is whole.
	int decimals = value == floor(value) ? 0 : value < 100 ? 1 : 0;
	snprintf(text, size, chart->bytes ? "%.*f %s" : "%.*f%s", decimals, value, name);
}

static size_t dot_of(const struct chart *chart, int64_t time, size_t n_dots) {
	double span = (double)(chart->times[chart->n - 1] - chart->times[0]);
	if (span <= 0)
		return 0;
	return (size_t)((double)(time - chart->times[0]) / span * (double)(n_dots - 1) + 0.5);
}

// Several points of one dot: the greatest, so that no peak is lost.
static void mark(struct plot *plot, size_t dot, double value) {
	if (isnan(plot->y[dot]) || value > plot->y[dot])
		plot->y[dot] = value;
}

static void take_points(const struct chart *chart, struct plot *plot) {
	size_t n_dots = (size_t)plot->columns * plot->dots_x;

	for (size_t i = 0; i < n_dots; i++)
		plot->y[i] = NAN;
	for (size_t i = 0; i < chart->n; i++) {
		double value = chart->values[i * chart->stride];
		if (isnan(value))
			continue;
		plot->max = value > plot->max ? value : plot->max;
		mark(plot, dot_of(chart, chart->times[i], n_dots), value);
		// Where steps are missing nothing was: down to 0 behind this one, and up again
		// before the next.
		if (chart->step_ns <= 0 || i + 1 == chart->n
		    || chart->times[i + 1] - chart->times[i] < 2 * chart->step_ns)
			continue;
		size_t from = dot_of(chart, chart->times[i] + chart->step_ns, n_dots);
		size_t to = dot_of(chart, chart->times[i + 1] - chart->step_ns, n_dots);
		for (size_t dot = from; dot <= to; dot++)
			mark(plot, dot, 0);
	}
	// Straight lines between points.
	for (size_t i = 1, last = 0; i < n_dots; i++) {
		if (isnan(plot->y[i]))
			continue;
		for (size_t j = last + 1; j < i && !isnan(plot->y[last]); j++)
			plot->y[j] = plot->y[last]
				     + (plot->y[i] - plot->y[last]) * (double)(j - last)
					       / (double)(i - last);
		last = i;
	}
}

static void set_dot(struct plot *plot, unsigned x, unsigned y_from_top) {
	static const uint8_t braille[4][2] = {
		{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
	uint8_t bit = plot->dots_x == 1 ? 1 : braille[y_from_top % 4][x % 2];
	plot->cells[y_from_top / plot->dots_y][x / plot->dots_x] |= bit;
}

static unsigned height_of(const struct plot *plot, double value) {
	unsigned top = plot->rows * plot->dots_y - 1;
	if (plot->max <= 0 || value <= 0)
		return 0;
	return (unsigned)(value / plot->max * top + 0.5);
}

static void draw_line(struct plot *plot) {
	unsigned top = plot->rows * plot->dots_y - 1, last = 0;
	bool begun = false;

	for (unsigned x = 0; x < plot->columns * plot->dots_x; x++) {
		if (isnan(plot->y[x])) {
			begun = false;
			continue;
		}
		unsigned height = height_of(plot, plot->y[x]);
		unsigned from = begun ? last : height;
		// The line is one: dots between this height and the last, without the last.
		if (from < height)
			from++;
		else if (from > height)
			from--;
		for (unsigned y = from < height ? from : height;
		     y <= (from < height ? height : from);
		     y++)
			set_dot(plot, x, top - y);
		last = height;
		begun = true;
	}
}

static void put_cell(const struct plot *plot, uint8_t cell, struct byte_buffer *out) {
	char text[4] = {(char)0xe2, (char)(0xa0 | cell >> 6), (char)(0x80 | (cell & 0x3f)), '\0'};

	if (cell == 0)
		put(out, " ");
	else
		put(out, plot->dots_x == 1 ? "*" : text);
}

static void put_rows(const struct chart *chart, const struct plot *plot, struct byte_buffer *out) {
	char label[32], line[64];

	for (unsigned row = 0; row < plot->rows; row++) {
		unsigned used = plot->columns;
		label[0] = '\0';
		if (row == 0)
			label_text(chart, plot->max, label, sizeof(label));
		else if (row == plot->rows / 2 && plot->rows >= 5)
			label_text(
				chart,
				plot->max * (1 - (double)row / (plot->rows - 1)),
				label,
				sizeof(label)
			);
		else if (row == plot->rows - 1)
			snprintf(label, sizeof(label), "0");
		snprintf(
			line,
			sizeof(line),
			"%*s %s",
			LABEL - 1,
			label,
			chart->utf8 ? (label[0] != '\0' ? "┤" : "│")
				    : (label[0] != '\0' ? "+" : "|")
		);
		put(out, line);
		while (used > 0 && plot->cells[row][used - 1] == 0)
			used--;
		for (unsigned i = 0; i < used; i++)
			put_cell(plot, plot->cells[row][i], out);
		put(out, "\n");
	}
}

static void put_times(const struct chart *chart, const struct plot *plot, struct byte_buffer *out) {
	char from[TIME_TEXT_BYTES], to[TIME_TEXT_BYTES], line[MOST_WIDTH + 64];

	snprintf(line, sizeof(line), "%*s%s", LABEL, "", chart->utf8 ? "└" : "+");
	put(out, line);
	for (unsigned i = 0; i < plot->columns; i++)
		put(out, chart->utf8 ? "─" : "-");
	query_time_text(chart->times[0], from);
	query_time_text(chart->times[chart->n - 1], to);
	int gap = (int)plot->columns - (int)strlen(from) - (int)strlen(to);
	if (gap > 0)
		snprintf(line, sizeof(line), "\n%*s%s%*s%s\n", LABEL + 1, "", from, gap, "", to);
	else
		snprintf(line, sizeof(line), "\n%s - %s\n", from, to);
	put(out, line);
}

void chart_draw(const struct chart *chart, struct byte_buffer *out) {
	unsigned width = chart->width < CHART_LEAST_WIDTH ? CHART_LEAST_WIDTH : chart->width;
	unsigned height = chart->height < CHART_LEAST_HEIGHT ? CHART_LEAST_HEIGHT : chart->height;
	struct plot *plot = calloc(1, sizeof(*plot));

	if (plot == NULL) {
		out->failed = true;
		return;
	}
	// The axis, and a column that terminals may need to break lines.
	plot->columns = width - LABEL - 2;
	plot->rows = height - 3; // title, axis, times
	plot->columns = plot->columns > MOST_WIDTH ? MOST_WIDTH : plot->columns;
	plot->rows = plot->rows > MOST_HEIGHT ? MOST_HEIGHT : plot->rows;
	plot->dots_x = chart->utf8 ? 2 : 1;
	plot->dots_y = chart->utf8 ? 4 : 1;
	if (chart->n > 0) {
		take_points(chart, plot);
		draw_line(plot);
	}
	put(out, chart->title);
	put(out, "\n");
	if (chart->n > 0) {
		put_rows(chart, plot, out);
		put_times(chart, plot, out);
	}
	free(plot);
}
