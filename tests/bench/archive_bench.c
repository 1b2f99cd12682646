// Times the archive: records in, files on the disk, everything on one core.
//
//   archive_bench [-d DIR] [-l LEVEL] [-n RECORDS] [-r ROUNDS] [-s none|close|flush] [-b BYTES]
//   [-k]
//
// The records are those of a flow mix (flow_mix.h), given ROUNDS times. Told are the flows
// that were flushed per second of CPU time, of all threads and in the kernel, which is what an
// archive sustains on a core of its own; and those that were then written anew when the file was
// closed. In brackets the same per second of wall time, on a core shared with whatever runs. DIR is
// made and left empty, or with -k left as it is. A file is closed at -b octets as they are flushed.
// Core 0.

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "archive.h"
#include "flow_mix.h"
#include "measure.h"

#define BEGIN_NS (1700002800 * NS_PER_S)

static void fail(const char *what) {
	fprintf(stderr, "archive_bench: %s\n", what);
	exit(1);
}

static void complain(const char *message, bool bad, void *arg) {
	(void)arg;
	if (bad)
		fail(message);
}

static double cpu_s(void) {
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t clean(const char *dir, bool keep) {
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_files files;
	uint64_t bytes = 0;

	if (archive_files_list(dir, &files, error) < 0)
		fail(error);
	for (size_t i = 0; i < files.n; i++) {
		bytes += files.files[i].bytes;
		if (keep)
			continue;
		unlink(files.files[i].path);
		for (char *slash; (slash = strrchr(files.files[i].path, '/')) != NULL;) {
			*slash = '\0';
			if (rmdir(files.files[i].path) < 0)
				break;
		}
	}
	archive_files_free(&files);
	return bytes;
}

int main(int argc, char **argv) {
	char error[ARCHIVE_ERROR_BYTES];
	uint32_t n = 1 << 20, rounds = 10;
	struct archive_config config = {
		.dir = "/tmp/weir-archive-bench",
		.sensor = "bench",
		.sampling_rate = 1,
		.rotate_ns = 3600 * NS_PER_S,
		.rotate_bytes = UINT64_C(1) << 40,
		.flush_ns = 5 * NS_PER_S,
		.sync = ARCHIVE_SYNC_FLUSH,
		.level = 3,
		.wait = true,
		.owner = ARCHIVE_KEEP_OWNER,
		.on_message = complain,
	};
	struct archive_stats stats;
	struct flow_mix mix;
	bool keep = false;
	int option;

	while ((option = getopt(argc, argv, "b:d:kl:n:r:s:")) != -1)
		switch (option) {
		case 'b':
			config.rotate_bytes = (uint64_t)atoll(optarg);
			break;
		case 'd':
			config.dir = optarg;
			break;
		case 'k':
			keep = true;
			break;
		case 'l':
			config.level = atoi(optarg);
			break;
		case 'n':
			n = (uint32_t)atoi(optarg);
			break;
		case 'r':
			rounds = (uint32_t)atoi(optarg);
			break;
		case 's':
			config.sync = optarg[0] == 'n'   ? ARCHIVE_SYNC_NONE
				      : optarg[0] == 'c' ? ARCHIVE_SYNC_CLOSE
							 : ARCHIVE_SYNC_FLUSH;
			break;
		default:
			return 2;
		}
	measure_pin(0);
	struct flow_record *records = calloc(n, sizeof(*records));
	if (records == NULL)
		fail("no memory");
	flow_mix_init(&mix, 1);
	flow_mix_fill(&mix, records, n);
	struct archive *archive = archive_open(&config, error);
	if (archive == NULL || archive_start(archive, error) < 0)
		fail(error);

	uint64_t n_all = (uint64_t)n * rounds;
	int64_t begin = measure_now();
	double cpu_begin = cpu_s();
	for (uint32_t round = 0; round < rounds; round++)
		for (uint32_t i = 0; i < n; i += 256)
			archive_add(archive, records + i, n - i < 256 ? n - i : 256, BEGIN_NS);
	do {
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
		archive_stats(archive, &stats);
	} while (n_all - stats.archived >= UINT64_C(1) << 17);
	double flushed_s = (double)(measure_now() - begin) / 1e9;
	double flushed_cpu_s = cpu_s() - cpu_begin;
	uint64_t n_flushed = stats.archived;
	begin = measure_now();
	cpu_begin = cpu_s();
	archive_stop(archive);
	double closed_s = (double)(measure_now() - begin) / 1e9;
	double closed_cpu_s = cpu_s() - cpu_begin;
	archive_stats(archive, &stats);
	if (stats.archived != n_all || stats.lost_full + stats.lost_error + stats.errors > 0)
		fail("records were lost");
	archive_free(archive);
	if (clean(config.dir, keep) != stats.bytes)
		fail("the files are not what was told");
	if (!keep)
		rmdir(config.dir);
	printf("archive level %d, %" PRIu64
	       " records: flushed %.2f (%.2f) M flows/s, then closed %.2f (%.2f) M flows/s, %.2f "
	       "octets/flow, %.0f MiB at most\n",
	       config.level,
	       n_all,
	       (double)n_flushed / flushed_cpu_s / 1e6,
	       (double)n_flushed / flushed_s / 1e6,
	       (double)n_all / closed_cpu_s / 1e6,
	       (double)n_all / closed_s / 1e6,
	       (double)stats.bytes / (double)n_all,
	       (double)measure_peak_bytes() / (1 << 20));
	free(records);
	return 0;
}
