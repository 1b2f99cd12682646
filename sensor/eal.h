// EAL: DPDK's environment, with arguments that weir derives. Hugepages where enough are free,
// ordinary memory where not; nothing shared with other programs, so that instances do not meet.
// What EAL, its drivers and their libraries say is kept out of weir's output and in a buffer of
// fixed size, unless it is asked for.
//
// Threads: one, before and after all others. Time: none.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "port_spec.h"

struct eal_config {
	const struct port_spec *ports; // those of PCI are looked for
	unsigned n_ports;
	unsigned memory_mib; // for buffers, rings and drivers
	bool hugepages;      // nothing else will do
	bool verbose;        // let EAL speak on standard error
};

// Returns 0, or a negative errno with one line in `error` (PORT_ERROR_BYTES). DPDK can be started
// once in the life of a process.
[[nodiscard]] int eal_start(const struct eal_config *config, char *error);

// Fine if it was never started.
void eal_stop(void);

bool eal_started(void);
bool eal_has_hugepages(void);

// Keeps what libraries write to standard error in the buffer, until eal_unmute().
void eal_mute(void);
void eal_unmute(void);

// The last complaint of EAL or a driver since the mark, without its prefix: what an error number
// was about. "" where there was none.
void eal_mark(void);
const char *eal_complaint(void);
