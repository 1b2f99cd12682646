#include "flow_decode_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static_assert(FLOW_PROBLEM_KINDS <= 64, "a bit for each in struct domain");

static const char *const names[FLOW_PROBLEM_KINDS] = {
	[FLOW_PROBLEM_VERSION] = "version",
	[FLOW_PROBLEM_HEADER_CUT] = "header_cut",
	[FLOW_PROBLEM_MESSAGE_LENGTH] = "message_length",
	[FLOW_PROBLEM_COUNT] = "count",
	[FLOW_PROBLEM_SET_LENGTH] = "set_length",
	[FLOW_PROBLEM_SET_OVERRUN] = "set_overrun",
	[FLOW_PROBLEM_SET_ID] = "set_id",
	[FLOW_PROBLEM_SET_EMPTY] = "set_empty",
	[FLOW_PROBLEM_TRAILING] = "trailing_octets",
	[FLOW_PROBLEM_PADDING_NOT_ZERO] = "padding_not_zero",
	[FLOW_PROBLEM_PADDING_LONG] = "padding_long",
	[FLOW_PROBLEM_NO_TEMPLATE] = "no_template",
	[FLOW_PROBLEM_NEW_SOURCE_PORT] = "new_source_port",
	[FLOW_PROBLEM_TEMPLATE_CUT] = "template_cut",
	[FLOW_PROBLEM_TEMPLATE_ID] = "template_id",
	[FLOW_PROBLEM_TEMPLATE_EMPTY] = "template_empty",
	[FLOW_PROBLEM_TEMPLATE_CHANGED] = "template_changed",
	[FLOW_PROBLEM_SCOPE_COUNT] = "scope_count",
	[FLOW_PROBLEM_FIELD_LENGTH] = "field_length",
	[FLOW_PROBLEM_WITHDRAWAL] = "withdrawal",
	[FLOW_PROBLEM_RECORD_CUT] = "record_cut",
	[FLOW_PROBLEM_SEQUENCE_GAP] = "sequence_gap",
	[FLOW_PROBLEM_SEQUENCE_BACK] = "sequence_back",
	[FLOW_PROBLEM_FIRST_AFTER_UPTIME] = "first_after_uptime",
	[FLOW_PROBLEM_LAST_AFTER_UPTIME] = "last_after_uptime",
	[FLOW_PROBLEM_ENDS_BEFORE_BEGIN] = "ends_before_begin",
	[FLOW_PROBLEM_TIME_FAR] = "time_far",
	[FLOW_PROBLEM_LIMIT] = "limit",
	[FLOW_ADVICE_SET_UNALIGNED] = "set_unaligned",
	[FLOW_ADVICE_RESTART] = "restart",
	[FLOW_ADVICE_UPTIME_WRAP] = "uptime_wrap",
	[FLOW_ADVICE_UPTIME_WITHOUT_BOOT] = "uptime_without_boot",
	[FLOW_ADVICE_TEMPLATES_RARE] = "templates_rare",
	[FLOW_ADVICE_OPTIONS_TOGETHER] = "options_together",
	[FLOW_ADVICE_OPTIONS_APART] = "options_apart",
	[FLOW_ADVICE_NO_SAMPLING] = "no_sampling",
	[FLOW_ADVICE_SEQUENCES_MIXED] = "sequences_mixed",
	[FLOW_ADVICE_UNKNOWN_ELEMENT] = "unknown_element",
	[FLOW_ADVICE_ELEMENT_TWICE] = "element_twice",
	[FLOW_ADVICE_FLAGS_LENGTH] = "flags_length",
	[FLOW_ADVICE_COUNTER_SHORT] = "counter_short",
	[FLOW_ADVICE_ICMP_ONE_PLACE] = "icmp_one_place",
	[FLOW_ADVICE_IF_INDEX_0] = "if_index_0",
	[FLOW_ADVICE_ADDRESSES_0] = "addresses_0",
	[FLOW_ADVICE_OWN_EXPORT] = "own_export",
	[FLOW_ADVICE_OVER_MTU] = "over_mtu",
};

const char *flow_problem_name(enum flow_problem_kind kind) {
	return kind < FLOW_PROBLEM_KINDS ? names[kind] : NULL;
}

bool flow_problem_is_advice(enum flow_problem_kind kind) {
	return kind >= FLOW_ADVICE_SET_UNALIGNED;
}

static void
say(struct flow_decode *decoder,
    enum flow_problem_kind kind,
    size_t offset,
    const char *format,
    va_list args) {
	char text[FLOW_PROBLEM_TEXT_BYTES];

	if (decoder->events.on_problem == NULL)
		return;
	vsnprintf(text, sizeof(text), format, args);
	decoder->events.on_problem(
		&(struct flow_problem){
			.kind = kind,
			.from = &decoder->datagram.from,
			.version = decoder->datagram.version,
			.domain = decoder->datagram.domain,
			.sequence = decoder->datagram.sequence,
			.offset = offset,
			.text = text,
		},
		decoder->events.arg
	);
}

void flow_decode_say(
	struct flow_decode *decoder,
	enum flow_problem_kind kind,
	size_t offset,
	const char *format,
	...
) {
	va_list args;

	if (flow_problem_is_advice(kind) && decoder->domain != NULL) {
		uint64_t bit = UINT64_C(1) << kind;
		if (decoder->domain->advised & bit)
			return;
		decoder->domain->advised |= bit;
	}
	decoder->stats.problems[kind]++;
	va_start(args, format);
	say(decoder, kind, offset, format, args);
	va_end(args);
}

void flow_decode_say_once(
	struct flow_decode *decoder,
	enum flow_problem_kind kind,
	size_t offset,
	const char *format,
	...
) {
	uint64_t bit = UINT64_C(1) << kind;
	va_list args;

	decoder->stats.problems[kind]++;
	if (decoder->said & bit)
		return;
	decoder->said |= bit;
	va_start(args, format);
	say(decoder, kind, offset, format, args);
	va_end(args);
}

void flow_decode_padding(struct flow_decode *decoder, struct span left) {
	// RFC 3954 section 5.2: up to a word. RFC 7011 section 3.3.1: 4- or 8-octet alignment.
	size_t most = decoder->datagram.version == 9 ? 3 : 7;

	if (span_bytes(left) > most)
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_PADDING_LONG,
			left.at,
			"%zu octets behind the last record of the set; at most %zu are padding",
			span_bytes(left),
			most
		);
	for (size_t at = left.at; at < left.end; at++)
		if (decoder->octets[at] != 0) {
			flow_decode_say(
				decoder,
				FLOW_PROBLEM_PADDING_NOT_ZERO,
				at,
				"padding has 0x%02x",
				decoder->octets[at]
			);
			return;
		}
}
