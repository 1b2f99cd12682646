#include "archive_part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_error.h"

enum {
	MAX_TRIES = 1000, // of names
};

static void put_suffix(char out[ARCHIVE_NAME_BYTES], const char *path, const char *suffix) {
	snprintf(out, ARCHIVE_NAME_BYTES, "%s%s", path, suffix);
}

void archive_part_path(char out[ARCHIVE_NAME_BYTES], const char *path) {
	put_suffix(out, path, ".part");
}

void archive_notes_path(char out[ARCHIVE_NAME_BYTES], const char *path) {
	put_suffix(out, path, ".notes");
}

void archive_new_path(char out[ARCHIVE_NAME_BYTES], const char *path) {
	put_suffix(out, path, ".new");
}

static int fail(char *error, int rc, const char *what, const char *path) {
	return archive_error(error, rc, "cannot %s %s: %s", what, path, strerror(-rc));
}

static bool exists(const struct archive_place *place, const char *path) {
	struct stat status;
	return fstatat(place->dir_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static void remove_both(const struct archive_place *place, const char *part, const char *notes) {
	if (archive_io_remove(place->io, place->dir_fd, part) < 0
	    || archive_io_remove(place->io, place->dir_fd, notes) < 0)
		return; // empty: the next start removes them
}

static int begin_at(struct archive_part *part, const struct archive_place *place, char *error) {
	const struct archive_io *io = place->io;
	char part_path[ARCHIVE_NAME_BYTES], notes_path[ARCHIVE_NAME_BYTES];

	archive_part_path(part_path, part->path);
	archive_notes_path(notes_path, part->path);
	int rc = archive_io_make_folders(
		io, place->dir_fd, part->path, place->sync == ARCHIVE_SYNC_FLUSH
	);
	if (rc < 0)
		return fail(error, rc, "make the folders of", part->path);
	if (exists(place, part->path) || exists(place, part_path))
		return -EEXIST;
	part->notes_fd = io->open(place->dir_fd, notes_path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (part->notes_fd < 0)
		return fail(error, -errno, "make", notes_path);
	part->fd = io->open(place->dir_fd, part_path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	rc = part->fd < 0 ? -errno
			  : archive_io_write(io, part->fd, PARQUET_MAGIC, PARQUET_MAGIC_BYTES, 0);
	if (rc == 0 && place->sync == ARCHIVE_SYNC_FLUSH)
		rc = archive_io_sync_folder(io, place->dir_fd, part->path);
	if (rc < 0) {
		archive_part_end(part);
		remove_both(place, part_path, notes_path);
		return fail(error, rc, "make", part_path);
	}
	part->end = PARQUET_MAGIC_BYTES;
	return 0;
}

int archive_part_begin(
	struct archive_part *part,
	const struct archive_place *place,
	time_ns_t begin_ns,
	char *error
) {
	int rc = -EEXIST;

	for (int i = 0; i < MAX_TRIES && rc == -EEXIST; i++) {
		*part = ARCHIVE_NO_PART;
		archive_path(part->path, place->sensor, begin_ns + i * NS_PER_MS);
		rc = begin_at(part, place, error);
	}
	return rc == -EEXIST ? fail(error, rc, "make", part->path) : rc;
}

int archive_part_append(
	struct archive_part *part,
	const struct archive_place *place,
	struct parquet_bytes data,
	struct parquet_bytes entry,
	uint64_t n_records,
	bool sync,
	char *error
) {
	const struct archive_io *io = place->io;
	int rc = archive_io_write(io, part->fd, data.bytes, data.n, part->end);

	// Before the note, which vouches for it.
	if (rc == 0 && sync && io->sync(part->fd) < 0)
		rc = -errno;
	if (rc == 0)
		rc = archive_io_write(io, part->notes_fd, entry.bytes, entry.n, part->notes_end);
	if (rc == 0 && sync && io->sync(part->notes_fd) < 0) {
		rc = -errno;
		// Else the same records could be read from here and be counted as lost.
		if (io->truncate(part->notes_fd, (off_t)part->notes_end) < 0)
			rc = -errno;
	}
	if (rc < 0)
		return fail(error, rc, "write", part->path);
	part->end += data.n;
	part->notes_end += entry.n;
	part->records += n_records;
	return 0;
}

int archive_part_sync(struct archive_part *part, const struct archive_place *place, char *error) {
	if (place->io->sync(part->fd) == 0 && place->io->sync(part->notes_fd) == 0)
		return 0;
	return fail(error, -errno, "sync", part->path);
}

void archive_part_end(struct archive_part *part) {
	if (part->fd >= 0)
		close(part->fd);
	if (part->notes_fd >= 0)
		close(part->notes_fd);
	part->fd = part->notes_fd = -1;
}
