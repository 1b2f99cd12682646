// Times the Parquet writer, and tells the octets that a flow takes.
//
//   parquet_bench [-l LEVEL] [-g ROWS] [-n ROWS] [-r REPEATS] [-u] [-v] [-o FILE] [-c FILE]
//   [CAPTURE...]
//
// The records are those of a flow mix (flow_mix.h), or come out of the flow cache that the
// captures are replayed through. First the file is read back by the reader of the tests and
// compared. -g is rows in a row group, -u leaves them as they come, -v tells
// the octets of each column, -o and -c write the file, and the same records as CSV, for other
// engines to compare. Told is the median of CPU time. Core 0.

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "flow_mix.h"
#include "measure.h"
#include "parquet_peer.h"
#include "parquet_writer.h"
#include "print.h"
#include "record_ring.h"
#include "replay.h"

enum {
	MOST_REPEATS = 101,
	REPLAY_FLOWS = 1 << 20,
};

struct bench {
	struct flow_record *records;
	uint32_t n, size;
	uint32_t group_rows;
	int level;
	bool unsorted, wordy;
	unsigned repeats;
	const char *file, *csv;
	struct ring *ring;
};

static const struct flow_source source = {1, "192.0.2.1"};

static void fail(const char *what) {
	fprintf(stderr, "parquet_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double cpu_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void keep(struct bench *bench, const struct flow_record *record) {
	if (bench->n == bench->size) {
		bench->size = bench->size == 0 ? 4096 : bench->size * 2;
		bench->records = realloc(bench->records, bench->size * sizeof(*record));
		if (bench->records == NULL)
			fail("records");
	}
	bench->records[bench->n++] = *record;
}

static void *drain(void *arg) {
	struct bench *bench = arg;

	for (;;) {
		uint32_t n = ring_ready(bench->ring);
		for (uint32_t i = 0; i < n; i++) {
			const struct flow_record *record = ring_at(bench->ring, i);
			if (!record_is_mark(record))
				keep(bench, record);
			else if (record_mark_order(record) == RECORD_ORDER_END)
				return NULL;
		}
		ring_release(bench->ring, n);
		if (n == 0)
			usleep(100);
	}
}

static void complain(const char *message, void *arg) {
	(void)arg;
	fprintf(stderr, "parquet_bench: %s\n", message);
}

static void replay_captures(struct bench *bench, char *const *files, unsigned n_files) {
	pthread_t thread;
	struct replay *replay = replay_new(&(struct replay_config){
		.files = files,
		.n_files = n_files,
		.n_workers = 1,
		.n_flows = REPLAY_FLOWS,
		.active_timeout_ns = 60 * NS_PER_S,
		.idle_timeout_ns = 15 * NS_PER_S,
		.secret = flow_secret_fixed,
		.on_error = complain,
	});
	if (replay == NULL)
		fail("replay");
	bench->ring = replay_rings(replay)[0];
	if (pthread_create(&thread, NULL, drain, bench) != 0)
		fail("thread");
	if (replay_run(replay) != 0)
		fprintf(stderr, "parquet_bench: not all captures could be read whole\n");
	pthread_join(thread, NULL);
	replay_free(replay);
}

static void put(FILE *file, const void *bytes, size_t n) {
	if (file != NULL && fwrite(bytes, 1, n, file) != n)
		fail("write");
}

// Writes all records once. Returns the octets of the file.
static uint64_t write_all(
	const struct bench *bench,
	struct parquet_writer *writer,
	struct flow_record *scratch,
	FILE *file,
	double *ns
) {
	uint64_t offset = PARQUET_MAGIC_BYTES;
	struct parquet_bytes data, note;

	*ns = 0;
	put(file, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
	for (uint32_t from = 0; from < bench->n; from += bench->group_rows) {
		uint32_t n =
			bench->n - from < bench->group_rows ? bench->n - from : bench->group_rows;
		memcpy(scratch, bench->records + from, n * sizeof(*scratch));
		double begin = cpu_ns();
		if (parquet_writer_row_group(writer, scratch, n, offset, &data, &note) != 0)
			fail("row group");
		*ns += cpu_ns() - begin;
		put(file, data.bytes, data.n);
		offset += data.n;
	}
	double begin = cpu_ns();
	if (parquet_writer_footer(writer, NULL, 0, offset, &data) != 0)
		fail("footer");
	*ns += cpu_ns() - begin;
	put(file, data.bytes, data.n);
	parquet_writer_reset(writer);
	return offset + data.n;
}

static uint64_t text_sum(const char *text) { // FNV-1a
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	for (; *text != 0; text++)
		sum = (sum ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return sum;
}

static uint64_t record_sum(const struct flow_record *record, enum flow_column column) {
	bool null;
	char text[FLOW_COLUMN_TEXT_BYTES];

	if (flow_columns[column].type != COLUMN_TEXT) {
		uint64_t number = (uint64_t)flow_column_number(record, &source, column, &null);
		return null ? 1 : number;
	}
	return flow_column_text(record, &source, column, text) < 0 ? 1 : text_sum(text);
}

// Whether each column of the file holds what the records do, in some order.
static void check(const struct bench *bench, const uint8_t *bytes, size_t n) {
	struct peer_file file;

	peer_open(&file, bytes, n);
	for (int column = 0; column < FLOW_COLUMN_COUNT; column++) {
		uint64_t wanted = 0, found = 0, rows = 0;
		for (uint32_t i = 0; i < bench->n; i++)
			wanted += record_sum(&bench->records[i], (enum flow_column)column);
		for (int group = 0; rows < bench->n; group++) {
			uint64_t in_group = (uint64_t)PEER_NUMBER(&file.footer, 4, group, 3);
			struct peer_value *values = peer_column(&file, group, column);
			for (uint64_t i = 0; i < in_group; i++) {
				const struct peer_value *value = &values[i];
				bool text = flow_columns[column].type == COLUMN_TEXT;
				found += value->null ? 1
					 : text      ? text_sum(value->text)
						     : (uint64_t)value->number;
			}
			free(values);
			rows += in_group;
		}
		if (found != wanted || rows != bench->n) {
			fprintf(stderr,
				"parquet_bench: %s is not what was written\n",
				flow_columns[column].name);
			exit(1);
		}
	}
	peer_close(&file);
}

static void write_csv(const struct bench *bench) {
	FILE *out = fopen(bench->csv, "w");
	struct print *print = out == NULL ? NULL : print_new(PRINT_CSV, out);
	if (print == NULL)
		fail(bench->csv);
	for (uint32_t i = 0; i < bench->n; i++)
		print_add(print, &bench->records[i], 1);
	print_flush(print);
	print_free(print);
	fclose(out);
}

static struct parquet_writer *new_writer(const struct bench *bench, uint64_t columns) {
	struct parquet_writer *writer = parquet_writer_new(&(struct parquet_writer_config){
		.level = bench->level,
		.columns = columns,
		.sort = !bench->unsorted,
		.source = source,
	});
	if (writer == NULL)
		fail("writer");
	return writer;
}

static void run(const struct bench *bench) {
	struct flow_record *scratch = calloc(bench->group_rows, sizeof(*scratch));
	struct parquet_writer *writer = new_writer(bench, 0);
	double times[MOST_REPEATS], ns;
	uint64_t bytes = 0;

	char *image;
	size_t image_bytes;
	FILE *memory = open_memstream(&image, &image_bytes);
	if (memory == NULL)
		fail("memory");
	write_all(bench, writer, scratch, memory, &ns);
	fclose(memory);
	check(bench, (const uint8_t *)image, image_bytes);
	if (bench->file != NULL) {
		FILE *file = fopen(bench->file, "w");
		if (file == NULL)
			fail(bench->file);
		put(file, image, image_bytes);
		fclose(file);
	}
	free(image);
	if (bench->csv != NULL)
		write_csv(bench);
	for (unsigned i = 0; i < bench->repeats; i++)
		bytes = write_all(bench, writer, scratch, NULL, &times[i]);
	parquet_writer_free(writer);
	if (bench->wordy)
		for (unsigned i = 0; i < FLOW_COLUMN_COUNT; i++) {
			writer = new_writer(bench, UINT64_C(1) << i);
			double one = (double)write_all(bench, writer, scratch, NULL, &ns);
			printf("  %-20s %7.3f octets %7.1f ns\n",
			       flow_columns[i].name,
			       one / bench->n,
			       ns / bench->n);
			parquet_writer_free(writer);
		}
	ns = measure_median(times, bench->repeats) / bench->n;
	printf("parquet_writer level %d, %" PRIu32 " rows in groups of %" PRIu32
	       "%s: %.1f ns/flow, %.2f M flows/s, %.2f octets/flow\n",
	       bench->level,
	       bench->n,
	       bench->group_rows,
	       bench->unsorted ? ", unsorted" : "",
	       ns,
	       1e3 / ns,
	       (double)bytes / bench->n);
	free(scratch);
}

int main(int argc, char **argv) {
	struct bench bench = {.group_rows = 1 << 17, .level = 1, .repeats = 5, .size = 1 << 19};
	int option;

	while ((option = getopt(argc, argv, "l:g:n:r:uvo:c:")) != -1)
		switch (option) {
		case 'l':
			bench.level = atoi(optarg);
			break;
		case 'g':
			bench.group_rows = (uint32_t)atoi(optarg);
			break;
		case 'n':
			bench.size = (uint32_t)atoi(optarg);
			break;
		case 'r':
			bench.repeats = (unsigned)atoi(optarg);
			break;
		case 'u':
			bench.unsorted = true;
			break;
		case 'v':
			bench.wordy = true;
			break;
		case 'o':
			bench.file = optarg;
			break;
		case 'c':
			bench.csv = optarg;
			break;
		default:
			return 2;
		}
	measure_pin(0);
	if (optind < argc) {
		bench.size = 0;
		replay_captures(&bench, argv + optind, (unsigned)(argc - optind));
	} else {
		struct flow_mix mix;
		flow_mix_init(&mix, 1);
		bench.records = calloc(bench.size, sizeof(*bench.records));
		if (bench.records == NULL)
			fail("records");
		bench.n = bench.size;
		flow_mix_fill(&mix, bench.records, bench.n);
	}
	if (bench.n == 0)
		return 0;
	if (bench.group_rows > bench.n)
		bench.group_rows = bench.n;
	run(&bench);
	free(bench.records);
	return 0;
}
