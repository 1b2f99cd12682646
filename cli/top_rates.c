// The rates between two answers of the sensor.

#include <string.h>

#include "top_model.h"

// Counters are read one after the other, and a sensor's ports may begin anew: none falls.
static double per_second(uint64_t now, uint64_t before, double seconds) {
	return now > before ? (double)(now - before) / seconds : 0;
}

static double share(uint64_t now_ns, uint64_t before_ns, double seconds) {
	double busy = per_second(now_ns, before_ns, seconds) / 1e9;
	return busy < 1 ? busy : 1;
}

static uint64_t port_lost(const struct status_port *port) {
	return port->missed + port->errors + port->no_mbuf;
}

static uint64_t sink_lost(const struct status_sink *sink) {
	uint64_t n = 0;
	for (unsigned i = 0; i < sink->n_losses; i++)
		n += sink->losses[i].records;
	return n;
}

static uint64_t started(const struct live_status *status) {
	uint64_t n = 0;
	for (unsigned i = 0; i < status->n_workers; i++)
		n += status->workers[i].started;
	return n;
}

static uint64_t records(const struct live_status *status) {
	uint64_t n = 0;
	for (unsigned i = 0; i < status->n_ends; i++)
		n += status->ends[i].records;
	return n;
}

static void make_parts(
	struct top_rates *rates, const struct live_status *now, const struct live_status *before
) {
	double seconds = rates->seconds;

	for (unsigned i = 0; i < now->n_reasons; i++)
		rates->not_metered[i] = per_second(
			now->reasons[i].count.packets, before->reasons[i].count.packets, seconds
		);
	for (unsigned i = 0; i < now->n_ports; i++) {
		const struct status_port *port = &now->ports[i], *was = &before->ports[i];
		rates->ports_packets[i] =
			per_second(port->received.packets, was->received.packets, seconds);
		rates->ports_bits[i] =
			8 * per_second(port->received.bytes, was->received.bytes, seconds);
		rates->ports_lost[i] = per_second(port_lost(port), port_lost(was), seconds);
		rates->dropped += rates->ports_lost[i];
	}
	for (unsigned i = 0; i < now->n_workers; i++) {
		const struct status_worker *worker = &now->workers[i], *was = &before->workers[i];
		rates->workers_busy[i] = share(worker->busy_ns, was->busy_ns, seconds);
		rates->workers_packets[i] = per_second(worker->packets, was->packets, seconds);
	}
	for (unsigned i = 0; i < now->n_sinks; i++) {
		const struct status_sink *sink = &now->sinks[i], *was = &before->sinks[i];
		rates->sinks_sent[i] = per_second(sink->sent, was->sent, seconds);
		rates->sinks_lost[i] = per_second(sink_lost(sink), sink_lost(was), seconds);
	}
}

static void make_rates(
	struct top_rates *rates, const struct live_status *now, const struct live_status *before
) {
	double seconds = (double)(now->taken_ns - before->taken_ns) / 1e9;

	*rates = (struct top_rates){
		.seconds = seconds,
		.packets = per_second(now->received.packets, before->received.packets, seconds),
		.bits = 8 * per_second(now->received.bytes, before->received.bytes, seconds),
		.metered_packets =
			per_second(now->metered.packets, before->metered.packets, seconds),
		.new_flows = per_second(started(now), started(before), seconds),
		.records = per_second(records(now), records(before), seconds),
		.dropped = per_second(now->records_lost, before->records_lost, seconds),
		.reader_busy = share(now->reader_busy_ns, before->reader_busy_ns, seconds),
	};
	make_parts(rates, now, before);
}

// Whether it is the sensor that answered before, later on, with the same parts.
static bool is_same(const struct live_status *now, const struct live_status *before) {
	return now->taken_ns > before->taken_ns && now->uptime_ns > before->uptime_ns
	       && now->received.packets >= before->received.packets
	       && now->n_workers == before->n_workers && now->n_ports == before->n_ports
	       && now->n_sinks == before->n_sinks && now->n_reasons == before->n_reasons;
}

void top_model_status(struct top_model *model, const struct live_status *status) {
	if (model->has_status && is_same(status, &model->status)) {
		make_rates(&model->rates, status, &model->status);
	} else {
		model->rates = (struct top_rates){0};
		memset(model->parts, 0, sizeof(model->parts));
		top_table_clear(&model->flows);
		model->part = 0;
	}
	model->status = *status;
	model->has_status = true;
}

uint64_t top_model_capacity(const struct top_model *model) {
	uint64_t n = 0;
	for (unsigned i = 0; i < model->status.n_workers; i++)
		n += model->status.workers[i].capacity;
	return n;
}

uint64_t top_model_flows(const struct top_model *model) {
	uint64_t n = 0;
	for (unsigned i = 0; i < model->status.n_workers; i++)
		n += model->status.workers[i].flows;
	return n;
}
