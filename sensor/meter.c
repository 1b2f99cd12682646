#include "meter.h"

#include <rte_common.h>

enum {
	PREFETCH_FRAMES = 8, // frames ahead: their headers may be in memory
};

static void count(struct ledger_count *counter, const struct frame *frame) {
	counter->packets++;
	counter->bytes += frame->wire_bytes;
}

bool meter_by_rules(
	const struct meter *meter,
	const struct flow_secret *secret,
	const struct frame *frame,
	struct packet *packet,
	struct meter_counts *counts
) {
	if (frame->mark != FRAME_PLAIN) {
		count(&counts->marked[frame->mark], frame);
		return false;
	}
	enum packet_verdict verdict = packet_parse(
		packet, meter->link, frame->data, frame->captured_bytes, frame->wire_bytes
	);
	if (verdict == PACKET_METERED) {
		packet->hash = flow_key_hash(&packet->key, secret);
		return true;
	}
	count(&counts->unmetered[verdict], frame);
	return false;
}

unsigned meter_parse(
	const struct meter *meter,
	const struct flow_secret *secret,
	const struct frame *frames,
	unsigned n,
	struct packet *packets,
	struct meter_counts *counts
) {
	unsigned n_packets = 0;

	counts->received.packets += n;
	for (unsigned i = 0; i < n; i++) {
		meter_prefetch(&frames[RTE_MIN(i + PREFETCH_FRAMES, n - 1)]);
		counts->received.bytes += frames[i].wire_bytes;
		if (meter_frame(meter, secret, &frames[i], &packets[n_packets], counts))
			counts->metered_octets += packets[n_packets++].octets;
	}
	return n_packets;
}

struct ledger_count meter_counts_metered(const struct meter_counts *counts) {
	struct ledger_count metered = counts->received;

	for (unsigned mark = FRAME_PLAIN + 1; mark < FRAME_MARK_COUNT; mark++) {
		metered.packets -= counts->marked[mark].packets;
		metered.bytes -= counts->marked[mark].bytes;
	}
	for (unsigned verdict = 0; verdict < PACKET_VERDICT_COUNT; verdict++) {
		metered.packets -= counts->unmetered[verdict].packets;
		metered.bytes -= counts->unmetered[verdict].bytes;
	}
	return metered;
}
