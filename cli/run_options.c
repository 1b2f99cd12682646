#include "run_options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow_cache.h"
#include "live_protocol.h"
#include "netflow9.h"
#include "options.h"

static const char help[] =
	"Usage: weir run --port PORT... [OPTIONS]\n"
	"Meters the packets on ports until it is stopped (SIGINT, SIGTERM).\n"
	"\n"
	"  -P, --port PORT             eth1, af_packet:eth1, af_xdp:eth1, 0000:03:00.0 or\n"
	"                              vdev:NAME,ARGUMENTS; may be repeated\n"
	"  -c, --collector HOST:PORT   send NetFlow v9 there, to ipfix://HOST:PORT IPFIX\n"
	"  -p, --print FORMAT          print records to stdout: text, csv, "
	"json\n" ARCHIVE_OPTIONS_HELP
	"      --report TIME           a line in the log this often; 0 = none  [10s]\n"
	"      --ledger FORMAT         account at the end: text, json, none  [text]\n"
	"  -a, --active-timeout TIME   report running flows this often; 0 = never  [60s]\n"
	"  -i, --idle-timeout TIME     end flows after this silence; 0 = never  [15s]\n"
	"      --cache-entries N       flows held at once  [1048576]\n"
	"      --cache-memory SIZE     the same by memory, such as 1GiB\n"
	"      --hugepages             end rather than run without enough hugepages\n"
	"  -w, --workers N             threads with a flow cache each  [1]\n"
	"      --cores LIST            cores of the threads, in turn, such as 1,3 or 2-5\n"
	"                              [wherever the kernel puts them]\n"
	"      --idle WAY              without packets: adaptive (rest), poll  [adaptive]\n"
	"  -f, --filter 'BPF'          meter only what matches, as in tcpdump\n"
	"  -d, --deduplicate WINDOW    count second copies apart: 5ms[,routed][,copies=N]\n"
	"  -s, --sample [random:]N     meter one packet of N, and tell the collectors\n"
	"      --export-rate N         datagrams/s to a collector, 0 = no limit  [20000]\n"
	"      --datagram-size BYTES   largest export datagram  [1400, IPv6 1232]\n"
	"      --template-interval T   templates again after this time  [30s]\n"
	"      --source-id N           observation domain of the records  [1]\n"
	"      --socket PATH           where 'weir query' asks for running flows, or none\n"
	"                              [" LIVE_SOCKET "]\n"
	"      --http [HOST:]PORT      /metrics, /healthz, /readyz, or none\n"
	"                              [127.0.0.1:9480]\n"
	"      --log-level LEVEL       error, warning, notice, info, debug  [info]\n"
	"      --log-format FORMAT     text, json  [text; in the journal its fields]\n"
	"      --user NAME             become this user once all is open  [weir, nobody]\n"
	"      --no-sandbox            keep all rights, and all system calls\n"
	"      --eal-log               show what DPDK has to say\n"
	"\n"
	"Exit status: 0 stopped as asked, 1 something failed (see stderr), 2 wrong usage.\n";

// The options of the short help.
static const char *const common[] = {
	"port",
	"collector",
	"print",
	"archive",
	"active-timeout",
	"idle-timeout",
	"cache-entries",
	"workers",
	"cores",
	"filter",
	"deduplicate",
	"sample",
	"report",
	"user",
	NULL,
};

enum option_id {
	OPT_PORT = 'P',
	OPT_PRINT = 'p',
	OPT_ACTIVE = 'a',
	OPT_IDLE_TIMEOUT = 'i',
	OPT_WORKERS = 'w',
	OPT_FILTER = 'f',
	OPT_DEDUPLICATE = 'd',
	OPT_SAMPLE = 's',
	OPT_HELP = 'h',
	OPT_REPORT = 256,
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
	OPT_NO_SANDBOX,
	OPT_EAL_LOG,
};

static const struct option long_options[] = {
	SEND_OPTIONS,
	{"port", required_argument, NULL, OPT_PORT},
	{"print", required_argument, NULL, OPT_PRINT},
	{"report", required_argument, NULL, OPT_REPORT},
	{"active-timeout", required_argument, NULL, OPT_ACTIVE},
	{"idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT},
	{"cache-entries", required_argument, NULL, OPT_ENTRIES},
	{"cache-memory", required_argument, NULL, OPT_MEMORY},
	{"hugepages", no_argument, NULL, OPT_HUGEPAGES},
	{"workers", required_argument, NULL, OPT_WORKERS},
	{"cores", required_argument, NULL, OPT_CORES},
	{"idle", required_argument, NULL, OPT_IDLE},
	{"filter", required_argument, NULL, OPT_FILTER},
	{"deduplicate", required_argument, NULL, OPT_DEDUPLICATE},
	{"sample", required_argument, NULL, OPT_SAMPLE},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"http", required_argument, NULL, OPT_HTTP},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"log-format", required_argument, NULL, OPT_LOG_FORMAT},
	{"user", required_argument, NULL, OPT_USER},
	{"no-sandbox", no_argument, NULL, OPT_NO_SANDBOX},
	{"eal-log", no_argument, NULL, OPT_EAL_LOG},
	ARCHIVE_OPTIONS,
	{"help", optional_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

// A core's number; -1 where there is none, or none so high.
static long core_number(const char **text) {
	char *end;

	if (!isdigit((unsigned char)**text))
		return -1;
	long core = strtol(*text, &end, 10);
	*text = end;
	return core < CPU_SETSIZE ? core : -1;
}

int run_options_cores(const char *text, unsigned cores[SENSOR_MAX_CORES], unsigned *n) {
	bool seen[CPU_SETSIZE] = {false};

	*n = 0;
	for (;; text++) {
		long first = core_number(&text);
		long last = first;
		if (*text == '-') {
			text++;
			last = core_number(&text);
		}
		if (first < 0 || last < first)
			return -EINVAL;
		for (long core = first; core <= last; core++) {
			if (seen[core])
				return -EINVAL;
			if (*n == SENSOR_MAX_CORES)
				return -ERANGE;
			seen[core] = true;
			cores[(*n)++] = (unsigned)core;
		}
		if (*text == '\0')
			return 0;
		if (*text != ',')
			return -EINVAL;
	}
}

static int cores(struct run_options *options, const char *text) {
	cpu_set_t allowed;

	if (run_options_cores(text, options->cores, &options->n_cores) < 0)
		return options_mistake(
			"--cores %s: not a list of cores; use numbers and ranges, each core once, "
			"such as 1,3 or 2-5",
			text
		);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return 0;
	for (unsigned i = 0; i < options->n_cores; i++)
		if (!CPU_ISSET(options->cores[i], &allowed))
			return options_mistake(
				"--cores %s: there is no core %u here; this process may run on %d "
				"of the machine's %ld cores ('taskset -cp $$' lists them)",
				text,
				options->cores[i],
				CPU_COUNT(&allowed),
				sysconf(_SC_NPROCESSORS_CONF)
			);
	return 0;
}

static int port(struct run_options *options, const char *text) {
	char error[PORT_ERROR_BYTES];

	if (options->n_ports == SENSOR_MAX_PORTS)
		return options_mistake("--port %s: at most %d ports", text, SENSOR_MAX_PORTS);
	for (unsigned i = 0; i < options->n_ports; i++)
		if (strcmp(options->ports[i].name, text) == 0)
			return options_mistake("--port %s: given twice", text);
	if (port_spec_parse(&options->ports[options->n_ports], text, error) < 0)
		return options_mistake("%s", error);
	options->n_ports++;
	return 0;
}

static int parse_sink(struct run_options *options, int id, const char *arg) {
	static const char *const prints[] = {"text", "csv", "json", NULL};
	int rc;

	switch (id) {
	case OPT_PRINT:
		rc = options_one_of("print", arg, prints, "text, csv or json");
		if (rc >= 0)
			options->print = PRINT_TEXT + (enum print_format)rc;
		return rc;
	default:
		rc = send_options_take(&options->send, id, arg);
		return rc != -ENOENT ? rc : archive_options_take(&options->archive, id, arg);
	}
}

// What is said, and how.
static int parse_log(struct run_options *options, int id, const char *arg) {
	static const char *const formats[] = {"text", "json", NULL};
	const char *levels[LOG_LEVEL_COUNT + 1] = {NULL};
	int rc;

	switch (id) {
	case OPT_LOG_LEVEL:
		for (unsigned level = 0; level < LOG_LEVEL_COUNT; level++)
			levels[level] = log_level_name((enum log_level)level);
		rc = options_one_of(
			"log-level", arg, levels, "error, warning, notice, info or debug"
		);
		if (rc >= 0)
			options->log_level = (enum log_level)rc;
		return rc;
	case OPT_LOG_FORMAT:
		rc = options_one_of("log-format", arg, formats, "text or json");
		if (rc >= 0)
			options->log_format = LOG_FORMAT_TEXT + (enum log_format)rc;
		return rc;
	case OPT_REPORT:
		rc = options_timeout("report", arg, &options->report_ns);
		if (rc == 0 && options->report_ns > 0 && options->report_ns < NS_PER_S)
			rc = options_mistake("--report %s: at least 1s, or 0 for none", arg);
		return rc;
	default:
		return parse_sink(options, id, arg);
	}
}

// Which packets are metered.
static int parse_selection(struct run_options *options, int id, const char *arg) {
	switch (id) {
	case OPT_FILTER:
		options->filter = arg;
		return 0;
	case OPT_DEDUPLICATE:
		if (packet_options_copies(arg, &options->copies) < 0)
			return options_mistake("--deduplicate %s: %s", arg, PACKET_OPTIONS_COPIES);
		return 0;
	case OPT_SAMPLE:
		if (packet_options_sampling(arg, &options->sampling) < 0)
			return options_mistake("--sample %s: %s", arg, PACKET_OPTIONS_SAMPLING);
		return 0;
	default:
		return parse_log(options, id, arg);
	}
}

static int parse_option(struct run_options *options, int id, const char *arg) {
	static const char *const ways[] = {"adaptive", "poll", NULL};
	uint64_t value;
	int rc;

	switch (id) {
	case OPT_PORT:
		return port(options, arg);
	case OPT_CORES:
		return cores(options, arg);
	case OPT_ACTIVE:
		return options_timeout("active-timeout", arg, &options->active_timeout_ns);
	case OPT_IDLE_TIMEOUT:
		return options_timeout("idle-timeout", arg, &options->idle_timeout_ns);
	case OPT_ENTRIES:
		rc = options_whole(
			"cache-entries", arg, FLOW_CACHE_MIN_FLOWS, FLOW_CACHE_MAX_FLOWS, &value
		);
		if (rc == 0)
			options->n_flows = (uint32_t)value;
		return rc;
	case OPT_MEMORY:
		return options_flows_in_memory(arg, &options->n_flows);
	case OPT_WORKERS:
		rc = options_whole("workers", arg, 1, SENSOR_MAX_WORKERS, &value);
		if (rc == 0)
			options->n_workers = (unsigned)value;
		return rc;
	case OPT_IDLE:
		rc = options_one_of("idle", arg, ways, "adaptive or poll");
		if (rc >= 0)
			options->idle = SENSOR_IDLE_ADAPTIVE + (enum sensor_idle)rc;
		return rc;
	case OPT_HUGEPAGES:
		options->hugepages = true;
		return 0;
	case OPT_EAL_LOG:
		options->eal_log = true;
		return 0;
	case OPT_SOCKET:
		options->socket = strcmp(arg, "none") == 0 ? NULL : arg;
		options->socket_default = false;
		return 0;
	case OPT_HTTP:
		options->http = strcmp(arg, "none") == 0 ? NULL : arg;
		options->http_default = false;
		return 0;
	case OPT_USER:
		options->user = arg;
		return 0;
	case OPT_NO_SANDBOX:
		options->no_sandbox = true;
		return 0;
	default:
		return parse_selection(options, id, arg);
	}
}

int run_options_parse(struct run_options *options, int argc, char **argv) {
	int id;

	*options = (struct run_options){
		.active_timeout_ns = 60 * NS_PER_S,
		.idle_timeout_ns = 15 * NS_PER_S,
		.report_ns = 10 * NS_PER_S,
		.n_flows = 1 << 20,
		.n_workers = 1,
		.sampling = {.algorithm = SAMPLER_DETERMINISTIC, .interval = 1},
		.log_level = LOG_LEVEL_INFO,
		.socket = LIVE_SOCKET,
		.socket_default = true,
		.http = "127.0.0.1:9480",
		.http_default = true,
	};
	archive_options_init(&options->archive);
	send_options_init(&options->send);
	options_begin("run");
	while ((id = getopt_long(argc, argv, ":P:c:p:a:i:w:f:d:s:h", long_options, NULL)) != -1) {
		if (id == OPT_HELP)
			return options_help(help, common, optarg);
		if (id == OPT_HELP_ARCHIVE) {
			fputs(archive_options_help, stdout);
			return 1;
		}
		if (id == '?' || id == ':')
			return options_wrong(id, argv);
		if (parse_option(options, id, optarg) < 0)
			return -EINVAL;
	}
	if (optind < argc)
		return options_mistake(
			"'%s' is not an option; ports are given with --port", argv[optind]
		);
	if (options->n_ports == 0)
		return options_mistake("no port given; 'weir run --port eth1'");
	if (options->n_flows / options->n_workers < FLOW_CACHE_MIN_FLOWS)
		return options_mistake(
			"%u cache entries are too few for %u workers; at least %u each",
			options->n_flows,
			options->n_workers,
			FLOW_CACHE_MIN_FLOWS
		);
	return archive_options_check(&options->archive);
}
