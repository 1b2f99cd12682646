#include "byte_buffer.h"

#include <stdlib.h>

enum {
	LEAST_SIZE = 256,
};

bool byte_buffer_reserve(struct byte_buffer *buffer, size_t n) {
	if (buffer->failed)
		return false;
	if (n <= buffer->size - buffer->n)
		return true;
	size_t size = buffer->size < LEAST_SIZE ? LEAST_SIZE : buffer->size;
	while (size - buffer->n < n && size <= SIZE_MAX / 2)
		size *= 2;
	uint8_t *bytes = size - buffer->n < n ? NULL : realloc(buffer->bytes, size);
	if (bytes == NULL) {
		buffer->failed = true;
		return false;
	}
	buffer->bytes = bytes;
	buffer->size = size;
	return true;
}

void byte_buffer_done(struct byte_buffer *buffer) {
	free(buffer->bytes);
	*buffer = (struct byte_buffer){0};
}
