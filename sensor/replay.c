#include "replay.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "capture_file.h"
#include "packet.h"
#include "selector.h"
#include "worker.h"

enum {
	READ_FRAMES = 64,
	ROUND_FRAMES = 2 * READ_FRAMES, // handed to the workers at once
	IDLE_ROUNDS = 16,               // a worker without packets is told the order this often
	PROGRESS_FRAMES = 4096,
	GAP_STEPS = 1024, // clock steps through a silence, at most
};

#define CLOCK_STEP_NS (250 * NS_PER_MS)

struct replay {
	struct replay_config config;
	struct worker *workers[REPLAY_MAX_WORKERS];
	struct ring *rings[REPLAY_MAX_WORKERS];
	atomic_bool stop;

	// The packets' clock.
	bool clock_set;
	time_ns_t clock_ns; // of the last step
	time_ns_t late_ns;  // how far back a packet is late and no more
	uint64_t order;     // of clock steps and rounds

	// Several workers: the bursts being filled.
	struct worker_burst *open[REPLAY_MAX_WORKERS];
	unsigned n_round; // frames since the last hand-over
	unsigned n_rounds;

	// Replay at a speed: packet time `pace_packet_ns` was at `pace_wall_ns`.
	time_ns_t pace_packet_ns;
	time_ns_t pace_wall_ns;

	struct meter_counts counts;

	struct selector *selector;
	struct duplicate_stats duplicates;

	uint64_t bytes_before; // of the files that are done
	uint64_t bytes_total;
	uint64_t next_progress;
};

static time_ns_t wall_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static bool stopping(struct replay *replay) {
	// Relaxed: nothing else is to be seen with it, and late is soon enough.
	return atomic_load_explicit(&replay->stop, memory_order_relaxed);
}

static bool fans_out(const struct replay *replay) {
	return replay->config.n_workers > 1;
}

struct replay *replay_new(const struct replay_config *config) {
	if (config->n_workers < 1 || config->n_workers > REPLAY_MAX_WORKERS || config->n_files < 1
	    || !(config->speed >= 0)) {
		errno = EINVAL;
		return NULL;
	}

	struct replay *replay = calloc(1, sizeof(*replay));
	if (replay == NULL)
		return NULL;
	replay->config = *config;
	replay->late_ns = RTE_MIN(RTE_MAX(config->idle_timeout_ns, NS_PER_S), 3600 * NS_PER_S);

	replay->selector = selector_new(&(struct selector_config){
		.duplicate_window_ns = config->duplicate_window_ns,
		.duplicate_copies = config->duplicate_copies,
		.duplicate_routed = config->duplicate_routed,
		.duplicate_place = config->secret,
		.sampling_algorithm = config->sampling_algorithm,
		.sampling_interval = config->sampling_interval,
		.sampling_seed = config->secret.words[0],
	});
	if (replay->selector == NULL) {
		int error = errno;
		replay_free(replay);
		errno = error;
		return NULL;
	}

	struct flow_cache_config cache = {
		.n_flows = config->n_flows / config->n_workers,
		.active_timeout_ns = config->active_timeout_ns,
		.idle_timeout_ns = config->idle_timeout_ns,
		.secret = config->secret,
		.mpls_labels = config->mpls_labels,
	};
	for (unsigned i = 0; i < config->n_workers; i++) {
		replay->workers[i] = worker_new(&cache);
		if (replay->workers[i] == NULL) {
			int error = errno;
			replay_free(replay);
			errno = error;
			return NULL;
		}
		replay->rings[i] = worker_records(replay->workers[i]);
	}
	return replay;
}

void replay_free(struct replay *replay) {
	if (replay == NULL)
		return;
	for (unsigned i = 0; i < replay->config.n_workers; i++)
		worker_free(replay->workers[i]);
	selector_free(replay->selector);
	free(replay);
}

struct ring *const *replay_rings(const struct replay *replay) {
	return replay->rings;
}

void replay_stop(struct replay *replay) {
	atomic_store_explicit(&replay->stop, true, memory_order_relaxed);
}

bool replay_stopped(const struct replay *replay) {
	return atomic_load_explicit(&replay->stop, memory_order_relaxed);
}

static void open_burst(struct replay *replay, struct worker_burst *burst, enum worker_task task) {
	burst->task = task;
	burst->n_packets = 0;
	burst->order = replay->order;
	burst->now_ns = replay->clock_ns;
}

// Tells every worker that has room that nothing below the present order will come to it. One
// whose burst is being filled is given that: more of the same order may follow.
static void tell_order(struct replay *replay) {
	for (unsigned i = 0; i < replay->config.n_workers; i++) {
		struct worker_burst *burst = replay->open[i];
		if (burst == NULL) {
			burst = worker_reserve(replay->workers[i]);
			if (burst == NULL)
				continue;
			open_burst(replay, burst, WORKER_PACKETS);
		}
		replay->open[i] = NULL;
		worker_submit(replay->workers[i]);
	}
}

// A burst for worker `i` to fill. Where the worker is behind, wait; and tell the others how
// far we are, for the exporter may hold this one's records until it has heard from them.
static struct worker_burst *reserve_burst(struct replay *replay, unsigned i) {
	struct worker_burst *burst;
	while ((burst = worker_reserve(replay->workers[i])) == NULL) {
		tell_order(replay);
		nanosleep(&(struct timespec){.tv_nsec = 50 * NS_PER_US}, NULL);
	}
	return burst;
}

// Hands the filled bursts over. All of a round have one order.
static void end_round(struct replay *replay) {
	for (unsigned i = 0; i < replay->config.n_workers; i++) {
		if (replay->open[i] == NULL)
			continue;
		replay->open[i] = NULL;
		worker_submit(replay->workers[i]);
	}
	replay->order++;
	replay->n_round = 0;
	if (fans_out(replay) && ++replay->n_rounds % IDLE_ROUNDS == 0)
		tell_order(replay);
}

static void do_task(struct replay *replay, enum worker_task task, time_ns_t now_ns) {
	end_round(replay);
	for (unsigned i = 0; i < replay->config.n_workers; i++) {
		// Without a thread of its own: the only worker, or one that could not start.
		if (!worker_has_thread(replay->workers[i])) {
			worker_do(replay->workers[i], task, replay->order, now_ns);
			continue;
		}
		struct worker_burst *burst = reserve_burst(replay, i);
		open_burst(replay, burst, task);
		burst->now_ns = now_ns;
		worker_submit(replay->workers[i]);
	}
	replay->order++;
}

// Replay at a speed: sleeps until packet time `t` is due, in slices so that a stop is heard.
static void wait_for(struct replay *replay, time_ns_t t) {
	if (replay->config.speed == 0)
		return;
	double ahead = (double)(t - replay->pace_packet_ns) / replay->config.speed;
	// Centuries from now: the capture is asked to take its time.
	time_ns_t due_ns = replay->pace_wall_ns + (time_ns_t)RTE_MIN(ahead, 1e18);
	time_ns_t left_ns;

	while (!stopping(replay) && (left_ns = due_ns - wall_ns()) > 0) {
		if (!fans_out(replay))
			worker_publish(replay->workers[0]);
		left_ns = RTE_MIN(left_ns, 100 * NS_PER_MS);
		nanosleep(&(struct timespec){.tv_nsec = left_ns}, NULL);
	}
}

// Moves the clock on to `t` through whatever silence lies between, or starts it anew.
[[gnu::noinline]] static void step_clock(struct replay *replay, time_ns_t t) {
	if (!replay->clock_set || t < replay->clock_ns) {
		replay->clock_set = true;
		replay->pace_packet_ns = t;
		replay->pace_wall_ns = wall_ns();
		do_task(replay, WORKER_RESTART, t);
		replay->clock_ns = t;
		return;
	}

	time_ns_t step_ns = RTE_MAX(CLOCK_STEP_NS, (t - replay->clock_ns) / GAP_STEPS);
	while (t - replay->clock_ns > step_ns && !stopping(replay)) {
		// One worker without flows has nothing to age; of several we cannot know.
		if (!fans_out(replay)) {
			struct flow_cache_stats stats;
			flow_cache_drain(worker_cache(replay->workers[0]));
			flow_cache_stats(worker_cache(replay->workers[0]), &stats);
			if (stats.flows == 0)
				break;
		}
		replay->clock_ns += step_ns;
		wait_for(replay, replay->clock_ns);
		do_task(replay, WORKER_ADVANCE, replay->clock_ns);
	}
	replay->clock_ns = t;
	wait_for(replay, t);
	do_task(replay, WORKER_ADVANCE, t);
}

// Whether the clock must move before a packet of time `t` is counted.
static inline bool clock_is_due(const struct replay *replay, time_ns_t t) {
	uint64_t since = (uint64_t)t - (uint64_t)(replay->clock_ns - replay->late_ns);
	return since >= (uint64_t)(replay->late_ns + CLOCK_STEP_NS) || !replay->clock_set;
}

// Hands a packet to the worker of its conversation.
static void fan_out(struct replay *replay, const struct packet *packet) {
	unsigned i =
		flow_key_worker(&packet->key, &replay->config.secret, replay->config.n_workers);
	struct worker_burst *burst = replay->open[i];

	if (burst == NULL) {
		burst = replay->open[i] = reserve_burst(replay, i);
		open_burst(replay, burst, WORKER_PACKETS);
	}
	burst->packets[burst->n_packets++] = *packet;
}

// Parses frames of one clock step and hands the packets to the workers.
static void fan_out_frames(
	struct replay *replay, const struct meter *meter, const struct frame *frames, unsigned n
) {
	struct packet packets[READ_FRAMES];
	unsigned n_packets =
		meter_parse(meter, &replay->config.secret, frames, n, packets, &replay->counts);

	for (unsigned i = 0; i < n_packets; i++)
		fan_out(replay, &packets[i]);
}

// Frames that lie between two steps of the clock go on together.
static void meter_frames(
	struct replay *replay, const struct meter *meter, const struct frame *frames, unsigned n
) {
	for (unsigned done = 0, end; done < n; done = end) {
		time_ns_t t = frames[done].time_ns;
		if (unlikely(frames[done].mark == FRAME_PLAIN && clock_is_due(replay, t)))
			step_clock(replay, t);
		for (end = done + 1; end < n; end++)
			if (unlikely(
				    frames[end].mark == FRAME_PLAIN
				    && clock_is_due(replay, frames[end].time_ns)
			    ))
				break;
		if (unlikely(replay->config.speed != 0)) {
			if (frames[done].mark == FRAME_PLAIN)
				wait_for(replay, t);
			end = done + 1;
		}
		if (fans_out(replay))
			fan_out_frames(replay, meter, frames + done, end - done);
		else
			worker_meter(
				replay->workers[0],
				meter,
				frames + done,
				end - done,
				&replay->counts
			);
	}
	replay->n_round += n;
	if (fans_out(replay) && replay->n_round > ROUND_FRAMES - READ_FRAMES)
		end_round(replay);
}

static void
report_progress(struct replay *replay, unsigned file, const struct capture_file *capture) {
	if (replay->config.on_progress == NULL
	    || replay->counts.received.packets < replay->next_progress)
		return;
	replay->next_progress =
		replay->counts.received.packets + (replay->config.speed == 0 ? PROGRESS_FRAMES : 1);
	struct replay_progress progress = {
		.file = replay->config.files[file],
		.packets = replay->counts.received.packets,
		.bytes_read = replay->bytes_before + capture_file_position(capture),
		.bytes_total = replay->bytes_total,
	};
	replay->config.on_progress(&progress, replay->config.arg);
}

// Returns whether the file was read whole.
static bool replay_file(struct replay *replay, unsigned i) {
	struct frame frames[READ_FRAMES];
	char error[CAPTURE_ERROR_BYTES];
	struct capture_file *capture = capture_file_open(
		replay->config.files[i],
		&(struct capture_file_config){.filter = replay->config.filter},
		error
	);
	int n;

	if (capture == NULL) {
		replay->config.on_error(error, replay->config.arg);
		return false;
	}
	const struct meter meter = {.link = capture_file_link(capture), .in_if = REPLAY_IN_IF};
	while ((n = capture_file_read(capture, frames, READ_FRAMES)) > 0 && !stopping(replay)) {
		selector_mark(replay->selector, &meter, frames, (unsigned)n);
		meter_frames(replay, &meter, frames, (unsigned)n);
		report_progress(replay, i, capture);
	}
	// What a signal interrupted has been told to stop.
	bool broken = n < 0 && !stopping(replay);
	if (broken)
		replay->config.on_error(capture_file_error(capture), replay->config.arg);
	replay->bytes_before += capture_file_position(capture);
	capture_file_close(capture);
	return !broken;
}

// Octets of all files together, 0 where one is not a plain file.
static uint64_t size_of_files(const struct replay *replay) {
	uint64_t bytes = 0;
	for (unsigned i = 0; i < replay->config.n_files; i++) {
		struct stat file;
		if (strcmp(replay->config.files[i], "-") == 0
		    || stat(replay->config.files[i], &file) < 0 || !S_ISREG(file.st_mode))
			return 0;
		bytes += (uint64_t)file.st_size;
	}
	return bytes;
}

int replay_run(struct replay *replay) {
	int n_broken = 0;
	int rc = 0;

	replay->bytes_total = size_of_files(replay);
	if (fans_out(replay))
		for (unsigned i = 0; i < replay->config.n_workers && rc == 0; i++)
			rc = worker_start(replay->workers[i]);

	for (unsigned i = 0; i < replay->config.n_files && rc == 0 && !stopping(replay); i++)
		n_broken += !replay_file(replay, i);
	do_task(replay, WORKER_END, replay->clock_ns);
	for (unsigned i = 0; i < replay->config.n_workers; i++)
		worker_join(replay->workers[i]);
	selector_duplicates(replay->selector, &replay->duplicates);
	return rc < 0 ? rc : n_broken;
}

void replay_ledger(const struct replay *replay, struct ledger *ledger) {
	const struct meter_counts *counts = &replay->counts;

	*ledger = (struct ledger){
		.received = counts->received,
		.metered = meter_counts_metered(counts),
		.metered_octets = counts->metered_octets,
		.duplicates = replay->duplicates.pairs,
		.n_duplicates = replay->duplicates.n_pairs,
		.duplicates_forgotten = replay->duplicates.forgotten,
	};
	meter_counts_reasons(counts, ledger);

	for (unsigned i = 0; i < replay->config.n_workers; i++) {
		struct flow_cache_stats stats;
		flow_cache_stats(worker_cache(replay->workers[i]), &stats);
		for (unsigned end = 0; end < FLOW_END_COUNT; end++)
			ledger->records[end] += stats.records[end];
		ledger->record_packets += stats.record_packets;
		ledger->record_octets += stats.record_octets;
		ledger->cached_flows += stats.flows;
	}
}
