// Drives the encoders through 120 days in an instant: both wraps of an uptime of 32 bits, those of
// the signed and of the unsigned one, and each change of the epoch.
//
//   time_travel DIR
//
// writes DIR/v9.pcap and DIR/ipfix.pcap, the datagrams at the moments when they would have been
// sent, and DIR/truth.json, what each record holds: [packets, first ms, last ms]. Records are told
// apart by their packets. tests/interop has collectors read them.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "encoder.h"
#include "wire.h"

enum {
	DATAGRAM_BYTES = 1400,
	PORT = 2055,
	RAW_IP = 101, // LINKTYPE_RAW
	IP_BYTES = 20,
	UDP_BYTES = 8,
};

// The pace is no whole number of seconds, so that the milliseconds come by in all combinations.
#define BEGIN_MS INT64_C(1790000000123)
#define DAYS INT64_C(120)
#define STEP_MS INT64_C(1197137)
#define FLUSH_MS 1000
#define TEMPLATES_MS (60 * 60 * 1000)

struct travel {
	FILE *v9, *ipfix, *truth;
	int64_t now_ms;
	unsigned n; // records
};

static void fail(const char *what) {
	fprintf(stderr, "time_travel: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put(FILE *file, const void *octets, size_t n) {
	if (fwrite(octets, 1, n, file) != n)
		fail("writing");
}

static FILE *open_in(const char *dir, const char *name) {
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *file = fopen(path, "wbe");
	if (file == NULL)
		fail(path);
	return file;
}

static FILE *open_capture(const char *dir, const char *name) {
	FILE *file = open_in(dir, name);
	const uint32_t head[] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, RAW_IP};
	put(file, head, sizeof(head));
	return file;
}

static uint16_t checksum(const uint8_t *octets) {
	uint32_t sum = 0;
	for (int i = 0; i < IP_BYTES; i += 2)
		sum += wire_get16(octets + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

// A packet of a capture: RFC 791 and RFC 768, without the latter's checksum.
static void put_datagram(FILE *file, int64_t now_ms, const uint8_t *octets, size_t n) {
	uint8_t head[IP_BYTES + UDP_BYTES] = {0x45};
	uint8_t *udp = head + IP_BYTES;
	uint32_t size = (uint32_t)(sizeof(head) + n);

	wire_put16(head + 2, (uint16_t)size);
	head[8] = 64;
	head[9] = 17;
	memcpy(head + 12, (uint8_t[]){127, 0, 0, 1, 127, 0, 0, 1}, 8);
	wire_put16(head + 10, checksum(head));
	wire_put16(udp, 40000);
	wire_put16(udp + 2, PORT);
	wire_put16(udp + 4, (uint16_t)(UDP_BYTES + n));
	const uint32_t record[] = {
		(uint32_t)(now_ms / 1000), (uint32_t)(now_ms % 1000 * 1000), size, size};
	put(file, record, sizeof(record));
	put(file, head, sizeof(head));
	put(file, octets, n);
}

static void take(FILE *file, int64_t now_ms, const struct export_run *run) {
	for (unsigned i = 0; i < run->n_datagrams; i++) {
		struct export_run one = export_run_part(run, i, 1);
		put_datagram(file, now_ms, one.octets, export_run_bytes(&one));
	}
}

static void take_v9(const struct export_run *run, void *arg) {
	const struct travel *travel = arg;
	take(travel->v9, travel->now_ms, run);
}

static void take_ipfix(const struct export_run *run, void *arg) {
	const struct travel *travel = arg;
	take(travel->ipfix, travel->now_ms, run);
}

// Record `travel->n`. Some ended a while ago, some began weeks apart from the epoch's edge, none
// lasted longer than the active timeout.
static struct flow_record next_record(struct travel *travel) {
	unsigned n = ++travel->n;
	int64_t last_ms = travel->now_ms - (int64_t)(n * 7919 % 15000);
	int64_t first_ms = last_ms - (int64_t)(n * UINT64_C(104729) % 60000);
	struct flow_record record = {
		.key = {.proto = 17, .family = n % 2 == 0 ? FLOW_IPV6 : FLOW_IPV4},
		.first_ticks = (uint64_t)first_ms * TICKS_PER_MS,
		.last_ticks = (uint64_t)last_ms * TICKS_PER_MS,
		.packets = n,
		.octets = UINT64_C(100) * n,
		.in_if = 1,
		.ttl_min = 64,
		.ttl_max = 64,
		.end = FLOW_END_IDLE,
	};

	if (n % 2 == 0) {
		memcpy(record.key.src6, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
		memcpy(record.key.dst6, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	} else {
		memcpy(record.key.src4, "\xc0\0\2\1", 4);
		memcpy(record.key.dst4, "\xc0\0\2\2", 4);
	}
	fprintf(travel->truth,
		"%s[%u,%lld,%lld]",
		n > 1 ? ",\n" : "[",
		n,
		(long long)first_ms,
		(long long)last_ms);
	return record;
}

static void close_file(FILE *file) {
	if (fclose(file) != 0)
		fail("writing");
}

static struct encoder *
make_encoder(enum encoder_protocol protocol, export_send_fn send, struct travel *travel) {
	const struct encoder_config config = {
		.protocol = protocol,
		.source_id = 1,
		.datagram_bytes = DATAGRAM_BYTES,
		.template_interval_ms = TEMPLATES_MS,
		.template_packets = 4800,
		.sampling_interval = 1,
	};
	struct encoder *encoder = encoder_new(&config, send, travel);
	if (encoder == NULL)
		fail("encoder");
	return encoder;
}

int main(int argc, char **argv) {
	if (argc != 2) {
		fprintf(stderr, "usage: time_travel DIR\n");
		return 2;
	}
	struct travel travel = {
		.v9 = open_capture(argv[1], "v9.pcap"),
		.ipfix = open_capture(argv[1], "ipfix.pcap"),
		.truth = open_in(argv[1], "truth.json"),
	};
	struct encoder *v9 = make_encoder(ENCODER_NETFLOW9, take_v9, &travel);
	struct encoder *ipfix = make_encoder(ENCODER_IPFIX, take_ipfix, &travel);

	for (int64_t ms = 0; ms <= DAYS * 24 * 60 * 60 * 1000; ms += STEP_MS) {
		travel.now_ms = BEGIN_MS + ms;
		const struct flow_record records[] = {next_record(&travel), next_record(&travel)};
		encoder_add(v9, records, 2, travel.now_ms);
		encoder_add(ipfix, records, 2, travel.now_ms);
		travel.now_ms += FLUSH_MS;
		encoder_flush(v9, travel.now_ms);
		encoder_flush(ipfix, travel.now_ms);
	}
	fprintf(travel.truth, "]\n");

	encoder_free(v9);
	encoder_free(ipfix);
	close_file(travel.v9);
	close_file(travel.ipfix);
	close_file(travel.truth);
	return 0;
}
