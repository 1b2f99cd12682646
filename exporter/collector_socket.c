#include "collector_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector.h"
#include "host_port.h"

enum {
	SEND_BUFFER_BYTES = 1 << 20,
};

// Binds to the port of `named`, for whoever keeps apart exporters by their ports. Best effort: its
// family may be another, and another socket may have the port.
static void bind_like(int fd, const struct sockaddr_storage *named) {
	struct sockaddr_storage any = {.ss_family = named->ss_family};
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (named->ss_family == AF_INET6) {
		memcpy(&in6, named, sizeof(in6));
		in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = in6.sin6_port};
		memcpy(&any, &in6, sizeof(in6));
	} else {
		memcpy(&in, named, sizeof(in));
		in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = in.sin_port};
		memcpy(&any, &in, sizeof(in));
	}
	// This socket and the one that it replaces have the port for a moment. Else no two have:
	// the kernel would give it to two that both allow it.
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	(void)bind(fd, (struct sockaddr *)&any, sizeof(any));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){0}, sizeof(int));
}

// A connected socket for one of the addresses of `found`, the first that works. With the source
// port of `named`, if that is not NULL.
static int
connect_any(const struct addrinfo *found, const struct sockaddr_storage *named, int *family) {
	int error = EADDRNOTAVAIL;

	for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
		int fd =
			socket(at->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP
			);
		if (fd < 0) {
			error = errno;
			continue;
		}
		// Best effort: the kernel may cap it.
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER_BYTES}, sizeof(int));
		if (named != NULL)
			bind_like(fd, named);
		if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
			*family = at->ai_family;
			return fd;
		}
		error = errno;
		close(fd);
	}
	return -error;
}

static int
open_like(const char *destination, const struct sockaddr_storage *named, int *family, char *error) {
	const struct addrinfo hints = {
		.ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_NUMERICSERV,
	};
	char host[HOST_PORT_HOST_BYTES];
	const char *port;
	struct addrinfo *found;

	const char *wrong = host_port_split(destination, host, &port);
	if (wrong != NULL) {
		snprintf(
			error,
			COLLECTOR_ERROR_BYTES,
			"collector %s: %s; use HOST:PORT or [IPV6]:PORT, such as 127.0.0.1:2055",
			destination,
			wrong
		);
		return -EINVAL;
	}
	int rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0) {
		snprintf(
			error,
			COLLECTOR_ERROR_BYTES,
			"collector %s: cannot resolve %s: %s; check the name, or give an address",
			destination,
			host,
			rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc)
		);
		return -EHOSTUNREACH;
	}
	rc = connect_any(found, named, family);
	freeaddrinfo(found);
	if (rc < 0)
		snprintf(
			error,
			COLLECTOR_ERROR_BYTES,
			"collector %s: cannot be reached from here: %s; check the address and the "
			"routes",
			destination,
			strerror(-rc)
		);
	return rc;
}

int collector_socket_open(const char *destination, int *family, char *error) {
	return open_like(destination, NULL, family, error);
}

bool collector_socket_has_name(const char *destination) {
	char host[HOST_PORT_HOST_BYTES];
	const char *port;
	struct in6_addr address;

	// A scope behind an IPv6 address ("%eth0") is no name.
	if (host_port_split(destination, host, &port) != NULL)
		return false;
	host[strcspn(host, "%")] = '\0';
	return inet_pton(AF_INET, host, &address) != 1 && inet_pton(AF_INET6, host, &address) != 1;
}

int collector_socket_renew(const char *destination, int *socket, int *family, char *error) {
	struct sockaddr_storage named = {0};
	socklen_t bytes = sizeof(named);
	int new_family = AF_UNSPEC;

	bool has_name = getsockname(*socket, (struct sockaddr *)&named, &bytes) == 0;
	setsockopt(*socket, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	int fd = open_like(destination, has_name ? &named : NULL, &new_family, error);
	if (fd < 0)
		return fd;
	close(*socket);
	*socket = fd;
	*family = new_family;
	return 0;
}
