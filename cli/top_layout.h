// Top layout: what `weir top` shows, as a picture. On few rows the lines that matter least are left
// out, on few columns the columns that do.
//
// Pure. Threads: one at a time.

#pragma once

#include <stdbool.h>

#include "canvas.h"
#include "top_model.h"

enum {
	TOP_LEAST_ROWS = 5,
	TOP_LEAST_COLS = 20,
	TOP_ADDRESS_BYTES = 72,
	TOP_MESSAGE_BYTES = 160,
	// Behind the views of flows.
	TOP_SENSOR_VIEW = TOP_VIEW_COUNT,
	TOP_ALL_VIEWS,
};

// The name of an address, source or destination of `key`, into `out` (TOP_ADDRESS_BYTES). False
// where there is none, or none yet.
typedef bool (*top_name_fn)(const struct flow_key *key, bool source, char *out, void *arg);

// What the user chose.
struct top_choice {
	unsigned view; // enum top_view, or TOP_SENSOR_VIEW
	enum top_sort sort;
	struct top_filter filter;
	bool paused;
	bool names;
	bool help;
	bool edits;                    // the filter
	char edited[TOP_FILTER_BYTES]; // so far
	unsigned scroll;               // rows that are above the first one shown
	unsigned help_scroll;
	char message[TOP_MESSAGE_BYTES]; // in place of the keys, if any
	bool no_keys;                    // nobody can press one
	double interval_s;
	top_name_fn name;
	void *arg;
};

// Draws on a canvas that was begun. Takes back a `scroll` that is too far.
void top_layout(
	struct canvas *canvas,
	struct top_choice *choice,
	const struct top_model *model,
	const struct top_rows *rows
);

// The parts of it. The lines that say how the sensor fares; returns how many.
unsigned top_layout_figures(struct canvas *canvas, const struct top_model *model, unsigned row);
// The sensor view from `row` on, without the first `scroll` lines of it; returns how many there
// are.
unsigned top_layout_sensor(
	struct canvas *canvas,
	const struct top_model *model,
	unsigned row,
	unsigned n_rows,
	unsigned scroll
);
void top_layout_help(struct canvas *canvas, struct top_choice *choice);

// The text of an address, or its name, into `out` (TOP_ADDRESS_BYTES).
void top_layout_address(
	const struct top_choice *choice, const struct flow_key *key, bool source, char *out
);
