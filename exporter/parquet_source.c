#include "parquet_source.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parquet_reader.h"

int parquet_fail(char *error, int code, const char *format, ...) {
	va_list args;

	va_start(args, format);
	vsnprintf(error, PARQUET_ERROR_BYTES, format, args);
	va_end(args);
	return -code;
}

int parquet_source_fd(struct parquet_source *source, int fd, char *error) {
	struct stat status;

	if (fstat(fd, &status) < 0)
		return parquet_fail(error, errno, "%s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return parquet_fail(error, EBADMSG, "not a file: Parquet is read from its end");
	*source = (struct parquet_source){.fd = fd, .n_bytes = (uint64_t)status.st_size};
	return 0;
}

int parquet_source_read(
	const struct parquet_source *source, uint64_t offset, void *out, size_t n, char *error
) {
	size_t done = 0;

	if (offset > source->n_bytes || n > source->n_bytes - offset)
		return parquet_fail(
			error,
			EBADMSG,
			"%zu octets at offset %llu of a file of %llu",
			n,
			(unsigned long long)offset,
			(unsigned long long)source->n_bytes
		);
	if (source->fd < 0) {
		memcpy(out, source->memory + offset, n);
		return 0;
	}
	while (done < n) {
		ssize_t got =
			pread(source->fd, (uint8_t *)out + done, n - done, (off_t)(offset + done));
		unsigned long long at = offset + done;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return parquet_fail(
				error, errno, "cannot read at offset %llu: %s", at, strerror(errno)
			);
		if (got == 0)
			return parquet_fail(
				error, EBADMSG, "cut at offset %llu while it was read", at
			);
		done += (size_t)got;
	}
	return 0;
}
