// Closes a part: see archive_part.h for the order of its steps, which is what a crash relies on.

#include "archive_finish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "archive_error.h"
#include "parquet_reader.h"

enum {
	READ_BYTES = 1 << 18, // at once, to check a row group
};

int archive_finish_fail(const struct finish *finish, int rc, const char *what, const char *path) {
	return archive_error(finish->error, rc, "cannot %s %s: %s", what, path, strerror(-rc));
}

static int read_text(struct finish *finish) {
	struct stat status;
	int fd = finish->place->io->open(finish->place->dir_fd, finish->notes, O_RDONLY, 0);
	int rc = 0;

	if (fd < 0)
		return archive_finish_fail(finish, -errno, "open", finish->notes);
	if (fstat(fd, &status) < 0)
		rc = -errno;
	else if (!byte_buffer_reserve(&finish->text, (size_t)status.st_size + 1))
		rc = -ENOMEM;
	while (rc == 0) {
		size_t n = finish->text.n;
		ssize_t got =
			pread(fd, finish->text.bytes + n, (size_t)status.st_size - n, (off_t)n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			rc = got < 0 ? -errno : 0;
			break;
		}
		finish->text.n += (size_t)got;
	}
	close(fd);
	return rc < 0 ? archive_finish_fail(finish, rc, "read", finish->notes) : 0;
}

// 1 where the octets are those that were written, 0 where not, or a negative errno.
static int is_good(int fd, const struct archive_note *note) {
	uint8_t *bytes = malloc(READ_BYTES);
	uint64_t done = 0;
	uLong crc = 0;
	int rc = bytes == NULL ? -ENOMEM : 1;

	while (rc == 1 && done < note->bytes) {
		uint64_t n = note->bytes - done < READ_BYTES ? note->bytes - done : READ_BYTES;
		ssize_t got = pread(fd, bytes, n, (off_t)(note->offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			rc = got == 0 || errno == EIO ? 0 : -errno;
			break;
		}
		crc = crc32_z(crc, bytes, (size_t)got);
		done += (uint64_t)got;
	}
	free(bytes);
	return rc == 1 ? crc == note->crc : rc;
}

// Gives the writer all row groups that are good.
static int restore(struct finish *finish) {
	struct archive_note note;

	finish->end = PARQUET_MAGIC_BYTES;
	for (size_t at = 0;
	     archive_note_take(finish->text.bytes, finish->text.n, &at, finish->end, &note);) {
		int rc = is_good(finish->fd, &note);
		if (rc < 0)
			return archive_finish_fail(finish, rc, "read", finish->part);
		if (rc == 1) {
			rc = parquet_writer_restore(finish->writer, note.note.bytes, note.note.n);
			// Of a weir with other columns, which can still close it.
			if (rc < 0)
				return archive_finish_fail(
					finish, rc, "use the notes of", finish->part
				);
			archive_sum_add(&finish->sum, &note.sum);
		} else {
			finish->damaged += note.sum.records;
		}
		finish->sampling_rate = note.sampling_rate;
		finish->end += note.bytes;
	}
	return 0;
}

int archive_finish_footer(
	struct finish *finish,
	struct parquet_writer *writer,
	uint64_t end,
	struct parquet_bytes *footer
) {
	struct archive_metadata metadata;

	archive_metadata_make(
		&metadata, finish->place->sensor, finish->sampling_rate, &finish->sum
	);
	int rc = parquet_writer_footer(writer, metadata.pairs, metadata.n_pairs, end, footer);
	return rc < 0 ? archive_finish_fail(finish, rc, "make the footer of", finish->path) : 0;
}

int archive_finish_sync(const struct finish *finish, int fd, const char *path) {
	if (finish->place->sync == ARCHIVE_SYNC_NONE || finish->place->io->sync(fd) == 0)
		return 0;
	return archive_finish_fail(finish, -errno, "sync", path);
}

// The closed file takes its name. From here on it stands, whatever else fails.
static int take_name(struct finish *finish, const char *from) {
	const struct archive_place *place = finish->place;

	if (place->io->rename(place->dir_fd, from, finish->path) < 0)
		return archive_finish_fail(finish, -errno, "rename", from);
	finish->named = true;
	if (place->sync == ARCHIVE_SYNC_NONE)
		return 0;
	int rc = archive_io_sync_folder(place->io, place->dir_fd, finish->path);
	return rc < 0 ? archive_finish_fail(finish, rc, "sync the folder of", finish->path) : 0;
}

static int remove_file(const struct finish *finish, const char *path) {
	int rc = archive_io_remove(finish->place->io, finish->place->dir_fd, path);
	return rc < 0 ? archive_finish_fail(finish, rc, "remove", path) : 0;
}

// A copy that could not be made is removed, and the part is as before.
static int finish_by_copy(struct finish *finish, struct archive_finished *finished) {
	int rc = archive_copy(finish, &finished->bytes);

	if (rc == 0)
		rc = take_name(finish, finish->copy);
	if (rc < 0) {
		// The reason why is what counts, and the next start removes it too.
		if (!finish->named)
			(void
			)!archive_io_remove(finish->place->io, finish->place->dir_fd, finish->copy);
		return rc;
	}
	finished->copied = true;
	rc = remove_file(finish, finish->part);
	return rc < 0 ? rc : remove_file(finish, finish->notes);
}

static int finish_in_place(struct finish *finish, struct archive_finished *finished) {
	const struct archive_io *io = finish->place->io;
	int fd = io->open(finish->place->dir_fd, finish->part, O_WRONLY, 0);

	if (fd < 0)
		return archive_finish_fail(finish, -errno, "open", finish->part);
	uint64_t n_bytes = finish->end + finish->footer.n;
	int rc = archive_io_write(io, fd, finish->footer.bytes, finish->footer.n, finish->end);
	// What a flush that failed had written beyond.
	if (rc == 0 && io->truncate(fd, (off_t)n_bytes) < 0)
		rc = -errno;
	if (rc < 0)
		archive_finish_fail(finish, rc, "write", finish->part);
	else
		rc = archive_finish_sync(finish, fd, finish->part);
	close(fd);
	if (rc == 0)
		rc = take_name(finish, finish->part);
	if (rc < 0)
		return rc;
	finished->bytes = n_bytes;
	return remove_file(finish, finish->notes);
}

// 1 where the closed file is there, and whole, 0 where not, or a negative errno. Where nothing is
// synced and the power fails, its name may be on the disk before what it names.
static int is_closed(const struct finish *finish, struct archive_finished *finished) {
	char why[PARQUET_ERROR_BYTES];
	struct stat status;
	int fd = finish->place->io->open(finish->place->dir_fd, finish->path, O_RDONLY, 0);

	if (fd < 0)
		return errno == ENOENT ? 0
				       : archive_finish_fail(finish, -errno, "open", finish->path);
	struct parquet_reader *reader = parquet_reader_open(fd, why);
	int rc = reader != NULL ? 1 : errno == EBADMSG ? 0 : -errno;
	if (rc == 1 && fstat(fd, &status) == 0) {
		finished->records = parquet_reader_rows(reader);
		finished->bytes = (uint64_t)status.st_size;
	}
	parquet_reader_close(reader);
	close(fd);
	return rc < 0 ? archive_finish_fail(finish, rc, "read", finish->path) : rc;
}

static int remove_rest(const struct finish *finish) {
	int rc = remove_file(finish, finish->copy);

	if (rc == 0)
		rc = remove_file(finish, finish->part);
	return rc < 0 ? rc : remove_file(finish, finish->notes);
}

// Opens the part and takes from it what is good. Where one of the two files is not there, nothing
// is: the notes are made first and removed last.
static int open_part(struct finish *finish) {
	struct stat status;

	int rc = read_text(finish);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	finish->fd = finish->place->io->open(finish->place->dir_fd, finish->part, O_RDONLY, 0);
	if (finish->fd < 0 && errno != ENOENT)
		return archive_finish_fail(finish, -errno, "open", finish->part);
	finish->error[0] = '\0';
	if (finish->fd < 0) {
		if (finish->text.n > 0)
			archive_error(finish->error, 0, "%s is gone", finish->part);
		return 0;
	}
	if (rc == -ENOENT && fstat(finish->fd, &status) == 0
	    && status.st_size > PARQUET_MAGIC_BYTES)
		archive_error(
			finish->error,
			0,
			"%s: %lld octets without notes are removed",
			finish->part,
			(long long)status.st_size
		);
	finish->writer = parquet_writer_new(&(struct parquet_writer_config){.level = 1});
	if (finish->writer == NULL)
		return archive_finish_fail(finish, -errno, "close", finish->part);
	return restore(finish);
}

// An earlier try came as far as the name, and maybe not to the disk's knowing it.
static int finish_closed(const struct finish *finish) {
	const struct archive_place *place = finish->place;

	if (place->sync != ARCHIVE_SYNC_NONE) {
		int rc = archive_io_sync_folder(place->io, place->dir_fd, finish->path);
		if (rc < 0)
			return archive_finish_fail(finish, rc, "sync the folder of", finish->path);
	}
	return remove_rest(finish);
}

static int finish_part(struct finish *finish, struct archive_finished *finished) {
	int rc = is_closed(finish, finished);

	if (rc != 0)
		return rc < 0 ? rc : finish_closed(finish);
	rc = open_part(finish);
	if (rc < 0)
		return rc;
	finished->damaged = finish->damaged;
	finished->records = finish->sum.records;
	if (finish->sum.records == 0)
		return remove_rest(finish);
	rc = archive_finish_footer(finish, finish->writer, finish->end, &finish->footer);
	if (rc < 0)
		return rc;
	rc = finish->config->in_place ? -ECANCELED : finish_by_copy(finish, finished);
	if (rc == 0 || finish->named)
		return rc;
	// Without room for a copy there may be some for a footer, and what cannot be read now may
	// be one day.
	if (rc == -ECANCELED)
		finish->error[0] = '\0';
	return finish_in_place(finish, finished);
}

int archive_finish(
	const struct archive_place *place,
	const char *path,
	const struct archive_finish_config *config,
	struct archive_finished *finished,
	char *error
) {
	struct finish finish = {
		.place = place, .config = config, .path = path, .error = error, .fd = -1};

	error[0] = '\0';
	*finished = (struct archive_finished){0};
	archive_part_path(finish.part, path);
	archive_notes_path(finish.notes, path);
	archive_new_path(finish.copy, path);
	int rc = finish_part(&finish, finished);
	if (rc == 0 && finish.damaged > 0)
		archive_error(
			error,
			0,
			"%s: %llu records cannot be read back",
			path,
			(unsigned long long)finish.damaged
		);
	parquet_writer_free(finish.writer);
	byte_buffer_done(&finish.text);
	if (finish.fd >= 0)
		close(finish.fd);
	return rc;
}
