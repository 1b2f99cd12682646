// A DPDK port in the sandbox, from its start to its close: what a driver yet needs of the kernel
// shows here.
//
//     sandbox_port PACKETS CAPABILITIES XDP -- EAL arguments
//
// Prints "ready" when packets may come, and what it received and has become at the end.

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "sandbox.h"

static int port_start(uint16_t port, struct rte_mempool *pool) {
	const struct rte_eth_conf conf = {0};
	int rc = rte_eth_dev_configure(port, 1, 1, &conf);

	if (rc == 0)
		rc = rte_eth_rx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL, pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(port);
	if (rc == 0)
		rc = rte_eth_promiscuous_enable(port);
	return rc;
}

static uint64_t receive(uint16_t port, uint64_t wanted) {
	struct rte_mbuf *burst[32];
	uint64_t n_packets = 0;

	while (n_packets < wanted) {
		uint16_t n = rte_eth_rx_burst(port, 0, burst, 32);
		rte_pktmbuf_free_bulk(burst, n);
		n_packets += n;
		if (n == 0)
			usleep(100);
	}
	return n_packets;
}

int main(int argc, char **argv) {
	char error[SANDBOX_ERROR_BYTES];
	struct sandbox_config config = {0};
	struct sandbox_state state;
	struct rte_eth_stats stats;
	struct rte_eth_link link;

	if (argc < 5) {
		fprintf(stderr, "usage: sandbox_port PACKETS CAPABILITIES XDP -- EAL...\n");
		return 2;
	}
	uint64_t wanted = strtoull(argv[1], NULL, 10);
	config.capabilities = strtoull(argv[2], NULL, 16);
	config.xdp = strcmp(argv[3], "xdp") == 0;
	if (rte_eal_init(argc - 4, argv + 4) < 0) {
		fprintf(stderr, "EAL: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create("p", 8191, 256, 0, 2048 + 128, SOCKET_ID_ANY);
	if (pool == NULL)
		return 1;
	int rc = port_start(0, pool);
	if (rc < 0) {
		fprintf(stderr, "port: %s\n", strerror(-rc));
		return 1;
	}
	if (sandbox_enter(&config, &state, error) < 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	uint64_t n_packets = receive(0, wanted);
	int link_rc = rte_eth_link_get_nowait(0, &link);
	int stats_rc = rte_eth_stats_get(0, &stats);
	int promiscuous_rc = rte_eth_promiscuous_disable(0);
	int stop_rc = rte_eth_dev_stop(0);
	int close_rc = rte_eth_dev_close(0);
	rte_eal_cleanup();
	printf("packets %" PRIu64 " counted %" PRIu64 " link %d/%d stats %d promiscuous %d stop %d "
	       "close %d uid %u user %s capabilities %" PRIx64 " others %u\n",
	       n_packets,
	       stats.ipackets,
	       link_rc,
	       link.link_status,
	       stats_rc,
	       promiscuous_rc,
	       stop_rc,
	       close_rc,
	       getuid(),
	       state.user,
	       state.capabilities,
	       state.n_threads_with_capabilities);
	return 0;
}
