#include "live_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	PATIENCE_S = 10,
};

static int read_whole(int fd, void *bytes, size_t n) {
	char *at = bytes;

	while (n > 0) {
		ssize_t got = recv(fd, at, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EPIPE;
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

static int connect_to(const char *path, char *error) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = PATIENCE_S};

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(error, LIVE_SOCKET_ERROR_BYTES, "%s: too long for a socket", path);
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		return fd;
	}
	int rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc == -ENOENT || rc == -ECONNREFUSED)
		snprintf(
			error,
			LIVE_SOCKET_ERROR_BYTES,
			"no sensor runs at %s; 'weir run' listens there, or where its --socket "
			"says",
			path
		);
	else
		snprintf(
			error,
			LIVE_SOCKET_ERROR_BYTES,
			"%s: %s%s",
			path,
			strerror(-rc),
			rc == -EACCES ? "; the user who started weir may ask, and root" : ""
		);
	return rc;
}

// Room for `n` more.
static int grow(struct live_flows *flows, size_t *room, size_t n) {
	if (flows->n + n <= *room)
		return 0;
	size_t wanted = 2 * *room + n;
	struct flow_record *records = realloc(flows->records, wanted * sizeof(*records));
	if (records == NULL)
		return -ENOMEM;
	flows->records = records;
	*room = wanted;
	return 0;
}

static int receive(int fd, struct live_flows *flows) {
	struct live_header header;
	size_t room = 0;
	uint32_t n;

	int rc = read_whole(fd, &header, sizeof(header));
	if (rc < 0)
		return rc;
	if (header.magic != LIVE_MAGIC || header.record_bytes != sizeof(struct flow_record))
		return -EPROTO;
	flows->sampling_rate = header.sampling_rate;
	for (;;) {
		rc = read_whole(fd, &n, sizeof(n));
		if (rc < 0 || n == 0)
			return rc;
		if (n > LIVE_PART_RECORDS)
			return -EPROTO;
		rc = grow(flows, &room, n);
		if (rc == 0)
			rc = read_whole(fd, &flows->records[flows->n], n * sizeof(*flows->records));
		if (rc < 0)
			return rc;
		flows->n += n;
	}
}

int live_client_flows(const char *path, struct live_flows *flows, char *error) {
	*flows = (struct live_flows){0};
	int fd = connect_to(path, error);
	if (fd < 0)
		return fd;
	int rc = send(fd, "flows\n", 6, MSG_NOSIGNAL) == 6 ? 0 : -EPIPE;
	if (rc == 0)
		rc = receive(fd, flows);
	close(fd);
	if (rc < 0) {
		snprintf(
			error,
			LIVE_SOCKET_ERROR_BYTES,
			"%s: %s",
			path,
			rc == -EPROTO ? "another version of weir runs there" : strerror(-rc)
		);
		free(flows->records);
		*flows = (struct live_flows){0};
	}
	return rc;
}
