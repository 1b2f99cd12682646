#include "decode_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "options.h"

static const char help[] =
	"Usage: weir decode [OPTIONS] --listen [HOST:]PORT\n"
	"       weir decode [OPTIONS] FILE...     (- is standard input)\n"
	"Prints what NetFlow v5, v9 and IPFIX say, and what is wrong with it. Files are\n"
	"pcap or pcapng captures of the datagrams, or IPFIX files (also .gz, .zst).\n"
	"\n"
	"  -l, --listen [HOST:]PORT    receive datagrams there until Ctrl-C\n"
	"  -p, --port N                in captures, decode every datagram to this port\n"
	"                              [whatever looks like an export]\n"
	"  -f, --format FORMAT         text, json (one object a line)  [text]\n"
	"  -t, --templates             print templates too\n"
	"  -n, --count N               end after N datagrams\n"
	"  -q, --quiet                 print only problems, advice and the summary\n"
	"  -s, --strict                advice counts as a problem in the exit status\n"
	"\n"
	"Exit status: 0 clean, 1 there were problems or something could not be read (said\n"
	"on stderr), 2 wrong usage.\n";

enum option_id {
	OPT_LISTEN = 'l',
	OPT_PORT = 'p',
	OPT_FORMAT = 'f',
	OPT_TEMPLATES = 't',
	OPT_COUNT = 'n',
	OPT_QUIET = 'q',
	OPT_STRICT = 's',
	OPT_HELP = 'h',
};

static const struct option long_options[] = {
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"port", required_argument, NULL, OPT_PORT},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"templates", no_argument, NULL, OPT_TEMPLATES},
	{"count", required_argument, NULL, OPT_COUNT},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"strict", no_argument, NULL, OPT_STRICT},
	{"help", optional_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int parse_option(struct decode_options *options, int id, const char *arg) {
	static const char *const formats[] = {"text", "json", NULL};
	uint64_t value;
	int rc;

	switch (id) {
	case OPT_LISTEN:
		options->listen = arg;
		return 0;
	case OPT_PORT:
		rc = options_whole("port", arg, 1, UINT16_MAX, &value);
		if (rc == 0)
			options->port = (uint16_t)value;
		return rc;
	case OPT_FORMAT:
		rc = options_one_of("format", arg, formats, "text or json");
		if (rc >= 0)
			options->format = DECODE_TEXT + (enum decode_format)rc;
		return rc;
	case OPT_TEMPLATES:
		options->templates = true;
		return 0;
	case OPT_COUNT:
		return options_whole("count", arg, 1, UINT64_MAX, &options->count);
	case OPT_QUIET:
		options->quiet = true;
		return 0;
	case OPT_STRICT:
		options->strict = true;
		return 0;
	default:
		return -EINVAL;
	}
}

int decode_options_parse(struct decode_options *options, int argc, char **argv) {
	int id;

	*options = (struct decode_options){0};
	options_begin("decode");
	while ((id = getopt_long(argc, argv, ":l:p:f:tn:qsh", long_options, NULL)) != -1) {
		if (id == OPT_HELP)
			return options_help(help, NULL, optarg);
		if (id == '?' || id == ':')
			return options_wrong(id, argv, long_options);
		if (parse_option(options, id, optarg) < 0)
			return -EINVAL;
	}
	options->files = argv + optind;
	options->n_files = (unsigned)(argc - optind);
	if (options->n_files == 0 && options->listen == NULL)
		return options_mistake("nothing to decode; use --listen [HOST:]PORT, or name files"
		);
	if (options->n_files > 0 && options->listen != NULL)
		return options_mistake("--listen and file %s: one or the other", options->files[0]);
	if (options->port != 0 && options->listen != NULL)
		return options_mistake("--port is for captures; --listen names its own");
	return 0;
}
