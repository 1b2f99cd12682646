#include "top_model.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *top_view_name(enum top_view view) {
	static const char *const names[TOP_VIEW_COUNT] = {
		[TOP_SOURCES] = "sources",
		[TOP_DESTINATIONS] = "destinations",
		[TOP_PORTS] = "ports",
		[TOP_CONVERSATIONS] = "conversations",
		[TOP_FLOWS] = "flows",
	};
	return names[view];
}

const char *top_sort_name(enum top_sort sort) {
	static const char *const names[TOP_SORT_COUNT] = {
		[TOP_BY_BITS] = "bits",
		[TOP_BY_PACKETS] = "packets",
		[TOP_BY_FLOWS] = "flows",
	};
	return names[sort];
}

int top_model_init(struct top_model *model, time_ns_t interval_ns) {
	*model = (struct top_model){
		.window_ticks = ticks_of_ns(interval_ns),
		.n_parts = 1,
		.sampling_rate = 1,
	};
	int rc = top_table_init(&model->flows, TOP_FLOW_SETS);
	if (rc == 0)
		rc = top_table_init(&model->groups, TOP_GROUP_SETS);
	return rc;
}

void top_model_done(struct top_model *model) {
	top_table_done(&model->flows);
	top_table_done(&model->groups);
}

struct live_request top_model_request(const struct top_model *model) {
	uint64_t since = model->parts[model->part].read_ticks;
	uint64_t now = ticks_of_ns((time_ns_t)model->status.time_ns);

	if (since == 0)
		since = now > model->window_ticks ? now - model->window_ticks : 0;
	return (struct live_request){
		.want = LIVE_ACTIVE,
		.since_ticks = since,
		.first = model->part * LIVE_MOST_BUCKETS,
		.count = LIVE_MOST_BUCKETS,
	};
}

void top_model_begin(struct top_model *model, const struct live_header *header) {
	uint32_t n_parts = header->n_buckets / LIVE_MOST_BUCKETS
			   + (header->n_buckets % LIVE_MOST_BUCKETS != 0);

	if (header->n_buckets != model->n_buckets) { // another sensor
		memset(model->parts, 0, sizeof(model->parts));
		top_table_clear(&model->flows);
	}
	model->n_buckets = header->n_buckets;
	model->n_parts = n_parts < 1 ? 1 : n_parts > TOP_MAX_PARTS ? TOP_MAX_PARTS : n_parts;
	if (model->part >= model->n_parts)
		model->part = 0;
	model->now_ticks = header->now_ticks;
	model->sampling_rate = header->sampling_rate > 0 ? header->sampling_rate : 1;
}

static double seconds_of(uint64_t ticks) {
	return (double)(ticks > 0 ? ticks : 1) / TICKS_PER_S;
}

// What a flow moved a second that was not known when the part was read before.
static double
rate_of_new(const struct top_model *model, const struct flow_record *record, uint64_t count) {
	uint64_t since = model->parts[model->part].read_ticks;
	uint64_t span = since != 0 ? model->now_ticks - since : model->window_ticks;

	if (since == 0 || record->first_ticks < since) {
		uint64_t life = model->now_ticks > record->first_ticks
					? model->now_ticks - record->first_ticks
					: 0;
		if (life > span)
			span = life;
	}
	return (double)count / seconds_of(span);
}

static void add_flow(struct top_model *model, const struct flow_record *record) {
	uint64_t since = model->parts[model->part].read_ticks;
	double octets_s = rate_of_new(model, record, record->octets);
	double packets_s = rate_of_new(model, record, record->packets);
	bool is_new;

	struct top_entry *entry = top_table_take(&model->flows, &record->key, octets_s, &is_new);
	if (entry == NULL)
		return;
	if (!is_new && since != 0 && entry->first_ticks == record->first_ticks
	    && entry->octets <= record->octets && entry->packets <= record->packets) {
		double span = seconds_of(model->now_ticks - since);
		octets_s = (double)(record->octets - entry->octets) / span;
		packets_s = (double)(record->packets - entry->packets) / span;
	}
	entry->octets_s = octets_s * model->sampling_rate;
	entry->packets_s = packets_s * model->sampling_rate;
	entry->weight = octets_s;
	entry->octets = record->octets;
	entry->packets = record->packets;
	entry->first_ticks = record->first_ticks;
	entry->seen_ticks = model->now_ticks;
	entry->flows = 1;
	entry->part = model->part;
}

void top_model_add(struct top_model *model, const struct flow_record *records, size_t n) {
	for (size_t i = 0; i < n; i++)
		if (records[i].key.family == FLOW_IPV4 || records[i].key.family == FLOW_IPV6)
			add_flow(model, &records[i]);
}

void top_model_end(struct top_model *model) {
	// What did not come moved nothing. It is kept, to be known when it moves again, until
	// another flow wants its place.
	for (uint32_t i = 0; i < top_table_room(&model->flows); i++) {
		struct top_entry *entry = &model->flows.entries[i];
		if (entry->part != model->part || entry->seen_ticks == model->now_ticks)
			continue;
		entry->weight = entry->octets_s = entry->packets_s = 0;
		entry->flows = 0;
	}
	model->parts[model->part].read_ticks = model->now_ticks;
	model->part = (model->part + 1) % model->n_parts;
}

static bool has_ports(uint8_t proto) {
	return proto == 6 || proto == 17 || proto == 132 || proto == 33 || proto == 136;
}

// One address of a flow, as the source of a key.
static void take_address(const struct flow_key *key, bool source, struct flow_key *out) {
	out->family = key->family;
	if (key->family == FLOW_IPV4)
		memcpy(out->src4, source ? key->src4 : key->dst4, sizeof(out->src4));
	else
		memcpy(out->src6, source ? key->src6 : key->dst6, sizeof(out->src6));
}

// Both, the lower one first.
static void take_conversation(const struct flow_key *key, struct flow_key *out) {
	bool ipv4 = key->family == FLOW_IPV4;
	size_t n = ipv4 ? 4 : 16;
	const uint8_t *low = ipv4 ? key->src4 : key->src6;
	const uint8_t *high = ipv4 ? key->dst4 : key->dst6;

	if (memcmp(low, high, n) > 0) {
		const uint8_t *swap = low;
		low = high;
		high = swap;
	}
	out->family = key->family;
	memcpy(ipv4 ? out->src4 : out->src6, low, n);
	memcpy(ipv4 ? out->dst4 : out->dst6, high, n);
}

// What of a flow's key a view shows.
static struct flow_key group_of(const struct flow_key *key, enum top_view view) {
	struct flow_key out = {0};

	switch (view) {
	case TOP_SOURCES:
	case TOP_DESTINATIONS:
		take_address(key, view == TOP_SOURCES, &out);
		return out;
	case TOP_PORTS:
		// The lower one is the service's, mostly. The family is no part of it.
		out.family = FLOW_IPV4;
		out.proto = key->proto;
		if (has_ports(key->proto))
			out.src_port = ntohs(key->src_port) < ntohs(key->dst_port) ? key->src_port
										   : key->dst_port;
		return out;
	case TOP_CONVERSATIONS:
		take_conversation(key, &out);
		return out;
	case TOP_FLOWS:
	case TOP_VIEW_COUNT:
		break;
	}
	return *key;
}

static double weight_of(const struct top_entry *entry, enum top_sort sort) {
	if (sort == TOP_BY_BITS)
		return entry->octets_s;
	return sort == TOP_BY_PACKETS ? entry->packets_s : entry->flows;
}

static void add_to_group(
	struct top_model *model,
	const struct top_entry *flow,
	enum top_view view,
	enum top_sort sort
) {
	const struct flow_key key = group_of(&flow->key, view);
	bool is_new;

	struct top_entry *group =
		top_table_take(&model->groups, &key, weight_of(flow, sort), &is_new);
	if (group == NULL)
		return;
	group->octets_s += flow->octets_s;
	group->packets_s += flow->packets_s;
	group->octets += flow->octets * model->sampling_rate;
	group->flows++;
	group->weight = weight_of(group, sort);
}

// The heaviest first; of two that weigh the same the order must not change from look to look.
static int compare(const void *a, const void *b) {
	const struct top_entry *left = *(const struct top_entry *const *)a;
	const struct top_entry *right = *(const struct top_entry *const *)b;

	if (left->weight != right->weight)
		return left->weight < right->weight ? 1 : -1;
	return memcmp(&left->key, &right->key, sizeof(left->key));
}

void top_model_rows(
	struct top_model *model,
	enum top_view view,
	enum top_sort sort,
	const struct top_filter *filter,
	struct top_rows *rows
) {
	static const struct top_entry *sorted[TOP_GROUP_SETS * TOP_TABLE_WAYS];

	rows->n = rows->n_all = 0;
	rows->octets_s = rows->packets_s = 0;
	top_table_clear(&model->groups);
	for (uint32_t i = 0; i < top_table_room(&model->flows); i++) {
		const struct top_entry *flow = &model->flows.entries[i];
		if (flow->flows == 0 || !top_filter_matches(filter, &flow->key))
			continue;
		rows->octets_s += flow->octets_s;
		rows->packets_s += flow->packets_s;
		add_to_group(model, flow, view, sort);
	}
	for (uint32_t i = 0; i < top_table_room(&model->groups); i++)
		if (model->groups.entries[i].key.family != 0)
			sorted[rows->n_all++] = &model->groups.entries[i];
	qsort(sorted, rows->n_all, sizeof(sorted[0]), compare);
	for (; rows->n < rows->n_all && rows->n < TOP_MAX_ROWS; rows->n++) {
		const struct top_entry *entry = sorted[rows->n];
		rows->rows[rows->n] = (struct top_row){
			.key = entry->key,
			.octets_s = entry->octets_s,
			.packets_s = entry->packets_s,
			.octets = entry->octets,
			.flows = entry->flows,
		};
	}
}
