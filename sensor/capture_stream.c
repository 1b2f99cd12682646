#include "capture_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

enum {
	RAW_BYTES = 128 << 10,
	MAGIC_BYTES = 4,
	GZIP_OR_ZLIB = 15 + 16,   // inflateInit2(): a window of 32 KiB, gzip header and trailer
	ZSTD_WINDOW_LOG_MAX = 27, // 128 MiB, what the zstd program takes without being asked
};

enum format {
	PLAIN,
	GZIP,
	ZSTD,
};

struct capture_stream {
	int fd;
	enum format format;
	bool in_member; // inside a gzip member or a zstd frame: an end here is a cut
	bool at_end;    // of the file on disk
	bool any;       // a member or frame has ended
	z_stream gzip;
	ZSTD_DStream *zstd;
	uint64_t size;
	atomic_ullong position;
	char error[CAPTURE_STREAM_ERROR_BYTES];

	// Octets as on disk that have not been used yet.
	size_t raw_begin, raw_end;
	uint8_t raw[RAW_BYTES];
};

static int fail(struct capture_stream *stream, int error, const char *cause) {
	snprintf(stream->error, sizeof(stream->error), "%s", cause);
	return -error;
}

static int damaged(struct capture_stream *stream, const char *what, const char *cause) {
	// Where in the file on disk: the last octets that the decompressor was given.
	unsigned long long offset =
		capture_stream_position(stream) - (stream->raw_end - stream->raw_begin);
	snprintf(
		stream->error,
		sizeof(stream->error),
		"%s data is %s at offset %llu",
		what,
		cause,
		offset
	);
	return -EBADMSG;
}

static ssize_t read_disk(struct capture_stream *stream, uint8_t *out, size_t bytes) {
	ssize_t n = read(stream->fd, out, bytes);
	if (n < 0)
		return fail(stream, errno, strerror(errno));
	// Relaxed: a number for the progress bar.
	atomic_fetch_add_explicit(&stream->position, (uint64_t)n, memory_order_relaxed);
	return n;
}

// Makes sure that there are raw octets, unless the file ended. Returns 0 or a negative errno.
static int fill_raw(struct capture_stream *stream) {
	if (stream->raw_begin < stream->raw_end || stream->at_end)
		return 0;
	ssize_t n = read_disk(stream, stream->raw, RAW_BYTES);
	if (n < 0)
		return (int)n;
	stream->raw_begin = 0;
	stream->raw_end = (size_t)n;
	stream->at_end = n == 0;
	return 0;
}

static ssize_t read_plain(struct capture_stream *stream, uint8_t *out, size_t bytes) {
	size_t n = stream->raw_end - stream->raw_begin;
	if (n == 0)
		return read_disk(stream, out, bytes);
	if (n > bytes)
		n = bytes;
	memcpy(out, stream->raw + stream->raw_begin, n);
	stream->raw_begin += n;
	return (ssize_t)n;
}

static ssize_t read_gzip(struct capture_stream *stream, uint8_t *out, size_t bytes) {
	z_stream *gzip = &stream->gzip;

	gzip->next_out = out;
	gzip->avail_out = (uInt)bytes;
	while (gzip->avail_out == bytes) {
		int rc = fill_raw(stream);
		if (rc < 0)
			return rc;
		if (stream->at_end)
			return stream->in_member ? damaged(stream, "gzip", "cut short") : 0;
		// What follows the last member and is not another is padding, as gzip(1) has it.
		if (!stream->in_member && stream->any && stream->raw[stream->raw_begin] != 0x1f)
			return 0;

		stream->in_member = true;
		gzip->next_in = stream->raw + stream->raw_begin;
		gzip->avail_in = (uInt)(stream->raw_end - stream->raw_begin);
		rc = inflate(gzip, Z_NO_FLUSH);
		stream->raw_begin = stream->raw_end - gzip->avail_in;
		if (rc == Z_STREAM_END) {
			stream->in_member = false;
			stream->any = true;
			inflateReset(gzip);
		} else if (rc != Z_OK && rc != Z_BUF_ERROR) {
			if (gzip->avail_out < bytes)
				break; // first what is whole; the next call meets the error again
			return damaged(stream, "gzip", "damaged");
		}
	}
	return (ssize_t)(bytes - gzip->avail_out);
}

static ssize_t read_zstd(struct capture_stream *stream, uint8_t *out, size_t bytes) {
	ZSTD_outBuffer to = {out, bytes, 0};

	while (to.pos == 0) {
		int rc = fill_raw(stream);
		if (rc < 0)
			return rc;
		if (stream->at_end && !stream->in_member)
			return 0;
		ZSTD_inBuffer from = {stream->raw, stream->raw_end, stream->raw_begin};
		size_t left = ZSTD_decompressStream(stream->zstd, &to, &from);
		stream->raw_begin = from.pos;
		if (ZSTD_isError(left))
			return damaged(stream, "zstd", "damaged");
		stream->in_member = left != 0;
		if (stream->at_end && to.pos == 0)
			return stream->in_member ? damaged(stream, "zstd", "cut short") : 0;
	}
	return (ssize_t)to.pos;
}

static int open_fd(const char *path) {
	if (strcmp(path, "-") == 0)
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

// Reads the first octets, which a pipe may give one at a time, and tells the format by them.
static int recognise(struct capture_stream *stream) {
	static const uint8_t gzip_magic[] = {0x1f, 0x8b};
	static const uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};

	while (stream->raw_end < MAGIC_BYTES) {
		ssize_t n = read_disk(
			stream, stream->raw + stream->raw_end, RAW_BYTES - stream->raw_end
		);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return 0;
		stream->raw_end += (size_t)n;
	}
	if (memcmp(stream->raw, gzip_magic, sizeof(gzip_magic)) == 0) {
		stream->format = GZIP;
		if (inflateInit2(&stream->gzip, GZIP_OR_ZLIB) != Z_OK)
			return fail(stream, ENOMEM, strerror(ENOMEM));
	} else if (memcmp(stream->raw, zstd_magic, sizeof(zstd_magic)) == 0) {
		stream->format = ZSTD;
		stream->zstd = ZSTD_createDStream();
		if (stream->zstd == NULL)
			return fail(stream, ENOMEM, strerror(ENOMEM));
		ZSTD_DCtx_setParameter(stream->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
	}
	return 0;
}

static int set_up(struct capture_stream *stream, const char *path) {
	struct stat file;

	stream->fd = open_fd(path);
	if (stream->fd < 0 || fstat(stream->fd, &file) < 0)
		return fail(stream, errno, strerror(errno));
	if (S_ISDIR(file.st_mode))
		return fail(stream, EISDIR, "is a directory; name the captures in it");
	if (S_ISREG(file.st_mode)) {
		stream->size = (uint64_t)file.st_size;
		posix_fadvise(stream->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	}
	return recognise(stream);
}

struct capture_stream *capture_stream_open(const char *path, char *error) {
	struct capture_stream *stream = calloc(1, sizeof(*stream));

	if (stream == NULL) {
		snprintf(error, CAPTURE_STREAM_ERROR_BYTES, "%s", strerror(errno));
		return NULL;
	}
	int rc = set_up(stream, path);
	if (rc < 0) {
		memcpy(error, stream->error, CAPTURE_STREAM_ERROR_BYTES);
		capture_stream_close(stream);
		errno = -rc;
		return NULL;
	}
	return stream;
}

void capture_stream_close(struct capture_stream *stream) {
	if (stream == NULL)
		return;
	if (stream->fd >= 0)
		close(stream->fd);
	if (stream->format == GZIP)
		inflateEnd(&stream->gzip);
	ZSTD_freeDStream(stream->zstd);
	free(stream);
}

ssize_t capture_stream_read(struct capture_stream *stream, uint8_t *out, size_t bytes) {
	switch (stream->format) {
	case GZIP:
		return read_gzip(stream, out, bytes);
	case ZSTD:
		return read_zstd(stream, out, bytes);
	default:
		return read_plain(stream, out, bytes);
	}
}

const char *capture_stream_error(const struct capture_stream *stream) {
	return stream->error;
}

uint64_t capture_stream_position(const struct capture_stream *stream) {
	return atomic_load_explicit(&stream->position, memory_order_relaxed);
}

uint64_t capture_stream_size(const struct capture_stream *stream) {
	return stream->size;
}
