#include "live_server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	BACKLOG = 4,
	LOOK_MS = 200,     // for the end of the server
	CLIENT_MS = 10000, // a client may take for a part
};

struct live_server {
	struct sockaddr_un address;
	int fd;
	const struct sensor *sensor;
	uint32_t sampling_rate;
	pthread_t thread;
	bool started;
	atomic_bool stop;
};

// One client.
struct answer {
	const struct live_server *server;
	int fd;
	bool failed;
	uint32_t n;
	struct flow_record records[LIVE_PART_RECORDS];
};

static bool stopping(const struct live_server *server) {
	// Relaxed: nothing else is to be seen with it.
	return atomic_load_explicit(&server->stop, memory_order_relaxed);
}

// Whether the socket is ready before the client has had its time.
static bool wait_for(const struct answer *answer, short events) {
	for (int waited = 0; waited < CLIENT_MS && !stopping(answer->server); waited += LOOK_MS) {
		struct pollfd fd = {.fd = answer->fd, .events = events};
		if (poll(&fd, 1, LOOK_MS) > 0)
			return true;
	}
	return false;
}

static void put(struct answer *answer, const void *bytes, size_t n) {
	const char *at = bytes;

	while (n > 0 && !answer->failed) {
		ssize_t sent = send(answer->fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0) {
			at += sent;
			n -= (size_t)sent;
		} else if (errno != EAGAIN || !wait_for(answer, POLLOUT)) {
			answer->failed = true;
		}
	}
}

static void put_part(struct answer *answer) {
	if (answer->n == 0)
		return;
	put(answer, &answer->n, sizeof(answer->n));
	put(answer, answer->records, answer->n * sizeof(answer->records[0]));
	answer->n = 0;
}

static bool on_flows(const struct flow_record *records, unsigned n, void *arg) {
	struct answer *answer = arg;

	if (answer->n + n > LIVE_PART_RECORDS)
		put_part(answer);
	memcpy(&answer->records[answer->n], records, n * sizeof(*records));
	answer->n += n;
	return !answer->failed && !stopping(answer->server);
}

// Reads the line that says what is wanted.
static bool wants_flows(const struct answer *answer) {
	char line[16];
	size_t n = 0;

	while (n < sizeof(line) && wait_for(answer, POLLIN)) {
		ssize_t got = recv(answer->fd, line + n, sizeof(line) - n, MSG_DONTWAIT);
		if (got <= 0)
			return false;
		n += (size_t)got;
		if (line[n - 1] == '\n')
			return n == 6 && memcmp(line, "flows\n", 6) == 0;
	}
	return false;
}

static void serve(const struct live_server *server, int fd) {
	struct answer answer = {.server = server, .fd = fd};
	const struct live_header header = {
		.magic = LIVE_MAGIC,
		.record_bytes = sizeof(struct flow_record),
		.sampling_rate = server->sampling_rate,
	};

	if (!wants_flows(&answer))
		return;
	put(&answer, &header, sizeof(header));
	if (sensor_running(server->sensor, on_flows, &answer)) {
		put_part(&answer);
		put(&answer, &answer.n, sizeof(answer.n));
	}
}

static void *run(void *arg) {
	const struct live_server *server = arg;

	while (!stopping(server)) {
		struct pollfd fd = {.fd = server->fd, .events = POLLIN};
		if (poll(&fd, 1, LOOK_MS) <= 0)
			continue;
		int client = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
		if (client < 0)
			continue;
		serve(server, client);
		close(client);
	}
	return NULL;
}

// The folders above the socket's file.
static void make_folders(const char *path) {
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

	snprintf(folder, sizeof(folder), "%s", path);
	for (char *at = strchr(folder + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		(void)mkdir(folder, 0755);
		*at = '/';
	}
}

// Whether someone listens there already. What nobody listens at is left over, and goes.
static bool is_taken(const struct live_server *server) {
	const struct sockaddr *address = (const struct sockaddr *)&server->address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	int rc = connect(fd, address, sizeof(server->address)) < 0 ? errno : 0;
	close(fd);
	if (rc == ECONNREFUSED)
		(void)unlink(server->address.sun_path);
	return rc == 0;
}

static int listen_at(struct live_server *server, char *error) {
	const char *path = server->address.sun_path;

	make_folders(path);
	if (is_taken(server)) {
		snprintf(
			error,
			LIVE_SOCKET_ERROR_BYTES,
			"another weir listens at %s; --socket names another place, or none",
			path
		);
		return -1;
	}
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before = umask(0177);
	int rc = server->fd < 0 ? -1
				: bind(server->fd,
				       (const struct sockaddr *)&server->address,
				       sizeof(server->address));
	umask(before);
	if (rc < 0 || listen(server->fd, BACKLOG) < 0) {
		snprintf(
			error,
			LIVE_SOCKET_ERROR_BYTES,
			"%s: cannot listen: %s; --socket names another place, or none",
			path,
			strerror(errno)
		);
		return -1;
	}
	return 0;
}

struct live_server *live_server_open(
	const char *path, const struct sensor *sensor, uint32_t sampling_rate, char *error
) {
	struct live_server *server = calloc(1, sizeof(*server));

	if (server == NULL) {
		snprintf(error, LIVE_SOCKET_ERROR_BYTES, "%s", strerror(errno));
		return NULL;
	}
	server->fd = -1;
	server->sensor = sensor;
	server->sampling_rate = sampling_rate;
	server->address.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(server->address.sun_path)) {
		snprintf(error, LIVE_SOCKET_ERROR_BYTES, "%s: too long for a socket", path);
		free(server);
		return NULL;
	}
	memcpy(server->address.sun_path, path, strlen(path) + 1);
	if (listen_at(server, error) < 0) {
		if (server->fd >= 0)
			close(server->fd);
		free(server);
		return NULL;
	}
	return server;
}

int live_server_start(struct live_server *server) {
	int rc = pthread_create(&server->thread, NULL, run, server);
	server->started = rc == 0;
	return -rc;
}

void live_server_close(struct live_server *server) {
	if (server == NULL)
		return;
	atomic_store_explicit(&server->stop, true, memory_order_relaxed);
	if (server->started)
		pthread_join(server->thread, NULL);
	(void)unlink(server->address.sun_path);
	close(server->fd);
	free(server);
}
