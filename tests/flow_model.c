#include "flow_model.h"

#include <stdlib.h>
#include <string.h>

#include "flow_cache.h"

enum {
	FIN_OR_RST = 0x05,
	SYN = 0x02,
	N_CHAINS = 1 << 16,
};

struct model_flow {
	struct flow_record record;
	struct model_flow *chain;
	struct model_flow *older, *newer;
};

struct flow_model {
	struct flow_model_config config;
	uint64_t active_ticks, idle_ticks, linger_ticks;
	uint64_t now;
	size_t n_flows, peak;
	struct model_flow list; // newer = the least recently seen, older = the most
	struct model_flow *chains[N_CHAINS];
};

static uint64_t ticks_or_day(time_ns_t timeout_ns) {
	return ticks_of_ns(timeout_ns != 0 ? timeout_ns : FLOW_CACHE_LONGEST_TIMEOUT_NS);
}

struct flow_model *flow_model_new(const struct flow_model_config *config) {
	struct flow_model *model = calloc(1, sizeof(*model));
	if (model == NULL)
		abort();
	model->config = *config;
	model->active_ticks = ticks_or_day(config->active_timeout_ns);
	model->idle_ticks = ticks_or_day(config->idle_timeout_ns);
	model->linger_ticks = ticks_of_ns(FLOW_CACHE_LINGER_NS);
	if (model->linger_ticks > model->idle_ticks)
		model->linger_ticks = model->idle_ticks;
	model->list.older = model->list.newer = &model->list;
	return model;
}

static struct model_flow **chain_of(struct flow_model *model, const struct flow_key *key) {
	uint64_t sum = 0;
	for (unsigned i = 0; i < 5; i++)
		sum = (sum ^ key->words[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return &model->chains[(sum >> 32) % N_CHAINS];
}

static enum flow_end
end_at(const struct flow_model *model, const struct flow_record *r, uint64_t t) {
	bool finished = (r->tcp_flags & FIN_OR_RST) != 0;
	uint64_t idle_end = r->last_ticks + (finished ? model->linger_ticks : model->idle_ticks);
	uint64_t active_end = r->first_ticks + model->active_ticks;

	if (t < idle_end && t < active_end)
		return FLOW_END_NONE;
	if (active_end < idle_end)
		return FLOW_END_ACTIVE;
	return finished ? FLOW_END_DETECTED : FLOW_END_IDLE;
}

static void emit(struct flow_model *model, struct model_flow *flow, enum flow_end end) {
	flow->record.end = (uint8_t)end;
	model->config.on_record(&flow->record, model->config.arg);
}

static void unlist(struct model_flow *flow) {
	flow->older->newer = flow->newer;
	flow->newer->older = flow->older;
}

// As the most recently seen.
static void enlist(struct flow_model *model, struct model_flow *flow) {
	flow->newer = &model->list;
	flow->older = model->list.older;
	flow->older->newer = flow;
	model->list.older = flow;
}

static void evict(struct flow_model *model, struct model_flow *flow, enum flow_end end) {
	struct model_flow **at = chain_of(model, &flow->record.key);

	emit(model, flow, end);
	while (*at != flow)
		at = &(*at)->chain;
	*at = flow->chain;
	unlist(flow);
	free(flow);
	model->n_flows--;
}

static void evict_oldest(struct flow_model *model) {
	struct model_flow *oldest = model->list.newer;
	enum flow_end end = end_at(model, &oldest->record, model->now);

	evict(model, oldest, end != FLOW_END_NONE ? end : FLOW_END_RESOURCES);
}

static void begin(struct flow_record *record, const struct packet *packet) {
	uint64_t t = ticks_of_ns(packet->time_ns);

	*record = (struct flow_record){
		.key = packet->key,
		.first_ticks = t,
		.last_ticks = t,
		.inner_vlan_id = packet->inner_vlan_id,
		.in_if = packet->in_if,
		.tos = packet->tos,
		.ttl_min = UINT8_MAX,
	};
	memcpy(record->src_mac, packet->src_mac, sizeof(record->src_mac));
	memcpy(record->dst_mac, packet->dst_mac, sizeof(record->dst_mac));
}

static void count(struct flow_record *record, const struct packet *packet) {
	uint64_t t = ticks_of_ns(packet->time_ns);

	if (t < record->first_ticks)
		record->first_ticks = t;
	if (t > record->last_ticks)
		record->last_ticks = t;
	record->packets++;
	record->octets += packet->octets;
	record->tcp_flags |= packet->tcp_flags;
	if (packet->ttl < record->ttl_min)
		record->ttl_min = packet->ttl;
	if (packet->ttl > record->ttl_max)
		record->ttl_max = packet->ttl;
}

// A flow without a record yet.
static struct model_flow *new_flow(struct flow_model *model, const struct flow_key *key) {
	if (model->config.n_flows != 0 && model->n_flows == model->config.n_flows)
		evict_oldest(model);

	struct model_flow **chain = chain_of(model, key);
	struct model_flow *flow = calloc(1, sizeof(*flow));
	if (flow == NULL)
		abort();
	flow->chain = *chain;
	*chain = flow;
	enlist(model, flow);
	if (++model->n_flows > model->peak)
		model->peak = model->n_flows;
	return flow;
}

void flow_model_add(struct flow_model *model, const struct packet *packet) {
	struct model_flow *flow = *chain_of(model, &packet->key);
	uint64_t t = ticks_of_ns(packet->time_ns);

	if (t > model->now)
		model->now = t;
	while (flow != NULL && !flow_key_equal(&flow->record.key, &packet->key))
		flow = flow->chain;
	if (flow == NULL) {
		flow = new_flow(model, &packet->key);
		begin(&flow->record, packet);
	} else {
		enum flow_end end = end_at(model, &flow->record, t);
		bool finished = (flow->record.tcp_flags & FIN_OR_RST) != 0;
		if (end == FLOW_END_NONE && finished && (packet->tcp_flags & SYN) != 0)
			end = FLOW_END_DETECTED;
		if (end != FLOW_END_NONE) {
			emit(model, flow, end);
			begin(&flow->record, packet);
		}
	}
	count(&flow->record, packet);
	// A late packet is no sight of the flow later than its last.
	if (t == flow->record.last_ticks) {
		unlist(flow);
		enlist(model, flow);
	}
}

static void end_flows(struct flow_model *model, time_ns_t now_ns, enum flow_end otherwise) {
	if (ticks_of_ns(now_ns) > model->now)
		model->now = ticks_of_ns(now_ns);
	for (struct model_flow *flow = model->list.newer, *next; flow != &model->list;
	     flow = next) {
		next = flow->newer;
		enum flow_end end = end_at(model, &flow->record, model->now);
		if (end != FLOW_END_NONE || otherwise != FLOW_END_NONE)
			evict(model, flow, end != FLOW_END_NONE ? end : otherwise);
	}
}

void flow_model_age(struct flow_model *model, time_ns_t now_ns) {
	end_flows(model, now_ns, FLOW_END_NONE);
}

void flow_model_flush(struct flow_model *model, time_ns_t now_ns) {
	end_flows(model, now_ns, FLOW_END_FORCED);
}

void flow_model_free(struct flow_model *model) {
	for (struct model_flow *flow = model->list.newer, *next; flow != &model->list;
	     flow = next) {
		next = flow->newer;
		free(flow);
	}
	free(model);
}

size_t flow_model_flows(const struct flow_model *model) {
	return model->n_flows;
}

size_t flow_model_peak(const struct flow_model *model) {
	return model->peak;
}
