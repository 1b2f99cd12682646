// The table of settings as people read it: help, example, manual page.

#include <ctype.h>
#include <string.h>

#include "settings.h"

enum {
	HELP_COLUMN = 30,
	HELP_WIDTH = 80,
	EXAMPLE_WIDTH = 80,
};

static const char *standard_of(const struct setting *setting) {
	return setting->standard != NULL ? setting->standard : setting->otherwise;
}

// "  -P, --port PORT", its help from a column on, and the default behind it, on a line of its own
// where it finds no room.
static void help_one(FILE *out, const struct setting *setting) {
	char left[128], standard[128] = "";
	bool on = setting->type == SETTING_FLAG && strcmp(setting->standard, "true") == 0;
	int n = 0;

	if (setting->id < 256)
		n = snprintf(left, sizeof(left), "  -%c, ", setting->id);
	else
		n = snprintf(left, sizeof(left), "      ");
	snprintf(
		left + n,
		sizeof(left) - (size_t)n,
		"--%s%s%s%s",
		on ? "no-" : "",
		setting->option,
		setting->argument != NULL ? " " : "",
		setting->argument != NULL ? setting->argument : ""
	);
	// What is off by nature needs no word.
	bool told = setting->standard != NULL
			    ? setting->type != SETTING_FLAG
			    : setting->instead_of == NULL && !setting->none && !setting->required;
	if (told)
		snprintf(standard, sizeof(standard), "[%s]", standard_of(setting));

	fprintf(out, "%-*s", HELP_COLUMN, left);
	if (strlen(left) >= HELP_COLUMN)
		fprintf(out, "\n%*s", HELP_COLUMN, "");
	const char *line = setting->help, *end;
	while ((end = strchr(line, '\n')) != NULL) {
		fprintf(out, "%.*s\n%*s", (int)(end - line), line, HELP_COLUMN, "");
		line = end + 1;
	}
	fputs(line, out);
	if (standard[0] != '\0') {
		bool fits = HELP_COLUMN + strlen(line) + 2 + strlen(standard) <= HELP_WIDTH;
		if (fits)
			fprintf(out, "  %s", standard);
		else
			fprintf(out, "\n%*s%s", HELP_COLUMN, "", standard);
	}
	fputc('\n', out);
}

void settings_help(FILE *out) {
	fputs("Usage: weir run [--config FILE] --port PORT... [OPTIONS]\n"
	      "Meters the packets on ports until it is stopped (SIGINT, SIGTERM).\n"
	      "\n"
	      "      --config FILE           what options do not say; see weir.yaml(5) and\n"
	      "                              'weir show-config --example'\n"
	      "      --instance NAME         one of several here; its defaults: the socket\n"
	      "                              /run/weir/NAME.sock, no HTTP, and in an archive\n"
	      "                              names with the host's and its own\n",
	      out);
	for (size_t i = 0; i < n_settings; i++)
		if (!setting_in_section(&settings[i], "archive")
		    || strcmp(settings[i].key, "archive.dir") == 0)
			help_one(out, &settings[i]);
	fputs("      --help-archive          the other options of the archive\n"
	      "\n"
	      "Exit status: 0 stopped as asked, 1 something failed (said on stderr), 2 wrong\n"
	      "usage.\n",
	      out);
}

void settings_help_archive(FILE *out) {
	fputs("Options of the archive, for weir run and weir replay:\n\n", out);
	for (size_t i = 0; i < n_settings; i++)
		if (setting_in_section(&settings[i], "archive"))
			help_one(out, &settings[i]);
}

// Words of `text`, none beyond the width, each line behind `prefix`.
static void wrap(FILE *out, const char *prefix, const char *text) {
	size_t used = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");
		if (used > 0 && used + 1 + n > EXAMPLE_WIDTH) {
			fputc('\n', out);
			used = 0;
		}
		used += (size_t)fprintf(out, "%s%.*s", used == 0 ? prefix : " ", (int)n, text);
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static bool is_plain(const char *value) {
	size_t n = strlen(value);

	// What begins otherwise may mean something; "null" and "~" do.
	if (n == 0 || strcmp(value, "null") == 0
	    || (!isalnum((unsigned char)value[0]) && strchr("/.", value[0]) == NULL))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)value[i]) && strchr("/.:_+-=@ ,", value[i]) == NULL)
			return false;
	return strstr(value, ": ") == NULL && value[n - 1] != ':' && value[n - 1] != ' ';
}

void settings_yaml_value(FILE *out, const char *value) {
	bool printable = true;

	for (const char *at = value; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			printable = false;
	if (is_plain(value)) {
		fputs(value, out);
		return;
	}
	fputc(printable ? '\'' : '"', out);
	for (const char *at = value; *at != '\0'; at++) {
		if (printable)
			fprintf(out, *at == '\'' ? "''" : "%c", *at);
		else if ((unsigned char)*at < ' ' || *at == 0x7f)
			fprintf(out, "\\x%02x", (unsigned)*at);
		else
			fprintf(out, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
	}
	fputc(printable ? '\'' : '"', out);
}

// A sentence about what may be written, and one about what applies otherwise.
static void print_allowed(FILE *out, const struct setting *setting) {
	char allowed[SETTING_ALLOWED_BYTES], line[SETTING_ALLOWED_BYTES + 16];

	setting_allowed(setting, allowed);
	snprintf(line, sizeof(line), "%s: %s.", setting->list ? "A list of" : "Use", allowed);
	wrap(out, "  # ", line);
	if (setting->type == SETTING_FLAG || setting->standard == NULL)
		snprintf(
			line,
			sizeof(line),
			"Default: %s. Option: --%s%s.",
			standard_of(setting) != NULL ? standard_of(setting) : "none",
			setting->type == SETTING_FLAG && strcmp(setting->standard, "true") == 0
				? "no-"
				: "",
			setting->option
		);
	else
		snprintf(line, sizeof(line), "Option: --%s.", setting->option);
	wrap(out, "  # ", line);
}

static void example_one(FILE *out, const struct setting *setting) {
	const char *value = setting->standard != NULL ? setting->standard : setting->example;
	const char *off = setting->required ? "" : "#";

	wrap(out, "  # ", setting->text);
	print_allowed(out, setting);
	if (setting->list)
		fprintf(out, "  %s%s:\n  %s  - ", off, setting_name(setting), off);
	else
		fprintf(out, "  %s%s: ", off, setting_name(setting));
	settings_yaml_value(out, value);
	fputc('\n', out);
}

void settings_example(FILE *out) {
	fputs("# The settings of weir run. Two lines are to be edited: the port below, and the\n"
	      "# collector under export. What begins with #KEY: is what applies without it,\n"
	      "# or an example; remove the # to change it.\n"
	      "#\n"
	      "#   weir check-config FILE    says what is wrong with this file, line by line\n"
	      "#   weir show-config FILE     what applies, and where each value comes from\n"
	      "#   weir run --config FILE    options on the command line win over the file\n"
	      "#\n"
	      "# Times have a unit (500ms, 60s, 2m, 1h, 30d), sizes too (512MiB, 1GiB).\n"
	      "# weir.yaml(5) says more.\n",
	      out);
	for (size_t i = 0; i < n_setting_sections; i++) {
		const struct setting_section *section = &setting_sections[i];
		fprintf(out, "\n# %s\n%s:\n", section->text, section->name);
		bool first = true;
		for (size_t j = 0; j < n_settings; j++)
			if (setting_in_section(&settings[j], section->name)) {
				fputs(first ? "" : "\n", out);
				first = false;
				example_one(out, &settings[j]);
			}
	}
}

// Text in roff: what would be an escape or a request is none.
static void roff(FILE *out, const char *text) {
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '\\')
			fputs("\\e", out);
		else if (*at == '-')
			fputs("\\-", out);
		else if (*at == '\'')
			fputs("\\(aq", out);
		else if (*at == '.' && at[1] == ' ')
			fputs(".\n", out), at++;
		else if (*at == '.' && at == text)
			fputs("\\&.", out);
		else
			fputc(*at, out);
	}
	fputc('\n', out);
}

static void manual_one(FILE *out, const struct setting *setting) {
	char allowed[SETTING_ALLOWED_BYTES];
	bool on = setting->type == SETTING_FLAG && strcmp(setting->standard, "true") == 0;

	setting_allowed(setting, allowed);
	fprintf(out, ".TP\n.BR %s \" (", setting->key);
	fprintf(out, "\\-\\-%s", on ? "no\\-" : "");
	for (const char *at = setting->option; *at != '\0'; at++)
		fputs(*at == '-' ? "\\-" : (char[2]){*at, '\0'}, out);
	fputs(")\"\n", out);
	roff(out, setting->text);
	fprintf(out, "%s\n", setting->list ? "A list of:" : "Use");
	roff(out, allowed);
	fputs(".br\nDefault:\n", out);
	roff(out, standard_of(setting) != NULL ? standard_of(setting) : "none");
	if (setting->reload)
		fputs(".br\nReload.\n", out);
}

void settings_manual(FILE *out) {
	for (size_t i = 0; i < n_setting_sections; i++) {
		fprintf(out, ".SS %s\n%s\n", setting_sections[i].name, setting_sections[i].text);
		for (size_t j = 0; j < n_settings; j++)
			if (setting_in_section(&settings[j], setting_sections[i].name))
				manual_one(out, &settings[j]);
	}
}
