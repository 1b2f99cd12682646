#include "collector_socket.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector.h"

enum {
	HOST_BYTES = 256,
	SEND_BUFFER_BYTES = 1 << 20,
};

// Splits "HOST:PORT" or "[HOST]:PORT". Returns what is wrong with it, or NULL.
static const char *split(const char *destination, char *host, const char **port) {
	const char *begin = destination, *end;

	if (*begin == '[') {
		end = strchr(++begin, ']');
		if (end == NULL || end[1] != ':')
			return "not [ADDRESS]:PORT";
		*port = end + 2;
	} else {
		end = strrchr(begin, ':');
		if (end == NULL)
			return "no port";
		if (memchr(begin, ':', (size_t)(end - begin)) != NULL)
			return "an IPv6 address must stand in brackets";
		*port = end + 1;
	}
	if (end == begin || end - begin >= HOST_BYTES)
		return "no host that could be one";

	char *rest;
	errno = 0;
	unsigned long number = strtoul(*port, &rest, 10);
	if (**port < '0' || **port > '9' || *rest != '\0')
		return "the port is not a number";
	if (number < 1 || number > 65535 || errno == ERANGE)
		return "the port must be from 1 to 65535";
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	return NULL;
}

// A connected socket for one of the addresses of `found`, the first that works.
static int connect_any(const struct addrinfo *found, int *family) {
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
		if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
			*family = at->ai_family;
			return fd;
		}
		error = errno;
		close(fd);
	}
	return -error;
}

int collector_socket_open(const char *destination, int *family, char *error) {
	const struct addrinfo hints = {
		.ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_NUMERICSERV,
	};
	char host[HOST_BYTES];
	const char *port;
	struct addrinfo *found;

	const char *wrong = split(destination, host, &port);
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
	rc = connect_any(found, family);
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
