// Times queries of an archive.
//
//   query_bench [-n ROWS] [-g ROWS] [-f FILES] [-r REPEATS] [-t THREADS] [-k]
//
// The archive is made of a flow mix (flow_mix.h) in a folder of its own: FILES files of ROWS rows
// altogether, in row groups of -g rows. -k keeps it, and tells where. Told is the median of CPU
// time of all threads, so that rows per second are those of one core, and of the time that
// passed. Each answer is looked at first.

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "archive_files.h"
#include "archive_maker.h"
#include "clock.h"
#include "database.h"
#include "flow_mix.h"
#include "measure.h"
#include "query_report.h"

enum {
	MOST_REPEATS = 101,
};

struct bench {
	struct made_archive archive;
	uint32_t n, group_rows, n_files;
	unsigned repeats, n_threads;
	struct scan_progress progress;
};

static void fail(const char *what, const char *why) {
	fprintf(stderr, "query_bench: %s: %s\n", what, why);
	exit(1);
}

static double cpu_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void make(struct bench *bench) {
	uint32_t rows = bench->n / bench->n_files;
	struct flow_record *records = calloc(rows, sizeof(*records));
	struct flow_mix mix;

	if (records == NULL)
		fail("records", strerror(errno));
	flow_mix_init(&mix, 1);
	for (uint32_t i = 0; i < bench->n_files; i++) {
		char inner[ARCHIVE_NAME_BYTES], path[MADE_PATH_BYTES];
		flow_mix_fill(&mix, records, rows);
		archive_path(inner, "bench", ns_of_ticks(records[0].last_ticks));
		snprintf(path, sizeof(path), "%s/%s", bench->archive.dir, inner);
		made_file(path, &bench->archive.source, records, rows, bench->group_rows, 0);
	}
	bench->n = rows * bench->n_files;
	free(records);
}

static void on_progress(void *arg, const struct scan_progress *progress) {
	((struct bench *)arg)->progress = *progress;
}

static void on_error(void *arg, const char *line) {
	(void)arg;
	fail("archive", line);
}

static struct database *open_database(struct bench *bench, bool plain) {
	char error[DATABASE_ERROR_BYTES];
	struct database *database = database_open(
		&(struct database_config){
			.archive =
				{
					.dir = bench->archive.dir,
					.n_threads = bench->n_threads,
					.on_error = on_error,
					.on_progress = on_progress,
					.arg = bench,
				},
			.now_ns = 1900000000 * NS_PER_S,
			.plain = plain,
		},
		error
	);
	if (database == NULL)
		fail("database", error);
	return database;
}

static char *answer(struct database *database, const char *sql) {
	char error[DATABASE_ERROR_BYTES] = "", *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	struct output *output =
		output_new(&(struct output_config){.format = OUTPUT_CSV, .out = out});

	if (database_run(database, sql, output, error) < 0)
		fail(sql, error);
	output_free(output);
	fclose(out);
	return text;
}

static void time_query(struct bench *bench, const char *name, const char *sql, bool plain) {
	struct database *slow = open_database(bench, true), *database = open_database(bench, plain);
	double cpu[MOST_REPEATS], passed[MOST_REPEATS];
	char *should = answer(slow, sql), *is = answer(database, sql);

	if (strcmp(is, should) != 0)
		fail(sql, "the fast way gives another answer");
	for (unsigned i = 0; i < bench->repeats; i++) {
		double begin = cpu_ns();
		int64_t begin_ns = measure_now();
		free(answer(database, sql));
		passed[i] = (double)(measure_now() - begin_ns);
		cpu[i] = cpu_ns() - begin;
	}
	double ns = measure_median(cpu, bench->repeats);
	printf("%-44s %7.1f ns/row, %7.2f M rows/s per core, %8.2f ms of CPU, %8.2f ms passed\n",
	       name,
	       ns / bench->n,
	       1e3 / (ns / bench->n),
	       ns / 1e6,
	       measure_median(passed, bench->repeats) / 1e6);
	fflush(stdout);
	free(should);
	free(is);
	database_close(slow);
	database_close(database);
}

static void time_report(struct bench *bench, const char *name, struct query_report report) {
	report.from_ns = report.to_ns = -1;
	report.n_top = 10;
	char *sql = query_report_sql(&report);
	if (sql == NULL)
		fail(name, strerror(ENOMEM));
	time_query(bench, name, sql, false);
	free(sql);
}

static void run(struct bench *bench) {
	printf("%" PRIu32 " rows, %" PRIu32 " files, row groups of %" PRIu32 ", %u threads\n",
	       bench->n,
	       bench->n_files,
	       bench->group_rows,
	       bench->n_threads);
	time_query(
		bench,
		"SQL: src_addr, sum(bytes)",
		"SELECT src_addr, sum(bytes) FROM flows GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
		false
	);
	time_query(
		bench,
		"SQL: the same, row by row in SQLite",
		"SELECT src_addr, sum(bytes) FROM flows GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
		true
	);
	time_query(
		bench,
		"SQL: sum(bytes), sum(packets)",
		"SELECT sum(bytes), sum(packets) FROM flows",
		false
	);
	time_query(
		bench,
		"SQL: the same, row by row in SQLite",
		"SELECT sum(bytes), sum(packets) FROM flows",
		true
	);
	time_report(bench, "--top src_addr", (struct query_report){.top = "src_addr"});
	time_report(bench, "--top dst_port", (struct query_report){.top = "dst_port"});
	time_report(bench, "--top conversations", (struct query_report){.top = "conversations"});
	time_report(bench, "--timeseries 1m", (struct query_report){.step = "1m"});
	time_query(bench, "count(*)", "SELECT count(*) FROM flows", false);
	time_query(
		bench,
		"a time that names exclude",
		"SELECT src_addr, sum(bytes) FROM flows WHERE time_flow_start_ns > ago('1h') GROUP "
		"BY 1",
		false
	);
	time_query(
		bench,
		"a time that statistics exclude",
		"SELECT src_addr, sum(bytes) FROM flows WHERE time_flow_start_ns < 1000 GROUP BY 1",
		false
	);
	time_query(
		bench,
		"an address that statistics exclude",
		"SELECT src_addr, sum(bytes) FROM flows WHERE ip_in(src_addr, 'ff00::1') GROUP BY "
		"1",
		false
	);
	time_query(
		bench,
		"an address that dictionaries exclude",
		"SELECT dst_addr, sum(bytes) FROM flows WHERE src_addr = '10.255.255.255' GROUP BY "
		"1",
		false
	);
	time_query(
		bench,
		"a network",
		"SELECT dst_addr, sum(bytes) FROM flows WHERE ip_in(src_addr, '10.0.1.0/24') GROUP "
		"BY "
		"1 ORDER BY 2 DESC, 1 LIMIT 10",
		false
	);
}

int main(int argc, char **argv) {
	struct bench bench = {
		.n = 4 << 20,
		.group_rows = 1 << 20,
		.n_files = 4,
		.repeats = 5,
		.n_threads = 1,
	};
	bool keep = false;
	int option;

	while ((option = getopt(argc, argv, "n:g:f:r:t:k")) != -1)
		switch (option) {
		case 'n':
			bench.n = (uint32_t)atoi(optarg);
			break;
		case 'g':
			bench.group_rows = (uint32_t)atoi(optarg);
			break;
		case 'f':
			bench.n_files = (uint32_t)atoi(optarg);
			break;
		case 'r':
			bench.repeats = (unsigned)atoi(optarg);
			break;
		case 't':
			bench.n_threads = (unsigned)atoi(optarg);
			break;
		case 'k':
			keep = true;
			break;
		default:
			return 2;
		}
	if (bench.repeats < 1 || bench.repeats > MOST_REPEATS || bench.n_files < 1
	    || bench.group_rows < 1 || bench.n < bench.n_files)
		return 2;
	made_archive_begin(&bench.archive, 1);
	make(&bench);
	run(&bench);
	if (keep)
		printf("%s\n", bench.archive.dir);
	else
		made_archive_end(&bench.archive);
	return 0;
}
