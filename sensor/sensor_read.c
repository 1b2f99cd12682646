// What the sensor counted: for the ledger, for metrics, for who asks for the running flows.

#include <string.h>

#include "flow_cache.h"
#include "sensor.h"
#include "sensor_internal.h"

static void add_count(struct ledger_count *sum, struct ledger_count count) {
	sum->packets += count.packets;
	sum->bytes += count.bytes;
}

// A reason for which packets were not even delivered: their octets are not known.
static void add_loss(struct ledger *ledger, const char *name, uint64_t packets) {
	const struct ledger_count count = {.packets = packets};

	add_count(&ledger->received, count);
	ledger_add_reason(ledger, name, count);
}

static void add_counts(struct meter_counts *sum, const struct meter_counts *counts) {
	add_count(&sum->received, counts->received);
	for (unsigned mark = 0; mark < FRAME_MARK_COUNT; mark++)
		add_count(&sum->marked[mark], counts->marked[mark]);
	for (unsigned verdict = 0; verdict < PACKET_VERDICT_COUNT; verdict++)
		add_count(&sum->unmetered[verdict], counts->unmetered[verdict]);
	sum->metered_octets += counts->metered_octets;
}

static void add_packets(struct sensor *sensor, struct ledger *ledger) {
	struct meter_counts sum = {0};
	struct ledger_count own = {0};

	sensor->duplicates = (struct duplicate_stats){0};
	for (unsigned i = 0; i < sensor->n_pollers; i++) {
		struct poller_counts counts;
		poller_read(sensor->pollers[i], &counts);
		add_counts(&sum, &counts.meter);
		add_count(&own, counts.own_export);
		for (unsigned j = 0; j < sensor->n_queues; j++)
			if (sensor->queues[j].poller == i)
				sensor->queue_counts[j].received =
					counts.sources[sensor->queues[j].source];
		if (sensor->selectors[i] != NULL)
			selector_duplicates(sensor->selectors[i], &sensor->duplicates);
	}
	ledger->received = sum.received;
	add_count(&ledger->received, own);
	ledger->metered = meter_counts_metered(&sum);
	ledger->metered_octets = sum.metered_octets;
	ledger_add_reason(ledger, "own_export", own);
	meter_counts_reasons(&sum, ledger);
	ledger->duplicates = sensor->duplicates.pairs;
	ledger->n_duplicates = sensor->duplicates.n_pairs;
	ledger->duplicates_forgotten = sensor->duplicates.forgotten;
}

static void read_ledger(struct sensor *sensor, struct ledger *ledger) {
	struct port_losses losses = {0};

	*ledger = (struct ledger){
		.ports = sensor->queue_counts,
		.n_ports = sensor->n_queues,
	};
	for (unsigned i = 0; i < sensor->n_queues; i++) {
		const struct read_queue *queue = &sensor->queues[i];
		const struct watched_port *port = &sensor->ports[queue->port];
		struct ledger_port *counts = &sensor->queue_counts[i];
		*counts =
			(struct ledger_port){.name = port_name(port->port), .queue = queue->queue};
		if (queue->queue > 0)
			continue;
		counts->missed = port->losses.missed;
		counts->errors = port->losses.errors;
		counts->no_mbuf = port->losses.no_mbuf;
		losses.missed += counts->missed;
		losses.errors += counts->errors;
		losses.no_mbuf += counts->no_mbuf;
	}
	add_packets(sensor, ledger);
	add_loss(ledger, "port_missed", losses.missed);
	add_loss(ledger, "port_errors", losses.errors);
	add_loss(ledger, "port_no_mbuf", losses.no_mbuf);

	for (unsigned i = 0; i < sensor->config.n_workers; i++) {
		struct flow_cache_stats stats;
		flow_cache_stats(worker_cache(sensor->workers[i]), &stats);
		for (unsigned end = 0; end < FLOW_END_COUNT; end++)
			ledger->records[end] += stats.records[end];
		ledger->record_packets += stats.record_packets;
		ledger->record_octets += stats.record_octets;
		ledger->cached_flows += stats.flows;
		ledger->records_lost += worker_lost(sensor->workers[i]);
	}
}

void sensor_ledger(struct sensor *sensor, struct ledger *ledger) {
	pthread_mutex_lock(&sensor->lock);
	read_ledger(sensor, ledger);
	pthread_mutex_unlock(&sensor->lock);
}

void sensor_ledger_copy(
	struct sensor *sensor,
	struct ledger *ledger,
	struct ledger_port *queues,
	struct ledger_pair *duplicates
) {
	pthread_mutex_lock(&sensor->lock);
	read_ledger(sensor, ledger);
	memcpy(queues, ledger->ports, ledger->n_ports * sizeof(*queues));
	memcpy(duplicates, ledger->duplicates, ledger->n_duplicates * sizeof(*duplicates));
	pthread_mutex_unlock(&sensor->lock);
	ledger->ports = queues;
	ledger->duplicates = duplicates;
}

uint32_t sensor_buckets(const struct sensor *sensor) {
	uint32_t n = 0;

	for (unsigned i = 0; i < sensor->config.n_workers; i++)
		n += flow_cache_buckets(worker_cache(sensor->workers[i]));
	return n;
}

bool sensor_active(
	const struct sensor *sensor,
	uint32_t first,
	uint32_t count,
	uint64_t since_ticks,
	sensor_flows_fn fn,
	void *arg
) {
	struct flow_record records[FLOW_CACHE_BUCKET_FLOWS];

	for (unsigned i = 0; i < sensor->config.n_workers && count > 0; i++) {
		const struct flow_cache *cache = worker_cache(sensor->workers[i]);
		uint32_t n_buckets = flow_cache_buckets(cache);
		for (; first < n_buckets && count > 0; first++, count--) {
			unsigned n = flow_cache_read(cache, first, records), n_active = 0;
			for (unsigned j = 0; j < n; j++)
				if (records[j].last_ticks >= since_ticks)
					records[n_active++] = records[j];
			if (n_active > 0 && !fn(records, n_active, arg))
				return false;
		}
		first -= n_buckets;
	}
	return true;
}

bool sensor_running(const struct sensor *sensor, sensor_flows_fn fn, void *arg) {
	struct flow_record records[FLOW_CACHE_BUCKET_FLOWS];

	for (unsigned i = 0; i < sensor->config.n_workers; i++) {
		const struct flow_cache *cache = worker_cache(sensor->workers[i]);
		uint32_t n_buckets = flow_cache_buckets(cache);
		for (uint32_t bucket = 0; bucket < n_buckets; bucket++) {
			unsigned n = flow_cache_read(cache, bucket, records);
			if (n > 0 && !fn(records, n, arg))
				return false;
		}
	}
	return true;
}

uint64_t sensor_started_flows(const struct sensor *sensor) {
	uint64_t n = 0;

	for (unsigned i = 0; i < sensor->config.n_workers; i++) {
		struct flow_cache_stats stats;
		flow_cache_stats(worker_cache(sensor->workers[i]), &stats);
		n += stats.started;
	}
	return n;
}

static void
add_thread(struct sensor_worker *worker, const struct sensor *sensor, unsigned i, bool fans_out) {
	struct poller_counts counts;

	if (fans_out) {
		worker->busy_ns = worker_busy_ns(sensor->workers[i]);
		return;
	}
	poller_read(sensor->pollers[i], &counts);
	worker->busy_ns = counts.busy_ns;
}

unsigned sensor_workers(const struct sensor *sensor, struct sensor_worker *workers) {
	bool fans_out = sensor->n_pollers < sensor->config.n_workers;

	for (unsigned i = 0; i < sensor->config.n_workers; i++) {
		struct sensor_worker *worker = &workers[i];
		*worker = (struct sensor_worker){
			.capacity_flows = sensor->config.n_flows / sensor->config.n_workers,
			.ring_records = ring_depth(sensor->rings[i]),
			.ring_capacity = ring_capacity(sensor->rings[i]),
			.records_lost = worker_lost(sensor->workers[i]),
		};
		flow_cache_stats(worker_cache(sensor->workers[i]), &worker->cache);
		add_thread(worker, sensor, i, fans_out);
	}
	return sensor->config.n_workers;
}

bool sensor_reader_busy(const struct sensor *sensor, uint64_t *busy_ns) {
	struct poller_counts counts;

	if (sensor->n_pollers == sensor->config.n_workers)
		return false;
	poller_read(sensor->pollers[0], &counts);
	*busy_ns = counts.busy_ns;
	return true;
}

unsigned sensor_ports(const struct sensor *sensor, struct sensor_port *ports) {
	for (unsigned i = 0; i < sensor->n_ports; i++)
		ports[i] = (struct sensor_port){
			.name = port_name(sensor->ports[i].port),
			.up = __atomic_load_n(&sensor->ports[i].state, __ATOMIC_RELAXED) == PORT_UP,
		};
	return sensor->n_ports;
}
