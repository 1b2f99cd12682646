// A packet socket with a receive ring (packet(7), TPACKET_V3): the kernel fills blocks of the
// ring with frames as they come, one behind the other, and hands a block over when it is full or
// RETIRE_MS old. Frames are read where they lie.

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#include "port_internal.h"

enum {
	BLOCK_BYTES = 256 << 10, // holds the largest frame, which is one of 64 KiB before it is cut
	BLOCKS = 256,            // 64 MiB: half a second at 700,000 small packets/s
	FRAME_BYTES = 2048,      // what the kernel wants to hear; TPACKET_V3 packs frames densely
	RETIRE_MS = 10,
	LEAST_FRAME_SLOT = 144, // header, address, and a frame of 60 octets
	VLAN_TAG_BYTES = 4,
	MAC_BYTES = 12, // both addresses
};

struct port_socket {
	struct port port;
	int fd;
	char interface[IF_NAMESIZE];
	unsigned index;
	uint8_t *ring;

	unsigned block;  // being read
	uint32_t n_left; // frames of it that are to be read yet
	const struct tpacket3_hdr *next;
	bool to_return; // all of the block was given out

	struct port_losses losses; // PACKET_STATISTICS starts anew at each look
	time_ns_t stopped_ns;
};

static struct port_socket *of(struct port *port) {
	return (struct port_socket *)port;
}

static struct tpacket_block_desc *block_of(const struct port_socket *port, unsigned i) {
	return (struct tpacket_block_desc *)(port->ring + (size_t)i * BLOCK_BYTES);
}

static time_ns_t monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// Puts a tag that the kernel took out back to where it was. There is room in front of the frame:
// PACKET_RESERVE.
[[gnu::noinline]] static uint8_t *restore_tag(const struct tpacket3_hdr *header, uint8_t *data) {
	uint8_t *frame = data - VLAN_TAG_BYTES;
	uint16_t tpid = ETH_P_8021Q;

	if ((header->tp_status & TP_STATUS_VLAN_TPID_VALID) != 0)
		tpid = header->hv1.tp_vlan_tpid;
	rte_be16_t tag[2] = {rte_cpu_to_be_16(tpid), rte_cpu_to_be_16(header->hv1.tp_vlan_tci)};
	memmove(frame, data, MAC_BYTES);
	memcpy(frame + MAC_BYTES, tag, sizeof(tag));
	return frame;
}

static void take_frame(const struct tpacket3_hdr *header, bool tagged, struct frame *frame) {
	uint8_t *data = (uint8_t *)header + header->tp_mac;

	*frame = (struct frame){
		.captured_bytes = header->tp_snaplen,
		.wire_bytes = header->tp_len,
		.time_ns = header->tp_sec * NS_PER_S + header->tp_nsec,
	};
	if (unlikely(
		    tagged && header->tp_snaplen >= MAC_BYTES
		    && (header->tp_status & TP_STATUS_VLAN_VALID) != 0
	    )) {
		data = restore_tag(header, data);
		frame->captured_bytes += VLAN_TAG_BYTES;
		frame->wire_bytes += VLAN_TAG_BYTES;
	}
	frame->data = data;
}

// Moves on to the next block if the kernel has handed it over.
static bool next_block(struct port_socket *port) {
	struct tpacket_block_desc *block = block_of(port, port->block);

	// Acquire, with the kernel's barrier before it hands the block over: the frames are
	// written before.
	uint32_t status = __atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE);
	if ((status & TP_STATUS_USER) == 0)
		return false;
	port->n_left = block->hdr.bh1.num_pkts;
	port->next = (const struct tpacket3_hdr
			      *)((const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt);
	port->to_return = port->n_left == 0;
	return true;
}

static void socket_release(struct port *base, unsigned queue) {
	struct port_socket *port = of(base);

	(void)queue;
	if (!port->to_return)
		return;
	struct tpacket_block_desc *block = block_of(port, port->block);
	// Release: our reads of the frames come before the kernel's next writes.
	__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	port->block = (port->block + 1) % BLOCKS;
	port->to_return = false;
}

static unsigned socket_burst(struct port *base, unsigned queue, struct frame *frames) {
	struct port_socket *port = of(base);
	bool tagged = base->link == LINK_ETHERNET;

	if (port->n_left == 0 && !next_block(port))
		return 0;
	unsigned n = RTE_MIN(port->n_left, (uint32_t)PORT_BURST_FRAMES);
	const struct tpacket3_hdr *header = port->next;
	for (unsigned i = 0; i < n; i++) {
		take_frame(header, tagged, &frames[i]);
		header = (const struct tpacket3_hdr
				  *)((const uint8_t *)header + header->tp_next_offset);
		rte_prefetch0(header);
	}
	port->next = header;
	port->n_left -= n;
	port->to_return = port->n_left == 0;
	if (n == 0) // a block that was handed over with nothing in it
		socket_release(base, queue);
	return n;
}

static void socket_losses(struct port *base, struct port_losses *losses) {
	struct port_socket *port = of(base);
	struct tpacket_stats_v3 since = {0};
	socklen_t length = sizeof(since);

	if (getsockopt(port->fd, SOL_PACKET, PACKET_STATISTICS, &since, &length) == 0)
		port->losses.missed += since.tp_drops;
	*losses = port->losses;
}

static enum port_state socket_watch(struct port *base) {
	struct port_socket *port = of(base);
	return port_interface_state(port->fd, port->interface, port->index);
}

static void socket_stop(struct port *base) {
	struct port_socket *port = of(base);
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_fprog program = {.len = RTE_DIM(nothing), .filter = nothing};

	// What a filter turns away is not counted as lost.
	(void)setsockopt(port->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	port->stopped_ns = monotonic_ns();
}

// The block that was being filled is handed over when it is old enough.
static bool socket_settles(struct port *base) {
	return monotonic_ns() - of(base)->stopped_ns < 4 * RETIRE_MS * NS_PER_MS;
}

static void socket_close(struct port *base) {
	struct port_socket *port = of(base);

	if (port->ring != NULL)
		munmap(port->ring, (size_t)BLOCKS * BLOCK_BYTES);
	if (port->fd >= 0)
		close(port->fd);
	free(port);
}

static int socket_start(struct port *base, char *error) {
	struct port_socket *port = of(base);
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)port->index,
	};

	if (bind(port->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return port_fail(
			&base->spec, error, errno, "cannot be listened to: %s", strerror(errno)
		);
	return 0;
}

static const struct port_ops socket_ops = {
	.start = socket_start,
	.stop = socket_stop,
	.close = socket_close,
	.burst = socket_burst,
	.release = socket_release,
	.settles = socket_settles,
	.losses = socket_losses,
	.watch = socket_watch,
};

// The link layer of an interface by its ARP type, and whether it is loopback, on which a packet
// that was sent would be seen a second time as it is received.
static int look_at_interface(struct port_socket *port, bool *loopback, char *error) {
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", port->interface);
	if (ioctl(port->fd, SIOCGIFINDEX, &request) < 0)
		return port_fail(&port->port.spec, error, errno, "no interface '%s'; 'ip link' lists those that there are", port->interface);
	port->index = (unsigned)request.ifr_ifindex;
	// 16 bits on the wire; collectors refuse 0.
	port->port.in_if = (uint16_t)RTE_MIN(port->index, UINT16_MAX);

	if (ioctl(port->fd, SIOCGIFFLAGS, &request) < 0)
		return port_fail(&port->port.spec, error, errno, "%s", strerror(errno));
	if ((request.ifr_flags & IFF_UP) == 0)
		return port_fail(&port->port.spec, error, ENETDOWN, "the interface is down; 'ip link set %s up' brings it up", port->interface);
	if (ioctl(port->fd, SIOCGIFHWADDR, &request) < 0)
		return port_fail(&port->port.spec, error, errno, "%s", strerror(errno));
	*loopback = request.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
	switch (request.ifr_hwaddr.sa_family) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		port->port.link = LINK_ETHERNET;
		return 0;
	case ARPHRD_NONE: // tun, WireGuard
	case ARPHRD_PPP:
		port->port.link = LINK_RAW;
		return 0;
	}
	return port_fail(
		&port->port.spec,
		error,
		EPROTONOSUPPORT,
		"link layer %u is not one that weir reads live; Ethernet, loopback and tunnels of "
		"IP are",
		request.ifr_hwaddr.sa_family
	);
}

static int set(struct port_socket *port, int option, const void *value, socklen_t length) {
	return setsockopt(port->fd, SOL_PACKET, option, value, length) < 0 ? -errno : 0;
}

static int make_ring(struct port_socket *port, char *error) {
	const struct tpacket_req3 request = {
		.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = BLOCKS,
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = BLOCKS * (BLOCK_BYTES / FRAME_BYTES),
		.tp_retire_blk_tov = RETIRE_MS,
	};
	const int reserve = VLAN_TAG_BYTES;
	const int version = TPACKET_V3;

	int rc = set(port, PACKET_VERSION, &version, sizeof(version));
	if (rc == 0)
		rc = set(port, PACKET_RESERVE, &reserve, sizeof(reserve));
	if (rc == 0)
		rc = set(port, PACKET_RX_RING, &request, sizeof(request));
	if (rc < 0)
		return port_fail(
			&port->port.spec,
			error,
			-rc,
			"no receive ring of %d MiB: %s",
			BLOCKS * (BLOCK_BYTES >> 10) >> 10,
			strerror(-rc)
		);
	void *ring = mmap(
		NULL, (size_t)BLOCKS * BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, port->fd, 0
	);
	if (ring == MAP_FAILED)
		return port_fail(
			&port->port.spec, error, errno, "receive ring: %s", strerror(errno)
		);
	port->ring = ring;
	return 0;
}

static int prepare(struct port_socket *port, char *error) {
	bool loopback = false;
	int rc = look_at_interface(port, &loopback, error);

	if (rc == 0)
		rc = make_ring(port, error);
	if (rc < 0)
		return rc;
	// Promiscuous for as long as the socket lives, however weir ends.
	const struct packet_mreq promiscuous = {
		.mr_ifindex = (int)port->index,
		.mr_type = PACKET_MR_PROMISC,
	};
	rc = set(port, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous));
	if (rc < 0)
		return port_fail(
			&port->port.spec, error, -rc, "cannot be promiscuous: %s", strerror(-rc)
		);
	if (loopback)
		(void)set(port, PACKET_IGNORE_OUTGOING, &(int){1}, sizeof(int));
	// Makes the kernel note the time when a packet comes in rather than when it is handed to
	// us: the same time that every other socket sees.
	(void)setsockopt(port->fd, SOL_SOCKET, SO_TIMESTAMPNS, &(int){1}, sizeof(int));
	return 0;
}

struct port *port_socket_open(const struct port_spec *spec, char *error) {
	struct port_socket *port = calloc(1, sizeof(*port));
	if (port == NULL) {
		port_fail(spec, error, ENOMEM, "no memory");
		return NULL;
	}
	port->port = (struct port){
		.ops = &socket_ops,
		.spec = *spec,
		.driver = "packet socket",
		.n_queues = 1,
		.room = BLOCKS * (BLOCK_BYTES / LEAST_FRAME_SLOT),
	};
	snprintf(port->interface, sizeof(port->interface), "%.*s", IF_NAMESIZE - 1, spec->device);

	// Protocol 0: nothing comes before it is asked for.
	port->fd = port->port.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (port->fd < 0) {
		port_fail(
			spec,
			error,
			errno,
			errno == EPERM ? "listening to an interface needs root, or CAP_NET_RAW: "
					 "'setcap cap_net_raw+ep' on weir, or run it with sudo"
				       : "no packet socket: %m"
		);
		socket_close(&port->port);
		return NULL;
	}
	if (prepare(port, error) < 0) {
		socket_close(&port->port);
		return NULL;
	}
	return &port->port;
}
