// Host and port: the two halves of a destination as the user wrote it.
//
// Pure.

#pragma once

enum {
	HOST_PORT_HOST_BYTES = 256,
};

// Splits "HOST:PORT" or "[HOST]:PORT" into `host` (HOST_PORT_HOST_BYTES), without the brackets,
// and `port`, a number from 1 to 65535 that stays where it is in `destination`. Returns what is
// wrong with it, in words, or NULL.
[[nodiscard]] const char *host_port_split(const char *destination, char *host, const char **port);
