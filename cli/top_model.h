// Top model: what `weir top` knows of the sensor: its figures, the rates between two answers, and
// the flows that moved, in bounded memory.
//
// The sensor's flow caches are read in parts of LIVE_MOST_BUCKETS, some 330,000 flows. A look reads
// TOP_LOOK_PARTS at most, fewer where many flows moved; what is left the next looks read, in turn.
// Of each part come the flows that had a packet since it was read before. What a flow moves a
// second is the difference between the two readings, over the time between them. A flow that was
// not known before has moved all it counts if it began since, and else its average since it began.
//
// Pure. Threads: one at a time. Time: only the sensor's, in its answers.

#pragma once

#include <stdbool.h>

#include "flow_record.h"
#include "live_protocol.h"
#include "live_request.h"
#include "live_status.h"
#include "top_filter.h"
#include "top_table.h"

enum {
	TOP_FLOW_SETS = 1 << 13,  // 65,536 flows
	TOP_GROUP_SETS = 1 << 13, // and as many of their addresses, ports, conversations
	TOP_MAX_ROWS = 1000,
	TOP_MAX_PARTS = 4096,       // of a cache, more than it can have
	TOP_LOOK_PARTS = 4,         // that are read at once, at most
	TOP_LOOK_RECORDS = 1 << 17, // after which no other part is begun
};

enum top_view {
	TOP_SOURCES,
	TOP_DESTINATIONS,
	TOP_PORTS,
	TOP_CONVERSATIONS,
	TOP_FLOWS,
	TOP_VIEW_COUNT
};

enum top_sort { TOP_BY_BITS, TOP_BY_PACKETS, TOP_BY_FLOWS, TOP_SORT_COUNT };

// A second, since the answer before; before there are two all is 0.
struct top_rates {
	double seconds; // between the two; 0 = there is one alone
	double packets, bits, metered_packets;
	double new_flows, records;
	double dropped; // packets that ports lost, and records that found no room
	double not_metered[STATUS_MAX_REASONS]; // as in the status
	double ports_packets[STATUS_MAX_PORTS], ports_bits[STATUS_MAX_PORTS];
	double ports_lost[STATUS_MAX_PORTS];
	double workers_busy[STATUS_MAX_WORKERS]; // 0 to 1
	double workers_packets[STATUS_MAX_WORKERS];
	double reader_busy;
	double sinks_sent[STATUS_MAX_SINKS], sinks_lost[STATUS_MAX_SINKS];
};

struct top_part {
	uint64_t read_ticks; // 0 = never
};

struct top_model {
	struct live_status status;
	struct top_rates rates;
	bool has_status;
	struct top_table flows;
	struct top_table groups; // of the last view
	struct top_part parts[TOP_MAX_PARTS];
	uint32_t n_buckets, n_parts;
	uint32_t part;          // that is read, or next
	uint64_t now_ticks;     // of its answer
	uint64_t window_ticks;  // of the first reading of a part
	uint32_t sampling_rate; // what flows count is multiplied by it
};

struct top_row {
	struct flow_key key; // what the view shows of it; the rest is 0
	double octets_s, packets_s;
	uint64_t octets;
	uint32_t flows;
};

struct top_rows {
	struct top_row rows[TOP_MAX_ROWS];
	unsigned n;
	unsigned n_all;             // also those without a row
	double octets_s, packets_s; // of all
};

// `interval_ns` is between two looks. 0 or -ENOMEM.
[[nodiscard]] int top_model_init(struct top_model *model, time_ns_t interval_ns);
void top_model_done(struct top_model *model);

// The next status. Where the sensor is another one than before all is begun anew.
void top_model_status(struct top_model *model, const struct live_status *status);

// What to ask for next, then what came: the header, the flows, the end.
struct live_request top_model_request(const struct top_model *model);
void top_model_begin(struct top_model *model, const struct live_header *header);
void top_model_add(struct top_model *model, const struct flow_record *records, size_t n);
void top_model_end(struct top_model *model);

// The largest of a view, those first.
void top_model_rows(
	struct top_model *model,
	enum top_view view,
	enum top_sort sort,
	const struct top_filter *filter,
	struct top_rows *rows
);

// Flows that fit into all caches, and that are there.
uint64_t top_model_capacity(const struct top_model *model);
uint64_t top_model_flows(const struct top_model *model);

const char *top_view_name(enum top_view view);
const char *top_sort_name(enum top_sort sort);
