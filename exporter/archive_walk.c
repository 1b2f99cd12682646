#include "archive_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_error.h"
#include "archive_pattern.h"

struct walk {
	unsigned n_passes;
	archive_walk_fn on_file;
	void *arg;
	char *error;
};

static int fail(const struct walk *walk, int rc, const char *path) {
	return archive_error(walk->error, rc, "%s: %s", path, strerror(-rc));
}

// NULL and 0 for a folder that went away: it is as good as empty.
static int
open_folder(const struct walk *walk, int dir_fd, const char *name, const char *path, DIR **dir) {
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	*dir = fd < 0 ? NULL : fdopendir(fd);
	if (*dir != NULL)
		return 0;
	int rc = -errno;
	if (fd >= 0)
		close(fd);
	// A file or a link in a folder's place is not of ours.
	return rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP ? 0 : fail(walk, rc, path);
}

static int visit(const struct walk *walk, int hour_fd, const char *hour, const char *name) {
	char path[ARCHIVE_NAME_BYTES];
	struct archive_walk_file file = {.path = path};
	struct stat status;

	if (!archive_name_parse(name, &file.name))
		return 0;
	int used = snprintf(path, sizeof(path), "%s/%s", hour, name);
	if (used >= (int)sizeof(path)) // with more behind .parquet than anything of ours
		return 0;
	if (fstatat(hour_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(walk, -errno, path);
	if (!S_ISREG(status.st_mode))
		return 0;
	file.bytes = (uint64_t)status.st_size;
	return walk->on_file(&file, walk->arg);
}

static int walk_hour(const struct walk *walk, int date_fd, const char *name, const char *path) {
	DIR *dir;
	int rc = open_folder(walk, date_fd, name, path, &dir);

	if (rc < 0 || dir == NULL)
		return rc;
	for (unsigned pass = 0; pass < walk->n_passes && rc == 0; pass++) {
		rewinddir(dir);
		for (const struct dirent *item; rc == 0 && (item = readdir(dir)) != NULL;)
			rc = visit(walk, dirfd(dir), path, item->d_name);
	}
	closedir(dir);
	return rc;
}

static int walk_date(const struct walk *walk, int dir_fd, const char *name) {
	char path[ARCHIVE_NAME_BYTES];
	DIR *dir;
	int rc = open_folder(walk, dir_fd, name, name, &dir);

	if (rc < 0 || dir == NULL)
		return rc;
	for (const struct dirent *item; rc == 0 && (item = readdir(dir)) != NULL;) {
		if (!archive_pattern_is(item->d_name, "hour=HH"))
			continue;
		snprintf(path, sizeof(path), "%.15s/%.7s", name, item->d_name);
		rc = walk_hour(walk, dirfd(dir), item->d_name, path);
	}
	closedir(dir);
	return rc;
}

int archive_walk(int dir_fd, unsigned n_passes, archive_walk_fn on_file, void *arg, char *error) {
	struct walk walk = {n_passes, on_file, arg, error};
	DIR *dir;
	int rc = open_folder(&walk, dir_fd, ".", ".", &dir);

	if (rc < 0 || dir == NULL)
		return rc;
	for (const struct dirent *item; rc == 0 && (item = readdir(dir)) != NULL;)
		if (archive_pattern_is(item->d_name, "date=YYYY-MM-DD"))
			rc = walk_date(&walk, dirfd(dir), item->d_name);
	closedir(dir);
	return rc;
}
