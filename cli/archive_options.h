// Options of the archive, the same for every command that fills one.
//
// Threads: one.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "clock.h"

struct archive_options {
	const char *dir; // or NULL: no archive
	char sensor[ARCHIVE_SENSOR_BYTES];
	time_ns_t rotate_ns;
	uint64_t rotate_bytes;
	time_ns_t flush_ns;
	enum archive_sync sync;
	int level;
	time_ns_t retain_ns;   // 0 = for ever
	uint64_t retain_bytes; // 0 = no limit
};

// The ids of the options, above those of the commands.
enum archive_option_id {
	OPT_ARCHIVE = 1024,
	OPT_ARCHIVE_ROTATE,
	OPT_ARCHIVE_FLUSH,
	OPT_ARCHIVE_SYNC,
	OPT_ARCHIVE_LEVEL,
	OPT_RETAIN,
	OPT_SENSOR,
	OPT_HELP_ARCHIVE,
};

// For the tables of getopt_long().
// clang-format off
#define ARCHIVE_OPTIONS \
	{"archive", required_argument, NULL, OPT_ARCHIVE}, \
	{"archive-rotate", required_argument, NULL, OPT_ARCHIVE_ROTATE}, \
	{"archive-flush", required_argument, NULL, OPT_ARCHIVE_FLUSH}, \
	{"archive-sync", required_argument, NULL, OPT_ARCHIVE_SYNC}, \
	{"archive-level", required_argument, NULL, OPT_ARCHIVE_LEVEL}, \
	{"retain", required_argument, NULL, OPT_RETAIN}, \
	{"sensor", required_argument, NULL, OPT_SENSOR}, \
	{"help-archive", no_argument, NULL, OPT_HELP_ARCHIVE}
// clang-format on

// The one line of it in a command's help; --help-archive prints settings_help_archive().
#define ARCHIVE_OPTIONS_HELP                                                                       \
	"      --archive DIR           all records in Parquet files; see --help-archive\n"

// What applies where nothing is said.
void archive_options_init(struct archive_options *options);

// Takes an option of the above. Returns 0, -EINVAL after a mistake that was reported, or -ENOENT
// for an id that is none of these.
int archive_options_take(struct archive_options *options, int id, const char *arg);

// As archive_open() and archive_set() take them; the rest of the config is the caller's.
struct archive_config archive_options_config(const struct archive_options *options);

// Checks that they go together. Returns 0 or -EINVAL after a mistake that was reported.
int archive_options_check(const struct archive_options *options);
