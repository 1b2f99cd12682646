// weir check-config: what is wrong with a config file, before a sensor is started with it. Nothing
// is opened but the file, and the files that it names for reading; no host is asked for.

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "config_checks.h"
#include "config_file.h"
#include "options.h"
#include "packet_filter.h"
#include "run_options.h"

static const char help[] =
	"Usage: weir check-config [FILE]\n"
	"Says what is wrong with a config file of weir run, each mistake in a line that\n"
	"names the file's line, the key, what was found and what to write instead.\n"
	"FILE is " CONFIG_FILE " where none is named. A collector that is still\n"
	"the example's is a mistake. What weir run would take, and what is hardly\n"
	"meant, is told as a warning.\n"
	"\n"
	"Exit status: 0 weir run would take it, 1 it has mistakes or cannot be read,\n"
	"2 wrong usage.\n";

// "HOST:PORT", "[IPV6]:PORT", or where `alone` is true "PORT". Whether there is such a host is not
// asked.
static bool is_address(const char *text, bool alone) {
	const char *colon = strrchr(text, ':'), *port = colon != NULL ? colon + 1 : text;
	size_t n = strspn(port, "0123456789");

	if (n == 0 || n > 5 || port[n] != '\0' || atoi(port) > 65535)
		return false;
	if (colon == NULL)
		return alone;
	// An IPv6 address without brackets would lose its end.
	bool bracketed = text[0] == '[' && colon[-1] == ']';
	return colon > text && (bracketed || memchr(text, ':', (size_t)(colon - text)) == NULL);
}

static int check_file(const char *path) {
	struct stat status;

	if (access(path, R_OK) < 0)
		return options_mistake(
			"%s: cannot be read: %s; name a file that can", path, strerror(errno)
		);
	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return options_mistake("%s: a folder; name a file in it", path);
	return 0;
}

// What is known only to who uses the value.
static int check_one(const struct setting_value *value, bool is_default, void *arg) {
	const struct run_options *options = arg;
	char error[PACKET_FILTER_ERROR_BYTES];
	int rc = 0;

	if (is_default || setting_value_is_none(value))
		return 0;
	options_place(options->values.file, value->line, value->setting);
	if (value->setting->id == OPT_FILTER) {
		struct packet_filter *filter = packet_filter_new(value->text, NULL, error);
		if (filter == NULL)
			rc = options_mistake(
				"%s: %s; 'man pcap-filter' tells what may be written",
				value->text,
				error
			);
		packet_filter_free(filter);
	} else if (value->setting->id == OPT_HTTP && !is_address(value->text, true)) {
		rc = options_mistake(
			"%s: no address; use PORT, HOST:PORT, \"[IPV6]:PORT\" in quotes, or none",
			value->text
		);
	} else if (value->setting->type == SETTING_FILE) {
		rc = check_file(value->text);
	}
	options_place(NULL, 0, NULL);
	return rc;
}

struct alone {
	const struct setting *setting;
	size_t n;
	bool example; // the last one is the example's
};

static int take_alone(const struct setting_value *value, bool is_default, void *arg) {
	struct alone *alone = arg;

	(void)is_default;
	if (value->setting == alone->setting) {
		alone->n++;
		alone->example = strcmp(value->text, alone->setting->example) == 0;
	}
	return 0;
}

// Whether the file has for this list the example's value, and no other.
static bool is_as_in_example(const struct setting_values *values, const char *key) {
	struct alone alone = {.setting = setting_of_key(key)};

	setting_values_each(values, take_alone, &alone);
	return alone.n == 1 && alone.example;
}

// A file as it came with the package. Its collector is in a network for documentation (RFC 5737),
// where nobody listens; its port may well be the one that is meant.
static int check_edited(const struct setting_values *values) {
	const struct setting *ports = setting_of_key("capture.ports");
	const struct setting *collectors = setting_of_key("export.collectors");
	bool ports_too = is_as_in_example(values, ports->key);
	char where[64] = "";

	if (!is_as_in_example(values, collectors->key))
		return 0;
	if (ports_too)
		snprintf(where, sizeof(where), ", line %u", setting_values_line(values, ports));
	options_place(values->file, setting_values_line(values, collectors), collectors);
	int rc = options_mistake(
		"%s is only an example; set this to your collector%s%s%s",
		collectors->example,
		ports_too ? ", and capture.ports" : "",
		where,
		ports_too ? ", to the ports to meter" : ""
	);
	options_place(NULL, 0, NULL);
	return rc;
}

static int check(const char *file) {
	struct run_options options = {0};
	bool good = run_options_take(&options, file) == 0 && run_options_check_ports(&options) == 0;

	good &= setting_values_each(&options.values, check_one, &options) == 0;
	good &= check_edited(&options.values) == 0;
	good = good && config_checks(&options);
	unsigned n_warnings = good ? config_warnings(&options) : 0;
	if (good)
		printf("%s: good; %zu values, the rest are defaults ('weir show-config %s')",
		       file,
		       options.values.n_of_file,
		       file);
	if (n_warnings > 0)
		printf("; %u warning%s", n_warnings, n_warnings > 1 ? "s" : "");
	if (good)
		putchar('\n');
	run_options_done(&options);
	return good ? EXIT_OK : EXIT_FAILED;
}

int command_check_config(int argc, char **argv) {
	static const struct option options[] = {
		{"help", optional_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int id;

	options_begin("check-config");
	while ((id = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (id != 'h') {
			options_wrong(id, argv, options);
			return EXIT_USAGE;
		}
		return options_help(help, NULL, optarg) < 0 ? EXIT_USAGE : EXIT_OK;
	}
	if (argc - optind > 1) {
		options_mistake("'%s': one file at a time", argv[optind + 1]);
		return EXIT_USAGE;
	}
	return check(optind < argc ? argv[optind] : CONFIG_FILE);
}
