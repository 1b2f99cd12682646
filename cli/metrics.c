#include "metrics.h"

#include "exposition.h"

static void counter(struct exposition *to, const char *name, const char *help) {
	exposition_family(to, EXPOSITION_COUNTER, name, help);
}

static void gauge(struct exposition *to, const char *name, const char *help) {
	exposition_family(to, EXPOSITION_GAUGE, name, help);
}

static void put_build(struct exposition *to, const struct metrics *metrics) {
	gauge(to, "weir_build_info", "What this weir was made of; the value is always 1.");
	exposition_count(
		to, 1, "version", WEIR_VERSION, "compiler", __VERSION__, "dpdk", metrics->dpdk, NULL
	);
	gauge(to, "process_start_time_seconds", "When the process started, since 1970.");
	exposition_real(to, (double)metrics->started_ns / 1e9, NULL);
	counter(to, "process_cpu_seconds", "Processor time of all threads.");
	exposition_real(to, metrics->cpu_s, NULL);
	gauge(to, "weir_sampling_interval", "One packet of so many is metered.");
	exposition_count(to, metrics->sampling_interval, NULL);
}

static void put_queues(struct exposition *to, const struct ledger *ledger) {
	char queue[16];

	counter(to, "weir_packets", "Packets that a receive queue delivered.");
	for (unsigned i = 0; i < ledger->n_ports; i++) {
		const struct ledger_port *port = &ledger->ports[i];
		snprintf(queue, sizeof(queue), "%u", port->queue);
		exposition_count(
			to, port->received.packets, "port", port->name, "queue", queue, NULL
		);
	}
	counter(to, "weir_bytes", "Frames on the wire, of the packets that a queue delivered.");
	for (unsigned i = 0; i < ledger->n_ports; i++) {
		const struct ledger_port *port = &ledger->ports[i];
		snprintf(queue, sizeof(queue), "%u", port->queue);
		exposition_count(
			to, port->received.bytes, "port", port->name, "queue", queue, NULL
		);
	}
	counter(to,
		"weir_port_lost_packets",
		"Packets that a port lost before it delivered them, by reason.");
	for (unsigned i = 0; i < ledger->n_ports; i++) {
		const struct ledger_port *port = &ledger->ports[i];
		if (port->queue > 0)
			continue;
		exposition_count(to, port->missed, "port", port->name, "reason", "missed", NULL);
		exposition_count(to, port->errors, "port", port->name, "reason", "errors", NULL);
		exposition_count(to, port->no_mbuf, "port", port->name, "reason", "no_mbuf", NULL);
	}
}

static void put_ports(struct exposition *to, const struct metrics *metrics) {
	gauge(to, "weir_port_up", "1 where the port's link is up.");
	for (unsigned i = 0; i < metrics->n_ports; i++)
		exposition_count(to, metrics->ports[i].up, "port", metrics->ports[i].name, NULL);
	put_queues(to, &metrics->ledger);
}

// received = metered + unmetered, of packets and of bytes.
static void put_packets(struct exposition *to, const struct ledger *ledger) {
	counter(to, "weir_received_packets", "All packets, those that ports lost among them.");
	exposition_count(to, ledger->received.packets, NULL);
	counter(to, "weir_received_bytes", "Frames on the wire, of packets received.");
	exposition_count(to, ledger->received.bytes, NULL);
	counter(to, "weir_metered_packets", "Packets that are in a flow.");
	exposition_count(to, ledger->metered.packets, NULL);
	counter(to, "weir_metered_bytes", "Frames on the wire, of packets metered.");
	exposition_count(to, ledger->metered.bytes, NULL);
	counter(to, "weir_metered_ip_bytes", "IP, of packets metered.");
	exposition_count(to, ledger->metered_octets, NULL);
	counter(to, "weir_unmetered_packets", "Packets that are in no flow, by reason.");
	for (unsigned i = 0; i < ledger->n_reasons; i++)
		exposition_count(
			to,
			ledger->reasons[i].count.packets,
			"reason",
			ledger->reasons[i].name,
			NULL
		);
	counter(to, "weir_unmetered_bytes", "Frames on the wire, of packets in no flow, by reason."
	);
	for (unsigned i = 0; i < ledger->n_reasons; i++)
		exposition_count(
			to, ledger->reasons[i].count.bytes, "reason", ledger->reasons[i].name, NULL
		);
}

static void put_duplicates(struct exposition *to, const struct ledger *ledger) {
	char first[16], second[16];

	counter(to,
		"weir_duplicate_packets",
		"Second copies of packets, by the ifIndex of the ports that saw the first and the "
		"second.");
	for (unsigned i = 0; i < ledger->n_duplicates; i++) {
		const struct ledger_pair *pair = &ledger->duplicates[i];
		snprintf(first, sizeof(first), "%u", pair->first_if);
		snprintf(second, sizeof(second), "%u", pair->second_if);
		exposition_count(
			to, pair->count.packets, "first_if", first, "second_if", second, NULL
		);
	}
	counter(to,
		"weir_duplicate_forgotten_packets",
		"Packets given up before the window for their second copy was over.");
	exposition_count(to, ledger->duplicates_forgotten, NULL);
}

// One sample for each worker, of what `value` says.
static void put_workers(
	struct exposition *to,
	const struct metrics *metrics,
	uint64_t (*value)(const struct sensor_worker *worker)
) {
	char name[16];

	for (unsigned i = 0; i < metrics->n_workers; i++) {
		snprintf(name, sizeof(name), "%u", i);
		exposition_count(to, value(&metrics->workers[i]), "worker", name, NULL);
	}
}

static uint64_t flows_of(const struct sensor_worker *worker) {
	return worker->cache.flows;
}

static uint64_t capacity_of(const struct sensor_worker *worker) {
	return worker->capacity_flows;
}

static uint64_t started_of(const struct sensor_worker *worker) {
	return worker->cache.started;
}

static uint64_t ring_records_of(const struct sensor_worker *worker) {
	return worker->ring_records;
}

static uint64_t ring_capacity_of(const struct sensor_worker *worker) {
	return worker->ring_capacity;
}

static uint64_t records_lost_of(const struct sensor_worker *worker) {
	return worker->records_lost;
}

static void put_cache(struct exposition *to, const struct metrics *metrics) {
	char name[16];

	gauge(to, "weir_cache_flows", "Flows that run, in the flow cache of a worker.");
	put_workers(to, metrics, flows_of);
	gauge(to, "weir_cache_capacity_flows", "Flows that fit into the flow cache of a worker.");
	put_workers(to, metrics, capacity_of);
	counter(to, "weir_flows_started", "Flows that began.");
	put_workers(to, metrics, started_of);
	counter(to,
		"weir_flow_records",
		"Flow records made, by why the flow left the cache (active: it stays, and is "
		"reported; "
		"resources: the cache was full).");
	for (unsigned i = 0; i < metrics->n_workers; i++) {
		snprintf(name, sizeof(name), "%u", i);
		for (unsigned end = FLOW_END_NONE + 1; end < FLOW_END_COUNT; end++)
			exposition_count(
				to,
				metrics->workers[i].cache.records[end],
				"worker",
				name,
				"reason",
				flow_end_name((enum flow_end)end),
				NULL
			);
	}
	counter(to, "weir_flow_record_packets", "Packets in flow records made.");
	exposition_count(to, metrics->ledger.record_packets, NULL);
	counter(to, "weir_flow_record_ip_bytes", "IP, in flow records made.");
	exposition_count(to, metrics->ledger.record_octets, NULL);
}

static void put_rings(struct exposition *to, const struct metrics *metrics) {
	gauge(to,
	      "weir_ring_records",
	      "Records that wait in the ring from a worker to the exporter.");
	put_workers(to, metrics, ring_records_of);
	gauge(to, "weir_ring_capacity_records", "Records that fit into the ring of a worker.");
	put_workers(to, metrics, ring_capacity_of);
	counter(to, "weir_ring_lost_records", "Records for which the ring had no room.");
	put_workers(to, metrics, records_lost_of);
}

static void put_threads(struct exposition *to, const struct metrics *metrics) {
	char name[16];

	counter(to,
		"weir_worker_busy_seconds",
		"Time in which a worker, or the thread that reads for all of them, had something "
		"to "
		"do.");
	for (unsigned i = 0; i < metrics->n_workers; i++) {
		snprintf(name, sizeof(name), "%u", i);
		exposition_real(
			to, (double)metrics->workers[i].busy_ns / 1e9, "worker", name, NULL
		);
	}
	if (metrics->has_reader)
		exposition_real(
			to, (double)metrics->reader_busy_ns / 1e9, "worker", "reader", NULL
		);
	gauge(to, "weir_worker_busy_ratio", "The same as a share of the last second or so.");
	for (unsigned i = 0; i < metrics->n_workers; i++) {
		snprintf(name, sizeof(name), "%u", i);
		exposition_real(to, metrics->rates.busy[i], "worker", name, NULL);
	}
	if (metrics->has_reader)
		exposition_real(to, metrics->rates.reader_busy, "worker", "reader", NULL);
}

static void put_rates(struct exposition *to, const struct metrics_rates *rates) {
	gauge(to, "weir_receive_packets_per_second", "Packets received, over the last second or so."
	);
	exposition_real(to, rates->packets, NULL);
	gauge(to, "weir_receive_bytes_per_second", "Bytes received, over the last second or so.");
	exposition_real(to, rates->bytes, NULL);
	gauge(to, "weir_flow_starts_per_second", "Flows begun, over the last second or so.");
	exposition_real(to, rates->flows, NULL);
	gauge(to, "weir_flow_records_per_second", "Records made, over the last second or so.");
	exposition_real(to, rates->records, NULL);
}

static void put_lateness(struct exposition *to, const struct lateness_histogram *lateness) {
	char le[16];

	exposition_family(
		to,
		EXPOSITION_HISTOGRAM,
		"weir_ageing_lateness_seconds",
		"How long after their idle timeout flows left the cache."
	);
	for (unsigned i = 0; i < LATENESS_BUCKETS; i++) {
		uint32_t ms = lateness_bounds_ms[i];
		snprintf(le, sizeof(le), ms % 1000 == 0 ? "%.1f" : "%g", ms / 1e3);
		exposition_bucket(to, le, lateness->counts[i]);
	}
	exposition_bucket(to, NULL, lateness->n_flows);
	exposition_sum(to, (double)lateness->sum_ms / 1e3, lateness->n_flows);
}

// records = sent + lost.
static void put_sinks(struct exposition *to, const struct metrics *metrics) {
	const struct ledger *ledger = &metrics->ledger;

	counter(to, "weir_sink_records", "Records given to a collector, an archive or a printer.");
	for (unsigned i = 0; i < ledger->n_sinks; i++)
		exposition_count(to, ledger->sinks[i].records, "sink", ledger->sinks[i].name, NULL);
	counter(to, "weir_sink_sent_records", "Records that were sent, archived or printed.");
	for (unsigned i = 0; i < ledger->n_sinks; i++)
		exposition_count(to, ledger->sinks[i].sent, "sink", ledger->sinks[i].name, NULL);
	counter(to, "weir_sink_lost_records", "Records that were lost at a sink, by reason.");
	for (unsigned i = 0; i < ledger->n_sinks; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];
		for (unsigned j = 0; j < sink->n_losses; j++)
			exposition_count(
				to,
				sink->losses[j].records,
				"sink",
				sink->name,
				"reason",
				sink->losses[j].name,
				NULL
			);
	}
	counter(to, "weir_collector_datagrams", "Datagrams sent to a collector.");
	for (unsigned i = 0; i < metrics->sinks.n_collectors; i++)
		exposition_count(
			to, ledger->sinks[i].datagrams, "sink", ledger->sinks[i].name, NULL
		);
	counter(to, "weir_collector_bytes", "Payload of the datagrams sent to a collector.");
	for (unsigned i = 0; i < metrics->sinks.n_collectors; i++)
		exposition_count(to, ledger->sinks[i].octets, "sink", ledger->sinks[i].name, NULL);
	counter(to,
		"weir_collector_refusals",
		"Times that a collector's host said that nobody listens there.");
	for (unsigned i = 0; i < metrics->sinks.n_collectors; i++)
		exposition_count(
			to, metrics->sinks.refusals[i], "sink", ledger->sinks[i].name, NULL
		);
}

static void put_archive(struct exposition *to, const struct metrics *metrics) {
	const struct archive_stats *stats = &metrics->archive_stats;
	const struct {
		const char *name, *help;
		uint64_t value;
	} counts[] = {
		{"weir_archive_files", "Files closed.", stats->files},
		{"weir_archive_bytes", "Size of files closed.", stats->bytes},
		{"weir_archive_deleted_files", "Files deleted by retention.", stats->deleted},
		{"weir_archive_errors",
		 "Calls to the file system that failed, and are tried again.",
		 stats->errors},
		{"weir_archive_recovered_records",
		 "Records saved of earlier runs.",
		 stats->recovered},
		{"weir_archive_damaged_records",
		 "Records that had been flushed and could not be read back.",
		 stats->damaged},
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		counter(to, counts[i].name, counts[i].help);
		if (metrics->archive != NULL)
			exposition_count(to, counts[i].value, "dir", metrics->archive, NULL);
	}
}

// Of a config file, where there is one. The words are those of reload_result_name(), and each is
// told from the start on, so that Prometheus sees the first of its kind as an increase.
static void put_reloads(struct exposition *to, const struct metrics *metrics) {
	static const struct {
		enum reload_result result;
		const char *name;
	} results[] = {
		{RELOAD_APPLIED, "applied"},
		{RELOAD_PARTLY, "partly"},
		{RELOAD_REFUSED, "refused"},
	};
	const struct reload_counts *reloads = &metrics->reloads;

	counter(to,
		"weir_config_reloads",
		"Times that the config file was read again, by result (partly: some of it needs a "
		"restart).");
	for (size_t i = 0; metrics->has_reload && i < sizeof(results) / sizeof(results[0]); i++)
		exposition_count(
			to, reloads->results[results[i].result], "result", results[i].name, NULL
		);
	gauge(to,
	      "weir_config_last_reload_successful",
	      "0 where the last reload of the config file was refused.");
	if (metrics->has_reload)
		exposition_count(to, reloads->last != RELOAD_REFUSED, NULL);
	gauge(to,
	      "weir_config_last_reload_success_timestamp_seconds",
	      "When the config file was last read and taken, at the start or later, since 1970.");
	if (metrics->has_reload)
		exposition_real(to, (double)reloads->read_ns / 1e9, NULL);
}

void metrics_print(const struct metrics *metrics, FILE *out, bool openmetrics) {
	struct exposition to = {.out = out, .openmetrics = openmetrics};

	put_build(&to, metrics);
	put_ports(&to, metrics);
	put_packets(&to, &metrics->ledger);
	put_duplicates(&to, &metrics->ledger);
	put_cache(&to, metrics);
	put_rings(&to, metrics);
	put_threads(&to, metrics);
	put_rates(&to, &metrics->rates);
	put_lateness(&to, &metrics->lateness);
	put_sinks(&to, metrics);
	put_archive(&to, metrics);
	put_reloads(&to, metrics);
	exposition_end(&to);
}
