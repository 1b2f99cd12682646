// Feeds DPDK's net_ring0 of the weir run that it is linked into. What goes into such a device comes
// from the process that reads it: weir_on_ring is all of weir and one thread more, which sends what
// churn sends (churn_frames.h). It is there where the environment says
//
//   WEIR_RING_FEED="FOLDER RATE FLOWS NEW SEED"
//
// and FOLDER has the FIFOs `control`, in which a letter is a command, and `answers`:
//
//   g  goes on; at first it is held
//   h  holds; the answer is "held"
//   e  ends, once weir has taken all that is in the ring; the answer is churn's line of JSON
//
// The thread begins with the device, before weir is in its sandbox, in which it goes on. Frames
// that the ring has no room for are counted as refused. Nothing it has grows: its mbufs are touched
// first.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#undef NS_PER_S // rte_cycles.h has one of its own

#include "churn_frames.h"

enum {
	MBUFS = 2047, // twice the ring
	ROOM_OCTETS = RTE_PKTMBUF_HEADROOM + 640,
	BATCH = 64,
	HELD_US = 2000,
	FOLDER_BYTES = 256,
};

struct feed {
	struct churn churn;
	int control, answers;
	struct rte_ring *ring;
	struct rte_mempool *pool;
};

int __real_rte_eth_dev_start(uint16_t id);
int __wrap_rte_eth_dev_start(uint16_t id);

static void answer(const struct feed *feed, const char *text) {
	if (write(feed->answers, text, strlen(text)) < 0)
		abort(); // the soak would wait for ever
}

static void send_one(struct feed *feed) {
	uint8_t frame[CHURN_MOST_OCTETS];
	bool strange;
	unsigned octets = churn_frame(&feed->churn, frame, &strange);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(feed->pool);

	if (mbuf != NULL) {
		memcpy(rte_pktmbuf_append(mbuf, (uint16_t)octets), frame, octets);
		if (rte_ring_enqueue(feed->ring, mbuf) == 0) {
			churn_sent(&feed->churn, octets, strange);
			return;
		}
		rte_pktmbuf_free(mbuf);
	}
	feed->churn.counts.refused++;
}

static void *feed_ring(void *arg) {
	struct feed *feed = arg;
	unsigned n = churn_at_once(&feed->churn, BATCH);
	time_ns_t due_ns = 0;
	bool held = true;
	char command = 0, text[256];

	while (command != 'e') {
		// Nobody writes most of the time.
		if (read(feed->control, &command, 1) == 1) {
			held = command == 'h';
			if (held)
				answer(feed, "held\n");
			continue;
		}
		due_ns = churn_due_ns(&feed->churn, due_ns, n);
		if (held) {
			usleep(HELD_US);
			continue;
		}
		churn_wait(due_ns);
		for (unsigned i = 0; i < n; i++)
			send_one(feed);
	}
	while (rte_mempool_in_use_count(feed->pool) > 0)
		usleep(HELD_US);
	churn_tell(&feed->churn, text, sizeof(text));
	answer(feed, text);
	return NULL;
}

static int open_fifo(const char *folder, const char *name) {
	char path[FOLDER_BYTES + 16];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	// For both: there is then no end of it, and no wait for the other side.
	return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static void touch(struct rte_mempool *pool) {
	static struct rte_mbuf *mbufs[MBUFS];

	if (rte_pktmbuf_alloc_bulk(pool, mbufs, MBUFS) != 0)
		abort();
	for (unsigned i = 0; i < MBUFS; i++) {
		memset(mbufs[i]->buf_addr, 0, mbufs[i]->buf_len);
		rte_pktmbuf_free(mbufs[i]);
	}
}

static const char *begin(const char *wanted) {
	static struct feed feed;
	char folder[FOLDER_BYTES];
	unsigned long long rate, flows, new, seed;
	pthread_t thread;

	if (sscanf(wanted, "%255s %llu %llu %llu %llu", folder, &rate, &flows, &new, &seed) != 5
	    || !churn_begin(&feed.churn, rate, flows, new, seed))
		return "WEIR_RING_FEED is not understood";
	feed.control = open_fifo(folder, "control");
	feed.answers = open_fifo(folder, "answers");
	if (feed.control < 0 || feed.answers < 0)
		return "its FIFOs cannot be opened";
	feed.ring = rte_ring_lookup("ETH_RXTX0_net_ring0");
	if (feed.ring == NULL)
		return "net_ring0 has no ring";
	feed.pool = rte_pktmbuf_pool_create("ring feed", MBUFS, 0, 0, ROOM_OCTETS, SOCKET_ID_ANY);
	if (feed.pool == NULL)
		return "no memory for mbufs";
	touch(feed.pool);
	return pthread_create(&thread, NULL, feed_ring, &feed) == 0 ? NULL : "no thread";
}

// Stands for DPDK's where weir calls it (ld --wrap).
int __wrap_rte_eth_dev_start(uint16_t id) {
	const char *wanted = getenv("WEIR_RING_FEED"), *wrong;
	char name[RTE_ETH_NAME_MAX_LEN];

	int rc = __real_rte_eth_dev_start(id);
	if (rc != 0 || wanted == NULL || rte_eth_dev_get_name_by_port(id, name) != 0
	    || strcmp(name, "net_ring0") != 0)
		return rc;
	wrong = begin(wanted);
	if (wrong != NULL) {
		fprintf(stderr, "ring feed: %s\n", wrong);
		exit(2);
	}
	return 0;
}
