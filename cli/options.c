#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow_cache.h"
#include "units.h"
#include "words.h"

static const char *command = "";
// Where the value stands that a mistake is about, if in a file.
static struct {
	const char *file; // or NULL
	unsigned line;
	const struct setting *setting;
} place;

// Who is told of mistakes instead of standard error.
static struct {
	void (*fn)(const char *mistake, void *arg); // or NULL
	void *arg;
} listener;

void options_tell(void (*fn)(const char *mistake, void *arg), void *arg) {
	listener.fn = fn;
	listener.arg = arg;
}

void options_begin(const char *name) {
	command = name;
	opterr = 0;
	optind = 1;
}

void options_place(const char *file, unsigned line, const struct setting *setting) {
	place.file = file;
	place.line = line;
	place.setting = setting;
}

// The setting whose option, with its dashes, stands at `text`, and in `n` how long that is.
static const struct setting *option_at(const char *text, size_t *n) {
	char option[64];

	if (strncmp(text, "--", 2) != 0)
		return NULL;
	*n = 2 + strspn(text + 2, "abcdefghijklmnopqrstuvwxyz-");
	if (*n >= sizeof(option))
		return NULL;
	snprintf(option, sizeof(option), "%.*s", (int)(*n - 2), text + 2);
	return setting_of_option(option);
}

// Options are called by their keys: whoever writes a file reads keys. A file may have anything in
// it, which is not to reach a terminal.
static void print_with_keys(FILE *out, const char *text) {
	size_t n;

	while (*text != '\0') {
		const struct setting *setting = option_at(text, &n);
		if (setting != NULL) {
			fputs(setting->key, out);
			text += n;
		} else {
			bool control = (unsigned char)*text < ' ' || *text == 0x7f
				       || (*text == '\xc2' && (unsigned char)text[1] < 0xa0);
			fputc(control ? '?' : *text, out);
			text++;
		}
	}
}

// "--cache-entries 12x: must be ..." as "weir.yaml:14: cache.entries: 12x: must be ...".
static void print_in_place(FILE *out, const char *text) {
	size_t n;
	const struct setting *setting = option_at(text, &n);

	fprintf(out, "%s:", place.file);
	if (place.line > 0)
		fprintf(out, "%u:", place.line);
	fputc(' ', out);
	if (setting != NULL) {
		fprintf(out, "%s: ", setting->key);
		text += n;
		text += *text == ':';
		text += *text == ' ';
	} else if (place.setting != NULL) {
		fprintf(out, "%s: ", place.setting->key);
	}
	print_with_keys(out, text);
}

int options_mistake(const char *format, ...) {
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	char *line = NULL;
	size_t n;
	FILE *out = listener.fn != NULL ? open_memstream(&line, &n) : stderr;
	if (out == NULL)
		return -EINVAL;
	if (out == stderr)
		fprintf(out, "weir %s: ", command);
	if (place.file != NULL)
		print_in_place(out, text);
	else
		fputs(text, out);
	if (out == stderr) {
		fputc('\n', out);
	} else if (fclose(out) == 0) {
		listener.fn(line, listener.arg);
		free(line);
	}
	return -EINVAL;
}

int options_one_of(
	const char *option, const char *text, const char *const *words, const char *allowed
) {
	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	return options_mistake("--%s %s: not known; use %s", option, text, allowed);
}

int options_timeout(const char *option, const char *text, time_ns_t *timeout_ns) {
	time_ns_t value;

	if (units_duration(text, &value) < 0)
		return options_mistake(
			"--%s %s: not a duration; use a number and a unit, such as 60s, 500ms "
			"or 2m, or 0 for never",
			option,
			text
		);
	if (value > FLOW_CACHE_LONGEST_TIMEOUT_NS)
		return options_mistake(
			"--%s %s: too long; at most 24h, or 0 for never", option, text
		);
	*timeout_ns = value;
	return 0;
}

int options_whole(
	const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *value
) {
	if (units_count(text, value) < 0 || *value < least || *value > most)
		return options_mistake(
			"--%s %s: must be a whole number from %llu to %llu",
			option,
			text,
			(unsigned long long)least,
			(unsigned long long)most
		);
	return 0;
}

int options_flows_in_memory(const char *text, uint32_t *n_flows) {
	uint64_t bytes;

	if (units_bytes(text, &bytes) < 0)
		return options_mistake(
			"--cache-memory %s: not a size; use a number and a unit, such as 512MiB "
			"or 1GiB",
			text
		);

	uint32_t least = FLOW_CACHE_MIN_FLOWS, most = FLOW_CACHE_MAX_FLOWS;
	if (flow_cache_memory(least) > bytes)
		return options_mistake(
			"--cache-memory %s: too small; at least %zu octets are needed",
			text,
			flow_cache_memory(least)
		);
	while (least < most) {
		uint32_t middle = least + (most - least + 1) / 2;
		if (flow_cache_memory(middle) <= bytes)
			least = middle;
		else
			most = middle - 1;
	}
	*n_flows = least;
	return 0;
}

// What option a line of a help begins to tell of: the length of its name, 0 where none.
static size_t option_of(const char *line, const char **name) {
	size_t n = strspn(line, " ");

	if (n == 2 && line[2] == '-' && line[3] != '-')
		n += 4; // "-c, "
	else if (n != 6)
		return 0;
	if (strncmp(line + n, "--", 2) != 0)
		return 0;
	*name = line + n + 2;
	return strcspn(*name, " \n");
}

static bool is_one_of(const char *name, size_t length, const char *const *words) {
	for (; *words != NULL; words++)
		if (strlen(*words) == length && memcmp(*words, name, length) == 0)
			return true;
	return false;
}

int options_help(const char *help, const char *const *common, const char *arg) {
	unsigned n_hidden = 0;
	bool hidden = false;

	if (arg == NULL ? common == NULL : strcmp(arg, "all") == 0) {
		fputs(help, stdout);
		return 1;
	}
	if (arg != NULL)
		return options_mistake("--help=%s: not known; use --help or --help=all", arg);
	for (const char *line = help, *next; *line != '\0'; line = next) {
		const char *name;
		size_t length = option_of(line, &name);
		next = line + strcspn(line, "\n") + 1;
		if (length > 0) {
			hidden = !is_one_of(name, length, common);
			n_hidden += hidden;
		} else if (*line != ' ') { // no more of the option above
			hidden = false;
		}
		if (*line == '\n' && n_hidden > 0) {
			printf("%u more options: weir %s --help=all\n", n_hidden, command);
			n_hidden = 0;
		}
		if (!hidden)
			fwrite(line, 1, (size_t)(next - line), stdout);
	}
	return 1;
}

// The option of `known` that someone meant who wrote `name`, by its own name or its key.
static const char *nearest_option(const char *name, const struct option *known) {
	const char *nearest = NULL;
	unsigned least = word_reach(name) + 1;

	for (; known->name != NULL; known++) {
		const struct setting *setting = setting_of_option(known->name);
		unsigned found = word_distance(name, known->name);
		if (setting != NULL) {
			unsigned by_key = word_distance(name, setting->key);
			found = by_key < found ? by_key : found;
		}
		if (found < least) {
			least = found;
			nearest = known->name;
		}
	}
	return nearest;
}

// Which options begin as `name` does, into `list`. Returns how many.
static unsigned
beginning(const char *name, const struct option *known, char *list, size_t n_bytes) {
	size_t used = 0;
	unsigned n = 0;

	for (; known->name != NULL; known++) {
		if (strncmp(name, known->name, strlen(name)) != 0 || used + 64 > n_bytes)
			continue;
		used += (size_t
		)snprintf(list + used, n_bytes - used, "%s--%s", n > 0 ? ", " : "", known->name);
		n++;
	}
	return n;
}

static int wrong_long(const char *arg, const struct option *known) {
	char name[80], list[512];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg + 2, "="), arg + 2);
	if (name[0] != '\0' && beginning(name, known, list, sizeof(list)) > 1)
		return options_mistake("option '--%s' may be %s; write it out", name, list);
	const char *near = nearest_option(name, known);
	if (near != NULL)
		return options_mistake(
			"unknown option '%s'; did you mean --%s? See 'weir %s --help'",
			arg,
			near,
			command
		);
	return options_mistake("unknown option '%s'; see 'weir %s --help'", arg, command);
}

int options_wrong(int id, char **argv, const struct option *known) {
	const struct option *found = known;

	// 0 where a long option is none: then nothing below has it.
	while (found->name != NULL && (optopt == 0 || found->val != optopt))
		found++;
	if (id == ':' && found->name != NULL)
		return options_mistake(
			"option '--%s' needs a value; see 'weir %s --help'", found->name, command
		);
	if (found->name != NULL)
		return options_mistake(
			"option '--%s' takes no value; see 'weir %s --help'", found->name, command
		);
	// Of letters in a row getopt_long() stays at the argument while some are left: its own name
	// for the letter is all there is to go by.
	if (optopt > ' ' && optopt < 0x7f)
		return options_mistake(
			"unknown option '-%c'; see 'weir %s --help'", optopt, command
		);
	if (optopt != 0)
		return options_mistake(
			"unknown option '-\\x%02x'; see 'weir %s --help'",
			(unsigned char)optopt,
			command
		);
	return wrong_long(argv[optind - 1], known);
}

int options_unknown_word(const char *what, const char *word, const char *const *words) {
	const char *near = word_nearest(word, words);
	char list[256];
	size_t used = 0;

	if (near != NULL)
		return options_mistake("%s: no such %s; did you mean %s?", word, what, near);
	for (size_t i = 0; words[i] != NULL && used < sizeof(list); i++)
		used += (size_t)snprintf(
			list + used,
			sizeof(list) - used,
			"%s%s",
			i == 0                 ? ""
			: words[i + 1] == NULL ? " or "
					       : ", ",
			words[i]
		);
	return options_mistake("%s: no such %s; use %s", word, what, list);
}
