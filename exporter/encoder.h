// Encoder: flow records become the messages of one destination, in the protocol that it speaks.
// Buffer to buffer: no socket, no file, no clock. One for each destination, since sequence,
// templates and their timer are a destination's own.
//
// Time: `now_ms` is an argument; in a replay it is the packets' clock, so that the same records
// give the same octets, however they are cut into calls.
//
// Threads: one at a time for each encoder.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export_counts.h"
#include "export_run.h"
#include "field_profile.h"
#include "flow_record.h"

enum encoder_protocol { ENCODER_NETFLOW9, ENCODER_IPFIX, ENCODER_NETFLOW5 };

struct encoder_config {
	enum encoder_protocol protocol;
	uint32_t source_id;            // not 0 in NetFlow v9; observation domain of IPFIX
	uint16_t datagram_bytes;       // of the longest message: see encoder_most_bytes()
	uint32_t template_interval_ms; // templates and options again after this time ...
	// ... or so many messages. Both 0: once, as in a session or a file. There IPFIX's records
	// keep their order; datagrams hold those of each family apart, so that runs can be made of
	// them.
	uint32_t template_packets;
	uint32_t sampling_interval; // 1 = every packet
	uint8_t sampling_algorithm; // 1 deterministic (0 too), 2 random
	// Packets and octets are told times the interval, and that nothing was sampled: for
	// collectors that do not multiply.
	bool scale_counters;
	// What is told of each flow; NULL = the standard. It is copied.
	const struct field_profile *profile;
};

struct encoder_stats {
	uint64_t datagrams; // messages
	uint64_t octets;
	uint64_t records;   // of flows
	uint64_t templates; // template records, options templates among them
	uint64_t options;   // options data records
	uint64_t untold;    // records that the protocol has no words for: IPv6 in NetFlow v5
};

struct encoder;

// NULL with errno EINVAL (config out of range), EPROTONOSUPPORT or ENOMEM.
[[nodiscard]] struct encoder *
encoder_new(const struct encoder_config *config, export_send_fn send, void *arg);
void encoder_free(struct encoder *encoder); // NULL is fine

// The range of `datagram_bytes`. Everything that belongs together fits in the least.
uint16_t encoder_least_bytes(enum encoder_protocol protocol);
uint16_t encoder_most_bytes(enum encoder_protocol protocol);

// Adds records to the messages under construction; calls `send` with what is complete.
void encoder_add(
	struct encoder *encoder, const struct flow_record *records, size_t n_records, int64_t now_ms
);

// Sends what is under construction, if anything.
void encoder_flush(struct encoder *encoder, int64_t now_ms);

// The next message to begin carries templates and options: whoever reads has none.
void encoder_renew_templates(struct encoder *encoder);

// Records added from here on are of another sampling: sends what is under construction, and says
// so at the begin of the next message. `interval` > 0, `algorithm` 1 or 2.
void encoder_set_sampling(struct encoder *encoder, uint32_t interval, uint8_t algorithm);

// The interfaces that records name, the first EXPORT_MOST_INTERFACES of them; `counts`, and again
// whenever they are others. Both are copied, and told with the next templates.
void encoder_set_interfaces(
	struct encoder *encoder, const struct export_interface *interfaces, size_t n
);
void encoder_set_counts(struct encoder *encoder, const struct export_counts *counts);

void encoder_stats(const struct encoder *encoder, struct encoder_stats *stats);
