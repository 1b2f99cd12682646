// Archive error: one line of text for whoever asked.

#pragma once

// Writes it into `error` (ARCHIVE_ERROR_BYTES), cut where it is longer. Returns `rc`.
[[gnu::format(printf, 3, 4)]] int archive_error(char *error, int rc, const char *format, ...);
