#include "archive_upkeep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int upkeep_lock(struct archive_command *command) {
	char path[UPKEEP_PATH_BYTES];

	if (snprintf(path, sizeof(path), "%s/.upkeep.lock", command->options.archive)
	    >= (int)sizeof(path)) {
		archive_complain(
			command, "%s: %s", command->options.archive, strerror(ENAMETOOLONG)
		);
		return -ENAMETOOLONG;
	}
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		archive_complain(command, "%s: %s", path, strerror(errno));
		return -EACCES;
	}
	// The file stays: who removes a lock may remove that of another.
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		archive_complain(command, "%s: another repair or compact is at work there", path);
		close(fd);
		return -EBUSY;
	}
	return fd;
}

int upkeep_folder(const struct archive_command *command, char *path) {
	int n = snprintf(path, UPKEEP_PATH_BYTES, "%s/.compact/hour", command->options.archive);
	return n < UPKEEP_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

int upkeep_sync_folder(const char *path) {
	char folder[UPKEEP_PATH_BYTES];
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		snprintf(folder, sizeof(folder), ".");
	else if (snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path) >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int upkeep_each(const char *folder, int (*on_name)(const char *name, void *arg), void *arg) {
	DIR *dir = opendir(folder);
	int rc = 0;

	if (dir == NULL)
		return -errno;
	errno = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL; errno = 0)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = on_name(entry->d_name, arg);
	if (rc == 0 && errno != 0)
		rc = -errno;
	closedir(dir);
	return rc;
}

struct cleaning {
	const char *folder;
};

static int clean_name(const char *name, void *arg) {
	const struct cleaning *cleaning = arg;
	char path[UPKEEP_PATH_BYTES];
	size_t n = strlen(name);

	// A sensor was at work in an hour that was over: its clock went back. What it had open is
	// nobody's to remove.
	if ((n > 5 && strcmp(name + n - 5, ".part") == 0)
	    || (n > 6 && strcmp(name + n - 6, ".notes") == 0))
		return -EBUSY;
	if (snprintf(path, sizeof(path), "%s/%s", cleaning->folder, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

// What is there is either of a compact that had not put the hour in its place, and then the hour
// has every file still, or of one that had, and then these are the files that were replaced.
void upkeep_clean(struct archive_command *command) {
	char path[UPKEEP_PATH_BYTES];
	struct cleaning cleaning = {path};
	int rc = upkeep_folder(command, path);

	if (rc == 0)
		rc = upkeep_each(path, clean_name, &cleaning);
	if (rc == 0) {
		rmdir(path);
		*strrchr(path, '/') = '\0';
		rmdir(path);
	} else if (rc != -ENOENT) {
		archive_complain(command, "%s: cannot be cleaned: %s", path, strerror(-rc));
	}
}
