// Record ring: what a worker tells the exporter. Flow records, and marks between them.
//
// A mark says the order and the clock of the records that follow it, and that no record of a
// lower order follows. By the orders the exporter joins the rings of several workers into one
// stream that does not depend on which of them ran faster.
//
// Threads: as ring.h, the worker produces, the exporter consumes.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "flow_record.h"
#include "ring.h"

// The order of the mark after which nothing follows.
#define RECORD_ORDER_END UINT64_MAX

// A mark travels in the clothes of a record, so that all slots are alike.
static inline bool record_is_mark(const struct flow_record *slot) {
	return slot->end == FLOW_END_NONE;
}

static inline struct flow_record record_mark(uint64_t order, uint64_t now_ticks) {
	return (struct flow_record){
		.end = FLOW_END_NONE,
		.first_ticks = order,
		.last_ticks = now_ticks,
	};
}

static inline uint64_t record_mark_order(const struct flow_record *mark) {
	return mark->first_ticks;
}

static inline uint64_t record_mark_now(const struct flow_record *mark) {
	return mark->last_ticks;
}
