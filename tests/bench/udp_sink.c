// Counts what an exporter really sent, for benches: a collector of NetFlow v5, v9 (RFC 3954) and
// IPFIX (RFC 7011) on loopback that decodes just enough to add up packets and octets.
//
//   udp_sink          prints {"port":N}; answers each line on standard input, once its socket
//                     is empty, with a line of JSON, and counts from 0 again; ends with the input
//   udp_sink FILE     the same line for a file of IPFIX messages
//
// Counters: `records` of data templates, the sums of elements 1 and 2 in them as `octets` and
// `packets`, `datagrams` and `datagram_octets`, `undecodable` (a set without a template, or one
// that is not whole), and `dropped`: what the kernel had no room for, which is not the
// exporter's fault.

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "wire.h"

enum {
	BATCH = 32,
	DATAGRAM_BYTES = 65536,
	BUFFER_BYTES = 512 << 20, // 1400 octets in it take about 4000
	SMALL_BUFFER_BYTES = 16 << 20,
	PAUSE_NS = 200000,
	MAX_TEMPLATES = 128,
	MAX_FIELDS = 128,

	NETFLOW5 = 5,
	NETFLOW5_HEADER_BYTES = 24,
	NETFLOW5_RECORD_BYTES = 48,
	IPFIX = 10,
	IN_BYTES = 1,
	IN_PKTS = 2,
	VARIABLE = 65535, // length of a field that says its own
};

struct template {
	uint32_t source;
	uint16_t id;
	bool options;
	bool variable;
	unsigned n_fields;
	size_t record_bytes; // the least that a record takes
	struct {
		uint16_t id, bytes; // id 0: not counted
		uint32_t offset;    // where no field before it is variable
	} fields[MAX_FIELDS];
	int octets, packets; // which field, -1 = none
};

struct counters {
	uint64_t datagrams, datagram_octets;
	uint64_t records, packets, octets;
	uint64_t undecodable;
};

static struct template templates[MAX_TEMPLATES];
static unsigned n_templates;
static struct counters counters;

// What is left of a message.
struct cursor {
	const uint8_t *at;
	size_t left;
};

static const uint8_t *take(struct cursor *cursor, size_t bytes) {
	if (bytes > cursor->left)
		return NULL;
	const uint8_t *at = cursor->at;
	cursor->at += bytes;
	cursor->left -= bytes;
	return at;
}

static struct template *find_template(uint32_t source, uint16_t id) {
	for (unsigned i = 0; i < n_templates; i++) {
		if (templates[i].id == id && templates[i].source == source)
			return &templates[i];
	}
	return NULL;
}

static struct template *begin_template(uint32_t source, uint16_t id, bool options) {
	struct template *template = find_template(source, id);

	if (template == NULL) {
		if (n_templates == MAX_TEMPLATES)
			return NULL;
		template = &templates[n_templates++];
	}
	*template = (struct template
	){.source = source, .id = id, .options = options, .octets = -1, .packets = -1};
	return template;
}

static bool take_field(struct cursor *set, struct template *template, bool ipfix) {
	const uint8_t *in = take(set, 4);

	if (in == NULL || template->n_fields == MAX_FIELDS)
		return false;
	uint16_t id = wire_get16(in), bytes = wire_get16(in + 2);
	if (ipfix && (id & 0x8000) != 0) { // an enterprise's own
		if (take(set, 4) == NULL)
			return false;
		id = 0;
	}
	bool number = bytes > 0 && bytes <= 8;
	if (id == IN_BYTES && number && template->octets < 0)
		template->octets = (int)template->n_fields;
	if (id == IN_PKTS && number && template->packets < 0)
		template->packets = (int)template->n_fields;
	template->fields[template->n_fields].id = id;
	template->fields[template->n_fields].bytes = bytes;
	template->fields[template->n_fields].offset = (uint32_t) template->record_bytes;
	template->n_fields++;
	template->variable |= ipfix &&bytes == VARIABLE;
	template->record_bytes += ipfix &&bytes == VARIABLE ? 1 : bytes;
	return true;
}

static bool take_templates(struct cursor *set, uint32_t source, bool ipfix, bool options) {
	while (set->left >= (options ? 6 : 4)) { // less is padding
		const uint8_t *in = take(set, options ? 6 : 4);
		uint16_t id = wire_get16(in);
		// NetFlow v9 gives the octets of an options template's two kinds of fields.
		unsigned n = options && !ipfix ? (wire_get16(in + 2) + wire_get16(in + 4)) / 4u
					       : wire_get16(in + 2);
		if (id < 256) // padding of four octets or more
			return id == 0;
		struct template *template = begin_template(source, id, options);
		if (template == NULL)
			return false;
		for (unsigned i = 0; i < n; i++) {
			if (!take_field(set, template, ipfix)) {
				template->record_bytes = 0;
				return false;
			}
		}
	}
	return true;
}

static uint64_t number(const uint8_t *in, size_t bytes) {
	uint64_t value = 0;
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | in[i];
	return value;
}

static uint64_t field_at(const uint8_t *record, const struct template *template, int field) {
	if (field < 0)
		return 0;
	return number(record + template->fields[field].offset, template->fields[field].bytes);
}

// A record with fields that say their own length.
static bool take_variable_record(struct cursor *set, const struct template *template) {
	uint64_t octets = 0, packets = 0;

	for (unsigned i = 0; i < template->n_fields; i++) {
		size_t bytes = template->fields[i].bytes;
		if (bytes == VARIABLE) {
			const uint8_t *in = take(set, 1);
			if (in == NULL)
				return false;
			bytes = in[0];
			if (bytes == 255) {
				in = take(set, 2);
				if (in == NULL)
					return false;
				bytes = wire_get16(in);
			}
		}
		const uint8_t *in = take(set, bytes);
		if (in == NULL)
			return false;
		if ((int)i == template->octets)
			octets = number(in, bytes);
		if ((int)i == template->packets)
			packets = number(in, bytes);
	}
	counters.records++;
	counters.octets += octets;
	counters.packets += packets;
	return true;
}

static bool take_records(struct cursor *set, uint32_t source, uint16_t id) {
	const struct template *template = find_template(source, id);

	if (template == NULL || template->record_bytes == 0)
		return false;
	if (template->options)
		return true;
	while (set->left >= template->record_bytes) {
		if (template->variable) {
			if (!take_variable_record(set, template))
				return false;
			continue;
		}
		const uint8_t *record = take(set, template->record_bytes);
		counters.records++;
		counters.octets += field_at(record, template, template->octets);
		counters.packets += field_at(record, template, template->packets);
	}
	return true;
}

// Cisco's fixed format: as many records as the header says, dPkts and dOctets at 16 and 20.
static void take_netflow5(const uint8_t *in, size_t bytes) {
	size_t n = bytes < NETFLOW5_HEADER_BYTES ? 0 : wire_get16(in + 2);

	if (bytes < NETFLOW5_HEADER_BYTES
	    || bytes - NETFLOW5_HEADER_BYTES < n * NETFLOW5_RECORD_BYTES) {
		counters.undecodable++;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const uint8_t *record = in + NETFLOW5_HEADER_BYTES + i * NETFLOW5_RECORD_BYTES;
		counters.records++;
		counters.packets += wire_get32(record + 16);
		counters.octets += wire_get32(record + 20);
	}
}

static void take_message(const uint8_t *in, size_t bytes) {
	struct cursor message = {in, bytes};
	bool ipfix = bytes >= 2 && wire_get16(in) == IPFIX;
	const uint8_t *header = take(&message, ipfix ? 16 : 20);

	counters.datagrams++;
	counters.datagram_octets += bytes;
	if (bytes >= 2 && wire_get16(in) == NETFLOW5) {
		take_netflow5(in, bytes);
		return;
	}
	if (header == NULL || (!ipfix && wire_get16(header) != 9)) {
		counters.undecodable++;
		return;
	}
	uint32_t source = wire_get32(header + (ipfix ? 12 : 16));
	while (message.left >= 4) {
		const uint8_t *head = take(&message, 4);
		uint16_t id = wire_get16(head), length = wire_get16(head + 2);
		const uint8_t *body = length < 4 ? NULL : take(&message, length - 4u);
		if (body == NULL) {
			counters.undecodable++;
			return;
		}
		struct cursor set = {body, length - 4u};
		bool good = true;
		if (id == (ipfix ? 2 : 0))
			good = take_templates(&set, source, ipfix, false);
		else if (id == (ipfix ? 3 : 1))
			good = take_templates(&set, source, ipfix, true);
		else if (id >= 256)
			good = take_records(&set, source, id);
		counters.undecodable += !good;
	}
}

static int report(uint64_t dropped) {
	printf("{\"datagrams\":%" PRIu64 ",\"datagram_octets\":%" PRIu64 ",\"records\":%" PRIu64
	       ",\"packets\":%" PRIu64 ",\"octets\":%" PRIu64 ",\"undecodable\":%" PRIu64
	       ",\"dropped\":%" PRIu64 "}\n",
	       counters.datagrams,
	       counters.datagram_octets,
	       counters.records,
	       counters.packets,
	       counters.octets,
	       counters.undecodable,
	       dropped);
	counters = (struct counters){0};
	n_templates = 0; // the next exporter sends its own
	return fflush(stdout) == 0 ? 0 : -errno;
}

static int fail(const char *what) {
	fprintf(stderr, "udp_sink: %s: %s\n", what, strerror(errno));
	return 1;
}

static int count_file(const char *name) {
	static uint8_t message[DATAGRAM_BYTES];
	FILE *in = fopen(name, "r");

	if (in == NULL)
		return fail(name);
	while (fread(message, 4, 1, in) == 1) {
		size_t bytes = wire_get16(message + 2);
		if (wire_get16(message) != IPFIX || bytes < 16
		    || fread(message + 4, bytes - 4, 1, in) != 1) {
			counters.undecodable++;
			break;
		}
		take_message(message, bytes);
	}
	fclose(in);
	return report(0) == 0 ? 0 : 1;
}

static int open_socket(int *buffer_bytes, unsigned *port) {
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t address_bytes = sizeof(address), bytes = sizeof(*buffer_bytes);
	int want = BUFFER_BYTES;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	// The first needs root, and passes net.core.rmem_max.
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof(want)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &want, sizeof(want));
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, buffer_bytes, &bytes) < 0
	    || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0
	    || getsockname(fd, (struct sockaddr *)&address, &address_bytes) < 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	*port = ntohs(address.sin_port);
	return fd;
}

// SO_RXQ_OVFL would tell with the next datagram, and after the last drop there may be none.
static uint32_t socket_drops(int fd) {
	uint32_t values[SK_MEMINFO_VARS] = {0};
	socklen_t bytes = sizeof(values);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &bytes);
	return values[SK_MEMINFO_DROPS];
}

// Takes what is in the socket. Returns how many datagrams, or a negative errno.
static int take_batch(int fd) {
	static uint8_t buffers[BATCH][DATAGRAM_BYTES];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH] = {0};

	for (unsigned i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){buffers[i], DATAGRAM_BYTES};
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		take_message(buffers[i], messages[i].msg_len);
	return n;
}

static int serve(void) {
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint32_t drops_before = 0;
	int buffer_bytes = 0;
	unsigned port = 0;
	int fd = open_socket(&buffer_bytes, &port);

	if (fd < 0) {
		errno = -fd;
		return fail("socket");
	}
	printf("{\"port\":%u,\"buffer_bytes\":%d}\n", port, buffer_bytes);
	fflush(stdout);

	// A sink that sleeps in the socket is woken by the exporter, who pays for it, and more
	// the faster he is; a collector elsewhere costs him nothing. So this one looks by itself,
	// where its buffer holds what comes meanwhile.
	struct pollfd wait[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {fd, POLLIN, 0}};
	nfds_t n_wait = buffer_bytes < SMALL_BUFFER_BYTES ? 2 : 1;
	bool asked = false;
	for (;;) {
		int n = take_batch(fd);
		if (n < 0) {
			errno = -n;
			close(fd);
			return fail("socket");
		}
		if (n > 0)
			continue;
		if (asked) {
			uint32_t drops = socket_drops(fd);
			if (report(drops - drops_before) < 0)
				break;
			drops_before = drops;
			asked = false;
		}
		if (ppoll(wait, n_wait, &pause, NULL) > 0 && wait[0].revents != 0) {
			char line[64];
			if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
				break;
			asked = true;
		}
	}
	close(fd);
	return 0;
}

int main(int argc, char **argv) {
	if (argc > 2) {
		fprintf(stderr, "usage: udp_sink [FILE]\n");
		return 2;
	}
	return argc == 2 ? count_file(argv[1]) : serve();
}
