// Times a query over two columns of a Parquet file: octets by destination port, octets by source
// address, and octets by time, as a query engine reads them: vector by vector, on one core.
//
//   parquet_scan_bench [ROWS [REPEATS]]
//
// The file is written by weir's writer in row groups of 2^20 records and lies in memory. Each sum
// is checked against the records before it counts. Told are medians, in CPU time.

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "measure.h"
#include "parquet_reader.h"
#include "parquet_writer.h"

enum {
	GROUP_ROWS = 1 << 20,
	N_KEYS = 1 << 16,
	MOST_REPEATS = 101,
	N_HOSTS = 20000,
};

struct bench {
	uint32_t n_rows;
	unsigned n_repeats;
	int fd;
	uint64_t file_bytes;
	struct parquet_reader *reader;
	uint64_t by_port[N_KEYS], by_second[N_KEYS], octets; // as the records have them
	uint64_t sums[N_KEYS];
	double ns[MOST_REPEATS];
};

static void fail(const char *what) {
	fprintf(stderr, "parquet_scan_bench: %s\n", what);
	exit(EXIT_FAILURE);
}

static double cpu_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

// Numbers that repeat.
static uint64_t mix(uint64_t n) {
	n = (n ^ n >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	n = (n ^ n >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return n ^ n >> 32;
}

// Flows of an hour or so: some hosts and ports have most of them, as in traffic.
static struct flow_record record_of(uint32_t i) {
	static const uint16_t services[] = {443, 53, 80, 22, 8080, 123, 25, 993};
	uint64_t r = mix(i + 1);
	uint32_t host = (uint32_t)(r % N_HOSTS * (r >> 20 & 1023) >> 10);
	struct flow_record record = {
		.key = {.family = FLOW_IPV4, .proto = (r >> 8 & 3) == 0 ? 17 : 6},
		.first_ticks = UINT64_C(28720000000000) + i / 100,
		.packets = 1 + (r >> 30 & 63) * (r >> 36 & 15),
		.src_mac = {2, 0, 0, 0, 0, 1},
		.dst_mac = {2, 0, 0, 0, 0, 2},
		.in_if = 3,
		.tcp_flags = 0x1b,
		.ttl_min = 64,
		.ttl_max = 64,
		.end = FLOW_END_IDLE,
	};

	record.last_ticks = record.first_ticks + (r >> 40 & 0xfff);
	record.octets = record.packets * (40 + (r >> 50 & 1023));
	record.key.src_port = (uint16_t)(r >> 16);
	record.key.dst_port =
		rte_cpu_to_be_16((r & 7) == 0 ? (uint16_t)(r >> 24) : services[r >> 3 & 7]);
	record.key.src4[0] = 10;
	memcpy(record.key.src4 + 1, &host, 3);
	record.key.dst4[0] = 192;
	record.key.dst4[3] = (uint8_t)(r >> 12);
	return record;
}

static void put(struct bench *bench, struct parquet_bytes bytes) {
	for (size_t done = 0; done < bytes.n;) {
		ssize_t n = write(bench->fd, bytes.bytes + done, bytes.n - done);
		if (n <= 0)
			fail("cannot write");
		done += (size_t)n;
	}
	bench->file_bytes += bytes.n;
}

static void make_file(struct bench *bench) {
	struct flow_record *records = calloc(GROUP_ROWS, sizeof(*records));
	struct parquet_writer *writer = parquet_writer_new(&(struct parquet_writer_config
	){.level = 3, .sort = true, .source = {.sampling_rate = 1}});
	struct parquet_bytes data, note;
	char error[PARQUET_ERROR_BYTES];

	bench->fd = memfd_create("parquet", MFD_CLOEXEC);
	if (records == NULL || writer == NULL || bench->fd < 0)
		fail("no memory");
	put(bench, (struct parquet_bytes){(const uint8_t *)PARQUET_MAGIC, PARQUET_MAGIC_BYTES});
	for (uint32_t done = 0, n; done < bench->n_rows; done += n) {
		n = RTE_MIN(bench->n_rows - done, (uint32_t)GROUP_ROWS);
		for (uint32_t i = 0; i < n; i++) {
			records[i] = record_of(done + i);
			uint64_t octets = records[i].octets;
			bench->by_port[rte_be_to_cpu_16(records[i].key.dst_port)] += octets;
			bench->by_second[records[i].first_ticks / TICKS_PER_S % N_KEYS] += octets;
			bench->octets += octets;
		}
		if (parquet_writer_row_group(writer, records, n, bench->file_bytes, &data, &note)
		    < 0)
			fail("cannot write a row group");
		put(bench, data);
	}
	if (parquet_writer_footer(writer, NULL, 0, bench->file_bytes, &data) < 0)
		fail("cannot write the footer");
	put(bench, data);
	parquet_writer_free(writer);
	free(records);
	bench->reader = parquet_reader_open(bench->fd, error);
	if (bench->reader == NULL)
		fail(error);
}

static void read_vector(
	struct bench *bench, unsigned group, enum flow_column column, struct parquet_vector *vector
) {
	char error[PARQUET_ERROR_BYTES];

	if (parquet_reader_column(bench->reader, group, column, vector, error) < 0)
		fail(error);
}

// Sums of the octets by another column; texts by their index.
static void
scan(struct bench *bench,
     enum flow_column column,
     struct parquet_vector *keys,
     struct parquet_vector *octets) {
	for (unsigned group = 0; group < parquet_reader_row_groups(bench->reader); group++) {
		read_vector(bench, group, column, keys);
		read_vector(bench, group, COLUMN_BYTES, octets);
		if (keys->index != NULL)
			for (uint32_t i = 0; i < keys->n_rows; i++)
				bench->sums[keys->index[i] % N_KEYS] += (uint64_t)octets->values[i];
		else if (column == COLUMN_DST_PORT)
			for (uint32_t i = 0; i < keys->n_rows; i++)
				bench->sums[keys->values[i] & (N_KEYS - 1)] +=
					(uint64_t)octets->values[i];
		else
			for (uint32_t i = 0; i < keys->n_rows; i++)
				bench
					->sums[(uint64_t)keys->values[i] / (uint64_t)NS_PER_S
					       % N_KEYS] += (uint64_t)octets->values[i];
	}
}

static void check(const struct bench *bench, enum flow_column column) {
	const uint64_t *wanted = column == COLUMN_DST_PORT ? bench->by_port : bench->by_second;
	uint64_t sum = 0;

	for (unsigned i = 0; i < N_KEYS; i++) {
		sum += bench->sums[i];
		if (column != COLUMN_SRC_ADDR && bench->sums[i] != wanted[i])
			fail("a sum is not that of the records");
	}
	if (sum != bench->octets)
		fail("the sum is not that of the records");
}

static void time_scan(struct bench *bench, enum flow_column column) {
	struct parquet_vector keys = {0}, octets = {0};
	uint64_t n_bytes = 0;

	for (unsigned i = 0; i < parquet_reader_row_groups(bench->reader); i++)
		n_bytes += parquet_reader_column_bytes(bench->reader, i, column)
			   + parquet_reader_column_bytes(bench->reader, i, COLUMN_BYTES);
	for (unsigned i = 0; i < bench->n_repeats; i++) {
		memset(bench->sums, 0, sizeof(bench->sums));
		double begin = cpu_ns();
		scan(bench, column, &keys, &octets);
		bench->ns[i] = cpu_ns() - begin;
		check(bench, column);
	}
	parquet_vector_done(&keys);
	parquet_vector_done(&octets);
	double ns = measure_median(bench->ns, bench->n_repeats) / bench->n_rows;
	printf("parquet_scan bytes by %-19s %6.1f M rows/s %5.2f ns/row %5.2f octets/row\n",
	       flow_columns[column].name,
	       1e3 / ns,
	       ns,
	       (double)n_bytes / bench->n_rows);
}

int main(int argc, char **argv) {
	struct bench *bench = calloc(1, sizeof(*bench));

	if (bench == NULL)
		fail("no memory");
	bench->n_rows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 4 * GROUP_ROWS;
	bench->n_repeats = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 9;
	if (bench->n_rows == 0 || bench->n_repeats == 0 || bench->n_repeats > MOST_REPEATS)
		fail("usage: parquet_scan_bench [ROWS [REPEATS]]");
	make_file(bench);
	printf("%" PRIu32 " rows, %.2f octets/row in all columns\n",
	       bench->n_rows,
	       (double)bench->file_bytes / bench->n_rows);
	time_scan(bench, COLUMN_DST_PORT);
	time_scan(bench, COLUMN_SRC_ADDR);
	time_scan(bench, COLUMN_TIME_FLOW_START_NS);
	parquet_reader_close(bench->reader);
	close(bench->fd);
	free(bench);
	return EXIT_SUCCESS;
}
