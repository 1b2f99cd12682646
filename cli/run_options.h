// What `weir run` was asked to do, by options and by its config file: the table of settings.h says
// which there are. Every mistake gets a line that names the option, or the file's line and key,
// what was found, and what would do.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "archive_options.h"
#include "clock.h"
#include "log.h"
#include "packet_options.h"
#include "print.h"
#include "send_options.h"
#include "sensor.h"
#include "setting_values.h"

// The ids of settings that are weir run's alone.
enum run_option_id {
	OPT_PORT = 'P',
	OPT_PRINT = 'p',
	OPT_ACTIVE = 'a',
	OPT_IDLE_TIMEOUT = 'i',
	OPT_WORKERS = 'w',
	OPT_FILTER = 'f',
	OPT_DEDUPLICATE = 'd',
	OPT_SAMPLE = 's',
	OPT_HELP = 'h',
	OPT_CONFIG = 256,
	OPT_INSTANCE,
	OPT_REPORT,
	OPT_ENTRIES,
	OPT_MEMORY,
	OPT_HUGEPAGES,
	OPT_CORES,
	OPT_IDLE,
	OPT_SOCKET,
	OPT_HTTP,
	OPT_LOG_LEVEL,
	OPT_LOG_FORMAT,
	OPT_USER,
	OPT_SANDBOX,
	OPT_EAL_LOG,
};

struct run_options {
	struct setting_values values; // as they were said; texts below are theirs
	unsigned n_mistakes;          // told, in values of the file
	struct send_options send;
	struct port_spec ports[SENSOR_MAX_PORTS];
	unsigned n_ports;
	enum print_format print;
	struct archive_options archive;
	time_ns_t active_timeout_ns;
	time_ns_t idle_timeout_ns;
	time_ns_t report_ns; // 0 = none
	uint32_t n_flows;
	unsigned n_workers;
	unsigned cores[SENSOR_MAX_CORES];
	unsigned n_cores;
	enum sensor_idle idle;
	const char *filter; // BPF, or NULL
	struct copies_options copies;
	struct sampling_options sampling;
	const char *socket; // where others ask for flows; NULL = nowhere
	bool socket_default;
	const char *http; // where metrics are; NULL = nowhere
	bool http_default;
	enum log_level log_level;
	enum log_format log_format;
	const char *user; // or NULL
	bool hugepages;
	bool no_sandbox;
	bool eal_log;
};

// 0: go on; 1: help was asked for and printed; -EINVAL: a mistake was reported on standard
// error.
int run_options_parse(struct run_options *options, int argc, char **argv);

// Takes `options->values`, of a command line, and the config file's, if there is one. Returns 0,
// -EINVAL after mistakes were reported, or another negative errno where the file cannot be read,
// which was reported too.
int run_options_take(struct run_options *options, const char *config);

// `values` get the defaults of one of several sensors. Returns 0, or -EINVAL after a mistake in the
// name was reported.
[[nodiscard]] int run_options_instance(struct run_options *options, const char *name);

// Without a port there is no run. Returns 0, or -EINVAL after that was reported.
int run_options_check_ports(const struct run_options *options);

// What the same command line and, as it is now, the same config file say, into `again`, which
// run_options_done() frees in any case. Returns what run_options_take() does. Mistakes are told as
// options_mistake() tells them.
int run_options_again(struct run_options *again, const struct run_options *options);

void run_options_done(struct run_options *options);

// "0,2-4": numbers of cores, each once, in this order. Returns 0, or -EINVAL for what is no such
// list, or -ERANGE for more than SENSOR_MAX_CORES, or a core above the kernel's highest.
int run_options_cores(const char *text, unsigned cores[SENSOR_MAX_CORES], unsigned *n);
