// Chart: a line over time, of characters. With UTF-8 of braille, of which each has two by four
// dots, else of asterisks.
//
// Pure.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "byte_buffer.h"

enum {
	CHART_LEAST_WIDTH = 30,
	CHART_LEAST_HEIGHT = 5,
};

struct chart {
	const char *title;
	const int64_t *times; // ns since 1970, ascending
	const double *values; // NaN = none
	size_t n;
	size_t stride;   // from a value to the next
	int64_t step_ns; // where there is no point after a step the value was 0; 0 = not known
	unsigned width, height; // in characters, with title and labels
	bool utf8;
	bool bytes; // in KiB and so on, else in k and M
};

// Appends the chart, some lines, to `out`.
void chart_draw(const struct chart *chart, struct byte_buffer *out);
