#include "record_sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include "clock.h"
#include "wire.h"

enum {
	SINK_CORE = 1,
	BATCH = 64,
	DATAGRAM_BYTES = 2048,
	HEADER_BYTES = 20,
};

// The flow records of a datagram that begins with the template FlowSet, by the lengths that its
// templates say. What is told by options has templates of another kind.
static unsigned records_beside_templates(const uint8_t *in, size_t bytes) {
	struct {
		unsigned id, bytes;
	} layouts[8];
	unsigned n_layouts = 0, n = 0;

	for (size_t at = HEADER_BYTES; at + 4 <= bytes && wire_get16(in + at + 2) >= 4;
	     at += wire_get16(in + at + 2)) {
		size_t end = at + wire_get16(in + at + 2);
		for (size_t i = at + 4; wire_get16(in + at) == 0 && i + 4 <= end && n_layouts < 8;
		     n_layouts++) {
			unsigned n_fields = wire_get16(in + i + 2);
			layouts[n_layouts].id = wire_get16(in + i);
			layouts[n_layouts].bytes = 0;
			for (i += 4; n_fields > 0; n_fields--, i += 4)
				layouts[n_layouts].bytes += wire_get16(in + i + 2);
		}
		for (unsigned i = 0; i < n_layouts; i++)
			if (layouts[i].id == wire_get16(in + at))
				n += (unsigned)(end - at - 4) / layouts[i].bytes;
	}
	return n;
}

static void *run(void *arg) {
	struct record_sink *sink = arg;
	static uint8_t octets[BATCH][DATAGRAM_BYTES];
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
			if (wire_get16(octets[i] + HEADER_BYTES) == 0)
				records += records_beside_templates(octets[i], messages[i].msg_len);
			else if (wire_get16(octets[i] + HEADER_BYTES) >= 256)
				records += wire_get16(octets[i] + 2);
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
