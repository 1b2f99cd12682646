// How the sensor fares: in some lines above each view, and in full as a view of its own.

#include <string.h>

#include "top_layout.h"

enum {
	MANY_ROWS = 16, // from which all lines are shown
	WORKER_COLS = 20,
	BAR_COLS = 12,
	NAME_COLS = 22,
};

static void number(struct canvas *canvas, const char *label, double value, const char *unit) {
	char text[CANVAS_NUMBER_BYTES];

	canvas_put(canvas, CANVAS_LABEL, "%s ", label);
	canvas_put(canvas, CANVAS_PLAIN, "%s%s  ", canvas_number(value, text), unit);
}

static enum canvas_style load_style(double share) {
	if (share >= 0.9)
		return CANVAS_BAD;
	return share >= 0.7 ? CANVAS_WARN : CANVAS_GOOD;
}

static void put_dropped(struct canvas *canvas, const struct top_model *model) {
	char text[CANVAS_NUMBER_BYTES];
	double dropped = model->rates.dropped;

	canvas_put(canvas, CANVAS_LABEL, "dropped ");
	canvas_put(
		canvas, dropped > 0 ? CANVAS_BAD : CANVAS_GOOD, "%s/s", canvas_number(dropped, text)
	);
}

static double cache_fill(const struct top_model *model) {
	uint64_t capacity = top_model_capacity(model);
	return capacity > 0 ? (double)top_model_flows(model) / (double)capacity : 0;
}

static void put_cache(struct canvas *canvas, const struct top_model *model) {
	char text[CANVAS_NUMBER_BYTES];
	double fill = cache_fill(model);

	number(canvas, "flows", (double)top_model_flows(model), "");
	canvas->col--;
	canvas_put(
		canvas,
		CANVAS_LABEL,
		"of %s ",
		canvas_number((double)top_model_capacity(model), text)
	);
	if (canvas->cols >= 70)
		canvas_bar(canvas, load_style(fill), fill, BAR_COLS);
	canvas_put(canvas, CANVAS_PLAIN, " %3.0f%%  ", 100 * fill);
}

// Why packets are not in flows, those reasons that there were since the last answer.
static void put_reasons(struct canvas *canvas, const struct top_model *model) {
	char text[CANVAS_NUMBER_BYTES];
	unsigned n = 0;

	canvas_put(canvas, CANVAS_LABEL, "not metered ");
	for (unsigned i = 0; i < model->status.n_reasons; i++) {
		const char *name = model->status.reasons[i].name;
		if (model->rates.not_metered[i] <= 0)
			continue;
		canvas_put(
			canvas,
			strncmp(name, "port_", 5) == 0 ? CANVAS_BAD : CANVAS_PLAIN,
			"%s%s %s/s",
			n++ > 0 ? ", " : "",
			name,
			canvas_number(model->rates.not_metered[i], text)
		);
	}
	if (n == 0)
		canvas_put(canvas, CANVAS_GOOD, "none");
}

static void put_workers(struct canvas *canvas, const struct top_model *model) {
	const struct live_status *status = &model->status;

	canvas_put(canvas, CANVAS_LABEL, "%s ", status->n_workers == 1 ? "worker " : "workers");
	if (status->has_reader) {
		canvas_bar(
			canvas,
			load_style(model->rates.reader_busy),
			model->rates.reader_busy,
			BAR_COLS
		);
		canvas_put(canvas, CANVAS_PLAIN, " %3.0f%% read ", 100 * model->rates.reader_busy);
	}
	for (unsigned i = 0; i < status->n_workers; i++) {
		double busy = model->rates.workers_busy[i];
		if (canvas->col + WORKER_COLS > canvas->cols && i + 1 < status->n_workers) {
			canvas_put(canvas, CANVAS_LABEL, "+%u", status->n_workers - i);
			return;
		}
		canvas_bar(canvas, load_style(busy), busy, BAR_COLS);
		canvas_put(canvas, CANVAS_PLAIN, " %3.0f%%  ", 100 * busy);
	}
}

// How a sink fares, by what became of its records since the last answer.
static const char *sink_state(const struct top_model *model, unsigned i, enum canvas_style *style) {
	const struct status_sink *sink = &model->status.sinks[i];

	*style = CANVAS_BAD;
	if (model->rates.sinks_lost[i] > 0)
		return model->rates.sinks_sent[i] > 0 ? "loses" : "fails";
	*style = CANVAS_WARN;
	for (unsigned j = 0; j < sink->n_losses; j++)
		if (sink->losses[j].records > 0)
			return "lost before";
	*style = CANVAS_GOOD;
	return "ok";
}

static void put_sinks(struct canvas *canvas, const struct top_model *model) {
	const struct live_status *status = &model->status;
	char text[CANVAS_NUMBER_BYTES];
	enum canvas_style style;

	canvas_put(canvas, CANVAS_LABEL, "to ");
	if (status->n_sinks == 0)
		canvas_put(canvas, CANVAS_WARN, "nobody: records go nowhere");
	for (unsigned i = 0; i < status->n_sinks; i++) {
		const char *name = status->sinks[i].name;
		if (i > 0 && canvas->col + strlen(name) + 16 > canvas->cols) {
			canvas_put(canvas, CANVAS_LABEL, "+%u", status->n_sinks - i);
			return;
		}
		canvas_put(canvas, CANVAS_PLAIN, "%.40s ", name);
		canvas_put(
			canvas,
			CANVAS_PLAIN,
			"%s/s ",
			canvas_number(model->rates.sinks_sent[i], text)
		);
		const char *state = sink_state(model, i, &style);
		canvas_put(canvas, style, "%s", state);
		canvas_put(canvas, CANVAS_PLAIN, "  ");
	}
}

unsigned top_layout_figures(struct canvas *canvas, const struct top_model *model, unsigned row) {
	unsigned begin = row;

	canvas_move(canvas, row++, 0);
	number(canvas, "packets", model->rates.packets, "/s");
	number(canvas, "bits", model->rates.bits, "/s");
	if (canvas->cols >= 70) {
		number(canvas, "metered", model->rates.metered_packets, "/s");
		put_dropped(canvas, model);
	}
	canvas_move(canvas, row++, 0);
	put_cache(canvas, model);
	if (canvas->cols >= 70) {
		number(canvas, "new", model->rates.new_flows, "/s");
		number(canvas, "records", model->rates.records, "/s");
	} else {
		put_dropped(canvas, model);
	}
	if (canvas->rows < MANY_ROWS)
		return row - begin;
	canvas_move(canvas, row++, 0);
	put_reasons(canvas, model);
	canvas_move(canvas, row++, 0);
	put_workers(canvas, model);
	canvas_move(canvas, row++, 0);
	put_sinks(canvas, model);
	return row - begin;
}

// Lines of a view, of which some are above its first row, and some below its last.
struct lines {
	struct canvas *canvas;
	unsigned row, n_rows, scroll;
	unsigned n; // so far
};

// Whether the next line is to be drawn.
static bool next_line(struct lines *lines) {
	unsigned n = lines->n++;

	if (n < lines->scroll || n - lines->scroll >= lines->n_rows)
		return false;
	canvas_move(lines->canvas, lines->row + n - lines->scroll, 0);
	return true;
}

static void put_ports(struct lines *lines, const struct top_model *model) {
	for (unsigned i = 0; i < model->status.n_ports; i++) {
		const struct status_port *port = &model->status.ports[i];
		if (!next_line(lines))
			continue;
		canvas_put(lines->canvas, CANVAS_LABEL, "port   ");
		canvas_field(lines->canvas, CANVAS_PLAIN, port->name, NAME_COLS, false);
		canvas_put(
			lines->canvas,
			port->up ? CANVAS_GOOD : CANVAS_BAD,
			port->up ? " up    " : " down  "
		);
		number(lines->canvas, "packets", model->rates.ports_packets[i], "/s");
		number(lines->canvas, "bits", model->rates.ports_bits[i], "/s");
		number(lines->canvas, "lost", model->rates.ports_lost[i], "/s");
	}
}

static void put_load(struct canvas *canvas, double busy) {
	canvas_bar(canvas, load_style(busy), busy, BAR_COLS);
	canvas_put(canvas, CANVAS_PLAIN, " %3.0f%%  ", 100 * busy);
}

static void put_threads(struct lines *lines, const struct top_model *model) {
	if (model->status.has_reader && next_line(lines)) {
		canvas_put(lines->canvas, CANVAS_LABEL, "reader    ");
		put_load(lines->canvas, model->rates.reader_busy);
	}
	for (unsigned i = 0; i < model->status.n_workers; i++) {
		const struct status_worker *worker = &model->status.workers[i];
		if (!next_line(lines))
			continue;
		canvas_put(lines->canvas, CANVAS_LABEL, "worker %-2u ", i);
		put_load(lines->canvas, model->rates.workers_busy[i]);
		number(lines->canvas, "packets", model->rates.workers_packets[i], "/s");
		number(lines->canvas, "flows", (double)worker->flows, "");
		double ring = worker->ring_capacity > 0
				      ? 100 * (double)worker->ring / (double)worker->ring_capacity
				      : 0;
		canvas_put(lines->canvas, CANVAS_LABEL, "ring ");
		canvas_put(lines->canvas, CANVAS_PLAIN, "%.0f%%  ", ring);
		if (worker->lost > 0)
			canvas_put(
				lines->canvas,
				CANVAS_BAD,
				"lost %llu",
				(unsigned long long)worker->lost
			);
	}
}

static void put_losses(struct lines *lines, const struct status_sink *sink) {
	for (unsigned i = 0; i < sink->n_losses; i++) {
		if (sink->losses[i].records == 0 || !next_line(lines))
			continue;
		canvas_put(
			lines->canvas,
			CANVAS_BAD,
			"         %s %llu",
			sink->losses[i].name,
			(unsigned long long)sink->losses[i].records
		);
		canvas_put(lines->canvas, CANVAS_LABEL, " records lost since the start");
	}
}

static void put_exporters(struct lines *lines, const struct top_model *model) {
	enum canvas_style style;

	for (unsigned i = 0; i < model->status.n_sinks; i++) {
		const struct status_sink *sink = &model->status.sinks[i];
		if (next_line(lines)) {
			canvas_put(lines->canvas, CANVAS_LABEL, "to     ");
			canvas_field(lines->canvas, CANVAS_PLAIN, sink->name, NAME_COLS, false);
			const char *state = sink_state(model, i, &style);
			canvas_put(lines->canvas, CANVAS_PLAIN, " ");
			canvas_field(lines->canvas, style, state, 12, false);
			number(lines->canvas, "sent", model->rates.sinks_sent[i], "/s");
			number(lines->canvas, "lost", model->rates.sinks_lost[i], "/s");
		}
		put_losses(lines, sink);
	}
}

unsigned top_layout_sensor(
	struct canvas *canvas,
	const struct top_model *model,
	unsigned row,
	unsigned n_rows,
	unsigned scroll
) {
	struct lines lines = {canvas, row, n_rows, scroll, 0};
	const struct live_status *status = &model->status;

	put_ports(&lines, model);
	put_threads(&lines, model);
	put_exporters(&lines, model);
	if (status->late_flows > 0 && next_line(&lines)) {
		canvas_put(canvas, CANVAS_LABEL, "idle flows leave late by ");
		canvas_put(
			canvas,
			CANVAS_PLAIN,
			"p50 %llu p99 %llu max %llu ms",
			(unsigned long long)status->late_p50_ms,
			(unsigned long long)status->late_p99_ms,
			(unsigned long long)status->late_max_ms
		);
	}
	return lines.n;
}
