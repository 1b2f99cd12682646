// Options data: what an exporter tells of itself, refreshed with the templates: how packets were
// sampled, which interfaces its records name, what it exported and what was lost.
//
// Each options template travels in a set of its own, as does each record: of several in one some
// collectors read the first alone (docs/netflow.md).
//
// Threads: one at a time. Time: none.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export_counts.h"
#include "fields.h"

enum options_kind {
	OPTIONS_SAMPLING_INTERVAL, // the only form that nfdump 1.7.1 understands; v9 alone
	OPTIONS_SAMPLING,          // the one that all others want
	OPTIONS_EXPORTER,
	OPTIONS_INTERFACES,
	OPTIONS_PACKETS_DROPPED,
	OPTIONS_FLOWS_DROPPED,
	OPTIONS_KINDS,
};

#define OPTIONS_ALL ((1u << OPTIONS_KINDS) - 1)
#define OPTIONS_COUNTS                                                                             \
	(1u << OPTIONS_EXPORTER | 1u << OPTIONS_PACKETS_DROPPED | 1u << OPTIONS_FLOWS_DROPPED)

struct options_data {
	enum field_protocol protocol;
	uint32_t domain; // and source id
	uint32_t sampling_interval;
	uint8_t sampling_algorithm;
	uint64_t octets, messages, flows; // exported so far
	bool has_counts;                  // `counts` were told
	struct export_counts counts;
	unsigned n_interfaces;
	struct export_interface interfaces[EXPORT_MOST_INTERFACES];
	uint16_t ids[OPTIONS_KINDS]; // of the templates
};

// How far a refresh has come.
struct options_cursor {
	bool templates;       // of data and options are to be put, too
	unsigned kinds;       // 1 << enum options_kind of those that are to be put
	unsigned kind, part;  // next; kind OPTIONS_KINDS: that was all
	bool begun;           // the templates of data are behind
	unsigned n_templates; // put so far into the present message
	unsigned n_options;
};

// `layouts` are those of the data, whose template ids are moved aside where options have the same.
void options_data_init(
	struct options_data *options,
	enum field_protocol protocol,
	uint32_t domain,
	struct field_layout layouts[2]
);

void options_data_set_interfaces(
	struct options_data *options, const struct export_interface *interfaces, size_t n
);

static inline bool options_done(const struct options_cursor *cursor) {
	return cursor->kind == OPTIONS_KINDS;
}

// Puts whole sets at `out + at` up to `most` octets of the message, from where the cursor stands.
// Returns the octets of the message. Into an empty one of 512 at least one set goes.
size_t options_put(
	const struct options_data *options,
	const struct field_layout layouts[2],
	struct options_cursor *cursor,
	uint8_t *out,
	size_t at,
	size_t most
);
