// Parquet source: the octets of a file to read at offsets, from a descriptor or from memory, and
// how the reader's modules tell what is wrong.
//
// A file may be cut while it is read: no mmap, whose SIGBUS nobody could answer.
//
// Threads: any number may read at once.
// Errors: negative errno and one line in `error` (PARQUET_ERROR_BYTES).

#pragma once

#include <stddef.h>
#include <stdint.h>

struct parquet_source {
	int fd;                // -1 = memory
	const uint8_t *memory; // the caller's
	uint64_t n_bytes;
};

// A source of a regular file, whose size is taken now.
[[nodiscard]] int parquet_source_fd(struct parquet_source *source, int fd, char *error);

// Reads exactly `n` octets.
[[nodiscard]] int parquet_source_read(
	const struct parquet_source *source, uint64_t offset, void *out, size_t n, char *error
);

// Writes one line into `error`. Returns -`code`.
[[gnu::format(printf, 3, 4)]] int parquet_fail(char *error, int code, const char *format, ...);
