// Options: what commands share in reading theirs. Every mistake gets a line on standard error that
// names the command, the option, what was found, and what would do.
//
// Threads: one.

#pragma once

#include <getopt.h>
#include <stdint.h>

#include "clock.h"
#include "settings.h"

// Where an archive is looked for, where no other place is named.
#define OPTIONS_ARCHIVE_DIR "/var/lib/weir"

// Says whose options are read next, and lets getopt_long() say nothing by itself.
void options_begin(const char *command);

// From here on a mistake is about what a config file says about the setting in this line (0: in
// none): it is told with the file's name and its key, and every other option in it by its key too.
// NULL, 0, NULL: about a command line again.
void options_place(const char *file, unsigned line, const struct setting *setting);

// From here on mistakes go to `fn`, without the command's name, instead of standard error. NULL: no
// more.
void options_tell(void (*fn)(const char *mistake, void *arg), void *arg);

// Returns -EINVAL, as all of these do for a mistake.
[[gnu::format(printf, 1, 2)]] int options_mistake(const char *format, ...);

// The index of `text` in `words`, which NULL ends, or a mistake that lists what is `allowed`.
int options_one_of(
	const char *option, const char *text, const char *const *words, const char *allowed
);

// A timeout of flows, up to 24 h; 0 = never.
int options_timeout(const char *option, const char *text, time_ns_t *timeout_ns);

int options_whole(
	const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *value
);

// As many flows as fit into `text` octets of caches.
int options_flows_in_memory(const char *text, uint32_t *n_flows);

// Prints a command's help. With the argument "all" of --help all of it; without one, of its lines
// about options those of `common`, which NULL ends, so that it fits a screen, and how many more
// there are; all where `common` is NULL. Returns 1, or -EINVAL for another argument.
int options_help(const char *help, const char *const *common, const char *arg);

// What getopt_long(), which returned `id` and knows the options `known`, did not like about the
// argument it stopped at; for an option that is none with the one that may be meant, also by its
// key in the config file: --export-rate means --rate, whose key is export.rate.
int options_wrong(int id, char **argv, const struct option *known);

// A word that is none of `words`, which NULL ends and `what` calls so: "command". Says which one
// may be meant, or which there are.
int options_unknown_word(const char *what, const char *word, const char *const *words);
