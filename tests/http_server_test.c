#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http_host.h"
#include "http_server.h"

enum { WAIT_MS = 20000 };

static int answer_page(const struct http_request *request, struct http_answer *answer, void *arg) {
	return http_answer_print(answer, "%s %s\n", (char *)arg, request->accept);
}

static int
answer_failure(const struct http_request *request, struct http_answer *answer, void *arg) {
	(void)request;
	(void)answer;
	(void)arg;
	return -ENOMEM;
}

static char word[] = "hello";
static int
answer_guarded(const struct http_request *request, struct http_answer *answer, void *arg) {
	(void)request;
	(void)arg;
	answer->policy = "default-src 'self'";
	return http_answer_print(answer, "secret\n");
}

static const struct http_route routes[] = {
	{"/page", answer_page},
	{"/failure", answer_failure},
	{"/guarded", answer_guarded, .guarded = true},
};

static struct http_server *open_at(const char *address, char *error) {
	return http_server_open(
		&(struct http_server_config){
			.address = address,
			.routes = routes,
			.n_routes = 3,
			.arg = word,
		},
		error
	);
}

static int setup(void **state) {
	char error[HTTP_ERROR_BYTES];
	*state = open_at("127.0.0.1:0", error);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state) {
	http_server_close(*state);
	return 0;
}

static int connect_to(const struct http_server *server) {
	const char *port = strrchr(http_server_url(server), ':') + 1;
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

// What comes until the server closes.
static void read_answer(int fd, char *out, size_t size) {
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	ssize_t got;

	do {
		assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
		got = recv(fd, out + n, size - 1 - n, 0);
		n += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	out[n] = '\0';
	close(fd);
}

static void ask(const struct http_server *server, const char *head, char *out, size_t size) {
	char request[512];
	int fd = connect_to(server);

	snprintf(request, sizeof(request), "%sHost: a\r\nConnection: close\r\n\r\n", head);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	read_answer(fd, out, size);
}

static void assert_begins(const char *text, const char *beginning) {
	if (strncmp(text, beginning, strlen(beginning)) != 0)
		fail_msg("'%s' does not begin with '%s'", text, beginning);
}

static void a_page_is_answered_with_its_routes_function(void **state) {
	char out[4096];

	ask(*state, "GET /page?a=b HTTP/1.1\r\nAccept: x/y\r\n", out, sizeof(out));
	assert_begins(out, "HTTP/1.1 200 ");
	assert_non_null(strstr(out, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
	assert_non_null(strstr(out, "\r\n\r\nhello x/y\n"));
}

static void a_browser_is_told_to_do_nothing_with_it(void **state) {
	static const char *const headers[] = {
		"Cache-Control: no-store",
		"X-Content-Type-Options: nosniff",
		"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
		"Referrer-Policy: no-referrer",
		"Cross-Origin-Resource-Policy: same-origin",
	};
	char out[4096], line[128];

	ask(*state, "GET /page HTTP/1.1\r\n", out, sizeof(out));
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		snprintf(line, sizeof(line), "\r\n%s\r\n", headers[i]);
		assert_non_null(strstr(out, line));
	}
}

static void ask_as(const struct http_server *server, const char *host, char *out, size_t size) {
	char request[512];
	int fd = connect_to(server);

	snprintf(
		request,
		sizeof(request),
		"GET /guarded HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
		host
	);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	read_answer(fd, out, size);
}

static void what_is_guarded_is_told_only_to_who_names_this_machine(void **state) {
	char out[4096];

	ask_as(*state, "127.0.0.1:9480", out, sizeof(out));
	assert_begins(out, "HTTP/1.1 200 ");
	assert_non_null(strstr(out, "\r\nContent-Security-Policy: default-src 'self'\r\n"));
	assert_non_null(strstr(out, "\r\n\r\nsecret\n"));
	ask_as(*state, "evil.example:9480", out, sizeof(out));
	assert_begins(out, "HTTP/1.1 421 ");
	assert_non_null(strstr(out, "\r\n\r\nthis is told only to who asks http://127.0.0.1:"));
	assert_null(strstr(out, "secret"));
	int fd = connect_to(*state);
	static const char old[] = "GET /guarded HTTP/1.0\r\n\r\n"; // has no Host
	assert_int_equal(send(fd, old, strlen(old), MSG_NOSIGNAL), strlen(old));
	read_answer(fd, out, sizeof(out));
	assert_null(strstr(out, "secret"));
}

static void addresses_localhost_and_the_own_name_name_this_machine(void **state) {
	static const char *const right[] = {
		"127.0.0.1",
		"127.0.0.1:9480",
		"10.1.2.3:80",
		"[::1]",
		"[::1]:9480",
		"[2001:db8::1]:80",
		"localhost",
		"LocalHost:9480",
		"Sensor1.example:80",
	};
	static const char *const wrong[] = {
		"",
		":9480",
		"evil.example",
		"evil.example:9480",
		"localhost.evil.example",
		"127.0.0.1.evil.example",
		"127.0.0.1:9480.evil.example",
		"127.1",
		"2130706433",
		"0x7f.0.0.1",
		"127.0.0.1:a",
		"localhost:80@evil.example",
		"[::1",
		"[]",
		"[::1]x",
		"[evil.example]:80",
		"::1",
		"sensor1.example.:80",
		"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		if (!http_host_allowed(right[i], "sensor1.example"))
			fail_msg("'%s' is refused", right[i]);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (http_host_allowed(wrong[i], "sensor1.example"))
			fail_msg("'%s' is allowed", wrong[i]);
	assert_false(http_host_allowed(NULL, "sensor1.example"));
}

static void head_has_the_head_alone(void **state) {
	char out[4096];

	ask(*state, "HEAD /page HTTP/1.1\r\n", out, sizeof(out));
	assert_begins(out, "HTTP/1.1 200 ");
	assert_non_null(strstr(out, "\r\nContent-Length: 7\r\n"));
	assert_null(strstr(out, "hello"));
}

static void an_unknown_page_is_answered_with_those_that_there_are(void **state) {
	char out[4096];

	ask(*state, "GET /../etc/passwd HTTP/1.1\r\n", out, sizeof(out));
	assert_begins(out, "HTTP/1.1 404 ");
	assert_non_null(strstr(out, "\r\n\r\nno such page; there are /page /failure /guarded\n"));
}

static void no_other_method_is_served(void **state) {
	static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"};
	char head[128], out[4096];

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		snprintf(
			head, sizeof(head), "%s /page HTTP/1.1\r\nContent-Length: 0\r\n", methods[i]
		);
		ask(*state, head, out, sizeof(out));
		assert_begins(out, "HTTP/1.1 405 ");
		assert_non_null(strstr(out, "\r\nAllow: GET, HEAD\r\n"));
		assert_non_null(strstr(out, "\r\n\r\nnothing but GET and HEAD\n"));
	}
}

static void a_function_that_fails_is_an_error_of_the_server(void **state) {
	char out[4096];

	ask(*state, "GET /failure HTTP/1.1\r\n", out, sizeof(out));
	assert_begins(out, "HTTP/1.1 500 ");
}

static void a_head_too_long_is_refused(void **state) {
	static const char begin[] = {'G', 'E', 'T', ' ', '/'};
	static char head[64 << 10];
	char out[4096];
	int fd = connect_to(*state);

	memset(head, 'a', sizeof(head));
	memcpy(head, begin, sizeof(begin));
	(void)send(fd, head, sizeof(head), MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	read_answer(fd, out, sizeof(out));
	// 414, or the connection is gone while we still send.
	assert_true(out[0] == '\0' || strncmp(out, "HTTP/1.1 4", 10) == 0);
	ask(*state, "GET /page HTTP/1.1\r\n", out, sizeof(out));
	assert_begins(out, "HTTP/1.1 200 ");
}

static void more_connections_than_allowed_wait_for_those_before(void **state) {
	enum { N = HTTP_MAX_CONNECTIONS + 4 };
	int fds[N];
	char out[4096];

	for (int i = 0; i < N; i++)
		fds[i] = connect_to(*state);
	for (int i = 0; i < N; i++)
		close(fds[i]);
	ask(*state, "GET /page HTTP/1.1\r\n", out, sizeof(out));
	assert_begins(out, "HTTP/1.1 200 ");
}

static struct http_server *open_hasty(void) {
	char error[HTTP_ERROR_BYTES];
	struct http_server *server = http_server_open(
		&(struct http_server_config){
			.address = "127.0.0.1:0",
			.routes = routes,
			.n_routes = 2,
			.arg = word,
			.request_ns = 200 * NS_PER_MS,
		},
		error
	);

	assert_non_null(server);
	return server;
}

static void who_says_an_octet_now_and_then_keeps_none_waiting_for_ever(void **state) {
	struct http_server *server = open_hasty();
	static const char request[] = "GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	int slow[HTTP_MAX_CONNECTIONS];
	char out[4096];
	int ms = 0;

	(void)state;
	for (unsigned i = 0; i < HTTP_MAX_CONNECTIONS; i++)
		slow[i] = connect_to(server);
	struct pollfd waits = {.fd = connect_to(server), .events = POLLIN};
	assert_int_equal(send(waits.fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	for (; ms < WAIT_MS && poll(&waits, 1, 20) == 0; ms += 20) {
		for (unsigned i = 0; i < HTTP_MAX_CONNECTIONS; i++)
			(void)send(slow[i], "a", 1, MSG_NOSIGNAL);
		http_server_tick(server);
	}
	assert_in_range(ms, 100, WAIT_MS - 1);
	read_answer(waits.fd, out, sizeof(out));
	assert_begins(out, "HTTP/1.1 200 ");
	for (unsigned i = 0; i < HTTP_MAX_CONNECTIONS; i++)
		close(slow[i]);
	http_server_close(server);
}

static void a_connection_may_stay_for_many_requests(void **state) {
	struct http_server *server = open_hasty();
	static const char request[] = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";
	struct pollfd stays = {.fd = connect_to(server), .events = POLLIN};
	char out[4096];

	(void)state;
	// Longer in all than one may take.
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(
			send(stays.fd, request, strlen(request), MSG_NOSIGNAL), strlen(request)
		);
		assert_int_equal(poll(&stays, 1, WAIT_MS), 1);
		assert_true(recv(stays.fd, out, sizeof(out), 0) > 0);
		assert_begins(out, "HTTP/1.1 200 ");
		(void)poll(&stays, 1, 40);
		http_server_tick(server);
	}
	close(stays.fd);
	http_server_close(server);
}

static void an_address_that_is_taken_is_told(void **state) {
	const char *address = http_server_url(*state) + strlen("http://");
	char error[HTTP_ERROR_BYTES];

	assert_null(open_at(address, error));
	assert_non_null(strstr(error, address));
	assert_non_null(strstr(error, "cannot listen: Address already in use; use another"));
}

static void what_is_no_address_is_told(void **state) {
	static const char *const wrong[] = {
		"",
		"a",
		"127.0.0.1",
		"127.0.0.1:",
		":1",
		"127.0.0.1:65536",
		"::1:80",
		"[]:80",
		"127.0.0.1:80x",
		"127.0.0.1:-1",
	};
	char error[HTTP_ERROR_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(open_at(wrong[i], error));
		assert_non_null(strstr(error, "no address; use PORT, HOST:PORT, [IPV6]:PORT"));
	}
	assert_null(open_at("a..b:80", error));
	assert_non_null(strstr(error, "cannot resolve a..b"));
}

static void a_port_alone_is_loopbacks(void **state) {
	char error[HTTP_ERROR_BYTES];
	struct http_server *server = open_at("0", error);

	(void)state;
	assert_non_null(server);
	assert_begins(http_server_url(server), "http://127.0.0.1:");
	http_server_close(server);
	server = open_at("[::1]:0", error);
	if (server != NULL) // where there is IPv6
		assert_begins(http_server_url(server), "http://[::1]:");
	http_server_close(server);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_answered_with_its_routes_function),
		cmocka_unit_test(a_browser_is_told_to_do_nothing_with_it),
		cmocka_unit_test(what_is_guarded_is_told_only_to_who_names_this_machine),
		cmocka_unit_test(addresses_localhost_and_the_own_name_name_this_machine),
		cmocka_unit_test(head_has_the_head_alone),
		cmocka_unit_test(an_unknown_page_is_answered_with_those_that_there_are),
		cmocka_unit_test(no_other_method_is_served),
		cmocka_unit_test(a_function_that_fails_is_an_error_of_the_server),
		cmocka_unit_test(a_head_too_long_is_refused),
		cmocka_unit_test(more_connections_than_allowed_wait_for_those_before),
		cmocka_unit_test(who_says_an_octet_now_and_then_keeps_none_waiting_for_ever),
		cmocka_unit_test(a_connection_may_stay_for_many_requests),
		cmocka_unit_test(an_address_that_is_taken_is_told),
		cmocka_unit_test(what_is_no_address_is_told),
		cmocka_unit_test(a_port_alone_is_loopbacks),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
