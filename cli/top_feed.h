// Top feed: asks the sensor again and again, on a thread of its own, so that a sensor that is slow
// to answer holds up no key.
//
// Threads: its own writes the model, under the lock; the owner calls the rest.
// Time: CLOCK_MONOTONIC, for when to ask.

#pragma once

#include <stdbool.h>

#include "top_model.h"

struct top_feed;

// One question and its answer, without a thread. 0, or a negative errno with one line in `error`
// (LIVE_SOCKET_ERROR_BYTES).
[[nodiscard]] int top_feed_ask(const char *socket, struct top_model *model, char *error);

// Starts to ask; the second time soon, since rates need two answers. `model` and `socket` remain
// the caller's, the model untouched but under the lock. NULL with errno.
[[nodiscard]] struct top_feed *
top_feed_new(const char *socket, struct top_model *model, time_ns_t interval_ns);

// Is readable when something came.
int top_feed_fd(const struct top_feed *feed);

// Takes note that it was. Returns 0, or a negative errno with one line in `error`: then the sensor
// is lost, and no more comes.
[[nodiscard]] int top_feed_came(struct top_feed *feed, char *error);

void top_feed_lock(struct top_feed *feed);
void top_feed_unlock(struct top_feed *feed);

// Takes effect at once. While it is paused nothing is asked.
void top_feed_set(struct top_feed *feed, time_ns_t interval_ns, bool paused);

// Ends it. A thread that waits for an answer is not waited for; it ends with the program, and the
// model must not be freed. Returns whether it has ended.
bool top_feed_end(struct top_feed *feed);
