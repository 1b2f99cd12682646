// Notify: what arrives at the socket that $NOTIFY_SOCKET names, and what is no such socket. The
// protocol is sd_notify(3)'s.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "notify.h"

struct manager {
	char path[64];
	int fd;
};

static void bind_to(struct manager *manager, const char *path) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);

	snprintf(manager->path, sizeof(manager->path), "%s", path);
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(manager->fd >= 0);
	assert_int_equal(
		bind(manager->fd,
		     (const struct sockaddr *)&address,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
		0
	);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
}

static int begin(void **state) {
	static struct manager manager;
	char path[64];

	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	snprintf(path, sizeof(path), "/tmp/weir-notify-%d", getpid());
	bind_to(&manager, path);
	*state = &manager;
	return 0;
}

static int end(void **state) {
	const struct manager *manager = *state;

	close(manager->fd);
	if (manager->path[0] == '/')
		unlink(manager->path);
	return 0;
}

static void assert_receives(const struct manager *manager, const char *expected) {
	char message[1024];
	ssize_t n = recv(manager->fd, message, sizeof(message) - 1, 0);

	assert_true(n >= 0);
	message[n] = '\0';
	assert_string_equal(message, expected);
}

static void a_message_is_one_datagram(void **state) {
	struct notify notify;

	assert_int_equal(notify_open(&notify), 0);
	notify_send(&notify, "READY=1\nSTATUS=%d flows", 17);
	assert_receives(*state, "READY=1\nSTATUS=17 flows");
	notify_close(&notify);
}

static void an_abstract_socket_is_found(void **state) {
	struct manager *manager = *state;
	struct notify notify;
	char name[64];

	end(state);
	snprintf(name, sizeof(name), "@weir-notify-%d", getpid());
	bind_to(manager, name);
	assert_int_equal(notify_open(&notify), 0);
	notify_send(&notify, "WATCHDOG=1");
	assert_receives(manager, "WATCHDOG=1");
	notify_close(&notify);
}

static void a_manager_that_started_anew_is_found(void **state) {
	struct manager *manager = *state;
	struct notify notify;
	char path[64];

	assert_int_equal(notify_open(&notify), 0);
	snprintf(path, sizeof(path), "%s", manager->path);
	end(state);
	notify_send(&notify, "WATCHDOG=1"); // to nobody
	bind_to(manager, path);
	notify_send(&notify, "WATCHDOG=1");
	assert_receives(manager, "WATCHDOG=1");
	notify_close(&notify);
}

static void a_manager_that_does_not_read_holds_nothing_up(void **state) {
	struct notify notify;

	(void)state;
	assert_int_equal(notify_open(&notify), 0);
	for (int i = 0; i < 10000; i++)
		notify_send(&notify, "WATCHDOG=1");
	notify_close(&notify);
}

static void without_a_manager_nothing_is_sent(void **state) {
	struct notify notify;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(setenv("WATCHDOG_USEC", "1000000", 1), 0);
	assert_int_equal(notify_open(&notify), 0);
	assert_int_equal(notify.watchdog_ns, 0);
	notify_send(&notify, "READY=1");
	notify_close(&notify);
	assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
	assert_int_equal(notify_open(&notify), 0);
	assert_int_equal(notify.fd, -1);
}

static void what_is_no_socket_is_refused(void **state) {
	struct notify notify;
	char path[200];

	(void)state;
	assert_int_equal(setenv("NOTIFY_SOCKET", "run/notify", 1), 0);
	assert_int_equal(notify_open(&notify), -EAFNOSUPPORT);
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	assert_int_equal(notify_open(&notify), -ENAMETOOLONG);
	assert_int_equal(notify.fd, -1);
	notify_send(&notify, "READY=1");
	notify_close(&notify);
}

static time_ns_t watchdog_of(const char *us, const char *pid) {
	struct notify notify;

	assert_int_equal(setenv("WATCHDOG_USEC", us, 1), 0);
	if (pid != NULL)
		assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
	assert_int_equal(notify_open(&notify), 0);
	notify_close(&notify);
	return notify.watchdog_ns;
}

static void the_watchdog_is_that_of_this_process(void **state) {
	char pid[16];

	(void)state;
	assert_int_equal(watchdog_of("10000000", NULL), 10 * NS_PER_S);
	snprintf(pid, sizeof(pid), "%d", getpid());
	assert_int_equal(watchdog_of("2500000", pid), 2500 * NS_PER_MS);
	assert_int_equal(watchdog_of("2500000", "1"), 0);
	unsetenv("WATCHDOG_PID");
	assert_int_equal(watchdog_of("", NULL), 0);
	assert_int_equal(watchdog_of("-5", NULL), 0);
	assert_int_equal(watchdog_of("10s", NULL), 0);
	assert_int_equal(watchdog_of("18446744073709551615", NULL), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_message_is_one_datagram),
		TEST(an_abstract_socket_is_found),
		TEST(a_manager_that_started_anew_is_found),
		TEST(a_manager_that_does_not_read_holds_nothing_up),
		TEST(without_a_manager_nothing_is_sent),
		TEST(what_is_no_socket_is_refused),
		TEST(the_watchdog_is_that_of_this_process),
	};
	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
