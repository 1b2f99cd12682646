// Times the packet path, parse to record, over one flow cache: one row of CSV for each kind of
// traffic. The two yardsticks are taken over the same frames between the chunks (measure.h).
//
//   flow_cache_bench [--pages huge|thp|4k] [--dram] [--readers N] [--passes N] [--path NAME]
//                    [--chunks N] [--core N] [ROW...]
//
// Readers read all running flows, --passes times a second or, with 0, without a pause.
// A row without conservation is an error: exit status 1 and no figure.

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"
#include "rows.h"
#include "subject.h"

enum {
	MOST_CHUNKS = 20000,
	MOST_READERS = 4,
};

struct options {
	enum pages pages;
	bool dram;
	unsigned n_readers;
	unsigned n_passes; // of a reader a second; 0 = flat out
	const char *path;
	unsigned n_chunks;
	unsigned core;
};

struct reader {
	pthread_t thread;
	const struct flow_cache *cache;
	unsigned core;
	int64_t pass_ns; // from the begin of a pass to that of the next, at least
	atomic_bool stop;
	uint64_t n_flows; // read in all
};

static bool stopped(struct reader *reader) {
	return atomic_load_explicit(&reader->stop, memory_order_relaxed);
}

// Reads all running flows, again and again, on the other core.
static void *read_flows(void *arg) {
	struct reader *reader = arg;
	struct flow_record records[FLOW_CACHE_BUCKET_FLOWS];
	uint32_t n = flow_cache_buckets(reader->cache);
	int64_t due = measure_now();

	measure_pin(reader->core);
	while (!stopped(reader)) {
		for (uint32_t i = 0; i < n && !stopped(reader); i++)
			reader->n_flows += flow_cache_read(reader->cache, i, records);
		due += reader->pass_ns;
		while (!stopped(reader) && measure_now() < due)
			nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
	}
	return NULL;
}

static void start_readers(
	struct reader *readers, const struct options *options, const struct flow_cache *cache
) {
	for (unsigned i = 0; i < options->n_readers; i++) {
		readers[i] = (struct reader){
			.cache = cache,
			.core = options->core ^ 1,
			.pass_ns = options->n_passes == 0 ? 0 : NS_PER_S / options->n_passes,
		};
		if (pthread_create(&readers[i].thread, NULL, read_flows, &readers[i]) != 0)
			abort();
	}
}

static void stop_readers(struct reader *readers, const struct options *options) {
	for (unsigned i = 0; i < options->n_readers; i++) {
		atomic_store_explicit(&readers[i].stop, true, memory_order_relaxed);
		pthread_join(readers[i].thread, NULL);
		if (readers[i].n_flows == 0)
			fprintf(stderr, "a reader has read nothing\n");
	}
}

static const char *verdict(const struct row *row, double ns, double p_ns, double q_ns) {
	if (row->must.mpps == 0)
		return "-";
	if (row_reaches(&row->moonshot, ns, p_ns, q_ns))
		return "moonshot";
	return row_reaches(&row->must, ns, p_ns, q_ns) ? "must" : "missed";
}

static bool
run_row(const struct row *row, const struct options *options, struct yardstick *yardstick) {
	static double p[MOST_CHUNKS], q[MOST_CHUNKS], ns[MOST_CHUNKS];
	struct reader readers[MOST_READERS];
	struct subject subject;
	struct flow_cache_stats before, after;

	if (!subject_open(&subject, row, options->pages, options->path, options->dram, 1))
		return false;
	flow_cache_stats(subject.cache, &before);
	start_readers(readers, options, subject.cache);
	for (unsigned i = 0; i < options->n_chunks; i++) {
		const struct frame *frames = subject_next(&subject);
		ns[i] = (double)subject_meter(&subject, frames) / SUBJECT_CHUNK;
		subject_read(&subject);
		q[i] = (double)yardstick_q(yardstick, SUBJECT_CHUNK) / SUBJECT_CHUNK;
		// The same frames, where they were when the cache met them.
		traffic_flush(subject.traffic);
		p[i] = (double)yardstick_p(yardstick, frames, SUBJECT_CHUNK) / SUBJECT_CHUNK;
	}
	stop_readers(readers, options);
	flow_cache_stats(subject.cache, &after);

	const char *path = flow_cache_path(subject.cache);
	double bytes_per_flow = (double)subject.memory_bytes / row->n_slots;
	bool conserved = subject_conserved(&subject);
	subject_close(&subject);
	if (!conserved)
		return false;

	double p_ns = measure_median(p, options->n_chunks);
	double q_ns = measure_median(q, options->n_chunks);
	double median = measure_median(ns, options->n_chunks);
	printf("%s,%s,%s,%u,%s,%u,%u,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%s,%.3f,%.1f\n",
	       row->name,
	       pages_name(options->pages),
	       options->dram ? "dram" : "cached",
	       options->n_readers,
	       path,
	       row->n_flows,
	       row->n_slots,
	       median,
	       ns[options->n_chunks / 10], // sorted by now
	       1e3 / median,
	       p_ns,
	       q_ns,
	       median / p_ns,
	       (median - p_ns) / q_ns,
	       verdict(row, median, p_ns, q_ns),
	       (double)(after.started - before.started) / (double)options->n_chunks / SUBJECT_CHUNK,
	       bytes_per_flow);
	fflush(stdout);
	return true;
}

static enum pages pages_of(const char *name) {
	for (enum pages pages = 0; pages < PAGES_KINDS; pages++)
		if (strcmp(pages_name(pages), name) == 0)
			return pages;
	fprintf(stderr, "--pages %s: there are huge, thp and 4k\n", name);
	exit(2);
}

static unsigned number_of(const char *option, const char *text, unsigned least, unsigned most) {
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (*text == '\0' || *end != '\0' || n < least || n > most) {
		fprintf(stderr, "--%s %s: give a number from %u to %u\n", option, text, least, most
		);
		exit(2);
	}
	return (unsigned)n;
}

static void parse(int argc, char **argv, struct options *options) {
	static const struct option known[] = {
		{"pages", required_argument, NULL, 'p'},
		{"dram", no_argument, NULL, 'd'},
		{"readers", required_argument, NULL, 'r'},
		{"passes", required_argument, NULL, 's'},
		{"path", required_argument, NULL, 'a'},
		{"chunks", required_argument, NULL, 'c'},
		{"core", required_argument, NULL, 'o'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'p':
			options->pages = pages_of(optarg);
			break;
		case 'd':
			options->dram = true;
			break;
		case 'r':
			options->n_readers = number_of("readers", optarg, 0, MOST_READERS);
			break;
		case 's':
			options->n_passes = number_of("passes", optarg, 0, 1000);
			break;
		case 'a':
			options->path = optarg;
			break;
		case 'c':
			options->n_chunks = number_of("chunks", optarg, 10, MOST_CHUNKS);
			break;
		case 'o':
			options->core = number_of("core", optarg, 0, 1023);
			break;
		default:
			fprintf(stderr, "the options stand at the head of flow_cache_bench.c\n");
			exit(2);
		}
	}
}

int main(int argc, char **argv) {
	struct options options = {.pages = PAGES_THP, .n_chunks = 1000};
	bool good = true;

	parse(argc, argv, &options);
	for (int i = optind; i < argc; i++) {
		if (row_find(argv[i]) == NULL) {
			fprintf(stderr, "%s: there is no such row; rows.c lists them\n", argv[i]);
			return 2;
		}
	}
	measure_pin(options.core);
	struct yardstick *yardstick = yardstick_new(options.pages);
	if (yardstick == NULL) {
		fprintf(stderr,
			"no memory: 256 MiB of %s pages are needed\n",
			pages_name(options.pages));
		return 1;
	}
	puts("row,pages,packets,readers,path,flows,slots,ns,ns_low,mpps,p_ns,q_ns,ns_per_p,"
	     "q_above_p,goal,new_per_packet,bytes_per_flow");
	for (const struct row *row = rows; row->name != NULL; row++) {
		bool wanted = optind == argc;
		for (int i = optind; i < argc; i++)
			wanted |= strcmp(argv[i], row->name) == 0;
		if (wanted)
			good &= run_row(row, &options, yardstick);
	}
	yardstick_free(yardstick);
	return good ? 0 : 1;
}
