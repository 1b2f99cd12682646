#include "notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MESSAGE_BYTES = 512,
};

// The number in a variable of the environment; 0 where there is none.
static uint64_t number_of(const char *variable) {
	const char *text = getenv(variable);
	char *end;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	uint64_t number = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? number : 0;
}

// Set for the process of $WATCHDOG_PID alone: a parent's environment may have come down to us.
static time_ns_t watchdog(void) {
	uint64_t pid = number_of("WATCHDOG_PID");
	uint64_t us = number_of("WATCHDOG_USEC");

	if ((pid != 0 && pid != (uint64_t)getpid()) || us > INT64_MAX / NS_PER_US)
		return 0;
	return (time_ns_t)us * NS_PER_US;
}

int notify_open(struct notify *notify) {
	const char *path = getenv("NOTIFY_SOCKET");

	*notify = (struct notify){.fd = -1, .address = {.sun_family = AF_UNIX}};
	if (path == NULL || path[0] == '\0')
		return 0;
	size_t length = strlen(path);
	if (path[0] != '/' && path[0] != '@')
		return -EAFNOSUPPORT;
	if (length >= sizeof(notify->address.sun_path))
		return -ENAMETOOLONG;
	memcpy(notify->address.sun_path, path, length);
	if (path[0] == '@') // stands for the zero that an abstract name begins with
		notify->address.sun_path[0] = '\0';
	notify->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify->fd < 0)
		return -errno;
	notify->watchdog_ns = watchdog();
	return 0;
}

void notify_send(const struct notify *notify, const char *format, ...) {
	char message[MESSAGE_BYTES];
	va_list args;

	if (notify->fd < 0)
		return;
	va_start(args, format);
	int n = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (n <= 0)
		return;
	size_t length = (size_t)n < sizeof(message) ? (size_t)n : sizeof(message) - 1;
	// A service manager that does not listen shall not end a run.
	(void
	)sendto(notify->fd,
		message,
		length,
		MSG_NOSIGNAL | MSG_DONTWAIT,
		(const struct sockaddr *)&notify->address,
		notify->length);
}

void notify_close(struct notify *notify) {
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}
