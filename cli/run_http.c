#include "run_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exposition.h"
#include "log.h"
#include "run_status.h"

// Metrics come every second; a main thread that has not made any for so long is stuck.
#define STUCK_NS (10 * NS_PER_S)

struct run_http {
	struct metrics_sources sources;
	struct http_server *server;
	pthread_mutex_t lock; // for all below
	struct metrics metrics;
	enum run_state state;
	struct run_status *status;
};

// As Prometheus sends it: "application/openmetrics-text;version=1.0.0;q=0.8,text/plain...".
static bool wants_openmetrics(const struct http_request *request) {
	return strstr(request->accept, "application/openmetrics-text") != NULL;
}

static int
answer_metrics(const struct http_request *request, struct http_answer *answer, void *arg) {
	struct run_http *http = arg;
	bool openmetrics = wants_openmetrics(request);
	FILE *out = open_memstream(&answer->body, &answer->body_bytes);

	if (out == NULL)
		return -ENOMEM;
	answer->content_type = exposition_content_type(openmetrics);
	pthread_mutex_lock(&http->lock);
	metrics_print(&http->metrics, out, openmetrics);
	pthread_mutex_unlock(&http->lock);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

// Whether weir is alive: restart it where not.
static int
answer_health(const struct http_request *request, struct http_answer *answer, void *arg) {
	struct run_http *http = arg;
	struct timespec now;

	(void)request;
	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&http->lock);
	time_ns_t age_ns = now.tv_sec * NS_PER_S + now.tv_nsec - http->metrics.taken_ns;
	bool meters = http->state == RUN_METERS;
	pthread_mutex_unlock(&http->lock);
	if (!meters || age_ns < STUCK_NS)
		return http_answer_print(answer, "ok\n");
	answer->status = MHD_HTTP_SERVICE_UNAVAILABLE;
	return http_answer_print(
		answer, "the main thread has not moved for %.0f s\n", (double)age_ns / 1e9
	);
}

// Whether packets are metered.
static int answer_ready(const struct http_request *request, struct http_answer *answer, void *arg) {
	struct run_http *http = arg;
	unsigned n_up = 0;

	(void)request;
	pthread_mutex_lock(&http->lock);
	enum run_state state = http->state;
	unsigned n_ports = http->metrics.n_ports;
	for (unsigned i = 0; i < n_ports; i++)
		n_up += http->metrics.ports[i].up;
	pthread_mutex_unlock(&http->lock);
	if (state == RUN_METERS && n_up > 0)
		return http_answer_print(answer, "ready; %u of %u ports are up\n", n_up, n_ports);
	answer->status = MHD_HTTP_SERVICE_UNAVAILABLE;
	if (state == RUN_METERS)
		return http_answer_print(answer, "no port is up\n");
	return http_answer_print(answer, state == RUN_STARTS ? "starting\n" : "stopping\n");
}

static int answer_page(const struct http_request *request, struct http_answer *answer, void *arg) {
	(void)request;
	(void)arg;
	return run_status_page(answer);
}

static int
answer_status(const struct http_request *request, struct http_answer *answer, void *arg) {
	struct run_http *http = arg;

	(void)request;
	pthread_mutex_lock(&http->lock);
	bool meters = http->state == RUN_METERS;
	pthread_mutex_unlock(&http->lock);
	// On this thread alone, and not under the lock: it takes some 10 ms.
	int rc = meters ? run_status_look(http->status) : 0;
	if (rc < 0)
		return rc;
	FILE *out = open_memstream(&answer->body, &answer->body_bytes);
	if (out == NULL)
		return -ENOMEM;
	answer->content_type = "application/json";
	pthread_mutex_lock(&http->lock);
	run_status_print_now(http->status, &http->metrics, http->state, out);
	pthread_mutex_unlock(&http->lock);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

static int
answer_history(const struct http_request *request, struct http_answer *answer, void *arg) {
	struct run_http *http = arg;
	FILE *out = open_memstream(&answer->body, &answer->body_bytes);

	(void)request;
	if (out == NULL)
		return -ENOMEM;
	answer->content_type = "application/json";
	pthread_mutex_lock(&http->lock);
	run_status_print_history(http->status, out);
	pthread_mutex_unlock(&http->lock);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

// What a browser shows must not reach the pages of others by way of a name that is theirs.
static const struct http_route routes[] = {
	{"/", answer_page, .guarded = true},
	{"/status.json", answer_status, .guarded = true},
	{"/history.json", answer_history, .guarded = true},
	{"/metrics", answer_metrics},
	{"/healthz", answer_health},
	{"/readyz", answer_ready},
};

struct run_http *
run_http_open(const char *address, const struct metrics_sources *sources, char *error) {
	struct run_http *http = calloc(1, sizeof(*http));

	if (http != NULL)
		http->status = run_status_new(sources);
	if (http == NULL || http->status == NULL) {
		snprintf(error, HTTP_ERROR_BYTES, "--http %s: no memory", address);
		free(http);
		return NULL;
	}
	http->sources = *sources;
	pthread_mutex_init(&http->lock, NULL);
	metrics_begin(&http->metrics);
	metrics_take(&http->metrics, sources);
	run_status_begin(http->status, &http->metrics);
	http->server = http_server_open(
		&(struct http_server_config){
			.address = address,
			.routes = routes,
			.n_routes = sizeof(routes) / sizeof(routes[0]),
			.arg = http,
		},
		error
	);
	if (http->server == NULL) {
		pthread_mutex_destroy(&http->lock);
		run_status_free(http->status);
		free(http);
		return NULL;
	}
	log_event(
		LOG_LEVEL_INFO,
		"http",
		"status page at %s/, metrics at /metrics",
		http_server_url(http->server)
	);
	return http;
}

void run_http_update(struct run_http *http) {
	if (http == NULL)
		return;
	pthread_mutex_lock(&http->lock);
	metrics_take(&http->metrics, &http->sources);
	run_status_take(http->status, &http->metrics);
	pthread_mutex_unlock(&http->lock);
	http_server_tick(http->server);
}

void run_http_set_state(struct run_http *http, enum run_state state) {
	if (http == NULL)
		return;
	pthread_mutex_lock(&http->lock);
	http->state = state;
	pthread_mutex_unlock(&http->lock);
}

void run_http_close(struct run_http *http) {
	if (http == NULL)
		return;
	http_server_close(http->server);
	pthread_mutex_destroy(&http->lock);
	run_status_free(http->status);
	free(http);
}
