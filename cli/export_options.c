#include "export_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "moment.h"
#include "netflow9.h"
#include "options.h"
#include "units.h"

static const char help[] =
	"Usage: weir export --archive DIR [OPTIONS]\n"
	"       weir export [OPTIONS] FILE...\n"
	"Sends the flow records of archive files to collectors, in the order of their\n"
	"ends, or writes them as another format.\n"
	"\n"
	"      --archive DIR           all files of this archive, the open one too\n"
	"                              [" OPTIONS_ARCHIVE_DIR "]\n"
	"      --from TIME             records that ended then or later, in UTC, such as\n"
	"                              2026-11-24T10:30; also @SECONDS and now\n"
	"      --until TIME            and that ended before; --to TIME is the same\n"
	"      --last DURATION         instead of these: the last 1h, 1d ...\n"
	"  -c, --collector HOST:PORT   send NetFlow v9 there, to ipfix://HOST:PORT IPFIX\n"
	"  -t, --to FORMAT[:FILE]      write csv, json or text, to stdout or a file, or\n"
	"                              ipfix:FILE (RFC 5655)\n" SEND_OPTIONS_HELP
	"      --ledger FORMAT         account at the end: text, json, none  [text]\n"
	"      --progress WHEN         auto, always, never  [auto]\n"
	"\n"
	"Exit status: 0 all exported, 1 something failed (said on stderr), 2 wrong usage.\n";

// The options of the short help.
static const char *const common[] = {
	"archive",
	"from",
	"until",
	"last",
	"collector",
	"to",
	"rate",
	"fields",
	"ledger",
	"progress",
	NULL,
};

enum option_id {
	OPT_TO = 't',
	OPT_HELP = 'h',
	OPT_FROM_ARCHIVE = 256,
	OPT_FROM,
	OPT_UNTIL,
	OPT_LAST,
	OPT_PROGRESS,
};

static const struct option long_options[] = {
	SEND_OPTIONS,
	{"archive", required_argument, NULL, OPT_FROM_ARCHIVE},
	{"from", required_argument, NULL, OPT_FROM},
	{"until", required_argument, NULL, OPT_UNTIL},
	{"last", required_argument, NULL, OPT_LAST},
	{"to", required_argument, NULL, OPT_TO},
	{"progress", required_argument, NULL, OPT_PROGRESS},
	{"help", optional_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

// While they are read.
struct parsing {
	struct export_options *options;
	time_ns_t now_ns;
	const char *range, *last; // the options of both kinds that were given
};

static int
moment(struct parsing *parsing, const char *option, const char *arg, time_ns_t *moment_ns) {
	parsing->range = option;
	if (moment_parse(arg, parsing->now_ns, moment_ns) < 0)
		return options_mistake("--%s %s: not a time; " MOMENT_EXAMPLES, option, arg);
	return 0;
}

static int last(struct parsing *parsing, const char *arg) {
	time_ns_t duration_ns;

	parsing->last = arg;
	if (units_duration(arg, &duration_ns) < 0 || duration_ns == 0)
		return options_mistake(
			"--last %s: not a duration; use a number and a unit, such as 30m, 1h or 1d",
			arg
		);
	parsing->options->from_ns =
		duration_ns < parsing->now_ns ? parsing->now_ns - duration_ns : 0;
	return 0;
}

static int to(struct parsing *parsing, const char *arg) {
	struct export_options *options = parsing->options;
	static const struct {
		const char *name;
		enum print_format format;
	} formats[] = {{"csv", PRINT_CSV}, {"json", PRINT_JSON}, {"text", PRINT_TEXT}};
	size_t n = strcspn(arg, ":");
	const char *file = arg[n] == ':' && arg[n + 1] != '\0' ? arg + n + 1 : NULL;

	if (strncmp(arg, "ipfix", n) == 0 && n == 5) {
		options->ipfix_file = file;
		if (file == NULL)
			return options_mistake("--to %s: name the file, as in ipfix:FILE", arg);
		return 0;
	}
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strncmp(arg, formats[i].name, n) == 0 && formats[i].name[n] == '\0') {
			if (options->print != PRINT_NONE)
				return options_mistake(
					"--to %s: one of csv, json and text at a time", arg
				);
			options->print = formats[i].format;
			options->print_file = file;
			return 0;
		}
	// `weir query` has the end of a time range under this name; no time is called as a format.
	if (moment_parse(arg, parsing->now_ns, &options->until_ns) == 0) {
		parsing->range = "to";
		return 0;
	}
	return options_mistake(
		"--to %s: not a format; use csv, json, text or ipfix:FILE (the end of a time "
		"range is --until)",
		arg
	);
}

static int parse_option(struct parsing *parsing, int id, const char *arg) {
	static const char *const progresses[] = {"auto", "always", "never", NULL};
	struct export_options *options = parsing->options;
	int rc;

	switch (id) {
	case OPT_FROM_ARCHIVE:
		options->archive = arg;
		return 0;
	case OPT_FROM:
		return moment(parsing, "from", arg, &options->from_ns);
	case OPT_UNTIL:
		return moment(parsing, "until", arg, &options->until_ns);
	case OPT_LAST:
		return last(parsing, arg);
	case OPT_TO:
		return to(parsing, arg);
	case OPT_PROGRESS:
		rc = options_one_of("progress", arg, progresses, "auto, always or never");
		if (rc >= 0)
			options->progress = PROGRESS_AUTO + (enum progress_mode)rc;
		return rc;
	default:
		return send_options_take(&options->send, id, arg);
	}
}

static int check(const struct parsing *parsing) {
	const struct export_options *options = parsing->options;

	if (options->archive != NULL && options->n_files > 0)
		return options_mistake("%s: files or --archive, not both", options->files[0]);
	if (parsing->range != NULL && parsing->last != NULL)
		return options_mistake(
			"--last %s: not together with --%s", parsing->last, parsing->range
		);
	if (options->from_ns >= options->until_ns)
		return options_mistake("--until lies before --from: there is no time between them");
	if (options->send.n_collectors == 0 && options->print == PRINT_NONE
	    && options->ipfix_file == NULL)
		return options_mistake(
			"nowhere to export to; use --collector HOST:PORT, or --to csv, json, text "
			"or ipfix:FILE"
		);
	return 0;
}

int export_options_parse(struct export_options *options, int argc, char **argv, time_ns_t now_ns) {
	struct parsing parsing = {.options = options, .now_ns = now_ns};
	int id;

	*options = (struct export_options){
		.until_ns = TIME_NS_MAX,
	};
	send_options_init(&options->send);
	options_begin("export");
	while ((id = getopt_long(argc, argv, ":c:t:h", long_options, NULL)) != -1) {
		if (id == OPT_HELP)
			return options_help(help, common, optarg);
		if (id == '?' || id == ':')
			return options_wrong(id, argv, long_options);
		if (parse_option(&parsing, id, optarg) < 0)
			return -EINVAL;
	}
	options->files = argv + optind;
	options->n_files = (unsigned)(argc - optind);
	if (options->archive == NULL && options->n_files == 0)
		options->archive = OPTIONS_ARCHIVE_DIR;
	return check(&parsing);
}
