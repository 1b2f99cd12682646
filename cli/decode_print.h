// Decode's output: what flow_decode finds, as lines of text or of JSON, and the summary.
//
// Threads: one.

#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "decode_options.h"
#include "decode_source.h"
#include "flow_decode.h"

struct decode_print {
	FILE *out;
	enum decode_format format;
	bool templates;
	bool quiet;
};

// The events that print; `print` must outlive them.
struct flow_decode_events decode_print_events(struct decode_print *print);

void decode_print_summary(
	const struct decode_print *print,
	const struct flow_decode *decoder,
	const struct decode_source *source
);
