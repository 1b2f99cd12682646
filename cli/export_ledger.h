// Export ledger: what became of the records of the archive. Each that the files hold is exported
// or not for a named reason, and each that was exported ends at every sink as sent or as lost
// for a named reason.
//
// Threads: one.

#pragma once

#include <stdio.h>

#include "archive_merge.h"
#include "ledger.h"

struct export_ledger {
	struct archive_merge_stats archive;
	uint64_t exported;
	uint64_t not_delivered;   // read, when an interrupt came
	uint64_t packets, octets; // of them
	const struct ledger_sink *sinks;
	unsigned n_sinks;
};

// 0 where every sum holds; else -EBADMSG, and `error` (LEDGER_ERROR_BYTES) says which does not.
int export_ledger_check(const struct export_ledger *ledger, char *error);

// Prints it for people, or as one JSON object with a newline. Returns 0 or a negative errno.
int export_ledger_print_text(const struct export_ledger *ledger, FILE *out);
int export_ledger_print_json(const struct export_ledger *ledger, FILE *out);
