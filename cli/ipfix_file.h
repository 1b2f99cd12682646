// IPFIX file: flow records as messages one behind the other (RFC 5655).
//
// Errors: the first write error is kept and counted against every record that follows it.
// Threads: one.

#pragma once

#include <stdint.h>

#include "flow_record.h"
#include "ledger.h"

struct ipfix_file;

// Makes or empties the file. NULL with errno.
[[nodiscard]] struct ipfix_file *ipfix_file_new(const char *path, uint32_t domain);
void ipfix_file_free(struct ipfix_file *file);

void ipfix_file_add(
	struct ipfix_file *file,
	const struct flow_record *records,
	size_t n,
	uint32_t sampling_interval,
	uint8_t sampling_algorithm,
	int64_t now_ms
);

// Writes out what is left. Returns 0 or the negative errno of the first failure.
[[nodiscard]] int ipfix_file_finish(struct ipfix_file *file);

void ipfix_file_count(const struct ipfix_file *file, struct ledger_sink *sink);
