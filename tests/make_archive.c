// Makes an archive for the tests: captures are replayed through the flow cache, and their records
// written to files of any number of rows, so that a small capture makes many.
//
//   make_archive [-f ROWS] [-g ROWS] [-s SENSOR] [-r RATE] [-p] DIR CAPTURE...
//
// -f is rows in a file, -g in a row group, -r the sampling rate that the file tells, -p leaves the
// last file open, as a sensor that was killed does. A file is begun when its first record ended.

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "archive_files.h"
#include "archive_notes.h"
#include "clock.h"
#include "parquet_writer.h"
#include "record_ring.h"
#include "replay.h"

struct maker {
	struct flow_record *records;
	uint32_t n, size;
	uint32_t file_rows, group_rows;
	uint32_t sampling_rate;
	const char *sensor, *dir;
	bool leave_open;
	struct ring *ring;
};

static void fail(const char *what) {
	fprintf(stderr, "make_archive: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void keep(struct maker *maker, const struct flow_record *record) {
	if (maker->n == maker->size) {
		maker->size = maker->size * 2 + 1024;
		maker->records = reallocarray(maker->records, maker->size, sizeof(*record));
		if (maker->records == NULL)
			fail("records");
	}
	maker->records[maker->n++] = *record;
}

static void *drain(void *arg) {
	struct maker *maker = arg;

	for (;;) {
		uint32_t n = ring_ready(maker->ring);
		for (uint32_t i = 0; i < n; i++) {
			const struct flow_record *record = ring_at(maker->ring, i);
			if (!record_is_mark(record))
				keep(maker, record);
			else if (record_mark_order(record) == RECORD_ORDER_END)
				return NULL;
		}
		ring_release(maker->ring, n);
		if (n == 0)
			usleep(100);
	}
}

static void complain(const char *message, void *arg) {
	(void)arg;
	fprintf(stderr, "make_archive: %s\n", message);
}

static void replay_captures(struct maker *maker, char *const *files, unsigned n_files) {
	pthread_t thread;
	struct replay *replay = replay_new(&(struct replay_config){
		.files = files,
		.n_files = n_files,
		.n_workers = 1,
		.n_flows = 1 << 20,
		.active_timeout_ns = 60 * NS_PER_S,
		.idle_timeout_ns = 15 * NS_PER_S,
		.secret = flow_secret_fixed,
		.on_error = complain,
	});
	if (replay == NULL)
		fail("replay");
	maker->ring = replay_rings(replay)[0];
	if (pthread_create(&thread, NULL, drain, maker) != 0)
		fail("thread");
	if (replay_run(replay) != 0)
		fprintf(stderr, "make_archive: not all captures could be read whole\n");
	pthread_join(thread, NULL);
	replay_free(replay);
}

static FILE *create(const char *path) {
	char folder[4096];

	for (const char *slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		if (mkdir(folder, 0777) < 0 && errno != EEXIST)
			fail(folder);
	}
	FILE *file = fopen(path, "w");
	if (file == NULL)
		fail(path);
	return file;
}

static void put(FILE *file, const void *bytes, size_t n) {
	if (fwrite(bytes, 1, n, file) != n)
		fail("write");
}

static void
write_file(const struct maker *maker, struct flow_record *records, uint32_t n, bool leave_open) {
	char name[ARCHIVE_NAME_BYTES], path[4096];
	struct archive_sum sum = {0};
	struct archive_metadata metadata;
	struct byte_buffer notes = {0};
	struct parquet_bytes data, note;
	uint64_t offset = PARQUET_MAGIC_BYTES;
	struct parquet_writer *writer = parquet_writer_new(&(struct parquet_writer_config
	){.level = 3, .sort = true, .source = {maker->sampling_rate, "192.0.2.1"}});
	if (writer == NULL)
		fail("writer");

	// As a sensor does, the next millisecond that is free.
	time_ns_t begin_ns = ns_of_ticks(records[0].last_ticks);
	do {
		archive_path(name, maker->sensor, begin_ns);
		snprintf(path, sizeof(path), "%s/%s", maker->dir, name);
		begin_ns += NS_PER_MS;
	} while (access(path, F_OK) == 0);
	if (leave_open)
		snprintf(path, sizeof(path), "%s/%s.part", maker->dir, name);
	FILE *file = create(path);
	put(file, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
	for (uint32_t from = 0, rows; from < n; from += rows) {
		struct archive_sum group = {0};
		rows = n - from < maker->group_rows ? n - from : maker->group_rows;
		archive_sum_records(&group, records + from, rows);
		archive_sum_add(&sum, &group);
		if (parquet_writer_row_group(writer, records + from, rows, offset, &data, &note)
		    != 0)
			fail("row group");
		put(file, data.bytes, data.n);
		archive_note_put(
			&notes,
			&(struct archive_note){
				.offset = offset,
				.bytes = data.n,
				.crc = (uint32_t)crc32_z(0, data.bytes, data.n),
				.sampling_rate = maker->sampling_rate,
				.sum = group,
				.note = note,
			}
		);
		offset += data.n;
	}
	if (leave_open) {
		snprintf(path, sizeof(path), "%s/%s.notes", maker->dir, name);
		FILE *sidecar = create(path);
		put(sidecar, notes.bytes, notes.n);
		fclose(sidecar);
	} else {
		archive_metadata_make(&metadata, maker->sensor, maker->sampling_rate, &sum);
		if (parquet_writer_footer(writer, metadata.pairs, metadata.n_pairs, offset, &data)
		    != 0)
			fail("footer");
		put(file, data.bytes, data.n);
	}
	if (fclose(file) != 0)
		fail(path);
	byte_buffer_done(&notes);
	parquet_writer_free(writer);
}

int main(int argc, char **argv) {
	struct maker maker = {
		.file_rows = 100000, .group_rows = 50000, .sampling_rate = 1, .sensor = "test"};
	int option;

	while ((option = getopt(argc, argv, "f:g:s:r:p")) != -1) {
		if (option == 'f')
			maker.file_rows = (uint32_t)atoi(optarg);
		else if (option == 'g')
			maker.group_rows = (uint32_t)atoi(optarg);
		else if (option == 's')
			maker.sensor = optarg;
		else if (option == 'r')
			maker.sampling_rate = (uint32_t)atoi(optarg);
		else if (option == 'p')
			maker.leave_open = true;
		else
			return 2;
	}
	if (argc - optind < 2 || maker.file_rows == 0 || maker.group_rows == 0)
		return 2;
	maker.dir = argv[optind];
	replay_captures(&maker, argv + optind + 1, (unsigned)(argc - optind - 1));
	for (uint32_t from = 0, rows; from < maker.n; from += rows) {
		rows = maker.n - from < maker.file_rows ? maker.n - from : maker.file_rows;
		write_file(
			&maker,
			maker.records + from,
			rows,
			maker.leave_open && from + rows == maker.n
		);
	}
	free(maker.records);
	return 0;
}
