// Whether a receive queue of an interface is free for AF_XDP, asked before DPDK is: when its driver
// finds the queue taken it cleans up by taking the XDP program away, which is the other's.
//
// Threads: any. Time: none.

#pragma once

// 0, -EBUSY where another program's socket has the first queue of the interface, or 0 too where it
// cannot be told.
[[nodiscard]] int port_xdp_try(const char *interface);
