#include "poll_lane.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <rte_pause.h>

#include "record_ring.h"

enum {
	YARDSTICK_TURNS = 8,
	CHURN_FILL = 12, // packets for each live flow until the cache is as it will stay
};

static double spent_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void poll_lane_read(struct worker *worker, struct poll_records *records) {
	struct ring *ring = worker_records(worker);
	uint32_t n;

	while ((n = ring_ready(ring)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			const struct flow_record *record = ring_at(ring, i);
			if (record_is_mark(record)) {
				records->ended |= record_mark_order(record) == RECORD_ORDER_END;
				continue;
			}
			records->packets += record->packets;
			records->octets += record->octets;
			records->records++;
		}
		ring_release(ring, n);
	}
}

static void keep(struct poll_times *times, int64_t wall_ns, double cpu_ns) {
	if (times->n_chunks < POLL_MOST_CHUNKS)
		times->chunk_ns[times->n_chunks++] = (double)wall_ns / RING_PORT_FRAMES;
	times->spent_ns += cpu_ns;
	times->packets += RING_PORT_FRAMES;
}

// The loop that does nothing with what it reads.
static void take_yardsticks(struct poll_lane *lane, const struct frame *frames) {
	struct port *port = ring_port_port(lane->port);
	struct frame got[PORT_BURST_FRAMES];

	ring_port_put(lane->port, frames, RING_PORT_FRAMES);
	lane->n_yardstick += RING_PORT_FRAMES;
	double cpu_ns = spent_ns();
	int64_t begun_ns = measure_now();
	while (ring_port_left(lane->port) > 0) {
		(void)port_burst(port, 0, got);
		port_release(port, 0);
	}
	int64_t wall_ns = measure_now() - begun_ns;
	unsigned i = lane->yardstick.n_chunks;
	keep(&lane->yardstick, wall_ns, spent_ns() - cpu_ns);
	if (i == POLL_MOST_CHUNKS)
		return;
	lane->p_ns[i] = (double)yardstick_p(lane->pq, frames, RING_PORT_FRAMES) / RING_PORT_FRAMES;
	lane->q_ns[i] = (double)yardstick_q(lane->pq, RING_PORT_FRAMES) / RING_PORT_FRAMES;
}

// Ends a chunk. Returns whether it was the last.
static bool end_chunk(struct poll_lane *lane) {
	if (!lane->timing)
		return false;
	int64_t now_ns = measure_now();
	keep(&lane->weir, now_ns - lane->chunk_begun_ns, spent_ns() - lane->spent_before_ns);
	if (lane->n_most > 0)
		return lane->weir.packets >= lane->n_most;
	return (double)(now_ns - lane->begun_ns) >= lane->seconds * 1e9;
}

static void begin(struct poll_lane *lane) {
	// The others must not be filling still: this is to be timed with them at work.
	atomic_fetch_sub_explicit(lane->n_filling, 1, memory_order_acq_rel);
	while (atomic_load_explicit(lane->n_filling, memory_order_acquire) > 0)
		rte_pause();
	traffic_set_kind(lane->traffic, lane->row->kind);
	lane->filled = lane->timing = true;
	lane->begun_ns = measure_now();
}

bool poll_lane_on_empty(void *arg) {
	struct poll_lane *lane = arg;
	bool was_last = end_chunk(lane);

	if (lane->filled && !lane->timing)
		return false; // long done
	if (lane->reads_ring)
		poll_lane_read(lane->worker, &lane->records);
	if (was_last) {
		lane->timing = false;
		sem_post(&lane->done);
		return false;
	}
	if (!lane->filled && lane->n_filled >= lane->n_fill)
		begin(lane);
	const struct frame *frames = traffic_fill(lane->traffic, RING_PORT_FRAMES);
	if (lane->timing && lane->n_turns++ % YARDSTICK_TURNS == 0)
		take_yardsticks(lane, frames);
	ring_port_put(lane->port, frames, RING_PORT_FRAMES);
	lane->n_filled += RING_PORT_FRAMES;
	lane->spent_before_ns = spent_ns();
	lane->chunk_begun_ns = measure_now();
	return true;
}

bool poll_lane_open(struct poll_lane *lane, time_ns_t active_timeout_ns, uint64_t seed) {
	const struct row *row = lane->row;
	bool churns = row->kind == TRAFFIC_CHURN;

	lane->n_fill = (uint64_t)row->n_flows * (churns ? CHURN_FILL : 1);
	lane->worker = worker_new(&(struct flow_cache_config){
		.n_flows = row->n_slots,
		.active_timeout_ns = active_timeout_ns,
		.idle_timeout_ns = 15 * NS_PER_S,
		.secret = flow_secret_fixed,
	});
	lane->traffic = traffic_new(&(struct traffic_config){
		.kind = row->kind,
		.n_flows = row->n_flows,
		.seed = seed,
	});
	lane->pq = yardstick_new(PAGES_THP);
	if (lane->worker == NULL || lane->traffic == NULL || lane->pq == NULL)
		return false;
	worker_go_live(lane->worker);
	if (!churns)
		traffic_set_kind(lane->traffic, TRAFFIC_EACH);
	ring_port_counts(lane->port, &lane->counts_before);
	return sem_init(&lane->done, 0, 0) == 0;
}

void poll_lane_close(struct poll_lane *lane) {
	poller_free(lane->poller);
	worker_free(lane->worker);
	traffic_free(lane->traffic);
	yardstick_free(lane->pq);
	lane->pq = NULL;
	lane->poller = NULL;
	lane->worker = NULL;
	lane->traffic = NULL;
}

static bool same(const char *row, const char *what, uint64_t got, uint64_t expected) {
	if (got == expected)
		return true;
	fprintf(stderr,
		"%s: %" PRIu64 " %s, but it should be %" PRIu64 "\n",
		row,
		got,
		what,
		expected);
	return false;
}

bool poll_lane_conserved(const struct poll_lane *lane) {
	const struct traffic_truth *truth = traffic_truth(lane->traffic);
	const char *name = lane->row->name;
	struct ring_port_counts put;
	struct poller_counts counts;
	struct flow_cache_stats stats;

	ring_port_counts(lane->port, &put);
	poller_read(lane->poller, &counts);
	flow_cache_stats(worker_cache(lane->worker), &stats);
	uint64_t metered = meter_counts_metered(&counts.meter).packets;
	uint64_t reasons = counts.own_export.packets;
	for (unsigned i = PACKET_METERED + 1; i < PACKET_VERDICT_COUNT; i++)
		reasons += counts.meter.unmetered[i].packets;
	const uint64_t *unmetered[] = {
		&counts.meter.unmetered[PACKET_NOT_IP].packets,
		&counts.meter.unmetered[PACKET_IP_TRUNCATED].packets,
	};
	// The yardstick's frames are put a second time: spoiled are those by their number.
	bool good = same(name, "packets received", counts.meter.received.packets, truth->packets);
	good &= same(name, "packets metered or not", metered + reasons, truth->packets);
	good &=
		same(name,
		     "packets spoiled",
		     *unmetered[0] + *unmetered[1] + lane->n_yardstick * 2 / RING_PORT_ODD_ONE_IN,
		     put.not_ip + put.cut - lane->counts_before.not_ip - lane->counts_before.cut);
	good &= same(name, "packets in the cache's count", stats.packets, metered);
	good &= same(name, "packets in records", stats.record_packets, metered);
	good &= same(name, "octets in records", stats.record_octets, counts.meter.metered_octets);
	return good && same(name, "flows left", stats.flows, 0);
}
