// Page: the status page as embed.py joins and embeds it.

#pragma once

#include <stddef.h>

extern const char page_text[];
extern const size_t page_bytes;

// Its Content-Security-Policy, which allows the page's own style and script by their hashes and
// questions to where it came from, and nothing else.
extern const char page_policy[];
