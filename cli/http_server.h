// HTTP server: answers GET and HEAD of a few paths, by libmicrohttpd. Nothing is ever changed by a
// request, and there is no other method.
//
// Whoever can reach the address may ask; it is loopback unless the user says otherwise. Few
// connections at once, each for a bounded time and with bounded memory: more wait, or go. What is
// for a browser is told to those alone who name this machine (http_host.h), and may be shown, kept
// and sent on as little as a browser lets one say.
//
// Threads: one of its own, that other threads go before, on which the routes' functions are called,
// one at a time; http_server_tick() from any other.
// Time: libmicrohttpd's, for connections that say nothing; the monotonic clock, for those that say
// little.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "clock.h"

enum {
	HTTP_ERROR_BYTES = 512,
	HTTP_MAX_CONNECTIONS = 16,
	HTTP_TIMEOUT_S = 10, // of a connection that says nothing
	HTTP_REQUEST_S = 20, // from the answer before to the end of the next one
};

struct http_request {
	const char *path;
	const char *accept; // the header, or ""
	const char *host;   // the header, or NULL
};

struct http_answer {
	unsigned status;          // 200 at first
	const char *content_type; // plain text at first
	char *body;               // of malloc(); the server frees it
	size_t body_bytes;
	const char *policy; // Content-Security-Policy, or NULL for nothing at all
};

// Returns 0, or a negative errno: then the answer is 500.
typedef int (*http_answer_fn
)(const struct http_request *request, struct http_answer *answer, void *arg);

struct http_route {
	const char *path;
	http_answer_fn answer;
	bool guarded; // 421 where Host is the name of another machine
};

struct http_server_config {
	const char *address; // "HOST:PORT", "[IPv6]:PORT", "PORT" = of 127.0.0.1; PORT 0 = any
	const struct http_route *routes; // remain the caller's
	unsigned n_routes;
	void *arg;            // of the functions
	time_ns_t request_ns; // for tests; 0 = HTTP_REQUEST_S
};

struct http_server;

// Listens, and answers from here on. NULL with one line in `error` (HTTP_ERROR_BYTES).
[[nodiscard]] struct http_server *
http_server_open(const struct http_server_config *config, char *error);

// "http://127.0.0.1:9480", with the port that it has.
const char *http_server_url(const struct http_server *server);

// Ends connections whose request takes longer than it may: whoever says an octet now and then would
// never be silent. To be called every second or so.
void http_server_tick(struct http_server *server);

// Ends the thread, and connections. NULL is fine.
void http_server_close(struct http_server *server);

// Prints into an answer's body. Returns 0 or -ENOMEM.
[[nodiscard, gnu::format(printf, 2, 3)]] int
http_answer_print(struct http_answer *answer, const char *format, ...);
