// What the packet path does not do: allocate, and call the kernel. A worker's cache with the
// worker's own record ring meters traffic of every kind, with evictions, cuts and ageing, once
// with every allocator's function watched, and once in a process that the kernel kills at its
// first system call.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/seccomp.h>

#include "bench/traffic.h"
#include "flow_cache_fixture.h"
#include "frame_maker.h"
#include "random.h"
#include "worker.h"

enum {
	BURST = 64,
	N_CHUNKS = 80, // of each kind of traffic
	N_FLOWS = 10000,
	N_ODD_FRAMES = 4096,
	ODD_FRAME_STRIDE = 640,
};

// Calls of the allocator while it is watched. The linker sends every call of weir's here
// (--wrap). Volatile, since compilers take malloc() for a function that changes nothing.
static volatile bool watched;
static volatile unsigned n_calls;

#define WATCH(type, name, parameters, ...)                                                         \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters {                                                            \
		n_calls += watched;                                                                \
		return __real_##name(__VA_ARGS__);                                                 \
	}

WATCH(void *, malloc, (size_t n), n)
WATCH(void *, calloc, (size_t n, size_t size), n, size)
WATCH(void *, realloc, (void *old, size_t n), old, n)
WATCH(void *, aligned_alloc, (size_t alignment, size_t n), alignment, n)
WATCH(int, posix_memalign, (void **out, size_t alignment, size_t n), out, alignment, n)
WATCH(void, free, (void *old), old)
WATCH(void *,
      mmap,
      (void *at, size_t n, int prot, int flags, int fd, off_t offset),
      at,
      n,
      prot,
      flags,
      fd,
      offset)
WATCH(void *,
      mmap64,
      (void *at, size_t n, int prot, int flags, int fd, off_t offset),
      at,
      n,
      prot,
      flags,
      fd,
      offset)
WATCH(int, munmap, (void *at, size_t n), at, n)
WATCH(int, brk, (void *at), at)
WATCH(void *, sbrk, (intptr_t n), n)

// What meters, made before anyone watches.
struct path {
	struct worker *worker;
	struct traffic *traffic;
	struct frame odd[N_ODD_FRAMES]; // of every kind that the rules tell apart
	uint8_t *odd_octets;
	struct meter_counts counts;
	uint64_t n_records, n_marks;
	uint64_t order;
};

static struct path *path_new(const char *name) {
	struct path *path = calloc(1, sizeof(*path));
	struct random random = {31};
	struct flow_cache_config config = {
		.n_flows = N_FLOWS,
		.active_timeout_ns = 2 * NS_PER_MS,
		.idle_timeout_ns = NS_PER_MS,
		.secret = flow_secret_fixed,
		.path = name,
	};

	assert_non_null(path);
	path->worker = worker_new(&config);
	path->traffic = traffic_new(&(struct traffic_config){
		.kind = TRAFFIC_UNIFORM,
		.n_flows = 4 * N_FLOWS,
		.seed = 1,
	});
	path->odd_octets = calloc(N_ODD_FRAMES, ODD_FRAME_STRIDE);
	assert_true(path->worker != NULL && path->traffic != NULL && path->odd_octets != NULL);
	for (unsigned i = 0; i < N_ODD_FRAMES; i++) {
		uint8_t *octets = path->odd_octets + (size_t)i * ODD_FRAME_STRIDE;
		uint32_t n = make_frame(&random, LINK_ETHERNET, octets, N_FLOWS);
		path->odd[i] = (struct frame){
			.data = octets,
			.captured_bytes = n,
			.wire_bytes = n,
		};
		if (i % 50 == 0)
			frame_set_mark(&path->odd[i], FRAME_FILTERED);
	}
	return path;
}

static void path_free(struct path *path) {
	worker_free(path->worker);
	traffic_free(path->traffic);
	free(path->odd_octets);
	free(path);
}

// As the exporter does, but on this thread: the worker must never have to wait.
static void take_records(struct path *path) {
	struct ring *ring = worker_records(path->worker);
	uint32_t n;

	worker_publish(path->worker);
	while ((n = ring_ready(ring)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			bool mark = record_is_mark(ring_at(ring, i));
			path->n_marks += mark;
			path->n_records += !mark;
		}
		ring_release(ring, n);
	}
}

static void meter_chunk(struct path *path, const struct frame *frames, unsigned n) {
	const struct meter meter = {.link = LINK_ETHERNET, .in_if = 1};
	struct flow_cache *cache = worker_cache(path->worker);

	watched = true;
	for (unsigned i = 0; i < n; i += BURST) {
		flow_cache_meter(
			cache, &meter, frames + i, RTE_MIN(n - i, BURST + 0u), &path->counts
		);
		take_records(path);
	}
	time_ns_t now_ns = frames[n - 1].time_ns;
	worker_do(path->worker, WORKER_ADVANCE, ++path->order, now_ns);
	take_records(path);
	watched = false;
}

// Every kind of traffic of the benches, and the odd frames between them.
static void meter_everything(struct path *path) {
	static const enum traffic_kind kinds[] = {
		TRAFFIC_UNIFORM, TRAFFIC_ZIPF, TRAFFIC_NEW, TRAFFIC_EACH};

	for (unsigned chunk = 0; chunk < N_CHUNKS; chunk++) {
		traffic_set_kind(path->traffic, kinds[chunk / 4 % 4]);
		const struct frame *frames = traffic_fill(path->traffic, TRAFFIC_FRAMES);
		meter_chunk(path, frames, TRAFFIC_FRAMES);
		for (unsigned i = 0; i < N_ODD_FRAMES; i++)
			path->odd[i].time_ns = frames[TRAFFIC_FRAMES - 1].time_ns;
		meter_chunk(path, path->odd, N_ODD_FRAMES);
	}
	watched = true;
	worker_do(
		path->worker, WORKER_END, ++path->order, flow_cache_now(worker_cache(path->worker))
	);
	watched = false;
	take_records(path);
}

// Whether all came out that went in, and all that a cache can do was done.
static bool everything_was_done(const struct path *path) {
	struct flow_cache_stats stats;
	uint64_t n_records = 0;
	bool done = true;

	flow_cache_stats(worker_cache(path->worker), &stats);
	for (unsigned end = FLOW_END_IDLE; end < FLOW_END_COUNT; end++) {
		n_records += stats.records[end];
		done &= stats.records[end] > 0;
	}
	for (unsigned i = PACKET_METERED + 1; i < PACKET_VERDICT_COUNT; i++)
		done &= path->counts.unmetered[i].packets > 0;
	done &= n_records == path->n_records;
	done &= stats.record_packets == meter_counts_metered(&path->counts).packets;
	return done && stats.record_octets == path->counts.metered_octets;
}

static void metering_allocates_and_frees_nothing(void **state) {
	(void)state;

	// What is watched is seen.
	n_calls = 0;
	watched = true;
	void *volatile block = malloc(1); // or the compiler would leave both out
	free(block);
	watched = false;
	assert_int_equal(n_calls, 2);

	for (const char *const *name = flow_cache_paths(); *name != NULL; name++) {
		struct path *path = path_new(*name);
		n_calls = 0;
		meter_everything(path);
		assert_int_equal(n_calls, 0);
		assert_true(everything_was_done(path));
		path_free(path);
	}
}

// Runs `body` in a child that may only read, write and end; returns how that ended.
static int status_of_strict_child(bool (*body)(struct path *path), struct path *path) {
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
			_exit(77);
		// Not _exit(), which is exit_group.
		syscall(SYS_exit, body(path) ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static bool asks_for_its_parent(struct path *path) {
	(void)path;
	return syscall(SYS_getppid) >= 0;
}

static bool meters_everything(struct path *path) {
	meter_everything(path);
	return everything_was_done(path);
}

static void metering_makes_no_system_call(void **state) {
	(void)state;
	for (const char *const *name = flow_cache_paths(); *name != NULL; name++) {
		struct path *path = path_new(*name);
		int status = status_of_strict_child(asks_for_its_parent, path);
		if (WIFEXITED(status)) { // the call was allowed, or there is no seccomp
			print_message("# no seccomp here: system calls are not watched\n");
			path_free(path);
			return;
		}
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		status = status_of_strict_child(meters_everything, path);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		path_free(path);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metering_allocates_and_frees_nothing),
		cmocka_unit_test(metering_makes_no_system_call),
	};
	if (TEST_SANITIZED) {
		// By hand: cmocka's own way to skip is read as a failure.
		printf("1..0 # SKIP sanitizers call the kernel themselves\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
