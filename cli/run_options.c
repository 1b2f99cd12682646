#include "run_options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_file.h"
#include "flow_cache.h"
#include "netflow9.h"
#include "options.h"
#include "setting_options.h"
#include "settings.h"

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
	NULL,
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
				"--cores %s: there is no core %u here; use others: this process "
				"may "
				"run on %d of the machine's %ld cores ('taskset -cp $$' lists "
				"them)",
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
			return options_mistake("--port %s: given twice; name it once", text);
	if (port_spec_parse(&options->ports[options->n_ports], text, error) < 0)
		return options_mistake("%s", error);
	options->n_ports++;
	return 0;
}

static bool is_true(const char *text) {
	return strcmp(text, "true") == 0;
}

static bool is_none(const char *text) {
	return strcmp(text, "none") == 0;
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
		options->hugepages = is_true(arg);
		return 0;
	case OPT_EAL_LOG:
		options->eal_log = is_true(arg);
		return 0;
	case OPT_SOCKET:
		options->socket = is_none(arg) ? NULL : arg;
		return 0;
	case OPT_HTTP:
		options->http = is_none(arg) ? NULL : arg;
		return 0;
	case OPT_USER:
		options->user = arg;
		return 0;
	case OPT_SANDBOX:
		options->no_sandbox = !is_true(arg);
		return 0;
	default:
		return parse_selection(options, id, arg);
	}
}

// A value of any origin goes through here: the table's defaults too, so that there is one place
// for them.
static int take(const struct setting_value *value, bool is_default, void *arg) {
	struct run_options *options = arg;
	int id = value->setting->id;

	// What "none" takes back has not been taken. Of these two it is a value.
	if (is_none(value->text) && value->setting->none && id != OPT_SOCKET && id != OPT_HTTP)
		return 0;
	if (id == OPT_SOCKET)
		options->socket_default = is_default;
	if (id == OPT_HTTP)
		options->http_default = is_default;
	options_place(value->line > 0 ? options->values.file : NULL, value->line, value->setting);
	int rc = parse_option(options, id, value->text);
	options_place(NULL, 0, NULL);
	if (rc >= 0)
		return 0;
	// Of a command line the first mistake is told, of a file all.
	return value->line == 0 || ++options->n_mistakes == CONFIG_FILE_MOST_MISTAKES ? 1 : rc;
}

// Mistakes that are told next lie with what was said about this setting.
static void blame(const struct run_options *options, const char *key) {
	const struct setting *setting = setting_of_key(key);
	unsigned line = setting_values_line(&options->values, setting);

	for (size_t i = 0; i < options->values.n_of_command; i++)
		if (options->values.of_command[i].setting == setting)
			line = 0;
	options_place(line > 0 ? options->values.file : NULL, line, setting);
}

// Settings of the archive in a file which says nothing about where it is.
static int check_archive(const struct run_options *options) {
	const struct setting *dir = setting_of_key("archive.dir");
	int rc = 0;

	if (options->archive.dir != NULL || setting_values_line(&options->values, dir) > 0)
		return 0;
	for (size_t i = 0; i < options->values.n_of_file; i++) {
		const struct setting *setting = options->values.of_file[i].setting;
		// What applies anyway does no harm: weir show-config prints it.
		if (!setting_in_section(setting, "archive")
		    || setting_value_is_none(&options->values.of_file[i])
		    || (setting->standard != NULL
			&& strcmp(setting->standard, options->values.of_file[i].text) == 0))
			continue;
		blame(options, setting->key);
		rc = options_mistake(
			"--%s says nothing without --archive; add that, such as "
			"dir: " OPTIONS_ARCHIVE_DIR ", or remove this",
			setting->option
		);
	}
	return rc;
}

// A certificate is of use with its key alone, and the reverse.
static int check_certificate(const struct run_options *options) {
	const struct collector_tls *tls = &options->send.tls;

	if ((tls->cert_file == NULL) == (tls->key_file == NULL))
		return 0;
	bool key_missing = tls->key_file == NULL;
	blame(options, key_missing ? "export.tls_cert" : "export.tls_key");
	return key_missing ? options_mistake("--tls-cert needs its key; add --tls-key")
			   : options_mistake("--tls-key needs its certificate; add --tls-cert");
}

// What can only be said of all together.
static int check(const struct run_options *options) {
	int rc = check_archive(options);

	if (rc == 0) {
		blame(options, "archive.retain");
		rc = archive_options_check(&options->archive);
	}
	if (check_certificate(options) < 0)
		rc = -EINVAL;
	if (options->n_flows / options->n_workers < FLOW_CACHE_MIN_FLOWS) {
		blame(options, "threads.workers");
		rc = options_mistake(
			"--workers %u: %u cache entries are too few for them; at least %u each",
			options->n_workers,
			options->n_flows,
			FLOW_CACHE_MIN_FLOWS
		);
	}
	options_place(NULL, 0, NULL);
	return rc;
}

int run_options_check_ports(const struct run_options *options) {
	if (options->n_ports > 0)
		return 0;
	if (options->values.file == NULL)
		return options_mistake("no port given; 'weir run --port eth1'");
	return options_mistake(
		"%s: no port given; add 'capture:', and below it, indented, 'ports: [eth1]'",
		options->values.file
	);
}

static void on_file_mistake(const char *mistake, void *arg) {
	const struct run_options *options = arg;
	bool has_line = isdigit((unsigned char)mistake[0]);

	options_mistake("%s:%s%s", options->values.file, has_line ? "" : " ", mistake);
}

int run_options_take(struct run_options *options, const char *config) {
	struct setting_values values = options->values;
	int rc = 0;

	*options = (struct run_options){
		.values = values,
		.sampling = {.algorithm = SAMPLER_DETERMINISTIC, .interval = 1},
	};
	archive_options_init(&options->archive);
	send_options_init(&options->send);
	if (config != NULL) {
		rc = config_file_read(&options->values, config, on_file_mistake, options);
		if (rc == -ENOMEM)
			return options_mistake("%s: no memory", config);
		if (rc < 0 && rc != -EINVAL)
			return rc == -EBADMSG ? -EINVAL : rc;
	}
	// Also where the file has mistakes: its values may have some more.
	unsigned n_refused = setting_values_each(&options->values, take, options);
	if (rc < 0 || n_refused > 0)
		return -EINVAL;
	return check(options);
}

int run_options_instance(struct run_options *options, const char *name) {
	if (setting_values_of_instance(&options->values, name) == 0)
		return 0;
	return options_mistake("--instance %s: use " SETTING_INSTANCE_ALLOWED, name);
}

// As options_help() returns.
static int print_help(const char *arg) {
	char *text = NULL;
	size_t n_bytes;
	FILE *out = open_memstream(&text, &n_bytes);

	if (out == NULL)
		return options_mistake("%s", strerror(errno));
	settings_help(out);
	int rc = fclose(out) == 0 ? options_help(text, common, arg) : -ENOMEM;
	free(text);
	return rc;
}

int run_options_parse(struct run_options *options, int argc, char **argv) {
	static const struct option own[] = {
		{"config", required_argument, NULL, OPT_CONFIG},
		{"instance", required_argument, NULL, OPT_INSTANCE},
		{"help", optional_argument, NULL, OPT_HELP},
		{"help-archive", no_argument, NULL, OPT_HELP_ARCHIVE},
		{NULL, 0, NULL, 0},
	};
	const char *config = NULL;
	int id;

	*options = (struct run_options){0};
	options_begin("run");
	while ((id = setting_options_next(&options->values, argc, argv, own)) >= 0) {
		switch (id) {
		case OPT_CONFIG:
			config = optarg;
			break;
		case OPT_INSTANCE:
			if (run_options_instance(options, optarg) < 0)
				return -EINVAL;
			break;
		case OPT_HELP:
			return print_help(optarg);
		default:
			settings_help_archive(stdout);
			return 1;
		}
	}
	if (id == -EINVAL)
		return id;
	if (optind < argc)
		return options_mistake(
			"'%s' is not an option; ports are given with --port", argv[optind]
		);
	int rc = run_options_take(options, config);
	return rc == 0 ? run_options_check_ports(options) : rc;
}

int run_options_again(struct run_options *again, const struct run_options *options) {
	*again = (struct run_options){0};
	if (setting_values_copy_command(&again->values, &options->values) < 0)
		return options_mistake("no memory");
	int rc = run_options_take(again, options->values.file);
	return rc == 0 ? run_options_check_ports(again) : rc;
}

void run_options_done(struct run_options *options) {
	setting_values_free(&options->values);
}
