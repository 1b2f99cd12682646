#include "archive_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *const fault_names[FAULT_CALLS] = {
	"open",
	"write",
	"truncate",
	"sync",
	"rename",
	"unlink",
	"mkdir",
};

struct faults faults;

// Whether this call is to fail.
static bool fails(enum fault_call call) {
	if ((faults.calls >> call & 1) == 0)
		return false;
	uint64_t number = atomic_fetch_add(&faults.count, 1) + 1;
	if (faults.from == 0 || number < faults.from || number - faults.from >= faults.n)
		return false;
	if (faults.at != NULL)
		faults.at();
	errno = faults.error;
	return true;
}

static int faulty_open(int dir_fd, const char *path, int flags, mode_t mode) {
	return fails(FAULT_OPEN) ? -1 : archive_io_system.open(dir_fd, path, flags, mode);
}

static ssize_t faulty_write(int fd, const void *bytes, size_t n, off_t offset) {
	if ((faults.calls >> FAULT_WRITE & 1) != 0 && faults.half && n > 1
	    && atomic_load(&faults.count) + 1 == faults.from)
		assert_int_equal(pwrite(fd, bytes, n / 2, offset), n / 2);
	if (fails(FAULT_WRITE))
		return -1;
	if (faults.short_writes && n > 1)
		n = (n + 1) / 2;
	return archive_io_system.write(fd, bytes, n, offset);
}

static int faulty_truncate(int fd, off_t n) {
	return fails(FAULT_TRUNCATE) ? -1 : archive_io_system.truncate(fd, n);
}

static int faulty_sync(int fd) {
	(void)fd;
	return fails(FAULT_SYNC) ? -1 : 0; // nobody pulls the plug
}

static int faulty_rename(int dir_fd, const char *from, const char *to) {
	return fails(FAULT_RENAME) ? -1 : archive_io_system.rename(dir_fd, from, to);
}

static int faulty_unlink(int dir_fd, const char *path, int flags) {
	return fails(FAULT_UNLINK) ? -1 : archive_io_system.unlink(dir_fd, path, flags);
}

static int faulty_mkdir(int dir_fd, const char *path, mode_t mode) {
	return fails(FAULT_MKDIR) ? -1 : archive_io_system.mkdir(dir_fd, path, mode);
}

const struct archive_io faulty_io = {
	.open = faulty_open,
	.write = faulty_write,
	.truncate = faulty_truncate,
	.sync = faulty_sync,
	.rename = faulty_rename,
	.unlink = faulty_unlink,
	.mkdir = faulty_mkdir,
};

void fixture_dir(char dir[FIXTURE_DIR_BYTES]) {
	snprintf(dir, FIXTURE_DIR_BYTES, "/tmp/weir-archive-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw) {
	(void)status;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fixture_remove(const char *dir) {
	assert_int_equal(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

struct archive_config fixture_config(const char *dir) {
	return (struct archive_config){
		.dir = dir,
		.sensor = "north",
		.sampling_rate = 1,
		.rotate_ns = 3600 * NS_PER_S,
		.rotate_bytes = 1 << 30,
		.flush_ns = 5 * NS_PER_MS,
		.sync = ARCHIVE_SYNC_FLUSH,
		.level = 1,
		.wait = true,
		.owner = ARCHIVE_KEEP_OWNER,
		.io = &faulty_io,
		.queue_records = 1024,
		.batch_records = 100,
		.group_records = 250,
		.retry_ns = NS_PER_MS,
		.patience_ns = 60 * NS_PER_S,
	};
}

struct archive *fixture_open(const struct archive_config *config) {
	char error[ARCHIVE_ERROR_BYTES] = "";
	struct archive *archive = archive_open(config, error);

	assert_string_equal(error, "");
	assert_non_null(archive);
	int rc = archive_start(archive, error);
	assert_string_equal(error, "");
	assert_int_equal(rc, 0);
	return archive;
}

void fixture_recover(const char *dir, struct archive_stats *stats) {
	struct archive_config config = fixture_config(dir);

	faults = (struct faults){0};
	struct archive *archive = fixture_open(&config);
	archive_stop(archive);
	archive_stats(archive, stats);
	archive_free(archive);
}

static struct flow_record record_of(uint32_t id) {
	struct flow_record record = {
		.first_ticks = ticks_of_ns(FIXTURE_BEGIN_NS) + id,
		.last_ticks = ticks_of_ns(FIXTURE_BEGIN_NS) + id + 5,
		.packets = id + 1,
		.octets = 100 * (uint64_t)id + 40,
		.in_if = 1,
		.end = FLOW_END_IDLE,
	};
	record.key.family = FLOW_IPV4;
	record.key.proto = 17;
	record.key.src_port = rte_cpu_to_be_16((uint16_t)id);
	memcpy(record.key.src4, &id, 4);
	memcpy(record.key.dst4, (uint8_t[]){192, 0, 2, 1}, 4);
	return record;
}

void fixture_add(struct archive *archive, uint32_t first, uint32_t n, time_ns_t now_ns) {
	for (uint32_t i = 0; i < n; i++) {
		struct flow_record record = record_of(first + i);
		archive_add(archive, &record, 1, now_ns);
	}
}

struct archive_stats fixture_wait(const struct archive *archive, uint64_t n) {
	struct archive_stats stats;

	for (int i = 0; i < 20000; i++) {
		archive_stats(archive, &stats);
		if (stats.archived >= n)
			return stats;
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS / 2}, NULL);
	}
	fail_msg("%llu records were to be archived", (unsigned long long)n);
	return stats;
}

static void read_file(const char *path, struct found *found) {
	static struct flow_record records[FIXTURE_MAX_RECORDS];
	char error[ARCHIVE_ERROR_BYTES] = "";
	struct flow_source source;
	struct archive_reader *reader = archive_reader_open(path, error);

	assert_string_equal(error, "");
	assert_non_null(reader);
	for (unsigned i = 0; i < parquet_reader_row_groups(reader->parquet); i++) {
		uint32_t n = parquet_reader_group_rows(reader->parquet, i);
		assert_in_range(n, 1, FIXTURE_MAX_RECORDS);
		int rc = parquet_reader_records(reader->parquet, i, records, &source, error);
		assert_string_equal(error, "");
		assert_int_equal(rc, 0);
		for (uint32_t k = 0; k < n; k++) {
			uint32_t id;
			memcpy(&id, records[k].key.src4, 4);
			assert_in_range(id, 0, FIXTURE_MAX_RECORDS - 1);
			struct flow_record wanted = record_of(id);
			assert_memory_equal(&records[k], &wanted, sizeof(wanted));
			found->seen[id]++;
		}
		found->records += n;
	}
	archive_reader_close(reader);
}

static uint64_t n_on_disk;

static int count_one(const char *path, const struct stat *status, int type, struct FTW *ftw) {
	(void)path;
	(void)status;
	(void)ftw;
	n_on_disk += type == FTW_F;
	return 0;
}

void fixture_find(const char *dir, struct found *found) {
	char error[ARCHIVE_ERROR_BYTES] = "";
	struct archive_files files;

	*found = (struct found){0};
	assert_int_equal(archive_files_list(dir, &files, error), 0);
	for (size_t i = 0; i < files.n; i++) {
		if (i == 0)
			snprintf(found->first, sizeof(found->first), "%s", files.files[i].path);
		found->files++;
		found->open += files.files[i].open;
		read_file(files.files[i].path, found);
	}
	archive_files_free(&files);
	n_on_disk = 0;
	assert_int_equal(nftw(dir, count_one, 16, FTW_PHYS), 0);
	found->others = n_on_disk - found->files;
}
