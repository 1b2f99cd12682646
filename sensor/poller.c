#include "poller.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "eal.h"
#include "live_clock.h"
#include "seqlock.h"

enum {
	SPIN_ROUNDS = 32,   // without packets, before a rest
	LEAST_REST_US = 20, // doubles with each rest
	MOST_REST_US = 1000,
	REST_PACKET_NS = 67, // 10 GbE: a rest is over before the port's ring is a quarter full
	WAIT_FD_MS = 20,
	WORKER_FULL_US = 20, // while a worker is behind
	TIMER_SLACK_NS = 1000,
	NICE = -10,
};

// Once in a while: a look at the wall clock, the time told to workers without packets, the counts
// shown to readers.
#define LOOK_EVERY_NS (250 * NS_PER_MS)
#define TELL_EVERY_NS (20 * NS_PER_MS)
#define SHOW_EVERY_NS (2 * NS_PER_MS)
// A packet's time that is off by more is not believed.
#define KERNEL_TIME_OFF_NS (5 * NS_PER_S)

struct poller {
	struct poller_config config;
	struct meter meters[POLLER_MAX_SOURCES];
	struct live_clock clock;
	time_ns_t now_ns;  // of this round
	time_ns_t age_ns;  // flows are aged by this
	time_ns_t look_ns; // when things were last done
	time_ns_t tell_ns;
	time_ns_t show_ns;
	uint64_t round_ticks; // when it began
	uint64_t busy_ticks;  // since the counts were last shown
	bool busy;            // the round before was
	unsigned n_idle;
	unsigned most_rest_us;
	bool has_fds;                                  // of every source
	struct worker_burst *open[POLLER_MAX_WORKERS]; // being filled
	struct poller_counts counts;
	pthread_t thread;
	bool started;
	sem_t ready; // the thread has what it may ask for while weir is root

	// For readers.
	alignas(64) uint32_t seq;
	struct poller_counts shown;
};

static_assert(sizeof(struct poller_counts) % sizeof(uint64_t) == 0, "copied in words");

static void sleep_us(long us) {
	nanosleep(&(struct timespec){.tv_nsec = us * NS_PER_US}, NULL);
}

static bool fans_out(const struct poller *poller) {
	return poller->config.n_workers > 1;
}

struct poller *poller_new(const struct poller_config *config) {
	if (config->n_sources < 1 || config->n_sources > POLLER_MAX_SOURCES || config->n_workers < 1
	    || config->n_workers > POLLER_MAX_WORKERS) {
		errno = EINVAL;
		return NULL;
	}
	struct poller *poller = aligned_alloc(64, RTE_ALIGN(sizeof(*poller), 64));
	if (poller == NULL)
		return NULL;
	*poller = (struct poller){
		.config = *config,
		.has_fds = true,
		.most_rest_us = MOST_REST_US,
	};
	for (unsigned i = 0; i < config->n_sources; i++) {
		const struct port *port = config->sources[i].port;
		poller->meters[i] = (struct meter){
			.link = port_link(port),
			.in_if = port_in_if(port),
		};
		poller->has_fds &= port_fd(port) >= 0;
		unsigned us = port_room(port) / 4 * REST_PACKET_NS / 1000;
		poller->most_rest_us =
			RTE_MAX(RTE_MIN(poller->most_rest_us, us), (unsigned)LEAST_REST_US);
	}
	return poller;
}

void poller_free(struct poller *poller) {
	free(poller);
}

static void show(struct poller *poller) {
	const uint64_t *from = (const uint64_t *)&poller->counts;
	uint64_t *to = (uint64_t *)&poller->shown;

	poller->counts.busy_ns +=
		(uint64_t)((double)poller->busy_ticks * poller->clock.true_ns_per_tick);
	poller->busy_ticks = 0;
	// Sources that there are not count nothing.
	size_t bytes = offsetof(struct poller_counts, sources)
		       + poller->config.n_sources * sizeof(poller->counts.sources[0]);
	seqlock_begin(&poller->seq);
	for (size_t i = 0; i < bytes / sizeof(*from); i++)
		seqlock_put(&to[i], from[i]);
	seqlock_end(&poller->seq);
	poller->show_ns = poller->now_ns;
}

void poller_read(const struct poller *poller, struct poller_counts *counts) {
	const uint64_t *from = (const uint64_t *)&poller->shown;
	uint64_t *to = (uint64_t *)counts;
	uint32_t seq;

	do {
		seq = seqlock_read(&poller->seq);
		for (size_t i = 0; i < sizeof(*counts) / sizeof(*to); i++)
			to[i] = seqlock_get(&from[i]);
	} while (!seqlock_same(&poller->seq, seq));
}

uint32_t poller_beats(const struct poller *poller) {
	// Acquire: whoever sees rounds go by may free what they have read. Counts are shown every
	// SHOW_EVERY_NS and before each rest, and not while a worker takes no bursts: it is told
	// the time every TELL_EVERY_NS, so that its ring is soon full.
	return __atomic_load_n(&poller->seq, __ATOMIC_ACQUIRE);
}

// A burst for worker `i`. While the worker is behind we wait, and the port's ring fills: what
// is lost then is lost, and counted, there.
static struct worker_burst *reserve(struct poller *poller, unsigned i, enum worker_task task) {
	struct worker_burst *burst;

	while ((burst = worker_reserve(poller->config.workers[i])) == NULL)
		sleep_us(WORKER_FULL_US);
	burst->task = task;
	burst->n_packets = 0;
	burst->order = (uint64_t)poller->now_ns;
	burst->now_ns = poller->age_ns;
	return burst;
}

static void submit(struct poller *poller, unsigned i) {
	poller->open[i]->now_ns = poller->age_ns;
	poller->open[i] = NULL;
	worker_submit(poller->config.workers[i]);
}

static void fan_out(struct poller *poller, const struct packet *packets, unsigned n) {
	for (unsigned j = 0; j < n; j++) {
		unsigned i = flow_key_worker(
			&packets[j].key, &poller->config.secret, poller->config.n_workers
		);
		if (poller->open[i] == NULL)
			poller->open[i] = reserve(poller, i, WORKER_PACKETS);
		struct worker_burst *burst = poller->open[i];
		burst->packets[burst->n_packets++] = packets[j];
		if (burst->n_packets == WORKER_BURST_PACKETS)
			submit(poller, i);
	}
}

// Hands over what is open; with `all`, tells the others the time.
static void hand_over(struct poller *poller, bool all) {
	for (unsigned i = 0; i < poller->config.n_workers; i++) {
		if (poller->open[i] == NULL && all)
			poller->open[i] = reserve(poller, i, WORKER_PACKETS);
		if (poller->open[i] != NULL)
			submit(poller, i);
	}
	if (all)
		poller->tell_ns = poller->now_ns;
}

// Restart and end, after what was read before.
static void do_task(struct poller *poller, enum worker_task task) {
	if (fans_out(poller) && worker_has_thread(poller->config.workers[0]))
		hand_over(poller, false);
	for (unsigned i = 0; i < poller->config.n_workers; i++) {
		struct worker *worker = poller->config.workers[i];
		if (!worker_has_thread(worker)) {
			worker_do(worker, task, (uint64_t)poller->now_ns, poller->age_ns);
			continue;
		}
		(void)reserve(poller, i, task);
		worker_submit(worker);
	}
}

// Takes the sensor's own packets out. Returns how many frames are left.
static unsigned
drop_own(struct poller *poller, const struct own_export *own, struct frame *frames, unsigned n) {
	unsigned n_kept = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct frame *frame = &frames[i];
		if (unlikely(own_export_matches(own, frame->data, frame->captured_bytes))) {
			poller->counts.own_export.packets++;
			poller->counts.own_export.bytes += frame->wire_bytes;
			continue;
		}
		frames[n_kept++] = *frame;
	}
	return n_kept;
}

// Frames that came without a time, or with one that cannot be, have that of the round.
static void set_times(const struct poller *poller, struct frame *frames, unsigned n) {
	uint64_t least = (uint64_t)(poller->now_ns - KERNEL_TIME_OFF_NS);

	for (unsigned i = 0; i < n; i++)
		if ((uint64_t)frames[i].time_ns - least > (uint64_t)(2 * KERNEL_TIME_OFF_NS))
			frames[i].time_ns = poller->now_ns;
}

static void
count_source(struct poller *poller, unsigned i, const struct frame *frames, unsigned n) {
	struct ledger_count *count = &poller->counts.sources[i];

	count->packets += n;
	for (unsigned j = 0; j < n; j++)
		count->bytes += frames[j].wire_bytes;
}

static unsigned read_source(struct poller *poller, unsigned i) {
	const struct poller_source *source = &poller->config.sources[i];
	struct frame frames[PORT_BURST_FRAMES];
	struct packet packets[PORT_BURST_FRAMES];

	unsigned n_read = port_burst(source->port, source->queue, frames);
	if (n_read == 0)
		return 0;
	unsigned n = n_read;
	count_source(poller, i, frames, n);
	set_times(poller, frames, n);
	poller->age_ns = RTE_MIN(poller->age_ns, frames[n - 1].time_ns);
	// Acquire: what it points to was filled before.
	const struct own_export *own =
		atomic_load_explicit(poller->config.own, memory_order_acquire);
	if (own->n_ways > 0)
		n = drop_own(poller, own, frames, n);
	if (poller->config.selector != NULL)
		selector_mark(poller->config.selector, &poller->meters[i], frames, n);
	if (!fans_out(poller)) {
		worker_meter(
			poller->config.workers[0],
			&poller->meters[i],
			frames,
			n,
			&poller->counts.meter
		);
	} else if (n > 0) {
		unsigned n_packets = meter_parse(
			&poller->meters[i],
			&poller->config.secret,
			frames,
			n,
			packets,
			&poller->counts.meter
		);
		fan_out(poller, packets, n_packets);
	}
	port_release(source->port, source->queue);
	return n_read;
}

// One burst of each source. Returns how many packets.
static unsigned read_all(struct poller *poller) {
	uint64_t ticks = live_clock_ticks();
	unsigned n = 0;

	if (poller->busy)
		poller->busy_ticks += ticks - poller->round_ticks;
	poller->round_ticks = ticks;
	poller->now_ns = live_clock_now(&poller->clock, ticks);
	poller->age_ns = poller->now_ns - POLLER_LAG_NS;
	for (unsigned i = 0; i < poller->config.n_sources; i++)
		n += read_source(poller, i);
	return n;
}

static void look_at_clock(struct poller *poller) {
	if (live_clock_look(&poller->clock, LOOK_EVERY_NS) == LIVE_CLOCK_SET_BACK) {
		poller->now_ns = live_clock_now(&poller->clock, live_clock_ticks());
		poller->age_ns = poller->now_ns - POLLER_LAG_NS;
		poller->show_ns = poller->tell_ns = 0;
		do_task(poller, WORKER_RESTART);
	}
	for (unsigned i = 0; i < poller->config.n_sources; i++)
		port_look_at_clock(
			poller->config.sources[i].port,
			poller->config.sources[i].queue,
			LOOK_EVERY_NS
		);
	poller->look_ns = poller->now_ns;
}

// What time brings. Returns whether there is more to be done at once.
static bool tick(struct poller *poller, unsigned n_read) {
	bool more = false;

	if (poller->now_ns - poller->look_ns >= LOOK_EVERY_NS)
		look_at_clock(poller);
	if (fans_out(poller)) {
		if (n_read < PORT_BURST_FRAMES)
			hand_over(poller, poller->now_ns - poller->tell_ns >= TELL_EVERY_NS);
	} else {
		if (n_read == 0)
			flow_cache_drain(worker_cache(poller->config.workers[0]));
		more = worker_tick(poller->config.workers[0], poller->age_ns);
	}
	if (poller->now_ns - poller->show_ns >= SHOW_EVERY_NS)
		show(poller);
	return more;
}

// Until there are packets, or for WAIT_FD_MS.
static void wait_for_fds(const struct poller *poller) {
	struct pollfd fds[POLLER_MAX_SOURCES];
	int error;
	socklen_t length = sizeof(error);

	for (unsigned i = 0; i < poller->config.n_sources; i++)
		fds[i] = (struct pollfd){
			.fd = port_fd(poller->config.sources[i].port),
			.events = POLLIN,
		};
	if (poll(fds, poller->config.n_sources, WAIT_FD_MS) <= 0)
		return;
	for (unsigned i = 0; i < poller->config.n_sources; i++)
		// The interface went down. Reading the error takes it back, so that we wait again.
		if ((fds[i].revents & POLLERR) != 0)
			(void)getsockopt(fds[i].fd, SOL_SOCKET, SO_ERROR, &error, &length);
}

static void rest(struct poller *poller) {
	unsigned n = poller->n_idle++;

	if (n < SPIN_ROUNDS || !poller->config.rests) {
		rte_pause();
		return;
	}
	show(poller);
	if (poller->has_fds) {
		wait_for_fds(poller);
		return;
	}
	unsigned doublings = RTE_MIN((n - SPIN_ROUNDS) / 2, 10U);
	sleep_us((long)RTE_MIN((unsigned)LEAST_REST_US << doublings, poller->most_rest_us));
}

static bool stopping(const struct poller *poller) {
	// Acquire, with the release in sensor_stop(): the ports were stopped before.
	return atomic_load_explicit(poller->config.stop, memory_order_acquire);
}

// What the ports hold, but not what comes faster than we read.
static void drain(struct poller *poller) {
	uint64_t most = 0, n_read = 0;
	bool settles;

	for (unsigned i = 0; i < poller->config.n_sources; i++)
		most += port_room(poller->config.sources[i].port);
	do {
		unsigned n = read_all(poller);
		n_read += n;
		(void)tick(poller, n);
		settles = n > 0;
		for (unsigned i = 0; i < poller->config.n_sources && !settles; i++) {
			settles = port_settles(poller->config.sources[i].port);
			if (settles)
				sleep_us(LEAST_REST_US);
		}
	} while (settles && n_read < most);
}

static void *run(void *arg) {
	struct poller *poller = arg;
	bool registered = eal_started() && rte_thread_register() == 0;

	(void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
	// Others wait rather than packets, whom a port holds for some ms. As root alone.
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	sem_post(&poller->ready);
	while (!stopping(poller)) {
		unsigned n = read_all(poller);
		bool more = tick(poller, n);
		poller->busy = n > 0 || more;
		if (n > 0)
			poller->n_idle = 0;
		else if (!more)
			rest(poller);
	}
	drain(poller);
	do_task(poller, WORKER_END);
	show(poller);
	if (registered)
		rte_thread_unregister();
	return NULL;
}

int poller_start(struct poller *poller) {
	cpu_set_t cores;
	pthread_attr_t attributes;

	sem_init(&poller->ready, 0, 0);
	live_clock_start(&poller->clock);
	poller->now_ns = live_clock_now(&poller->clock, live_clock_ticks());
	poller->look_ns = poller->now_ns;
	pthread_attr_init(&attributes);
	if (poller->config.core >= 0) {
		CPU_ZERO(&cores);
		CPU_SET((unsigned)poller->config.core, &cores);
		pthread_attr_setaffinity_np(&attributes, sizeof(cores), &cores);
	}
	int rc = pthread_create(&poller->thread, &attributes, run, poller);
	pthread_attr_destroy(&attributes);
	poller->started = rc == 0;
	while (poller->started && sem_wait(&poller->ready) < 0)
		; // a signal came
	return -rc;
}

void poller_join(struct poller *poller) {
	if (poller->started)
		pthread_join(poller->thread, NULL);
	else
		do_task(poller, WORKER_END);
	poller->started = false;
}
