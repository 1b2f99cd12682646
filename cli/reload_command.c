// weir reload: has a running sensor read its config file again.

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "live_client.h"
#include "options.h"
#include "reload.h"

enum {
	EXIT_PARTLY = 3, // something needs a restart
};

static const char help[] =
	"Usage: weir reload [--socket PATH]\n"
	"Has a running weir run read its config file again, as SIGHUP does, and says\n"
	"what came of it. Collectors, timeouts, rotation and retention of the archive,\n"
	"and the log change with no packet and no flow record lost; what needs a\n"
	"restart is named, and runs on as it did. A mistake in the file leaves\n"
	"everything as it is.\n"
	"\n"
	"      --socket PATH  of the running sensor  [" LIVE_SOCKET "]\n"
	"\n"
	"Exit status: 0 all that the file says applies, 1 refused, or there is no\n"
	"sensor or no config file, 2 wrong usage, 3 what could be applied was, the rest\n"
	"needs a restart.\n";

// A word, and lines that are printed.
static int tell(const char *text) {
	const char *lines = strchr(text, '\n');
	size_t n = lines != NULL ? (size_t)(lines - text) : strlen(text);

	lines = lines != NULL ? lines + 1 : "";
	for (enum reload_result result = RELOAD_NONE; result <= RELOAD_REFUSED; result++) {
		const char *name = reload_result_name(result);
		if (strlen(name) != n || strncmp(text, name, n) != 0)
			continue;
		fputs(lines, result == RELOAD_REFUSED ? stderr : stdout);
		if (fflush(stdout) != 0)
			return EXIT_FAILED;
		switch (result) {
		case RELOAD_APPLIED:
			return EXIT_OK;
		case RELOAD_PARTLY:
			return EXIT_PARTLY;
		case RELOAD_REFUSED:
			fprintf(stderr, "weir reload: refused; everything is as it was\n");
			return EXIT_FAILED;
		case RELOAD_NONE:
			fprintf(stderr,
				"weir reload: that sensor has no config file; start it with "
				"--config FILE\n");
			return EXIT_FAILED;
		}
	}
	fprintf(stderr, "weir reload: the sensor's answer makes no sense; is it this version?\n");
	return EXIT_FAILED;
}

int command_reload(int argc, char **argv) {
	enum {
		OPT_SOCKET_PATH = 256,
	};
	static const struct option options[] = {
		{"socket", required_argument, NULL, OPT_SOCKET_PATH},
		{"help", optional_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = LIVE_SOCKET;
	char error[LIVE_SOCKET_ERROR_BYTES];
	char *text;
	int id;

	options_begin("reload");
	while ((id = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (id) {
		case 'h':
			return options_help(help, NULL, optarg) < 0 ? EXIT_USAGE : EXIT_OK;
		case OPT_SOCKET_PATH:
			path = optarg;
			break;
		default:
			options_wrong(id, argv, options);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		options_mistake("'%s' is not an option; see 'weir reload --help'", argv[optind]);
		return EXIT_USAGE;
	}
	if (live_client_reload(path, &text, error) < 0) {
		fprintf(stderr, "weir reload: %s\n", error);
		return EXIT_FAILED;
	}
	int status = tell(text);
	free(text);
	return status;
}
