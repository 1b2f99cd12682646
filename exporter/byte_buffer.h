// Byte buffer: octets that grow at their end. A failure to grow is remembered, and what follows
// is left out: whoever writes asks once, when done.
//
// Threads: one at a time. No clock, no file.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct byte_buffer {
	uint8_t *bytes;
	size_t n;
	size_t size;
	bool failed; // out of memory: what was put since is missing
};

// Makes room for `n` more octets. Whether there is.
[[nodiscard]] bool byte_buffer_reserve(struct byte_buffer *buffer, size_t n);

// Frees its memory; it may be used again.
void byte_buffer_done(struct byte_buffer *buffer);

// Empties it and keeps its memory.
static inline void byte_buffer_reset(struct byte_buffer *buffer) {
	buffer->n = 0;
	buffer->failed = false;
}

static inline void byte_buffer_put(struct byte_buffer *buffer, const void *bytes, size_t n) {
	if (n == 0 || !byte_buffer_reserve(buffer, n))
		return;
	memcpy(buffer->bytes + buffer->n, bytes, n);
	buffer->n += n;
}

static inline void byte_buffer_put8(struct byte_buffer *buffer, uint8_t byte) {
	byte_buffer_put(buffer, &byte, 1);
}

// Little-endian, as all of Parquet.
static inline void byte_buffer_put32(struct byte_buffer *buffer, uint32_t v) {
	uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
	byte_buffer_put(buffer, bytes, sizeof(bytes));
}

// ULEB128: seven bits an octet, the lowest first.
static inline void byte_buffer_put_varint(struct byte_buffer *buffer, uint64_t v) {
	uint8_t bytes[10];
	unsigned n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	byte_buffer_put(buffer, bytes, n);
}

// A signed number as ULEB128, so that small negative ones are short.
static inline void byte_buffer_put_zigzag(struct byte_buffer *buffer, int64_t v) {
	byte_buffer_put_varint(buffer, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}
