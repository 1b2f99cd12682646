// Ring port: a port for benches whose packets are prepared mbufs. An Ethernet device of DPDK's
// ring driver is read through weir's own port_ethdev.c; when its ring is empty, the thread that
// reads asks for more, and may stop its watch meanwhile.
//
// What a driver of a card does for each packet is done here too, and is in the time: a new mbuf
// is taken from the pool for each that is given out, and the reader gives those back. What a
// card does by itself, to fill buffers and descriptors, is in ring_port_put(), and is not.
//
// Threads: the one that reads, once it does.

#pragma once

#include <stdint.h>

#include "frame.h"
#include "port.h"

enum {
	RING_PORT_FRAMES = 4096, // as many as weir asks of a card
	// One frame of so many is made ARP, and another is cut within its IP header.
	RING_PORT_ODD_ONE_IN = 512,
};

struct ring_port;

// The ring is empty. Returns whether it was filled.
typedef bool (*ring_port_fn)(void *arg);

// After eal_start(). NULL with one line in `error` (PORT_ERROR_BYTES).
[[nodiscard]] struct ring_port *
ring_port_open(unsigned number, ring_port_fn on_empty, void *arg, char *error);

// What a poller reads. port_close() closes it all.
struct port *ring_port_port(struct ring_port *ring_port);

// What was put and spoiled.
struct ring_port_counts {
	uint64_t packets; // all
	uint64_t not_ip, cut;
};

// Copies up to RING_PORT_FRAMES frames into mbufs and the ring, which is empty.
void ring_port_put(struct ring_port *ring_port, const struct frame *frames, unsigned n);

// How many frames are in the ring.
unsigned ring_port_left(const struct ring_port *ring_port);

void ring_port_counts(const struct ring_port *ring_port, struct ring_port_counts *counts);
