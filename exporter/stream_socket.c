#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream_internal.h"

enum {
	KEEPALIVE_PROBES = 3,
};

// Best effort: without one of these a stream still works, but notices later.
static void set_options(int fd, unsigned stall_ms) {
	const int seconds = (int)(stall_ms / 1000 / KEEPALIVE_PROBES);
	const int interval = seconds > 0 ? seconds : 1;

	// Messages are made full before they come here; none has to wait for the next.
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	// A peer that is gone without a word is found while nothing is sent ...
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){KEEPALIVE_PROBES}, sizeof(int));
	// ... and while something is, which the kernel would repeat for a quarter of an hour.
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof(stall_ms));
}

int stream_socket_start(const struct host_address *address, unsigned stall_ms) {
	int fd = socket(
		address->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP
	);

	if (fd < 0)
		return -errno;
	set_options(fd, stall_ms);
	int rc = connect(fd, (const struct sockaddr *)&address->address, address->bytes);
	if (rc == 0 || errno == EINPROGRESS || errno == EINTR)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int stream_socket_connected(int fd) {
	struct pollfd look = {.fd = fd, .events = POLLOUT};
	int error = 0;

	int n = poll(&look, 1, 0);
	if (n == 0 || (n < 0 && errno == EINTR))
		return -EAGAIN;
	if (n < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)}) < 0)
		return -errno;
	return -error;
}

ssize_t stream_socket_send(struct stream *stream, const void *octets, size_t n) {
	ssize_t sent;

	do
		sent = send(stream->socket, octets, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0) {
		stream->octets_out += (size_t)sent;
		return sent;
	}
	return errno == EAGAIN ? -EAGAIN : stream_fail_errno(stream, errno);
}

ssize_t stream_socket_receive(struct stream *stream, void *octets, size_t n) {
	ssize_t got;

	do
		got = recv(stream->socket, octets, n, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		return got;
	if (got == 0)
		return stream_fail(stream, STREAM_CLOSED, EPIPE, "closed by the peer");
	return errno == EAGAIN ? -EAGAIN : stream_fail_errno(stream, errno);
}
