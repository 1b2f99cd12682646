#include "flow_decode_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "wire.h"

// RFC 5905: NTP's era 0 begins in 1900.
#define NTP_1970_S INT64_C(2208988800)

// A template's default lifetime (RFC 6728 section 4.4.2): UDP collectors forget it then.
#define TEMPLATE_LIFE_NS (1800 * NS_PER_S)

// v5's record has v9's fields, in this order.
static const uint16_t v5_layout[][2] = {
	{8, 4},  {12, 4},  {15, 4}, {10, 2}, {14, 2}, {2, 4},  {1, 4},  {22, 4}, {21, 4}, {7, 2},
	{11, 2}, {210, 1}, {6, 1},  {4, 1},  {5, 1},  {16, 2}, {17, 2}, {9, 1},  {13, 1}, {210, 2},
};

enum {
	V5_FIELDS = sizeof(v5_layout) / sizeof(v5_layout[0]),
};

uint64_t flow_field_number(const struct flow_field *field) {
	uint64_t number = 0;

	if (field->bytes > 8)
		return 0;
	for (unsigned i = 0; i < field->bytes; i++)
		number = number << 8 | field->octets[i];
	return number;
}

const struct flow_field *flow_decoded_find(const struct flow_decoded *record, uint16_t id) {
	for (unsigned i = 0; i < record->n_fields; i++) {
		const struct flow_field *field = &record->fields[i];
		if (field->id == id && field->enterprise == 0 && field->element != NULL)
			return field;
	}
	return NULL;
}

uint64_t flow_decode_number(const struct flow_decoded *record, uint16_t id) {
	const struct flow_field *field = flow_decoded_find(record, id);
	return field != NULL ? flow_field_number(field) : 0;
}

static int64_t scaled(uint64_t value, int64_t unit_ns) {
	return value > (uint64_t)(INT64_MAX / unit_ns) ? INT64_MAX : (int64_t)value * unit_ns;
}

static int64_t ns_of_ntp(uint64_t value) {
	int64_t seconds = (int64_t)(value >> 32);
	int64_t ns = (int64_t)((value & UINT32_MAX) * (uint64_t)NS_PER_S >> 32);

	// From 2036 on it is era 1.
	if (seconds < NTP_1970_S)
		seconds += INT64_C(1) << 32;
	return (seconds - NTP_1970_S) * NS_PER_S + ns;
}

static bool boot_ms(const struct flow_decode *decoder, int64_t *ms) {
	const struct flow_datagram *datagram = &decoder->datagram;

	if (datagram->version == 10) {
		*ms = decoder->domain->boot_ms;
		return *ms != 0;
	}
	*ms = datagram->time_ns / NS_PER_MS - (int64_t)datagram->uptime_ms;
	return true;
}

static bool time_of(struct flow_decode *decoder, const struct flow_field *field, int64_t *time_ns) {
	uint64_t value = flow_field_number(field);
	int64_t boot;

	switch (field->id) {
	case ELEMENT_FIRST_SWITCHED:
	case ELEMENT_LAST_SWITCHED:
		if (!boot_ms(decoder, &boot)) {
			flow_decode_say(
				decoder,
				FLOW_ADVICE_UPTIME_WITHOUT_BOOT,
				(size_t)(field->octets - decoder->octets),
				"times of uptime, and no systemInitTimeMilliseconds that says when "
				"it began"
			);
			return false;
		}
		*time_ns = (boot + (int64_t)(value & UINT32_MAX)) * NS_PER_MS;
		return true;
	case ELEMENT_START_S:
	case ELEMENT_END_S:
		*time_ns = scaled(value, NS_PER_S);
		return true;
	case ELEMENT_START_MS:
	case ELEMENT_END_MS:
		*time_ns = scaled(value, NS_PER_MS);
		return true;
	case ELEMENT_START_US:
	case ELEMENT_END_US:
	case ELEMENT_START_NS:
	case ELEMENT_END_NS:
		*time_ns = ns_of_ntp(value);
		return true;
	case ELEMENT_START_DELTA_US:
	case ELEMENT_END_DELTA_US:
		*time_ns = decoder->datagram.time_ns - scaled(value & UINT32_MAX, NS_PER_US);
		return true;
	default:
		return false;
	}
}

static void derive_times(struct flow_decode *decoder, struct flow_decoded *record) {
	for (unsigned i = record->n_scopes; i < record->n_fields; i++) {
		const struct flow_field *field = &record->fields[i];
		bool first = field->id == ELEMENT_FIRST_SWITCHED
			     || (field->id >= ELEMENT_START_S && field->id % 2 == 0);
		int64_t time_ns;

		if (field->element == NULL || field->enterprise != 0
		    || !time_of(decoder, field, &time_ns))
			continue;
		if (first) {
			record->first_ns = time_ns;
			record->has_first = true;
		} else {
			record->last_ns = time_ns;
			record->has_last = true;
		}
	}
}

static void learn(struct flow_decode *decoder, const struct flow_decoded *record) {
	struct domain *domain = decoder->domain;
	uint64_t boot = flow_decode_number(record, ELEMENT_BOOT_MS);
	uint64_t rate = flow_decode_number(record, ELEMENT_SAMPLING_INTERVAL);
	const struct flow_field *packets = flow_decoded_find(record, ELEMENT_SAMPLING_PACKETS);

	if (boot != 0 && boot <= (uint64_t)(INT64_MAX / NS_PER_MS / 2))
		domain->boot_ms = (int64_t)boot;
	if (rate == 0)
		rate = flow_decode_number(record, ELEMENT_SAMPLER_INTERVAL);
	if (rate == 0 && packets != NULL && flow_field_number(packets) != 0) {
		uint64_t space = flow_decode_number(record, ELEMENT_SAMPLING_SPACE);
		rate = 1 + (space & UINT32_MAX) / flow_field_number(packets);
	}
	if (rate != 0)
		domain->seen.sampling_rate = (uint32_t)(rate > UINT32_MAX ? UINT32_MAX : rate);
}

// A record whose fields have been read.
static void
deliver(struct flow_decode *decoder,
	const struct template *template,
	struct flow_decoded *record,
	size_t offset) {
	struct domain *domain = decoder->domain;

	decoder->n_records++;
	learn(decoder, record);
	record->sampling_rate = domain->seen.sampling_rate;
	derive_times(decoder, record);
	if (record->n_scopes > 0) {
		decoder->stats.options++;
		domain->seen.options++;
	} else {
		decoder->stats.records++;
		domain->seen.records++;
		flow_decode_check_times(decoder, record, offset);
		flow_decode_advise(decoder, template, record, offset);
	}
	if (decoder->events.on_record != NULL)
		decoder->events.on_record(&decoder->datagram, record, decoder->events.arg);
}

// RFC 7011 section 7. Returns the octets of the field and moves `set` to its first, or -1.
static int32_t variable_bytes(struct flow_decode *decoder, struct span *set) {
	const uint8_t *at = decoder->octets + set->at;
	uint16_t bytes;

	if (span_bytes(*set) < 1)
		return -1;
	bytes = at[0];
	set->at++;
	if (bytes < 255)
		return bytes;
	if (span_bytes(*set) < 2)
		return -1;
	set->at += 2;
	return wire_get16(at + 1);
}

// Reads the record at the front of `set` into `fields` and goes behind it. Whether it is whole.
static bool
read_record(struct flow_decode *decoder, const struct template *template, struct span *set) {
	for (unsigned i = 0; i < template->n_fields; i++) {
		const struct flow_template_field *field = &template->fields[i];
		int32_t bytes = field->bytes;
		bool fits = true;

		if (bytes == VARIABLE_BYTES && decoder->datagram.version == 10) {
			bytes = variable_bytes(decoder, set);
			fits = field->element == NULL || field->element->type == ELEMENT_OCTETS
			       || (bytes >= 0 && element_fits(field->element->type, (unsigned)bytes)
			       );
		} else if (field->element != NULL) {
			fits = element_fits(field->element->type, (unsigned)bytes);
		}
		if (bytes < 0 || span_bytes(*set) < (size_t)bytes)
			return false;
		decoder->fields[i] = (struct flow_field){
			// What has an impossible length is shown as what it is, octets.
			.element = fits ? field->element : NULL,
			.enterprise = field->enterprise,
			.id = field->id,
			.bytes = (uint16_t)bytes,
			.scope = i < template->n_scopes,
			.octets = decoder->octets + set->at,
		};
		set->at += (size_t)bytes;
	}
	return true;
}

static void
read_records(struct flow_decode *decoder, const struct template *template, struct span set) {
	while (span_bytes(set) >= template->least_bytes) {
		size_t begin = set.at;
		struct flow_decoded record = {
			.template_id = template->id,
			.n_scopes = template->n_scopes,
			.n_fields = template->n_fields,
			.fields = decoder->fields,
		};
		if (!read_record(decoder, template, &set)) {
			decoder->uncounted = true;
			flow_decode_say(
				decoder,
				FLOW_PROBLEM_RECORD_CUT,
				begin,
				"a record of template %u runs past its set",
				template->id
			);
			return;
		}
		deliver(decoder, template, &record, begin);
	}
	flow_decode_padding(decoder, set);
}

// Whether the same exporter sent the template from another port.
static bool is_port_new(const struct flow_decode *decoder, uint16_t id) {
	const struct domain *own = decoder->domain;

	for (unsigned i = 0; i < decoder->n_domains; i++) {
		const struct domain *other = decoder->domains[i];
		if (other != own && other->seen.from.family == own->seen.from.family
		    && memcmp(other->seen.from.address, own->seen.from.address, 16) == 0
		    && other->seen.version == own->seen.version
		    && other->seen.domain == own->seen.domain
		    && flow_decode_template(other, id) != NULL)
			return true;
	}
	return false;
}

void flow_decode_data_set(struct flow_decode *decoder, struct span set, uint16_t id) {
	const struct template *template = flow_decode_template(decoder->domain, id);
	size_t begin = set.at - SET_HEADER_BYTES;

	if (template == NULL) {
		bool port = is_port_new(decoder, id);
		decoder->uncounted = true;
		flow_decode_say(
			decoder,
			port ? FLOW_PROBLEM_NEW_SOURCE_PORT : FLOW_PROBLEM_NO_TEMPLATE,
			begin,
			"data of template %u, %zu octets, before it came%s",
			id,
			span_bytes(set),
			port ? " from this source port; it did from another" : ""
		);
		return;
	}
	if (decoder->datagram.from.family != 0
	    && decoder->datagram.time_ns - template->sent_ns > TEMPLATE_LIFE_NS)
		flow_decode_say(
			decoder,
			FLOW_ADVICE_TEMPLATES_RARE,
			begin,
			"template %u was last sent %" PRId64 " s ago; a collector that starts or "
			"loses it waits that long",
			id,
			(decoder->datagram.time_ns - template->sent_ns) / NS_PER_S
		);
	read_records(decoder, template, set);
}

struct template *flow_decode_v5_template(void) {
	struct template *template =
		calloc(1, sizeof(*template) + V5_FIELDS * sizeof(template->fields[0]));

	if (template == NULL)
		return NULL;
	template->n_fields = V5_FIELDS;
	template->least_bytes = V5_RECORD_BYTES;
	// It has no other place than the port: no advice.
	template->has_dst_port = template->has_icmp = true;
	for (unsigned i = 0; i < V5_FIELDS; i++)
		template->fields[i] = (struct flow_template_field){
			.element = element_find(0, v5_layout[i][0]),
			.id = v5_layout[i][0],
			.bytes = v5_layout[i][1],
		};
	return template;
}

void flow_decode_v5_records(struct flow_decode *decoder, struct span records) {
	read_records(decoder, decoder->v5, records);
}
