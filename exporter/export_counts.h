// Export counts: what of a sensor its encoders are told by others, for options data.
//
// Threads: plain structs.

#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	EXPORT_MOST_INTERFACES = 64,
};

// An interface that records name by its ifIndex. Text is UTF-8, ends with a 0 and is cut where a
// character ends: export_text().
struct export_interface {
	uint32_t index;
	char name[16];
	char description[32];
};

// What the ledger knows and an encoder does not: since the sensor's start. Octets and messages
// and records that were exported are counted by the encoder itself, so that a replay says the same.
struct export_counts {
	uint64_t packets_dropped; // came to the sensor, and were lost before the flow cache
	uint64_t flows_dropped;   // records lost before or at this destination
};

// Copies as much of `text` as goes into `bytes` octets without cutting a character, and zeros
// behind, at least one.
void export_text(char *out, size_t bytes, const char *text);
