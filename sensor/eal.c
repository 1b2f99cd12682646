#include "eal.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

enum {
	LOG_BYTES = 32 << 10,
	MAX_ARGUMENTS = 48,
	ARGUMENT_BYTES = 64,
	HUGE_PAGE_KIB = 2048,
};

static struct {
	bool started;
	bool verbose;
	bool hugepages;
	FILE *stream;
	int saved_stderr; // while muted
	int muted;        // what libraries write meanwhile
	off_t n_muted;    // of it that was kept
	char log[LOG_BYTES];
	size_t n_log;
	size_t mark;
	char complaint[PORT_ERROR_BYTES / 2];
	pthread_mutex_t lock; // of log, n_log and mark: drivers complain on any thread
} eal = {.saved_stderr = -1, .muted = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

// Keeps the newer half when the buffer is full.
static void keep(const char *text, size_t n) {
	pthread_mutex_lock(&eal.lock);
	if (n > LOG_BYTES / 2) {
		text += n - LOG_BYTES / 2;
		n = LOG_BYTES / 2;
	}
	if (eal.n_log + n > LOG_BYTES) {
		size_t old = eal.n_log - LOG_BYTES / 2;
		memmove(eal.log, eal.log + old, LOG_BYTES / 2);
		eal.n_log = LOG_BYTES / 2;
		eal.mark = eal.mark > old ? eal.mark - old : 0;
	}
	memcpy(eal.log + eal.n_log, text, n);
	eal.n_log += n;
	pthread_mutex_unlock(&eal.lock);
}

// Called under the lock of its FILE.
static ssize_t on_write(void *cookie, const char *text, size_t n) {
	(void)cookie;
	keep(text, n);
	if (eal.verbose)
		fwrite(text, 1, n, stderr);
	return (ssize_t)n;
}

static void keep_muted(void) {
	char text[4096];
	ssize_t n;

	if (eal.muted < 0)
		return;
	for (; (n = pread(eal.muted, text, sizeof(text), eal.n_muted)) > 0; eal.n_muted += n)
		keep(text, (size_t)n);
}

void eal_mute(void) {
	if (eal.verbose || eal.muted >= 0)
		return;
	fflush(stderr);
	eal.muted = memfd_create("weir-stderr", MFD_CLOEXEC);
	eal.saved_stderr = dup(STDERR_FILENO);
	eal.n_muted = 0;
	if (eal.muted >= 0 && eal.saved_stderr >= 0)
		dup2(eal.muted, STDERR_FILENO);
}

void eal_unmute(void) {
	fflush(stderr);
	if (eal.saved_stderr >= 0) {
		dup2(eal.saved_stderr, STDERR_FILENO);
		close(eal.saved_stderr);
	}
	keep_muted();
	if (eal.muted >= 0)
		close(eal.muted);
	eal.saved_stderr = eal.muted = -1;
}

void eal_mark(void) {
	pthread_mutex_lock(&eal.lock);
	eal.mark = eal.n_log;
	pthread_mutex_unlock(&eal.lock);
}

// Behind "EAL: ", or "eth_dev_open(): " and the like of drivers.
static const char *without_prefix(const char *line) {
	const char *at = strstr(line, "(): ");
	if (at != NULL)
		return at + 4;
	at = strstr(line, ": ");
	return at != NULL && at - line < 12 ? at + 2 : line;
}

static bool is_chatter(const char *line) {
	static const char *const words[] = {
		"Detected",
		"Selected IOVA",
		"libbpf: elf: skipping",
		"libxdp: No bpffs",
		"dispatcher",
		"Multi-process socket",
		"No free",
		"No available",
		"Cannot init plugins",
	};
	for (size_t i = 0; i < RTE_DIM(words); i++)
		if (strstr(line, words[i]) != NULL)
			return true;
	return false;
}

const char *eal_complaint(void) {
	char line[sizeof(eal.complaint)];

	if (eal.stream != NULL)
		fflush(eal.stream);
	keep_muted();
	eal.complaint[0] = '\0';
	pthread_mutex_lock(&eal.lock);
	// The first is the cause, those after it its consequences.
	for (size_t at = eal.mark; at < eal.n_log && eal.complaint[0] == '\0';) {
		const char *end = memchr(eal.log + at, '\n', eal.n_log - at);
		size_t n = end != NULL ? (size_t)(end - (eal.log + at)) : eal.n_log - at;
		snprintf(line, sizeof(line), "%.*s", (int)n, eal.log + at);
		if (n > 0 && !is_chatter(line))
			snprintf(eal.complaint, sizeof(eal.complaint), "%s", without_prefix(line));
		at += n + 1;
	}
	pthread_mutex_unlock(&eal.lock);
	return eal.complaint;
}

// MiB in free huge pages of 2 MiB.
static unsigned free_huge_mib(void) {
	unsigned n = 0;
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%u", &n) != 1)
		n = 0;
	fclose(file);
	return n * (HUGE_PAGE_KIB / 1024);
}

struct arguments {
	char text[MAX_ARGUMENTS][ARGUMENT_BYTES];
	char *list[MAX_ARGUMENTS + 1];
	int n;
};

[[gnu::format(printf, 2, 3)]] static void
add(struct arguments *arguments, const char *format, ...) {
	va_list args;

	if (arguments->n == MAX_ARGUMENTS)
		return;
	va_start(args, format);
	vsnprintf(arguments->text[arguments->n], ARGUMENT_BYTES, format, args);
	va_end(args);
	arguments->list[arguments->n] = arguments->text[arguments->n];
	arguments->n++;
}

// One core, for EAL will have one: weir's threads are its own.
static unsigned first_core(const cpu_set_t *cores) {
	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, cores))
			return i;
	return 0;
}

static void
derive(struct arguments *arguments, const struct eal_config *config, const cpu_set_t *cores) {
	unsigned n_pci = 0;

	add(arguments, "weir");
	add(arguments, "--lcores=0@%u", first_core(cores));
	add(arguments, "--no-telemetry");
	if (eal.hugepages) {
		add(arguments, "--in-memory");
	} else {
		add(arguments, "--no-huge");
		add(arguments, "-m");
		add(arguments, "%u", config->memory_mib);
		add(arguments, "--no-shconf");
	}
	add(arguments, "--file-prefix=weir-%d", (int)getpid());
	for (unsigned i = 0; i < config->n_ports; i++)
		if (config->ports[i].driver == PORT_PCI) {
			add(arguments, "-a");
			add(arguments, "%.60s", config->ports[i].device);
			n_pci++;
		}
	if (n_pci == 0)
		add(arguments, "--no-pci");
}

// EAL's folder, this process's own, which with what it is told it leaves empty. At the end weir may
// no longer have the right.
static void remove_folder(void) {
	const char *folder = rte_eal_get_runtime_dir();
	if (folder != NULL)
		(void)rmdir(folder);
}

int eal_start(const struct eal_config *config, char *error) {
	// EAL keeps pointers into its arguments.
	static struct arguments arguments;
	cpu_set_t cores;

	eal.verbose = config->verbose;
	eal.hugepages = free_huge_mib() >= config->memory_mib;
	if (config->hugepages && !eal.hugepages) {
		snprintf(
			error,
			PORT_ERROR_BYTES,
			"too few hugepages are free for %u MiB of packet buffers; 'sysctl "
			"vm.nr_hugepages=N' sets N of 2 MiB aside",
			config->memory_mib
		);
		return -ENOMEM;
	}
	eal.stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = on_write});
	if (eal.stream == NULL) {
		snprintf(error, PORT_ERROR_BYTES, "DPDK cannot be started: no memory");
		return -ENOMEM;
	}
	setvbuf(eal.stream, NULL, _IOLBF, 0);
	rte_openlog_stream(eal.stream);

	pthread_getaffinity_np(pthread_self(), sizeof(cores), &cores);
	derive(&arguments, config, &cores);
	eal_mute();
	int rc = rte_eal_init(arguments.n, arguments.list);
	eal_unmute();
	// EAL took this thread for its own and pinned it.
	pthread_setaffinity_np(pthread_self(), sizeof(cores), &cores);
	if (rc < 0) {
		const char *complaint = eal_complaint();
		snprintf(
			error,
			PORT_ERROR_BYTES,
			"DPDK cannot be started: %s",
			complaint[0] != '\0' ? complaint : rte_strerror(rte_errno)
		);
		return rte_errno > 0 ? -rte_errno : -EIO;
	}
	eal.started = true;
	remove_folder();
	return 0;
}

void eal_stop(void) {
	if (!eal.started)
		return;
	eal_mute();
	rte_eal_cleanup();
	eal_unmute();
	eal.started = false;
}

bool eal_started(void) {
	return eal.started;
}

bool eal_has_hugepages(void) {
	return eal.hugepages;
}
