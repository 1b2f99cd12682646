// An Ethernet device of DPDK.

// rte_eth_read_clock() has been there since 19.05, unchanged.
#define ALLOW_EXPERIMENTAL_API

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_branch_prediction.h>
#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_prefetch.h>

#undef NS_PER_S // rte_cycles.h has one of its own

#include "eal.h"
#include "live_clock.h"
#include "port_internal.h"
#include "port_xdp.h"

enum {
	RX_DESCRIPTORS = 4096,
	TX_DESCRIPTORS = 64, // some drivers want a transmit queue; nothing is sent
	POOL_CACHE = 256,    // mbufs that a thread keeps at hand
	JUMBO_MTU = 9600,
	RSS_KEY_BYTES = 40,
	MAC_BYTES = 12,
	VLAN_TAG_BYTES = 4,
};

struct port_ethdev {
	struct port port;
	uint16_t id;
	bool opened, started, vanished;
	char interface[IF_NAMESIZE]; // "" where the kernel does not know it
	unsigned index;
	int fd; // to ask for its state; in the sandbox no socket can be made. -1 = none
	struct rte_mempool *pool;
	struct rte_eth_stats at_start;
	struct burst {
		struct rte_mbuf *mbufs[PORT_BURST_FRAMES];
		unsigned n;
	} bursts[PORT_MAX_QUEUES];
	// Where the device stamps packets: by which flag and field of an mbuf, and the device's
	// counter as wall clock, once for each queue, since each has a thread of its own.
	uint64_t stamp_flag; // 0 = it does not
	int stamp_offset;
	struct live_clock clocks[PORT_MAX_QUEUES];
};

// Repeating every two octets makes Toeplitz's hash the same for both directions of a flow (Woo
// and Park, 2012, "Scalable TCP session monitoring with symmetric receive-side scaling").
static uint8_t symmetric_key[RSS_KEY_BYTES];

static const uint64_t wanted_rss =
	RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP;

static struct port_ethdev *of(struct port *port) {
	return (struct port_ethdev *)port;
}

// Puts a tag that the device took out back to where it was: into the mbuf's headroom.
[[gnu::noinline]] static void restore_tag(struct rte_mbuf *mbuf, uint16_t tci) {
	if (rte_pktmbuf_headroom(mbuf) < VLAN_TAG_BYTES || mbuf->data_len < MAC_BYTES)
		return;
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint8_t *frame = (uint8_t *)rte_pktmbuf_prepend(mbuf, VLAN_TAG_BYTES);
	rte_be16_t tag[2] = {
		rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN),
		rte_cpu_to_be_16(tci),
	};
	memmove(frame, data, MAC_BYTES);
	memcpy(frame + MAC_BYTES, tag, sizeof(tag));
}

static unsigned ethdev_burst(struct port *base, unsigned queue, struct frame *frames) {
	struct port_ethdev *port = of(base);
	struct burst *burst = &port->bursts[queue];

	burst->n = rte_eth_rx_burst(port->id, (uint16_t)queue, burst->mbufs, PORT_BURST_FRAMES);
	for (unsigned i = 0; i < burst->n; i++) {
		struct rte_mbuf *mbuf = burst->mbufs[i];
		if (unlikely((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0)) {
			restore_tag(mbuf, mbuf->vlan_tci);
			if ((mbuf->ol_flags & RTE_MBUF_F_RX_QINQ_STRIPPED) != 0)
				restore_tag(mbuf, mbuf->vlan_tci_outer);
		}
		// Of a packet in several buffers the first holds all headers.
		frames[i] = (struct frame){
			.data = rte_pktmbuf_mtod(mbuf, const uint8_t *),
			.captured_bytes = mbuf->data_len,
			.wire_bytes = mbuf->pkt_len,
		};
		rte_prefetch0(frames[i].data);
		if ((mbuf->ol_flags & port->stamp_flag) != 0)
			frames[i].time_ns = live_clock_at(
				&port->clocks[queue],
				*RTE_MBUF_DYNFIELD(mbuf, port->stamp_offset, rte_mbuf_timestamp_t *)
			);
	}
	return burst->n;
}

static void ethdev_release(struct port *base, unsigned queue) {
	struct burst *burst = &of(base)->bursts[queue];

	rte_pktmbuf_free_bulk(burst->mbufs, burst->n);
	burst->n = 0;
}

static void ethdev_losses(struct port *base, struct port_losses *losses) {
	struct port_ethdev *port = of(base);
	struct rte_eth_stats now;

	*losses = (struct port_losses){0};
	if (rte_eth_stats_get(port->id, &now) != 0)
		return;
	// The counters run from the device's start, which may be another program's.
	losses->missed = now.imissed - port->at_start.imissed;
	losses->errors = now.ierrors - port->at_start.ierrors;
	losses->no_mbuf = now.rx_nombuf - port->at_start.rx_nombuf;
}

static enum port_state ethdev_watch(struct port *base) {
	struct port_ethdev *port = of(base);
	struct rte_eth_link link;

	if (port->interface[0] != '\0')
		return port_interface_state(port->fd, port->interface, port->index);
	if (rte_eth_dev_is_removed(port->id) != 0)
		return PORT_VANISHED;
	if (rte_eth_link_get_nowait(port->id, &link) != 0)
		return PORT_UP;
	return link.link_status == RTE_ETH_LINK_UP ? PORT_UP : PORT_DOWN;
}

// The device goes on until it is closed: what it holds is to be read yet.
static void ethdev_stop(struct port *base) {
	(void)base;
}

static bool ethdev_settles(struct port *base) {
	(void)base;
	return false;
}

static void ethdev_close(struct port *base) {
	struct port_ethdev *port = of(base);

	eal_mute();
	if (port->started) {
		(void)rte_eth_promiscuous_disable(port->id);
		(void)rte_eth_dev_stop(port->id);
	}
	if (port->opened)
		(void)rte_eth_dev_close(port->id);
	eal_unmute();
	rte_mempool_free(port->pool);
	if (port->fd >= 0)
		close(port->fd);
	free(port);
}

static int read_device_clock(void *arg, uint64_t *ticks) {
	const struct port_ethdev *port = arg;
	return rte_eth_read_clock(port->id, ticks);
}

static void ethdev_look_at_clock(struct port *base, unsigned queue, time_ns_t interval_ns) {
	struct port_ethdev *port = of(base);

	if (port->stamp_flag != 0)
		live_clock_look_device(&port->clocks[queue], interval_ns, read_device_clock, port);
}

// A device that stamps packets is no use without its counter.
static void start_clocks(struct port_ethdev *port) {
	for (unsigned i = 0; i < port->port.n_queues && port->stamp_flag != 0; i++)
		if (live_clock_start_device(&port->clocks[i], read_device_clock, port) < 0)
			port->stamp_flag = 0;
}

static int ethdev_start(struct port *base, char *error) {
	struct port_ethdev *port = of(base);

	eal_mark();
	eal_mute();
	int rc = rte_eth_dev_start(port->id);
	eal_unmute();
	if (rc < 0)
		return port_fail(&base->spec, error, -rc, "cannot be started: %s", eal_complaint());
	port->started = true;
	rc = rte_eth_promiscuous_enable(port->id);
	// What has no filter of addresses sees everything anyway.
	if (rc < 0 && rc != -ENOTSUP)
		return port_fail(
			&base->spec, error, -rc, "cannot be promiscuous: %s", strerror(-rc)
		);
	(void)rte_eth_stats_get(port->id, &port->at_start);
	start_clocks(port);
	return 0;
}

static const struct port_ops ethdev_ops = {
	.start = ethdev_start,
	.stop = ethdev_stop,
	.close = ethdev_close,
	.burst = ethdev_burst,
	.release = ethdev_release,
	.settles = ethdev_settles,
	.losses = ethdev_losses,
	.watch = ethdev_watch,
	.look_at_clock = ethdev_look_at_clock,
};

// Whether the device, once configured, spreads packets as it was told.
static bool spreads_symmetrically(uint16_t id) {
	uint8_t key[RSS_KEY_BYTES] = {0};
	struct rte_eth_rss_conf conf = {.rss_key = key, .rss_key_len = sizeof(key)};

	return rte_eth_dev_rss_hash_conf_get(id, &conf) == 0
	       && memcmp(key, symmetric_key, sizeof(key)) == 0
	       && (conf.rss_hf & RTE_ETH_RSS_IP) != 0 && (conf.rss_hf & ~wanted_rss) == 0;
}

static int
configure_queues(struct port_ethdev *port, const struct rte_eth_dev_info *info, unsigned n_queues) {
	struct rte_eth_conf conf = {0};

	if (n_queues > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){
			.rss_key = symmetric_key,
			.rss_key_len = RSS_KEY_BYTES,
			.rss_hf = wanted_rss & info->flow_type_rss_offloads,
		};
	}
	// An interface of the kernel keeps the MTU that its owner gave it.
	if (info->if_index == 0) {
		conf.rxmode.mtu = RTE_MIN(info->max_mtu, JUMBO_MTU);
		conf.rxmode.offloads = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	}
	conf.rxmode.offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_TIMESTAMP;
	if ((conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TIMESTAMP) != 0
	    && rte_mbuf_dyn_rx_timestamp_register(&port->stamp_offset, &port->stamp_flag) < 0)
		port->stamp_flag = 0;
	return rte_eth_dev_configure(port->id, (uint16_t)n_queues, 1, &conf);
}

// As many queues as were asked for, or one.
static int
configure(struct port_ethdev *port, const struct rte_eth_dev_info *info, unsigned n_queues) {
	memset(symmetric_key, 0x6d, sizeof(symmetric_key));
	for (unsigned i = 1; i < sizeof(symmetric_key); i += 2)
		symmetric_key[i] = 0x5a;

	if (n_queues > info->max_rx_queues || n_queues > PORT_MAX_QUEUES
	    || info->hash_key_size != RSS_KEY_BYTES)
		n_queues = 1;
	if (n_queues > 1 && configure_queues(port, info, n_queues) == 0
	    && spreads_symmetrically(port->id)) {
		port->port.n_queues = n_queues;
		return 0;
	}
	port->port.n_queues = 1;
	return configure_queues(port, info, 1);
}

static int set_up(struct port_ethdev *port, unsigned n_queues, char *error) {
	const struct port_spec *spec = &port->port.spec;
	struct rte_eth_dev_info info;
	uint16_t n_rx = RX_DESCRIPTORS, n_tx = TX_DESCRIPTORS;
	char name[RTE_MEMPOOL_NAMESIZE];

	int rc = rte_eth_dev_info_get(port->id, &info);
	if (rc < 0)
		return port_fail(spec, error, -rc, "is no device for packets");
	snprintf(port->port.driver, sizeof(port->port.driver), "%s", info.driver_name);
	if (info.if_index != 0 && if_indextoname(info.if_index, port->interface) != NULL) {
		port->index = info.if_index;
		port->port.in_if = (uint16_t)RTE_MIN(port->index, UINT16_MAX);
		port->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	}
	rc = configure(port, &info, n_queues);
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &n_rx, &n_tx);
	if (rc < 0)
		return port_fail(spec, error, -rc, "cannot be configured: %s", eal_complaint());
	port->port.room = n_rx;

	// AF_XDP lends a whole ring of buffers to the kernel, twice.
	unsigned n_mbufs = port->port.n_queues * (3 * n_rx + POOL_CACHE * 2) + PORT_BURST_FRAMES;
	snprintf(name, sizeof(name), "weir-port-%u", port->id);
	port->pool = rte_pktmbuf_pool_create(
		name,
		n_mbufs,
		POOL_CACHE,
		0,
		RTE_MBUF_DEFAULT_BUF_SIZE,
		rte_eth_dev_socket_id(port->id)
	);
	if (port->pool == NULL)
		return port_fail(
			spec,
			error,
			rte_errno,
			"no memory for %u packet buffers: %s",
			n_mbufs,
			rte_strerror(rte_errno)
		);
	for (unsigned i = 0; i < port->port.n_queues && rc == 0; i++)
		rc = rte_eth_rx_queue_setup(
			port->id,
			(uint16_t)i,
			n_rx,
			(unsigned)rte_eth_dev_socket_id(port->id),
			NULL,
			port->pool
		);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(
			port->id, 0, n_tx, (unsigned)rte_eth_dev_socket_id(port->id), NULL
		);
	if (rc < 0)
		return port_fail(spec, error, -rc, "cannot set up its queues: %s", eal_complaint());
	return 0;
}

// Makes the virtual device that a spec names. The name of AF_XDP's is ours to choose.
static int make_device(const struct port_spec *spec, char *name, size_t name_bytes, char *error) {
	static unsigned n_made;
	char arguments[PORT_SPEC_BYTES + 32];

	snprintf(name, name_bytes, "%s", spec->device);
	if (spec->driver == PORT_PCI)
		return 0;
	snprintf(arguments, sizeof(arguments), "%s", spec->arguments);
	if (spec->driver == PORT_AF_XDP) {
		if (if_nametoindex(spec->device) == 0)
			return port_fail(
				spec,
				error,
				ENODEV,
				"no interface '%s'; 'ip link' lists those that there are",
				spec->device
			);
		if (!port_interface_is_up(spec->device))
			return port_fail(
				spec,
				error,
				ENETDOWN,
				"the interface is down; 'ip link set %s up' brings it up",
				spec->device
			);
		if (port_xdp_try(spec->device) < 0)
			return port_fail(
				spec,
				error,
				EBUSY,
				"another program has AF_XDP on it; stop that, or use af_packet:%s, "
				"which shares",
				spec->device
			);
		snprintf(name, name_bytes, "net_af_xdp%u", n_made++);
		snprintf(arguments, sizeof(arguments), "iface=%s,busy_budget=0", spec->device);
	}
	int rc = rte_vdev_init(name, arguments);
	if (rc == 0)
		return 0;
	// Where the driver said nothing, there is likely none: for that DPDK returns just -1.
	if (eal_complaint()[0] == '\0')
		return port_fail(
			spec,
			error,
			ENODEV,
			"DPDK cannot open it: it has no driver '%s', or not with these arguments; "
			"'weir doctor' lists where its drivers are",
			name
		);
	return port_fail(spec, error, -rc, "DPDK cannot open it: %s", eal_complaint());
}

static int open_device(struct port_ethdev *port, unsigned n_queues, char *error) {
	const struct port_spec *spec = &port->port.spec;
	struct port_xdp_sockets sockets;
	char name[PORT_SPEC_BYTES];

	if (spec->driver == PORT_AF_XDP)
		port_xdp_look(&sockets);
	int rc = make_device(spec, name, sizeof(name), error);
	if (rc < 0)
		return rc;
	rc = rte_eth_dev_get_port_by_name(name, &port->id);
	if (rc < 0)
		return port_fail(
			spec,
			error,
			ENODEV,
			spec->driver == PORT_PCI ? "no such device is bound to a driver of DPDK; "
						   "'dpdk-devbind.py --status' lists them"
						 : "has no Ethernet device"
		);
	port->opened = true;
	port->port.in_if = (uint16_t)(port->id + 1);
	rc = set_up(port, n_queues, error);
	// DPDK keeps to itself what a quiet reader can wait for.
	if (rc == 0 && spec->driver == PORT_AF_XDP)
		port->port.fd = port_xdp_new_socket(&sockets);
	return rc;
}

struct port *port_ethdev_open(const struct port_spec *spec, unsigned n_queues, char *error) {
	struct port_ethdev *port = calloc(1, sizeof(*port));
	if (port == NULL) {
		port_fail(spec, error, ENOMEM, "no memory");
		return NULL;
	}
	port->fd = -1;
	port->port = (struct port){
		.ops = &ethdev_ops,
		.spec = *spec,
		.link = LINK_ETHERNET,
		.fd = -1,
	};
	eal_mark();
	eal_mute();
	int rc = open_device(port, n_queues, error);
	eal_unmute();
	if (rc < 0) {
		ethdev_close(&port->port);
		return NULL;
	}
	return &port->port;
}
