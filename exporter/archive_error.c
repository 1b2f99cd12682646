#include "archive_error.h"

#include <stdarg.h>
#include <stdio.h>

#include "archive_files.h"

int archive_error(char *error, int rc, const char *format, ...) {
	va_list args;

	va_start(args, format);
	vsnprintf(error, ARCHIVE_ERROR_BYTES, format, args);
	va_end(args);
	return rc;
}
