#include "archive_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "archive_error.h"
#include "archive_pattern.h"
#include "archive_walk.h"

#define SUFFIX ".parquet"
#define STAMP "-YYYYMMDDTHHMMSS.NNNZ"

enum {
	STAMP_BYTES = sizeof(STAMP) - 1,
};

void archive_path(char *path, const char *sensor, time_ns_t begin_ns) {
	time_t seconds = begin_ns / NS_PER_S;
	unsigned ms = (unsigned)(begin_ns / NS_PER_MS % 1000);
	struct tm utc;
	char folders[32], stamp[32];

	gmtime_r(&seconds, &utc);
	strftime(folders, sizeof(folders), "date=%Y-%m-%d/hour=%H", &utc);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &utc);
	snprintf(
		path,
		ARCHIVE_NAME_BYTES,
		"%s/%.*s-%s.%03uZ" SUFFIX,
		folders,
		ARCHIVE_SENSOR_BYTES - 1,
		sensor,
		stamp,
		ms
	);
}

bool archive_name_parse(const char *name, struct archive_name *parts) {
	const char *end = NULL;
	struct tm utc = {0};
	unsigned ms;

	// The last one: a sensor may be called anything.
	for (const char *at = name; (at = strstr(at, SUFFIX)) != NULL; at++)
		end = at;
	if (end == NULL || end - name <= STAMP_BYTES
	    || end - name - STAMP_BYTES >= ARCHIVE_SENSOR_BYTES)
		return false;
	const char *stamp = end - STAMP_BYTES;
	if (!archive_pattern_begins(stamp, STAMP)
	    || sscanf(stamp,
		      "-%4d%2d%2dT%2d%2d%2d.%3u",
		      &utc.tm_year,
		      &utc.tm_mon,
		      &utc.tm_mday,
		      &utc.tm_hour,
		      &utc.tm_min,
		      &utc.tm_sec,
		      &ms)
		       != 7)
		return false;
	utc.tm_year -= 1900;
	utc.tm_mon -= 1;
	time_t seconds = timegm(&utc);
	if (seconds < 0 || seconds >= TIME_NS_MAX / NS_PER_S)
		return false;
	*parts = (struct archive_name){
		.begin_ns = seconds * NS_PER_S + ms * NS_PER_MS,
		.suffix = end + sizeof(SUFFIX) - 1,
	};
	memcpy(parts->sensor, name, (size_t)(stamp - name));
	return true;
}

static int no_memory(char *error) {
	return archive_error(error, -ENOMEM, "%s", strerror(ENOMEM));
}

// A list that is being made.
struct listing {
	const char *dir;
	struct archive_files *files;
	size_t room;
	char *error;
};

static int add_file(const struct archive_walk_file *file, void *arg) {
	struct listing *listing = arg;
	struct archive_files *files = listing->files;
	bool open = strcmp(file->name.suffix, ".part") == 0;
	char *path;

	if (!open && file->name.suffix[0] != '\0')
		return 0;
	if (files->n == listing->room) {
		size_t room = listing->room * 2 + 64;
		struct archive_file *more = reallocarray(files->files, room, sizeof(*more));
		if (more == NULL)
			return no_memory(listing->error);
		files->files = more;
		listing->room = room;
	}
	if (asprintf(&path, "%s%s%s", listing->dir, listing->dir[0] != '\0' ? "/" : "", file->path)
	    < 0)
		return no_memory(listing->error);
	files->files[files->n++] = (struct archive_file
	){.path = path, .begin_ns = file->name.begin_ns, .bytes = file->bytes, .open = open};
	return 0;
}

static size_t stem_of(const struct archive_file *file) {
	return strlen(file->path) - (file->open ? strlen(".part") : 0);
}

static bool same_stem(const struct archive_file *a, const struct archive_file *b) {
	size_t n = stem_of(a);
	return n == stem_of(b) && memcmp(a->path, b->path, n) == 0;
}

// By time and then by path, which puts a closed file before the .part that it was.
static int older(const void *a, const void *b) {
	const struct archive_file *left = a, *right = b;
	if (left->begin_ns != right->begin_ns)
		return left->begin_ns < right->begin_ns ? -1 : 1;
	return strcmp(left->path, right->path);
}

// Leaves of each file one: the passes saw it twice, maybe under both of its names. The closed one
// is whole.
static void leave_one_of_each(struct archive_files *files) {
	size_t n = 0;

	for (size_t i = 0; i < files->n; i++) {
		if (n > 0 && same_stem(&files->files[n - 1], &files->files[i]))
			free(files->files[i].path);
		else
			files->files[n++] = files->files[i];
	}
	files->n = n;
}

int archive_files_list_at(int dir_fd, const char *dir, struct archive_files *files, char *error) {
	struct listing listing = {.dir = dir, .files = files, .error = error};

	*files = (struct archive_files){0};
	int rc = archive_walk(dir_fd, 2, add_file, &listing, error);
	if (rc < 0) {
		archive_files_free(files);
		return rc;
	}
	if (files->n > 0)
		qsort(files->files, files->n, sizeof(files->files[0]), older);
	leave_one_of_each(files);
	return 0;
}

int archive_files_list(const char *dir, struct archive_files *files, char *error) {
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*files = (struct archive_files){0};
	if (fd < 0)
		return archive_error(error, -errno, "%s: %s", dir, strerror(errno));
	int rc = archive_files_list_at(fd, dir, files, error);
	close(fd);
	return rc;
}

void archive_files_free(struct archive_files *files) {
	for (size_t i = 0; i < files->n; i++)
		free(files->files[i].path);
	free(files->files);
	*files = (struct archive_files){0};
}
