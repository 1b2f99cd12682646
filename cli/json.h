// JSON: the one thing about it that printf() cannot do.

#pragma once

#include <stdio.h>

// A string in its quotes.
void json_string(FILE *out, const char *text);
