#include "subject.h"

#include <stdio.h>
#include <string.h>

#include <rte_common.h>

enum {
	RECORD_SLOTS = 1 << 15,
	PUBLISH_RECORDS = 64,
	FILL_PACKETS = 12, // for each flow, until churn has settled
};

// As a worker's (worker.c), but that what does not fit is an error of the bench.
static struct flow_record *place_record(void *arg) {
	struct ring *records = arg;

	if (ring_unpublished(records) >= PUBLISH_RECORDS)
		ring_publish(records);
	struct flow_record *slot = ring_reserve(records);
	ring_push(records);
	return slot;
}

static void fill(struct subject *subject) {
	const struct row *row = subject->row;
	bool known = row->kind == TRAFFIC_UNIFORM || row->kind == TRAFFIC_ZIPF;
	uint64_t n = (uint64_t)row->n_flows * (row->kind == TRAFFIC_CHURN ? FILL_PACKETS : 1);

	if (known)
		traffic_set_kind(subject->traffic, TRAFFIC_EACH);
	for (uint64_t done = 0; done < n; done += SUBJECT_CHUNK) {
		subject_meter(subject, subject_next(subject));
		subject_read(subject);
	}
	traffic_set_kind(subject->traffic, row->kind);
}

bool subject_open(
	struct subject *subject,
	const struct row *row,
	enum pages pages,
	const char *path,
	bool out_of_cache,
	uint64_t seed
) {
	*subject = (struct subject){.row = row, .pages = pages};
	subject->records = ring_new(RECORD_SLOTS, sizeof(struct flow_record));
	struct flow_cache_config config = {
		.n_flows = row->n_slots,
		.active_timeout_ns = 60 * NS_PER_S,
		.idle_timeout_ns = 15 * NS_PER_S,
		.secret = flow_secret_fixed,
		.on_evict = place_record,
		.arg = subject->records,
		.path = path,
	};
	subject->memory_bytes = flow_cache_size(&config);
	subject->memory = pages_map(subject->memory_bytes, pages);
	subject->traffic = traffic_new(&(struct traffic_config){
		.kind = row->kind,
		.n_flows = row->n_flows,
		.seed = seed,
		.out_of_cache = out_of_cache,
	});
	if (subject->records == NULL || subject->memory == NULL || subject->traffic == NULL) {
		fprintf(stderr,
			"%s: no memory: %zu MiB of %s pages are needed\n",
			row->name,
			subject->memory_bytes >> 20,
			pages_name(pages));
		subject_close(subject);
		return false;
	}
	subject->cache = flow_cache_init(subject->memory, &config);
	if (subject->cache == NULL) {
		fprintf(stderr, "%s: this machine cannot run the path %s\n", row->name, path);
		subject_close(subject);
		return false;
	}
	flow_cache_restart(subject->cache, TRAFFIC_BEGIN_NS);
	// The hand goes round once in 250 ms of 8192 packets each 50 ns.
	subject->age_blocks = row->n_slots / 64 / (250000000 / (SUBJECT_CHUNK * 50)) + 1;
	fill(subject);
	return true;
}

void subject_close(struct subject *subject) {
	traffic_free(subject->traffic);
	pages_unmap(subject->memory, subject->memory_bytes, subject->pages);
	ring_free(subject->records);
}

const struct frame *subject_next(struct subject *subject) {
	return traffic_fill(subject->traffic, SUBJECT_CHUNK);
}

int64_t subject_meter(struct subject *subject, const struct frame *frames) {
	const struct meter meter = {.link = LINK_ETHERNET, .in_if = 1};
	int64_t begin = measure_now();

	for (unsigned i = 0; i < SUBJECT_CHUNK; i += SUBJECT_BURST) {
		flow_cache_meter(
			subject->cache, &meter, frames + i, SUBJECT_BURST, &subject->counts
		);
		ring_publish(subject->records);
	}
	flow_cache_advance(subject->cache, frames[SUBJECT_CHUNK - 1].time_ns);
	flow_cache_age(subject->cache, subject->age_blocks);
	return measure_now() - begin;
}

void subject_read(struct subject *subject) {
	uint32_t n;

	ring_publish(subject->records);
	while ((n = ring_ready(subject->records)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			const struct flow_record *record = ring_at(subject->records, i);
			subject->record_packets += record->packets;
			subject->record_octets += record->octets;
		}
		subject->n_records += n;
		ring_release(subject->records, n);
	}
}

static bool same(const struct subject *subject, const char *what, uint64_t got, uint64_t want) {
	if (got == want)
		return true;
	fprintf(stderr,
		"%s: %s: %llu, but there were %llu\n",
		subject->row->name,
		what,
		(unsigned long long)got,
		(unsigned long long)want);
	return false;
}

bool subject_conserved(struct subject *subject) {
	const struct traffic_truth *truth = traffic_truth(subject->traffic);
	struct flow_cache_stats stats;
	uint64_t n_records = 0;

	// A flush is more than the ring holds: age them all out, some blocks at a time.
	flow_cache_advance(subject->cache, flow_cache_now(subject->cache) + 16 * NS_PER_S);
	subject_read(subject);
	for (uint32_t left = flow_cache_blocks(subject->cache); left > 0;
	     left -= RTE_MIN(left, 64u)) {
		flow_cache_age(subject->cache, 64);
		subject_read(subject);
	}
	flow_cache_flush(subject->cache);
	subject_read(subject);
	flow_cache_stats(subject->cache, &stats);
	for (unsigned end = 0; end < FLOW_END_COUNT; end++)
		n_records += stats.records[end];
	bool good = same(subject, "packets in records", subject->record_packets, truth->packets);
	good = same(subject, "octets in records", subject->record_octets, truth->octets) && good;
	good = same(subject, "packets counted", stats.packets, truth->packets) && good;
	good = same(subject, "frames", subject->counts.received.packets, truth->packets) && good;
	good = same(subject, "records read", subject->n_records, n_records) && good;
	return same(subject, "flows left", stats.flows, 0) && good;
}
