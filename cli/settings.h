// Settings of weir run: one table, an entry for each, from which come the options of the command
// line, their help, the keys of the config file, its example and its manual page, and what is said
// about a wrong one. Who adds a setting adds an entry here and a case where options are taken
// (run_options.c, or the module that shares the option with other commands).
//
// Values are text until they are taken: the table says what is allowed in words, and the one who
// takes the value is the only one who judges it.
//
// Threads and time: none, but stdio's.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	SETTING_ALLOWED_BYTES = 512,
	// The id that getopt_long() has for "--no-NAME" of a flag: this and the flag's own.
	SETTING_NO = 1 << 16,
};

enum setting_type {
	SETTING_TEXT,     // what `allowed` says
	SETTING_CHOICE,   // a word of those in `allowed`
	SETTING_FLAG,     // "true" or "false"; on the command line --NAME and --no-NAME
	SETTING_COUNT,    // a whole number from `least` to `most`
	SETTING_DURATION, // a time with its unit, from `least` to `most`
	SETTING_SIZE,     // octets with their unit
	SETTING_FILE,     // of a file that weir reads
};

struct setting {
	const char *key;      // in the file: "cache.entries" is entries: in the section cache:
	const char *option;   // on the command line, without "--"
	int id;               // of getopt_long(); a letter is the short option too
	const char *argument; // what --help calls the value; NULL for flags
	enum setting_type type;
	bool list;     // may be given several times; in the file a list
	bool none;     // "none" takes back what another place says
	bool reload;   // can be applied to a running sensor, with no packet or record lost
	bool required; // without it there is no run: in the example not commented out
	const char *least, *most;
	const char *allowed;    // behind "use " in words: the rest of a range, or all
	const char *standard;   // what applies where nothing is said, as a user would write it, or
	const char *otherwise;  // in words what happens then
	const char *example;    // a value, where `standard` is none
	const char *instead_of; // the key of another setting that says the same in other words
	const char *help;       // for --help: lines of up to 50 characters
	const char *text;       // for the example and the manual page: sentences
};

struct setting_section {
	const char *name;
	const char *text;
};

// In the order of --help.
extern const struct setting settings[];
extern const size_t n_settings;
extern const struct setting_section setting_sections[];
extern const size_t n_setting_sections;

// NULL where there is none such. `key` as "cache.entries"; `option` without "--".
const struct setting *setting_of_key(const char *key);
const struct setting *setting_of_option(const char *option);
const struct setting *setting_of_id(int id); // also of "--no-NAME"

const struct setting_section *setting_section(const char *name);
bool setting_in_section(const struct setting *setting, const char *section);
// "entries" of "cache.entries".
const char *setting_name(const struct setting *setting);

// The setting that someone meant who wrote `key` in `section` (NULL: in none), also with the name
// of the option, or in another section; NULL where none is near.
const struct setting *setting_nearest(const char *section, const char *key);
// The same for sections.
const struct setting_section *setting_nearest_section(const char *name);

// "a whole number from 1 to 64", into `allowed` (SETTING_ALLOWED_BYTES).
void setting_allowed(const struct setting *setting, char *allowed);

// --help of weir run, and of the archive's options alone.
void settings_help(FILE *out);
void settings_help_archive(FILE *out);

// A config file with every key, commented out but for those without which weir does not run.
void settings_example(FILE *out);

// The sections and keys for the manual page, in roff.
void settings_manual(FILE *out);

// A value as YAML writes it, in quotes where it needs them.
void settings_yaml_value(FILE *out, const char *value);
