// Config file: YAML, read with libyaml, of sections with keys that have a value or a list of them
// each: the keys of settings.h. What YAML has beyond that (anchors, tags, several documents) is
// refused, so that what a file says is what stands there. Each mistake gets a line that says where
// it is, what was found, and what would do; a file's mistakes are told all, up to a number.
//
// Values are collected, not judged: that is the business of whoever takes them.
//
// Threads: one. Time: none.

#pragma once

#include <stddef.h>

#include "setting_values.h"

#define CONFIG_FILE "/etc/weir/weir.yaml"

enum {
	CONFIG_FILE_MOST_BYTES = 1 << 20,
	CONFIG_FILE_MOST_MISTAKES = 20, // told; what follows may come of these
	CONFIG_MISTAKE_BYTES = 1024,
};

// Gets each mistake, without the file's name: "14: cache.entires: not known; ...".
typedef void (*config_mistake_fn)(const char *mistake, void *arg);

// Adds what `text` says to `values`. Returns 0; -EINVAL after mistakes were told, where the other
// values are as they should be; -EBADMSG where it is no YAML, and then none of it counts; or
// -ENOMEM.
[[nodiscard]] int config_file_parse(
	struct setting_values *values,
	const char *text,
	size_t n_bytes,
	config_mistake_fn on_mistake,
	void *arg
);

// The same of a file, whose name is copied into `values`; what keeps it from being read is told as
// a mistake without a line: "cannot be read: Permission denied; ...". Then it is another negative
// errno.
[[nodiscard]] int config_file_read(
	struct setting_values *values, const char *path, config_mistake_fn on_mistake, void *arg
);

// Of config_syntax.c. Looks for what makes no YAML of a text, or none that people agree on:
// octets that are no characters, tabs that indent. Returns the number of mistakes that were told.
unsigned
config_syntax_check(const char *text, size_t n_bytes, config_mistake_fn on_mistake, void *arg);

// What to do about a problem that libyaml found.
const char *config_syntax_remedy(const char *problem);
