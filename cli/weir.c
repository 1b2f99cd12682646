// weir: the program. Finds the command and hands over.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "words.h"

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

static const size_t n_commands = sizeof(commands) / sizeof(commands[0]);

// Whoever closes one of the three starts a program whose next file gets its number: a message
// would then be written into an archive. What stands there instead cannot be used either.
static void hold_standard_files(void) {
	static const int ways[] = {O_WRONLY, O_RDONLY, O_WRONLY};

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", ways[fd]) != fd)
			_exit(EXIT_FAILED);
}

// What a command printed is out, or it has failed: a full disk must not look like a good end.
static int end(const char *name, int status) {
	bool failed = ferror(stdout) != 0;

	if (fflush(stdout) == 0 && !failed)
		return status;
	if (status == EXIT_OK || status == EXIT_USAGE) {
		fprintf(stderr,
			"weir%s%s: standard output: %s\n",
			name[0] != '\0' ? " " : "",
			name,
			failed ? "not all could be written" : strerror(errno));
		status = EXIT_FAILED;
	}
	return status;
}

static int unknown(const char *name) {
	const char *names[sizeof(commands) / sizeof(commands[0]) + 1] = {NULL};

	for (size_t i = 0; i < n_commands; i++)
		names[i] = commands[i].name;
	const char *near = word_nearest(name, names);
	if (name[0] == '-')
		fprintf(stderr,
			"weir: option '%s' before any command; 'weir COMMAND [OPTIONS]', see "
			"'weir --help'\n",
			name);
	else if (near != NULL)
		fprintf(stderr,
			"weir: no command '%s'; did you mean '%s'? 'weir --help' lists them\n",
			name,
			near);
	else
		fprintf(stderr, "weir: no command '%s'; 'weir --help' lists them\n", name);
	return EXIT_USAGE;
}

static int run(const char *name, int argc, char **argv) {
	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(name, commands[i].name) == 0)
			return end(name, commands[i].run(argc, argv));
	return unknown(name);
}

static bool is_help(const char *word) {
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int main(int argc, char **argv) {
	hold_standard_files();
	// A reader that goes away is a write error with a message, not a silent death.
	signal(SIGPIPE, SIG_IGN);

	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (is_help(argv[1]) && argc > 2)
		return run(argv[2], 2, (char *[]){argv[2], (char *)"--help", NULL});
	if (is_help(argv[1])) {
		usage(stdout);
		return end("", EXIT_OK);
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("weir " WEIR_VERSION "\n");
		return end("", EXIT_OK);
	}
	return run(argv[1], argc - 1, argv + 1);
}
