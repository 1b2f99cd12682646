#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"
#include "log_journal.h"
#include "log_limit.h"
#include "log_line.h"

#define TIME_NS (INT64_C(1795651200) * NS_PER_S + 7 * NS_PER_MS + 999999) // 2026-11-26

static struct log_line line_of(const char *thing, const char *text) {
	return (struct log_line){
		.level = LOG_LEVEL_WARNING,
		.program = "weir run",
		.thing = thing,
		.text = text,
		.time_ns = TIME_NS,
	};
}

static void assert_bytes(const char *out, size_t n, const char *expected) {
	assert_int_equal(n, strlen(expected));
	assert_memory_equal(out, expected, n);
}

static void a_line_of_text_names_the_thing_and_the_cause(void **state) {
	char out[LOG_LINE_BYTES];
	struct log_line line = line_of("port eth1", "link down");

	(void)state;
	assert_bytes(
		out, log_line_text(out, &line, false, false), "weir run: port eth1: link down\n"
	);
	assert_bytes(
		out,
		log_line_text(out, &line, true, false),
		"2026-11-26T00:00:00.007Z warning weir run: port eth1: link down\n"
	);
	assert_bytes(
		out, log_line_text(out, &line, false, true), "<4>weir run: port eth1: link down\n"
	);
	line.thing = NULL;
	assert_bytes(out, log_line_text(out, &line, false, false), "weir run: link down\n");
}

static void a_line_of_json_is_one_object(void **state) {
	char out[LOG_LINE_BYTES];
	struct log_line line = line_of("port eth1", "link \"down\"\\\x1b[31m\n\xff \xc3\xa9");

	(void)state;
	assert_bytes(
		out,
		log_line_json(out, &line, false),
		"{\"time\":\"2026-11-26T00:00:00.007Z\",\"level\":\"warning\",\"program\":\"weir "
		"run\",\"thing\":\"port eth1\",\"message\":\"port eth1: link "
		"\\\"down\\\"\\\\\\u001b[31m\\u000a\\ufffd \xc3\xa9\"}\n"
	);
}

// RFC 3629: overlong forms, surrogates and what lies above U+10FFFF are no characters.
static void what_comes_from_outside_steers_no_terminal_and_ends_no_line(void **state) {
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"a\nb\rc", "a\\x0ab\\x0dc"},
		{"\x1b]0;title\a", "\\x1b]0;title\\x07"},
		{"\x7f", "\\x7f"},
		{"\xc2\x9b"
		 "31m",
		 "\\x9b31m"}, // CSI as one character
		{"\xc2\xa9 \xe2\x82\xac \xf0\x9f\x8c\x8a",
		 "\xc2\xa9 \xe2\x82\xac \xf0\x9f\x8c\x8a"},
		{"\xc0\x8a", "\\xc0\\x8a"},
		{"\xe0\x80\x8a", "\\xe0\\x80\\x8a"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
		{"\xe2\x82", "\\xe2\\x82"}, // the end comes first
	};
	char out[LOG_LINE_BYTES], expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct log_line line = line_of(cases[i].text, "x");
		snprintf(expected, sizeof(expected), "weir run: %s: x\n", cases[i].expected);
		assert_bytes(out, log_line_text(out, &line, false, false), expected);
	}
}

static void a_line_too_long_is_cut_and_still_ends(void **state) {
	static char text[2 * LOG_LINE_BYTES];
	char out[LOG_LINE_BYTES];
	struct log_line line = line_of("port", text);

	(void)state;
	memset(text, '\n', sizeof(text) - 1);
	size_t n = log_line_text(out, &line, true, false);
	assert_true(n > LOG_LINE_BYTES - 8 && n <= LOG_LINE_BYTES);
	assert_memory_equal(out + n - 5, "\\x0a\n", 5);
	n = log_line_json(out, &line, false);
	assert_true(n > LOG_LINE_BYTES - 8 && n <= LOG_LINE_BYTES);
	assert_memory_equal(out + n - 9, "\\u000a\"}\n", 9);
}

static void the_journal_gets_fields(void **state) {
	char out[LOG_LINE_BYTES];
	struct log_line line = line_of("port eth1", "link\ndown");

	(void)state;
	assert_bytes(
		out,
		log_line_journal(out, &line),
		"PRIORITY=4\nSYSLOG_IDENTIFIER=weir\nWEIR_THING=port eth1\n"
		"MESSAGE=port eth1: link\\x0adown\n"
	);
}

static void a_repeated_event_is_told_five_times_a_minute_and_then_counted(void **state) {
	static struct log_limit limit;
	struct log_limit_event ended;
	unsigned n_told = 0;

	(void)state;
	for (int i = 0; i < 30; i++) {
		char text[32];
		snprintf(text, sizeof(text), "%d packets lost", i);
		n_told += log_limit_take(&limit, 1, "port eth1", text, i * NS_PER_S, &ended);
		assert_int_equal(ended.n_held, 0);
	}
	assert_int_equal(n_told, LOG_LIMIT_TOLD);
	// Another thing, another event.
	assert_true(log_limit_take(&limit, 1, "port eth2", "1 packets lost", 0, &ended));
	assert_true(log_limit_take(&limit, 1, "port eth1", "1 packets found", 0, &ended));
	assert_true(log_limit_take(&limit, 1, NULL, "port eth1: 1 packets lost", 0, &ended));

	assert_false(log_limit_over(&limit, 60 * NS_PER_S - 1, false, &ended));
	assert_true(log_limit_over(&limit, 60 * NS_PER_S, false, &ended));
	assert_int_equal(ended.n_held, 25);
	assert_int_equal(ended.level, 1);
	assert_string_equal(ended.thing, "port eth1");
	assert_string_equal(ended.text, "0 packets lost");
	assert_false(log_limit_over(&limit, 60 * NS_PER_S, false, &ended));
	// A new minute.
	assert_true(log_limit_take(&limit, 1, "port eth1", "9 packets lost", 61 * NS_PER_S, &ended)
	);
}

static void more_events_than_places_lose_none(void **state) {
	static struct log_limit limit;
	struct log_limit_event ended;
	unsigned n_told = 0, n_held = 0;
	enum { N = 3 * LOG_LIMIT_EVENTS, TIMES = LOG_LIMIT_TOLD + 2 };

	(void)state;
	for (int i = 0; i < N; i++)
		for (int j = 0; j < TIMES; j++) {
			char thing[32];
			snprintf(thing, sizeof(thing), "port eth%d", i);
			n_told += log_limit_take(&limit, 1, thing, "down", i, &ended);
			n_held += ended.n_held;
		}
	while (log_limit_over(&limit, N, true, &ended))
		n_held += ended.n_held;
	assert_int_equal(n_told, N * LOG_LIMIT_TOLD);
	assert_int_equal(n_told + n_held, N * TIMES);
}

// What log.c wrote to `fd`.
static void read_all(int fd, char *out, size_t size) {
	ssize_t n = read(fd, out, size - 1);
	out[n > 0 ? n : 0] = '\0';
}

static void a_pipe_gets_lines_of_the_level_and_worse(void **state) {
	int ends[2];
	char out[4096];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	log_begin(&(struct log_config
	){.level = LOG_LEVEL_NOTICE, .program = "weir test", .fd = ends[1]});
	log_event(LOG_LEVEL_INFO, "a", "not told");
	log_event(LOG_LEVEL_NOTICE, "a", "told %d", 1);
	log_message(LOG_LEVEL_ERROR, "b: told: 2");
	for (int i = 0; i < 7; i++)
		log_message(LOG_LEVEL_WARNING, "c: told");
	for (int i = 0; i < 7; i++)
		log_paced(LOG_LEVEL_NOTICE, "at its own pace");
	log_end();
	read_all(ends[0], out, sizeof(out));
	assert_null(strstr(out, "not told"));
	assert_non_null(strstr(out, "Z notice weir test: a: told 1\n"));
	assert_non_null(strstr(out, "Z error weir test: b: told: 2\n"));
	assert_non_null(strstr(out, "Z warning weir test: c: told; 2 more in 0 s\n"));
	unsigned n = 0;
	for (const char *at = out; (at = strchr(at, '\n')) != NULL; at++)
		n++;
	assert_int_equal(n, 2 + LOG_LIMIT_TOLD + 1 + 7);
	close(ends[0]);
	close(ends[1]);
}

static void level_and_format_may_change(void **state) {
	char out[4096];
	int fds[2];
	(void)state;

	assert_int_equal(pipe(fds), 0);
	log_begin(&(struct log_config
	){.level = LOG_LEVEL_NOTICE, .program = "weir run", .fd = fds[1]});
	log_event(LOG_LEVEL_INFO, NULL, "one");
	log_set(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
	log_event(LOG_LEVEL_DEBUG, NULL, "two");
	log_set(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	log_event(LOG_LEVEL_WARNING, NULL, "three");
	log_event(LOG_LEVEL_ERROR, NULL, "four");
	log_end();
	close(fds[1]);
	read_all(fds[0], out, sizeof(out));
	assert_null(strstr(out, "one"));
	assert_non_null(strstr(out, "\"two\"}"));
	assert_null(strstr(out, "three"));
	assert_non_null(strstr(out, " four\n"));
}

static void a_pipe_that_is_full_is_not_waited_for_and_the_lost_lines_are_told(void **state) {
	static const char filling[65536];
	static char out[1 << 17];
	int ends[2];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	while (write(ends[1], filling, sizeof(filling)) > 0)
		;
	fcntl(ends[1], F_SETFL, 0); // to wait would be for ever
	log_begin(&(struct log_config
	){.level = LOG_LEVEL_INFO, .program = "weir test", .fd = ends[1]});
	for (int i = 0; i < 100; i++)
		log_paced(LOG_LEVEL_INFO, "lost");
	while (read(ends[0], out, sizeof(out)) > 0)
		;
	log_paced(LOG_LEVEL_INFO, "there again");
	log_end();
	read_all(ends[0], out, sizeof(out));
	assert_non_null(strstr(out, "log: 100 lines could not be written\n"));
	assert_non_null(strstr(out, "weir test: there again\n"));
	close(ends[0]);
	close(ends[1]);
}

static void a_reader_that_is_gone_ends_nothing(void **state) {
	int ends[2];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	log_begin(&(struct log_config
	){.level = LOG_LEVEL_INFO, .program = "weir test", .fd = ends[1]});
	log_event(LOG_LEVEL_ERROR, NULL, "no SIGPIPE");
	log_end();
	close(ends[1]);
}

// A journal of ours: its stream, and its socket.
struct journal {
	char folder[32];
	char path[64];
	int socket;
	int stream[2];
};

static void journal_open(struct journal *journal) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;
	char value[64];

	snprintf(journal->folder, sizeof(journal->folder), "/tmp/weir-log-XXXXXX");
	assert_non_null(mkdtemp(journal->folder));
	snprintf(journal->path, sizeof(journal->path), "%s/socket", journal->folder);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", journal->path);
	journal->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(
		bind(journal->socket, (const struct sockaddr *)&address, sizeof(address)), 0
	);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, journal->stream), 0);
	assert_int_equal(fstat(journal->stream[1], &status), 0);
	snprintf(
		value,
		sizeof(value),
		"%llu:%llu",
		(unsigned long long)status.st_dev,
		(unsigned long long)status.st_ino
	);
	setenv("JOURNAL_STREAM", value, 1);
}

static void journal_close(struct journal *journal) {
	unsetenv("JOURNAL_STREAM");
	close(journal->socket);
	close(journal->stream[0]);
	close(journal->stream[1]);
	unlink(journal->path);
	rmdir(journal->folder);
}

static void journal_begin(const struct journal *journal, enum log_format format) {
	log_begin(&(struct log_config){
		.level = LOG_LEVEL_INFO,
		.format = format,
		.program = "weir test",
		.journal_socket = journal->path,
		.fd = journal->stream[1],
	});
}

static void the_journal_is_known_by_its_stream(void **state) {
	struct journal journal;

	(void)state;
	journal_open(&journal);
	assert_true(log_journal_reads(journal.stream[1], getenv("JOURNAL_STREAM")));
	assert_false(log_journal_reads(journal.stream[0], getenv("JOURNAL_STREAM")));
	assert_false(log_journal_reads(journal.stream[1], NULL));
	assert_false(log_journal_reads(journal.stream[1], "1:2"));
	assert_false(log_journal_reads(journal.stream[1], "nonsense"));
	assert_false(log_journal_reads(-1, getenv("JOURNAL_STREAM")));
	journal_close(&journal);
}

static void the_journal_gets_a_datagram_for_each_event(void **state) {
	struct journal journal;
	char out[4096];

	(void)state;
	journal_open(&journal);
	journal_begin(&journal, LOG_FORMAT_TEXT);
	log_event(LOG_LEVEL_ERROR, "port eth1", "no such device");
	read_all(journal.socket, out, sizeof(out));
	assert_string_equal(
		out,
		"PRIORITY=3\nSYSLOG_IDENTIFIER=weir\nWEIR_THING=port eth1\n"
		"MESSAGE=port eth1: no such device\n"
	);
	read_all(journal.stream[0], out, sizeof(out));
	assert_string_equal(out, "");
	log_end();
	journal_close(&journal);
}

static void a_journal_whose_socket_does_not_answer_gets_priorities(void **state) {
	struct journal journal;
	char out[4096];

	(void)state;
	journal_open(&journal);
	journal_begin(&journal, LOG_FORMAT_TEXT);
	close(journal.socket);
	journal.socket = -1;
	log_event(LOG_LEVEL_INFO, "port eth1", "link up");
	read_all(journal.stream[0], out, sizeof(out));
	assert_string_equal(out, "<6>weir test: port eth1: link up\n");
	log_end();
	// As where there never was one.
	journal_begin(&journal, LOG_FORMAT_TEXT);
	log_event(LOG_LEVEL_NOTICE, NULL, "ready");
	read_all(journal.stream[0], out, sizeof(out));
	assert_string_equal(out, "<5>weir test: ready\n");
	log_end();
	journal_close(&journal);
}

static void json_goes_to_the_journal_as_it_is(void **state) {
	struct journal journal;
	char out[4096];

	(void)state;
	journal_open(&journal);
	journal_begin(&journal, LOG_FORMAT_JSON);
	log_event(LOG_LEVEL_INFO, "port eth1", "link up");
	read_all(journal.stream[0], out, sizeof(out));
	assert_int_equal(strncmp(out, "<6>{\"time\":\"20", 14), 0);
	assert_int_equal(recv(journal.socket, out, sizeof(out), 0), -1);
	log_end();
	journal_close(&journal);
}

enum { N_THREADS = 4, N_LINES = 500 };

static void *say(void *arg) {
	for (int i = 0; i < N_LINES; i++) {
		char line[64];
		snprintf(line, sizeof(line), "thread %d line %d of many", *(int *)arg, i);
		log_paced(LOG_LEVEL_INFO, line);
		log_event(LOG_LEVEL_DEBUG, "thread", "not told");
		log_tick();
	}
	return NULL;
}

static void lines_of_many_threads_are_whole(void **state) {
	FILE *file = tmpfile();
	pthread_t threads[N_THREADS];
	int numbers[N_THREADS];
	char line[256];
	unsigned n = 0;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	assert_non_null(file);
	log_begin(&(struct log_config
	){.level = LOG_LEVEL_INFO, .program = "weir test", .fd = fileno(file)});
	for (int i = 0; i < N_THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, say, &numbers[i]), 0);
	}
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	log_end();
	rewind(file);
	for (; fgets(line, sizeof(line), file) != NULL; n++) {
		const char *text = strstr(line, " info weir test: thread ");
		assert_ptr_equal(text, line + strlen("2026-11-26T00:00:00.007Z"));
		assert_non_null(strstr(text, " of many\n"));
	}
	assert_int_equal(n, N_THREADS * N_LINES);
	fclose(file);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_of_text_names_the_thing_and_the_cause),
		cmocka_unit_test(a_line_of_json_is_one_object),
		cmocka_unit_test(what_comes_from_outside_steers_no_terminal_and_ends_no_line),
		cmocka_unit_test(a_line_too_long_is_cut_and_still_ends),
		cmocka_unit_test(the_journal_gets_fields),
		cmocka_unit_test(a_repeated_event_is_told_five_times_a_minute_and_then_counted),
		cmocka_unit_test(more_events_than_places_lose_none),
		cmocka_unit_test(a_pipe_gets_lines_of_the_level_and_worse),
		cmocka_unit_test(level_and_format_may_change),
		cmocka_unit_test(a_pipe_that_is_full_is_not_waited_for_and_the_lost_lines_are_told),
		cmocka_unit_test(a_reader_that_is_gone_ends_nothing),
		cmocka_unit_test(the_journal_is_known_by_its_stream),
		cmocka_unit_test(the_journal_gets_a_datagram_for_each_event),
		cmocka_unit_test(a_journal_whose_socket_does_not_answer_gets_priorities),
		cmocka_unit_test(json_goes_to_the_journal_as_it_is),
		cmocka_unit_test(lines_of_many_threads_are_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
