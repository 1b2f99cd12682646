#include "archive_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_notes.h"

enum {
	MAX_NOTES_BYTES = 64 << 20, // some 20,000 row groups
	MAX_PATH_BYTES = 4096,
};

static int read_all(int fd, struct byte_buffer *out) {
	for (;;) {
		if (out->n > MAX_NOTES_BYTES)
			return -EFBIG;
		if (!byte_buffer_reserve(out, 1 << 16))
			return -ENOMEM;
		ssize_t got = read(fd, out->bytes + out->n, 1 << 16);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return 0;
		if (got > 0)
			out->n += (size_t)got;
	}
}

static int read_notes(const char *path, struct byte_buffer *out) {
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	int rc = read_all(fd, out);
	close(fd);
	return rc;
}

// The footer that the file would have if it were closed now.
static int make_footer(
	struct parquet_writer *writer,
	const struct byte_buffer *notes,
	uint64_t file_bytes,
	const char *sensor,
	struct parquet_bytes *footer
) {
	struct archive_metadata metadata;
	struct archive_sum sum = {0};
	struct archive_note note;
	uint64_t end = PARQUET_MAGIC_BYTES;
	uint32_t sampling_rate = 0;

	for (size_t at = 0; archive_note_take(notes->bytes, notes->n, &at, end, &note);) {
		// Its end may be on the disk when the row group is not, after a crash.
		if (end + note.bytes > file_bytes)
			break;
		int rc = parquet_writer_restore(writer, note.note.bytes, note.note.n);
		if (rc < 0)
			return rc;
		end += note.bytes;
		sampling_rate = note.sampling_rate;
		archive_sum_add(&sum, &note.sum);
	}
	archive_metadata_make(&metadata, sensor, sampling_rate, &sum);
	return parquet_writer_footer(writer, metadata.pairs, metadata.n_pairs, end, footer);
}

static struct parquet_reader *
open_part(int fd, const struct byte_buffer *notes, const char *sensor, char *error) {
	struct parquet_writer *writer =
		parquet_writer_new(&(struct parquet_writer_config){.level = 1});
	struct parquet_reader *reader = NULL;
	struct parquet_bytes footer = {0};
	struct stat status = {0};
	int rc = 0;

	if (writer == NULL || fstat(fd, &status) < 0)
		rc = -errno;
	if (rc == 0)
		rc = make_footer(writer, notes, (uint64_t)status.st_size, sensor, &footer);
	if (rc < 0)
		snprintf(error, PARQUET_ERROR_BYTES, "its notes: %s", strerror(-rc));
	else if ((reader = parquet_reader_open_footer(fd, footer.bytes, footer.n, error)) == NULL)
		rc = -errno;
	parquet_writer_free(writer);
	errno = -rc;
	return reader;
}

static bool is_part(const char *path) {
	size_t n = strlen(path);
	return n > 5 && strcmp(path + n - 5, ".part") == 0;
}

// As far as the parquet reader of a descriptor. Returns 0 or a negative errno; `cause` then says
// why.
static int
open_path(const char *path, struct archive_reader *reader, char cause[PARQUET_ERROR_BYTES]) {
	const char *slash = strrchr(path, '/');
	struct byte_buffer notes = {0};
	struct archive_name name;
	int rc = 0;

	reader->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0)
		rc = -errno;
	// Of a .part the notes are removed last, when it has been closed: without them it is what
	// a closed file was made of.
	if (rc == 0 && is_part(path)) {
		char notes_path[MAX_PATH_BYTES];
		int used = snprintf(
			notes_path, sizeof(notes_path), "%.*s.notes", (int)strlen(path) - 5, path
		);
		rc = used < MAX_PATH_BYTES ? read_notes(notes_path, &notes) : -ENAMETOOLONG;
	}
	snprintf(cause, PARQUET_ERROR_BYTES, "%s", strerror(-rc));
	if (rc == 0) {
		if (!archive_name_parse(slash != NULL ? slash + 1 : path, &name))
			name.sensor[0] = '\0';
		reader->parquet = is_part(path) ? open_part(reader->fd, &notes, name.sensor, cause)
						: parquet_reader_open(reader->fd, cause);
		if (reader->parquet == NULL)
			rc = -errno;
	}
	byte_buffer_done(&notes);
	if (rc < 0 && reader->fd >= 0)
		close(reader->fd);
	return rc;
}

struct archive_reader *archive_reader_open(const char *path, char *error) {
	struct archive_reader *reader = calloc(1, sizeof(*reader));
	char cause[PARQUET_ERROR_BYTES];
	int rc = -ENOMEM;

	snprintf(cause, sizeof(cause), "%s", strerror(ENOMEM));
	if (reader != NULL)
		rc = open_path(path, reader, cause);
	if (rc == -ENOENT && is_part(path)) {
		char *closed = strndup(path, strlen(path) - strlen(".part"));
		rc = closed != NULL ? open_path(closed, reader, cause) : -ENOMEM;
		free(closed);
	}
	if (rc < 0) {
		snprintf(error, ARCHIVE_ERROR_BYTES, "%s: %s", path, cause);
		free(reader);
		errno = -rc;
		return NULL;
	}
	return reader;
}

void archive_reader_close(struct archive_reader *reader) {
	if (reader == NULL)
		return;
	parquet_reader_close(reader->parquet);
	close(reader->fd);
	free(reader);
}
