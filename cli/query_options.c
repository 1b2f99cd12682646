#include "query_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live_protocol.h"
#include "options.h"
#include "query_time.h"
#include "scan.h"
#include "units.h"

#define DEFAULT_ARCHIVE "/var/lib/weir"

enum {
	DEFAULT_TOP = 10,
	MOST_TOP = 1000000,
};

static const char help[] =
	"Usage: weir query [OPTIONS] 'SQL'\n"
	"       weir query [OPTIONS] --top KEY[,N] | --timeseries STEP | --last TIME ...\n"
	"Asks the archive of flow records (table flows) and the running sensor (live).\n"
	"\n"
	"      --archive DIR        where the archive is  [/var/lib/weir]\n"
	"      --top KEY[,N]        the N largest: src_addr, dst_addr, src_port,\n"
	"                           dst_port, proto, conversations, flows, src_mac,\n"
	"                           dst_mac, vlan_id, in_if, ip_tos,\n"
	"                           flow_end_reason  [10]\n"
	"      --timeseries STEP    sums over time, such as 1m\n"
	"      --by WHAT            bytes, packets, flows  [bytes]\n"
	"      --last TIME          flows that began in the last 1h, 7d ...\n"
	"      --from TIME          flows that began then or later: 2026-11-24T10:00:00Z,\n"
	"                           seconds since 1970, or -1h\n"
	"      --to TIME            flows that began before then\n"
	"      --where 'SQL'        a condition, such as \"ip_in(src_addr, '10.0.0.0/8')\"\n"
	"      --format FORMAT      table, csv, json, chart  [table; a time series on a\n"
	"                           terminal: chart]\n"
	"      --socket PATH        of the running sensor  [" LIVE_SOCKET "]\n"
	"      --threads N          that read the archive  [one for each core]\n"
	"      --progress WHEN      auto, always, never  [auto]\n"
	"\n"
	"Functions: ip_in(addr, network) ip_family(addr) ago('1h') ts('2026-11-24T10:00')\n"
	"time_text(ns) time_bucket(ns, '1m') duration_text(ns) proto_name(proto)\n"
	"\n"
	"Exit status: 0 all read, 1 something failed (said on stderr), 2 wrong usage or\n"
	"SQL, 130 interrupted.\n";

// The options of the short help.
static const char *const common[] = {
	"archive",
	"top",
	"timeseries",
	"by",
	"last",
	"from",
	"where",
	"format",
	NULL,
};

enum option_id {
	OPT_HELP = 'h',
	OPT_ARCHIVE = 256,
	OPT_TOP,
	OPT_TIMESERIES,
	OPT_BY,
	OPT_LAST,
	OPT_FROM,
	OPT_TO,
	OPT_WHERE,
	OPT_FORMAT,
	OPT_SOCKET,
	OPT_THREADS,
	OPT_PROGRESS,
};

static const struct option long_options[] = {
	{"archive", required_argument, NULL, OPT_ARCHIVE},
	{"top", required_argument, NULL, OPT_TOP},
	{"timeseries", required_argument, NULL, OPT_TIMESERIES},
	{"by", required_argument, NULL, OPT_BY},
	{"last", required_argument, NULL, OPT_LAST},
	{"from", required_argument, NULL, OPT_FROM},
	{"to", required_argument, NULL, OPT_TO},
	{"where", required_argument, NULL, OPT_WHERE},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"threads", required_argument, NULL, OPT_THREADS},
	{"progress", required_argument, NULL, OPT_PROGRESS},
	{"help", optional_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

// What the parsing needs to know besides.
struct parsing {
	struct query_options *options;
	time_ns_t now_ns;
	bool by_given;
};

static int parse_top(struct parsing *parsing, const char *arg) {
	struct query_report *report = &parsing->options->report;
	size_t n = strcspn(arg, ",");
	uint64_t n_top = DEFAULT_TOP;

	report->top = query_report_key(arg, n);
	if (report->top == NULL)
		return options_mistake(
			"--top %.*s: not known; use %s", (int)n, arg, query_report_keys()
		);
	if (arg[n] == ',' && options_whole("top", arg + n + 1, 1, MOST_TOP, &n_top) < 0)
		return -EINVAL;
	report->n_top = (unsigned)n_top;
	return 0;
}

static int parse_step(struct parsing *parsing, const char *arg) {
	time_ns_t *step_ns = &parsing->options->step_ns;

	if (units_duration(arg, step_ns) < 0 || *step_ns <= 0)
		return options_mistake(
			"--timeseries %s: not a duration; use a number and a unit, such as 1m, 10s "
			"or 1h",
			arg
		);
	parsing->options->report.step = arg;
	return 0;
}

static int
parse_time(const struct parsing *parsing, const char *option, const char *arg, time_ns_t *out) {
	if (query_time_parse(arg, parsing->now_ns, out) < 0)
		return options_mistake(
			"--%s %s: not a time; use 2026-11-24T10:00:00Z, 2026-11-24, seconds since "
			"1970, or -1h for an hour ago",
			option,
			arg
		);
	return 0;
}

static int parse_last(struct parsing *parsing, const char *arg) {
	time_ns_t last_ns;

	if (units_duration(arg, &last_ns) < 0 || last_ns <= 0 || last_ns > parsing->now_ns)
		return options_mistake(
			"--last %s: not a duration; use a number and a unit, such as 15m, 1h or 7d",
			arg
		);
	if (parsing->options->report.from_ns >= 0)
		return options_mistake("--last and --from: one of them says where to begin");
	parsing->options->report.from_ns = parsing->now_ns - last_ns;
	return 0;
}

static int parse_option(struct parsing *parsing, int id, const char *arg) {
	static const char *const formats[] = {"table", "csv", "json", "chart", NULL};
	static const char *const progresses[] = {"auto", "always", "never", NULL};
	static const char *const by[] = {"bytes", "packets", "flows", NULL};
	struct query_options *options = parsing->options;
	uint64_t value;
	int rc = 0;

	switch (id) {
	case OPT_ARCHIVE:
		options->archive = arg;
		return 0;
	case OPT_TOP:
		return parse_top(parsing, arg);
	case OPT_TIMESERIES:
		return parse_step(parsing, arg);
	case OPT_BY:
		rc = options_one_of("by", arg, by, "bytes, packets or flows");
		if (rc >= 0)
			options->report.by = (enum report_by)rc;
		parsing->by_given = true;
		return rc;
	case OPT_LAST:
		return parse_last(parsing, arg);
	case OPT_FROM:
		if (options->report.from_ns >= 0)
			return options_mistake("--from %s: where to begin was said before", arg);
		return parse_time(parsing, "from", arg, &options->report.from_ns);
	case OPT_TO:
		return parse_time(parsing, "to", arg, &options->report.to_ns);
	case OPT_WHERE:
		options->report.where = arg;
		return 0;
	case OPT_FORMAT:
		rc = options_one_of("format", arg, formats, "table, csv, json or chart");
		if (rc >= 0)
			options->format = (enum output_format)rc;
		options->has_format = true;
		return rc;
	case OPT_SOCKET:
		options->socket = arg;
		return 0;
	case OPT_THREADS:
		rc = options_whole("threads", arg, 1, SCAN_MAX_THREADS, &value);
		if (rc == 0)
			options->n_threads = (unsigned)value;
		return rc;
	case OPT_PROGRESS:
		rc = options_one_of("progress", arg, progresses, "auto, always or never");
		if (rc >= 0)
			options->progress = (enum query_progress)rc;
		return rc;
	default:
		return -EINVAL;
	}
}

// What does not go together.
static int check(const struct parsing *parsing, int n_arguments, char **arguments) {
	const struct query_options *options = parsing->options;
	const struct query_report *report = &options->report;
	bool is_report = report->top != NULL || report->step != NULL || report->where != NULL
			 || report->from_ns >= 0 || report->to_ns >= 0 || parsing->by_given;

	if (n_arguments > 1)
		return options_mistake(
			"'%s': one SQL statement at a time; put it in quotes", arguments[1]
		);
	if (n_arguments == 1 && is_report)
		return options_mistake(
			"SQL and a report: either; the conditions of SQL stand in its WHERE"
		);
	if (n_arguments == 0 && !is_report)
		return options_mistake("nothing to ask; weir query 'SELECT ... FROM flows', or "
				       "--top src_addr; see "
				       "'weir query --help'");
	if (report->top != NULL && report->step != NULL)
		return options_mistake("--top and --timeseries: one report at a time");
	if (report->from_ns >= 0 && report->to_ns >= 0 && report->from_ns >= report->to_ns)
		return options_mistake("--to is not after where the time begins");
	if (options->has_format && options->format == OUTPUT_CHART && report->step == NULL
	    && n_arguments == 0)
		return options_mistake(
			"--format chart: needs times; use it with --timeseries, or with SQL whose "
			"first column is a time"
		);
	return 0;
}

int query_options_parse(struct query_options *options, time_ns_t now_ns, int argc, char **argv) {
	struct parsing parsing = {.options = options, .now_ns = now_ns};
	int id;

	*options = (struct query_options){
		.archive = DEFAULT_ARCHIVE,
		.socket = LIVE_SOCKET,
		.report = {.n_top = DEFAULT_TOP, .from_ns = -1, .to_ns = -1},
	};
	options_begin("query");
	while ((id = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (id == OPT_HELP)
			return options_help(help, common, optarg);
		if (id == '?' || id == ':')
			return options_wrong(id, argv, long_options);
		if (parse_option(&parsing, id, optarg) < 0)
			return -EINVAL;
	}
	if (check(&parsing, argc - optind, argv + optind) < 0)
		return -EINVAL;
	options->sql = optind < argc ? argv[optind] : NULL;
	return 0;
}
