// Live: how a running sensor tells its flows to other commands of weir, over a Unix socket.
//
// The client connects and sends a line with what it wants, "flows". The answer is a live_header,
// and then parts: a count of records (uint32_t), and so many of struct flow_record; a count of 0
// ends it. All as this machine has it in memory: both sides are the same program.

#pragma once

#include <stdint.h>

#include "flow_record.h"

#define LIVE_SOCKET "/run/weir/weir.sock"
#define LIVE_MAGIC UINT64_C(0x3145564952494557) // "WEIRIVE1"

enum {
	LIVE_SOCKET_ERROR_BYTES = 256,
	LIVE_PART_RECORDS = 512,
};

struct live_header {
	uint64_t magic;
	uint32_t record_bytes; // another size is another version
	uint32_t sampling_rate;
};
