// weir doctor: looks at everything that a live run needs, and says what is in its way.

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "doctor_checks.h"
#include "flow_cache.h"
#include "options.h"

// Beside the flow caches: packet buffers, rings and the EAL's own.
#define OTHER_BYTES (UINT64_C(128) << 20)

#define DEFAULT_FLOWS (UINT32_C(1) << 20)

static const char help[] =
	"Usage: weir doctor [OPTIONS]\n"
	"Looks at what a live run needs. Changes nothing.\n"
	"\n"
	"  -p, --port PORT         look at this port, too; may be repeated:\n"
	"                            eth1             an interface, by the best driver\n"
	"                            af_packet:eth1   an interface, by packet sockets\n"
	"                            af_xdp:eth1      an interface, by AF_XDP\n"
	"                            0000:03:00.0     a PCI device bound to vfio-pci\n"
	"                            vdev:STRING      a virtual device of DPDK\n"
	"      --cores LIST        whether these can be used, such as 1,4-7\n"
	"      --hugepages         a run without hugepages will not do\n"
	"      --cache-entries N   flows held at once  [1048576]\n"
	"      --json              one line of JSON\n"
	"\n"
	"A line begins with ok, with -- (a hint: weir runs, and could run better) or NO,\n"
	"and then ends with the command that mends it.\n"
	"Exit status: 0 a live run is possible, 1 it is not, 2 wrong usage.\n";

enum option_id {
	OPT_PORT = 'p',
	OPT_HELP = 'h',
	OPT_CORES = 256,
	OPT_HUGEPAGES,
	OPT_ENTRIES,
	OPT_JSON,
};

static const struct option long_options[] = {
	{"port", required_argument, NULL, OPT_PORT},
	{"cores", required_argument, NULL, OPT_CORES},
	{"hugepages", no_argument, NULL, OPT_HUGEPAGES},
	{"cache-entries", required_argument, NULL, OPT_ENTRIES},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", optional_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

struct session {
	const char *ports[DOCTOR_MAX_PORTS];
	struct doctor_wish wish;
	struct doctor_report report;
	bool json;
};

static int add_port(struct session *session, const char *text) {
	struct doctor_port port;

	if (session->wish.n_ports == DOCTOR_MAX_PORTS)
		return options_mistake("--port %s: at most %d ports", text, DOCTOR_MAX_PORTS);
	if (doctor_port_parse(text, &port) < 0)
		return options_mistake(
			"--port '%s': not a port; use an interface, a PCI address such as "
			"0000:03:00.0, af_packet:IFACE, af_xdp:IFACE or vdev:STRING",
			text
		);
	session->ports[session->wish.n_ports++] = text;
	return 0;
}

static int add_entries(struct session *session, const char *text) {
	uint64_t n;
	int rc = options_whole(
		"cache-entries", text, FLOW_CACHE_MIN_FLOWS, FLOW_CACHE_MAX_FLOWS, &n
	);

	if (rc == 0)
		session->wish.memory_bytes = flow_cache_memory((uint32_t)n) + OTHER_BYTES;
	return rc;
}

// 0: go on; 1: help was printed; -EINVAL: a mistake was reported.
static int parse(struct session *session, int argc, char **argv) {
	int id;

	options_begin("doctor");
	while ((id = getopt_long(argc, argv, ":p:h", long_options, NULL)) != -1) {
		int rc = 0;
		switch (id) {
		case OPT_HELP:
			return options_help(help, NULL, optarg);
		case OPT_PORT:
			rc = add_port(session, optarg);
			break;
		case OPT_CORES:
			session->wish.cores = optarg;
			break;
		case OPT_HUGEPAGES:
			session->wish.hugepages = true;
			break;
		case OPT_ENTRIES:
			rc = add_entries(session, optarg);
			break;
		case OPT_JSON:
			session->json = true;
			break;
		default:
			return options_wrong(id, argv, long_options);
		}
		if (rc < 0)
			return rc;
	}
	if (optind < argc)
		return options_mistake(
			"'%s': not expected; a port is given as --port %s",
			argv[optind],
			argv[optind]
		);
	return 0;
}

// A string of JSON, RFC 8259 section 7.
static void print_string(const char *text) {
	putchar('"');
	for (; *text != '\0'; text++) {
		unsigned char octet = (unsigned char)*text;
		if (octet == '"' || octet == '\\')
			printf("\\%c", octet);
		else if (octet < 0x20)
			printf("\\u%04x", octet);
		else
			putchar(octet);
	}
	putchar('"');
}

static void print_member(const char *name, const char *text) {
	printf(",\"%s\":", name);
	if (text[0] != '\0')
		print_string(text);
	else
		printf("null");
}

static void print_json(const struct doctor_report *report) {
	static const char *const verdicts[] = {
		[DOCTOR_OK] = "ok",
		[DOCTOR_HINT] = "hint",
		[DOCTOR_NO] = "no",
	};

	printf("{\"possible\":%s,\"checks\":[", doctor_possible(report) ? "true" : "false");
	for (unsigned i = 0; i < report->n_lines; i++) {
		const struct doctor_line *line = &report->lines[i];
		printf("%s{\"verdict\":\"%s\"", i > 0 ? "," : "", verdicts[line->verdict]);
		print_member("check", line->check);
		print_member("port", line->port);
		print_member("found", line->text);
		print_member("remedy", line->remedy);
		printf("}");
	}
	printf("]}\n");
}

static void print_text(const struct doctor_report *report) {
	char text[DOCTOR_LINE_BYTES];

	for (unsigned i = 0; i < report->n_lines; i++) {
		doctor_line_text(&report->lines[i], text, sizeof(text));
		puts(text);
	}
}

int command_doctor(int argc, char **argv) {
	static struct session session; // the report is too large for a stack

	session.wish.ports = session.ports;
	session.wish.memory_bytes = flow_cache_memory(DEFAULT_FLOWS) + OTHER_BYTES;
	int rc = parse(&session, argc, argv);
	if (rc != 0)
		return rc > 0 ? EXIT_OK : EXIT_USAGE;

	doctor_examine("", &session.wish, &session.report);
	if (session.json)
		print_json(&session.report);
	else
		print_text(&session.report);
	if (fflush(stdout) != 0) {
		options_mistake("standard output: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return doctor_possible(&session.report) ? EXIT_OK : EXIT_FAILED;
}
