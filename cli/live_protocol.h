// Live: how a running sensor tells what it does to other commands of weir, over a Unix socket.
//
// The client connects and sends one line with what it wants; the sensor answers and closes.
//
//   flows                     all running flows: a live_header, and then parts: a count of records
//                             (uint32_t), and so many of struct flow_record; a count of 0 ends it
//   active SINCE FIRST COUNT  the same of those alone that had a packet at SINCE (ticks since 1970)
//                             or later, out of COUNT buckets of the flow caches, at most
//                             LIVE_MOST_BUCKETS, from FIRST on
//   status                    what was counted, as text: live_status.h
//   reload                    reads the config file again; then a word, applied, partly, refused,
//   or
//                             none where there is no such file, and lines about it
//
// Records are as this machine has them in memory: both sides are the same program. The line has
// LIVE_REQUEST_BYTES at most and must come within 2 s; a client for which the sensor has waited
// for 10 s in all is given up.

#pragma once

#include <stdint.h>

#include "flow_record.h"

#define LIVE_SOCKET_DIR "/run/weir"
#define LIVE_SOCKET LIVE_SOCKET_DIR "/weir.sock"
#define LIVE_MAGIC UINT64_C(0x3245564952494557) // "WEIRIVE2"

enum {
	LIVE_SOCKET_ERROR_BYTES = 256,
	LIVE_PART_RECORDS = 512,
	LIVE_REQUEST_BYTES = 64,
	LIVE_MOST_BUCKETS = 1 << 16,
	LIVE_RELOAD_BYTES = 32 << 10,
};

struct live_header {
	uint64_t magic;
	uint32_t record_bytes; // another size is another version
	uint32_t sampling_rate;
	uint64_t now_ticks; // when the reading began
	uint32_t n_buckets; // of all caches
	uint32_t zero;
};
