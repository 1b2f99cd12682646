#include "ring_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#undef NS_PER_S // rte_cycles.h has one of its own

#include "port_internal.h"
#include "wire.h"

enum {
	POOL_MBUFS = 3 * RING_PORT_FRAMES,
	POOL_CACHE = 256, // as in port_ethdev.c
	MAC_OCTETS = 12,
	CUT_OCTETS = 20,
};

struct ring_port {
	struct port port;
	struct port *device;
	struct rte_ring *ring;
	struct rte_mempool *pool;
	ring_port_fn on_empty;
	void *arg;
	unsigned n_left;
	unsigned n_spare;
	struct rte_mbuf *spare[RING_PORT_FRAMES]; // for the frames that come next
	struct ring_port_counts counts;
};

static void take_spare(struct ring_port *ring_port, unsigned n) {
	if (rte_pktmbuf_alloc_bulk(ring_port->pool, &ring_port->spare[ring_port->n_spare], n) != 0)
		abort(); // there are as many as can ever be in use
	ring_port->n_spare += n;
}

static unsigned ring_burst(struct port *base, unsigned queue, struct frame *frames) {
	struct ring_port *ring_port = (struct ring_port *)base;

	if (ring_port->n_left == 0 && !ring_port->on_empty(ring_port->arg))
		return 0;
	unsigned n = port_burst(ring_port->device, queue, frames);
	ring_port->n_left -= n;
	take_spare(ring_port, n);
	return n;
}

static void ring_release(struct port *base, unsigned queue) {
	port_release(((struct ring_port *)base)->device, queue);
}

static bool ring_settles(struct port *base) {
	(void)base;
	return false;
}

static void ring_close(struct port *base) {
	struct ring_port *ring_port = (struct ring_port *)base;

	port_close(ring_port->device);
	rte_ring_free(ring_port->ring);
	rte_mempool_free(ring_port->pool);
	free(ring_port);
}

static const struct port_ops ring_ops = {
	.burst = ring_burst,
	.release = ring_release,
	.settles = ring_settles,
	.close = ring_close,
};

// Makes a frame ARP and the next one that it is given short, in turn.
static void spoil(struct ring_port_counts *counts, struct rte_mbuf *mbuf) {
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);

	if (counts->not_ip == counts->cut) {
		wire_put16(data + MAC_OCTETS, RTE_ETHER_TYPE_ARP);
		counts->not_ip++;
	} else {
		mbuf->data_len = CUT_OCTETS;
		counts->cut++;
	}
}

void ring_port_put(struct ring_port *ring_port, const struct frame *frames, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *mbuf = ring_port->spare[i];
		memcpy(rte_pktmbuf_mtod(mbuf, void *), frames[i].data, frames[i].captured_bytes);
		mbuf->data_len = (uint16_t)frames[i].captured_bytes;
		mbuf->pkt_len = frames[i].wire_bytes;
		if (++ring_port->counts.packets % (RING_PORT_ODD_ONE_IN / 2) == 0)
			spoil(&ring_port->counts, mbuf);
	}
	if (rte_ring_enqueue_bulk(ring_port->ring, (void *const *)ring_port->spare, n, NULL) != n)
		abort(); // it was empty
	ring_port->n_left = n;
	// What was not used makes up for what is used less than full.
	ring_port->n_spare -= n;
	memmove(ring_port->spare,
		ring_port->spare + n,
		ring_port->n_spare * sizeof(ring_port->spare[0]));
}

unsigned ring_port_left(const struct ring_port *ring_port) {
	return ring_port->n_left;
}

void ring_port_counts(const struct ring_port *ring_port, struct ring_port_counts *counts) {
	*counts = ring_port->counts;
}

struct port *ring_port_port(struct ring_port *ring_port) {
	return &ring_port->port;
}

// Makes the ring, and the device over it, which DPDK then knows by name.
static int make_device(struct ring_port *ring_port, const char *name) {
	ring_port->ring = rte_ring_create(
		name,
		RING_PORT_FRAMES,
		SOCKET_ID_ANY,
		RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ
	);
	if (ring_port->ring == NULL)
		return -rte_errno;
	ring_port->pool = rte_pktmbuf_pool_create(
		name, POOL_MBUFS, POOL_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY
	);
	if (ring_port->pool == NULL)
		return -rte_errno;
	struct rte_ring *rings[] = {ring_port->ring};
	return rte_eth_from_rings(name, rings, 1, rings, 1, 0) < 0 ? -rte_errno : 0;
}

struct ring_port *ring_port_open(unsigned number, ring_port_fn on_empty, void *arg, char *error) {
	// Found by its name, which is how port_ethdev.c finds PCI devices.
	struct port_spec spec = {.driver = PORT_PCI};
	char name[16];

	struct ring_port *ring_port = calloc(1, sizeof(*ring_port));
	if (ring_port == NULL) {
		snprintf(error, PORT_ERROR_BYTES, "no memory");
		return NULL;
	}
	snprintf(name, sizeof(name), "bench%u", number);
	snprintf(spec.name, sizeof(spec.name), "net_ring_%s", name);
	snprintf(spec.device, sizeof(spec.device), "net_ring_%s", name);
	int rc = make_device(ring_port, name);
	if (rc < 0) {
		snprintf(error, PORT_ERROR_BYTES, "no ring device: %s", rte_strerror(-rc));
		ring_close(&ring_port->port);
		return NULL;
	}
	ring_port->device = port_open(&spec, 1, error);
	if (ring_port->device == NULL || port_start(ring_port->device, error) < 0) {
		ring_close(&ring_port->port);
		return NULL;
	}
	ring_port->port = *ring_port->device;
	ring_port->port.ops = &ring_ops;
	ring_port->on_empty = on_empty;
	ring_port->arg = arg;
	take_spare(ring_port, RING_PORT_FRAMES);
	return ring_port;
}
