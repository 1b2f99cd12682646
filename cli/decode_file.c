#include "decode_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture_file.h"
#include "capture_stream.h"
#include "udp_payload.h"
#include "wire.h"

enum {
	BURST = 32,
	IPFIX_VERSION = 10,
	IPFIX_HEADER_BYTES = 16,
	IPFIX_MAX_BYTES = 65535,
};

static void
take_frame(struct decode_source *source, enum link_type link, const struct frame *frame) {
	struct udp_payload udp;
	enum udp_verdict verdict = udp_payload_find(&udp, link, frame->data, frame->captured_bytes);
	bool ours = source->port == 0 || udp.dst_port == source->port;

	if (verdict == UDP_FRAGMENT) {
		source->fragments++;
	} else if (verdict == UDP_CUT && ours && source->port != 0) {
		source->cut++;
	} else if (verdict != UDP_FOUND || !ours || (source->port == 0 && !flow_decode_likely(udp.octets, udp.bytes))) {
		source->other++;
	} else {
		struct flow_decode_from from = {
			.family = udp.family,
			.port = udp.src_port,
			.to_port = udp.dst_port,
		};
		memcpy(from.address, udp.src_address, sizeof(from.address));
		flow_decode_datagram(source->decoder, &from, udp.octets, udp.bytes);
	}
}

static int read_capture(struct decode_source *source, const char *path) {
	char error[CAPTURE_ERROR_BYTES];
	struct frame frames[BURST];
	struct capture_file *file =
		capture_file_open(path, &(struct capture_file_config){0}, error);
	int n = 0;

	if (file == NULL) {
		int rc = -errno;
		fprintf(stderr, "weir decode: %s\n", error);
		return rc;
	}
	while (!decode_source_done(source) && (n = capture_file_read(file, frames, BURST)) > 0)
		for (int i = 0; i < n && !decode_source_done(source); i++)
			take_frame(source, capture_file_link(file), &frames[i]);
	if (n == -EINTR && *source->stop)
		n = 0;
	if (n < 0)
		fprintf(stderr, "weir decode: %s\n", capture_file_error(file));
	capture_file_close(file);
	return n < 0 ? n : 0;
}

// Reads until `bytes` are there or the file ends. Returns how many came, or a negative errno.
static ssize_t read_full(struct capture_stream *stream, uint8_t *out, size_t bytes) {
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = capture_stream_read(stream, out + done, bytes - done);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

// Reads a message into `message`. Returns its octets, 0 at the end, or a negative errno, with what
// is wrong in `wrong`, which is NULL for an error of the stream.
static ssize_t read_message(struct capture_stream *stream, uint8_t *message, const char **wrong) {
	ssize_t n = read_full(stream, message, IPFIX_HEADER_BYTES);

	*wrong = NULL;
	if (n <= 0)
		return n;
	if (n < IPFIX_HEADER_BYTES) {
		*wrong = "the file is cut in the header of a message";
		return -EBADMSG;
	}
	size_t bytes = wire_get16(message + 2);
	if (wire_get16(message) != IPFIX_VERSION || bytes < IPFIX_HEADER_BYTES) {
		*wrong = "no IPFIX message begins there; the rest of the file is not read";
		return -EBADMSG;
	}
	size_t rest = bytes - IPFIX_HEADER_BYTES;
	n = read_full(stream, message + IPFIX_HEADER_BYTES, rest);
	if (n < 0)
		return n;
	if ((size_t)n < rest) {
		*wrong = "the file is cut in a message";
		return -EBADMSG;
	}
	return (ssize_t)bytes;
}

static int read_ipfix(struct decode_source *source, const char *path) {
	char error[CAPTURE_STREAM_ERROR_BYTES];
	struct capture_stream *stream = capture_stream_open(path, error);
	uint8_t *message = malloc(IPFIX_MAX_BYTES);
	unsigned long long offset = 0;
	const char *wrong = NULL;
	ssize_t n = 0;

	if (stream == NULL || message == NULL) {
		fprintf(stderr,
			"weir decode: %s: %s\n",
			path,
			stream == NULL ? error : strerror(ENOMEM));
		capture_stream_close(stream);
		free(message);
		return -EIO;
	}
	while (!decode_source_done(source) && (n = read_message(stream, message, &wrong)) > 0) {
		flow_decode_datagram(
			source->decoder, &(struct flow_decode_from){0}, message, (size_t)n
		);
		offset += (unsigned long long)n;
	}
	if (n == -EINTR && *source->stop)
		n = 0;
	if (n < 0 && wrong != NULL)
		fprintf(stderr, "weir decode: %s: at offset %llu: %s\n", path, offset, wrong);
	else if (n < 0)
		fprintf(stderr, "weir decode: %s: %s\n", path, capture_stream_error(stream));
	capture_stream_close(stream);
	free(message);
	return n < 0 ? (int)n : 0;
}

static bool begins_as_ipfix(const uint8_t *octets, ssize_t n) {
	return n == 2 && wire_get16(octets) == IPFIX_VERSION;
}

// Looks at the first octets of standard input and leaves them there.
static bool is_ipfix_input(void) {
	uint8_t octets[2];
	int ends[2];
	ssize_t n;

	if (lseek(STDIN_FILENO, 0, SEEK_CUR) >= 0)
		return begins_as_ipfix(
			octets,
			pread(STDIN_FILENO, octets, sizeof(octets), lseek(STDIN_FILENO, 0, SEEK_CUR)
			)
		);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	n = tee(STDIN_FILENO, ends[1], sizeof(octets), 0);
	if (n > 0)
		n = read(ends[0], octets, sizeof(octets));
	close(ends[0]);
	close(ends[1]);
	return begins_as_ipfix(octets, n);
}

// Compressed ones too. A file that is not one, or cannot be opened, is left to the capture reader.
static bool is_ipfix_file(const char *path) {
	char error[CAPTURE_STREAM_ERROR_BYTES];
	struct capture_stream *stream;
	struct stat status;
	uint8_t octets[2];

	if (strcmp(path, "-") == 0)
		return is_ipfix_input();
	// What is read from a pipe is gone.
	if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
		return false;
	stream = capture_stream_open(path, error);
	if (stream == NULL)
		return false;
	ssize_t n = read_full(stream, octets, sizeof(octets));
	capture_stream_close(stream);
	return begins_as_ipfix(octets, n);
}

int decode_source_file(struct decode_source *source, const char *path) {
	return is_ipfix_file(path) ? read_ipfix(source, path) : read_capture(source, path);
}
