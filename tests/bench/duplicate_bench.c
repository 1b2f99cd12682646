// Times what is done with frames before they are metered: looking for second copies
// (sensor/duplicate.h) and sampling, on top of the packet path over one flow cache.
//
//   duplicate_bench [--chunks N] [ROW...]
//
// Chunks go in turn through the packet path alone, with copies looked for, with every burst coming
// twice, with routed copies looked for, and with 1 of 100 sampled at random; p is taken over the
// same frames (measure.h). `new` is ns a frame above the plain path; of `twice` it is ns a frame
// that came, of which half are copies. Every frame has an identification of its
// own. `forgotten` is the part of the packets that were given up before their window was over.
//
// Copies found must be those that were made, and packets metered all others, or there is no figure.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "duplicate.h"
#include "sampler.h"
#include "subject.h"
#include "wire.h"

enum way { WAY_PLAIN, WAY_COPIES, WAY_TWICE, WAY_ROUTED, WAY_SAMPLED, WAY_COUNT };

enum {
	MOST_CHUNKS = 5000,
	INTERVAL = 100,
};

static const char *const way_names[WAY_COUNT] = {"plain", "copies", "twice", "routed", "sampled"};

struct bench {
	struct subject subject;
	struct duplicate *duplicate[2]; // plain, routed
	size_t duplicate_bytes;
	struct sampler sampler;
	uint32_t n_stamped;
	uint64_t n_metered[WAY_COUNT], n_frames[WAY_COUNT];
};

static bool open_duplicates(struct bench *bench) {
	for (unsigned routed = 0; routed < 2; routed++) {
		struct duplicate_config config = {
			.window_ns = 5 * NS_PER_MS,
			.n_packets = duplicate_packets_of(5 * NS_PER_MS),
			.copies = 1,
			.routed = routed == 1,
			.digest = {flow_secret_fixed, flow_secret_fixed},
			.place = flow_secret_fixed,
		};
		config.digest[1].words[0] ^= 1;
		bench->duplicate_bytes = duplicate_size(&config);
		void *memory = pages_map(bench->duplicate_bytes, PAGES_THP);
		if (memory == NULL)
			return false;
		bench->duplicate[routed] = duplicate_init(memory, &config);
	}
	return true;
}

// No two frames are alike.
static void stamp(struct bench *bench, const struct frame *frames) {
	for (unsigned i = 0; i < SUBJECT_CHUNK; i++) {
		uint8_t *ip = (uint8_t *)(uintptr_t)frames[i].data + 14;
		bool ipv6 = ip[0] >> 4 == 6;
		bench->n_stamped++;
		if (!ipv6)
			wire_put16(ip + 4, (uint16_t)bench->n_stamped);
		wire_put32(ip + (ipv6 ? 48 : 28), bench->n_stamped);
	}
}

static double run_way(struct bench *bench, enum way way, const struct frame *frames) {
	static struct frame own[SUBJECT_CHUNK];
	const struct meter meter = {.link = LINK_ETHERNET, .in_if = 1};
	struct flow_cache *cache = bench->subject.cache;
	struct meter_counts counts = {0};
	unsigned rounds = way == WAY_TWICE ? 2 : 1;
	struct frame again[SUBJECT_BURST];

	memcpy(own, frames, sizeof(own));
	int64_t begin = measure_now();
	for (unsigned i = 0; i < SUBJECT_CHUNK; i += SUBJECT_BURST) {
		struct frame *burst = own + i;
		if (way == WAY_TWICE)
			memcpy(again, burst, sizeof(again));
		for (unsigned round = 0; round < rounds; round++) {
			if (round == 1)
				burst = again;
			if (way == WAY_COPIES || way == WAY_TWICE)
				duplicate_mark(bench->duplicate[0], &meter, burst, SUBJECT_BURST);
			else if (way == WAY_ROUTED)
				duplicate_mark(bench->duplicate[1], &meter, burst, SUBJECT_BURST);
			else if (way == WAY_SAMPLED)
				sampler_mark(&bench->sampler, burst, SUBJECT_BURST);
			flow_cache_meter(cache, &meter, burst, SUBJECT_BURST, &counts);
		}
	}
	flow_cache_advance(cache, own[SUBJECT_CHUNK - 1].time_ns);
	flow_cache_age(cache, bench->subject.age_blocks);
	double ns = (double)(measure_now() - begin) / SUBJECT_CHUNK / rounds;
	bench->n_metered[way] += meter_counts_metered(&counts).packets;
	bench->n_frames[way] += SUBJECT_CHUNK;
	return ns;
}

static bool exact(const struct bench *bench) {
	for (unsigned way = 0; way < WAY_COUNT; way++) {
		uint64_t all = bench->n_frames[way], metered = bench->n_metered[way];
		// The sampler may be amid an interval at both ends.
		bool good = way == WAY_SAMPLED
				    ? metered >= all / INTERVAL - 1 && metered <= all / INTERVAL + 1
				    : metered == all;
		if (good)
			continue;
		fprintf(stderr,
			"%s: %llu of %llu frames metered\n",
			way_names[way],
			(unsigned long long)metered,
			(unsigned long long)all);
		return false;
	}
	return true;
}

static bool run_row(const struct row *row, unsigned n_chunks, struct yardstick *yardstick) {
	static double ns[WAY_COUNT][MOST_CHUNKS], p[MOST_CHUNKS];
	static struct bench bench;
	double median[WAY_COUNT];

	bench = (struct bench){0};
	sampler_init(&bench.sampler, SAMPLER_RANDOM, INTERVAL, 1);
	if (!subject_open(&bench.subject, row, PAGES_THP, NULL, false, 1)
	    || !open_duplicates(&bench))
		return false;
	for (unsigned i = 0; i < n_chunks; i++) {
		for (enum way way = 0; way < WAY_COUNT; way++) {
			const struct frame *frames = subject_next(&bench.subject);
			stamp(&bench, frames);
			ns[way][i] = run_way(&bench, way, frames);
			subject_read(&bench.subject);
			if (way == WAY_PLAIN)
				p[i] = (double)yardstick_p(yardstick, frames, SUBJECT_CHUNK)
				       / SUBJECT_CHUNK;
		}
	}
	struct duplicate_stats stats;
	duplicate_stats(bench.duplicate[0], &stats);
	subject_close(&bench.subject);
	for (unsigned routed = 0; routed < 2; routed++)
		pages_unmap(bench.duplicate[routed], bench.duplicate_bytes, PAGES_THP);
	if (!exact(&bench))
		return false;
	double p_ns = measure_median(p, n_chunks);
	for (enum way way = 0; way < WAY_COUNT; way++) {
		median[way] = measure_median(ns[way], n_chunks);
		printf("%s,%s,%.2f,%.2f,%.2f,%.2f,%.2f,%.1f,%.5f\n",
		       row->name,
		       way_names[way],
		       median[way],
		       median[way] - median[WAY_PLAIN],
		       1e3 / median[way],
		       p_ns,
		       median[way] / p_ns,
		       (double)bench.duplicate_bytes / 1048576,
		       (double)stats.forgotten / (double)stats.examined);
	}
	fflush(stdout);
	return true;
}

int main(int argc, char **argv) {
	unsigned n_chunks = 300;
	bool good = true;
	int first = 1;

	if (argc > 2 && strcmp(argv[1], "--chunks") == 0) {
		n_chunks = (unsigned)strtoul(argv[2], NULL, 10);
		first = 3;
	}
	if (n_chunks < 1 || n_chunks > MOST_CHUNKS) {
		fprintf(stderr, "--chunks: give a number from 1 to %d\n", MOST_CHUNKS);
		return 2;
	}
	for (int i = first; i < argc; i++)
		if (row_find(argv[i]) == NULL) {
			fprintf(stderr, "%s: there is no such row; rows.c lists them\n", argv[i]);
			return 2;
		}
	measure_pin(0);
	struct yardstick *yardstick = yardstick_new(PAGES_THP);
	if (yardstick == NULL)
		return 1;
	puts("row,way,ns,new,mpps,p_ns,ns_per_p,table_mib,forgotten");
	for (const struct row *row = rows; row->name != NULL; row++) {
		bool wanted = first == argc && strncmp(row->name, "uniform", 7) == 0;
		for (int i = first; i < argc; i++)
			wanted |= strcmp(argv[i], row->name) == 0;
		if (wanted)
			good &= run_row(row, n_chunks, yardstick);
	}
	yardstick_free(yardstick);
	return good ? 0 : 1;
}
