#include "archive_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".parquet"
#define STAMP "-YYYYMMDDTHHMMSS.NNNZ"

enum {
	STAMP_BYTES = sizeof(STAMP) - 1,
};

[[gnu::format(printf, 3, 4)]] static int fail(char *error, int rc, const char *format, ...) {
	va_list args;

	va_start(args, format);
	vsnprintf(error, ARCHIVE_ERROR_BYTES, format, args);
	va_end(args);
	return rc;
}

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

// Whether `text` is like `like`, in which capitals stand for any digit, but for T and Z.
static bool looks_like(const char *text, const char *like) {
	for (; *like != '\0'; text++, like++) {
		bool digit = isupper((unsigned char)*like) && *like != 'T' && *like != 'Z';
		if (digit ? !isdigit((unsigned char)*text) : *text != *like)
			return false;
	}
	return true;
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
	if (!looks_like(stamp, STAMP)
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

// A list that is being made.
struct listing {
	const char *dir;
	struct archive_files *files;
	size_t room;
	char *error;
};

static int no_memory(char *error) {
	return fail(error, -ENOMEM, "%s", strerror(ENOMEM));
}

// Adds a file, or where its other form is there already since `begin`, leaves or makes the closed
// one of it.
static int add_file(struct listing *listing, size_t begin, char *path, struct archive_file file) {
	struct archive_files *files = listing->files;
	size_t stem = strlen(path) - (file.open ? strlen(".part") : 0);

	for (size_t i = begin; i < files->n; i++) {
		struct archive_file *known = &files->files[i];
		if (strncmp(known->path, path, stem) != 0
		    || strcmp(known->path + stem, known->open ? ".part" : "") != 0)
			continue;
		if (!known->open || file.open) {
			free(path);
			return 0;
		}
		free(known->path);
		*known = file;
		known->path = path;
		return 0;
	}
	if (files->n == listing->room) {
		size_t room = listing->room * 2 + 64;
		struct archive_file *more = reallocarray(files->files, room, sizeof(*more));
		if (more == NULL) {
			free(path);
			return no_memory(listing->error);
		}
		files->files = more;
		listing->room = room;
	}
	file.path = path;
	files->files[files->n++] = file;
	return 0;
}

static int
look_at(struct listing *listing, size_t begin, int dir_fd, const char *folder, const char *name) {
	struct archive_name parts;
	struct stat status;
	char *path;

	if (!archive_name_parse(name, &parts))
		return 0;
	bool open = strcmp(parts.suffix, ".part") == 0;
	if (!open && parts.suffix[0] != '\0')
		return 0;
	if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0
				       : fail(listing->error,
					      -errno,
					      "%s/%s: %s",
					      folder,
					      name,
					      strerror(errno));
	if (!S_ISREG(status.st_mode))
		return 0;
	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return no_memory(listing->error);
	return add_file(
		listing,
		begin,
		path,
		(struct archive_file){
			.begin_ns = parts.begin_ns,
			.bytes = (uint64_t)status.st_size,
			.open = open,
		}
	);
}

// Folders that went away are as good as empty.
static int open_folder(const char *folder, DIR **dir, char *error) {
	*dir = opendir(folder);
	if (*dir == NULL && errno != ENOENT)
		return fail(error, -errno, "%s: %s", folder, strerror(errno));
	return 0;
}

// Reads an hour's folder twice. One pass may miss a file that is renamed under its eyes, both its
// old name, which it comes to too late, and its new one, which it has passed. The second finds it
// under its new name, which it then keeps.
static int list_hour(struct listing *listing, const char *folder) {
	size_t begin = listing->files->n;
	DIR *dir;
	int rc = open_folder(folder, &dir, listing->error);

	if (rc < 0 || dir == NULL)
		return rc;
	for (int pass = 0; pass < 2 && rc == 0; pass++) {
		rewinddir(dir);
		for (const struct dirent *item; rc == 0 && (item = readdir(dir)) != NULL;)
			rc = look_at(listing, begin, dirfd(dir), folder, item->d_name);
	}
	closedir(dir);
	return rc;
}

static int
list_folders(struct listing *listing, const char *folder, const char *like, bool is_date) {
	DIR *dir;
	int rc = open_folder(folder, &dir, listing->error);

	if (rc < 0 || dir == NULL)
		return rc;
	for (const struct dirent *item; rc == 0 && (item = readdir(dir)) != NULL;) {
		char *inner;
		if (strlen(item->d_name) != strlen(like) || !looks_like(item->d_name, like))
			continue;
		if (asprintf(&inner, "%s/%s", folder, item->d_name) < 0) {
			rc = no_memory(listing->error);
			break;
		}
		rc = is_date ? list_folders(listing, inner, "hour=HH", false)
			     : list_hour(listing, inner);
		free(inner);
	}
	closedir(dir);
	return rc;
}

static int older(const void *a, const void *b) {
	const struct archive_file *left = a, *right = b;
	if (left->begin_ns != right->begin_ns)
		return left->begin_ns < right->begin_ns ? -1 : 1;
	return strcmp(left->path, right->path);
}

int archive_files_list(const char *dir, struct archive_files *files, char *error) {
	struct listing listing = {.dir = dir, .files = files, .error = error};
	struct stat status;

	*files = (struct archive_files){0};
	if (stat(dir, &status) < 0)
		return fail(error, -errno, "%s: %s", dir, strerror(errno));
	int rc = list_folders(&listing, dir, "date=YYYY-MM-DD", true);
	if (rc < 0) {
		archive_files_free(files);
		return rc;
	}
	if (files->n > 0)
		qsort(files->files, files->n, sizeof(files->files[0]), older);
	return 0;
}

void archive_files_free(struct archive_files *files) {
	for (size_t i = 0; i < files->n; i++)
		free(files->files[i].path);
	free(files->files);
	*files = (struct archive_files){0};
}
