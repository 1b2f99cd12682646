#include "flow_decode_internal.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"

// How far flows may lie from their export: seconds sent for milliseconds are off by decades, a
// wrap of 32 bits of milliseconds by 49 days.
#define EARLIEST_NS (30 * INT64_C(86400) * NS_PER_S)
#define LATEST_NS (INT64_C(86400) * NS_PER_S)

enum {
	COUNTER_BYTES = 8,
	ICMP4 = 1,
	UDP = 17,
	ICMP6 = 58,
};

static void advise_on_length(
	struct flow_decode *decoder,
	const struct template_head *head,
	const struct flow_template_field *field
) {
	if (field->enterprise != 0 || field->element == NULL)
		return;
	if (field->id == ELEMENT_TCP_FLAGS && field->bytes != 1)
		flow_decode_say(
			decoder,
			FLOW_ADVICE_FLAGS_LENGTH,
			head->offset,
			"template %u: TCP flags of %u octets; some collectors read only 1",
			head->id,
			field->bytes
		);
	if ((field->id == ELEMENT_OCTET_DELTA || field->id == ELEMENT_PACKET_DELTA)
	    && field->bytes < COUNTER_BYTES)
		flow_decode_say(
			decoder,
			FLOW_ADVICE_COUNTER_SHORT,
			head->offset,
			"template %u: %s of %u octets; a long flow overflows it",
			head->id,
			field->element->name,
			field->bytes
		);
}

static void check_field(
	struct flow_decode *decoder,
	const struct template_head *head,
	const struct flow_template_field *field,
	bool v9_scope
) {
	bool variable = field->bytes == VARIABLE_BYTES && decoder->datagram.version != 9;
	const char *name = field->element != NULL ? field->element->name : "element";

	if (field->bytes == 0 || (field->bytes == VARIABLE_BYTES && !variable)
	    || (field->element != NULL && !variable
		&& !element_fits(field->element->type, field->bytes)))
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_FIELD_LENGTH,
			head->offset,
			"template %u: %s %u cannot have %u octets",
			head->id,
			name,
			field->id,
			field->bytes
		);
	if (field->element == NULL && field->enterprise == 0 && !v9_scope)
		flow_decode_say(
			decoder,
			FLOW_ADVICE_UNKNOWN_ELEMENT,
			head->offset,
			"template %u: element %u is not known; some collectors drop such a "
			"template",
			head->id,
			field->id
		);
	if (!v9_scope)
		advise_on_length(decoder, head, field);
}

static void check_twice(struct flow_decode *decoder, const struct template_head *head) {
	const struct flow_template_field *fields = decoder->new_fields;

	for (unsigned i = head->n_scopes; i < head->n_fields; i++)
		for (unsigned j = head->n_scopes; j < i; j++)
			if (fields[i].id == fields[j].id
			    && fields[i].enterprise == fields[j].enterprise
			    && fields[i].id != ELEMENT_PADDING) {
				flow_decode_say(
					decoder,
					FLOW_ADVICE_ELEMENT_TWICE,
					head->offset,
					"template %u: element %u twice; collectors keep one",
					head->id,
					fields[i].id
				);
				return;
			}
}

void flow_decode_check_template(struct flow_decode *decoder, const struct template_head *head) {
	for (unsigned i = 0; i < head->n_fields; i++) {
		bool v9_scope = decoder->datagram.version == 9 && i < head->n_scopes;
		check_field(decoder, head, &decoder->new_fields[i], v9_scope);
	}
	check_twice(decoder, head);
}

// Whether a time since boot lies after the export: said, and then nothing else of it.
static bool is_after_uptime(
	struct flow_decode *decoder,
	const struct flow_decoded *record,
	uint16_t id,
	enum flow_problem_kind kind,
	const char *name
) {
	const struct flow_field *field = flow_decoded_find(record, id);

	if (field == NULL || field->bytes != 4 || decoder->datagram.version == 10)
		return false;
	uint64_t value = flow_field_number(field);
	if (value <= decoder->datagram.uptime_ms)
		return false;
	flow_decode_say_once(
		decoder,
		kind,
		(size_t)(field->octets - decoder->octets),
		"%s %" PRIu64 " after sysUptime %" PRIu32,
		name,
		value,
		decoder->datagram.uptime_ms
	);
	return true;
}

static void check_far(struct flow_decode *decoder, int64_t time_ns, size_t offset) {
	int64_t age_ns;
	bool overflow = __builtin_sub_overflow(decoder->datagram.time_ns, time_ns, &age_ns);

	if (!overflow && age_ns <= EARLIEST_NS && age_ns >= -LATEST_NS)
		return;
	flow_decode_say_once(
		decoder,
		FLOW_PROBLEM_TIME_FAR,
		offset,
		"a flow %" PRId64 " s %s its export",
		(age_ns < 0 ? -(age_ns / NS_PER_S) : age_ns / NS_PER_S),
		age_ns < 0 ? "after" : "before"
	);
}

void flow_decode_check_times(
	struct flow_decode *decoder, const struct flow_decoded *record, size_t offset
) {
	bool late = is_after_uptime(
		decoder,
		record,
		ELEMENT_FIRST_SWITCHED,
		FLOW_PROBLEM_FIRST_AFTER_UPTIME,
		"FIRST_SWITCHED"
	);

	late |= is_after_uptime(
		decoder,
		record,
		ELEMENT_LAST_SWITCHED,
		FLOW_PROBLEM_LAST_AFTER_UPTIME,
		"LAST_SWITCHED"
	);
	if (late)
		return;
	if (record->has_first && record->has_last && record->last_ns < record->first_ns) {
		flow_decode_say_once(
			decoder,
			FLOW_PROBLEM_ENDS_BEFORE_BEGIN,
			offset,
			"the flow ends %" PRId64 " ms before it begins",
			record->first_ns / NS_PER_MS - record->last_ns / NS_PER_MS
		);
		return;
	}
	if (record->has_first)
		check_far(decoder, record->first_ns, offset);
	if (record->has_last)
		check_far(decoder, record->last_ns, offset);
}

static bool is_zero(const struct flow_field *field) {
	for (unsigned i = 0; i < field->bytes; i++)
		if (field->octets[i] != 0)
			return false;
	return true;
}

static void
check_addresses(struct flow_decode *decoder, const struct flow_decoded *record, size_t offset) {
	const struct flow_decode_from *from = &decoder->datagram.from;
	const struct flow_field *src = flow_decoded_find(record, ELEMENT_SRC4),
				*dst = flow_decoded_find(record, ELEMENT_DST4);

	if (src == NULL || dst == NULL || (is_zero(src) && is_zero(dst))) {
		const struct flow_field *src6 = flow_decoded_find(record, ELEMENT_SRC6),
					*dst6 = flow_decoded_find(record, ELEMENT_DST6);
		if (src6 != NULL && dst6 != NULL) {
			src = src6;
			dst = dst6;
		}
	}
	if (src == NULL || dst == NULL)
		return;
	if (is_zero(src) && is_zero(dst))
		flow_decode_say(
			decoder,
			FLOW_ADVICE_ADDRESSES_0,
			offset,
			"a flow between addresses 0: is it IP at all?"
		);
	if (src->bytes == (from->family == 4 ? 4 : 16) && from->family != 0 && from->to_port != 0
	    && flow_decode_number(record, ELEMENT_PROTOCOL) == UDP
	    && flow_decode_number(record, ELEMENT_DST_PORT) == from->to_port
	    && memcmp(src->octets, from->address, src->bytes) == 0)
		flow_decode_say(
			decoder,
			FLOW_ADVICE_OWN_EXPORT,
			offset,
			"the exporter meters its own export"
		);
}

void flow_decode_advise(
	struct flow_decode *decoder,
	const struct template *template,
	const struct flow_decoded *record,
	size_t offset
) {
	uint64_t proto = flow_decode_number(record, ELEMENT_PROTOCOL);
	const struct flow_field *in = flow_decoded_find(record, ELEMENT_IN_IF),
				*out = flow_decoded_find(record, ELEMENT_OUT_IF);

	if ((proto == ICMP4 || proto == ICMP6) && template->has_icmp != template->has_dst_port)
		flow_decode_say(
			decoder,
			FLOW_ADVICE_ICMP_ONE_PLACE,
			offset,
			"ICMP type and code %s; collectors look in either place",
			template->has_icmp ? "without a destination port that has them too"
					   : "only as a destination port"
		);
	if ((in != NULL && is_zero(in)) || (out != NULL && is_zero(out)))
		flow_decode_say(
			decoder,
			FLOW_ADVICE_IF_INDEX_0,
			offset,
			"%s is 0; some collectors drop such records",
			in != NULL && is_zero(in) ? "ingressInterface" : "egressInterface"
		);
	check_addresses(decoder, record, offset);
}
