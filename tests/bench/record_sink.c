#include "record_sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

#include "clock.h"
#include "wire.h"

enum {
	SINK_CORE = 1,
	BATCH = 64,
	TEMPLATE_RECORDS = 6, // of templates and options in a datagram that has them
};

static void *run(void *arg) {
	struct record_sink *sink = arg;
	uint8_t octets[BATCH][32]; // the header, and of what follows as much as is of use
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(SINK_CORE, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	for (unsigned i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){octets[i], sizeof(octets[i])};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	for (;;) {
		// Never asleep in the socket: to be woken would be on the sender's bill, and a
		// wire does not do that.
		int n = recvmmsg(sink->socket, messages, BATCH, MSG_DONTWAIT, NULL);
		uint64_t records = 0;
		if (n < 0 && errno == EAGAIN) {
			nanosleep(&(struct timespec){.tv_nsec = 20 * NS_PER_US}, NULL);
			continue;
		}
		if (n < 0)
			return NULL; // the bench misses the datagrams
		for (int i = 0; i < n; i++) {
			// A datagram that begins with the template FlowSet is counted without it.
			bool templates = wire_get16(octets[i] + 20) == 0;
			records += wire_get16(octets[i] + 2) - (templates ? TEMPLATE_RECORDS : 0u);
		}
		// Release, with the acquire of those who wait for datagrams: records before them.
		atomic_fetch_add_explicit(&sink->records, records, memory_order_relaxed);
		atomic_fetch_add_explicit(&sink->datagrams, (uint64_t)n, memory_order_release);
	}
}

int record_sink_open(struct record_sink *sink, int buffer_bytes) {
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);

	sink->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sink->socket < 0 || bind(sink->socket, (struct sockaddr *)&address, bytes) != 0
	    || getsockname(sink->socket, (struct sockaddr *)&address, &bytes) != 0
	    || setsockopt(sink->socket, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(int))
		       != 0)
		return -errno;
	sink->port = ntohs(address.sin_port);
	return -pthread_create(&sink->thread, NULL, run, sink);
}
