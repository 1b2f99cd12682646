// Top JSON: what `weir top` knows as one JSON object on a line. Names are those of the ledger that
// weir run prints at its end, docs/weir-top.1 tells the others.
//
// Pure.

#pragma once

#include <stdio.h>

#include "top_layout.h"

// The tables have `n_rows` rows at most. Returns 0 or a negative errno.
[[nodiscard]] int top_json_print(
	struct top_model *model, const struct top_choice *choice, unsigned n_rows, FILE *out
);

// One of them, as a member of an object: its name and an array.
void top_json_view(
	struct top_model *model,
	const struct top_choice *choice,
	enum top_view view,
	unsigned n_rows,
	FILE *out
);
