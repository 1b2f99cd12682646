// Setting values: what was said about settings, where, and which of it applies. What the command
// line says about a setting wins over what the file says, lists as a whole.
//
// Threads and time: none.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "settings.h"

#define SETTING_INSTANCE_ALLOWED                                                                   \
	"up to 32 letters, digits, '-', '_' and '.', but not weir, whose socket is the usual one"

enum {
	SETTING_INSTANCE_MOST = 32, // octets of an instance's name
};

struct setting_value {
	const struct setting *setting;
	char *text;
	unsigned line; // in the file; 0 = command line
};

struct setting_values {
	char *file; // or NULL
	struct setting_value *of_file, *of_command;
	size_t n_of_file, n_of_command;
	unsigned lines[96]; // by setting: where the file speaks of it first; 0 = nowhere
	char *instance_socket, *instance_sensor; // of one of several sensors; else NULL
};

// Defaults by which the sensor `name` gets into no other's way: a socket and a name in the archive
// of its own, no HTTP. Returns 0, -EINVAL where the name is not
// SETTING_INSTANCE_ALLOWED, or -ENOMEM.
[[nodiscard]] int setting_values_of_instance(struct setting_values *values, const char *name);

// Copies `text`. Returns 0 or -ENOMEM.
[[nodiscard]] int setting_values_add(
	struct setting_values *values,
	const struct setting *setting,
	const char *text,
	unsigned line
);

// A setting without a value has a line as well where the file has it with a wrong one.
unsigned setting_values_line(const struct setting_values *values, const struct setting *setting);
void setting_values_set_line(
	struct setting_values *values, const struct setting *setting, unsigned line
);

// Calls `take` for each value that applies: of the defaults, then of the file, then of the
// command line. `value->line` is 0 for the last, `is_default` is set for the first. Goes on after
// mistakes; stops where `take` returns a positive number. Returns how many returned other than 0.
typedef int (*setting_take_fn)(const struct setting_value *value, bool is_default, void *arg);
unsigned setting_values_each(const struct setting_values *values, setting_take_fn take, void *arg);

// What applies, as text: values of a list with ", " between, the default, or "none". To be freed;
// NULL where there is no memory.
[[nodiscard]] char *
setting_values_text(const struct setting_values *values, const struct setting *setting);

// What the command line says, again, into `copy`, which is empty; nothing of a file. 0 or -ENOMEM.
[[nodiscard]] int
setting_values_copy_command(struct setting_values *copy, const struct setting_values *values);

// Whether anything but a default speaks of the setting and counts: a "none" takes back what it
// says.
bool setting_values_given(const struct setting_values *values, const struct setting *setting);

// Whether it is the "none" of a setting that has one.
bool setting_value_is_none(const struct setting_value *value);

// As if the file had said nothing.
void setting_values_drop_file(struct setting_values *values);

void setting_values_free(struct setting_values *values);
