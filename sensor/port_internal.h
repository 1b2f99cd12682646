// Port, inside: what the two kinds share.

#pragma once

#include "port.h"

struct port_ops {
	int (*start)(struct port *port, char *error);
	void (*stop)(struct port *port);
	void (*close)(struct port *port);
	unsigned (*burst)(struct port *port, unsigned queue, struct frame *frames);
	void (*release)(struct port *port, unsigned queue);
	bool (*settles)(struct port *port);
	void (*losses)(struct port *port, struct port_losses *losses);
	enum port_state (*watch)(struct port *port);
	void (*look_at_clock)(struct port *port, unsigned queue, time_ns_t interval_ns); // or NULL
};

// The first member of each kind.
struct port {
	const struct port_ops *ops;
	struct port_spec spec;
	char driver[64];
	enum link_type link;
	uint16_t in_if;
	unsigned n_queues;
	unsigned room;
	int fd;
};

struct port *port_socket_open(const struct port_spec *spec, char *error);
struct port *port_ethdev_open(const struct port_spec *spec, unsigned n_queues, char *error);

// One line, "port NAME: ...". Returns -`errno_value`.
[[gnu::format(printf, 4, 5)]] int
port_fail(const struct port_spec *spec, char *error, int errno_value, const char *format, ...);

// Whether an interface was brought up; the link may follow.
bool port_interface_is_up(const char *interface);

// Up and running, as the kernel says of an interface.
enum port_state port_interface_state(int fd, const char *interface, unsigned index);
