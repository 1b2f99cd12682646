// IPFIX (RFC 7011) for files and streams: flow records become messages. Buffer to buffer: no file,
// no socket, no clock. Messages one behind the other, the first with the templates, are an IPFIX
// file (RFC 5655), or what one session of TCP carries. Over UDP datagrams.h serves.
//
// Records keep their order: where the address family changes, another set begins. Times are
// absolute, in milliseconds. Template ids come from the field list, as in NetFlow v9.
//
// Time: `now_ms` is an argument. A message's export time is the second in which its records had
// all ended.
//
// Threads: one at a time for each encoder.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "encoder.h"
#include "flow_record.h"

enum {
	IPFIX_MIN_MESSAGE_BYTES = 512, // templates, options and one record fit
	IPFIX_MAX_MESSAGE_BYTES = 65535,
};

struct ipfix_config {
	uint32_t domain; // observation domain
	uint16_t message_bytes;
	uint32_t sampling_interval;          // 1 = every packet
	uint8_t sampling_algorithm;          // 1 deterministic, 2 random
	const struct field_profile *profile; // NULL = standard
};

struct ipfix_message {
	const uint8_t *octets;
	size_t n;
	unsigned n_records; // flow records
};

struct ipfix;

// Takes each message. The octets are the encoder's and are gone when the call returns.
typedef void (*ipfix_send_fn)(const struct ipfix_message *message, void *arg);

// NULL with errno EINVAL (config out of range) or ENOMEM.
[[nodiscard]] struct ipfix *
ipfix_new(const struct ipfix_config *config, ipfix_send_fn send, void *arg);
void ipfix_free(struct ipfix *encoder);

// Adds records to the message under construction; calls `send` when it is full.
void ipfix_add(
	struct ipfix *encoder, const struct flow_record *records, size_t n_records, int64_t now_ms
);

// Sends what is under construction, if anything.
void ipfix_flush(struct ipfix *encoder);

// The next message that begins carries templates and options, as the first does: another session.
void ipfix_renew_templates(struct ipfix *encoder);

// Records added from here on are of another sampling: sends what is under construction, and says
// so at the begin of the next message.
void ipfix_set_sampling(struct ipfix *encoder, uint32_t interval, uint8_t algorithm);

// The others of encoder.h. A message that begins after new counts tells them.
void ipfix_set_interfaces(
	struct ipfix *encoder, const struct export_interface *interfaces, size_t n
);
void ipfix_set_counts(struct ipfix *encoder, const struct export_counts *counts);
void ipfix_stats(const struct ipfix *encoder, struct encoder_stats *stats);
