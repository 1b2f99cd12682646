#include "port_xdp.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PAGE_BYTES = 4096,
	N_PAGES = 2,
	RING_SLOTS = 2,
};

static int set(int fd, int option, const void *value, socklen_t length) {
	return setsockopt(fd, SOL_XDP, option, value, length) < 0 ? -errno : 0;
}

// Binds a socket to the queue with memory of its own; closing it undoes that.
static int try_queue(int fd, unsigned index, void *memory) {
	const struct xdp_umem_reg umem = {
		.addr = (uintptr_t)memory,
		.len = N_PAGES * PAGE_BYTES,
		.chunk_size = PAGE_BYTES,
	};
	const struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_COPY,
		.sxdp_ifindex = index,
	};
	static const int rings[] = {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING};
	int rc = set(fd, XDP_UMEM_REG, &umem, sizeof(umem));

	for (unsigned i = 0; i < sizeof(rings) / sizeof(rings[0]) && rc == 0; i++)
		rc = set(fd, rings[i], &(int){RING_SLOTS}, sizeof(int));
	if (rc == 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		rc = -errno;
	return rc;
}

void port_xdp_look(struct port_xdp_sockets *sockets) {
	for (int fd = 0; fd < PORT_XDP_MOST_FD; fd++) {
		int domain = 0;
		socklen_t length = sizeof(domain);
		sockets->has[fd] = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0
				   && domain == AF_XDP;
	}
}

int port_xdp_new_socket(const struct port_xdp_sockets *before) {
	struct port_xdp_sockets now;
	int found = -1;

	port_xdp_look(&now);
	for (int fd = 0; fd < PORT_XDP_MOST_FD; fd++) {
		if (!now.has[fd] || before->has[fd])
			continue;
		if (found >= 0)
			return -1;
		found = fd;
	}
	return found;
}

int port_xdp_try(const char *interface) {
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	void *memory =
		mmap(NULL,
		     N_PAGES * PAGE_BYTES,
		     PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS,
		     -1,
		     0);
	int rc = memory == MAP_FAILED ? 0 : try_queue(fd, if_nametoindex(interface), memory);
	close(fd);
	if (memory != MAP_FAILED)
		munmap(memory, N_PAGES * PAGE_BYTES);
	return rc == -EBUSY ? rc : 0;
}
