// Notify: tells whoever started weir as a service how it is, by the protocol of sd_notify(3):
// datagrams of lines to the socket that $NOTIFY_SOCKET names. Where there is none, as on a terminal
// or in a container, nothing is sent, and that is fine.
//
// The socket is opened at the start, since a process in the sandbox can open none; each message
// goes to the address anew, so that a service manager that was started again is found.
//
// Threads: one at a time. Time: the caller's.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "clock.h"

struct notify {
	int fd; // -1: nobody asked
	struct sockaddr_un address;
	socklen_t length;
	time_ns_t watchdog_ns; // a sign of life is expected this often; 0 = never
};

// Reads the environment. Returns 0, also where nobody asked, or a negative errno for a socket that
// cannot be (-EAFNOSUPPORT: neither a path nor an abstract name; -ENAMETOOLONG) or be had; then
// nothing will be sent.
int notify_open(struct notify *notify);

// Sends lines such as "READY=1", with no newline at the end. Never waits: what finds no room is
// lost.
[[gnu::format(printf, 2, 3)]] void
notify_send(const struct notify *notify, const char *format, ...);

void notify_close(struct notify *notify);
