#include "decode_source.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

enum {
	HOST_BYTES = 256,
	RECEIVE_BUFFER_BYTES = 8 << 20,
	DATAGRAM_BYTES = 65536,
};

// Splits "PORT", "HOST:PORT" or "[HOST]:PORT". Returns what is wrong with it, or NULL.
static const char *split(const char *at, char *host, const char **port) {
	const char *colon = strrchr(at, ':'), *begin = at, *end = colon;
	char *rest;

	*host = '\0';
	*port = colon != NULL ? colon + 1 : at;
	unsigned long number = strtoul(*port, &rest, 10);
	if (**port < '0' || **port > '9' || *rest != '\0' || number > UINT16_MAX)
		return "the port is not a number up to 65535";
	if (colon == NULL)
		return NULL;
	if (*begin == '[') {
		if (end == begin || end[-1] != ']')
			return "not [ADDRESS]:PORT";
		begin++;
		end--;
	} else if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
		return "an IPv6 address must stand in brackets";
	}
	if (end == begin || end - begin >= HOST_BYTES)
		return "no host that could be one";
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	return NULL;
}

static int open_one(const struct addrinfo *at, bool any) {
	int fd = socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);

	if (fd < 0)
		return -errno;
	// Best effort: the kernel may cap the buffer, and not count what it loses.
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){RECEIVE_BUFFER_BYTES}, sizeof(int))
	    < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){RECEIVE_BUFFER_BYTES}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &(int){1}, sizeof(int));
	// Without a host one socket takes both families.
	if (at->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){!any}, sizeof(int));
	if (bind(fd, at->ai_addr, at->ai_addrlen) == 0)
		return fd;
	int error = errno;
	close(fd);
	return -error;
}

// Prefers IPv6, which takes IPv4 too, where no host is named.
static int open_any(const struct addrinfo *found, bool any) {
	int rc = -EADDRNOTAVAIL;

	for (const struct addrinfo *at = found; at != NULL; at = at->ai_next)
		if (!any || at->ai_family == AF_INET6) {
			rc = open_one(at, any);
			if (rc >= 0)
				return rc;
		}
	for (const struct addrinfo *at = found; at != NULL && any; at = at->ai_next)
		if (at->ai_family != AF_INET6) {
			rc = open_one(at, any);
			if (rc >= 0)
				return rc;
		}
	return rc;
}

static void name_of(const struct sockaddr_storage *address, socklen_t bytes, char *text, size_t n) {
	char host[HOST_BYTES] = "?", port[8] = "?";

	getnameinfo(
		(const struct sockaddr *)address,
		bytes,
		host,
		sizeof(host),
		port,
		sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV
	);
	snprintf(text, n, address->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static int open_socket(const char *at, uint16_t *port_number) {
	char host[HOST_BYTES], name[HOST_BYTES + 16];
	const char *port, *wrong = split(at, host, &port);
	struct addrinfo *found;
	struct sockaddr_storage bound = {0};
	socklen_t bytes = sizeof(bound);

	if (wrong != NULL) {
		fprintf(stderr,
			"weir decode: --listen %s: %s; use PORT, HOST:PORT or [IPV6]:PORT\n",
			at,
			wrong);
		return -EINVAL;
	}
	int rc = getaddrinfo(
		*host != '\0' ? host : NULL,
		port,
		&(const struct addrinfo){
			.ai_socktype = SOCK_DGRAM,
			.ai_flags = AI_NUMERICSERV | AI_PASSIVE,
		},
		&found
	);
	if (rc != 0) {
		fprintf(stderr,
			"weir decode: --listen %s: cannot resolve %s: %s\n",
			at,
			host,
			rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
		return -EHOSTUNREACH;
	}
	int fd = open_any(found, *host == '\0');
	freeaddrinfo(found);
	if (fd < 0) {
		fprintf(stderr, "weir decode: --listen %s: %s\n", at, strerror(-fd));
		return fd;
	}
	if (getsockname(fd, (struct sockaddr *)&bound, &bytes) < 0) {
		int error = errno;
		fprintf(stderr, "weir decode: --listen %s: %s\n", at, strerror(error));
		close(fd);
		return -error;
	}
	// Both families have it at the same place.
	static_assert(
		offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
		""
	);
	*port_number = wire_get16((const uint8_t *)&bound + offsetof(struct sockaddr_in, sin_port));
	name_of(&bound, bytes, name, sizeof(name));
	fprintf(stderr, "weir decode: listening on %s\n", name);
	return fd;
}

static void
set_from(struct flow_decode_from *from, const struct sockaddr_storage *address, uint16_t to_port) {
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

	*from = (struct flow_decode_from){.family = 4, .to_port = to_port};
	if (address->ss_family == AF_INET) {
		memcpy(from->address, &in->sin_addr, 4);
		from->port = ntohs(in->sin_port);
	} else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		memcpy(from->address, in6->sin6_addr.s6_addr + 12, 4);
		from->port = ntohs(in6->sin6_port);
	} else {
		from->family = 6;
		memcpy(from->address, &in6->sin6_addr, 16);
		from->port = ntohs(in6->sin6_port);
	}
}

// The kernel tells with each datagram how many it has had no room for.
static void note_overflow(struct decode_source *source, struct msghdr *message) {
	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL;
	     at = CMSG_NXTHDR(message, at)) {
		uint32_t n;
		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SO_RXQ_OVFL)
			continue;
		memcpy(&n, CMSG_DATA(at), sizeof(n));
		source->overflow = n;
	}
}

static int receive(struct decode_source *source, int fd, uint16_t to_port, uint8_t *buffer) {
	struct sockaddr_storage address = {0};
	union {
		struct cmsghdr header;
		uint8_t octets[CMSG_SPACE(sizeof(uint32_t))];
	} control;
	struct iovec vector = {.iov_base = buffer, .iov_len = DATAGRAM_BYTES};
	struct msghdr message = {
		.msg_name = &address,
		.msg_namelen = sizeof(address),
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct flow_decode_from from;
	ssize_t bytes = recvmsg(fd, &message, MSG_DONTWAIT);

	if (bytes < 0)
		return -errno;
	note_overflow(source, &message);
	set_from(&from, &address, to_port);
	flow_decode_datagram(source->decoder, &from, buffer, (size_t)bytes);
	return 0;
}

int decode_source_listen(struct decode_source *source, const char *at) {
	uint8_t *buffer = malloc(DATAGRAM_BYTES);
	sigset_t blocked, before;
	uint16_t to_port = 0;
	int rc = 0, fd;

	if (buffer == NULL) {
		fprintf(stderr, "weir decode: %s\n", strerror(ENOMEM));
		return -ENOMEM;
	}
	fd = open_socket(at, &to_port);
	if (fd < 0) {
		free(buffer);
		return fd;
	}
	// Signals come in ppoll() alone, so that none is missed on the way to it.
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	while (rc == 0 && !decode_source_done(source)) {
		rc = receive(source, fd, to_port, buffer);
		if (rc == -EAGAIN || rc == -EINTR) {
			source->flush(source->arg);
			struct pollfd poll = {.fd = fd, .events = POLLIN};
			rc = ppoll(&poll, 1, NULL, &before) < 0 && errno != EINTR ? -errno : 0;
		} else {
			// Even where datagrams never end.
			ppoll(NULL, 0, &(struct timespec){0}, &before);
		}
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (rc < 0)
		fprintf(stderr, "weir decode: --listen %s: %s\n", at, strerror(-rc));
	close(fd);
	free(buffer);
	return rc;
}
