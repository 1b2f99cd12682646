#include "top_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "options.h"
#include "top_layout.h"
#include "units.h"

enum {
	DEFAULT_ROWS = 10,
};

static const char help[] =
	"Usage: weir top [OPTIONS]\n"
	"Shows what a running sensor does: rates, drops, top talkers, load of workers,\n"
	"state of the exporters. '?' shows the keys.\n"
	"\n"
	"      --socket PATH     of the running sensor  [" LIVE_SOCKET "]\n"
	"      --interval TIME   between two looks, from 100ms to 1h  [1s]\n"
	"      --view VIEW       sources, destinations, ports, conversations, flows,\n"
	"                        sensor  [sources]\n"
	"      --sort BY         bits, packets, flows  [bits]\n"
	"      --filter WORDS    flows of which all words are true: an address, network\n"
	"                        or port, tcp, udp, icmp, icmp6, sctp, gre, esp,\n"
	"                        'vlan N'; '!WORD': not that\n"
	"      --names           addresses by their names, where DNS has them\n"
	"      --ascii           bars of '#'  [unless the locale has UTF-8]\n"
	"      --once            look twice, print, and end\n"
	"      --json            a JSON object a look, until interrupted; with --once one\n"
	"      --rows N          of each table of --once and --json, up to 1000  [10]\n"
	"\n"
	"Exit status: 0 quit, or printed; 1 no sensor, or it ended (said on stderr);\n"
	"2 wrong usage; 130 interrupted.\n";

enum option_id {
	OPT_HELP = 'h',
	OPT_SOCKET = 256,
	OPT_INTERVAL,
	OPT_VIEW,
	OPT_SORT,
	OPT_FILTER,
	OPT_NAMES,
	OPT_ASCII,
	OPT_ONCE,
	OPT_JSON,
	OPT_ROWS,
};

static const struct option long_options[] = {
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"interval", required_argument, NULL, OPT_INTERVAL},
	{"view", required_argument, NULL, OPT_VIEW},
	{"sort", required_argument, NULL, OPT_SORT},
	{"filter", required_argument, NULL, OPT_FILTER},
	{"names", no_argument, NULL, OPT_NAMES},
	{"ascii", no_argument, NULL, OPT_ASCII},
	{"once", no_argument, NULL, OPT_ONCE},
	{"json", no_argument, NULL, OPT_JSON},
	{"rows", required_argument, NULL, OPT_ROWS},
	{"help", optional_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int parse_interval(struct top_options *options, const char *arg) {
	if (units_duration(arg, &options->interval_ns) < 0
	    || options->interval_ns < TOP_LEAST_INTERVAL_NS
	    || options->interval_ns > TOP_MOST_INTERVAL_NS)
		return options_mistake(
			"--interval %s: use a number and a unit from 100ms to 1h, such as 1s", arg
		);
	return 0;
}

static int parse_option(struct top_options *options, int id, const char *arg) {
	static const char *const views[] = {
		"sources", "destinations", "ports", "conversations", "flows", "sensor", NULL};
	static const char *const sorts[] = {"bits", "packets", "flows", NULL};
	char error[TOP_FILTER_ERROR_BYTES];
	uint64_t value;
	int rc;

	switch (id) {
	case OPT_SOCKET:
		options->socket = arg;
		return 0;
	case OPT_INTERVAL:
		return parse_interval(options, arg);
	case OPT_VIEW:
		rc = options_one_of(
			"view",
			arg,
			views,
			"sources, destinations, ports, conversations, flows or sensor"
		);
		options->view = rc >= 0 ? (unsigned)rc : 0;
		return rc;
	case OPT_SORT:
		rc = options_one_of("sort", arg, sorts, "bits, packets or flows");
		options->sort = rc >= 0 ? (enum top_sort)rc : TOP_BY_BITS;
		return rc;
	case OPT_FILTER:
		if (top_filter_parse(arg, &options->filter, error) < 0)
			return options_mistake("--filter '%s': %s", arg, error);
		return 0;
	case OPT_NAMES:
		options->names = true;
		return 0;
	case OPT_ASCII:
		options->ascii = true;
		return 0;
	case OPT_ONCE:
		options->once = true;
		return 0;
	case OPT_JSON:
		options->json = true;
		return 0;
	case OPT_ROWS:
		rc = options_whole("rows", arg, 1, TOP_MAX_ROWS, &value);
		options->n_rows = rc == 0 ? (unsigned)value : 0;
		return rc;
	default:
		return -EINVAL;
	}
}

int top_options_parse(struct top_options *options, int argc, char **argv) {
	int id;

	*options = (struct top_options){
		.socket = LIVE_SOCKET,
		.interval_ns = NS_PER_S,
		.n_rows = DEFAULT_ROWS,
	};
	options_begin("top");
	while ((id = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (id == OPT_HELP)
			return options_help(help, NULL, optarg);
		if (id == '?' || id == ':')
			return options_wrong(id, argv, long_options);
		if (parse_option(options, id, optarg) < 0)
			return -EINVAL;
	}
	if (optind < argc)
		return options_mistake(
			"'%s': takes no arguments; --socket says where", argv[optind]
		);
	return 0;
}
