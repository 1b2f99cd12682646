// The table of settings, which has to agree with those who take the values, and with the options
// that other commands have too.

#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_file.h"
#include "options.h"
#include "run_options.h"
#include "settings.h"

// Takes the options as weir run does; what it says goes to `said`, to be freed, or is dropped.
static int run(struct run_options *options, const char *const *argv, char **said) {
	char *all[16] = {(char *)"run"}, *text = NULL;
	int argc = 1;
	size_t n = 0;
	FILE *err = stderr;

	for (; *argv != NULL; argv++)
		all[argc++] = (char *)*argv;
	stderr = open_memstream(&text, &n);
	int rc = run_options_parse(options, argc, all);
	fclose(stderr);
	stderr = err;
	if (said != NULL)
		*said = text;
	else
		free(text);
	return rc;
}

static bool takes(const struct setting *setting, const char *value) {
	struct run_options options;
	char option[64];

	snprintf(option, sizeof(option), "--%s", setting->option);
	int rc = run(&options, (const char *[]){"--port", "eth1", option, value, NULL}, NULL);
	run_options_done(&options);
	return rc == 0;
}

static void every_setting_tells_users_what_they_need(void **state) {
	(void)state;
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *setting = &settings[i];
		char allowed[SETTING_ALLOWED_BYTES];
		char section[32];

		snprintf(
			section,
			sizeof(section),
			"%.*s",
			(int)strcspn(setting->key, "."),
			setting->key
		);
		assert_non_null(setting_section(section));
		assert_int_equal(setting->text[strlen(setting->text) - 1], '.');
		setting_allowed(setting, allowed);
		assert_true(strlen(allowed) > 3 && strlen(allowed) < SETTING_ALLOWED_BYTES - 1);
		assert_true(
			setting->required || setting->standard != NULL || setting->otherwise != NULL
		);
		assert_true(setting->standard != NULL || setting->example != NULL);
		assert_true((setting->argument == NULL) == (setting->type == SETTING_FLAG));
		if (setting->type == SETTING_COUNT || setting->type == SETTING_DURATION)
			assert_non_null(setting->most);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(setting->key, settings[j].key);
			assert_string_not_equal(setting->option, settings[j].option);
			assert_int_not_equal(setting->id, settings[j].id);
		}
	}
}

// Whoever adds an option for every command adds a setting, too.
static void options_that_commands_share_are_settings(void **state) {
	static const struct option shared[] = {SEND_OPTIONS, ARCHIVE_OPTIONS};
	(void)state;

	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
		if (shared[i].val == OPT_HELP_ARCHIVE)
			continue;
		const struct setting *setting = setting_of_option(shared[i].name);
		if (setting == NULL) {
			fail_msg("--%s has no entry in settings_table.c", shared[i].name);
			return;
		}
		assert_int_equal(setting->id, shared[i].val);
	}
}

static void ranges_are_those_of_who_takes_the_values(void **state) {
	(void)state;
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *setting = &settings[i];
		char beyond[32];
		if (setting->least != NULL)
			assert_true(takes(setting, setting->least));
		if (setting->most != NULL && !takes(setting, setting->most))
			fail_msg("%s does not take %s", setting->key, setting->most);
		if (setting->type == SETTING_COUNT && setting->least != NULL
		    && setting->most != NULL) {
			snprintf(beyond, sizeof(beyond), "%lld", atoll(setting->most) + 1);
			assert_false(takes(setting, beyond));
			snprintf(beyond, sizeof(beyond), "%lld", atoll(setting->least) - 1);
			assert_false(takes(setting, beyond));
		}
		if (setting->type == SETTING_DURATION)
			assert_false(takes(setting, "8761h"));
	}
}

static void choices_are_those_of_who_takes_the_values(void **state) {
	(void)state;
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *setting = &settings[i];
		char words[SETTING_ALLOWED_BYTES], *rest = NULL;
		if (setting->type != SETTING_CHOICE)
			continue;
		snprintf(words, sizeof(words), "%s", setting->allowed);
		for (char *word = strtok_r(words, ", ", &rest); word != NULL;
		     word = strtok_r(NULL, ", ", &rest))
			if (strcmp(word, "or") != 0 && !takes(setting, word))
				fail_msg("%s does not take %s", setting->key, word);
		assert_false(takes(setting, "x"));
	}
}

static void defaults_and_examples_are_taken(void **state) {
	struct run_options options;
	(void)state;

	assert_int_equal(run(&options, (const char *[]){"--port", "eth1", NULL}, NULL), 0);
	assert_int_equal(options.active_timeout_ns, 60 * NS_PER_S);
	assert_int_equal(options.n_flows, 1 << 20);
	assert_int_equal(options.archive.rotate_bytes, 1 << 30);
	assert_int_equal(options.sampling.interval, 1);
	assert_string_equal(options.http, "127.0.0.1:9480");
	assert_true(options.http_default && options.socket_default);
	assert_false(options.no_sandbox || options.hugepages || options.eal_log);
	run_options_done(&options);
	for (size_t i = 0; i < n_settings; i++)
		if (settings[i].example != NULL && settings[i].type != SETTING_FILE
		    && settings[i].id != OPT_CORES && settings[i].id != OPT_RETAIN
		    && strcmp(settings[i].example, "eth1") != 0
		    && !takes(&settings[i], settings[i].example))
			fail_msg("%s does not take %s", settings[i].key, settings[i].example);
}

static void slips_of_the_fingers_are_understood(void **state) {
	static const struct {
		const char *section, *key, *meant;
	} cases[] = {
		{"cache", "entires", "cache.entries"},
		{"cache", "active-timeout", "cache.active_timeout"},
		{"cache", "activetimeout", "cache.active_timeout"},
		{"archive", "entries", "cache.entries"},
		{"export", "collector", "export.collectors"},
		{"capture", "port", "capture.ports"},
		{"export", "template", NULL},
		{NULL, "cache-entries", "cache.entries"},
		{NULL, "log_level", "log.level"},
		{"log", "LEVEL", "log.level"},
		{"archive", "level", "archive.level"},
		{"cache", "xyz", NULL},
		{"cache", "", NULL},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct setting *near = setting_nearest(cases[i].section, cases[i].key);
		if (cases[i].meant == NULL)
			assert_null(near);
		else if (near == NULL || strcmp(near->key, cases[i].meant) != 0)
			fail_msg(
				"%s is taken for %s",
				cases[i].key,
				near != NULL ? near->key : "nothing"
			);
	}
	assert_string_equal(setting_nearest_section("chache")->name, "cache");
	assert_null(setting_nearest_section("metrics"));
}

static char *printed(void (*print)(FILE *)) {
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	print(out);
	fclose(out);
	return text;
}

static void help_and_example_fit_a_terminal(void **state) {
	void (*const prints[])(FILE *) = {settings_help, settings_help_archive, settings_example};
	(void)state;

	for (size_t i = 0; i < sizeof(prints) / sizeof(prints[0]); i++) {
		char *text = printed(prints[i]), *rest = NULL;
		for (char *line = strtok_r(text, "\n", &rest); line != NULL;
		     line = strtok_r(NULL, "\n", &rest))
			if (strlen(line) > 80)
				fail_msg("more than 80 columns: %s", line);
		free(text);
	}
}

static void help_and_manual_name_every_setting(void **state) {
	char *help = printed(settings_help), *archive = printed(settings_help_archive);
	char *manual = printed(settings_manual);
	char wanted[96];
	(void)state;

	for (size_t i = 0; i < n_settings; i++) {
		snprintf(wanted, sizeof(wanted), "%s", settings[i].option);
		assert_true(strstr(help, wanted) != NULL || strstr(archive, wanted) != NULL);
		snprintf(wanted, sizeof(wanted), "\n.BR %s ", settings[i].key);
		assert_non_null(strstr(manual, wanted));
	}
	free(help);
	free(archive);
	free(manual);
}

static void fail_on_mistake(const char *mistake, void *arg) {
	(void)arg;
	fail_msg("%s", mistake);
}

// What is behind "#" in it, but one of two keys that say the same.
static void the_example_has_every_key_with_a_value_that_is_good(void **state) {
	char *text = printed(settings_example), *to = text;
	struct setting_values values = {0};
	(void)state;

	for (char *from = text; *from != '\0'; from++)
		if (*from != '#' || from[1] == ' ' || from[1] == '\n' || from[1] == 'K'
		    || strncmp(from, "#memory", 7) == 0)
			*to++ = *from;
	*to = '\0';
	assert_int_equal(config_file_parse(&values, text, strlen(text), fail_on_mistake, NULL), 0);
	for (size_t i = 0; i < n_settings; i++) {
		bool found = settings[i].instead_of != NULL;
		for (size_t j = 0; j < values.n_of_file; j++)
			found |= values.of_file[j].setting == &settings[i];
		if (!found)
			fail_msg("%s is not in the example", settings[i].key);
	}
	setting_values_free(&values);
	free(text);
}

static void write_config(const char *text) {
	FILE *out = fopen("settings_test.yaml", "w");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

#define CONFIG "--config", "settings_test.yaml"

static void the_command_line_wins_over_the_file(void **state) {
	struct run_options options;
	(void)state;

	write_config("capture:\n  ports: [eth1, eth2]\n  filter: tcp\ncache:\n  entries: 5000\n"
		     "  hugepages: true\nexport:\n  collectors: ['a:1', 'b:2']\n"
		     "security:\n  sandbox: no\narchive:\n  dir: /a\n  retain: 3d\n");
	assert_int_equal(run(&options, (const char *[]){CONFIG, NULL}, NULL), 0);
	assert_int_equal(options.n_ports, 2);
	assert_string_equal(options.filter, "tcp");
	assert_int_equal(options.n_flows, 5000);
	assert_true(options.hugepages && options.no_sandbox);
	assert_int_equal(options.send.n_collectors, 2);
	assert_string_equal(options.archive.dir, "/a");
	run_options_done(&options);

	assert_int_equal(
		run(&options,
		    (const char *[]
		    ){"--port",
		      "eth9",
		      CONFIG,
		      "--filter",
		      "none",
		      "--no-hugepages",
		      "--sandbox",
		      "--collector",
		      "none",
		      "--archive",
		      "none",
		      "--retain",
		      "none",
		      NULL},
		    NULL),
		0
	);
	assert_int_equal(options.n_ports, 1);
	assert_string_equal(options.ports[0].name, "eth9");
	assert_null(options.filter);
	assert_false(options.hugepages || options.no_sandbox);
	assert_int_equal(options.send.n_collectors, 0);
	assert_null(options.archive.dir);
	run_options_done(&options);

	// What says the same in other words wins as well.
	assert_int_equal(
		run(&options, (const char *[]){CONFIG, "--cache-memory", "1GiB", NULL}, NULL), 0
	);
	assert_true(options.n_flows > 1000000);
	run_options_done(&options);
}

static void mistakes_are_told_where_they_are(void **state) {
	struct run_options options;
	char *said;
	(void)state;

	write_config("capture:\n  ports: [eth1]\ncache:\n  entries: 5x\n");
	assert_int_equal(run(&options, (const char *[]){CONFIG, NULL}, &said), -EINVAL);
	assert_string_equal(
		said,
		"weir run: settings_test.yaml:4: cache.entries: 5x: must be a whole number from "
		"16 to 1073741824\n"
	);
	free(said);
	run_options_done(&options);

	// Where the command line wins, what the file says does not matter.
	assert_int_equal(
		run(&options, (const char *[]){CONFIG, "--cache-entries", "6x", NULL}, &said),
		-EINVAL
	);
	assert_string_equal(
		said, "weir run: --cache-entries 6x: must be a whole number from 16 to 1073741824\n"
	);
	free(said);
	run_options_done(&options);

	assert_int_equal(
		run(&options, (const char *[]){"--cache-entires=5", NULL}, &said), -EINVAL
	);
	assert_string_equal(
		said,
		"weir run: unknown option '--cache-entires=5'; did you mean --cache-entries? See "
		"'weir run --help'\n"
	);
	free(said);
	run_options_done(&options);
}

static void values_are_written_as_yaml_reads_them(void **state) {
	static const char *const values[] = {
		"eth1", "tcp port 443", "[::1]:80", "a: b",       "a #b", "'q'",
		"*",    "&a",           "!x",       "-",          "- a",  "null",
		"~",    "a:",           "%x",       "@x",         "`x",   "{a}",
		"a,b",  ",5GiB",        "\"x\\",    "?",          "a\tb", " a",
		"a ",   "1,3",          "random:5", "5ms,routed", "#",    "M\303\274ller",
		"\x7f",
	};
	(void)state;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct setting_values read = {0};
		char *text = NULL;
		size_t n = 0;
		FILE *out = open_memstream(&text, &n);
		fputs("capture:\n  filter: ", out);
		settings_yaml_value(out, values[i]);
		fputs("\n", out);
		fclose(out);
		assert_int_equal(config_file_parse(&read, text, n, fail_on_mistake, NULL), 0);
		assert_int_equal(read.n_of_file, 1);
		assert_string_equal(read.of_file[0].text, values[i]);
		setting_values_free(&read);
		free(text);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_setting_tells_users_what_they_need),
		cmocka_unit_test(options_that_commands_share_are_settings),
		cmocka_unit_test(ranges_are_those_of_who_takes_the_values),
		cmocka_unit_test(choices_are_those_of_who_takes_the_values),
		cmocka_unit_test(defaults_and_examples_are_taken),
		cmocka_unit_test(slips_of_the_fingers_are_understood),
		cmocka_unit_test(help_and_example_fit_a_terminal),
		cmocka_unit_test(help_and_manual_name_every_setting),
		cmocka_unit_test(the_example_has_every_key_with_a_value_that_is_good),
		cmocka_unit_test(the_command_line_wins_over_the_file),
		cmocka_unit_test(mistakes_are_told_where_they_are),
		cmocka_unit_test(values_are_written_as_yaml_reads_them),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	remove("settings_test.yaml");
	return failed;
}
