// Flow decode, inside: what its parts share. flow_decode.c reads headers and sets,
// flow_decode_sequence.c compares them with those before, flow_decode_template.c reads templates,
// flow_decode_record.c data records, flow_decode_check.c looks at both, flow_decode_problem.c says
// what is wrong.

#pragma once

#include "flow_decode.h"

enum {
	V5 = 5,
	V9 = 9,
	IPFIX = 10,
	V5_HEADER_BYTES = 24,
	V9_HEADER_BYTES = 20,
	IPFIX_HEADER_BYTES = 16,
	SET_HEADER_BYTES = 4,
	V5_RECORD_BYTES = 48,
	LEAST_DATA_SET = 256,
	VARIABLE_BYTES = 65535,
};

struct template {
	struct template *next;
	uint16_t id;
	uint16_t n_scopes;
	uint16_t n_fields;
	bool has_icmp, has_dst_port;
	uint32_t least_bytes; // of a record; more only with fields of variable length
	int64_t sent_ns;      // export time
	struct flow_template_field fields[];
};

struct domain {
	struct flow_decode_domain seen;
	uint64_t last_use; // number of the datagram
	struct template *templates;
	uint64_t advised; // a bit for each kind

	bool expects; // whether `expected` is known
	uint32_t expected;
	uint64_t n_late;
	uint32_t uptime_ms; // of the last datagram
	int64_t time_ns;
	int64_t boot_ms; // of an option; 0 = not known
};

struct flow_decode {
	struct flow_decode_events events;
	struct flow_decode_stats stats;
	struct domain *domains[FLOW_DECODE_MAX_DOMAINS]; // in the order in which they came
	unsigned n_domains;
	uint32_t n_all_fields;
	struct template *v5;

	// The datagram being read.
	struct flow_datagram datagram;
	struct domain *domain; // NULL before the header has been read
	const uint8_t *octets;
	uint64_t said; // kinds that one record after another may have
	uint32_t n_records, n_others;
	bool uncounted; // a set whose records cannot be counted

	struct flow_field fields[FLOW_DECODE_MAX_FIELDS];
	struct flow_template_field new_fields[FLOW_DECODE_MAX_FIELDS];
};

// A part of the datagram: from `at` to `end`, both counted from its first octet.
struct span {
	size_t at, end;
};

static inline size_t span_bytes(struct span span) {
	return span.end - span.at;
}

[[gnu::format(printf, 4, 5)]] void flow_decode_say(
	struct flow_decode *decoder,
	enum flow_problem_kind kind,
	size_t offset,
	const char *format,
	...
);

// The same for what may be wrong with every record: counted each time, said once a datagram.
[[gnu::format(printf, 4, 5)]] void flow_decode_say_once(
	struct flow_decode *decoder,
	enum flow_problem_kind kind,
	size_t offset,
	const char *format,
	...
);

// What is left behind the last record of a set.
void flow_decode_padding(struct flow_decode *decoder, struct span left);

// The head of a template record, before its fields.
struct template_head {
	size_t offset;
	uint16_t id;
	unsigned n_scopes;
	unsigned n_fields;
};

// What the header says against the datagrams before. Whether the next is expected behind this one;
// it is told when the datagram has been read.
bool flow_decode_check_sequence(struct flow_decode *decoder);
void flow_decode_update_sequence(struct flow_decode *decoder, bool in_order);

// The template in `new_fields`, when it is new.
void flow_decode_check_template(struct flow_decode *decoder, const struct template_head *head);

// A flow's record.
void flow_decode_check_times(
	struct flow_decode *decoder, const struct flow_decoded *record, size_t offset
);
void flow_decode_advise(
	struct flow_decode *decoder,
	const struct template *template,
	const struct flow_decoded *record,
	size_t offset
);

// The number in the field of an element, 0 where there is none.
uint64_t flow_decode_number(const struct flow_decoded *record, uint16_t id);

struct template *flow_decode_template(const struct domain *domain, uint16_t id);
void flow_decode_templates_free(struct flow_decode *decoder, struct domain *domain);

// Sets without their header.
void flow_decode_template_set(struct flow_decode *decoder, struct span set, bool options);
void flow_decode_data_set(struct flow_decode *decoder, struct span set, uint16_t id);

// What would be v5's template; NULL without memory. Its records follow each other.
[[nodiscard]] struct template *flow_decode_v5_template(void);
void flow_decode_v5_records(struct flow_decode *decoder, struct span records);
