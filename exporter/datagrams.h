// Datagrams: flow records become export packets of NetFlow v9 (RFC 3954) or messages of IPFIX (RFC
// 7011) that travel over UDP. Buffer to buffer: no socket, no clock.
//
// Each family fills datagrams of its own, so that full ones are equal in length, and hands them
// over in runs, which the kernel can be given as one (UDP_SEGMENT). Templates, and what is left
// of both families at a flush, go together where they fit. Sequence and header time are those
// of the hand-over.
//
// Time: `now_ms` is an argument; in a replay it is the packets' clock, so that the same
// capture gives the same datagrams, byte for byte. v9's unix_secs and sysUptime are chosen so that
// every collector computes the exact millisecond, and no LAST_SWITCHED lies after sysUptime.
//
// Threads: one at a time for each encoder. The functions are those of encoder.h.

#pragma once

#include "encoder.h"
#include "options_data.h"

struct datagrams;

// NULL with errno EINVAL (config out of range) or ENOMEM.
[[nodiscard]] struct datagrams *
datagrams_new(const struct encoder_config *config, export_send_fn send, void *arg);
void datagrams_free(struct datagrams *encoder);
void datagrams_add(
	struct datagrams *encoder,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
);
void datagrams_flush(struct datagrams *encoder, int64_t now_ms);
void datagrams_renew_templates(struct datagrams *encoder);
void datagrams_set_sampling(struct datagrams *encoder, uint32_t interval, uint8_t algorithm);
void datagrams_set_interfaces(
	struct datagrams *encoder, const struct export_interface *interfaces, size_t n
);
void datagrams_set_counts(struct datagrams *encoder, const struct export_counts *counts);
void datagrams_stats(const struct datagrams *encoder, struct encoder_stats *stats);
