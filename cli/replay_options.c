#include "replay_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "flow_cache.h"
#include "netflow9.h"
#include "options.h"
#include "packet.h"
#include "packet_filter.h"
#include "replay.h"
#include "units.h"

enum {
	MAX_DLT = 300, // above all that packet_link_of_dlt() knows
};

static const char help[] =
	"Usage: weir replay [OPTIONS] FILE...     (- is standard input)\n"
	"Meters pcap and pcapng captures (also .gz, .zst) as one stream, in this order.\n"
	"\n"
	"  -c, --collector HOST:PORT   send NetFlow v9 there, to ipfix://HOST:PORT IPFIX\n"
	"  -p, --print FORMAT          print records to stdout: text, csv, "
	"json\n" ARCHIVE_OPTIONS_HELP
	"      --ledger FORMAT         account at the end: text, json, none  [text]\n"
	"  -a, --active-timeout TIME   report running flows this often; 0 = never  [60s]\n"
	"  -i, --idle-timeout TIME     end flows after this silence; 0 = never  [15s]\n"
	"      --cache-entries N       flows held at once  [1048576]\n"
	"      --cache-memory SIZE     the same by memory, such as 1GiB\n"
	"  -w, --workers N             threads with a flow cache each  [1]\n"
	"      --hash-secret WHICH     fixed repeats exactly, random per run  [fixed]\n"
	"      --speed FACTOR          1 = as captured, 10 = ten times, max  [max]\n"
	"  -f, --filter 'BPF'          meter only what matches, as in tcpdump\n"
	"  -d, --deduplicate WINDOW    count second copies apart: 5ms[,routed][,copies=N]\n"
	"  -s, --sample [random:]N     meter one packet of N\n" SEND_OPTIONS_HELP
	"      --progress WHEN         auto, always, never  [auto]\n"
	"\n"
	"Exit status: 0 all metered, 1 something failed (said on stderr), 2 wrong usage.\n";

// The options of the short help.
static const char *const common[] = {
	"collector",
	"print",
	"archive",
	"ledger",
	"active-timeout",
	"idle-timeout",
	"cache-entries",
	"workers",
	"speed",
	"filter",
	"deduplicate",
	"sample",
	"rate",
	"fields",
	"progress",
	NULL,
};

enum option_id {
	OPT_PRINT = 'p',
	OPT_ACTIVE = 'a',
	OPT_IDLE = 'i',
	OPT_WORKERS = 'w',
	OPT_FILTER = 'f',
	OPT_DEDUPLICATE = 'd',
	OPT_SAMPLE = 's',
	OPT_HELP = 'h',
	OPT_ENTRIES = 256,
	OPT_MEMORY,
	OPT_HASH_SECRET,
	OPT_SPEED,
	OPT_PROGRESS,
};

static const struct option long_options[] = {
	SEND_OPTIONS,
	{"print", required_argument, NULL, OPT_PRINT},
	{"active-timeout", required_argument, NULL, OPT_ACTIVE},
	{"idle-timeout", required_argument, NULL, OPT_IDLE},
	{"cache-entries", required_argument, NULL, OPT_ENTRIES},
	{"cache-memory", required_argument, NULL, OPT_MEMORY},
	{"workers", required_argument, NULL, OPT_WORKERS},
	{"hash-secret", required_argument, NULL, OPT_HASH_SECRET},
	{"speed", required_argument, NULL, OPT_SPEED},
	{"filter", required_argument, NULL, OPT_FILTER},
	{"deduplicate", required_argument, NULL, OPT_DEDUPLICATE},
	{"sample", required_argument, NULL, OPT_SAMPLE},
	{"progress", required_argument, NULL, OPT_PROGRESS},
	ARCHIVE_OPTIONS,
	{"help", optional_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int speed(const char *text, double *factor) {
	char *end;

	if (strcmp(text, "max") == 0) {
		*factor = 0;
		return 0;
	}
	*factor = strtod(text, &end);
	if (end == text || *end != '\0' || !(*factor >= 0.001 && *factor <= 1e6))
		return options_mistake(
			"--speed %s: use max, or a factor from 0.001 to 1000000 (1 = as captured)",
			text
		);
	return 0;
}

static int parse_option(struct replay_options *options, int id, const char *arg) {
	static const char *const prints[] = {"text", "csv", "json", NULL};
	static const char *const progresses[] = {"auto", "always", "never", NULL};
	static const char *const secrets[] = {"fixed", "random", NULL};
	uint64_t value;
	int rc;

	switch (id) {
	case OPT_PRINT:
		rc = options_one_of("print", arg, prints, "text, csv or json");
		if (rc >= 0)
			options->print = PRINT_TEXT + (enum print_format)rc;
		return rc;
	case OPT_PROGRESS:
		rc = options_one_of("progress", arg, progresses, "auto, always or never");
		if (rc >= 0)
			options->progress = PROGRESS_AUTO + (enum progress_mode)rc;
		return rc;
	case OPT_ACTIVE:
		return options_timeout("active-timeout", arg, &options->active_timeout_ns);
	case OPT_IDLE:
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
		rc = options_whole("workers", arg, 1, REPLAY_MAX_WORKERS, &value);
		if (rc == 0)
			options->n_workers = (unsigned)value;
		return rc;
	case OPT_HASH_SECRET:
		rc = options_one_of("hash-secret", arg, secrets, "fixed or random");
		if (rc >= 0)
			options->random_secret = rc == 1;
		return rc;
	case OPT_SPEED:
		return speed(arg, &options->speed);
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
		rc = send_options_take(&options->send, id, arg);
		return rc != -ENOENT ? rc : archive_options_take(&options->archive, id, arg);
	}
}

// What no link type that weir reads can be filtered by. That a file's cannot is told of the file.
static int check_filter(const char *expression) {
	char error[PACKET_FILTER_ERROR_BYTES], other[PACKET_FILTER_ERROR_BYTES];
	struct packet_filter *filter = packet_filter_new(expression, NULL, error);

	for (int dlt = 0; dlt <= MAX_DLT && filter == NULL; dlt++) {
		if (packet_link_of_dlt(dlt) == LINK_UNKNOWN)
			continue;
		pcap_t *pcap = pcap_open_dead(dlt, 1 << 16);
		if (pcap == NULL)
			continue;
		filter = packet_filter_new(expression, pcap, other);
		pcap_close(pcap);
	}
	if (filter == NULL)
		return options_mistake("--filter '%s': %s; see pcap-filter(7)", expression, error);
	packet_filter_free(filter);
	return 0;
}

int replay_options_parse(struct replay_options *options, int argc, char **argv) {
	int id;

	*options = (struct replay_options){
		.active_timeout_ns = 60 * NS_PER_S,
		.idle_timeout_ns = 15 * NS_PER_S,
		.n_flows = 1 << 20,
		.n_workers = 1,
		.sampling = {.algorithm = SAMPLER_DETERMINISTIC, .interval = 1},
	};
	archive_options_init(&options->archive);
	send_options_init(&options->send);
	options_begin("replay");
	while ((id = getopt_long(argc, argv, ":c:p:a:i:w:f:d:s:h", long_options, NULL)) != -1) {
		if (id == OPT_HELP)
			return options_help(help, common, optarg);
		if (id == OPT_HELP_ARCHIVE) {
			settings_help_archive(stdout);
			return 1;
		}
		if (id == '?' || id == ':')
			return options_wrong(id, argv, long_options);
		if (parse_option(options, id, optarg) < 0)
			return -EINVAL;
	}

	options->files = argv + optind;
	options->n_files = (unsigned)(argc - optind);
	if (options->n_files == 0)
		return options_mistake(
			"no capture file given; 'weir replay FILE...', or - for standard input"
		);
	if (options->n_flows / options->n_workers < FLOW_CACHE_MIN_FLOWS)
		return options_mistake(
			"%u cache entries are too few for %u workers; at least %u each",
			options->n_flows,
			options->n_workers,
			FLOW_CACHE_MIN_FLOWS
		);
	if (options->filter != NULL && check_filter(options->filter) < 0)
		return -EINVAL;
	return archive_options_check(&options->archive);
}
