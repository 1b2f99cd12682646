// Times the poll loop of weir run, whole: a burst of an Ethernet device of DPDK, parse, hash, flow
// cache, ageing, record ring, and at the ring's other end nobody much, or the exporter, which
// sends NetFlow v9 to a socket on loopback. One row of CSV for each kind of traffic.
//
//   poll_bench [--workers N] [--sink ring|export] [--seconds S | --packets N] [ROW...]
//
// The packets are prepared mbufs (ring_port.h); poll_lane.h says what is in the time. Beside it
// stands the yardstick of the same run, rx_free_ns: the loop that reads the port and frees. ns is
// the mean of all chunks by CPU time, median_ns that of their wall clock, mpps follows from ns, for
// all workers together. A flow that goes on is reported every n_flows * 2 us, but not more often
// than once a second: of a million flows, half a million records a second besides those of flows
// that end.
//
// One worker runs on core 0, and who takes its records on core 1. Two run on cores 0 and 1; then
// each reads its ring between the chunks, or, with `export`, has to share its core with the
// exporter, which the times by CPU time do not count.
//
// All is checked before a figure is told: received = metered + reasons, records = metered, and
// what the sink received = what the exporter sent = what was made, less what was counted lost.

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "eal.h"
#include "exporter.h"
#include "measure.h"
#include "poll_lane.h"
#include "record_sink.h"

enum {
	MOST_WORKERS = 2,
	EAL_MIB = 256,
	SINK_BUFFER_BYTES = 512 << 20,
	WAIT_US = 50,
};

struct bench {
	unsigned n_workers;
	bool exports;
	double seconds;
	uint64_t n_packets;
	struct record_sink sink;
	struct poll_lane lanes[MOST_WORKERS];
	atomic_uint n_filling;
	atomic_bool stop;
	struct own_export own;
	_Atomic(const struct own_export *) excluded; // that
	struct destination *destination;
	struct exporter *exporter;
	pthread_t consumer;
	double stop_ms;
	uint64_t n_records, n_lost, n_sink_missed;
};

static void sleep_us(long us) {
	nanosleep(&(struct timespec){.tv_nsec = us * NS_PER_US}, NULL);
}

// Takes the records of all lanes until they end.
static void *consume(void *arg) {
	struct bench *bench = arg;
	unsigned n_ended;

	do {
		n_ended = 0;
		for (unsigned i = 0; i < bench->n_workers; i++) {
			struct poll_lane *lane = &bench->lanes[i];
			poll_lane_read(lane->worker, &lane->records);
			n_ended += lane->records.ended;
		}
		sleep_us(WAIT_US);
	} while (n_ended < bench->n_workers);
	return NULL;
}

static bool start_consumer(struct bench *bench) {
	return pthread_create(&bench->consumer, NULL, consume, bench) == 0;
}

static bool open_exporter(struct bench *bench) {
	struct ring *rings[MOST_WORKERS];
	struct sockaddr_storage source, destination;
	char error[COLLECTOR_ERROR_BYTES], address[32];

	snprintf(address, sizeof(address), "127.0.0.1:%u", bench->sink.port);
	bench->destination = destination_open(
		&(struct destination_config){
			.collector =
				{
					.destination = address,
					.encoder =
						{
							.source_id = 1,
							.template_interval_ms = 30000,
							.template_packets = 4800,
							.sampling_interval = 1,
						},
				},
			.live = true,
		},
		error
	);
	if (bench->destination == NULL) {
		fprintf(stderr, "poll_bench: %s\n", error);
		return false;
	}
	bench->own = (struct own_export){0};
	atomic_init(&bench->excluded, &bench->own);
	if (collector_addresses(destination_collector(bench->destination), &source, &destination)
		    < 0
	    || own_export_add(&bench->own, &source, &destination) < 0)
		return false;
	for (unsigned i = 0; i < bench->n_workers; i++)
		rings[i] = worker_records(bench->lanes[i].worker);
	bench->exporter = exporter_start(&(struct exporter_config){
		.rings = rings,
		.n_rings = bench->n_workers,
		.destinations = &bench->destination,
		.n_destinations = 1,
		.sampling_rate = 1,
		.live = true,
	});
	return bench->exporter != NULL;
}

static bool open_lanes(struct bench *bench, const struct row *row) {
	time_ns_t active_ns = RTE_MAX(row->n_flows * 2 * NS_PER_US, NS_PER_S);
	double seconds = RTE_MAX(bench->seconds, (double)active_ns * 1.25e-9);

	atomic_store(&bench->n_filling, bench->n_workers);
	atomic_store(&bench->stop, false);
	for (unsigned i = 0; i < bench->n_workers; i++) {
		struct poll_lane *lane = &bench->lanes[i];
		struct ring_port *port = lane->port;
		*lane = (struct poll_lane){
			.port = port,
			.core = i,
			.row = row,
			.n_most = bench->n_packets,
			.seconds = seconds,
			.reads_ring = !bench->exports && bench->n_workers > 1,
			.n_filling = &bench->n_filling,
		};
		if (!poll_lane_open(lane, active_ns, i + 1))
			return false;
	}
	return true;
}

static bool start_lanes(struct bench *bench) {
	for (unsigned i = 0; i < bench->n_workers; i++) {
		struct poll_lane *lane = &bench->lanes[i];
		struct poller_config config = {
			.sources = {{ring_port_port(lane->port), 0}},
			.n_sources = 1,
			.workers = &lane->worker,
			.n_workers = 1,
			.secret = flow_secret_fixed,
			.own = &bench->excluded,
			.stop = &bench->stop,
			.core = (int)lane->core,
		};
		lane->poller = poller_new(&config);
		if (lane->poller == NULL || poller_start(lane->poller) < 0)
			return false;
	}
	return true;
}

// Until the lanes are done, then stops them, as weir run does.
static void run_lanes(struct bench *bench) {
	for (unsigned i = 0; i < bench->n_workers; i++)
		while (sem_wait(&bench->lanes[i].done) != 0)
			;
	if (!bench->exports && bench->n_workers > 1 && !start_consumer(bench))
		abort();
	int64_t begun_ns = measure_now();
	if (bench->exports)
		destination_hurry(bench->destination, 0, 4 * NS_PER_S);
	atomic_store_explicit(&bench->stop, true, memory_order_release);
	for (unsigned i = 0; i < bench->n_workers; i++)
		poller_join(bench->lanes[i].poller);
	if (bench->exports) {
		exporter_join(bench->exporter);
		destination_stop(bench->destination);
	} else
		pthread_join(bench->consumer, NULL);
	bench->stop_ms = (double)(measure_now() - begun_ns) / 1e6;
}

static bool
sink_conserved(struct bench *bench, uint64_t datagrams_before, uint64_t records_before) {
	struct destination_stats all;
	unsigned n_waits = 0;

	destination_stats(bench->destination, &all);
	const struct collector_stats stats = all.collector;
	while (atomic_load_explicit(&bench->sink.datagrams, memory_order_acquire) - datagrams_before
		       < stats.datagrams_sent
	       && n_waits++ < 40000)
		sleep_us(WAIT_US);
	uint64_t datagrams = atomic_load(&bench->sink.datagrams) - datagrams_before;
	uint64_t records = atomic_load(&bench->sink.records) - records_before;
	bench->n_sink_missed = stats.datagrams_sent - datagrams;
	if (stats.records + bench->n_lost != bench->n_records || stats.records_sent != stats.records
	    || (bench->n_sink_missed == 0 && records != stats.records_sent)) {
		fprintf(stderr,
			"poll_bench: %" PRIu64 " records made, %" PRIu64 " lost, %" PRIu64
			" given to the collector, %" PRIu64 " sent, %" PRIu64 " arrived\n",
			bench->n_records,
			bench->n_lost,
			(uint64_t)stats.records,
			(uint64_t)stats.records_sent,
			records);
		return false;
	}
	return true;
}

static bool conserved(struct bench *bench, uint64_t datagrams_before, uint64_t records_before) {
	uint64_t n_read = 0;
	bool good = true;

	bench->n_records = bench->n_lost = bench->n_sink_missed = 0;
	for (unsigned i = 0; i < bench->n_workers; i++) {
		struct poll_lane *lane = &bench->lanes[i];
		struct flow_cache_stats stats;
		good &= poll_lane_conserved(lane);
		flow_cache_stats(worker_cache(lane->worker), &stats);
		for (unsigned end = 0; end < FLOW_END_COUNT; end++)
			bench->n_records += stats.records[end];
		bench->n_lost += worker_lost(lane->worker);
		n_read += lane->records.records;
	}
	if (bench->exports)
		return good && sink_conserved(bench, datagrams_before, records_before);
	if (n_read + bench->n_lost == bench->n_records)
		return good;
	fprintf(stderr,
		"poll_bench: %" PRIu64 " records made, %" PRIu64 " lost, but %" PRIu64 " read\n",
		bench->n_records,
		bench->n_lost,
		n_read);
	return false;
}

static void print_row(struct bench *bench, const struct row *row) {
	double median = 0, yardstick = 0, spent = 0, mpps = 0, p = 0, q = 0;
	uint64_t n_packets = 0;

	// Per packet of one worker; together they do as many packets as the sum of them.
	for (unsigned i = 0; i < bench->n_workers; i++) {
		struct poll_lane *lane = &bench->lanes[i];
		median +=
			measure_median(lane->weir.chunk_ns, lane->weir.n_chunks) / bench->n_workers;
		yardstick += measure_median(lane->yardstick.chunk_ns, lane->yardstick.n_chunks)
			     / bench->n_workers;
		p += measure_median(lane->p_ns, lane->yardstick.n_chunks) / bench->n_workers;
		q += measure_median(lane->q_ns, lane->yardstick.n_chunks) / bench->n_workers;
		double mean = lane->weir.spent_ns / (double)lane->weir.packets;
		spent += mean / bench->n_workers;
		mpps += 1e3 / mean;
		n_packets += traffic_truth(lane->traffic)->packets;
	}
	printf("%s,%u,%s,%s,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%.4f,%" PRIu64 ",%" PRIu64
	       ",%" PRIu64 ",%.0f\n",
	       row->name,
	       bench->n_workers,
	       bench->exports ? "export" : "ring",
	       eal_has_hugepages() ? "huge" : "4k",
	       median,
	       spent,
	       mpps,
	       yardstick,
	       spent / yardstick,
	       p,
	       q,
	       (double)bench->n_records / (double)n_packets,
	       n_packets,
	       bench->n_lost,
	       bench->n_sink_missed,
	       bench->stop_ms);
	fflush(stdout);
}

static bool run(struct bench *bench, const struct row *row) {
	uint64_t datagrams_before = atomic_load(&bench->sink.datagrams);
	uint64_t records_before = atomic_load(&bench->sink.records);

	bool good = open_lanes(bench, row);
	if (good && bench->exports)
		good = open_exporter(bench);
	else if (good && bench->n_workers == 1)
		good = start_consumer(bench);
	if (!good || !start_lanes(bench)) {
		fprintf(stderr, "%s: no memory, or no thread\n", row->name);
		return false;
	}
	run_lanes(bench);
	good = conserved(bench, datagrams_before, records_before);
	if (good)
		print_row(bench, row);
	for (unsigned i = 0; i < bench->n_workers; i++)
		poll_lane_close(&bench->lanes[i]);
	destination_close(bench->destination);
	bench->destination = NULL;
	return good;
}

static int start(struct bench *bench) {
	char error[PORT_ERROR_BYTES];

	if (eal_start(&(struct eal_config){.memory_mib = EAL_MIB}, error) < 0) {
		fprintf(stderr, "poll_bench: %s\n", error);
		return -1;
	}
	for (unsigned i = 0; i < bench->n_workers; i++) {
		struct poll_lane *lane = &bench->lanes[i];
		lane->port = ring_port_open(i, poll_lane_on_empty, lane, error);
		if (lane->port == NULL) {
			fprintf(stderr, "poll_bench: %s\n", error);
			return -1;
		}
	}
	int rc = bench->exports ? record_sink_open(&bench->sink, SINK_BUFFER_BYTES) : 0;
	if (rc < 0)
		fprintf(stderr, "poll_bench: no sink on loopback: %s\n", strerror(-rc));
	// Whatever is started from here on and is no poller.
	measure_pin(1);
	return rc;
}

static bool parse(struct bench *bench, int argc, char **argv) {
	static const struct option options[] = {
		{"workers", required_argument, NULL, 'w'},
		{"sink", required_argument, NULL, 's'},
		{"seconds", required_argument, NULL, 't'},
		{"packets", required_argument, NULL, 'n'},
		{0},
	};
	int id;

	*bench = (struct bench){.n_workers = 1, .seconds = 4};
	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (id == 'w')
			bench->n_workers = (unsigned)strtoul(optarg, NULL, 10);
		else if (id == 's' && strcmp(optarg, "export") == 0)
			bench->exports = true;
		else if (id == 't')
			bench->seconds = strtod(optarg, NULL);
		else if (id == 'n')
			bench->n_packets = strtoull(optarg, NULL, 10);
		else if (id != 's' || strcmp(optarg, "ring") != 0)
			return false;
	}
	return bench->n_workers >= 1 && bench->n_workers <= MOST_WORKERS && bench->seconds > 0;
}

int main(int argc, char **argv) {
	static const char *const usual[] = {
		"uniform-64k",
		"uniform-1m",
		"uniform-8m",
		"zipf-64k",
		"zipf-1m",
		"zipf-8m",
		"churn-64k",
		"churn-1m",
		"churn-8m",
		NULL,
	};
	static struct bench bench;

	if (!parse(&bench, argc, argv)) {
		fprintf(stderr,
			"usage: poll_bench [--workers 1|2] [--sink ring|export] "
			"[--seconds S | --packets N] [ROW...]\n");
		return 2;
	}
	const char *const *names = optind < argc ? (const char *const *)argv + optind : usual;
	for (const char *const *name = names; *name != NULL; name++)
		if (row_find(*name) == NULL) {
			fprintf(stderr, "%s: there is no such row; rows.c lists them\n", *name);
			return 2;
		}
	if (start(&bench) < 0)
		return 1;
	puts("row,workers,sink,pages,median_ns,ns,mpps,rx_free_ns,ratio,p_ns,q_ns,records_per_"
	     "packet,packets,"
	     "records_lost,sink_missed,stop_ms");
	for (; *names != NULL; names++)
		if (!run(&bench, row_find(*names)))
			return 1;
	for (unsigned i = 0; i < bench.n_workers; i++)
		port_close(ring_port_port(bench.lanes[i].port));
	eal_stop();
	return 0;
}
