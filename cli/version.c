// weir version: what this program is, what it was built of, and what it finds on this machine.
// Nothing in it depends on when or where it was built, so that builds repeat.

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <curses.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <openssl/opensslv.h>
#include <pcap/pcap.h>
#include <rte_version.h>
#include <seccomp.h>
#include <sqlite3.h>
#include <yaml.h>
#include <zlib.h>
#include <zstd.h>

#include "commands.h"
#include "flow_cache.h"
#include "json.h"
#include "options.h"

static const char help[] =
	"Usage: weir version [--json]\n"
	"Prints the version, the compiler, the libraries as they are on this machine and\n"
	"as they were at build time where that differs, the instruction sets that packets\n"
	"can be metered with here (the last is used), and the licence.\n"
	"\n"
	"      --json   one object on one line\n"
	"\n"
	"Exit status: 0, or 2 wrong usage.\n";

#define LICENCE "BSD-3-Clause"

#define TEXT(number) #number
#define NUMBER_TEXT(number) TEXT(number)

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

struct library {
	const char *name;
	const char *built; // against; NULL = its headers do not say
	const char *found; // on this machine
};

static const char *libpcap_number(void) {
	// "libpcap version 1.10.3 (with TPACKET_V3)"
	static char number[32];
	const char *text = pcap_lib_version();

	if (sscanf(text, "libpcap version %31s", number) != 1)
		return text;
	return number;
}

static const char *seccomp_number(void) {
	static char number[48];
	const struct scmp_version *version = seccomp_version();

	snprintf(
		number, sizeof(number), "%u.%u.%u", version->major, version->minor, version->micro
	);
	return number;
}

// "DPDK 22.11.7"
static const char *without_name(const char *text) {
	const char *space = strchr(text, ' ');
	return space != NULL ? space + 1 : text;
}

enum {
	N_LIBRARIES = 10,
};

static void find_libraries(struct library libraries[N_LIBRARIES]) {
	const struct library found[N_LIBRARIES] = {
		{"dpdk",
		 NUMBER_TEXT(RTE_VER_YEAR) "." NUMBER_TEXT(RTE_VER_MONTH
		 ) "." NUMBER_TEXT(RTE_VER_MINOR),
		 without_name(rte_version())},
		{"libmicrohttpd", NULL, MHD_get_version()},
		{"libpcap", NULL, libpcap_number()},
		{"zstd", ZSTD_VERSION_STRING, ZSTD_versionString()},
		{"zlib", ZLIB_VERSION, zlibVersion()},
		{"sqlite", SQLITE_VERSION, sqlite3_libversion()},
		{"libseccomp",
		 NUMBER_TEXT(SCMP_VER_MAJOR) "." NUMBER_TEXT(SCMP_VER_MINOR
		 ) "." NUMBER_TEXT(SCMP_VER_MICRO),
		 seccomp_number()},
		{"openssl", OPENSSL_VERSION_STR, OpenSSL_version(OPENSSL_VERSION_STRING)},
		{"libyaml", NULL, yaml_get_version_string()},
		{"ncurses", NULL, without_name(curses_version())},
	};

	memcpy(libraries, found, sizeof(found));
}

static void print_text(const struct library *libraries) {
	printf("weir " WEIR_VERSION "\n");
	printf("%-13s %s\n", "compiler", COMPILER);
	for (unsigned i = 0; i < N_LIBRARIES; i++) {
		const struct library *library = &libraries[i];
		printf("%-13s %s", library->name, library->found);
		if (library->built != NULL && strcmp(library->built, library->found) != 0)
			printf(" (built with %s)", library->built);
		printf("\n");
	}
	printf("%-13s", "packet path");
	for (const char *const *path = flow_cache_paths(); *path != NULL; path++)
		printf(" %s", *path);
	printf("\n%-13s %s\n", "licence", LICENCE);
}

static void print_member(const char *name, const char *text) {
	printf("\"%s\":", name);
	json_string(stdout, text);
	printf(",");
}

static void print_json(const struct library *libraries) {
	printf("{");
	print_member("version", WEIR_VERSION);
	print_member("compiler", COMPILER);
	for (unsigned i = 0; i < N_LIBRARIES; i++)
		print_member(libraries[i].name, libraries[i].found);
	printf("\"built_with\":{");
	for (unsigned i = 0, n = 0; i < N_LIBRARIES; i++) {
		if (libraries[i].built == NULL)
			continue;
		printf("%s\"%s\":", n++ > 0 ? "," : "", libraries[i].name);
		json_string(stdout, libraries[i].built);
	}
	printf("},\"packet_paths\":[");
	for (const char *const *path = flow_cache_paths(); *path != NULL; path++) {
		printf("%s", path != flow_cache_paths() ? "," : "");
		json_string(stdout, *path);
	}
	printf("],\"licence\":\"" LICENCE "\"}\n");
}

int command_version(int argc, char **argv) {
	enum { OPT_JSON = 256 };
	static const struct option long_options[] = {
		{"json", no_argument, NULL, OPT_JSON},
		{"help", optional_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct library libraries[N_LIBRARIES];
	bool json = false;
	int id;

	options_begin("version");
	while ((id = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (id == 'h')
			return options_help(help, NULL, optarg) < 0 ? EXIT_USAGE : EXIT_OK;
		if (id == '?' || id == ':') {
			options_wrong(id, argv, long_options);
			return EXIT_USAGE;
		}
		json = true;
	}
	if (optind < argc) {
		options_mistake("'%s': takes no arguments", argv[optind]);
		return EXIT_USAGE;
	}
	find_libraries(libraries);
	if (json)
		print_json(libraries);
	else
		print_text(libraries);
	return EXIT_OK;
}
