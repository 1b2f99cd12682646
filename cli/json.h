// JSON: the one thing about it that printf() cannot do.

#pragma once

#include <stdio.h>

// A string in its quotes. It may come from outside: what is no UTF-8 becomes U+FFFD.
void json_string(FILE *out, const char *text);
