// weir: the program. Finds the command and hands over.

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"run", command_run, "meter the packets on ports and send their flows to collectors"},
	{"replay", command_replay, "meter capture files and send their flows to collectors"},
	{"top", command_top, "show what a running sensor does, on a terminal"},
	{"query", command_query, "ask the archive of flow records, and the running sensor"},
	{"export", command_export, "send the records of an archive to collectors again"},
	{"archive", command_archive, "list, verify, repair and compact the files of an archive"},
	{"reload", command_reload, "have a running sensor read its config file again"},
	{"decode", command_decode, "print what NetFlow and IPFIX datagrams say, and what is wrong"},
	{"check-config", command_check_config, "say what is wrong with a config file of weir run"},
	{"show-config",
	 command_show_config,
	 "show what applies to weir run, and where it comes from"},
	{"doctor", command_doctor, "say what a live run needs, and how to get it"},
	{"version", command_version, "print the version, and what weir was built of"},
};

static void usage(FILE *out) {
	fprintf(out,
		"Usage: weir COMMAND [OPTIONS] [ARGUMENTS]\n"
		"\n"
		"weir " WEIR_VERSION ", a passive network sensor: packets become flow records,\n"
		"flow records go to NetFlow v9 collectors and into an archive that can be asked.\n"
		"\n"
		"Commands:\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].what);
	fprintf(out,
		"\n"
		"'weir COMMAND --help' tells the options of a command.\n"
		"Exit status: 0 done, 1 something failed (said on stderr), 2 wrong usage.\n");
}

int main(int argc, char **argv) {
	// A reader that goes away is a write error with a message, not a silent death.
	signal(SIGPIPE, SIG_IGN);

	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		usage(stdout);
		return EXIT_OK;
	}
	if (strcmp(name, "--version") == 0) {
		printf("weir " WEIR_VERSION "\n");
		return EXIT_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);

	fprintf(stderr, "weir: no command '%s'; 'weir --help' lists them\n", name);
	return EXIT_USAGE;
}
