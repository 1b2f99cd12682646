#include "scan.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scan_internal.h"

// How often an owner that waits looks whether it is to stop, and tells how far it is.
#define WAIT_NS (50 * NS_PER_MS)

struct slot {
	struct scan_batch batch;
	bool ready;
};

struct worker {
	struct scan *scan;
	pthread_t thread;
	unsigned number;
	struct scan_batch batch; // with on_batch
};

struct scan {
	struct scan_config config;
	pthread_mutex_t lock; // of all below
	pthread_cond_t owner, workers;
	struct scan_plan plan;
	bool planned; // there are no more tasks
	bool ended;   // the owner wants no more
	int rc;       // first failure that is not one file's
	unsigned n_running;

	// Batches are given out in the order of their tickets; ticket t lies in slot t % n_slots.
	struct slot *slots;
	uint64_t n_slots, next_ticket, next_given;
	bool given; // the owner has one

	struct worker *threads;
	unsigned n_threads;
};

static bool stopped(const struct scan *scan) {
	// Relaxed: nothing else is to be seen with it.
	return scan->config.stop != NULL
	       && atomic_load_explicit(scan->config.stop, memory_order_relaxed);
}

// Takes a task and, without on_batch, the slot for it, when there is one. Under the lock.
static bool take_task(struct scan *scan, struct scan_task *task, struct slot **slot) {
	for (;;) {
		if (scan->planned || scan->ended || scan->rc < 0)
			return false;
		if (stopped(scan)) {
			scan->rc = -EINTR;
			return false;
		}
		if (scan->config.on_batch == NULL
		    && scan->next_ticket == scan->next_given + scan->n_slots) {
			pthread_cond_wait(&scan->workers, &scan->lock);
			continue;
		}
		int rc = scan_plan_next(&scan->plan, task);
		if (rc == 1) {
			if (scan->config.on_batch == NULL)
				*slot = &scan->slots[scan->next_ticket++ % scan->n_slots];
			return true;
		}
		if (rc == -EAGAIN) {
			pthread_mutex_unlock(&scan->lock);
			pthread_mutex_lock(&scan->lock);
			continue;
		}
		scan->rc = rc;
		scan->planned = true;
	}
}

static void *work(void *arg) {
	struct worker *worker = arg;
	struct scan *scan = worker->scan;
	const struct scan_config *config = &scan->config;
	char error[PARQUET_ERROR_BYTES];
	struct scan_task task;
	struct slot *slot = NULL;

	pthread_mutex_lock(&scan->lock);
	while (take_task(scan, &task, &slot)) {
		pthread_mutex_unlock(&scan->lock);
		struct scan_batch *batch = slot != NULL ? &slot->batch : &worker->batch;
		int rc = scan_batch_read(batch, config, &task, error);
		int fatal = 0;
		if (rc == 0 && slot == NULL && batch->n_rows > 0)
			fatal = config->on_batch(config->batch_arg, scan, worker->number, batch);
		if (rc < 0)
			batch->n_rows = 0;
		pthread_mutex_lock(&scan->lock);
		if (rc < 0)
			scan_file_tell(&scan->plan, task.file, error);
		scan_file_leave(task.file);
		if (fatal < 0 && scan->rc == 0)
			scan->rc = fatal;
		if (slot != NULL)
			slot->ready = true;
		pthread_cond_signal(&scan->owner);
	}
	scan->n_running--;
	pthread_cond_signal(&scan->owner);
	pthread_cond_broadcast(&scan->workers);
	pthread_mutex_unlock(&scan->lock);
	return NULL;
}

static unsigned cores(void) {
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	unsigned n = (unsigned)CPU_COUNT(&set);
	return n < 1 ? 1 : n > SCAN_MAX_THREADS ? SCAN_MAX_THREADS : n;
}

static void init_waiting(struct scan *scan) {
	pthread_condattr_t attributes;

	pthread_mutex_init(&scan->lock, NULL);
	pthread_cond_init(&scan->workers, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&scan->owner, &attributes);
	pthread_condattr_destroy(&attributes);
}

// Under the lock, which lets no worker end before all are counted.
static int start(struct scan *scan) {
	unsigned n_started = scan->n_threads;
	int failed = 0;

	pthread_mutex_lock(&scan->lock);
	for (unsigned i = 0; i < scan->n_threads; i++) {
		struct worker *worker = &scan->threads[i];
		*worker = (struct worker){.scan = scan, .number = i};
		int rc = pthread_create(&worker->thread, NULL, work, worker);
		if (rc != 0) {
			n_started = i;
			failed = i == 0 ? -rc : 0;
			break;
		}
	}
	scan->n_running = scan->n_threads = n_started;
	pthread_mutex_unlock(&scan->lock);
	return failed;
}

struct scan *scan_new(const struct scan_config *config, char *error) {
	struct scan *scan = calloc(1, sizeof(*scan));
	int rc;

	if (scan == NULL) {
		snprintf(error, ARCHIVE_ERROR_BYTES, "%s", strerror(ENOMEM));
		errno = ENOMEM;
		return NULL;
	}
	scan->config = *config;
	init_waiting(scan);
	rc = scan_plan_init(&scan->plan, &scan->config, error);
	if (rc < 0) {
		scan_free(scan);
		errno = -rc;
		return NULL;
	}
	scan->n_threads = config->n_threads > 0 ? config->n_threads : cores();
	// One more than at work, and one that the owner has.
	scan->n_slots = scan->n_threads + 2;
	scan->slots = calloc(scan->n_slots, sizeof(*scan->slots));
	scan->threads = calloc(scan->n_threads, sizeof(*scan->threads));
	rc = scan->slots == NULL || scan->threads == NULL ? -ENOMEM : start(scan);
	if (rc < 0) {
		snprintf(error, ARCHIVE_ERROR_BYTES, "no threads: %s", strerror(-rc));
		scan->n_threads = 0;
		scan_free(scan);
		errno = -rc;
		return NULL;
	}
	return scan;
}

void scan_free(struct scan *scan) {
	if (scan == NULL)
		return;
	pthread_mutex_lock(&scan->lock);
	scan->ended = true;
	pthread_cond_broadcast(&scan->workers);
	pthread_mutex_unlock(&scan->lock);
	for (unsigned i = 0; i < scan->n_threads; i++) {
		pthread_join(scan->threads[i].thread, NULL);
		scan_batch_done(&scan->threads[i].batch);
	}
	for (uint64_t i = 0; scan->slots != NULL && i < scan->n_slots; i++)
		scan_batch_done(&scan->slots[i].batch);
	scan_plan_done(&scan->plan);
	pthread_cond_destroy(&scan->owner);
	pthread_cond_destroy(&scan->workers);
	pthread_mutex_destroy(&scan->lock);
	free(scan->slots);
	free(scan->threads);
	free(scan);
}

unsigned scan_threads(const struct scan *scan) {
	return scan->n_threads;
}

// Under the lock, which it gives up meanwhile.
static void wait_a_while(struct scan *scan) {
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAIT_NS;
	if (until.tv_nsec >= NS_PER_S) {
		until.tv_nsec -= NS_PER_S;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&scan->owner, &scan->lock, &until);
	if (scan->rc == 0 && stopped(scan))
		scan->rc = -EINTR;
}

static void tell_progress(struct scan *scan) {
	if (scan->config.on_progress == NULL)
		return;
	struct scan_progress progress = scan->plan.progress;
	pthread_mutex_unlock(&scan->lock);
	scan->config.on_progress(scan->config.arg, &progress);
	pthread_mutex_lock(&scan->lock);
}

int scan_next(struct scan *scan, const struct scan_batch **batch) {
	int rc = 0;

	pthread_mutex_lock(&scan->lock);
	for (;;) {
		struct slot *slot = &scan->slots[scan->next_given % scan->n_slots];
		if (scan->given) {
			scan->given = false;
			slot->ready = false;
			scan->next_given++;
			pthread_cond_signal(&scan->workers);
			continue;
		}
		if (scan->rc == 0 && stopped(scan))
			scan->rc = -EINTR;
		rc = scan->rc;
		if (rc < 0)
			break;
		if (scan->next_given == scan->next_ticket && scan->n_running == 0)
			break;
		if (scan->next_given == scan->next_ticket || !slot->ready) {
			wait_a_while(scan);
			tell_progress(scan);
			continue;
		}
		scan->given = true;
		if (slot->batch.n_rows == 0)
			continue;
		*batch = &slot->batch;
		rc = 1;
		break;
	}
	tell_progress(scan);
	pthread_mutex_unlock(&scan->lock);
	return rc;
}

int scan_wait(struct scan *scan, const atomic_bool *wake) {
	int rc;

	pthread_mutex_lock(&scan->lock);
	for (;;) {
		rc = scan->rc;
		if (rc == 0 && atomic_load(wake))
			rc = 1;
		if (rc != 0 || scan->n_running == 0)
			break;
		wait_a_while(scan);
		tell_progress(scan);
	}
	// Also of a scan whose workers ended before it was ever waited for.
	tell_progress(scan);
	pthread_mutex_unlock(&scan->lock);
	return rc;
}

void scan_wake(struct scan *scan) {
	pthread_mutex_lock(&scan->lock);
	pthread_cond_signal(&scan->owner);
	pthread_mutex_unlock(&scan->lock);
}
