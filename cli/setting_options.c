#include "setting_options.h"

#include <assert.h>
#include <errno.h>

#include "options.h"

enum {
	MOST_OPTIONS = 192,
};

struct table {
	struct option options[MOST_OPTIONS];
	char letters[MOST_OPTIONS];
	char no_names[MOST_OPTIONS][32]; // of flags
};

static void make_table(struct table *table, const struct option *own) {
	size_t n = 0, n_letters = 0;

	table->letters[n_letters++] = ':';
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *setting = &settings[i];
		bool flag = setting->type == SETTING_FLAG;
		assert(n + 2 < MOST_OPTIONS && n_letters + 3 < MOST_OPTIONS);
		table->options[n++] = (struct option
		){setting->option, flag ? no_argument : required_argument, NULL, setting->id};
		if (flag) {
			snprintf(
				table->no_names[i],
				sizeof(table->no_names[i]),
				"no-%s",
				setting->option
			);
			table->options[n++] = (struct option
			){table->no_names[i], no_argument, NULL, setting->id | SETTING_NO};
		}
		if (setting->id < 256) {
			table->letters[n_letters++] = (char)setting->id;
			if (!flag)
				table->letters[n_letters++] = ':';
		}
	}
	for (; own->name != NULL; own++) {
		assert(n + 1 < MOST_OPTIONS && n_letters + 2 < MOST_OPTIONS);
		table->options[n++] = *own;
		if (own->val == 'h')
			table->letters[n_letters++] = 'h';
	}
	table->options[n] = (struct option){0};
	table->letters[n_letters] = '\0';
}

int setting_options_next(
	struct setting_values *values, int argc, char **argv, const struct option *own
) {
	struct table table;
	int id;

	make_table(&table, own);
	while ((id = getopt_long(argc, argv, table.letters, table.options, NULL)) != -1) {
		if (id == '?' || id == ':')
			return options_wrong(id, argv, table.options);
		const struct setting *setting = setting_of_id(id);
		if (setting == NULL)
			return id;
		const char *text = optarg;
		if (setting->type == SETTING_FLAG)
			text = (id & SETTING_NO) != 0 ? "false" : "true";
		if (setting_values_add(values, setting, text, 0) < 0)
			return options_mistake("no memory");
	}
	return -1;
}
