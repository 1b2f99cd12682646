#include "live_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "live_request.h"
#include "live_status.h"
#include "reload.h"

enum {
	BACKLOG = 4,
	FILE_BYTES = sizeof(((struct sockaddr_un *)NULL)->sun_path),
	LOOK_MS = 200, // for the end of the server
	NICE = 10,     // packets go before those who ask
};

// A client may take so long for its line, and let the sensor wait so long in all.
#define REQUEST_NS (2 * NS_PER_S)
#define WAIT_NS (10 * NS_PER_S)
// Between two clients: whoever asks without end takes no core, nor the lines that workers write to.
#define PAUSE_NS (5 * NS_PER_MS)

struct live_server {
	struct sockaddr_un address;
	char *file;       // the path again, alone on a page that is read-only
	struct stat made; // the file, when it was made
	int fd;
	struct metrics_sources sources;
	struct metrics metrics;
	pthread_t thread;
	sem_t ready; // the thread has given way to others
	bool started;
	atomic_bool stop;
};

// One client.
struct answer {
	struct live_server *server;
	int fd;
	bool failed;
	time_ns_t patience_ns; // that is left
	uint32_t n;
	struct flow_record records[LIVE_PART_RECORDS];
};

static bool stopping(const struct live_server *server) {
	// Relaxed: nothing else is to be seen with it.
	return atomic_load_explicit(&server->stop, memory_order_relaxed);
}

static time_ns_t time_of(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// Whether the socket is ready before the client has had its time.
static bool wait_for(struct answer *answer, short events) {
	bool ready = false;

	while (!ready && answer->patience_ns > 0 && !stopping(answer->server)) {
		struct pollfd fd = {.fd = answer->fd, .events = events};
		time_ns_t begun_ns = time_of(CLOCK_MONOTONIC);
		ready = poll(&fd, 1, LOOK_MS) > 0;
		answer->patience_ns -= time_of(CLOCK_MONOTONIC) - begun_ns;
	}
	return ready;
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

// Reads the line that says what is wanted. Returns whether there is one.
static bool read_request(struct answer *answer, char line[LIVE_REQUEST_BYTES]) {
	size_t n = 0;

	while (n < LIVE_REQUEST_BYTES - 1 && wait_for(answer, POLLIN)) {
		ssize_t got = recv(answer->fd, line + n, LIVE_REQUEST_BYTES - 1 - n, MSG_DONTWAIT);
		if (got <= 0)
			return false;
		n += (size_t)got;
		line[n] = '\0';
		if (line[n - 1] == '\n')
			return strlen(line) == n;
	}
	return false;
}

static void put_header(struct answer *answer) {
	const struct metrics_sources *sources = &answer->server->sources;
	const struct live_header header = {
		.magic = LIVE_MAGIC,
		.record_bytes = sizeof(struct flow_record),
		.sampling_rate = sources->sampling_interval,
		.now_ticks = ticks_of_ns(time_of(CLOCK_REALTIME)),
		.n_buckets = sensor_buckets(sources->sensor),
	};

	put(answer, &header, sizeof(header));
}

// What is left of the flows, and the end.
static void put_end(struct answer *answer) {
	put_part(answer);
	put(answer, &answer->n, sizeof(answer->n));
}

static void serve_status(struct answer *answer) {
	struct live_server *server = answer->server;
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (out == NULL)
		return;
	metrics_take(&server->metrics, &server->sources);
	live_status_print(&server->metrics, time_of(CLOCK_REALTIME), out);
	if (fclose(out) == 0)
		put(answer, text, bytes);
	free(text);
}

static void serve_reload(struct answer *answer) {
	struct reload *reload = answer->server->sources.reload;
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (out == NULL)
		return;
	if (reload != NULL)
		reload_ask(reload, out);
	else
		fputs("none\n", out);
	if (fclose(out) == 0)
		put(answer, text, bytes);
	free(text);
}

static void serve(struct live_server *server, int fd) {
	struct answer answer = {.server = server, .fd = fd, .patience_ns = REQUEST_NS};
	const struct sensor *sensor = server->sources.sensor;
	char line[LIVE_REQUEST_BYTES];
	struct live_request request;

	if (!read_request(&answer, line) || live_request_parse(line, &request) < 0)
		return;
	answer.patience_ns = WAIT_NS;
	switch (request.want) {
	case LIVE_STATUS:
		serve_status(&answer);
		return;
	case LIVE_RELOAD:
		serve_reload(&answer);
		return;
	case LIVE_FLOWS:
		put_header(&answer);
		if (sensor_running(sensor, on_flows, &answer))
			put_end(&answer);
		return;
	case LIVE_ACTIVE:
		put_header(&answer);
		if (sensor_active(
			    sensor,
			    request.first,
			    request.count,
			    request.since_ticks,
			    on_flows,
			    &answer
		    ))
			put_end(&answer);
		return;
	}
}

static void *run(void *arg) {
	struct live_server *server = arg;

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	sem_post(&server->ready);
	while (!stopping(server)) {
		struct pollfd fd = {.fd = server->fd, .events = POLLIN};
		if (poll(&fd, 1, LOOK_MS) <= 0)
			continue;
		int client = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
		if (client < 0)
			continue;
		serve(server, client);
		close(client);
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
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
	if (lstat(path, &server->made) < 0)
		server->made = (struct stat){0};
	return 0;
}

// Without it the file stays, and that is all.
static void keep_path(struct live_server *server) {
	void *page =
		mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	memcpy(page, server->address.sun_path, FILE_BYTES);
	mprotect(page, FILE_BYTES, PROT_READ);
	server->file = page;
}

// Another weir may have found the path free, and made its own.
static void delete_file(struct live_server *server) {
	struct stat now;

	if (server->file != NULL && lstat(server->file, &now) == 0
	    && now.st_dev == server->made.st_dev && now.st_ino == server->made.st_ino)
		(void)unlinkat(AT_FDCWD, server->file, 0);
	if (server->file != NULL)
		munmap(server->file, FILE_BYTES);
}

const char *live_server_file(const struct live_server *server) {
	return server != NULL ? server->file : NULL;
}

struct live_server *
live_server_open(const char *path, const struct metrics_sources *sources, char *error) {
	struct live_server *server = calloc(1, sizeof(*server));

	if (server == NULL) {
		snprintf(error, LIVE_SOCKET_ERROR_BYTES, "%s", strerror(errno));
		return NULL;
	}
	server->fd = -1;
	server->sources = *sources;
	metrics_begin(&server->metrics);
	sem_init(&server->ready, 0, 0);
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
	keep_path(server);
	return server;
}

int live_server_start(struct live_server *server) {
	int rc = pthread_create(&server->thread, NULL, run, server);
	server->started = rc == 0;
	// Before the sandbox, in which it could not.
	while (server->started && sem_wait(&server->ready) < 0)
		; // a signal came
	return -rc;
}

void live_server_close(struct live_server *server) {
	if (server == NULL)
		return;
	atomic_store_explicit(&server->stop, true, memory_order_relaxed);
	if (server->started)
		pthread_join(server->thread, NULL);
	// The file first: while someone listens nobody else takes the path.
	delete_file(server);
	close(server->fd);
	free(server);
}
