// UTF-8: whether octets are a character of it (RFC 3629 section 4: no overlong forms, no
// surrogates, nothing above U+10FFFF).
//
// Pure.

#pragma once

#include <stddef.h>

// How many octets the character at `text`, which NUL ends, has; 0 where there is none. NUL itself
// is one of 1.
size_t utf8_bytes(const char *text);
