// Archive I/O: the calls to the file system that the archive makes to write, in one table, so
// that a test can let any of them fail. Paths are relative to the archive's folder, whose
// descriptor stays open: what becomes of the path to it does not matter.
//
// Threads: any.
// Errors: -1 and errno from the table, as the kernel has it; negative errno from the functions.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct archive_io {
	int (*open)(int dir_fd, const char *path, int flags, mode_t mode);
	ssize_t (*write)(int fd, const void *bytes, size_t n, off_t offset);
	int (*truncate)(int fd, off_t n);
	int (*sync)(int fd);
	int (*rename)(int dir_fd, const char *from, const char *to);
	int (*unlink)(int dir_fd, const char *path, int flags);
	int (*mkdir)(int dir_fd, const char *path, mode_t mode);
};

extern const struct archive_io archive_io_system;

// Writes all of it. Where it fails, what stands behind `offset` is not known.
[[nodiscard]] int
archive_io_write(const struct archive_io *io, int fd, const void *bytes, size_t n, uint64_t offset);

// Removes a file. One that is not there is no error.
[[nodiscard]] int archive_io_remove(const struct archive_io *io, int dir_fd, const char *path);

// Makes the folders above `path`, where they are missing. `durable`: and lets the disk know.
[[nodiscard]] int
archive_io_make_folders(const struct archive_io *io, int dir_fd, const char *path, bool durable);

// Lets the disk know of the names in the folder that `path` is in.
[[nodiscard]] int archive_io_sync_folder(const struct archive_io *io, int dir_fd, const char *path);
