#include "flow_decode_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "wire.h"

enum {
	// Set IDs of templates and options templates.
	V9_TEMPLATES = 0,
	V9_OPTIONS_TEMPLATES = 1,
	IPFIX_TEMPLATES = 2,
	IPFIX_OPTIONS_TEMPLATES = 3,
	// An Ethernet MTU less the headers of IP and UDP.
	MTU_IPV4 = 1472,
	MTU_IPV6 = 1452,
};

struct flow_decode *flow_decode_new(const struct flow_decode_events *events) {
	struct flow_decode *decoder = calloc(1, sizeof(*decoder));

	if (decoder == NULL)
		return NULL;
	decoder->events = *events;
	decoder->v5 = flow_decode_v5_template();
	if (decoder->v5 == NULL) {
		free(decoder);
		errno = ENOMEM;
		return NULL;
	}
	return decoder;
}

static void free_domain(struct flow_decode *decoder, struct domain *domain) {
	flow_decode_templates_free(decoder, domain);
	free(domain);
}

void flow_decode_free(struct flow_decode *decoder) {
	if (decoder == NULL)
		return;
	for (unsigned i = 0; i < decoder->n_domains; i++)
		free_domain(decoder, decoder->domains[i]);
	free(decoder->v5);
	free(decoder);
}

static bool is_same_exporter(const struct flow_decode_from *a, const struct flow_decode_from *b) {
	return a->port == b->port && a->family == b->family
	       && memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

static bool is_of(const struct domain *domain, const struct flow_datagram *datagram) {
	return domain->seen.domain == datagram->domain && domain->seen.version == datagram->version
	       && is_same_exporter(&domain->seen.from, &datagram->from);
}

// Makes room among the domains: the one that was longest silent goes.
static void evict_domain(struct flow_decode *decoder) {
	unsigned oldest = 0;

	for (unsigned i = 1; i < decoder->n_domains; i++)
		if (decoder->domains[i]->last_use < decoder->domains[oldest]->last_use)
			oldest = i;
	flow_decode_say(
		decoder,
		FLOW_PROBLEM_LIMIT,
		0,
		"more than %d exporters and domains: the templates of domain %" PRIu32
		", longest silent, are forgotten",
		FLOW_DECODE_MAX_DOMAINS,
		decoder->domains[oldest]->seen.domain
	);
	free_domain(decoder, decoder->domains[oldest]);
	decoder->n_domains--;
	memmove(decoder->domains + oldest,
		decoder->domains + oldest + 1,
		(decoder->n_domains - oldest) * sizeof(decoder->domains[0]));
}

// The domain of the datagram, a new one where it is the first; NULL without memory.
static struct domain *find_domain(struct flow_decode *decoder) {
	struct domain *domain = NULL;

	for (unsigned i = 0; i < decoder->n_domains && domain == NULL; i++)
		if (is_of(decoder->domains[i], &decoder->datagram))
			domain = decoder->domains[i];
	if (domain == NULL) {
		if (decoder->n_domains == FLOW_DECODE_MAX_DOMAINS)
			evict_domain(decoder);
		domain = calloc(1, sizeof(*domain));
		if (domain == NULL) {
			flow_decode_say(decoder, FLOW_PROBLEM_LIMIT, 0, "no memory");
			return NULL;
		}
		domain->seen.from = decoder->datagram.from;
		domain->seen.version = decoder->datagram.version;
		domain->seen.domain = decoder->datagram.domain;
		decoder->domains[decoder->n_domains++] = domain;
	}
	domain->last_use = decoder->stats.datagrams;
	domain->seen.datagrams++;
	return domain;
}

// Reads the header. Returns its octets, or 0 where there is none.
static size_t read_header(struct flow_decode *decoder) {
	struct flow_datagram *datagram = &decoder->datagram;
	const uint8_t *at = decoder->octets;
	unsigned version = datagram->bytes >= 2 ? wire_get16(at) : 0;
	size_t bytes = version == V5      ? V5_HEADER_BYTES
		       : version == V9    ? V9_HEADER_BYTES
		       : version == IPFIX ? IPFIX_HEADER_BYTES
					  : 0;

	if (bytes == 0 && datagram->bytes >= 2) {
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_VERSION,
			0,
			"version %u is not NetFlow v5 or v9, or IPFIX",
			version
		);
		return 0;
	}
	if (datagram->bytes < bytes || bytes == 0) {
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_HEADER_CUT,
			0,
			"%zu octets are no header",
			datagram->bytes
		);
		return 0;
	}
	datagram->version = version;
	if (version == IPFIX) {
		datagram->time_ns = wire_get32(at + 4) * NS_PER_S;
		datagram->sequence = wire_get32(at + 8);
		datagram->domain = wire_get32(at + 12);
		return bytes;
	}
	datagram->count = wire_get16(at + 2);
	datagram->uptime_ms = wire_get32(at + 4);
	datagram->time_ns = wire_get32(at + 8) * NS_PER_S;
	if (version == V9) {
		datagram->sequence = wire_get32(at + 12);
		datagram->domain = wire_get32(at + 16);
	} else {
		datagram->time_ns += wire_get32(at + 12);
		datagram->sequence = wire_get32(at + 16);
		datagram->domain = wire_get16(at + 20);
	}
	return bytes;
}

static void read_set(struct flow_decode *decoder, struct span set, uint16_t id) {
	bool v9 = decoder->datagram.version == V9;
	uint16_t templates = v9 ? V9_TEMPLATES : IPFIX_TEMPLATES;
	uint16_t options = v9 ? V9_OPTIONS_TEMPLATES : IPFIX_OPTIONS_TEMPLATES;
	uint32_t before = decoder->n_records + decoder->n_others;
	size_t begin = set.at;

	set.at += SET_HEADER_BYTES;
	if (id == templates || id == options) {
		flow_decode_template_set(decoder, set, id == options);
	} else if (id < LEAST_DATA_SET) {
		decoder->uncounted = true;
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_SET_ID,
			begin,
			"set id %u is not one of %s; %u and %u are templates, data begins at 256",
			id,
			v9 ? "NetFlow v9" : "IPFIX",
			templates,
			options
		);
		return;
	} else {
		flow_decode_data_set(decoder, set, id);
	}
	if (decoder->n_records + decoder->n_others == before && !decoder->uncounted)
		flow_decode_say(
			decoder, FLOW_PROBLEM_SET_EMPTY, begin, "set %u holds no record", id
		);
	if (v9 && (set.end - begin) % 4 != 0)
		flow_decode_say(
			decoder,
			FLOW_ADVICE_SET_UNALIGNED,
			begin + 2,
			"set %u has %zu octets, not a multiple of 4",
			id,
			set.end - begin
		);
}

static void read_sets(struct flow_decode *decoder, struct span sets) {
	while (span_bytes(sets) >= SET_HEADER_BYTES) {
		const uint8_t *at = decoder->octets + sets.at;
		uint16_t id = wire_get16(at), bytes = wire_get16(at + 2);

		if (bytes < SET_HEADER_BYTES) {
			decoder->uncounted = true;
			flow_decode_say(
				decoder,
				FLOW_PROBLEM_SET_LENGTH,
				sets.at + 2,
				"set %u has a length of %u, below its header's 4; %zu octets are "
				"not read",
				id,
				bytes,
				span_bytes(sets)
			);
			return;
		}
		if (bytes > span_bytes(sets)) {
			decoder->uncounted = true;
			flow_decode_say(
				decoder,
				FLOW_PROBLEM_SET_OVERRUN,
				sets.at + 2,
				"set %u has a length of %u; %zu octets are left",
				id,
				bytes,
				span_bytes(sets)
			);
			return;
		}
		read_set(decoder, (struct span){sets.at, sets.at + bytes}, id);
		sets.at += bytes;
	}
	if (span_bytes(sets) > 0)
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_TRAILING,
			sets.at,
			"%zu octets behind the last set",
			span_bytes(sets)
		);
}

static void read_v9(struct flow_decode *decoder, struct span body) {
	read_sets(decoder, body);

	uint32_t found = decoder->n_records + decoder->n_others;
	uint16_t count = decoder->datagram.count;
	if (decoder->uncounted ? found > count : found != count)
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_COUNT,
			2,
			"count %u, but %" PRIu32 " records (%" PRIu32 " of them templates)",
			count,
			found,
			decoder->n_others
		);
}

static void read_ipfix(struct flow_decode *decoder, struct span body) {
	uint16_t bytes = wire_get16(decoder->octets + 2);

	if (bytes < IPFIX_HEADER_BYTES || bytes > body.end) {
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_MESSAGE_LENGTH,
			2,
			"a length of %u in a message of %zu octets",
			bytes,
			body.end
		);
		decoder->uncounted = true;
	} else if (bytes < body.end) {
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_TRAILING,
			bytes,
			"%zu octets behind the message",
			body.end - bytes
		);
		body.end = bytes;
	}
	read_sets(decoder, body);
}

static void read_v5(struct flow_decode *decoder, struct span body) {
	uint16_t count = decoder->datagram.count;
	uint16_t sampling = wire_get16(decoder->octets + 22);
	size_t announced = (size_t)count * V5_RECORD_BYTES;
	size_t there = span_bytes(body) / V5_RECORD_BYTES * V5_RECORD_BYTES;

	// 2 bits of mode, then the interval.
	decoder->domain->seen.sampling_rate = (sampling & 0x3fff) > 1 ? sampling & 0x3fff : 1;
	if (announced > there)
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_COUNT,
			2,
			"count %u, but %zu records",
			count,
			there / V5_RECORD_BYTES
		);
	else if (announced < span_bytes(body))
		flow_decode_say(
			decoder,
			FLOW_PROBLEM_TRAILING,
			body.at + announced,
			"%zu octets behind the %u records that the header counts",
			span_bytes(body) - announced,
			count
		);
	if (announced < there)
		there = announced;
	body.end = body.at + there;
	flow_decode_v5_records(decoder, body);
	decoder->n_records = count; // which the next sequence number goes by
}

static void check_size(struct flow_decode *decoder) {
	uint8_t family = decoder->datagram.from.family;
	size_t most = family == 4 ? MTU_IPV4 : family == 6 ? MTU_IPV6 : SIZE_MAX;

	if (decoder->datagram.bytes > most)
		flow_decode_say(
			decoder,
			FLOW_ADVICE_OVER_MTU,
			0,
			"%zu octets travel as IP fragments where the MTU is 1500",
			decoder->datagram.bytes
		);
}

void flow_decode_datagram(
	struct flow_decode *decoder,
	const struct flow_decode_from *from,
	const uint8_t *octets,
	size_t bytes
) {
	decoder->datagram = (struct flow_datagram){.from = *from, .bytes = bytes};
	decoder->domain = NULL;
	decoder->octets = octets;
	decoder->said = 0;
	decoder->n_records = decoder->n_others = 0;
	decoder->uncounted = false;
	decoder->stats.datagrams++;
	decoder->stats.octets += bytes;

	size_t header_bytes = read_header(decoder);
	if (header_bytes == 0 || (decoder->domain = find_domain(decoder)) == NULL)
		return;
	if (decoder->events.on_datagram != NULL)
		decoder->events.on_datagram(&decoder->datagram, decoder->events.arg);
	check_size(decoder);
	bool in_order = flow_decode_check_sequence(decoder);
	struct span body = {header_bytes, bytes};
	if (decoder->datagram.version == V5)
		read_v5(decoder, body);
	else if (decoder->datagram.version == V9)
		read_v9(decoder, body);
	else
		read_ipfix(decoder, body);
	flow_decode_update_sequence(decoder, in_order);
}

// Whether another domain of the same exporter announced the sampling that this one lacks.
static bool sampling_is_apart(const struct flow_decode *decoder, const struct domain *domain) {
	for (unsigned i = 0; i < decoder->n_domains; i++) {
		const struct domain *other = decoder->domains[i];
		if (other != domain && other->seen.version == domain->seen.version
		    && is_same_exporter(&other->seen.from, &domain->seen.from)
		    && other->seen.options > 0 && other->seen.sampling_rate != 0)
			return true;
	}
	return false;
}

static void finish_domain(struct flow_decode *decoder, struct domain *domain) {
	decoder->domain = domain;
	decoder->datagram = (struct flow_datagram){
		.from = domain->seen.from,
		.version = domain->seen.version,
		.domain = domain->seen.domain,
	};
	if (domain->seen.records > 0 && domain->seen.sampling_rate == 0) {
		if (sampling_is_apart(decoder, domain))
			flow_decode_say(
				decoder,
				FLOW_ADVICE_OPTIONS_APART,
				0,
				"sampling is announced under another source id than the records"
			);
		else
			flow_decode_say(
				decoder,
				FLOW_ADVICE_NO_SAMPLING,
				0,
				"sampling is not announced; some collectors drop such records, "
				"unsampled ones too"
			);
	}
	// One sequence that datagrams overtake each other in goes back now and then, not often.
	if (domain->n_late >= 4 && domain->n_late * 4 >= domain->seen.datagrams)
		flow_decode_say(
			decoder,
			FLOW_ADVICE_SEQUENCES_MIXED,
			0,
			"%" PRIu64 " of %" PRIu64 " datagrams go back in sequence: do several "
			"counters share a source id?",
			domain->n_late,
			domain->seen.datagrams
		);
}

void flow_decode_finish(struct flow_decode *decoder) {
	for (unsigned i = 0; i < decoder->n_domains; i++)
		finish_domain(decoder, decoder->domains[i]);
}

void flow_decode_stats(const struct flow_decode *decoder, struct flow_decode_stats *stats) {
	*stats = decoder->stats;
}

bool flow_decode_domain(
	const struct flow_decode *decoder, unsigned index, struct flow_decode_domain *domain
) {
	if (index >= decoder->n_domains)
		return false;
	*domain = decoder->domains[index]->seen;
	return true;
}

bool flow_decode_likely(const uint8_t *octets, size_t bytes) {
	if (bytes < IPFIX_HEADER_BYTES)
		return false;
	switch (wire_get16(octets)) {
	case V5:
		return bytes >= V5_HEADER_BYTES
		       && bytes - V5_HEADER_BYTES
				  == (size_t)wire_get16(octets + 2) * V5_RECORD_BYTES;
	case V9:
		return bytes >= V9_HEADER_BYTES + SET_HEADER_BYTES && wire_get16(octets + 2) > 0
		       && wire_get16(octets + 22) <= bytes - V9_HEADER_BYTES;
	case IPFIX:
		return wire_get16(octets + 2) == bytes;
	default:
		return false;
	}
}
