// Times encoders of each field profile, in NetFlow v9 and IPFIX, beside the copy of a record.
//
//   encoder_bench [RECORDS [REPEATS]]
//
// One in five records is IPv6. "encode" is a record's octets alone, "add" all that an encoder does
// up to the hand-over of full datagrams. Told are the medians, in CPU time. Before it is timed each
// profile goes through the strict decoder, which must find every record, the sum of all counters
// and no mistake. Core 0.

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "encoder.h"
#include "flow_decode.h"

#define NOW_MS INT64_C(1795000000000)

enum {
	N_RECORDS = 4096, // in the second-level cache, as what comes out of a ring
	AT_ONCE = 64,     // handed to the encoder, as a worker publishes them
	MOST_REPEATS = 101,
	DATAGRAM_BYTES = 1400,
};

struct sink {
	struct flow_decode *decoder; // or NULL: records are counted alone
	uint64_t n_records;
	uint64_t packets;
	uint64_t n_problems;
};

static struct flow_record records[N_RECORDS];

static void fail(const char *what) {
	fprintf(stderr, "encoder_bench: %s\n", what);
	exit(1);
}

static double cpu_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t make_records(void) {
	uint64_t packets = 0;

	srandom(1);
	for (unsigned i = 0; i < N_RECORDS; i++) {
		struct flow_record *record = &records[i];
		uint8_t *octets = (uint8_t *)record;
		for (unsigned j = 0; j < sizeof(*record); j++)
			octets[j] = (uint8_t)random();
		record->first_ticks = (uint64_t)(NOW_MS - random() % 60000) * TICKS_PER_MS;
		record->last_ticks = record->first_ticks + (uint64_t)(random() % 1000);
		record->key.family = random() % 5 == 0 ? FLOW_IPV6 : FLOW_IPV4;
		record->end = FLOW_END_IDLE;
		record->packets >>= 32;
		packets += record->packets;
	}
	return packets;
}

static void take(const struct export_run *run, void *arg) {
	struct sink *sink = arg;
	const struct flow_decode_from from = {.family = 4, .port = 40000, .to_port = 2055};

	if (sink->decoder == NULL) {
		sink->n_records += export_run_records(run);
		return;
	}
	for (unsigned i = 0; i < run->n_datagrams; i++) {
		struct export_run one = export_run_part(run, i, 1);
		flow_decode_datagram(sink->decoder, &from, one.octets, export_run_bytes(&one));
	}
}

static void
on_record(const struct flow_datagram *datagram, const struct flow_decoded *record, void *arg) {
	struct sink *sink = arg;

	(void)datagram;
	if (record->n_scopes > 0)
		return;
	sink->n_records++;
	sink->packets += flow_field_number(flow_decoded_find(record, ELEMENT_PACKET_DELTA));
}

static void on_problem(const struct flow_problem *problem, void *arg) {
	struct sink *sink = arg;
	sink->n_problems += !flow_problem_is_advice(problem->kind);
}

static struct encoder *
open_encoder(enum field_protocol protocol, const struct field_profile *profile, struct sink *sink) {
	struct encoder *encoder = encoder_new(
		&(struct encoder_config){
			.protocol = protocol == FIELDS_IPFIX ? ENCODER_IPFIX : ENCODER_NETFLOW9,
			.source_id = 1,
			.datagram_bytes = DATAGRAM_BYTES,
			.template_interval_ms = 30000,
			.template_packets = 4800,
			.sampling_interval = 1,
			.profile = profile,
		},
		take,
		sink
	);
	if (encoder == NULL)
		fail(strerror(errno));
	return encoder;
}

static void
check(enum field_protocol protocol, const struct field_profile *profile, uint64_t packets) {
	struct sink sink = {0};
	sink.decoder = flow_decode_new(&(struct flow_decode_events
	){.on_record = on_record, .on_problem = on_problem, .arg = &sink});
	if (sink.decoder == NULL)
		fail("no memory");
	struct encoder *encoder = open_encoder(protocol, profile, &sink);

	encoder_add(encoder, records, N_RECORDS, NOW_MS);
	encoder_flush(encoder, NOW_MS);
	encoder_free(encoder);
	flow_decode_free(sink.decoder);
	if (sink.n_records != N_RECORDS || sink.packets != packets || sink.n_problems > 0)
		fail("what was encoded is not what was to be");
}

static double time_copy(uint64_t n) {
	static uint8_t out[N_RECORDS * sizeof(records[0])];

	double begin_ns = cpu_ns();
	for (uint64_t done = 0; done < n; done += N_RECORDS)
		for (unsigned i = 0; i < N_RECORDS; i++) {
			memcpy(out + i * sizeof(records[0]), &records[i], sizeof(records[0]));
			__asm__ volatile("" ::: "memory");
		}
	return (cpu_ns() - begin_ns) / (double)n;
}

static double
time_encode(enum field_protocol protocol, const struct field_profile *profile, uint64_t n) {
	static uint8_t out[65536];

	double begin_ns = cpu_ns();
	for (uint64_t done = 0; done < n; done += N_RECORDS) {
		uint8_t *at = out;
		for (unsigned i = 0; i < N_RECORDS; i++) {
			const struct field_layout *layout =
				&profile->layouts[protocol][records[i].key.family == FLOW_IPV6];
			field_layout_encode(layout, at, &records[i], NOW_MS - 7200000);
			at += layout->record_bytes;
			if (at > out + sizeof(out) - 512)
				at = out;
		}
	}
	return (cpu_ns() - begin_ns) / (double)n;
}

static double
time_add(enum field_protocol protocol, const struct field_profile *profile, uint64_t n) {
	struct sink sink = {0};
	struct encoder *encoder = open_encoder(protocol, profile, &sink);

	double begin_ns = cpu_ns();
	for (uint64_t done = 0; done < n; done += N_RECORDS)
		for (unsigned i = 0; i < N_RECORDS; i += AT_ONCE)
			encoder_add(encoder, &records[i], AT_ONCE, NOW_MS);
	encoder_flush(encoder, NOW_MS);
	double spent_ns = cpu_ns() - begin_ns;
	encoder_free(encoder);
	if (sink.n_records != n)
		fail("records were lost");
	return spent_ns / (double)n;
}

static int compare(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, unsigned n) {
	qsort(values, n, sizeof(values[0]), compare);
	return values[n / 2];
}

int main(int argc, char **argv) {
	static const char *const texts[] = {
		"standard",
		"standard+qinq",
		"standard+mpls",
		"minimal",
		"standard-mac+dscp",
		"8,12,7,11,4,6,1,2,22,21",
	};
	double encode_ns[MOST_REPEATS], add_ns[MOST_REPEATS];
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	unsigned n_repeats = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 11;
	cpu_set_t core;

	if (n == 0 || n_repeats == 0 || n_repeats > MOST_REPEATS) {
		fprintf(stderr, "usage: encoder_bench [RECORDS [REPEATS]]\n");
		return 2;
	}
	n = (n + N_RECORDS - 1) / N_RECORDS * N_RECORDS;
	CPU_ZERO(&core);
	CPU_SET(0, &core);
	sched_setaffinity(0, sizeof(core), &core);
	uint64_t packets = make_records();

	for (unsigned i = 0; i < n_repeats; i++)
		encode_ns[i] = time_copy(n);
	printf("%-34s%8.1f ns/record\n", "memcpy of a record", median(encode_ns, n_repeats));
	for (unsigned i = 0; i < 2 * sizeof(texts) / sizeof(texts[0]); i++) {
		enum field_protocol protocol = i % 2 == 0 ? FIELDS_NETFLOW9 : FIELDS_IPFIX;
		struct field_profile profile;
		char error[FIELD_PROFILE_ERROR_BYTES];
		if (field_profile_parse(&profile, texts[i / 2], FIELD_UPTIME, error) != 0)
			fail(error);
		check(protocol, &profile, packets);
		for (unsigned j = 0; j < n_repeats; j++) {
			encode_ns[j] = time_encode(protocol, &profile, n);
			add_ns[j] = time_add(protocol, &profile, n);
		}
		printf("%-9s%-25s%8.1f ns/record encode%8.1f ns/record add\n",
		       protocol == FIELDS_IPFIX ? "ipfix" : "netflow9",
		       texts[i / 2],
		       median(encode_ns, n_repeats),
		       median(add_ns, n_repeats));
	}
	return 0;
}
