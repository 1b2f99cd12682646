// Times the way of a record from the exporter to the kernel: the encoder of NetFlow v9 alone, a
// loop of sendto() behind it, a collector, and a destination, whose thread is on the same core; all
// to a socket on loopback which another core empties.
//
//   exporter_bench [RECORDS [REPEATS]]
//
// One in five records is IPv6. The ways take turns; told are the medians, in CPU time of
// what sends. Each turn is checked before it counts: the sink must have seen every datagram
// and every record that was sent, by their headers. Cores 0 and 1.

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "destination.h"
#include "encoder.h"
#include "record_sink.h"

#define NOW_MS INT64_C(1795000000000)

enum {
	N_RECORDS = 4096, // in the second-level cache, as what comes out of a ring
	AT_ONCE = 64,     // handed to the encoder, as a worker publishes them
	MOST_REPEATS = 101,
	IN_FLIGHT = 256,     // datagrams that the sink may be behind
	LEFT_RECORDS = 2048, // under construction, and not enough to wake a thread for
	SINK_BUFFER_BYTES = 8 << 20,
};

enum way { ENCODE, SENDTO, SEND, SENDMMSG, SEGMENT, DESTINATION, N_WAYS };

static const char *const names[N_WAYS] = {
	"encoder_add",
	"sendto",
	"collector, a call each",
	"sendmmsg",
	"collector, UDP_SEGMENT",
	"destination",
};

struct bench {
	struct flow_record records[N_RECORDS];
	uint64_t n_records; // to send in each turn
	struct record_sink sink;
	char destination[64];
	struct collector *segmenting, *calling;
	struct destination *destination_of_all;
	struct encoder *encoder, *mmsg_encoder, *sendto_encoder;
	int mmsg_socket;
	int64_t destination_ms;
	uint64_t n_encoded, n_mmsg_datagrams, n_sendto_datagrams, n_failed;
};

static void fail(const char *what) {
	fprintf(stderr, "exporter_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pin(int core) {
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		fail("cannot pin");
}

static double clock_ns(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

// Of all threads but the sink's, which must be at rest: its clock is read at another moment.
static double all_ns(const struct bench *bench) {
	clockid_t sink;
	if (pthread_getcpuclockid(bench->sink.thread, &sink) != 0)
		fail("pthread_getcpuclockid");
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID) - clock_ns(sink);
}

static void open_sink(struct bench *bench) {
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	int rc = record_sink_open(&bench->sink, SINK_BUFFER_BYTES);
	if (rc < 0) {
		errno = -rc;
		fail("no sink with a receive buffer of 8 MiB, as CAP_NET_ADMIN may have");
	}
	address.sin_port = htons((uint16_t)bench->sink.port);
	bench->mmsg_socket = socket(AF_INET, SOCK_DGRAM, 0);
	if (connect(bench->mmsg_socket, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail("connect");
	snprintf(bench->destination, sizeof(bench->destination), "127.0.0.1:%u", bench->sink.port);
}

static void count_only(const struct export_run *run, void *arg) {
	struct bench *bench = arg;
	bench->n_encoded += export_run_records(run);
}

static void send_each(const struct export_run *run, void *arg) {
	struct bench *bench = arg;

	for (unsigned i = 0; i < run->n_datagrams; i++) {
		struct export_run one = export_run_part(run, i, 1);
		if (sendto(bench->mmsg_socket, one.octets, export_run_bytes(&one), 0, NULL, 0) < 0)
			bench->n_failed++;
		else
			bench->n_sendto_datagrams++;
	}
}

static void send_mmsg(const struct export_run *run, void *arg) {
	struct bench *bench = arg;
	struct iovec parts[EXPORT_RUN_DATAGRAMS];
	struct mmsghdr messages[EXPORT_RUN_DATAGRAMS];

	for (unsigned i = 0; i < run->n_datagrams; i++) {
		struct export_run one = export_run_part(run, i, 1);
		parts[i] = (struct iovec){(void *)one.octets, export_run_bytes(&one)};
		messages[i] = (struct mmsghdr){
			.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1},
		};
	}
	int n = sendmmsg(bench->mmsg_socket, messages, run->n_datagrams, 0);
	bench->n_mmsg_datagrams += (uint64_t)(n > 0 ? n : 0);
	bench->n_failed += run->n_datagrams - (uint64_t)(n > 0 ? n : 0);
}

static void make_records(struct bench *bench) {
	srandom(1);
	for (unsigned i = 0; i < N_RECORDS; i++) {
		struct flow_record *record = &bench->records[i];
		uint8_t *octets = (uint8_t *)record;
		for (unsigned j = 0; j < sizeof(*record); j++)
			octets[j] = (uint8_t)random();
		record->first_ticks = (uint64_t)(NOW_MS - random() % 60000) * TICKS_PER_MS;
		record->last_ticks = record->first_ticks + (uint64_t)(random() % 1000);
		record->key.family = random() % 5 == 0 ? FLOW_IPV6 : FLOW_IPV4;
		record->end = FLOW_END_IDLE;
	}
}

static struct collector *
open_collector(const struct bench *bench, const struct encoder_config *encoder, bool segment) {
	char error[COLLECTOR_ERROR_BYTES];
	struct collector *collector = collector_open(
		&(struct collector_config){
			.destination = bench->destination,
			.encoder = *encoder,
			.wait = true,
			.no_segmentation = !segment,
		},
		error
	);
	if (collector == NULL) {
		fprintf(stderr, "exporter_bench: %s\n", error);
		exit(1);
	}
	return collector;
}

static struct destination *
open_destination(const struct bench *bench, const struct encoder_config *encoder) {
	char error[COLLECTOR_ERROR_BYTES];
	struct destination *destination = destination_open(
		&(struct destination_config){
			.collector = {.destination = bench->destination, .encoder = *encoder},
			.queue_records = 65536, // as live
		},
		error
	);
	if (destination == NULL) {
		fprintf(stderr, "exporter_bench: %s\n", error);
		exit(1);
	}
	return destination;
}

static uint64_t n_sent(const struct bench *bench, enum way way) {
	struct collector_stats stats;

	if (way == SENDMMSG)
		return bench->n_mmsg_datagrams;
	if (way == SENDTO)
		return bench->n_sendto_datagrams;
	if (way == DESTINATION) {
		struct destination_stats all;
		destination_stats(bench->destination_of_all, &all);
		return all.collector.datagrams_sent;
	}
	collector_stats(way == SEND ? bench->calling : bench->segmenting, &stats);
	return stats.datagrams_sent;
}

// Until the sink is at most `behind` datagrams behind. Asleep: what it costs is not counted.
static void wait_for_sink(const struct bench *bench, uint64_t n_datagrams, uint64_t behind) {
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t seen = atomic_load_explicit(&bench->sink.datagrams, memory_order_acquire);
		if (seen + behind >= n_datagrams)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 20 * NS_PER_US}, NULL);
	}
	fprintf(stderr, "exporter_bench: datagrams were lost\n");
	exit(1);
}

// Until all but so many records have left. What it costs is counted.
static void wait_for_destination(const struct bench *bench, uint64_t but) {
	struct destination_stats stats;

	do {
		nanosleep(&(struct timespec){.tv_nsec = 20 * NS_PER_US}, NULL);
		destination_stats(bench->destination_of_all, &stats);
	} while (stats.collector.records_sent + but < stats.records);
}

static void add(struct bench *bench, enum way way, const struct flow_record *records) {
	switch (way) {
	case ENCODE:
		encoder_add(bench->encoder, records, AT_ONCE, NOW_MS);
		break;
	case SENDMMSG:
		encoder_add(bench->mmsg_encoder, records, AT_ONCE, NOW_MS);
		break;
	case SENDTO:
		encoder_add(bench->sendto_encoder, records, AT_ONCE, NOW_MS);
		break;
	case DESTINATION:
		destination_add(bench->destination_of_all, records, AT_ONCE, bench->destination_ms);
		break;
	case SEND:
		collector_add(bench->calling, records, AT_ONCE, NOW_MS);
		break;
	default:
		collector_add(bench->segmenting, records, AT_ONCE, NOW_MS);
		break;
	}
}

static void flush(struct bench *bench, enum way way) {
	switch (way) {
	case ENCODE:
		encoder_flush(bench->encoder, NOW_MS);
		break;
	case SENDMMSG:
		encoder_flush(bench->mmsg_encoder, NOW_MS);
		break;
	case SENDTO:
		encoder_flush(bench->sendto_encoder, NOW_MS);
		break;
	case DESTINATION:
		// As the clock does.
		bench->destination_ms += 1000;
		destination_tick(bench->destination_of_all, bench->destination_ms);
		break;
	case SEND:
		collector_flush(bench->calling, NOW_MS);
		break;
	default:
		collector_flush(bench->segmenting, NOW_MS);
		break;
	}
}

// CPU time of one turn, ns a record.
static double time_way(struct bench *bench, enum way way) {
	uint64_t sent_before = way == ENCODE ? 0 : n_sent(bench, way);
	uint64_t seen_before = atomic_load(&bench->sink.datagrams);
	uint64_t records_before =
		way == ENCODE ? bench->n_encoded : atomic_load(&bench->sink.records);
	double spent_ns = 0, all_begun_ns = all_ns(bench);

	for (uint64_t done = 0; done < bench->n_records;) {
		double begin_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		for (unsigned i = 0; i < N_RECORDS; i += AT_ONCE)
			add(bench, way, &bench->records[i]);
		done += N_RECORDS;
		if (done >= bench->n_records)
			flush(bench, way);
		if (way == DESTINATION)
			wait_for_destination(bench, done >= bench->n_records ? 0 : LEFT_RECORDS);
		spent_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
		if (way != ENCODE)
			wait_for_sink(
				bench, n_sent(bench, way) - sent_before + seen_before, IN_FLIGHT
			);
	}

	// With it, what it costs to wait for the sink.
	if (way == DESTINATION) {
		wait_for_sink(bench, n_sent(bench, way) - sent_before + seen_before, 0);
		spent_ns = all_ns(bench) - all_begun_ns;
	}

	uint64_t seen = bench->n_encoded;
	if (way != ENCODE) {
		wait_for_sink(bench, n_sent(bench, way) - sent_before + seen_before, 0);
		seen = atomic_load(&bench->sink.records);
		if (atomic_load(&bench->sink.datagrams) - seen_before
		    != n_sent(bench, way) - sent_before)
			seen = records_before;
	}
	if (seen - records_before != bench->n_records || bench->n_failed > 0) {
		fprintf(stderr,
			"exporter_bench: %s: sent %" PRIu64 " records, but %" PRIu64 " arrived\n",
			names[way],
			bench->n_records,
			seen - records_before);
		exit(1);
	}
	return spent_ns / (double)bench->n_records;
}

static int compare(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv) {
	static struct bench bench;
	static double spent_ns[N_WAYS][MOST_REPEATS];
	uint64_t n_records = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	unsigned n_repeats = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 11;
	const struct encoder_config config = {
		.source_id = 1,
		.datagram_bytes = 1400,
		.template_interval_ms = 30000,
		.template_packets = 4800,
		.sampling_interval = 1,
	};

	if (n_records == 0 || n_repeats == 0 || n_repeats > MOST_REPEATS) {
		fprintf(stderr, "usage: exporter_bench [RECORDS [REPEATS]]\n");
		return 2;
	}
	bench.n_records = (n_records + N_RECORDS - 1) / N_RECORDS * N_RECORDS;
	pin(0);
	make_records(&bench);
	open_sink(&bench);
	bench.segmenting = open_collector(&bench, &config, true);
	bench.calling = open_collector(&bench, &config, false);
	bench.destination_of_all = open_destination(&bench, &config);
	bench.destination_ms = NOW_MS;
	bench.encoder = encoder_new(&config, count_only, &bench);
	bench.mmsg_encoder = encoder_new(&config, send_mmsg, &bench);
	bench.sendto_encoder = encoder_new(&config, send_each, &bench);
	if (bench.encoder == NULL || bench.mmsg_encoder == NULL || bench.sendto_encoder == NULL)
		fail("encoder_new");

	for (unsigned i = 0; i < n_repeats; i++)
		for (unsigned way = 0; way < N_WAYS; way++)
			spent_ns[way][i] = time_way(&bench, way);
	for (unsigned way = 0; way < N_WAYS; way++) {
		qsort(spent_ns[way], n_repeats, sizeof(double), compare);
		double median_ns = spent_ns[way][n_repeats / 2];
		printf("%-24s%8.1f ns/record%8.2f M records/s\n",
		       names[way],
		       median_ns,
		       1e3 / median_ns);
	}
	return 0;
}
