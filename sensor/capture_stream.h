// Capture stream: the octets of a capture file, plain or compressed with gzip (RFC 1952) or
// zstd (RFC 8878), told apart by their first octets. Memory is fixed, whatever the file says.
//
// Threads: one at a time, but capture_stream_position() may be called from any.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CAPTURE_STREAM_ERROR_BYTES 160

struct capture_stream;

// Opens `path`, "-" for standard input. NULL on error, with the cause in `error`
// (CAPTURE_STREAM_ERROR_BYTES), which does not name the path.
struct capture_stream *capture_stream_open(const char *path, char *error);
void capture_stream_close(struct capture_stream *stream);

// Reads 1 to `bytes` octets. 0 at the end; a negative errno on error, -EBADMSG where compressed
// data is damaged or cut short (what came before it has been returned), -EINTR on a signal.
ssize_t capture_stream_read(struct capture_stream *stream, uint8_t *out, size_t bytes);

// The cause of the last error, "" if there was none.
const char *capture_stream_error(const struct capture_stream *stream);

// Octets taken from the file as it lies on disk, and how many it has (0 = not known).
uint64_t capture_stream_position(const struct capture_stream *stream);
uint64_t capture_stream_size(const struct capture_stream *stream);
