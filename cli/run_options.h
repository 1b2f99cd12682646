// What `weir run` was asked to do. One table of options; every mistake gets a line that names the
// option, what was found, and what would do.

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

struct run_options {
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

// "0,2-4": numbers of cores, each once, in this order. Returns 0, or -EINVAL for what is no such
// list, or -ERANGE for more than SENSOR_MAX_CORES, or a core above the kernel's highest.
int run_options_cores(const char *text, unsigned cores[SENSOR_MAX_CORES], unsigned *n);
