// A collector's socket: a destination as the user wrote it becomes a connected UDP socket.
//
// Threads: any.

#pragma once

#include <stdbool.h>

// Resolves, opens, connects; does not block to send. Returns the socket and its address family,
// or a negative errno with one line in `error` (COLLECTOR_ERROR_BYTES) that names the
// destination, the cause and the remedy.
[[nodiscard]] int collector_socket_open(const char *destination, int *family, char *error);

// Whether HOST in `destination` is a name.
bool collector_socket_has_name(const char *destination);

// The same again for a socket that is open: takes the place of `socket`, with its source port where
// that can be had. Leaves it as it is on an error: -EHOSTUNREACH where the name does not resolve.
[[nodiscard]] int
collector_socket_renew(const char *destination, int *socket, int *family, char *error);
