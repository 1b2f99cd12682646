#include "sensor.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "eal.h"
#include "filter_jit.h"
#include "flow_cache.h"
#include "poller.h"
#include "sensor_internal.h"
#include "worker.h"

enum {
	EAL_MIB = 64,       // EAL's own, and its drivers'
	EAL_QUEUE_MIB = 48, // of packet buffers
	PREFAULT_NICE = 10,
};

[[gnu::format(printf, 3, 4)]] static void
say(const struct sensor *sensor, bool bad, const char *format, ...) {
	char message[SENSOR_ERROR_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	sensor->config.on_message(message, bad, sensor->config.arg);
}

static int start_eal(const struct sensor_config *config, char *error) {
	struct eal_config eal = {
		.ports = config->ports,
		.n_ports = config->n_ports,
		.memory_mib = EAL_MIB,
		.hugepages = config->hugepages,
		.verbose = config->verbose_eal,
	};
	unsigned n = 0;

	for (unsigned i = 0; i < config->n_ports; i++)
		n += port_spec_needs_eal(&config->ports[i]);
	if (n == 0)
		return 0;
	eal.memory_mib += n * config->n_workers * EAL_QUEUE_MIB;
	return eal_start(&eal, error);
}

static int open_ports(struct sensor *sensor, char *error) {
	const struct sensor_config *config = &sensor->config;

	for (unsigned i = 0; i < config->n_ports; i++) {
		struct port *port = port_open(&config->ports[i], config->n_workers, error);
		if (port == NULL)
			return -1;
		sensor->ports[sensor->n_ports++] = (struct watched_port){.port = port};
		say(sensor,
		    false,
		    "port %s: %s, %u queue%s",
		    port_name(port),
		    port_driver_name(port),
		    port_queues(port),
		    port_queues(port) > 1 ? "s" : "");
	}
	return 0;
}

static int make_workers(struct sensor *sensor, char *error) {
	const struct sensor_config *config = &sensor->config;
	const struct flow_cache_config cache = {
		.n_flows = config->n_flows / config->n_workers,
		.active_timeout_ns = config->active_timeout_ns,
		.idle_timeout_ns = config->idle_timeout_ns,
		.secret = config->secret,
		.mpls_labels = config->mpls_labels,
	};

	for (unsigned i = 0; i < config->n_workers; i++) {
		sensor->workers[i] =
			config->hugepages ? worker_new_in_hugepages(&cache) : worker_new(&cache);
		if (sensor->workers[i] == NULL) {
			snprintf(
				error,
				SENSOR_ERROR_BYTES,
				"no %s for %u flows (%zu MiB): %s; use a smaller --cache-entries%s",
				config->hugepages ? "hugepages" : "memory",
				config->n_flows,
				flow_cache_memory(config->n_flows) >> 20,
				strerror(errno),
				config->hugepages ? ", or 'sysctl vm.nr_hugepages=N' to set N of 2 "
						    "MiB aside"
						  : ""
			);
			return -1;
		}
		worker_go_live(sensor->workers[i]);
		sensor->rings[i] = worker_records(sensor->workers[i]);
	}
	return 0;
}

// Whether every port has a queue for each worker.
static bool spread_by_ports(const struct sensor *sensor) {
	for (unsigned i = 0; i < sensor->n_ports; i++)
		if (port_queues(sensor->ports[i].port) < sensor->config.n_workers)
			return false;
	return true;
}

// The selector of a poller, NULL where everything is metered. Returns 0 or a negative errno.
static int make_selector(const struct sensor *sensor, struct selector **selector) {
	struct selector_config config = sensor->config.selection;
	config.filter = sensor->config.filter;
	struct flow_secret seed = {0};

	if (!selector_selects(&config))
		return 0;
	int rc = flow_secret_random(&config.duplicate_place);
	if (rc == 0)
		rc = flow_secret_random(&seed);
	if (rc < 0)
		return rc;
	config.sampling_seed = seed.words[0];
	*selector = selector_new(&config);
	return *selector == NULL ? -errno : 0;
}

static int make_pollers(struct sensor *sensor, char *error) {
	const struct sensor_config *config = &sensor->config;
	if (config->filter != NULL)
		sensor->filter_jit = filter_jit_new(config->filter);
	bool direct = config->n_workers == 1 || spread_by_ports(sensor);
	unsigned n = direct ? config->n_workers : 1;

	for (unsigned i = 0; i < n; i++) {
		int rc = make_selector(sensor, &sensor->selectors[i]);
		if (rc < 0) {
			snprintf(
				error,
				SENSOR_ERROR_BYTES,
				"no memory to look for second copies: %s",
				strerror(-rc)
			);
			return rc;
		}
		struct poller_config poller = {
			.workers = &sensor->workers[i],
			.n_workers = direct ? 1 : config->n_workers,
			.secret = config->secret,
			.own = &sensor->own,
			.selector = sensor->selectors[i],
			.stop = &sensor->stop,
			.rests = config->idle == SENSOR_IDLE_ADAPTIVE,
			.core = config->n_cores > 0 ? (int)config->cores[i % config->n_cores] : -1,
		};
		for (unsigned j = 0; j < sensor->n_ports; j++)
			for (unsigned queue = i; queue < port_queues(sensor->ports[j].port);
			     queue += n) {
				sensor->queues[sensor->n_queues++] =
					(struct read_queue){j, queue, i, poller.n_sources};
				poller.sources[poller.n_sources++] =
					(struct poller_source){sensor->ports[j].port, queue};
			}
		sensor->pollers[i] = poller_new(&poller);
		if (sensor->pollers[i] == NULL) {
			snprintf(error, SENSOR_ERROR_BYTES, "no memory for a thread that reads");
			return -1;
		}
		sensor->n_pollers++;
	}
	return 0;
}

// Until sensor_exclude().
static const struct own_export nothing;

struct sensor *sensor_new(const struct sensor_config *config, char *error) {
	if (config->n_ports < 1 || config->n_ports > SENSOR_MAX_PORTS || config->n_workers < 1
	    || config->n_workers > SENSOR_MAX_WORKERS || config->n_cores > SENSOR_MAX_CORES) {
		snprintf(error, SENSOR_ERROR_BYTES, "too few or too many ports, workers or cores");
		return NULL;
	}
	struct sensor *sensor = calloc(1, sizeof(*sensor));
	if (sensor == NULL) {
		snprintf(error, SENSOR_ERROR_BYTES, "no memory");
		return NULL;
	}
	sensor->config = *config;
	pthread_mutex_init(&sensor->lock, NULL);
	atomic_init(&sensor->own, &nothing);
	// Flow caches first: they are what a machine may be too small for.
	if (make_workers(sensor, error) < 0 || start_eal(config, error) < 0
	    || open_ports(sensor, error) < 0 || make_pollers(sensor, error) < 0) {
		sensor_free(sensor);
		return NULL;
	}
	return sensor;
}

static void free_exclusions(struct exclusion *exclusion) {
	for (struct exclusion *older; exclusion != NULL; exclusion = older) {
		older = exclusion->older;
		free(exclusion);
	}
}

void sensor_free(struct sensor *sensor) {
	if (sensor == NULL)
		return;
	for (unsigned i = 0; i < sensor->n_pollers; i++)
		poller_free(sensor->pollers[i]);
	for (unsigned i = 0; i < SENSOR_MAX_WORKERS; i++)
		selector_free(sensor->selectors[i]);
	free_exclusions(sensor->exclusions);
	filter_jit_free(sensor->filter_jit);
	for (unsigned i = 0; i < sensor->n_ports; i++)
		port_close(sensor->ports[i].port);
	for (unsigned i = 0; i < sensor->config.n_workers; i++)
		worker_free(sensor->workers[i]);
	eal_stop();
	free(sensor);
}

struct ring *const *sensor_rings(const struct sensor *sensor) {
	return sensor->rings;
}

const struct port *sensor_port(const struct sensor *sensor, unsigned i) {
	return i < sensor->n_ports ? sensor->ports[i].port : NULL;
}

int sensor_exclude(struct sensor *sensor, const struct own_export *own) {
	struct exclusion *exclusion = calloc(1, sizeof(*exclusion));

	if (exclusion == NULL)
		return -ENOMEM;
	exclusion->own = *own;
	exclusion->older = sensor->exclusions;
	sensor->exclusions = exclusion;
	// Release: filled before it is seen.
	atomic_store_explicit(&sensor->own, &exclusion->own, memory_order_release);
	if (exclusion->older != NULL)
		(void)sensor_beats(sensor, exclusion->older->beats);
	return 0;
}

// Whether every poller has left what it read when the beats were these.
static bool all_past(const struct sensor *sensor, const uint32_t *beats) {
	uint32_t now[SENSOR_MAX_WORKERS];
	unsigned n = sensor_beats(sensor, now);
	bool past = true;

	for (unsigned i = 0; i < n; i++)
		past &= now[i] - beats[i] >= POLLER_BEATS_PAST;
	return past;
}

// The newest stays. What was replaced before another that nobody reads any more is read by nobody.
static void drop_exclusions(struct sensor *sensor) {
	struct exclusion *kept = sensor->exclusions;

	while (kept != NULL && kept->older != NULL && !all_past(sensor, kept->older->beats))
		kept = kept->older;
	if (kept == NULL)
		return;
	free_exclusions(kept->older);
	kept->older = NULL;
}

void sensor_set_timeouts(
	struct sensor *sensor, time_ns_t active_timeout_ns, time_ns_t idle_timeout_ns
) {
	for (unsigned i = 0; i < sensor->config.n_workers; i++)
		worker_set_timeouts(sensor->workers[i], active_timeout_ns, idle_timeout_ns);
}

static void pin_worker(const struct sensor *sensor, unsigned i, bool begin) {
	static cpu_set_t before;
	cpu_set_t one;

	if (sensor->config.n_cores == 0)
		return;
	// A thread inherits where it may run.
	if (!begin) {
		pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
		return;
	}
	pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
	CPU_ZERO(&one);
	CPU_SET(sensor->config.cores[i % sensor->config.n_cores], &one);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

static void *prefault(void *arg) {
	struct sensor *sensor = arg;

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), PREFAULT_NICE);
	for (unsigned i = 0; i < sensor->config.n_workers; i++)
		worker_prefault(sensor->workers[i], &sensor->stop);
	return NULL;
}

static int no_thread(int rc, char *error) {
	snprintf(error, SENSOR_ERROR_BYTES, "a thread cannot be started: %s", strerror(-rc));
	return rc;
}

int sensor_start(struct sensor *sensor, char *error) {
	bool fans_out = sensor->n_pollers < sensor->config.n_workers;
	int rc = 0;

	// Downstream first.
	for (unsigned i = 0; fans_out && i < sensor->config.n_workers && rc == 0; i++) {
		pin_worker(sensor, i + 1, true);
		rc = worker_start(sensor->workers[i]);
		pin_worker(sensor, i + 1, false);
	}
	if (rc < 0)
		return no_thread(rc, error);
	// DPDK allows no burst of a device that is being started, so nobody reads yet; until then
	// a port's own ring holds what comes.
	for (unsigned i = 0; i < sensor->n_ports; i++) {
		rc = port_start(sensor->ports[i].port, error);
		if (rc < 0)
			return rc;
	}
	sensor->started = true;
	for (unsigned i = 0; i < sensor->n_pollers; i++) {
		rc = poller_start(sensor->pollers[i]);
		if (rc < 0)
			return no_thread(rc, error);
	}
	// Without it memory comes as flows do.
	sensor->prefaults = pthread_create(&sensor->prefaulter, NULL, prefault, sensor) == 0;
	return 0;
}

static void look_at_losses(struct sensor *sensor, struct watched_port *watched) {
	struct port_losses losses;

	port_losses(watched->port, &losses);
	pthread_mutex_lock(&sensor->lock);
	watched->losses = losses;
	pthread_mutex_unlock(&sensor->lock);
}

unsigned sensor_watch(struct sensor *sensor) {
	unsigned n_left = 0;

	drop_exclusions(sensor);
	for (unsigned i = 0; i < sensor->n_ports; i++) {
		struct watched_port *watched = &sensor->ports[i];
		const char *name = port_name(watched->port);
		if (watched->state == PORT_VANISHED)
			continue;
		look_at_losses(sensor, watched);
		enum port_state state = port_watch(watched->port);
		n_left += state != PORT_VANISHED;
		if (state == watched->state)
			continue;
		if (state == PORT_UP)
			say(sensor, false, "port %s: link up", name);
		else if (state == PORT_DOWN)
			say(sensor, true, "port %s: link down", name);
		else
			say(sensor,
			    true,
			    "port %s: the device is gone; restart weir when it is back",
			    name);
		// Relaxed: nothing else is to be seen with it.
		__atomic_store_n(&watched->state, state, __ATOMIC_RELAXED);
	}
	return n_left;
}

unsigned sensor_beats(const struct sensor *sensor, uint32_t *beats) {
	for (unsigned i = 0; i < sensor->n_pollers; i++)
		beats[i] = poller_beats(sensor->pollers[i]);
	return sensor->n_pollers;
}

void sensor_stop(struct sensor *sensor) {
	for (unsigned i = 0; i < sensor->n_ports && sensor->started; i++)
		port_stop(sensor->ports[i].port);
	// Release, with the acquire in the pollers: they find the ports stopped.
	atomic_store_explicit(&sensor->stop, true, memory_order_release);
	if (sensor->prefaults)
		pthread_join(sensor->prefaulter, NULL);
	sensor->prefaults = false;
	for (unsigned i = 0; i < sensor->n_pollers; i++)
		poller_join(sensor->pollers[i]);
	for (unsigned i = 0; i < sensor->config.n_workers; i++)
		worker_join(sensor->workers[i]);
	for (unsigned i = 0; i < sensor->n_ports && sensor->started; i++)
		if (sensor->ports[i].state != PORT_VANISHED)
			look_at_losses(sensor, &sensor->ports[i]);
}
