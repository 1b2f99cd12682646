// Flow decode: datagrams of NetFlow v5, v9 (RFC 3954) and IPFIX (RFC 7011) become templates and
// records, and a list of what is wrong with them. It is a strict reader for people who look at an
// exporter, and shares nothing with the encoder.
//
// Problems break an RFC, or lose data. Advice is what the RFCs permit and collectors stumble over
// (docs/netflow.md); it is given once for each kind and observation domain.
//
// An observation domain is known by address and port of its exporter, version, and source ID
// (v5: engine type and id). Each has templates and a sequence of its own. Memory is bounded
// whatever arrives: see the limits. A domain beyond them takes the place of the one that was
// longest silent.
//
// Time: only what the datagrams say. Threads: one at a time for each decoder.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elements.h"

enum {
	FLOW_DECODE_MAX_DOMAINS = 256,
	FLOW_DECODE_MAX_TEMPLATES = 256,     // of a domain
	FLOW_DECODE_MAX_FIELDS = 512,        // of a template
	FLOW_DECODE_MAX_ALL_FIELDS = 262144, // of all templates: 6 MiB
	FLOW_PROBLEM_TEXT_BYTES = 200,
};

enum flow_problem_kind {
	// Problems.
	FLOW_PROBLEM_VERSION,
	FLOW_PROBLEM_HEADER_CUT,
	FLOW_PROBLEM_MESSAGE_LENGTH,
	FLOW_PROBLEM_COUNT,
	FLOW_PROBLEM_SET_LENGTH,
	FLOW_PROBLEM_SET_OVERRUN,
	FLOW_PROBLEM_SET_ID,
	FLOW_PROBLEM_SET_EMPTY,
	FLOW_PROBLEM_TRAILING,
	FLOW_PROBLEM_PADDING_NOT_ZERO,
	FLOW_PROBLEM_PADDING_LONG,
	FLOW_PROBLEM_NO_TEMPLATE,
	FLOW_PROBLEM_NEW_SOURCE_PORT,
	FLOW_PROBLEM_TEMPLATE_CUT,
	FLOW_PROBLEM_TEMPLATE_ID,
	FLOW_PROBLEM_TEMPLATE_EMPTY,
	FLOW_PROBLEM_TEMPLATE_CHANGED,
	FLOW_PROBLEM_SCOPE_COUNT,
	FLOW_PROBLEM_FIELD_LENGTH,
	FLOW_PROBLEM_WITHDRAWAL,
	FLOW_PROBLEM_RECORD_CUT,
	FLOW_PROBLEM_SEQUENCE_GAP,
	FLOW_PROBLEM_SEQUENCE_BACK,
	FLOW_PROBLEM_FIRST_AFTER_UPTIME,
	FLOW_PROBLEM_LAST_AFTER_UPTIME,
	FLOW_PROBLEM_ENDS_BEFORE_BEGIN,
	FLOW_PROBLEM_TIME_FAR,
	FLOW_PROBLEM_LIMIT,
	// Advice.
	FLOW_ADVICE_SET_UNALIGNED,
	FLOW_ADVICE_RESTART,
	FLOW_ADVICE_UPTIME_WRAP,
	FLOW_ADVICE_UPTIME_WITHOUT_BOOT,
	FLOW_ADVICE_TEMPLATES_RARE,
	FLOW_ADVICE_OPTIONS_TOGETHER,
	FLOW_ADVICE_OPTIONS_APART,
	FLOW_ADVICE_NO_SAMPLING,
	FLOW_ADVICE_SEQUENCES_MIXED,
	FLOW_ADVICE_UNKNOWN_ELEMENT,
	FLOW_ADVICE_ELEMENT_TWICE,
	FLOW_ADVICE_FLAGS_LENGTH,
	FLOW_ADVICE_COUNTER_SHORT,
	FLOW_ADVICE_ICMP_ONE_PLACE,
	FLOW_ADVICE_IF_INDEX_0,
	FLOW_ADVICE_ADDRESSES_0,
	FLOW_ADVICE_OWN_EXPORT,
	FLOW_ADVICE_OVER_MTU,
	FLOW_PROBLEM_KINDS
};

// Where a datagram came from, as far as it is known.
struct flow_decode_from {
	uint8_t family;      // 4 or 6; 0 = a file or stream, in which templates may be withdrawn
	uint8_t address[16]; // IPv4 in the first 4 octets, 0 behind
	uint16_t port;
	uint16_t to_port; // at which it arrived
};

struct flow_datagram {
	struct flow_decode_from from;
	unsigned version; // 5, 9, 10
	uint32_t domain;
	uint32_t sequence;
	uint16_t count;     // v5, v9: as the header says
	uint32_t uptime_ms; // v5, v9
	int64_t time_ns;    // export time, since 1970
	size_t bytes;
};

struct flow_template_field {
	const struct element *element; // NULL = not known
	uint32_t enterprise;
	uint16_t id;
	uint16_t bytes; // 65535 = variable
};

struct flow_template {
	uint16_t id;
	uint16_t n_scopes; // > 0: an options template, of which these fields come first
	uint16_t n_fields; // 0 = withdrawn
	const struct flow_template_field *fields;
};

struct flow_field {
	const struct element *element; // NULL = not known
	uint32_t enterprise;
	uint16_t id;
	uint16_t bytes;
	bool scope;
	const uint8_t *octets;
};

// A data record. v5's records have the elements that v9 has for their fields.
struct flow_decoded {
	uint16_t template_id; // v5: 0
	uint16_t n_scopes;    // > 0: an options record
	uint16_t n_fields;
	const struct flow_field *fields;
	bool has_first, has_last;
	int64_t first_ns, last_ns; // since 1970, as collectors compute them
	uint32_t sampling_rate;    // 1 in this many packets; 0 = not announced so far
};

struct flow_problem {
	enum flow_problem_kind kind;
	const struct flow_decode_from *from;
	unsigned version; // 0 = not known
	uint32_t domain;
	uint32_t sequence;
	size_t offset; // of the place in the datagram; 0 for what only the whole shows
	const char *text;
};

// What is pointed to is gone when a call returns. Any may be NULL. on_record's datagram is the
// one that on_datagram was given.
struct flow_decode_events {
	void (*on_datagram)(const struct flow_datagram *datagram, void *arg);
	void (*on_template
	)(const struct flow_datagram *datagram, const struct flow_template *template, void *arg);
	void (*on_record
	)(const struct flow_datagram *datagram, const struct flow_decoded *record, void *arg);
	void (*on_problem)(const struct flow_problem *problem, void *arg);
	void *arg;
};

struct flow_decode_stats {
	uint64_t datagrams;
	uint64_t octets;
	uint64_t records; // of flows
	uint64_t options;
	uint64_t templates; // records that define one
	uint64_t problems[FLOW_PROBLEM_KINDS];
};

// An observation domain, as far as it was seen.
struct flow_decode_domain {
	struct flow_decode_from from;
	unsigned version;
	uint32_t domain;
	uint64_t datagrams;
	uint64_t records;
	uint64_t options;
	unsigned n_templates; // known now
	uint64_t n_gaps;
	uint64_t lost; // by gaps, less what came late: datagrams of v9, else records
	uint32_t sampling_rate;
};

struct flow_decode;

// NULL with errno ENOMEM.
[[nodiscard]] struct flow_decode *flow_decode_new(const struct flow_decode_events *events);
void flow_decode_free(struct flow_decode *decoder);

// Decodes one datagram, or one message of a file.
void flow_decode_datagram(
	struct flow_decode *decoder,
	const struct flow_decode_from *from,
	const uint8_t *octets,
	size_t bytes
);

// Gives the advice that only the whole shows. At the end, once.
void flow_decode_finish(struct flow_decode *decoder);

void flow_decode_stats(const struct flow_decode *decoder, struct flow_decode_stats *stats);

// The domain at `index`, counted from 0 in the order in which they came; false behind the last.
bool flow_decode_domain(
	const struct flow_decode *decoder, unsigned index, struct flow_decode_domain *domain
);

// Whether octets among other traffic look like a datagram of v5, v9 or IPFIX.
bool flow_decode_likely(const uint8_t *octets, size_t bytes);

// A short lower-case name, such as "sequence_gap"; and whether it is advice.
const char *flow_problem_name(enum flow_problem_kind kind);
bool flow_problem_is_advice(enum flow_problem_kind kind);

// The number in a field of 1 to 8 octets, else 0.
uint64_t flow_field_number(const struct flow_field *field);

// The field with one of IANA's elements; NULL.
const struct flow_field *flow_decoded_find(const struct flow_decoded *record, uint16_t id);
