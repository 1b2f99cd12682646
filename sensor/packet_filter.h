// Packet filter: an expression in the syntax of pcap-filter(7), applied to frames.
//
// libpcap compiles it, and its interpreter runs it, unless filter_jit.h has made machine code of
// it.
//
// VLAN tags are matched as they lie in the frame (`vlan 5 and tcp`), so a port must not strip them.
//
// Threads: a filter that was made may be used by any number. Time: not touched.

#pragma once

#include <stdbool.h>

#include <pcap/pcap.h>

#include "frame.h"

#define PACKET_FILTER_ERROR_BYTES PCAP_ERRBUF_SIZE

struct packet_filter;

// For the frames of `pcap`, whose link type and byte order it takes on and which may be closed
// then; of an Ethernet port where that is NULL. NULL with errno ENOMEM or EINVAL and the cause in
// `error` (PACKET_FILTER_ERROR_BYTES).
[[nodiscard]] struct packet_filter *
packet_filter_new(const char *expression, pcap_t *pcap, char *error);

// NULL is fine.
void packet_filter_free(struct packet_filter *filter);

bool packet_filter_matches(const struct packet_filter *filter, const struct frame *frame);

// By the interpreter in any case.
bool packet_filter_interpret(const struct packet_filter *filter, const struct frame *frame);

// The compiled program, the filter's own.
const struct bpf_program *packet_filter_program(const struct packet_filter *filter);

// Has the filter run by `match`, which must decide as the interpreter does; NULL for the
// interpreter itself. Not while the filter is used.
typedef bool (*packet_filter_match_fn)(const void *arg, const struct frame *frame);
void packet_filter_run_by(
	struct packet_filter *filter, packet_filter_match_fn match, const void *arg
);

// Marks those of `n` frames that do not match FRAME_FILTERED and returns how many; frames that are
// marked already are left alone. Hot path: no allocation, no system call.
unsigned packet_filter_mark(const struct packet_filter *filter, struct frame *frames, unsigned n);
