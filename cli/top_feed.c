#include "top_feed.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "live_client.h"

#define SOON_NS (300 * NS_PER_MS)

struct top_feed {
	const char *socket;
	struct top_model *model;
	int fd;
	pthread_t thread;
	pthread_mutex_t lock; // for the model, and for all below
	pthread_cond_t wakes;
	time_ns_t interval_ns;
	bool paused, ends, ended;
	bool asks; // now
	int rc;
	char error[LIVE_SOCKET_ERROR_BYTES];
};

// What is locked while parts of an answer are taken; or nothing.
struct taker {
	struct top_model *model;
	pthread_mutex_t *lock;
	size_t n_records; // so far
};

static void lock(pthread_mutex_t *mutex) {
	if (mutex != NULL)
		pthread_mutex_lock(mutex);
}

static void unlock(pthread_mutex_t *mutex) {
	if (mutex != NULL)
		pthread_mutex_unlock(mutex);
}

static void on_begin(const struct live_header *header, void *arg) {
	struct taker *taker = arg;

	lock(taker->lock);
	top_model_begin(taker->model, header);
	unlock(taker->lock);
}

static void on_add(const struct flow_record *records, size_t n, void *arg) {
	struct taker *taker = arg;

	lock(taker->lock);
	taker->n_records += n;
	top_model_add(taker->model, records, n);
	unlock(taker->lock);
}

static int ask_part(const char *socket, struct taker *taker, char *error) {
	lock(taker->lock);
	const struct live_request request = top_model_request(taker->model);
	unlock(taker->lock);
	int rc = live_client_active(socket, &request, on_begin, on_add, taker, error);
	if (rc < 0)
		return rc;
	lock(taker->lock);
	top_model_end(taker->model);
	unlock(taker->lock);
	return 0;
}

static int ask(const char *socket, struct taker *taker, char *error) {
	struct live_status *status = malloc(sizeof(*status));

	if (status == NULL) {
		snprintf(error, LIVE_SOCKET_ERROR_BYTES, "no memory");
		return -ENOMEM;
	}
	int rc = live_client_status(socket, status, error);
	if (rc < 0) {
		free(status);
		return rc;
	}
	lock(taker->lock);
	top_model_status(taker->model, status);
	unlock(taker->lock);
	free(status);
	uint32_t n_parts = 1;
	taker->n_records = 0;
	for (uint32_t n = 0; n < n_parts && taker->n_records < TOP_LOOK_RECORDS; n++) {
		rc = ask_part(socket, taker, error);
		if (rc < 0)
			return rc;
		// Written by this thread alone.
		n_parts = taker->model->n_parts < TOP_LOOK_PARTS ? taker->model->n_parts
								 : TOP_LOOK_PARTS;
	}
	return 0;
}

int top_feed_ask(const char *socket, struct top_model *model, char *error) {
	return ask(socket, &(struct taker){.model = model}, error);
}

static time_ns_t monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// Until it is time to ask again. The lock is held.
static void wait_for(struct top_feed *feed, time_ns_t asked_ns, unsigned n_answers) {
	while (!feed->ends) {
		time_ns_t interval_ns = feed->interval_ns;
		if (n_answers == 1 && interval_ns > SOON_NS)
			interval_ns = SOON_NS;
		time_ns_t next_ns = asked_ns + interval_ns;
		if (!feed->paused && monotonic_ns() >= next_ns)
			return;
		const struct timespec until = {
			.tv_sec = next_ns / NS_PER_S,
			.tv_nsec = next_ns % NS_PER_S,
		};
		if (feed->paused)
			pthread_cond_wait(&feed->wakes, &feed->lock);
		else
			pthread_cond_timedwait(&feed->wakes, &feed->lock, &until);
	}
}

static void *run(void *arg) {
	struct top_feed *feed = arg;
	struct taker taker = {feed->model, &feed->lock};
	const uint64_t one = 1;
	char error[LIVE_SOCKET_ERROR_BYTES] = "";
	int rc = 0;

	pthread_mutex_lock(&feed->lock);
	for (unsigned n = 1; !feed->ends && rc == 0; n += n < 2) {
		time_ns_t asked_ns = monotonic_ns();
		feed->asks = true;
		pthread_mutex_unlock(&feed->lock);
		rc = ask(feed->socket, &taker, error);
		pthread_mutex_lock(&feed->lock);
		feed->asks = false;
		feed->rc = rc;
		memcpy(feed->error, error, sizeof(error));
		if (write(feed->fd, &one, sizeof(one)) < 0)
			break; // cannot be
		if (rc == 0)
			wait_for(feed, asked_ns, n);
	}
	feed->ended = true;
	pthread_mutex_unlock(&feed->lock);
	return NULL;
}

struct top_feed *top_feed_new(const char *socket, struct top_model *model, time_ns_t interval_ns) {
	struct top_feed *feed = calloc(1, sizeof(*feed));
	pthread_condattr_t attributes;
	sigset_t all, before;

	if (feed == NULL)
		return NULL;
	feed->socket = socket;
	feed->model = model;
	feed->interval_ns = interval_ns;
	feed->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (feed->fd < 0) {
		free(feed);
		return NULL;
	}
	pthread_mutex_init(&feed->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&feed->wakes, &attributes);
	pthread_condattr_destroy(&attributes);
	sigfillset(&all); // signals are the screen's
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int rc = pthread_create(&feed->thread, NULL, run, feed);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		close(feed->fd);
		free(feed);
		errno = rc;
		return NULL;
	}
	return feed;
}

int top_feed_fd(const struct top_feed *feed) {
	return feed->fd;
}

int top_feed_came(struct top_feed *feed, char *error) {
	uint64_t n;

	if (read(feed->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return -errno;
	pthread_mutex_lock(&feed->lock);
	int rc = feed->rc;
	memcpy(error, feed->error, sizeof(feed->error));
	pthread_mutex_unlock(&feed->lock);
	return rc;
}

void top_feed_lock(struct top_feed *feed) {
	pthread_mutex_lock(&feed->lock);
}

void top_feed_unlock(struct top_feed *feed) {
	pthread_mutex_unlock(&feed->lock);
}

void top_feed_set(struct top_feed *feed, time_ns_t interval_ns, bool paused) {
	pthread_mutex_lock(&feed->lock);
	feed->interval_ns = interval_ns;
	feed->paused = paused;
	pthread_cond_signal(&feed->wakes);
	pthread_mutex_unlock(&feed->lock);
}

bool top_feed_end(struct top_feed *feed) {
	pthread_mutex_lock(&feed->lock);
	feed->ends = true;
	bool asks = feed->asks && !feed->ended;
	pthread_cond_signal(&feed->wakes);
	pthread_mutex_unlock(&feed->lock);
	if (asks) { // the end of the program ends it
		pthread_detach(feed->thread);
		return false;
	}
	pthread_join(feed->thread, NULL);
	close(feed->fd);
	free(feed);
	return true;
}
