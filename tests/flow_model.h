// Flow model: what a flow cache is meant to do, done in the plainest way, for tests to hold the
// real one to. A hash map with chaining and full keys, 64-bit times, one packet at a time, no
// pipeline, no hands; and where it may hold only so many flows, the least recently seen one
// leaves, by one list of all flows in the order in which they were last seen.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "flow_key.h"
#include "flow_record.h"
#include "packet.h"

struct flow_model_config {
	size_t n_flows;              // held at once; 0 = as many as there are
	time_ns_t active_timeout_ns; // 0 = a day
	time_ns_t idle_timeout_ns;   // 0 = a day
	void (*on_record)(const struct flow_record *record, void *arg);
	void *arg;
};

struct flow_model;

struct flow_model *flow_model_new(const struct flow_model_config *config);
void flow_model_free(struct flow_model *model);

void flow_model_add(struct flow_model *model, const struct packet *packet);

// Ends every flow that has timed out by `now_ns`.
void flow_model_age(struct flow_model *model, time_ns_t now_ns);

// Ends every flow: what has timed out by then for that, the others FLOW_END_FORCED.
void flow_model_flush(struct flow_model *model, time_ns_t now_ns);

// Flows held now, and at most so far.
size_t flow_model_flows(const struct flow_model *model);
size_t flow_model_peak(const struct flow_model *model);
