// Name lookup: a host's addresses, asked for on a thread of its own. getaddrinfo() waits for name
// servers for as long as they are configured to be waited for, and nothing ends it before; who
// looks a name up here waits only as long as they like.
//
// Threads: a lookup is one thread's, the one that started it.

#pragma once

#include <stdbool.h>
#include <sys/socket.h>

enum {
	NAME_LOOKUP_MAX = 16, // addresses of a host that are looked at
};

struct host_address {
	struct sockaddr_storage address;
	socklen_t bytes;
};

struct name_lookup;

// The addresses of a host for a TCP connection, waiting for them. `host` may be an address; with
// `numeric` it must be one, and nobody is asked. Returns how many, at least 1, or a negative
// number with its cause in `*wrong`, a string that stays.
[[nodiscard]] int name_lookup_now(
	const char *host,
	const char *port,
	bool numeric,
	struct host_address addresses[NAME_LOOKUP_MAX],
	const char **wrong
);

// Starts the same. NULL with errno.
[[nodiscard]] struct name_lookup *name_lookup_start(const char *host, const char *port);

// Becomes readable when the answer is there.
int name_lookup_fd(const struct name_lookup *lookup);

// The answer, as of name_lookup_now(); or 0 when it is not there yet.
[[nodiscard]] int name_lookup_take(
	struct name_lookup *lookup,
	struct host_address addresses[NAME_LOOKUP_MAX],
	const char **wrong
);

// Frees the lookup. One that still runs ends by itself, unheard. NULL is fine.
void name_lookup_free(struct name_lookup *lookup);
