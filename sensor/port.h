// Port: where live packets come from, one burst at a time. Two kinds behind one interface:
//
//   - an Ethernet device of DPDK (port_ethdev.c): PCI, AF_XDP and every virtual device;
//   - a packet socket of the kernel with a ring in shared memory (port_socket.c), for
//     af_packet:IFACE. DPDK has a driver of that name, but with it the kernel reassembles IPv4
//     fragments, losses are not counted, long frames are cut, and neither the kernel's time nor
//     the kind of a VLAN tag comes through. It is there as vdev:net_af_packet0,iface=IFACE.
//
// A port is promiscuous, sends nothing, and delivers frames with their VLAN tags in place.
//
// Errors: one line that names the port, the cause, and what would do.
// Threads: each queue has one reader, for port_burst() and port_release(). The rest belongs to
// one thread, and port_losses() and port_watch() may run beside the readers.
// Time: of each frame as the kernel took it, where it did; else 0.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "packet.h"
#include "port_spec.h"

enum {
	PORT_BURST_FRAMES = 64,
	PORT_MAX_QUEUES = 64,
};

struct port;

struct port_losses {
	uint64_t missed;  // no room in the port's ring: the sensor was behind
	uint64_t errors;  // wrong checksum or length, as the hardware says
	uint64_t no_mbuf; // no buffer for a packet
};

enum port_state {
	PORT_UP,
	PORT_DOWN,     // no link; packets may come again
	PORT_VANISHED, // the device is gone, and will not come back by itself
};

// Opens a port with `n_queues` receive queues, or with one where packets cannot be spread over
// so many such that both directions of a flow meet. For devices of DPDK, eal_start() comes
// first. Reception begins with port_start(). NULL with one line in `error` (PORT_ERROR_BYTES).
[[nodiscard]] struct port *port_open(const struct port_spec *spec, unsigned n_queues, char *error);

// Returns 0 or a negative errno, with one line in `error`.
[[nodiscard]] int port_start(struct port *port, char *error);

// No packet that comes from here on is taken; what lies in the port can still be read.
void port_stop(struct port *port);

// NULL is fine.
void port_close(struct port *port);

// Up to PORT_BURST_FRAMES frames, to be used until port_release(), which must come before the
// next burst. Hot path.
unsigned port_burst(struct port *port, unsigned queue, struct frame *frames);
void port_release(struct port *port, unsigned queue);

// Sets the clock of a port that stamps its packets by the wall clock. To be called every
// `interval_ns` or so by the thread that reads the queue; nothing to do where there is none.
void port_look_at_clock(struct port *port, unsigned queue, time_ns_t interval_ns);

// Whether a port that was stopped may still have packets that port_burst() does not show yet.
bool port_settles(struct port *port);

// As the user wrote it, and what weir made of it: "packet socket", "net_af_xdp" ...
const char *port_name(const struct port *port);
const char *port_driver_name(const struct port *port);

enum link_type port_link(const struct port *port);
uint16_t port_in_if(const struct port *port); // ifIndex, never 0
unsigned port_queues(const struct port *port);

// A file descriptor that poll(2) finds readable when there are packets, -1 where there is none.
int port_fd(const struct port *port);

// How many packets fit into a queue while nobody reads.
unsigned port_room(const struct port *port);

// What the port lost since its start.
void port_losses(struct port *port, struct port_losses *losses);

enum port_state port_watch(struct port *port);

// The drivers of DPDK that a spec needs: none, or virtual, or a PCI device.
bool port_spec_needs_eal(const struct port_spec *spec);
