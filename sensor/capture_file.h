// Capture file: a pcap or pcapng file, plain or compressed with gzip or zstd, or standard
// input, as a source of bursts. libpcap opens and validates; the records of a plain classic
// pcap (also inside .gz and .zst) are then walked directly, everything else by libpcap.
//
// Errors: what could be read is delivered first; then capture_file_read() returns a negative
// errno and capture_file_error() one line that names the file, the offset and the cause.
//
// Threads: one at a time, but capture_file_position() may be called from any.
// Time: only the packets' own.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "packet.h"

#define CAPTURE_ERROR_BYTES 512

struct capture_file;

struct capture_file_config {
	const char *filter; // BPF expression in libpcap's syntax; NULL = every packet
	bool no_walker;     // leave every record to libpcap (tests compare the two)
};

// Opens `path`, "-" for standard input. NULL on error with one line in `error`
// (CAPTURE_ERROR_BYTES) that names the path, the cause and the remedy, without a newline.
struct capture_file *
capture_file_open(const char *path, const struct capture_file_config *config, char *error);

void capture_file_close(struct capture_file *file);

enum link_type capture_file_link(const struct capture_file *file);

// Reads up to `max` frames, whose octets are valid until the next call. Returns how many, 0 at the
// end, or a negative errno where the file is broken (frames before the break have been returned by
// earlier calls).
int capture_file_read(struct capture_file *file, struct frame *frames, unsigned max);

// One line on the last error of capture_file_read(), "" if there was none.
const char *capture_file_error(const struct capture_file *file);

// Octets of the file as it lies on disk that have been taken in so far.
uint64_t capture_file_position(const struct capture_file *file);

// The size of the file on disk in octets; 0 where it is not known (a pipe).
uint64_t capture_file_size(const struct capture_file *file);
