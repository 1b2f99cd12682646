#include "run_status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history.h"
#include "page.h"
#include "status_json.h"
#include "status_top.h"

struct run_status {
	struct history history;
	struct minute minute;
	struct status_top *top;
	// Of one answer, and too large for a stack.
	struct minute_counts last;
	struct health health;
};

static time_ns_t time_of(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

struct run_status *run_status_new(const struct metrics_sources *sources) {
	struct run_status *status = calloc(1, sizeof(*status));

	if (status == NULL)
		return NULL;
	status->top = status_top_new(sources->sensor, sources->sampling_interval);
	if (status->top != NULL)
		return status;
	free(status);
	return NULL;
}

void run_status_free(struct run_status *status) {
	if (status == NULL)
		return;
	status_top_free(status->top);
	free(status);
}

static struct history_counts counts_of(const struct metrics *metrics) {
	struct minute_counts totals;
	struct history_counts counts = {
		.taken_ns = metrics->taken_ns,
		.packets = metrics->ledger.received.packets,
		.bytes = metrics->ledger.received.bytes,
	};

	minute_totals(metrics, &totals);
	counts.packets_lost = minute_packets_lost(&totals);
	counts.records_lost = minute_records_lost(&totals);
	for (unsigned i = 0; i < metrics->n_workers; i++) {
		counts.flows += metrics->workers[i].cache.started;
		counts.cached += metrics->workers[i].cache.flows;
	}
	return counts;
}

void run_status_begin(struct run_status *status, const struct metrics *metrics) {
	// What came before is of the first sample.
	history_begin(&status->history, &(struct history_counts){.taken_ns = metrics->taken_ns});
	minute_mark(&status->minute, metrics);
}

void run_status_take(struct run_status *status, const struct metrics *metrics) {
	const struct history_counts counts = counts_of(metrics);

	if (history_add(&status->history, &counts, time_of(CLOCK_REALTIME)))
		minute_mark(&status->minute, metrics);
}

int run_status_look(struct run_status *status) {
	return status_top_update(status->top);
}

void run_status_print_now(
	struct run_status *status, const struct metrics *metrics, enum run_state state, FILE *out
) {
	time_ns_t age_ns = time_of(CLOCK_MONOTONIC) - metrics->taken_ns;

	minute_read(&status->minute, metrics, &status->last);
	health_read(metrics, &status->last, state, age_ns, &status->health);
	status_json_print(
		&(struct status_facts){
			.metrics = metrics,
			.last = &status->last,
			.health = &status->health,
			.history = &status->history,
			.state = state,
			.now_ns = time_of(CLOCK_REALTIME),
		},
		out
	);
	fprintf(out, ",\"top\":");
	status_top_print(status->top, out);
	fprintf(out, "}\n");
}

void run_status_print_history(const struct run_status *status, FILE *out) {
	history_print(&status->history, HISTORY_SAMPLES, out);
	fputc('\n', out);
}

int run_status_page(struct http_answer *answer) {
	answer->body = malloc(page_bytes);
	if (answer->body == NULL)
		return -ENOMEM;
	memcpy(answer->body, page_text, page_bytes);
	answer->body_bytes = page_bytes;
	answer->content_type = "text/html; charset=utf-8";
	answer->policy = page_policy;
	return 0;
}
