#include "upkeep_options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "options.h"

static const char help[] =
	"Usage: weir archive ls [--json] --archive DIR | FILE...\n"
	"       weir archive verify [--json] --archive DIR | FILE...\n"
	"       weir archive repair [--level N] --archive DIR\n"
	"       weir archive compact [--level N] --archive DIR\n"
	"\n"
	"  ls       each file: first and last packet, records, bytes, bytes a flow, state\n"
	"  verify   read every page of every file: checksums, statistics, metadata\n"
	"  repair   finish files that a crash left open, and save what can be read of\n"
	"           damaged ones; a damaged file is kept as .damaged\n"
	"  compact  make one file of the many of an hour that is over\n"
	"\n"
	"      --archive DIR  the archive's folder, also without the option\n"
	"                     [" OPTIONS_ARCHIVE_DIR "]\n"
	"      --json         one object a line\n"
	"  -q, --quiet        verify: say only what is wrong\n"
	"      --level N      zstd level of what is written, 1 to 19  [9]\n"
	"\n"
	"Files that a running weir writes are left alone.\n"
	"Exit status: 0 all is well, 1 something is wrong (said on stderr), 2 wrong\n"
	"usage.\n";

enum option_id {
	OPT_HELP = 'h',
	OPT_QUIET = 'q',
	OPT_ARCHIVE = 256,
	OPT_JSON,
	OPT_LEVEL,
};

static const struct option long_options[] = {
	{"archive", required_argument, NULL, OPT_ARCHIVE},
	{"json", no_argument, NULL, OPT_JSON},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"level", required_argument, NULL, OPT_LEVEL},
	{"help", optional_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int parse_option(struct upkeep_options *options, int id, const char *arg) {
	uint64_t value;
	int rc;

	switch (id) {
	case OPT_ARCHIVE:
		options->archive = arg;
		return 0;
	case OPT_JSON:
		options->json = true;
		return 0;
	case OPT_QUIET:
		options->quiet = true;
		return 0;
	case OPT_LEVEL:
		rc = options_whole("level", arg, 1, 19, &value);
		if (rc == 0)
			options->level = (int)value;
		return rc;
	default:
		return -EINVAL;
	}
}

int upkeep_options_parse(struct upkeep_options *options, int argc, char **argv) {
	static const char *const actions[] = {"ls", "verify", "repair", "compact", NULL};
	int id, rc;

	*options = (struct upkeep_options){.level = 9};
	options_begin("archive");
	while ((id = getopt_long(argc, argv, ":hq", long_options, NULL)) != -1) {
		if (id == OPT_HELP)
			return options_help(help, NULL, optarg);
		if (id == '?' || id == ':')
			return options_wrong(id, argv, long_options);
		if (parse_option(options, id, optarg) < 0)
			return -EINVAL;
	}
	if (optind == argc)
		return options_mistake("what to do? ls, verify, repair or compact");
	for (rc = 0; actions[rc] != NULL && strcmp(argv[optind], actions[rc]) != 0;)
		rc++;
	if (actions[rc] == NULL)
		return options_unknown_word("action", argv[optind], actions);
	options->action = (enum upkeep_action)rc;
	options->files = argv + optind + 1;
	options->n_files = (unsigned)(argc - optind - 1);
	if (options->archive != NULL && options->n_files > 0)
		return options_mistake("%s: files or --archive, not both", options->files[0]);
	if (options->archive == NULL && options->n_files == 0)
		options->archive = OPTIONS_ARCHIVE_DIR;
	return 0;
}
