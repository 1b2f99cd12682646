#include "rows.h"

#include <string.h>

#define K UINT32_C(1024)
#define M (K * K)

// The goals in Mpps are those of a machine on which p is 6.5 ns and q 9.5 ns.
const struct row rows[] = {
	{"uniform-2k", TRAFFIC_UNIFORM, 2 * K, 4 * K, {0}, {0}}, // all in the first-level caches
	{"uniform-64k", TRAFFIC_UNIFORM, 64 * K, 128 * K, {3.0, 0, 45}, {1.85, 0, 75}},
	{"uniform-1m", TRAFFIC_UNIFORM, M, 2 * M, {0, 2.6, 30}, {0, 1.25, 50}},
	{"uniform-8m", TRAFFIC_UNIFORM, 8 * M, 10 * M, {0, 3.7, 22}, {0, 2.0, 36}},
	{"uniform-32m", TRAFFIC_UNIFORM, 32 * M, 40 * M, {0, 7.4, 12}, {0, 3.7, 22}},
	{"zipf-64k", TRAFFIC_ZIPF, 64 * K, 128 * K, {0}, {0}},
	{"zipf-1m", TRAFFIC_ZIPF, M, 2 * M, {0, 1.75, 40}, {0, 0.7, 70}},
	{"zipf-8m", TRAFFIC_ZIPF, 8 * M, 10 * M, {0}, {0}},
	{"churn-64k", TRAFFIC_CHURN, 64 * K, 96 * K, {0, 3.1, 28}, {0, 1.4, 50}},
	{"churn-1m", TRAFFIC_CHURN, M, M + M / 2, {0, 4.1, 22}, {0, 1.95, 40}},
	{"churn-8m", TRAFFIC_CHURN, 8 * M, 12 * M, {0, 8.1, 12}, {0, 4.1, 22}},
	{"new-64k", TRAFFIC_NEW, 64 * K, 64 * K, {0, 6.8, 14}, {0, 2.8, 30}},
	{"new-1m", TRAFFIC_NEW, M, M, {0, 8.1, 12}, {0, 3.1, 28}},
	{0},
};

const struct row *row_find(const char *name) {
	for (const struct row *row = rows; row->name != NULL; row++)
		if (strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

bool row_reaches(const struct row_goal *goal, double ns, double p_ns, double q_ns) {
	if (goal->p_factor > 0)
		return ns <= goal->p_factor * p_ns;
	if (goal->q_factor > 0)
		return ns <= p_ns + goal->q_factor * q_ns;
	return 1e3 / ns >= goal->mpps;
}
