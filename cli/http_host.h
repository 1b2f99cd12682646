// HTTP host: whether a request's Host header names this machine.
//
// A page of someone else's, in a browser that may reach weir, can have its own name resolve to
// weir's address (DNS rebinding), and would read what weir answers as its own. The browser then
// says that name. An address cannot be made to lie so, nor can "localhost".
//
// Pure.

#pragma once

#include <stdbool.h>

// `header` is HOST[:PORT] as it came, or NULL; `own` is the host that the user named. True where
// the header has an address, "localhost" or `own`.
bool http_host_allowed(const char *header, const char *own);
