// Run status: what the status page of a running sensor is made of: the page, and the two answers
// that it asks for, /status.json and /history.json.
//
// Threads: the same lock as the metrics' is held in run_status_begin(), run_status_take() and the
// two that print; run_status_look(), which takes longer, is for the server's thread without it.
// Time: CLOCK_REALTIME and CLOCK_MONOTONIC.

#pragma once

#include <stdio.h>

#include "health.h"
#include "http_server.h"

struct run_status;

// NULL without memory.
[[nodiscard]] struct run_status *run_status_new(const struct metrics_sources *sources);
void run_status_free(struct run_status *status); // NULL is fine

// Takes note of the first metrics, and of later ones.
void run_status_begin(struct run_status *status, const struct metrics *metrics);
void run_status_take(struct run_status *status, const struct metrics *metrics);

// Looks for top talkers, where that is due. Returns 0 or -ENOMEM.
[[nodiscard]] int run_status_look(struct run_status *status);

void run_status_print_now(
	struct run_status *status, const struct metrics *metrics, enum run_state state, FILE *out
);
void run_status_print_history(const struct run_status *status, FILE *out);

// The page. Returns 0 or -ENOMEM.
[[nodiscard]] int run_status_page(struct http_answer *answer);
