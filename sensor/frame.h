// Frame: the octets of one packet as a source delivers them, a capture file or a port.
//
// Threads and time: plain data.

#pragma once

#include <stdint.h>

#include "clock.h"

// Why a frame is counted and not metered. Whoever marks one says that nothing of it is captured,
// so that the packet path, which looks at the captured octets anyway, need not ask.
enum frame_mark {
	FRAME_PLAIN,
	FRAME_FILTERED,    // the packet filter does not match
	FRAME_DUPLICATE,   // a copy of a frame seen before
	FRAME_NOT_SAMPLED, // left out by packet sampling
	FRAME_MARK_COUNT
};

struct frame {
	const uint8_t *data;     // valid for as long as the source says
	uint32_t captured_bytes; // at `data`
	uint32_t wire_bytes;     // on the wire
	time_ns_t time_ns;       // >= 0
	enum frame_mark mark;    // unless plain, captured_bytes is 0
};

static inline void frame_set_mark(struct frame *frame, enum frame_mark mark) {
	frame->mark = mark;
	frame->captured_bytes = 0;
}
