// Packet socket: how programs of the tests put frames into an interface.

#pragma once

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

// One that sends into `interface`, without queueing discipline, and receives nothing. -1 with
// errno.
static inline int packet_socket_open(const char *interface) {
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	// Protocol 0: it receives nothing.
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || address.sll_ifindex == 0
	    || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0
	    || setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &(int){1}, sizeof(int)) < 0)
		return -1;
	return fd;
}
