#include "archive_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_files.h"

static int system_open(int dir_fd, const char *path, int flags, mode_t mode) {
	return openat(dir_fd, path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
}

static int system_rename(int dir_fd, const char *from, const char *to) {
	return renameat(dir_fd, from, dir_fd, to);
}

const struct archive_io archive_io_system = {
	.open = system_open,
	.write = pwrite,
	.truncate = ftruncate,
	.sync = fsync,
	.rename = system_rename,
	.unlink = unlinkat,
	.mkdir = mkdirat,
};

int archive_io_write(
	const struct archive_io *io, int fd, const void *bytes, size_t n, uint64_t offset
) {
	size_t done = 0;

	while (done < n) {
		ssize_t wrote = io->write(
			fd, (const uint8_t *)bytes + done, n - done, (off_t)(offset + done)
		);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -errno;
		if (wrote == 0) // never seen, but not to go round for ever
			return -EIO;
		done += (size_t)wrote;
	}
	return 0;
}

int archive_io_remove(const struct archive_io *io, int dir_fd, const char *path) {
	return io->unlink(dir_fd, path, 0) == 0 || errno == ENOENT ? 0 : -errno;
}

int archive_io_make_folders(
	const struct archive_io *io, int dir_fd, const char *path, bool durable
) {
	char folder[ARCHIVE_NAME_BYTES];

	for (const char *slash = path; (slash = strchr(slash, '/')) != NULL; slash++) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		if (io->mkdir(dir_fd, folder, 0755) < 0) {
			if (errno == EEXIST)
				continue;
			return -errno;
		}
		int rc = durable ? archive_io_sync_folder(io, dir_fd, folder) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

int archive_io_sync_folder(const struct archive_io *io, int dir_fd, const char *path) {
	char folder[ARCHIVE_NAME_BYTES];
	const char *slash = strrchr(path, '/');

	snprintf(
		folder,
		sizeof(folder),
		"%.*s",
		slash == NULL ? 1 : (int)(slash - path),
		slash == NULL ? "." : path
	);
	int fd = io->open(dir_fd, folder, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return -errno;
	int rc = io->sync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}
