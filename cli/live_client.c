#include "live_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	PATIENCE_S = 10,
	RELOAD_PATIENCE_S = 70, // the sensor's own is a minute
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
	// Of connect() too, where others wait already.
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
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

static int ask(int fd, const char *request) {
	size_t n = strlen(request);
	return send(fd, request, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -EPIPE;
}

static int read_header(int fd, struct live_header *header) {
	int rc = read_whole(fd, header, sizeof(*header));
	if (rc < 0)
		return rc;
	if (header->magic != LIVE_MAGIC || header->record_bytes != sizeof(struct flow_record))
		return -EPROTO;
	return 0;
}

// Says what went wrong, if anything did. Returns `rc`.
static int told(int rc, const char *path, char *error) {
	const char *cause = rc < 0 ? strerror(-rc) : "";

	if (rc == -EPROTO)
		cause = "another version of weir runs there";
	else if (rc == -EPIPE)
		cause = "the sensor ended, or gave up this client";
	else if (rc == -EAGAIN)
		cause = "the sensor does not answer";
	if (rc < 0)
		snprintf(error, LIVE_SOCKET_ERROR_BYTES, "%s: %s", path, cause);
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

	int rc = read_header(fd, &header);
	if (rc < 0)
		return rc;
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
	int rc = ask(fd, "flows\n");
	if (rc == 0)
		rc = receive(fd, flows);
	close(fd);
	if (rc < 0) {
		free(flows->records);
		*flows = (struct live_flows){0};
	}
	return told(rc, path, error);
}

static int receive_active(
	int fd,
	void (*begin)(const struct live_header *header, void *arg),
	void (*add)(const struct flow_record *records, size_t n, void *arg),
	void *arg
) {
	struct flow_record records[LIVE_PART_RECORDS];
	struct live_header header;
	uint32_t n;

	int rc = read_header(fd, &header);
	if (rc < 0)
		return rc;
	begin(&header, arg);
	for (;;) {
		rc = read_whole(fd, &n, sizeof(n));
		if (rc < 0 || n == 0)
			return rc;
		if (n > LIVE_PART_RECORDS)
			return -EPROTO;
		rc = read_whole(fd, records, n * sizeof(records[0]));
		if (rc < 0)
			return rc;
		add(records, n, arg);
	}
}

int live_client_active(
	const char *path,
	const struct live_request *request,
	void (*begin)(const struct live_header *header, void *arg),
	void (*add)(const struct flow_record *records, size_t n, void *arg),
	void *arg,
	char *error
) {
	char line[LIVE_REQUEST_BYTES];

	int fd = connect_to(path, error);
	if (fd < 0)
		return fd;
	snprintf(
		line,
		sizeof(line),
		"active %" PRIu64 " %" PRIu32 " %" PRIu32 "\n",
		request->since_ticks,
		request->first,
		request->count
	);
	int rc = ask(fd, line);
	if (rc == 0)
		rc = receive_active(fd, begin, add, arg);
	close(fd);
	return told(rc, path, error);
}

// All that comes until the sensor closes, `most` octets. Returns how much, or a negative errno.
static ssize_t read_text(int fd, char *text, size_t most) {
	size_t n = 0;

	while (n < most) {
		ssize_t got = recv(fd, text + n, most - n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return n == 0 ? -EPIPE : (ssize_t)n;
}

int live_client_reload(const char *path, char **text, char *error) {
	const struct timeval patience = {.tv_sec = RELOAD_PATIENCE_S};

	*text = calloc(1, LIVE_RELOAD_BYTES + 1);
	if (*text == NULL)
		return told(-ENOMEM, path, error);
	int fd = connect_to(path, error);
	ssize_t n = fd;
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		n = ask(fd, "reload\n");
		if (n == 0)
			n = read_text(fd, *text, LIVE_RELOAD_BYTES);
		close(fd);
		(void)told((int)n, path, error);
	}
	if (n >= 0)
		return 0;
	free(*text);
	*text = NULL;
	return (int)n;
}

int live_client_status(const char *path, struct live_status *status, char *error) {
	char wrong[LIVE_STATUS_ERROR_BYTES];
	char *text = malloc(LIVE_STATUS_MOST_BYTES);

	if (text == NULL)
		return told(-ENOMEM, path, error);
	int fd = connect_to(path, error);
	if (fd < 0) {
		free(text);
		return fd;
	}
	ssize_t n = ask(fd, "status\n");
	if (n == 0)
		n = read_text(fd, text, LIVE_STATUS_MOST_BYTES);
	close(fd);
	int rc = n < 0 ? told((int)n, path, error) : 0;
	if (rc == 0) {
		rc = live_status_parse(text, (size_t)n, status, wrong);
		if (rc < 0)
			snprintf(error, LIVE_SOCKET_ERROR_BYTES, "%s: %s", path, wrong);
	}
	free(text);
	return rc;
}
