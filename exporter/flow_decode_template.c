#include "flow_decode_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

enum {
	ENTERPRISE_BIT = 0x8000,
	// Template IDs of a withdrawal of all (RFC 7011 section 8.1): the set's own.
	ALL_TEMPLATES = 2,
	ALL_OPTIONS_TEMPLATES = 3,
};

struct template *flow_decode_template(const struct domain *domain, uint16_t id) {
	for (struct template *at = domain->templates; at != NULL; at = at->next)
		if (at->id == id)
			return at;
	return NULL;
}

static void remove_template(struct flow_decode *decoder, struct domain *domain, uint16_t id) {
	for (struct template **at = &domain->templates; *at != NULL; at = &(*at)->next)
		if ((*at)->id == id) {
			struct template *gone = *at;
			*at = gone->next;
			decoder->n_all_fields -= gone->n_fields;
			domain->seen.n_templates--;
			free(gone);
			return;
		}
}

void flow_decode_templates_free(struct flow_decode *decoder, struct domain *domain) {
	while (domain->templates != NULL)
		remove_template(decoder, domain, domain->templates->id);
}

static uint32_t least_bytes(const struct flow_decode *decoder, const struct template_head *head) {
	uint32_t bytes = 0;

	for (unsigned i = 0; i < head->n_fields; i++) {
		uint16_t field = decoder->new_fields[i].bytes;
		bool variable = field == VARIABLE_BYTES && decoder->datagram.version != 9;
		bytes += variable ? 1 : field;
	}
	return bytes;
}

static bool
is_same(const struct flow_decode *decoder,
	const struct template *known,
	const struct template_head *head) {
	if (known->n_fields != head->n_fields || known->n_scopes != head->n_scopes)
		return false;
	for (unsigned i = 0; i < head->n_fields; i++)
		if (known->fields[i].id != decoder->new_fields[i].id
		    || known->fields[i].bytes != decoder->new_fields[i].bytes
		    || known->fields[i].enterprise != decoder->new_fields[i].enterprise)
			return false;
	return true;
}

static bool has_room(struct flow_decode *decoder, const struct template_head *head) {
	if (decoder->domain->seen.n_templates < FLOW_DECODE_MAX_TEMPLATES
	    && decoder->n_all_fields + head->n_fields <= FLOW_DECODE_MAX_ALL_FIELDS)
		return true;
	flow_decode_say(
		decoder,
		FLOW_PROBLEM_LIMIT,
		head->offset,
		"template %u: no room; %u templates in this domain, %" PRIu32 " fields in all",
		head->id,
		decoder->domain->seen.n_templates,
		decoder->n_all_fields
	);
	return false;
}

static void note_elements(struct template *template) {
	for (unsigned i = template->n_scopes; i < template->n_fields; i++) {
		const struct flow_template_field *field = &template->fields[i];
		if (field->enterprise != 0)
			continue;
		template->has_dst_port |= field->id == ELEMENT_DST_PORT;
		template->has_icmp |=
			field->id == ELEMENT_ICMP4 || field->id == ELEMENT_ICMP6
			|| (field->id >= ELEMENT_ICMP4_TYPE && field->id <= ELEMENT_ICMP6_CODE);
	}
}

static void keep_new(struct flow_decode *decoder, const struct template_head *head) {
	struct domain *domain = decoder->domain;

	flow_decode_check_template(decoder, head);
	if (least_bytes(decoder, head) == 0 || !has_room(decoder, head))
		return;
	size_t bytes = head->n_fields * sizeof(struct flow_template_field);
	struct template *template = calloc(1, sizeof(*template) + bytes);
	if (template == NULL) {
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_LIMIT,
			head->offset,
			"template %u: no memory",
			head->id
		);
		return;
	}
	template->id = head->id;
	template->n_scopes = (uint16_t)head->n_scopes;
	template->n_fields = (uint16_t)head->n_fields;
	template->least_bytes = least_bytes(decoder, head);
	template->sent_ns = decoder->datagram.time_ns;
	memcpy(template->fields, decoder->new_fields, bytes);
	note_elements(template);
	template->next = domain->templates;
	domain->templates = template;
	domain->seen.n_templates++;
	decoder->n_all_fields += head->n_fields;
}

// The template in `new_fields`, whole.
static void keep(struct flow_decode *decoder, const struct template_head *head) {
	struct template *known = flow_decode_template(decoder->domain, head->id);

	decoder->stats.templates++;
	decoder->n_others++;
	if (head->id < LEAST_DATA_SET) {
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_TEMPLATE_ID,
			head->offset,
			"template id %u; they begin at 256",
			head->id
		);
		return;
	}
	if (known != NULL && is_same(decoder, known, head)) {
		known->sent_ns = decoder->datagram.time_ns;
	} else {
		if (known != NULL) {
			flow_decode_say(
				decoder,
				FLOW_PROBLEM_TEMPLATE_CHANGED,
				head->offset,
				"template %u has other fields than before: %u instead of %u",
				head->id,
				head->n_fields,
				known->n_fields
			);
			remove_template(decoder, decoder->domain, head->id);
		}
		keep_new(decoder, head);
	}
	if (decoder->events.on_template != NULL)
		decoder->events.on_template(
			&decoder->datagram,
			&(struct flow_template){
				.id = head->id,
				.n_scopes = (uint16_t)head->n_scopes,
				.n_fields = (uint16_t)head->n_fields,
				.fields = decoder->new_fields,
			},
			decoder->events.arg
		);
}

// Reads the fields at the front of `set` into `new_fields`. Whether they are all there.
static bool
read_fields(struct flow_decode *decoder, struct span *set, const struct template_head *head) {
	for (unsigned i = 0; i < head->n_fields; i++) {
		struct flow_template_field field = {0};
		const uint8_t *at = decoder->octets + set->at;

		if (span_bytes(*set) < 4)
			return false;
		field.id = wire_get16(at);
		field.bytes = wire_get16(at + 2);
		set->at += 4;
		if (decoder->datagram.version != 9 && (field.id & ENTERPRISE_BIT)) {
			if (span_bytes(*set) < 4)
				return false;
			field.id &= ~ENTERPRISE_BIT & 0xffff;
			field.enterprise = wire_get32(at + 4);
			set->at += 4;
		}
		if (decoder->datagram.version != 9 || i >= head->n_scopes)
			field.element = element_find(
				field.enterprise == ENTERPRISE_REVERSE ? 0 : field.enterprise,
				field.id
			);
		if (i < FLOW_DECODE_MAX_FIELDS)
			decoder->new_fields[i] = field;
	}
	return true;
}

// RFC 7011 section 8.1.
static void withdraw(struct flow_decode *decoder, const struct template_head *head, bool options) {
	struct domain *domain = decoder->domain;
	bool all = head->id == (options ? ALL_OPTIONS_TEMPLATES : ALL_TEMPLATES);
	bool found = all;

	decoder->n_others++;
	if (decoder->datagram.from.family != 0) {
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_WITHDRAWAL,
			head->offset,
			"template %u is withdrawn over UDP, which is to be ignored",
			head->id
		);
		return;
	}
	for (struct template *at = domain->templates, *next; at != NULL; at = next) {
		next = at->next;
		if ((all || at->id == head->id) && (at->n_scopes > 0) == options) {
			remove_template(decoder, domain, at->id);
			found = true;
		}
	}
	if (!found)
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_WITHDRAWAL,
			head->offset,
			"template %u is withdrawn and was not known",
			head->id
		);
	else if (decoder->events.on_template != NULL)
		decoder->events.on_template(
			&decoder->datagram,
			&(struct flow_template){.id = head->id},
			decoder->events.arg
		);
}

// The head of v9's options template (RFC 3954 section 6.1), which counts octets, not fields.
static bool read_v9_options_head(struct flow_decode *decoder, struct template_head *head) {
	const uint8_t *at = decoder->octets + head->offset;
	unsigned scope_bytes = wire_get16(at + 2), option_bytes = wire_get16(at + 4);

	head->n_scopes = scope_bytes / 4;
	head->n_fields = head->n_scopes + option_bytes / 4;
	if (scope_bytes % 4 == 0 && option_bytes % 4 == 0 && head->n_scopes > 0)
		return true;
	flow_decode_say(
		decoder,
		FLOW_PROBLEM_SCOPE_COUNT,
		head->offset + 2,
		"options template %u: %u octets of scopes and %u of options; each takes 4, and "
		"there is a scope at least",
		head->id,
		scope_bytes,
		option_bytes
	);
	return false;
}

// Reads the head at the front of `set` and goes behind it. False: the rest cannot be read.
static bool
read_head(struct flow_decode *decoder, struct span *set, struct template_head *head, bool options) {
	const uint8_t *at = decoder->octets + set->at;
	bool v9 = decoder->datagram.version == 9;
	size_t bytes = options ? 6 : 4;

	*head = (struct template_head){.offset = set->at, .id = wire_get16(at)};
	head->n_fields = wire_get16(at + 2);
	if (!v9 && head->n_fields == 0) {
		set->at += 4;
		return true;
	}
	if (span_bytes(*set) < bytes)
		return false;
	set->at += bytes;
	if (v9 && options)
		return read_v9_options_head(decoder, head);
	if (!options)
		return true;
	head->n_scopes = wire_get16(at + 4);
	if (head->n_scopes > 0 && head->n_scopes <= head->n_fields)
		return true;
	flow_decode_say(
		decoder,
		FLOW_PROBLEM_SCOPE_COUNT,
		head->offset + 4,
		"options template %u: %u scopes of %u fields; there is one at least",
		head->id,
		head->n_scopes,
		head->n_fields
	);
	return false;
}

// Reads the record at the front of `set`. False: what is behind it cannot be read.
static bool read_template(struct flow_decode *decoder, struct span *set, bool options) {
	struct template_head head;
	uint64_t problems = decoder->stats.problems[FLOW_PROBLEM_SCOPE_COUNT];

	if (!read_head(decoder, set, &head, options)) {
		if (problems == decoder->stats.problems[FLOW_PROBLEM_SCOPE_COUNT])
			flow_decode_say(
				decoder,
				FLOW_PROBLEM_TEMPLATE_CUT,
				set->at,
				"the head of a template runs past its set"
			);
		return false;
	}
	if (head.n_fields == 0) {
		if (decoder->datagram.version != 9) {
			withdraw(decoder, &head, options);
			return true;
		}
		decoder->n_others++;
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_TEMPLATE_EMPTY,
			head.offset,
			"template %u has no fields",
			head.id
		);
		return true;
	}
	if (!read_fields(decoder, set, &head)) {
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_TEMPLATE_CUT,
			head.offset,
			"template %u of %u fields runs past its set",
			head.id,
			head.n_fields
		);
		return false;
	}
	if (head.n_fields > FLOW_DECODE_MAX_FIELDS) {
		decoder->n_others++;
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_LIMIT,
			head.offset,
			"template %u has %u fields; at most %d are read",
			head.id,
			head.n_fields,
			FLOW_DECODE_MAX_FIELDS
		);
		return true;
	}
	keep(decoder, &head);
	return true;
}

void flow_decode_template_set(struct flow_decode *decoder, struct span set, bool options) {
	unsigned n = 0;

	// No template has id 0: that is padding, as are octets that make no head.
	while (span_bytes(set) >= 4 && wire_get16(decoder->octets + set.at) != 0) {
		size_t begin = set.at;
		if (!read_template(decoder, &set, options)) {
			decoder->uncounted = true;
			return;
		}
		if (++n == 2 && options)
			flow_decode_say(
				decoder,
				FLOW_ADVICE_OPTIONS_TOGETHER,
				begin,
				"several options templates in a set; some collectors read the "
				"first alone"
			);
	}
	flow_decode_padding(decoder, set);
}
