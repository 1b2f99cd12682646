// Rows: the traffic that the benches of the flow cache measure, and the goals for each.
//
// A goal is told in two yardsticks of the same run (measure.h): at most `p_factor` times p, or
// p + `q_factor` times q, whichever the row has; where it has neither, in packets per second.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "traffic.h"

struct row_goal {
	double p_factor; // 0 = none
	double q_factor; // 0 = none
	double mpps;
};

struct row {
	const char *name;
	enum traffic_kind kind;
	uint32_t n_flows; // alive at once
	uint32_t n_slots;
	struct row_goal must;
	struct row_goal moonshot;
};

// Ends with one without a name.
extern const struct row rows[];

// NULL where there is none.
const struct row *row_find(const char *name);

// Whether `ns` a packet, with p and q of the same run, is within the goal.
bool row_reaches(const struct row_goal *goal, double ns, double p_ns, double q_ns);
