#include "status_top.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "top_json.h"
#include "top_layout.h"
#include "top_model.h"

struct status_top {
	const struct sensor *sensor;
	uint32_t sampling_interval;
	struct top_model model;
	struct top_choice choice;
	time_ns_t looked_ns; // monotonic; 0 = never
	size_t n_records;    // of this look
	char *text;          // what was found, or NULL
	size_t text_bytes;
};

static time_ns_t time_of(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

struct status_top *status_top_new(const struct sensor *sensor, uint32_t sampling_interval) {
	struct status_top *top = calloc(1, sizeof(*top));

	if (top == NULL)
		return NULL;
	top->sensor = sensor;
	top->sampling_interval = sampling_interval;
	top->choice.sort = TOP_BY_BITS;
	if (top_model_init(&top->model, STATUS_TOP_EVERY_S * NS_PER_S) == 0)
		return top;
	status_top_free(top);
	return NULL;
}

void status_top_free(struct status_top *top) {
	if (top == NULL)
		return;
	top_model_done(&top->model);
	free(top->text);
	free(top);
}

static bool on_flows(const struct flow_record *records, unsigned n, void *arg) {
	struct status_top *top = arg;

	top->n_records += n;
	top_model_add(&top->model, records, n);
	return true;
}

static void read_part(struct status_top *top) {
	time_ns_t now_ns = time_of(CLOCK_REALTIME);

	top_model_begin(
		&top->model,
		&(struct live_header){
			.sampling_rate = top->sampling_interval,
			.now_ticks = ticks_of_ns(now_ns),
			.n_buckets = sensor_buckets(top->sensor),
		}
	);
	top->model.status.time_ns = (uint64_t)now_ns;
	const struct live_request request = top_model_request(&top->model);
	(void)sensor_active(
		top->sensor, request.first, request.count, request.since_ticks, on_flows, top
	);
	top_model_end(&top->model);
}

// What moved long ago says little of now: rates begin anew.
static void forget(struct top_model *model) {
	top_table_clear(&model->flows);
	memset(model->parts, 0, sizeof(model->parts));
	model->part = 0;
}

static int print_rows(struct status_top *top, unsigned n_parts, time_ns_t took_ns) {
	static const enum top_view views[] = {
		TOP_SOURCES, TOP_DESTINATIONS, TOP_PORTS, TOP_CONVERSATIONS};
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (out == NULL)
		return -ENOMEM;
	fprintf(out,
		"{\"parts\":%" PRIu32 ",\"parts_read\":%u,\"took_ms\":%.1f",
		top->model.n_parts,
		n_parts,
		(double)took_ns / 1e6);
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		fputc(',', out);
		top_json_view(&top->model, &top->choice, views[i], STATUS_TOP_ROWS, out);
	}
	fputc('}', out);
	if (fclose(out) != 0) {
		free(text);
		return -ENOMEM;
	}
	free(top->text);
	top->text = text;
	top->text_bytes = bytes;
	return 0;
}

int status_top_update(struct status_top *top) {
	time_ns_t now_ns = time_of(CLOCK_MONOTONIC);
	time_ns_t age_ns = now_ns - top->looked_ns;
	unsigned n = 0;

	if (top->looked_ns != 0 && age_ns < STATUS_TOP_EVERY_S * NS_PER_S)
		return 0;
	if (top->looked_ns != 0 && age_ns > STATUS_TOP_FORGET_S * NS_PER_S)
		forget(&top->model);
	top->looked_ns = now_ns;
	top->n_records = 0;
	time_ns_t took_ns = 0;
	do {
		read_part(top);
		n++;
		took_ns = time_of(CLOCK_MONOTONIC) - now_ns;
	} while (n < top->model.n_parts && n < TOP_LOOK_PARTS && took_ns < STATUS_TOP_MOST_NS
		 && top->n_records < TOP_LOOK_RECORDS);
	return print_rows(top, n, took_ns);
}

void status_top_print(const struct status_top *top, FILE *out) {
	if (top->text == NULL)
		fputs("null", out);
	else
		fwrite(top->text, 1, top->text_bytes, out);
}
