// What the tests of the encoder share: records, and the strict decoder, by which each that arrives
// is compared with the one that was given.

#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "encoder.h"
#include "flow_decode.h"
#include "random.h"
#include "wire.h"

#define MS_2026 INT64_C(1795000000000)

enum {
	N_RECORDS = 600,
	SOURCE_ID = 77,
	MOST_INTERFACES = 80,
};

static const char *const profiles[] = {
	"standard",
	"standard+qinq",
	"standard+mpls",
	"minimal",
	"standard-mac,+dscp,+duration",
	"8,12,7,11,4,1,2,150,151,176,177",
};

struct fixture {
	enum encoder_protocol protocol;
	uint16_t datagram_bytes;
	const struct flow_record *records;
	unsigned n_records[2];  // of each family; that have arrived
	unsigned n_before_data; // options records that came before the first of a flow
	struct flow_decode *decoder;
	char problem[FLOW_PROBLEM_TEXT_BYTES];
	unsigned n_problems, n_advice[FLOW_PROBLEM_KINDS];
	unsigned n_datagrams, longest_run;
	uint64_t octets, checksum;
	uint32_t sequence; // wanted next
	// Of options.
	uint64_t sampling, algorithm;
	unsigned n_sampling, n_statistics, n_packets_dropped, n_flows_dropped;
	uint64_t told_octets, told_messages, told_flows, packets_dropped, flows_dropped;
	unsigned n_interfaces;
	uint32_t interfaces[MOST_INTERFACES];
	char names[MOST_INTERFACES][16], descriptions[MOST_INTERFACES][32];
};

static inline uint64_t number_of(const struct flow_decoded *record, uint16_t id) {
	const struct flow_field *field = flow_decoded_find(record, id);
	assert_non_null(field);
	return flow_field_number(field);
}

static inline uint64_t number_at(const uint8_t *octets, unsigned n) {
	uint64_t value = 0;
	for (unsigned i = 0; i < n; i++)
		value = value << 8 | octets[i];
	return value;
}

static inline void check_octets(const struct flow_field *field, const void *wanted) {
	assert_memory_equal(field->octets, wanted, field->bytes);
}

// What IANA says that an element holds, of our record.
static inline void check_field(const struct flow_field *field, const struct flow_record *r) {
	bool icmp = r->key.proto == (r->key.family == FLOW_IPV6 ? 58 : 1);
	uint64_t type = icmp ? number_at((const uint8_t *)&r->key.dst_port, 2) : 0;
	uint64_t value = field->bytes <= 8 ? flow_field_number(field) : 0, wanted;

	switch (field->id) {
	case 1:
		wanted = r->octets;
		break;
	case 2:
		wanted = r->packets;
		break;
	case 4:
		wanted = r->key.proto;
		break;
	case 5:
		wanted = r->tos;
		break;
	case 6:
		wanted = r->tcp_flags;
		break;
	case 7:
		wanted = number_at((const uint8_t *)&r->key.src_port, 2);
		break;
	case 8:
		check_octets(field, r->key.src4);
		return;
	case 10:
	case 14:
		wanted = r->in_if;
		break;
	case 11:
		wanted = number_at((const uint8_t *)&r->key.dst_port, 2);
		break;
	case 12:
		check_octets(field, r->key.dst4);
		return;
	case 21:
	case 22: // by the decoder
		return;
	case 27:
		check_octets(field, r->key.src6);
		return;
	case 28:
		check_octets(field, r->key.dst6);
		return;
	case 31:
	case 61:
		wanted = 0;
		break;
	case 32:
	case 139:
		wanted = type;
		break;
	case 52:
		wanted = r->ttl_min;
		break;
	case 53:
		wanted = r->ttl_max;
		break;
	case 56:
		check_octets(field, r->src_mac);
		return;
	case 58:
	case 243:
		wanted = r->key.vlan_id;
		break;
	case 60:
		wanted = r->key.family == FLOW_IPV6 ? 6 : 4;
		break;
	case 70:
		check_octets(field, r->mpls_label);
		return;
	case 80:
		check_octets(field, r->dst_mac);
		return;
	case 136:
		wanted = r->end;
		break;
	case 150:
		wanted = r->first_ticks / TICKS_PER_S;
		break;
	case 151:
		wanted = r->last_ticks / TICKS_PER_S;
		break;
	case 152:
		wanted = r->first_ticks / TICKS_PER_MS;
		break;
	case 153:
		wanted = r->last_ticks / TICKS_PER_MS;
		break;
	case 161:
		wanted = r->last_ticks / TICKS_PER_MS - r->first_ticks / TICKS_PER_MS;
		break;
	case 176:
	case 178:
		wanted = type >> 8;
		break;
	case 177:
	case 179:
		wanted = type & 255;
		break;
	case 195:
		wanted = r->tos >> 2;
		break;
	case 245:
		wanted = r->inner_vlan_id;
		break;
	default:
		fail_msg("element %u was not asked for", field->id);
		return;
	}
	if (value != wanted)
		fail_msg("element %u is %lu, not %lu", field->id, value, wanted);
}

static inline void take_options(struct fixture *fixture, const struct flow_decoded *record) {
	assert_int_equal(record->n_scopes, 1);
	assert_int_equal(flow_field_number(&record->fields[0]), SOURCE_ID);
	if (fixture->n_records[0] + fixture->n_records[1] == 0)
		fixture->n_before_data++;
	if (flow_decoded_find(record, 34) != NULL) {
		fixture->n_sampling++;
		fixture->sampling = number_of(record, 34);
		if (record->n_fields > 2)
			fixture->algorithm = number_of(record, 35);
	} else if (flow_decoded_find(record, 82) != NULL) {
		unsigned i = fixture->n_interfaces++ % MOST_INTERFACES;
		fixture->interfaces[i] = (uint32_t)number_of(record, 10);
		memcpy(fixture->names[i], flow_decoded_find(record, 82)->octets, 16);
		memcpy(fixture->descriptions[i], flow_decoded_find(record, 83)->octets, 32);
	} else if (flow_decoded_find(record, 164) != NULL) {
		fixture->n_packets_dropped++;
		fixture->packets_dropped = number_of(record, 164);
	} else if (flow_decoded_find(record, 166) != NULL) {
		fixture->n_flows_dropped++;
		fixture->flows_dropped = number_of(record, 166);
	} else {
		assert_int_equal(record->n_fields, 4);
		fixture->n_statistics++;
		fixture->told_octets = number_of(record, 40);
		fixture->told_messages = number_of(record, 41);
		fixture->told_flows = number_of(record, 42);
	}
}

// The records of a family keep their order.
static const struct flow_record *next_record(struct fixture *fixture, bool ipv6) {
	unsigned n = fixture->n_records[ipv6]++;
	for (const struct flow_record *record = fixture->records;; record++)
		if ((record->key.family == FLOW_IPV6) == ipv6 && n-- == 0)
			return record;
}

static inline void
on_record(const struct flow_datagram *datagram, const struct flow_decoded *record, void *arg) {
	struct fixture *fixture = arg;

	assert_int_equal(datagram->domain, SOURCE_ID);
	if (record->n_scopes > 0) {
		take_options(fixture, record);
		return;
	}
	const struct flow_record *wanted =
		next_record(fixture, flow_decoded_find(record, ELEMENT_SRC6) != NULL);
	for (unsigned i = 0; i < record->n_fields; i++)
		check_field(&record->fields[i], wanted);
	assert_true(record->has_first && record->has_last);
	bool seconds = flow_decoded_find(record, 150) != NULL;
	int64_t unit_ns = seconds ? NS_PER_S : NS_PER_MS;
	uint64_t unit_ticks = seconds ? TICKS_PER_S : TICKS_PER_MS;
	assert_true(record->first_ns == (int64_t)(wanted->first_ticks / unit_ticks) * unit_ns);
	assert_true(record->last_ns == (int64_t)(wanted->last_ticks / unit_ticks) * unit_ns);
	assert_true(record->last_ns <= datagram->time_ns);
	assert_true(number_of(record, 4) == wanted->key.proto);
	assert_int_equal(record->sampling_rate, fixture->sampling);
}

static inline void on_problem(const struct flow_problem *problem, void *arg) {
	struct fixture *fixture = arg;

	fixture->n_advice[problem->kind]++;
	if (flow_problem_is_advice(problem->kind))
		return;
	if (fixture->n_problems++ == 0)
		memcpy(fixture->problem, problem->text, strlen(problem->text) + 1);
}

static inline void take_datagram(struct fixture *fixture, const uint8_t *octets, size_t n) {
	const struct flow_decode_from from = {
		.family = 4, .address = {192, 0, 2, 9}, .port = 40000, .to_port = 2055};
	struct flow_decode_stats before, after;
	bool ipfix = fixture->protocol == ENCODER_IPFIX;

	assert_in_range(n, 17, fixture->datagram_bytes);
	// An exact block, so that a sanitizer sees a read beyond it.
	uint8_t *exact = malloc(n);
	assert_non_null(exact);
	memcpy(exact, octets, n);
	flow_decode_stats(fixture->decoder, &before);
	flow_decode_datagram(fixture->decoder, &from, exact, n);
	flow_decode_stats(fixture->decoder, &after);
	free(exact);
	if (fixture->n_problems > 0)
		fail_msg("datagram %u: %s", fixture->n_datagrams, fixture->problem);

	uint64_t n_data = after.records - before.records + after.options - before.options;
	uint64_t n_all = n_data + after.templates - before.templates;
	assert_int_equal(wire_get32(octets + (ipfix ? 8 : 12)), fixture->sequence);
	if (!ipfix)
		assert_int_equal(wire_get16(octets + 2), n_all);
	fixture->sequence += ipfix ? (uint32_t)n_data : 1;
	fixture->n_datagrams++;
	fixture->octets += n;
	for (size_t i = 0; i < n; i++)
		fixture->checksum = (fixture->checksum ^ octets[i]) * UINT64_C(0x100000001b3);
}

static inline void take(const struct export_run *run, void *arg) {
	struct fixture *fixture = arg;

	assert_true(run->n_datagrams == 1 || run->last_bytes <= run->datagram_bytes);
	if (run->n_datagrams > fixture->longest_run)
		fixture->longest_run = run->n_datagrams;
	for (unsigned i = 0; i < run->n_datagrams; i++) {
		struct export_run one = export_run_part(run, i, 1);
		unsigned before = fixture->n_records[0] + fixture->n_records[1];
		take_datagram(fixture, one.octets, export_run_bytes(&one));
		assert_int_equal(
			fixture->n_records[0] + fixture->n_records[1] - before,
			export_run_records(&one)
		);
	}
}

static inline void begin(struct fixture *fixture, enum encoder_protocol protocol, uint16_t bytes) {
	*fixture = (struct fixture){.protocol = protocol, .datagram_bytes = bytes};
	fixture->decoder = flow_decode_new(&(struct flow_decode_events
	){.on_record = on_record, .on_problem = on_problem, .arg = fixture});
	assert_non_null(fixture->decoder);
}

static inline struct encoder *
open_encoder(struct fixture *fixture, const struct field_profile *profile, uint32_t packets) {
	struct encoder *encoder = encoder_new(
		&(struct encoder_config){
			.protocol = fixture->protocol,
			.source_id = SOURCE_ID,
			.datagram_bytes = fixture->datagram_bytes,
			.template_interval_ms = packets > 0 ? 30000 : 0,
			.template_packets = packets,
			.sampling_interval = 1,
			.profile = profile,
		},
		take,
		fixture
	);
	assert_non_null(encoder);
	return encoder;
}

static inline void end(struct fixture *fixture, struct encoder *encoder) {
	encoder_free(encoder);
	flow_decode_free(fixture->decoder);
}

static inline void make_records(struct flow_record *records, unsigned n, struct random *random) {
	for (unsigned i = 0; i < n; i++) {
		struct flow_record *record = &records[i];
		random_fill(random, record, sizeof(*record));
		record->key.family = random_below(random, 3) == 0 ? FLOW_IPV6 : FLOW_IPV4;
		record->key.proto = (uint8_t[]){1, 6, 17, 58}[random_below(random, 4)];
		record->in_if |= 1;
		record->end = (uint8_t)(1 + random_below(random, 5));
		record->last_ticks =
			(uint64_t)(MS_2026 + i) * TICKS_PER_MS + random_below(random, 16);
		record->first_ticks = record->last_ticks - random_below(random, 3600 * TICKS_PER_S);
	}
}

static const struct export_interface two[] = {
	{1, "eth0", "to the internet"},
	{7, "eth1", ""},
};

// A flush and what a datagram of it says.
static inline void send_one(struct fixture *fixture, struct encoder *encoder, int64_t now_ms) {
	static struct flow_record record;

	record = (struct flow_record){
		.first_ticks = (uint64_t)MS_2026 * TICKS_PER_MS,
		.last_ticks = (uint64_t)MS_2026 * TICKS_PER_MS,
		.in_if = 1,
		.end = FLOW_END_IDLE,
	};
	record.key.family = FLOW_IPV4;
	record.key.proto = 17;
	fixture->records = &record;
	fixture->n_records[0] = 0;
	encoder_add(encoder, &record, 1, now_ms);
	encoder_flush(encoder, now_ms);
	assert_int_equal(fixture->n_records[0], 1);
}
