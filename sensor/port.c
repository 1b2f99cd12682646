#include "port.h"

#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port_internal.h"

int port_fail(const struct port_spec *spec, char *error, int errno_value, const char *format, ...) {
	va_list args;
	int n = snprintf(error, PORT_ERROR_BYTES, "port %s: ", spec->name);

	va_start(args, format);
	vsnprintf(error + n, PORT_ERROR_BYTES - (size_t)n, format, args);
	va_end(args);
	return -errno_value;
}

enum port_state port_interface_state(int fd, const char *interface, unsigned index) {
	struct ifreq request = {0};
	enum port_state state = PORT_VANISHED;

	if (fd < 0)
		return PORT_UP; // cannot tell
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	// Another interface may have got the name since.
	if (ioctl(fd, SIOCGIFINDEX, &request) == 0 && (unsigned)request.ifr_ifindex == index
	    && ioctl(fd, SIOCGIFFLAGS, &request) == 0)
		state = (request.ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING)
				? PORT_UP
				: PORT_DOWN;
	return state;
}

bool port_interface_is_up(const char *interface) {
	struct ifreq request = {0};

	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true; // cannot tell
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	bool up = ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
	close(fd);
	return up;
}

bool port_spec_needs_eal(const struct port_spec *spec) {
	return spec->driver != PORT_AF_PACKET && spec->driver != PORT_CHOOSE;
}

struct port *port_open(const struct port_spec *spec, unsigned n_queues, char *error) {
	switch (spec->driver) {
	case PORT_CHOOSE:
		// AF_XDP takes the packets away from the host, which may be talking to whoever
		// starts weir through this very interface. So it is had by asking for it.
	case PORT_AF_PACKET:
		return port_socket_open(spec, error);
	case PORT_AF_XDP:
	case PORT_PCI:
	case PORT_VDEV:
		break;
	}
	return port_ethdev_open(spec, n_queues, error);
}

int port_start(struct port *port, char *error) {
	return port->ops->start(port, error);
}

void port_stop(struct port *port) {
	port->ops->stop(port);
}

void port_close(struct port *port) {
	if (port != NULL)
		port->ops->close(port);
}

unsigned port_burst(struct port *port, unsigned queue, struct frame *frames) {
	return port->ops->burst(port, queue, frames);
}

void port_release(struct port *port, unsigned queue) {
	port->ops->release(port, queue);
}

void port_look_at_clock(struct port *port, unsigned queue, time_ns_t interval_ns) {
	if (port->ops->look_at_clock != NULL)
		port->ops->look_at_clock(port, queue, interval_ns);
}

bool port_settles(struct port *port) {
	return port->ops->settles(port);
}

const char *port_name(const struct port *port) {
	return port->spec.name;
}

const char *port_driver_name(const struct port *port) {
	return port->driver;
}

enum link_type port_link(const struct port *port) {
	return port->link;
}

uint16_t port_in_if(const struct port *port) {
	return port->in_if;
}

unsigned port_queues(const struct port *port) {
	return port->n_queues;
}

int port_fd(const struct port *port) {
	return port->fd;
}

unsigned port_room(const struct port *port) {
	return port->room;
}

void port_losses(struct port *port, struct port_losses *losses) {
	port->ops->losses(port, losses);
}

enum port_state port_watch(struct port *port) {
	return port->ops->watch(port);
}
