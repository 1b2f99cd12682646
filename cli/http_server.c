#include "http_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http_host.h"
#include "log.h"

enum {
	HOST_BYTES = 256,
	BACKLOG = 16,
	MISDIRECTED = 421,     // RFC 9110 section 15.5.20
	NICE = 10,             // packets go before those who ask
	REQUEST_BYTES = 16384, // of a connection: the request's head, and what the answer needs
};

// For text: nothing in it is to run, be loaded or be framed, whatever a browser takes it for.
#define NO_POLICY "default-src 'none'; frame-ancestors 'none'"

struct client {
	int fd;
	time_ns_t begun_ns; // of the connection, or the end of its last answer; 0 = no client
};

struct http_server {
	struct http_server_config config;
	struct MHD_Daemon *daemon; // NULL before it runs
	int fd;
	char host[HOST_BYTES]; // as the user named it
	pthread_mutex_t lock;  // for the clients
	struct client clients[HTTP_MAX_CONNECTIONS];
	char url[HOST_BYTES + 32];
};

int http_answer_print(struct http_answer *answer, const char *format, ...) {
	va_list args;

	va_start(args, format);
	int n = vasprintf(&answer->body, format, args);
	va_end(args);
	if (n < 0) {
		answer->body = NULL;
		return -ENOMEM;
	}
	answer->body_bytes = (size_t)n;
	return 0;
}

static enum MHD_Result
send_answer(struct MHD_Connection *connection, const struct http_answer *answer) {
	struct MHD_Response *response = MHD_create_response_from_buffer(
		answer->body_bytes, answer->body, MHD_RESPMEM_MUST_FREE
	);

	if (response == NULL) {
		free(answer->body);
		return MHD_NO;
	}
	const char *const headers[][2] = {
		{MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type},
		// The numbers are of now, and no browser is to guess what they are.
		{MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
		{"X-Content-Type-Options", "nosniff"},
		{"Content-Security-Policy", answer->policy != NULL ? answer->policy : NO_POLICY},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
	};
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		(void)MHD_add_response_header(response, headers[i][0], headers[i][1]);
	if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result sent = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return sent;
}

// A line that says what would do.
static int answer_unknown(const struct http_server *server, struct http_answer *answer) {
	char paths[256] = "";
	size_t used = 0;

	for (unsigned i = 0; i < server->config.n_routes && used < sizeof(paths); i++)
		used += (size_t
		)snprintf(paths + used, sizeof(paths) - used, " %s", server->config.routes[i].path);
	answer->status = MHD_HTTP_NOT_FOUND;
	return http_answer_print(answer, "no such page; there are%s\n", paths);
}

static int answer_stranger(const struct http_server *server, struct http_answer *answer) {
	answer->status = MISDIRECTED;
	return http_answer_print(
		answer,
		"this is told only to who asks %s by its address, or by the name given in "
		"--http\n",
		server->url
	);
}

static int answer_path(
	const struct http_server *server,
	const struct http_request *request,
	struct http_answer *answer
) {
	for (unsigned i = 0; i < server->config.n_routes; i++) {
		const struct http_route *route = &server->config.routes[i];
		if (strcmp(request->path, route->path) != 0)
			continue;
		if (route->guarded && !http_host_allowed(request->host, server->host))
			return answer_stranger(server, answer);
		return route->answer(request, answer, server->config.arg);
	}
	return answer_unknown(server, answer);
}

static enum MHD_Result on_request(
	void *arg,
	struct MHD_Connection *connection,
	const char *path,
	const char *method,
	const char *version,
	const char *body,
	size_t *body_bytes,
	void **of_request
) {
	const struct http_server *server = arg;
	struct http_answer answer = {
		.status = MHD_HTTP_OK,
		.content_type = "text/plain; charset=utf-8",
	};
	bool readable = strcmp(method, MHD_HTTP_METHOD_GET) == 0
			|| strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	int rc;

	(void)version;
	(void)body;
	// Called first when the head has come, then for parts of a body, then when all has.
	if (readable && *of_request == NULL) {
		*of_request = connection;
		return MHD_YES;
	}
	if (readable && *body_bytes > 0) {
		*body_bytes = 0; // of no use
		return MHD_YES;
	}
	if (readable) {
		struct http_request request = {
			.path = path,
			.host = MHD_lookup_connection_value(
				connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST
			),
		};
		request.accept = MHD_lookup_connection_value(
			connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT
		);
		if (request.accept == NULL)
			request.accept = "";
		rc = answer_path(server, &request, &answer);
	} else {
		answer.status = MHD_HTTP_METHOD_NOT_ALLOWED;
		rc = http_answer_print(&answer, "nothing but GET and HEAD\n");
	}
	log_event(
		LOG_LEVEL_DEBUG,
		"http",
		"%s %s: %u, %zu bytes",
		method,
		path,
		answer.status,
		answer.body_bytes
	);
	if (rc == 0)
		return send_answer(connection, &answer);
	free(answer.body);
	answer.status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	if (http_answer_print(&answer, "%s\n", strerror(-rc)) < 0)
		return MHD_NO;
	return send_answer(connection, &answer);
}

static time_ns_t monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// The descriptor is the client's until this has been called with its end: so long nothing else has
// its number.
static void on_connection(
	void *arg,
	struct MHD_Connection *connection,
	void **of_connection,
	enum MHD_ConnectionNotificationCode code
) {
	struct http_server *server = arg;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct client *client = *of_connection;

	pthread_mutex_lock(&server->lock);
	if (code == MHD_CONNECTION_NOTIFY_CLOSED && client != NULL)
		client->begun_ns = 0;
	for (unsigned i = 0; code == MHD_CONNECTION_NOTIFY_STARTED && info != NULL
			     && *of_connection == NULL && i < HTTP_MAX_CONNECTIONS;
	     i++) {
		client = &server->clients[i];
		if (client->begun_ns == 0) {
			*client = (struct client){info->connect_fd, monotonic_ns()};
			*of_connection = client;
		}
	}
	pthread_mutex_unlock(&server->lock);
}

// A connection may stay for another request, which has as much time.
static void on_completed(
	void *arg,
	struct MHD_Connection *connection,
	void **of_request,
	enum MHD_RequestTerminationCode code
) {
	struct http_server *server = arg;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	(void)of_request;
	(void)code;
	if (info == NULL || info->socket_context == NULL)
		return;
	struct client *client = info->socket_context;
	pthread_mutex_lock(&server->lock);
	client->begun_ns = monotonic_ns();
	pthread_mutex_unlock(&server->lock);
}

void http_server_tick(struct http_server *server) {
	time_ns_t latest_ns = monotonic_ns() - server->config.request_ns;

	pthread_mutex_lock(&server->lock);
	for (unsigned i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
		const struct client *client = &server->clients[i];
		if (client->begun_ns != 0 && client->begun_ns < latest_ns)
			(void)shutdown(client->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&server->lock);
}

// Splits what names an address. Returns false where it does not.
static bool split(const char *address, char host[HOST_BYTES], const char **port) {
	const char *begin = address, *end = strrchr(address, ':');
	char *rest;

	snprintf(host, HOST_BYTES, "127.0.0.1");
	*port = end != NULL ? end + 1 : address;
	if (end != NULL) {
		if (*begin == '[' && end > begin && end[-1] == ']') {
			begin++;
			end--;
		} else if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
			return false;
		}
		if (end == begin || end - begin >= HOST_BYTES)
			return false;
		memcpy(host, begin, (size_t)(end - begin));
		host[end - begin] = '\0';
	}
	unsigned long number = strtoul(*port, &rest, 10);
	return **port >= '0' && **port <= '9' && *rest == '\0' && number <= 65535;
}

// A socket that listens at one of the addresses, or a negative errno.
static int listen_any(const struct addrinfo *found) {
	int error = EADDRNOTAVAIL;
	const int on = 1;

	for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
		int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd < 0) {
			error = errno;
			continue;
		}
		// After a restart connections of before may linger.
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
			return fd;
		error = errno;
		close(fd);
	}
	return -error;
}

static void set_url(struct http_server *server, int fd) {
	struct sockaddr_storage bound;
	socklen_t bytes = sizeof(bound);
	char host[HOST_BYTES] = "?", port[8] = "?";

	if (getsockname(fd, (struct sockaddr *)&bound, &bytes) == 0)
		getnameinfo(
			(const struct sockaddr *)&bound,
			bytes,
			host,
			sizeof(host),
			port,
			sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV
		);
	snprintf(
		server->url,
		sizeof(server->url),
		strchr(host, ':') != NULL ? "http://[%s]:%s" : "http://%s:%s",
		host,
		port
	);
}

static int open_socket(const char *address, char host[HOST_BYTES], char *error) {
	const char *port;
	struct addrinfo *found;

	if (!split(address, host, &port)) {
		snprintf(
			error,
			HTTP_ERROR_BYTES,
			"--http %s: no address; use PORT, HOST:PORT, [IPV6]:PORT or none",
			address
		);
		return -EINVAL;
	}
	int rc = getaddrinfo(
		host,
		port,
		&(const struct addrinfo){
			.ai_socktype = SOCK_STREAM,
			.ai_flags = AI_NUMERICSERV | AI_PASSIVE,
		},
		&found
	);
	if (rc != 0) {
		snprintf(
			error,
			HTTP_ERROR_BYTES,
			"--http %s: cannot resolve %s: %s",
			address,
			host,
			rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc)
		);
		return -EHOSTUNREACH;
	}
	int fd = listen_any(found);
	freeaddrinfo(found);
	if (fd < 0)
		snprintf(
			error,
			HTTP_ERROR_BYTES,
			"--http %s: cannot listen: %s; use another address, or none",
			address,
			strerror(-fd)
		);
	return fd;
}

// A thread has the priority of the one that makes it.
static void *start_daemon(void *arg) {
	struct http_server *server = arg;

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	server->daemon = MHD_start_daemon(
		MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC,
		0,
		NULL,
		NULL,
		on_request,
		server,
		MHD_OPTION_LISTEN_SOCKET,
		server->fd,
		MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)HTTP_MAX_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)HTTP_TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)REQUEST_BYTES,
		MHD_OPTION_NOTIFY_CONNECTION,
		on_connection,
		server,
		MHD_OPTION_NOTIFY_COMPLETED,
		on_completed,
		server,
		MHD_OPTION_END
	);
	return NULL;
}

struct http_server *http_server_open(const struct http_server_config *config, char *error) {
	struct http_server *server = calloc(1, sizeof(*server));

	if (server == NULL) {
		snprintf(error, HTTP_ERROR_BYTES, "--http %s: no memory", config->address);
		return NULL;
	}
	server->config = *config;
	if (config->request_ns == 0)
		server->config.request_ns = HTTP_REQUEST_S * NS_PER_S;
	pthread_mutex_init(&server->lock, NULL);
	server->fd = open_socket(config->address, server->host, error);
	if (server->fd < 0) {
		pthread_mutex_destroy(&server->lock);
		free(server);
		return NULL;
	}
	set_url(server, server->fd);
	pthread_t starter;
	if (pthread_create(&starter, NULL, start_daemon, server) == 0)
		pthread_join(starter, NULL);
	if (server->daemon != NULL)
		return server;
	snprintf(error, HTTP_ERROR_BYTES, "--http %s: cannot start its thread", config->address);
	close(server->fd);
	pthread_mutex_destroy(&server->lock);
	free(server);
	return NULL;
}

const char *http_server_url(const struct http_server *server) {
	return server->url;
}

void http_server_close(struct http_server *server) {
	if (server == NULL)
		return;
	MHD_stop_daemon(server->daemon); // closes the socket too
	pthread_mutex_destroy(&server->lock);
	free(server);
}
