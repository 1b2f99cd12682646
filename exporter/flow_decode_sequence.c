#include "flow_decode_internal.h"

#include <inttypes.h>

enum {
	// Sequence numbers this far back are late, or sent twice; further back they begin anew.
	LATE_DATAGRAMS = 1000,
	LATE_RECORDS = 100000,
	RESTART_MS = 10000,
};

static const char *unit(const struct flow_decode *decoder) {
	return decoder->datagram.version == V9 ? "datagrams" : "records";
}

// A sequence number that is lower than expected. Whether counting begins anew from it.
static bool sequence_back(struct flow_decode *decoder, uint32_t back) {
	struct domain *domain = decoder->domain;
	const struct flow_datagram *datagram = &decoder->datagram;
	uint32_t late = datagram->version == V9 ? LATE_DATAGRAMS : LATE_RECORDS;
	bool has_uptime = datagram->version != IPFIX;

	if (has_uptime && datagram->time_ns >= domain->time_ns
	    && (uint64_t)datagram->uptime_ms + RESTART_MS < domain->uptime_ms) {
		flow_decode_say(
			decoder,
			FLOW_ADVICE_RESTART,
			0,
			"the exporter has started anew: sysUptime %" PRIu32 " after %" PRIu32
			", sequence %" PRIu32,
			datagram->uptime_ms,
			domain->uptime_ms,
			datagram->sequence
		);
		return true;
	}
	flow_decode_say(
		decoder,
		FLOW_PROBLEM_SEQUENCE_BACK,
		0,
		"sequence %" PRIu32 " is %" PRIu32 " behind the expected %" PRIu32 ": late, sent "
		"twice, or begun anew",
		datagram->sequence,
		back,
		domain->expected
	);
	domain->n_late++;
	return back > late;
}

bool flow_decode_check_sequence(struct flow_decode *decoder) {
	struct domain *domain = decoder->domain;
	const struct flow_datagram *datagram = &decoder->datagram;
	uint32_t ahead = datagram->sequence - domain->expected;

	if (!domain->expects || ahead == 0) {
		if (domain->expects && datagram->version != IPFIX
		    && domain->uptime_ms > UINT32_C(0xf0000000)
		    && datagram->uptime_ms < UINT32_C(0x10000000))
			flow_decode_say(
				decoder,
				FLOW_ADVICE_UPTIME_WRAP,
				4,
				"sysUptime begins anew after 49 days; some collectors show "
				"flows around it 49 days off"
			);
		return true;
	}
	if (ahead > INT32_MAX)
		return sequence_back(decoder, -ahead);
	domain->seen.n_gaps++;
	domain->seen.lost += ahead;
	flow_decode_say(
		decoder,
		FLOW_PROBLEM_SEQUENCE_GAP,
		0,
		"sequence %" PRIu32 " instead of %" PRIu32 ": %" PRIu32 " %s lost",
		datagram->sequence,
		domain->expected,
		ahead,
		unit(decoder)
	);
	return true;
}

void flow_decode_update_sequence(struct flow_decode *decoder, bool in_order) {
	struct domain *domain = decoder->domain;
	uint32_t n = decoder->datagram.version == V9 ? 1 : decoder->n_records;

	domain->time_ns = decoder->datagram.time_ns;
	domain->uptime_ms = decoder->datagram.uptime_ms;
	if (!in_order) {
		// What came late was not lost.
		domain->seen.lost -= domain->seen.lost < n ? domain->seen.lost : n;
		return;
	}
	domain->expected = decoder->datagram.sequence + n;
	domain->expects = decoder->datagram.version == V9 || !decoder->uncounted;
}
