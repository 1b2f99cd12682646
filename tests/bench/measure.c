#include "measure.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#include "flow_key.h"
#include "packet_fast.h"

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define LINES_BYTES ((size_t)256 << 20)

enum {
	BURST = 32,
	PREFETCH_FRAMES = 8,
};

struct yardstick {
	enum pages pages;
	uint64_t *lines;
	uint64_t random;
	uint64_t sink; // so that nothing is optimised away
};

static const char *const names[] = {
	[PAGES_HUGE] = "huge",
	[PAGES_THP] = "thp",
	[PAGES_SMALL] = "4k",
};

const char *pages_name(enum pages pages) {
	return names[pages];
}

static size_t round_up(size_t bytes) {
	return (bytes + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
}

void *pages_map(size_t bytes, enum pages pages) {
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (pages == PAGES_HUGE ? MAP_HUGETLB : 0);
	bytes = round_up(bytes);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (pages != PAGES_HUGE)
		madvise(memory, bytes, pages == PAGES_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(memory, 0, bytes);
	return memory;
}

void pages_unmap(void *memory, size_t bytes, enum pages pages) {
	(void)pages;
	if (memory != NULL)
		munmap(memory, round_up(bytes));
}

int64_t measure_now(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void measure_pin(unsigned core) {
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		fprintf(stderr, "cannot pin to core %u: %s\n", core, strerror(errno));
}

static int by_value(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double measure_median(double *values, size_t n) {
	qsort(values, n, sizeof(values[0]), by_value);
	return n == 0 ? 0 : (values[(n - 1) / 2] + values[n / 2]) / 2;
}

double measure_min(const double *values, size_t n) {
	double least = values[0];
	for (size_t i = 1; i < n; i++)
		least = RTE_MIN(least, values[i]);
	return least;
}

uint64_t measure_peak_bytes(void) {
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_maxrss * 1024;
}

struct yardstick *yardstick_new(enum pages pages) {
	struct yardstick *yardstick = calloc(1, sizeof(*yardstick));
	if (yardstick == NULL)
		return NULL;
	yardstick->pages = pages;
	yardstick->random = UINT64_C(0x9e3779b97f4a7c15);
	yardstick->lines = pages_map(LINES_BYTES, pages);
	if (yardstick->lines == NULL) {
		free(yardstick);
		errno = ENOMEM;
		return NULL;
	}
	return yardstick;
}

void yardstick_free(struct yardstick *yardstick) {
	if (yardstick == NULL)
		return;
	pages_unmap(yardstick->lines, LINES_BYTES, yardstick->pages);
	free(yardstick);
}

int64_t yardstick_p(struct yardstick *yardstick, const struct frame *frames, unsigned n) {
	struct packet packet = {0};
	uint64_t sum = 0;
	int64_t begin = measure_now();

	for (unsigned i = 0; i < n; i++) {
		const struct frame *ahead = &frames[RTE_MIN(i + PREFETCH_FRAMES, n - 1)];
		rte_prefetch0(ahead->data);
		rte_prefetch0(ahead->data + 64);
		if (likely(packet_parse_plain(
			    &packet, frames[i].data, frames[i].captured_bytes, &flow_secret_fixed
		    )))
			sum += packet.hash;
	}
	yardstick->sink += sum;
	return measure_now() - begin;
}

int64_t yardstick_q(struct yardstick *yardstick, unsigned n) {
	uint64_t at[BURST];
	uint64_t x = yardstick->random;
	int64_t begin = measure_now();

	for (unsigned done = 0; done < n; done += BURST) {
		for (unsigned i = 0; i < BURST; i++) {
			x ^= x >> 12;
			x ^= x << 25;
			x ^= x >> 27;
			at[i] = (x * UINT64_C(0x2545f4914f6cdd1d)) >> 32 & (LINES_BYTES / 64 - 1);
			__builtin_prefetch(yardstick->lines + at[i] * 8, 1);
		}
		for (unsigned i = 0; i < BURST; i++)
			yardstick->lines[at[i] * 8 + 3] += i;
	}
	yardstick->random = x;
	return measure_now() - begin;
}
