// The reasons of the ledger: apart from meter.c, which is all packet path.

#include "meter.h"

const char *meter_mark_name(enum frame_mark mark) {
	static const char *const names[FRAME_MARK_COUNT] = {
		[FRAME_PLAIN] = "plain",
		[FRAME_FILTERED] = "filtered",
		[FRAME_DUPLICATE] = "duplicate",
		[FRAME_NOT_SAMPLED] = "not_sampled",
	};
	return names[mark];
}

void meter_counts_reasons(const struct meter_counts *counts, struct ledger *ledger) {
	for (unsigned mark = FRAME_PLAIN + 1; mark < FRAME_MARK_COUNT; mark++)
		ledger_add_reason(ledger, meter_mark_name(mark), counts->marked[mark]);
	for (unsigned verdict = PACKET_METERED + 1; verdict < PACKET_VERDICT_COUNT; verdict++)
		ledger_add_reason(ledger, packet_verdict_name(verdict), counts->unmetered[verdict]);
}
