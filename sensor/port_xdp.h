// Whether a receive queue of an interface is free for AF_XDP, asked before DPDK is: when its driver
// finds the queue taken it cleans up by taking the XDP program away, which is the other's.
//
// Threads: any. Time: none.

#pragma once

#include <stdbool.h>

enum {
	PORT_XDP_MOST_FD = 4096,
};

// The sockets of AF_XDP that this process has.
struct port_xdp_sockets {
	bool has[PORT_XDP_MOST_FD]; // by descriptor
};

void port_xdp_look(struct port_xdp_sockets *sockets);

// The one socket that is new since that look; -1 where there is none or several. It is the
// driver's: to be waited for, and no more.
int port_xdp_new_socket(const struct port_xdp_sockets *before);

// 0, -EBUSY where another program's socket has the first queue of the interface, or 0 too where it
// cannot be told.
[[nodiscard]] int port_xdp_try(const char *interface);
