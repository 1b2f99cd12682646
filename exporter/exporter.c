#include "exporter.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "record_ring.h"

enum {
	PRINT_HOLD_MS = 1000, // a record waits no longer than this in the buffer of print
	MAX_READ = 256,       // slots at once
	IDLE_SLEEP_US = 500,  // between looks at empty rings; a ring holds far more than comes then
	LONG_SLEEP_US = 4000, // live, while little comes: each waking costs some 20 us
	LITTLE = 512,         // slots between two sleeps
	SET_BACK_S = 5,       // by less than this a worker's clock lags behind another's
	TIMEOUT_S = 2,        // after that no flow leaves by an idle timeout that is over
};

// What is known of one ring.
struct input {
	struct ring *ring;
	uint64_t order; // of its next records, at least
	uint64_t now_ticks;
};

// Other destinations.
struct exchange {
	struct destination **destinations;
	unsigned n_destinations;
	enum distribution distribution;
};

struct exporter {
	pthread_t thread;
	struct input *inputs;
	unsigned n_inputs;
	struct destination **destinations;
	unsigned n_destinations;
	enum distribution distribution;
	struct archive *archive;
	struct print *print;
	uint32_t sampling_rate;
	bool live;
	struct lateness *lateness; // or NULL
	uint64_t clock_lag_ticks;
	uint64_t idle_ticks; // the timeout by which flows leave, 0 = none
	uint64_t idle_since_ticks;
	uint64_t idle_before_ticks; // the one before, by which some may yet leave
	_Atomic(uint64_t) wanted_idle_ticks;
	uint64_t live_ticks; // the latest clock of any ring: they are one clock, read at times

	_Atomic(uint64_t) n_delivered;
	atomic_bool exchanges; // there is `wanted`
	pthread_mutex_t mutex; // for it
	pthread_cond_t exchanged;
	struct exchange wanted;
	uint64_t n_exchanged; // delivered before the last exchange

	bool pending;     // print may hold records in its buffer
	int64_t begun_ms; // the clock when the first of them came
};

static void sleep_us(long us) {
	nanosleep(&(struct timespec){.tv_nsec = us * NS_PER_US}, NULL);
}

static void flush_print(struct exporter *exporter) {
	if (exporter->print != NULL)
		print_flush(exporter->print);
	exporter->pending = false;
}

static void end_sinks(struct exporter *exporter) {
	for (unsigned i = 0; i < exporter->n_destinations; i++)
		destination_end(exporter->destinations[i]);
	flush_print(exporter);
}

// What has waited long enough by the clock `now_ms` leaves.
static void tell_clock(struct exporter *exporter, int64_t now_ms) {
	for (unsigned i = 0; i < exporter->n_destinations; i++)
		destination_tick(exporter->destinations[i], now_ms);
	if (exporter->pending
	    && (now_ms - exporter->begun_ms >= PRINT_HOLD_MS || now_ms < exporter->begun_ms))
		flush_print(exporter);
}

// By a shorter timeout flows that have long ended by it leave at once, and are not late.
static uint64_t idle_ticks_at(struct exporter *exporter, uint64_t now_ticks) {
	// Relaxed: a number by itself.
	uint64_t wanted = atomic_load_explicit(&exporter->wanted_idle_ticks, memory_order_relaxed);

	if (wanted != exporter->idle_ticks) {
		exporter->idle_before_ticks = exporter->idle_ticks;
		exporter->idle_ticks = wanted;
		exporter->idle_since_ticks = now_ticks;
	}
	if (exporter->idle_since_ticks == 0
	    || now_ticks - exporter->idle_since_ticks > TIMEOUT_S * TICKS_PER_S)
		return exporter->idle_ticks;
	// "None" is longer than any.
	if (exporter->idle_ticks == 0 || exporter->idle_before_ticks == 0)
		return 0;
	return exporter->idle_before_ticks > exporter->idle_ticks ? exporter->idle_before_ticks
								  : exporter->idle_ticks;
}

static void count_lateness(
	struct exporter *exporter,
	const struct flow_record *records,
	uint32_t n_records,
	uint64_t now_ticks
) {
	uint64_t idle_ticks = idle_ticks_at(exporter, now_ticks);
	uint64_t due_ticks = idle_ticks - exporter->clock_lag_ticks;

	for (uint32_t i = 0; i < n_records && idle_ticks > 0; i++)
		if (records[i].end == FLOW_END_IDLE)
			lateness_add(
				exporter->lateness,
				((int64_t)now_ticks - (int64_t)records[i].last_ticks
				 - (int64_t)due_ticks)
					/ TICKS_PER_MS
			);
}

// Hands records of one clock to every sink.
static void
deliver(struct exporter *exporter,
	const struct flow_record *records,
	uint32_t n_records,
	uint64_t now_ticks) {
	int64_t now_ms = ms_of_ticks(now_ticks);

	tell_clock(exporter, now_ms);
	if (!exporter->pending) {
		exporter->pending = true;
		exporter->begun_ms = now_ms;
	}
	if (exporter->lateness != NULL)
		count_lateness(exporter, records, n_records, now_ticks);
	destination_distribute(
		exporter->destinations,
		exporter->n_destinations,
		exporter->distribution,
		records,
		n_records,
		now_ms
	);
	// Relaxed: one writer.
	uint64_t n = atomic_load_explicit(&exporter->n_delivered, memory_order_relaxed);
	atomic_store_explicit(&exporter->n_delivered, n + n_records, memory_order_relaxed);
	if (exporter->archive != NULL)
		archive_add(exporter->archive, records, n_records, ns_of_ticks(now_ticks));
	if (exporter->print != NULL)
		for (uint32_t i = 0; i < n_records; i++)
			print_add(exporter->print, &records[i], exporter->sampling_rate);
}

// The input whose records come next: lowest order, then lowest index. NULL when all ended.
static struct input *next_input(struct exporter *exporter) {
	struct input *next = &exporter->inputs[0];
	for (unsigned i = 1; i < exporter->n_inputs; i++)
		if (exporter->inputs[i].order < next->order)
			next = &exporter->inputs[i];
	return next->order == RECORD_ORDER_END ? NULL : next;
}

// The records before the next mark among the first `ready` slots from slot `i` on, as far as
// they are one array.
static uint32_t count_records(const struct ring *ring, uint32_t i, uint32_t ready) {
	const struct flow_record *records = ring_at(ring, i);
	uint32_t most = ring_contiguous(ring, i);
	uint32_t n = 0;

	if (most > ready - i)
		most = ready - i;
	while (n < most && !record_is_mark(&records[n]))
		n++;
	return n;
}

// Live, all rings have one clock, which each tells at its own times: the latest counts, unless
// the clock was set back.
static uint64_t live_clock_of(struct exporter *exporter, uint64_t now_ticks) {
	if (now_ticks > exporter->live_ticks
	    || now_ticks + SET_BACK_S * TICKS_PER_S < exporter->live_ticks)
		exporter->live_ticks = now_ticks;
	return exporter->live_ticks;
}

// Delivers what is ready, up to a mark. Returns how many slots were read.
static uint32_t drain_input(struct exporter *exporter, struct input *input) {
	uint32_t ready = ring_ready(input->ring);
	uint32_t n = 0;
	bool marked = false;

	// Slots go back in parts, so that the worker need not wait for all of them.
	if (ready > MAX_READ)
		ready = MAX_READ;
	while (n < ready && !marked) {
		const struct flow_record *slot = ring_at(input->ring, n);
		uint32_t n_records = count_records(input->ring, n, ready);
		marked = n_records == 0;
		if (marked) {
			input->order = record_mark_order(slot);
			input->now_ticks = record_mark_now(slot);
			if (exporter->live)
				input->now_ticks = live_clock_of(exporter, input->now_ticks);
			n++;
		} else {
			deliver(exporter, slot, n_records, input->now_ticks);
			n += n_records;
		}
	}
	if (n > 0)
		ring_release(input->ring, n);
	return n;
}

static void tell_time(struct exporter *exporter) {
	tell_clock(exporter, ms_of_ticks(exporter->live_ticks));
	if (exporter->archive != NULL)
		archive_tick(exporter->archive, ns_of_ticks(exporter->live_ticks));
}

// Takes other destinations. Whoever wants it waits for `exchanges` to be false again.
static void exchange(struct exporter *exporter) {
	pthread_mutex_lock(&exporter->mutex);
	// Else it was given up meanwhile.
	if (atomic_load_explicit(&exporter->exchanges, memory_order_relaxed)) {
		free(exporter->destinations);
		exporter->destinations = exporter->wanted.destinations;
		exporter->n_destinations = exporter->wanted.n_destinations;
		exporter->distribution = exporter->wanted.distribution;
		exporter->n_exchanged = exporter_delivered(exporter);
		atomic_store_explicit(&exporter->exchanges, false, memory_order_relaxed);
		pthread_cond_signal(&exporter->exchanged);
	}
	pthread_mutex_unlock(&exporter->mutex);
}

// Reads all rings in turn until each has ended.
static void run_live(struct exporter *exporter) {
	unsigned n_ended;
	uint32_t n_since = 0; // the last sleep

	do {
		uint32_t n = 0;
		n_ended = 0;
		// Relaxed: what it stands for is behind the mutex.
		if (atomic_load_explicit(&exporter->exchanges, memory_order_relaxed))
			exchange(exporter);
		for (unsigned i = 0; i < exporter->n_inputs; i++) {
			struct input *input = &exporter->inputs[i];
			if (input->order != RECORD_ORDER_END)
				n += drain_input(exporter, input);
			n_ended += input->order == RECORD_ORDER_END;
		}
		if (exporter->live_ticks > 0)
			tell_time(exporter);
		n_since += n;
		if (n == 0) {
			sleep_us(n_since < LITTLE ? LONG_SLEEP_US : IDLE_SLEEP_US);
			n_since = 0;
		}
	} while (n_ended < exporter->n_inputs);
	end_sinks(exporter);
}

static void *run(void *arg) {
	struct exporter *exporter = arg;
	struct input *input;

	if (exporter->live) {
		run_live(exporter);
		return NULL;
	}

	while ((input = next_input(exporter)) != NULL) {
		// Nothing older than this can follow, from any ring.
		if (input->now_ticks > 0)
			tell_clock(exporter, ms_of_ticks(input->now_ticks));
		if (drain_input(exporter, input) == 0)
			sleep_us(IDLE_SLEEP_US);
	}
	end_sinks(exporter);
	return NULL;
}

static void exporter_free(struct exporter *exporter) {
	free(exporter->inputs);
	free(exporter->destinations);
	pthread_cond_destroy(&exporter->exchanged);
	pthread_mutex_destroy(&exporter->mutex);
	free(exporter);
}

static void init_exchange(struct exporter *exporter) {
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&exporter->mutex, NULL);
	pthread_cond_init(&exporter->exchanged, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

// Copies them, with room for one more.
static struct destination **copy(struct destination *const *destinations, unsigned n) {
	struct destination **copies = calloc(n + 1, sizeof(copies[0]));

	for (unsigned i = 0; copies != NULL && i < n; i++)
		copies[i] = destinations[i];
	return copies;
}

struct exporter *exporter_start(const struct exporter_config *config) {
	if (config->n_rings == 0) {
		errno = EINVAL;
		return NULL;
	}

	struct exporter *exporter = calloc(1, sizeof(*exporter));
	if (exporter == NULL)
		return NULL;
	exporter->n_inputs = config->n_rings;
	exporter->n_destinations = config->n_destinations;
	exporter->distribution = config->distribution;
	exporter->archive = config->archive;
	exporter->print = config->print;
	exporter->sampling_rate = config->sampling_rate;
	exporter->live = config->live;
	exporter->lateness = config->lateness;
	exporter->clock_lag_ticks = config->clock_lag_ticks;
	exporter->idle_ticks = config->idle_timeout_ticks;
	atomic_init(&exporter->wanted_idle_ticks, config->idle_timeout_ticks);
	init_exchange(exporter);
	exporter->inputs = calloc(config->n_rings, sizeof(exporter->inputs[0]));
	exporter->destinations = copy(config->destinations, config->n_destinations);
	if (exporter->inputs == NULL || exporter->destinations == NULL) {
		exporter_free(exporter);
		errno = ENOMEM;
		return NULL;
	}
	for (unsigned i = 0; i < config->n_rings; i++)
		exporter->inputs[i].ring = config->rings[i];

	int rc = pthread_create(&exporter->thread, NULL, run, exporter);
	if (rc != 0) {
		exporter_free(exporter);
		errno = rc;
		return NULL;
	}
	return exporter;
}

int exporter_replace(
	struct exporter *exporter,
	struct destination *const *destinations,
	unsigned n_destinations,
	enum distribution distribution,
	uint64_t *n_delivered
) {
	struct exchange wanted = {copy(destinations, n_destinations), n_destinations, distribution};
	struct timespec until;
	int rc = 0;

	if (wanted.destinations == NULL)
		return -ENOMEM;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += EXPORTER_PATIENCE_NS / NS_PER_S;
	pthread_mutex_lock(&exporter->mutex);
	exporter->wanted = wanted;
	atomic_store_explicit(&exporter->exchanges, true, memory_order_relaxed);
	while (rc == 0 && atomic_load_explicit(&exporter->exchanges, memory_order_relaxed))
		rc = pthread_cond_timedwait(&exporter->exchanged, &exporter->mutex, &until);
	bool done = !atomic_load_explicit(&exporter->exchanges, memory_order_relaxed);
	atomic_store_explicit(&exporter->exchanges, false, memory_order_relaxed);
	*n_delivered = exporter->n_exchanged;
	pthread_mutex_unlock(&exporter->mutex);
	if (!done)
		free(wanted.destinations);
	return done ? 0 : -EBUSY;
}

uint64_t exporter_delivered(const struct exporter *exporter) {
	return atomic_load_explicit(&exporter->n_delivered, memory_order_relaxed);
}

void exporter_set_idle_timeout(struct exporter *exporter, uint64_t idle_timeout_ticks) {
	atomic_store_explicit(
		&exporter->wanted_idle_ticks, idle_timeout_ticks, memory_order_relaxed
	);
}

void exporter_join(struct exporter *exporter) {
	if (exporter == NULL)
		return;
	pthread_join(exporter->thread, NULL);
	exporter_free(exporter);
}
