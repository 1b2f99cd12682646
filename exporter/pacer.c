#include "pacer.h"

enum {
	BURST_DATAGRAMS = 16, // what any receiver's buffer takes at once
	BURSTS_PER_S = 10,    // at least: slow is not to mean rare and many
};

static uint64_t units_of(const struct pacer *pacer, const struct pacer_cost *cost) {
	switch (pacer->rate.unit) {
	case PACER_RECORDS:
		return cost->records;
	case PACER_BITS:
		return cost->octets * 8;
	default:
		return cost->datagrams;
	}
}

unsigned pacer_burst(const struct pacer *pacer, unsigned n, const struct pacer_cost *each) {
	uint64_t units = units_of(pacer, each), most = BURST_DATAGRAMS;

	if (pacer->rate.per_s == 0)
		return n;
	if (units > 0 && pacer->rate.per_s / BURSTS_PER_S / units < most)
		most = pacer->rate.per_s / BURSTS_PER_S / units;
	if (most < 1)
		most = 1;
	return n < most ? n : (unsigned)most;
}

time_ns_t pacer_take(struct pacer *pacer, time_ns_t now_ns, const struct pacer_cost *cost) {
	if (pacer->rate.per_s == 0)
		return now_ns;
	if (pacer->due_ns < now_ns - pacer->catch_up_ns)
		pacer->due_ns = now_ns - pacer->catch_up_ns;
	time_ns_t leaves_ns = pacer->due_ns;
	pacer->due_ns +=
		(time_ns_t)(units_of(pacer, cost) * (uint64_t)NS_PER_S / pacer->rate.per_s);
	return leaves_ns;
}
