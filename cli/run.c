// weir run: packets of ports in, flow records out, until it is stopped.

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "doctor_checks.h"
#include "duplicate.h"
#include "flow_cache.h"
#include "log.h"
#include "poller.h"
#include "run_session.h"
#include "sandbox.h"

#define WATCH_EVERY_NS (1 * NS_PER_S)
// While a reload is under way.
#define RELOAD_LOOK_NS (10 * NS_PER_MS)
// For what the cache holds at the end; the stop is to be over within 5 s.
#define FLUSH_NS (4 * NS_PER_S)
#define LARGE_BLOCK_BYTES (256 << 10)
// Beside the flow caches: rings, buffers and libraries.
#define OTHER_MEMORY_BYTES (UINT64_C(128) << 20)

void run_complain(const char *message, void *arg) {
	struct session *session = arg;
	log_message(LOG_LEVEL_ERROR, message);
	session->failed = true;
}

// A port that goes down is no failure of weir's.
static void on_message(const char *message, bool bad, void *arg) {
	(void)arg;
	log_message(bad ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, message);
}

static time_ns_t monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void run_sinks_config(
	struct sinks_config *config,
	const struct run_options *options,
	void (*on_complaint)(const char *message, void *arg),
	struct session *session
) {
	*config = (struct sinks_config){
		.collectors = options->send.collectors,
		.n_collectors = options->send.n_collectors,
		.encoder = send_options_encoder(
			&options->send, options->sampling.interval, options->sampling.algorithm
		),
		.tls = options->send.tls,
		.rate = options->send.rate,
		.distribution = options->send.distribution,
		.print = options->print,
		.archive = &options->archive,
		.owner = ARCHIVE_KEEP_OWNER,
		.on_message = on_message,
		.on_complaint = on_complaint,
		.arg = session,
	};
}

static bool open_sinks(struct session *session) {
	const struct run_options *options = &session->options;
	struct sinks_config config;

	run_sinks_config(&config, options, run_complain, session);
	// Where there is no such user, the sandbox says so.
	if (!options->no_sandbox && geteuid() == 0)
		(void)sandbox_user(options->user, &config.owner, &config.group);
	return sinks_open(&session->sinks, &config);
}

// Says what keeps a live run from starting, if the machine shows it, and what mends it.
static void explain(const struct run_options *options) {
	const char *ports[SENSOR_MAX_PORTS];
	struct doctor_wish wish = {
		.ports = ports,
		.n_ports = options->n_ports,
		.hugepages = options->hugepages,
		.memory_bytes = flow_cache_memory(options->n_flows) + OTHER_MEMORY_BYTES,
	};
	char line[DOCTOR_LINE_BYTES];

	for (unsigned i = 0; i < options->n_ports; i++)
		ports[i] = options->ports[i].name;
	if (doctor_explain(&wish, line, sizeof(line)))
		log_message(LOG_LEVEL_ERROR, line);
}

static bool make_filter(struct session *session) {
	char error[PACKET_FILTER_ERROR_BYTES], message[PACKET_FILTER_ERROR_BYTES + 128];

	if (session->options.filter == NULL)
		return true;
	session->filter = packet_filter_new(session->options.filter, NULL, error);
	if (session->filter != NULL)
		return true;
	snprintf(
		message,
		sizeof(message),
		"--filter: %s; 'man pcap-filter' tells what it understands",
		error
	);
	run_complain(message, session);
	return false;
}

static bool make_sensor(struct session *session) {
	const struct run_options *options = &session->options;
	char error[SENSOR_ERROR_BYTES];
	struct sensor_config config = {
		.ports = options->ports,
		.n_ports = options->n_ports,
		.n_workers = options->n_workers,
		.cores = options->cores,
		.n_cores = options->n_cores,
		.n_flows = options->n_flows,
		.active_timeout_ns = options->active_timeout_ns,
		.idle_timeout_ns = options->idle_timeout_ns,
		.mpls_labels = send_options_mpls(&options->send),
		.selection =
			{
				.duplicate_window_ns = options->copies.window_ns,
				.duplicate_copies = options->copies.most,
				.duplicate_routed = options->copies.routed,
				.sampling_algorithm = options->sampling.algorithm,
				.sampling_interval = options->sampling.interval,
			},
		.filter = session->filter,
		.idle = options->idle,
		.hugepages = options->hugepages,
		.verbose_eal = options->eal_log,
		.on_message = on_message,
		.arg = session,
	};

	int rc = flow_secret_random(&config.secret);
	if (rc < 0) {
		run_complain(strerror(-rc), session);
		return false;
	}
	session->sensor = sensor_new(&config, error);
	if (session->sensor == NULL) {
		run_complain(error, session);
		explain(options);
	}
	return session->sensor != NULL;
}

static bool start(struct session *session) {
	char error[SENSOR_ERROR_BYTES];

	session->exporter = exporter_start(&(struct exporter_config){
		.rings = sensor_rings(session->sensor),
		.n_rings = session->options.n_workers,
		.destinations = session->sinks.destinations,
		.n_destinations = session->sinks.n_destinations,
		.distribution = session->options.send.distribution,
		.archive = session->sinks.archive,
		.print = session->sinks.print,
		.sampling_rate = session->options.sampling.interval,
		.live = true,
		.lateness = &session->lateness,
		.idle_timeout_ticks = ticks_of_ns(session->options.idle_timeout_ns),
		.clock_lag_ticks = ticks_of_ns(POLLER_LAG_NS),
	});
	if (session->exporter == NULL) {
		run_complain(strerror(errno), session);
		return false;
	}
	if (sensor_start(session->sensor, error) < 0) {
		run_complain(error, session);
		explain(&session->options);
		return false;
	}
	return true;
}

// What others may be told of.
static struct metrics_sources sources_of(struct session *session) {
	return (struct metrics_sources){
		.sensor = session->sensor,
		.sinks = &session->sinks,
		.lateness = &session->lateness,
		.sampling_interval = session->options.sampling.interval,
		.reload = session->reload,
	};
}

// Other commands may ask for the running flows. In the usual place, which another weir may have or
// which this user may not make, they cannot, and that is all.
static bool open_live(struct session *session) {
	const struct run_options *options = &session->options;
	const struct metrics_sources sources = sources_of(session);
	char error[LIVE_SOCKET_ERROR_BYTES];

	if (options->socket == NULL)
		return true;
	session->live = live_server_open(options->socket, &sources, error);
	if (session->live != NULL && live_server_start(session->live) == 0)
		return true;
	if (session->live != NULL)
		snprintf(error, sizeof(error), "no thread for %s", options->socket);
	if (options->socket_default)
		log_message(LOG_LEVEL_WARNING, error);
	else
		run_complain(error, session);
	return options->socket_default;
}

// Others may watch. In the usual place, which another weir may have, they cannot, and that is all.
static bool open_http(struct session *session) {
	const struct run_options *options = &session->options;
	const struct metrics_sources sources = sources_of(session);
	char error[HTTP_ERROR_BYTES];

	if (options->http == NULL)
		return true;
	session->http = run_http_open(options->http, &sources, error);
	if (session->http != NULL)
		return true;
	if (options->http_default)
		log_message(LOG_LEVEL_ERROR, error);
	else
		run_complain(error, session);
	return options->http_default;
}

// Gives up what is not needed any more, now that all is open and every thread runs.
static bool enter_sandbox(struct session *session) {
	const struct run_options *options = &session->options;
	// A reload reads files and opens sockets to collectors.
	bool reloads = session->reload != NULL;
	struct sandbox_config config = {
		.user = options->user,
		.read_files = reloads,
		.write_files = session->sinks.archive != NULL,
		.delete_file = live_server_file(session->live),
		.connect = reloads,
		.datagrams = reloads,
		.look_up = reloads,
	};
	struct sandbox_state state;
	char error[SANDBOX_ERROR_BYTES], message[SANDBOX_ERROR_BYTES + 128];

	if (options->no_sandbox) {
		log_event(
			LOG_LEVEL_NOTICE,
			NULL,
			"no sandbox, as asked: weir keeps its user, its capabilities and all "
			"system calls"
		);
		return true;
	}
	sinks_needs(&session->sinks, &config);
	for (unsigned i = 0; i < options->n_ports; i++)
		config.xdp |= options->ports[i].driver == PORT_AF_XDP;
	if (config.xdp) // to take its program off the interface at the end
		config.capabilities = UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_BPF;
	if (sandbox_enter(&config, &state, error) < 0) {
		snprintf(
			message, sizeof(message), "sandbox: %s; --no-sandbox does without it", error
		);
		run_complain(message, session);
		return false;
	}
	log_event(
		LOG_LEVEL_INFO,
		"sandbox",
		"user %s, %s, few system calls",
		state.user[0] != '\0' ? state.user : "as before",
		state.capabilities == 0 ? "no capabilities" : "CAP_NET_ADMIN and CAP_BPF"
	);
	return true;
}

// Whoever weir is now may not be able to read what root could.
static void try_config(const struct session *session) {
	const char *path = session->options.values.file;

	if (session->reload == NULL)
		return;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		log_event(
			LOG_LEVEL_WARNING,
			"reload",
			"%s: %s%s; a reload will be refused",
			path,
			strerror(errno),
			errno == EACCES ? " to the user that weir runs as; 'chgrp' and 'chmod g+r' "
					  "let it read"
					: ""
		);
	else
		close(fd);
}

// The collectors hear of what was lost before it could be told.
static void tell_dropped(struct session *session) {
	// Of this thread alone; the live server reads ledgers meanwhile.
	static struct ledger_port queues[SENSOR_MAX_PORTS * SENSOR_MAX_WORKERS];
	static struct ledger_pair duplicates[DUPLICATE_MOST_PAIRS];
	struct ledger ledger;
	uint64_t packets = 0;

	sensor_ledger_copy(session->sensor, &ledger, queues, duplicates);
	for (unsigned i = 0; i < ledger.n_ports; i++)
		packets +=
			ledger.ports[i].missed + ledger.ports[i].errors + ledger.ports[i].no_mbuf;
	sinks_set_dropped(&session->sinks, packets, ledger.records_lost);
}

// Until a signal to stop comes, or no port is left. Returns whether it was the signal.
static bool wait_for_end(struct session *session, const sigset_t *signals) {
	time_ns_t watched_ns = monotonic_ns();

	report_begin(
		&session->report, session->sensor, &session->lateness, session->options.report_ns
	);
	for (;;) {
		time_ns_t now_ns = monotonic_ns();
		time_ns_t left_ns = watched_ns + WATCH_EVERY_NS - now_ns;
		watchdog_update(&session->watchdog, session->sensor, now_ns);
		if (left_ns <= 0) {
			watched_ns = now_ns;
			log_tick();
			if (sensor_watch(session->sensor) == 0)
				return false;
			tell_dropped(session);
			report_update(&session->report, session->sensor);
			run_http_update(session->http);
			continue;
		}
		left_ns = watchdog_wait_ns(&session->watchdog, left_ns);
		if (session->reload != NULL && reload_update(session->reload)
		    && left_ns > RELOAD_LOOK_NS)
			left_ns = RELOAD_LOOK_NS;
		int number = sigtimedwait(signals, NULL, &(struct timespec){.tv_nsec = left_ns});
		if (number == SIGHUP && session->reload != NULL) {
			watchdog_reloading(&session->watchdog);
			reload_begin(session->reload);
		} else if (number > 0) {
			return true;
		}
	}
}

// At the pace of a run the flows of a large cache would take long to leave: 8 million some 20 s.
static void hurry(struct session *session) {
	struct ledger ledger;

	sensor_ledger(session->sensor, &ledger);
	sinks_hurry(&session->sinks, ledger.cached_flows, FLUSH_NS);
}

// Returns whether all may be freed.
static bool finish(struct session *session) {
	time_ns_t begun_ns = monotonic_ns();
	struct ledger ledger;

	run_http_set_state(session->http, RUN_STOPS);
	// Nobody of another thread changes the sinks any more. First, since it says it is ready
	// again.
	bool ended = reload_end(session->reload);
	watchdog_stopping(&session->watchdog);
	hurry(session);
	live_server_close(session->live);
	sensor_stop(session->sensor);
	exporter_join(session->exporter);
	sinks_stop(&session->sinks);
	run_http_close(session->http);
	sensor_ledger(session->sensor, &ledger);
	log_event(
		LOG_LEVEL_NOTICE,
		NULL,
		"stopped within %.1f s; %" PRIu64 " flows were running",
		(double)(monotonic_ns() - begun_ns) / 1e9,
		ledger.records[FLOW_END_FORCED]
	);
	lateness_read(&session->lateness, &ledger.lateness);
	sinks_report(&session->sinks, &ledger, session->options.send.ledger, "sensor");
	return ended;
}

// With a config file SIGHUP has it read again; without one a terminal that is gone stops weir,
// unless it was started to outlive it (nohup).
static void choose_signals(sigset_t *signals, bool reloads) {
	struct sigaction hangup;

	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	sigaction(SIGHUP, NULL, &hangup);
	if (!reloads && hangup.sa_handler == SIG_IGN)
		return;
	// One that is ignored is never told.
	signal(SIGHUP, SIG_DFL);
	sigaddset(signals, SIGHUP);
}

int command_run(int argc, char **argv) {
	static struct session session; // some 40 KiB
	sigset_t signals;
	bool ended = true, usage = false;
	int rc = run_options_parse(&session.options, argc, argv);

	if (rc != 0)
		return rc > 0 ? EXIT_OK : EXIT_USAGE;
	log_begin(&(struct log_config){
		.level = session.options.log_level,
		.format = session.options.log_format,
		.program = "weir run",
	});
	// Queues of collectors, and the archive's buffers, are given back to the kernel when they
	// are freed. By itself the C library would keep such blocks for each of its arenas once the
	// first was freed, and a sensor would grow with its reloads.
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
	// For all threads, none of which is to be interrupted; this one asks for them.
	choose_signals(&signals, session.options.values.file != NULL);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	if (watchdog_begin(&session.watchdog) < 0)
		log_event(
			LOG_LEVEL_WARNING,
			"$NOTIFY_SOCKET",
			"no such socket can be; nobody is told how weir is"
		);

	// Downstream first: whoever makes records finds someone to take them.
	if (!make_filter(&session)) {
		usage = true;
	} else if (open_sinks(&session) && make_sensor(&session)) {
		run_exclude_own_export(&session, NULL, 0);
		run_tell_interfaces(&session, NULL, 0);
		if (start(&session) && run_reload_open(&session) && open_live(&session)
		    && open_http(&session) && enter_sandbox(&session)
		    && sinks_start(&session.sinks)) {
			try_config(&session);
			log_event(LOG_LEVEL_NOTICE, NULL, "metering; Ctrl-C or SIGTERM stops");
			run_http_set_state(session.http, RUN_METERS);
			if (!wait_for_end(&session, &signals))
				run_complain("no port is left", &session);
		}
		// A second signal ends weir at once; one that asks for a reload comes too late.
		if (session.reload != NULL)
			sigdelset(&signals, SIGHUP);
		pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
		ended = finish(&session);
	}
	sensor_free(session.sensor);
	packet_filter_free(session.filter);
	if (ended) {
		sinks_close(&session.sinks);
		reload_free(session.reload);
		run_options_done(&session.options);
	}
	watchdog_end(&session.watchdog);
	log_end();
	return usage ? EXIT_USAGE : session.failed ? EXIT_FAILED : EXIT_OK;
}
