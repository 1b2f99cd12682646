// The watchdog over a sensor that is not one: its threads go on when the test says so.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "watchdog.h"

static uint32_t beats[2];
static uint64_t n_packets;

unsigned sensor_beats(const struct sensor *sensor, uint32_t *to) {
	(void)sensor;
	memcpy(to, beats, sizeof(beats));
	return 2;
}

void sensor_ledger(struct sensor *sensor, struct ledger *ledger) {
	(void)sensor;
	*ledger = (struct ledger){.received.packets = n_packets, .cached_flows = 5};
}

static int manager = -1;
static struct watchdog watchdog;

static int begin(void **state) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64];

	(void)state;
	int n = snprintf(name, sizeof(name), "@weir-watchdog-%d", getpid());
	memcpy(address.sun_path, name, (size_t)n);
	address.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(manager,
		 (const struct sockaddr *)&address,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n))
	    < 0)
		return -1;
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "10000000", 1);
	unsetenv("WATCHDOG_PID");
	memset(beats, 0, sizeof(beats));
	n_packets = 0;
	return watchdog_begin(&watchdog);
}

static int end(void **state) {
	(void)state;
	watchdog_end(&watchdog);
	close(manager);
	return 0;
}

// What was said since the last call, messages joined by newlines.
static const char *said(void) {
	static char text[4096];
	size_t used = 0;

	for (ssize_t n;
	     (n = recv(manager, text + used, sizeof(text) - used - 1, MSG_DONTWAIT)) > 0;) {
		used += (size_t)n;
		text[used++] = '\n';
	}
	text[used] = '\0';
	return text;
}

static void look(time_ns_t now_ns) {
	watchdog_update(&watchdog, NULL, now_ns);
}

static void ready(time_ns_t now_ns) {
	beats[0] += 2;
	beats[1] += 2;
	look(now_ns);
	assert_non_null(strstr(said(), "READY=1\n"));
}

static void ready_once_every_thread_has_been_round(void **state) {
	(void)state;
	look(NS_PER_S);
	beats[0] = 2;
	look(2 * NS_PER_S);
	assert_string_equal(said(), "");
	assert_true(watchdog_wait_ns(&watchdog, NS_PER_S) < 100 * NS_PER_MS);
	beats[1] = 2;
	look(3 * NS_PER_S);
	assert_string_equal(said(), "READY=1\nSTATUS=metering\n");
	assert_int_equal(watchdog_wait_ns(&watchdog, NS_PER_S), NS_PER_S);
}

static void alive_while_all_threads_go_on(void **state) {
	(void)state;
	ready(100 * NS_PER_S);
	unsigned n = 0;
	for (time_ns_t second = 101; second <= 109; second++) {
		beats[0]++;
		beats[1]++;
		look(second * NS_PER_S);
		n += strstr(said(), "WATCHDOG=1") != NULL;
	}
	// Three times in the manager's patience, or a little more often.
	assert_in_range(n, 3, 4);
}

static void silent_while_one_thread_hangs(void **state) {
	(void)state;
	ready(100 * NS_PER_S);
	for (time_ns_t second = 101; second <= 130; second++) {
		beats[0]++;
		look(second * NS_PER_S);
		assert_null(strstr(said(), "WATCHDOG"));
	}
	beats[1]++;
	look(131 * NS_PER_S);
	assert_non_null(strstr(said(), "WATCHDOG=1"));
}

static void without_a_watchdog_no_sign_of_life(void **state) {
	watchdog_end(&watchdog);
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(watchdog_begin(&watchdog), 0);
	(void)state;
	ready(100 * NS_PER_S);
	for (time_ns_t second = 101; second <= 130; second++) {
		beats[0]++;
		beats[1]++;
		look(second * NS_PER_S);
	}
	assert_null(strstr(said(), "WATCHDOG"));
}

static void the_status_has_packets_a_second(void **state) {
	(void)state;
	ready(100 * NS_PER_S);
	n_packets = 5000;
	beats[0]++;
	beats[1]++;
	look(110 * NS_PER_S);
	assert_non_null(strstr(said(), "STATUS=500 packets/s, 5 flows in the cache, 0 records lost")
	);
}

static void a_stop_is_told(void **state) {
	(void)state;
	ready(100 * NS_PER_S);
	watchdog_stopping(&watchdog);
	assert_non_null(strstr(said(), "STOPPING=1\n"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(ready_once_every_thread_has_been_round),
		TEST(alive_while_all_threads_go_on),
		TEST(silent_while_one_thread_hangs),
		TEST(without_a_watchdog_no_sign_of_life),
		TEST(the_status_has_packets_a_second),
		TEST(a_stop_is_told),
	};
	return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
