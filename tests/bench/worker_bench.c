// Times workers: bursts of frames through packet, flow cache and record ring, with the ring's
// consumer at the other end; and two workers against one. One row of CSV for each kind of traffic.
//
//   worker_bench [--chunks N] [ROW...]
//
// One worker runs on core 0 and its ring is read on core 1, as an exporter would. Two workers
// run on cores 0 and 1, each with traffic and a cache of its own, side by side and in step; each
// reads its own ring between the timed chunks, there being no third core.
//
// Packets and octets in the records must be those that were made, or there is no figure.

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_pause.h>

#include "measure.h"
#include "record_ring.h"
#include "rows.h"
#include "worker.h"

enum {
	MOST_WORKERS = 2,
	MOST_CHUNKS = 20000,
	CHUNK = 8192,
	BURST = 64,
	FILL_PACKETS = 12,
};

struct bench;

struct lane {
	struct bench *bench;
	unsigned index;
	pthread_t thread;
	struct worker *worker;
	struct traffic *traffic;
	struct meter_counts counts;
	uint64_t order;
	uint64_t record_packets, record_octets, n_records;
	bool ended; // the ring's last mark was read
	double ns[MOST_CHUNKS];
};

struct bench {
	const struct row *row;
	unsigned n_workers, n_chunks;
	atomic_uint n_arrived;
	struct lane lanes[MOST_WORKERS];
};

// All lanes at once, without the kernel: a wake-up takes longer than a chunk.
static void meet(struct bench *bench, unsigned *generation) {
	unsigned all = ++*generation * bench->n_workers;
	atomic_fetch_add_explicit(&bench->n_arrived, 1, memory_order_acq_rel);
	while ((int)(atomic_load_explicit(&bench->n_arrived, memory_order_acquire) - all) < 0)
		rte_pause();
}

static void read_records(struct lane *lane) {
	struct ring *ring = worker_records(lane->worker);
	uint32_t n;

	while ((n = ring_ready(ring)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			const struct flow_record *record = ring_at(ring, i);
			if (record_is_mark(record)) {
				lane->ended = record_mark_order(record) == RECORD_ORDER_END;
				continue;
			}
			lane->record_packets += record->packets;
			lane->record_octets += record->octets;
			lane->n_records++;
		}
		ring_release(ring, n);
	}
}

static void *consume(void *arg) {
	struct lane *lane = arg;

	measure_pin(1);
	while (!lane->ended) {
		read_records(lane);
		for (unsigned i = 0; i < 50; i++)
			rte_pause();
	}
	return NULL;
}

static int64_t meter_chunk(struct lane *lane, const struct frame *frames) {
	const struct meter meter = {.link = LINK_ETHERNET, .in_if = 1};
	int64_t begin = measure_now();

	for (unsigned i = 0; i < CHUNK; i += BURST)
		worker_meter(lane->worker, &meter, frames + i, BURST, &lane->counts);
	return measure_now() - begin;
}

static void fill(struct lane *lane) {
	const struct row *row = lane->bench->row;
	bool known = row->kind == TRAFFIC_UNIFORM || row->kind == TRAFFIC_ZIPF;
	uint64_t n = (uint64_t)row->n_flows * (row->kind == TRAFFIC_CHURN ? FILL_PACKETS : 1);

	if (known)
		traffic_set_kind(lane->traffic, TRAFFIC_EACH);
	for (uint64_t done = 0; done < n; done += CHUNK) {
		meter_chunk(lane, traffic_fill(lane->traffic, CHUNK));
		if (lane->bench->n_workers > 1)
			read_records(lane);
	}
	traffic_set_kind(lane->traffic, row->kind);
}

static void *run_lane(void *arg) {
	struct lane *lane = arg;
	struct bench *bench = lane->bench;
	unsigned generation = 0;
	time_ns_t now = TRAFFIC_BEGIN_NS;

	measure_pin(lane->index);
	fill(lane);
	for (unsigned i = 0; i < bench->n_chunks; i++) {
		const struct frame *frames = traffic_fill(lane->traffic, CHUNK);
		now = frames[CHUNK - 1].time_ns;
		meet(bench, &generation);
		lane->ns[i] = (double)meter_chunk(lane, frames) / CHUNK;
		meet(bench, &generation);
		if (bench->n_workers > 1)
			read_records(lane);
	}
	// The end flushes more than a ring holds: someone has to read it meanwhile.
	if (bench->n_workers > 1) {
		pthread_t consumer;
		if (pthread_create(&consumer, NULL, consume, lane) != 0)
			abort();
		worker_do(lane->worker, WORKER_END, ++lane->order, now);
		pthread_join(consumer, NULL);
	} else {
		worker_do(lane->worker, WORKER_END, ++lane->order, now);
	}
	return NULL;
}

static bool lane_open(struct lane *lane, struct bench *bench, unsigned index) {
	const struct row *row = bench->row;

	*lane = (struct lane){.bench = bench, .index = index};
	lane->worker = worker_new(&(struct flow_cache_config){
		.n_flows = row->n_slots,
		.active_timeout_ns = 60 * NS_PER_S,
		.idle_timeout_ns = 15 * NS_PER_S,
		.secret = flow_secret_fixed,
	});
	lane->traffic = traffic_new(&(struct traffic_config){
		.kind = row->kind,
		.n_flows = row->n_flows,
		.seed = index + 1,
	});
	return lane->worker != NULL && lane->traffic != NULL;
}

static bool conserved(const struct lane *lane) {
	const struct traffic_truth *truth = traffic_truth(lane->traffic);

	if (lane->record_packets == truth->packets && lane->record_octets == truth->octets)
		return true;
	fprintf(stderr,
		"%s: %llu packets and %llu octets in records, but there were %llu and %llu\n",
		lane->bench->row->name,
		(unsigned long long)lane->record_packets,
		(unsigned long long)lane->record_octets,
		(unsigned long long)truth->packets,
		(unsigned long long)truth->octets);
	return false;
}

// Mpps of all workers together, 0 on error. A chunk is as fast as the slower of them.
static double run(struct bench *bench, double *ns, double *records_per_packet) {
	static double chunk_ns[MOST_CHUNKS];
	bool good = true;
	uint64_t n_records = 0, n_packets = 0;
	pthread_t consumer;

	atomic_store(&bench->n_arrived, 0);
	for (unsigned i = 0; i < bench->n_workers; i++)
		good &= lane_open(&bench->lanes[i], bench, i);
	if (!good) {
		fprintf(stderr, "%s: no memory\n", bench->row->name);
	} else {
		for (unsigned i = 0; i < bench->n_workers; i++)
			if (pthread_create(
				    &bench->lanes[i].thread, NULL, run_lane, &bench->lanes[i]
			    )
			    != 0)
				abort();
		if (bench->n_workers == 1
		    && pthread_create(&consumer, NULL, consume, &bench->lanes[0]) != 0)
			abort();
		for (unsigned i = 0; i < bench->n_workers; i++)
			pthread_join(bench->lanes[i].thread, NULL);
		if (bench->n_workers == 1)
			pthread_join(consumer, NULL);
	}
	for (unsigned i = 0; i < bench->n_chunks; i++) {
		chunk_ns[i] = bench->lanes[0].ns[i];
		if (bench->n_workers > 1 && bench->lanes[1].ns[i] > chunk_ns[i])
			chunk_ns[i] = bench->lanes[1].ns[i];
	}
	for (unsigned i = 0; i < bench->n_workers; i++) {
		struct lane *lane = &bench->lanes[i];
		good = good && conserved(lane);
		n_records += lane->n_records;
		n_packets += lane->record_packets;
		worker_free(lane->worker);
		traffic_free(lane->traffic);
	}
	*ns = measure_median(chunk_ns, bench->n_chunks);
	*records_per_packet = n_packets > 0 ? (double)n_records / (double)n_packets : 0;
	return good ? 1e3 / *ns * bench->n_workers : 0;
}

int main(int argc, char **argv) {
	static const char *const usual[] = {
		"uniform-64k",
		"uniform-1m",
		"zipf-1m",
		"uniform-8m",
		"churn-64k",
		"churn-1m",
		"new-1m",
		NULL,
	};
	static struct bench bench;
	unsigned n_chunks = 1000;
	int first = 1;

	if (argc > 2 && strcmp(argv[1], "--chunks") == 0) {
		n_chunks = (unsigned)strtoul(argv[2], NULL, 10);
		first = 3;
	}
	if (n_chunks < 10 || n_chunks > MOST_CHUNKS) {
		fprintf(stderr, "--chunks: give a number from 10 to %d\n", MOST_CHUNKS);
		return 2;
	}
	const char *const *names = first < argc ? (const char *const *)argv + first : usual;
	puts("row,workers,ns,mpps,scaling,records_per_packet");
	for (; *names != NULL; names++) {
		bench.row = row_find(*names);
		if (bench.row == NULL) {
			fprintf(stderr, "%s: there is no such row; rows.c lists them\n", *names);
			return 2;
		}
		double one = 0;
		for (unsigned n = 1; n <= MOST_WORKERS; n++) {
			double ns, records;
			bench.n_workers = n;
			bench.n_chunks = n_chunks;
			double mpps = run(&bench, &ns, &records);
			if (mpps == 0)
				return 1;
			one = n == 1 ? mpps : one;
			printf("%s,%u,%.2f,%.2f,%.2f,%.3f\n",
			       *names,
			       n,
			       ns,
			       mpps,
			       mpps / one,
			       records);
			fflush(stdout);
		}
	}
	return 0;
}
