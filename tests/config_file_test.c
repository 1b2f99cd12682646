// Config files with mistakes, each of which is answered by a line that says what to change, as
// weir check-config prints it.

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "commands.h"
#include "config_file.h"
#include "config_mistakes.h"

#define FILE_NAME "weir.yaml"

static char folder[] = "/tmp/weir-config-XXXXXX";

static void write_file(const char *text, size_t n) {
	FILE *out = fopen(FILE_NAME, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, n, out), n);
	assert_int_equal(fclose(out), 0);
}

// What weir check-config says, of both streams; to be freed.
static char *check(const char *file, int *status) {
	static char *said; // which the stream writes when it is closed
	static size_t n;
	FILE *out = stdout, *err = stderr;

	stdout = stderr = open_memstream(&said, &n);
	assert_non_null(stderr);
	*status = command_check_config(2, (char *[]){(char *)"check-config", (char *)file, NULL});
	fclose(stderr);
	stdout = out;
	stderr = err;
	return said;
}

static void expect(const char *text, size_t n, const char *line) {
	char wanted[2048];
	int status;

	write_file(text, n);
	char *said = check(FILE_NAME, &status);
	snprintf(wanted, sizeof(wanted), "weir check-config: " FILE_NAME ":%s\n", line);
	// Lists of all keys grow with every setting.
	char *rest = strstr(wanted, "...\n");
	if (rest != NULL) {
		*rest = '\0';
		assert_non_null(strchr(said, '\n'));
		assert_int_equal(strchr(said, '\n')[1], '\0');
		if (strlen(said) > strlen(wanted))
			said[strlen(wanted)] = '\0';
	}
	assert_string_equal(said, wanted);
	assert_int_equal(status, EXIT_FAILED);
	free(said);
}

static void each_mistake_gets_a_line_that_says_what_to_change(void **state) {
	(void)state;
	assert_true(n_config_mistakes >= 40);
	for (size_t i = 0; i < n_config_mistakes; i++)
		expect(config_mistakes[i].text,
		       strlen(config_mistakes[i].text),
		       config_mistakes[i].line);
}

// C strings end at them.
static void octets_that_are_no_text_are_shown_where_they_are(void **state) {
	static const char nul[] = "capture:\n  ports: [e\0th]\n";
	static const char escaped[] = "capture:\n  ports: [\"e\\0th\"]\n";
	static const char utf16[] = "\xff\xfe"
				    "c\0a\0:\0";
	(void)state;

	expect(nul, sizeof(nul) - 1, "2: column 12: the control character 0x00; remove it");
	expect(escaped, sizeof(escaped) - 1, "2: capture.ports: a NUL octet in the value; remove it"
	);
	expect(utf16, sizeof(utf16) - 1, "1: column 1: the file is UTF-16; save it as UTF-8");
}

static void what_is_no_file_of_text_is_not_read(void **state) {
	static const struct {
		const char *path, *said;
	} cases[] = {
		{"missing.yaml",
		 "missing.yaml: cannot be read: No such file or directory; 'weir show-config "
		 "--example' prints one to begin with"},
		{".", ".: a folder; name the file in it"},
		{"/dev/null",
		 "/dev/null: no regular file; name one, since it is read again whenever weir "
		 "starts"},
		{"fifo",
		 "fifo: no regular file; name one, since it is read again whenever weir starts"},
		{"large", "large: cannot be read: File too large; a config file has 1MiB at most"},
	};
	char wanted[512];
	int status;
	(void)state;

	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(close(creat("large", 0600)), 0);
	assert_int_equal(truncate("large", CONFIG_FILE_MOST_BYTES + 1), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *said = check(cases[i].path, &status);
		snprintf(wanted, sizeof(wanted), "weir check-config: %s\n", cases[i].said);
		assert_string_equal(said, wanted);
		assert_int_equal(status, EXIT_FAILED);
		free(said);
	}
	unlink("fifo");
	unlink("large");
}

static void all_mistakes_of_a_file_are_told_in_one_go(void **state) {
	static const char text[] = "capture:\n"
				   "  ports: [eth1]\n"
				   "  fitler: tcp\n"
				   "cache:\n"
				   "  entries: few\n"
				   "  active_timeout: 15\n"
				   "log:\n"
				   "  level: loud\n";
	int status;
	(void)state;

	write_file(text, sizeof(text) - 1);
	char *said = check(FILE_NAME, &status);
	assert_non_null(strstr(said, FILE_NAME ":3: capture.fitler: not known"));
	assert_non_null(strstr(said, FILE_NAME ":5: cache.entries: few: must be"));
	assert_non_null(strstr(said, FILE_NAME ":6: cache.active_timeout: 15: not a duration"));
	assert_non_null(strstr(said, FILE_NAME ":8: log.level: loud: not known"));
	free(said);
}

static void a_file_of_nothing_but_mistakes_is_given_up_on(void **state) {
	char *text = NULL, *said;
	size_t n = 0;
	unsigned n_lines = 0;
	int status;
	FILE *out = open_memstream(&text, &n);
	(void)state;

	for (unsigned i = 0; i < 1000; i++)
		fprintf(out, "key%u: 1\n", i);
	fclose(out);
	write_file(text, n);
	free(text);
	said = check(FILE_NAME, &status);
	for (const char *at = said; (at = strchr(at, '\n')) != NULL; at++)
		n_lines++;
	assert_int_equal(n_lines, CONFIG_FILE_MOST_MISTAKES + 1);
	assert_non_null(strstr(said, "more mistakes; mend those above first"));
	free(said);
}

static void a_file_may_be_written_in_several_ways(void **state) {
	static const char *const good[] = {
		"capture: {ports: [eth1, \"af_packet:eth2\"]}\n",
		"---\ncapture:\n  ports:\n  - eth1\ncache:\nlog:\n",
		"# first\r\ncapture:\r\n  ports: [ 'eth1' ] # one\r\n",
		"\xef\xbb\xbf"
		"capture:\n  ports: [eth1]\n  filter: \"tcp port 443\"\n",
		"%YAML 1.1\n---\ncapture:\n  ports: [eth1]\n...\n",
		"capture:\n  ports: [eth1]\ncache:\n  hugepages: Yes\nserve:\n  http: none\n"
		"  socket: none\n",
		"capture:\n  ports: [eth1]\narchive:\n  dir: none\n  retain: 30d\n"
		"  rotate: 2h\n",
	};
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int status;
		write_file(good[i], strlen(good[i]));
		char *said = check(FILE_NAME, &status);
		if (status != EXIT_OK && i != 6)
			fail_msg("%zu: %s", i, said);
		// An archive that is not there keeps nothing.
		if (i == 6)
			assert_non_null(strstr(said, FILE_NAME ":5: archive.retain: says what"));
		free(said);
	}
}

static void no_escape_reaches_a_terminal(void **state) {
	static const char text[] = "capture:\n  sample: \"\\e[2J\"\n  \"\\e[1m\": 1\n"
				   "log:\n  level: \"\\x9b1m\"\n  eal: \"\\e\\x9b\"\n";
	int status;
	(void)state;

	write_file(text, sizeof(text) - 1);
	char *said = check(FILE_NAME, &status);
	assert_non_null(strstr(said, FILE_NAME ":2: capture.sample: ?[2J: use N"));
	assert_non_null(strstr(said, FILE_NAME ":3: capture.?[1m: not known"));
	assert_null(strchr(said, '\033'));
	assert_null(strstr(said, "\xc2\x9b"));
	free(said);
}

static void brackets_do_not_nest_without_end(void **state) {
	char text[4096] = "capture: ";
	int status;
	(void)state;

	memset(text + strlen(text), '[', 2048);
	write_file(text, strlen(text));
	char *said = check(FILE_NAME, &status);
	assert_non_null(strstr(said, FILE_NAME ":1: too deep; there are sections"));
	assert_int_equal(status, EXIT_FAILED);
	free(said);
}

static void ignore(const char *mistake, void *arg) {
	(void)mistake;
	(void)arg;
}

// Whatever is cut off may be wrong, but ends.
static void every_beginning_of_a_file_is_read_to_its_end(void **state) {
	static const char text[] = "capture:\n  ports: [eth1, 'a', \"b\\n\"]\ncache: {entries: 1,\n"
				   "  memory: |\n x}\nlog: &a *b\n? [c]\n: !t d\n---\n";
	(void)state;

	for (size_t n = 0; n < sizeof(text); n++) {
		struct setting_values values = {0};
		(void)config_file_parse(&values, text, n, ignore, NULL);
		setting_values_free(&values);
	}
}

static int set_up(void **state) {
	(void)state;
	return mkdtemp(folder) == NULL || chdir(folder) < 0;
}

static int tear_down(void **state) {
	(void)state;
	unlink(FILE_NAME);
	return rmdir(folder);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_gets_a_line_that_says_what_to_change),
		cmocka_unit_test(octets_that_are_no_text_are_shown_where_they_are),
		cmocka_unit_test(what_is_no_file_of_text_is_not_read),
		cmocka_unit_test(all_mistakes_of_a_file_are_told_in_one_go),
		cmocka_unit_test(a_file_of_nothing_but_mistakes_is_given_up_on),
		cmocka_unit_test(no_escape_reaches_a_terminal),
		cmocka_unit_test(brackets_do_not_nest_without_end),
		cmocka_unit_test(a_file_may_be_written_in_several_ways),
		cmocka_unit_test(every_beginning_of_a_file_is_read_to_its_end),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
