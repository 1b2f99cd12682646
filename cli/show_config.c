// weir show-config: what would apply to a weir run with this config file and these options, and
// where each value comes from; also an example of a config file.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "config_file.h"
#include "json.h"
#include "options.h"
#include "run_options.h"
#include "setting_options.h"

static const char help[] =
	"Usage: weir show-config [--json] [FILE] [OPTIONS OF WEIR RUN]\n"
	"       weir show-config --example\n"
	"Shows what would apply to a weir run with this config file and these options,\n"
	"and where each value comes from. What is shown is a config file itself.\n"
	"\n"
	"      --config FILE    as FILE alone; without either: options and defaults\n"
	"      --instance NAME  as one of several sensors on this machine\n"
	"      --json           one object a line\n"
	"      --example        print a config file with every key and what it means\n"
	"\n"
	"Exit status: 0 shown, 1 the file has mistakes or cannot be read, 2 wrong usage.\n";

enum {
	OPT_JSON = 1 << 15,
	OPT_EXAMPLE,
	ORIGIN_COLUMN = 36,
	ORIGIN_BYTES = 4200,
};

// The values of one setting that apply.
struct found {
	const struct setting *setting;
	struct setting_value values[64]; // more than any list takes
	size_t n;
	bool is_default;
	bool replaced; // by what another setting says
};

// Of a list each, else the last; what comes later wins.
static int collect(const struct setting_value *value, bool is_default, void *arg) {
	struct found *found = arg;

	if (value->setting != found->setting)
		return 0;
	if (!found->setting->list || found->is_default)
		found->n = 0;
	found->is_default = is_default;
	if (found->n < sizeof(found->values) / sizeof(found->values[0]))
		found->values[found->n++] = *value;
	return 0;
}

static bool is_replaced(const struct setting_values *values, const struct setting *setting) {
	for (size_t i = 0; i < n_settings; i++)
		if (settings[i].instead_of != NULL
		    && strcmp(settings[i].instead_of, setting->key) == 0)
			return setting_values_given(values, &settings[i]);
	return false;
}

static void origin_of(
	const struct found *found, const struct setting_value *value, const char *file, char *origin
) {
	if (found->is_default)
		snprintf(origin, ORIGIN_BYTES, "default");
	else if (value->line > 0)
		snprintf(origin, ORIGIN_BYTES, "%s:%u", file, value->line);
	else
		snprintf(origin, ORIGIN_BYTES, "command line, --%s", value->setting->option);
}

static void print_value(
	const struct found *found,
	const char *lead,
	const struct setting_value *value,
	const char *file
) {
	char origin[ORIGIN_BYTES], *line = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&line, &n);

	if (out == NULL)
		return;
	fputs(lead, out);
	settings_yaml_value(out, value->text);
	fclose(out);
	origin_of(found, value, file, origin);
	printf("%-*s # %s\n", ORIGIN_COLUMN, line, origin);
	free(line);
}

static void print_setting(const struct found *found, const char *file) {
	const struct setting *setting = found->setting;
	char lead[128];

	if (found->n == 0 || found->replaced) {
		snprintf(lead, sizeof(lead), "  # %s:", setting_name(setting));
		printf("%-*s # %s%s\n",
		       ORIGIN_COLUMN,
		       lead,
		       found->replaced ? "replaced by another key" : "default: ",
		       found->replaced              ? ""
		       : setting->otherwise != NULL ? setting->otherwise
						    : "none");
		return;
	}
	if (setting->list)
		printf("  %s:\n", setting_name(setting));
	for (size_t i = 0; i < found->n; i++) {
		snprintf(
			lead,
			sizeof(lead),
			setting->list ? "    - " : "  %s: ",
			setting_name(setting)
		);
		print_value(found, lead, &found->values[i], file);
	}
}

static void print_json(const struct found *found, const char *file) {
	const struct setting *setting = found->setting;
	const struct setting_value *value = found->n > 0 ? &found->values[0] : NULL;
	bool given = value != NULL && !found->replaced;
	bool has_value = given && !(found->n == 1 && setting_value_is_none(value));

	fputs("{\"key\":", stdout);
	json_string(stdout, setting->key);
	printf(",\"option\":\"--%s\",\"value\":", setting->option);
	if (setting->list)
		fputc('[', stdout);
	for (size_t i = 0; has_value && i < found->n; i++) {
		fputs(i > 0 ? "," : "", stdout);
		if (setting->type == SETTING_FLAG)
			fputs(found->values[i].text, stdout);
		else
			json_string(stdout, found->values[i].text);
	}
	if (setting->list)
		fputc(']', stdout);
	else if (!has_value)
		fputs("null", stdout);
	if (!given || found->is_default) {
		fputs(",\"origin\":\"default\"", stdout);
	} else if (value->line > 0) {
		fputs(",\"origin\":\"file\",\"file\":", stdout);
		json_string(stdout, file);
		printf(",\"line\":%u", value->line);
	} else {
		fputs(",\"origin\":\"command line\"", stdout);
	}
	printf(",\"reload\":%s}\n", setting->reload ? "true" : "false");
}

static void
show_section(const struct run_options *options, const struct setting_section *section, bool json) {
	if (!json)
		printf("%s:\n", section->name);
	for (size_t i = 0; i < n_settings; i++) {
		struct found found = {.setting = &settings[i]};
		if (!setting_in_section(&settings[i], section->name))
			continue;
		setting_values_each(&options->values, collect, &found);
		found.replaced = is_replaced(&options->values, &settings[i]);
		if (json)
			print_json(&found, options->values.file);
		else
			print_setting(&found, options->values.file);
	}
}

static int show(struct run_options *options, const char *file, bool json) {
	if (run_options_take(options, file) < 0)
		return file != NULL ? EXIT_FAILED : EXIT_USAGE;
	for (size_t i = 0; i < n_setting_sections; i++)
		show_section(options, &setting_sections[i], json);
	return EXIT_OK;
}

int command_show_config(int argc, char **argv) {
	static const struct option own[] = {
		{"config", required_argument, NULL, OPT_CONFIG},
		{"instance", required_argument, NULL, OPT_INSTANCE},
		{"json", no_argument, NULL, OPT_JSON},
		{"example", no_argument, NULL, OPT_EXAMPLE},
		{"help", optional_argument, NULL, OPT_HELP},
		{NULL, 0, NULL, 0},
	};
	struct run_options options = {0};
	const char *file = NULL;
	bool json = false;
	int id;

	options_begin("show-config");
	while ((id = setting_options_next(&options.values, argc, argv, own)) >= 0) {
		switch (id) {
		case OPT_CONFIG:
			file = optarg;
			break;
		case OPT_INSTANCE:
			if (run_options_instance(&options, optarg) < 0)
				return EXIT_USAGE;
			break;
		case OPT_JSON:
			json = true;
			break;
		case OPT_EXAMPLE:
			settings_example(stdout);
			return EXIT_OK;
		default:
			return options_help(help, NULL, optarg) < 0 ? EXIT_USAGE : EXIT_OK;
		}
	}
	if (id == -EINVAL)
		return EXIT_USAGE;
	if (argc - optind > (file == NULL)) {
		options_mistake("'%s': one file at a time", argv[argc - 1]);
		return EXIT_USAGE;
	}
	if (optind < argc)
		file = argv[optind];
	int status = show(&options, file, json);
	run_options_done(&options);
	return status;
}
