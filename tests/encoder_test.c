// Encoders of NetFlow v9 and IPFIX through the strict decoder of `weir decode`, which shares
// nothing with them: random records, of each profile, in datagrams of any size, arrive as they
// were. And options data as collectors need it; many of the names are mistakes that exporters have
// made (docs/netflow.md).

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

static uint64_t number_of(const struct flow_decoded *record, uint16_t id) {
	const struct flow_field *field = flow_decoded_find(record, id);
	assert_non_null(field);
	return flow_field_number(field);
}

static uint64_t number_at(const uint8_t *octets, unsigned n) {
	uint64_t value = 0;
	for (unsigned i = 0; i < n; i++)
		value = value << 8 | octets[i];
	return value;
}

static void check_octets(const struct flow_field *field, const void *wanted) {
	assert_memory_equal(field->octets, wanted, field->bytes);
}

// What IANA says that an element holds, of our record.
static void check_field(const struct flow_field *field, const struct flow_record *r) {
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

static void take_options(struct fixture *fixture, const struct flow_decoded *record) {
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

static void
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

static void on_problem(const struct flow_problem *problem, void *arg) {
	struct fixture *fixture = arg;

	fixture->n_advice[problem->kind]++;
	if (flow_problem_is_advice(problem->kind))
		return;
	if (fixture->n_problems++ == 0)
		memcpy(fixture->problem, problem->text, strlen(problem->text) + 1);
}

static void take_datagram(struct fixture *fixture, const uint8_t *octets, size_t n) {
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

static void take(const struct export_run *run, void *arg) {
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

static void begin(struct fixture *fixture, enum encoder_protocol protocol, uint16_t bytes) {
	*fixture = (struct fixture){.protocol = protocol, .datagram_bytes = bytes};
	fixture->decoder = flow_decode_new(&(struct flow_decode_events
	){.on_record = on_record, .on_problem = on_problem, .arg = fixture});
	assert_non_null(fixture->decoder);
}

static struct encoder *
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

static void end(struct fixture *fixture, struct encoder *encoder) {
	encoder_free(encoder);
	flow_decode_free(fixture->decoder);
}

static void make_records(struct flow_record *records, unsigned n, struct random *random) {
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

static void records_arrive_as_they_were_whatever_profile_and_size(void **state) {
	struct random random = {1};
	(void)state;

	for (unsigned n = 0; n < 150; n++) {
		static struct flow_record records[N_RECORDS];
		struct fixture fixture;
		struct field_profile profile;
		char error[FIELD_PROFILE_ERROR_BYTES];
		unsigned timestamps = random_below(&random, 3);

		make_records(records, N_RECORDS, &random);
		assert_int_equal(
			field_profile_parse(
				&profile,
				profiles[random_below(
					&random, sizeof(profiles) / sizeof(profiles[0])
				)],
				(enum field_timestamps)timestamps,
				error
			),
			0
		);
		begin(&fixture,
		      n % 2 == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX,
		      (uint16_t
		      )(n % 3 == 0 ? 512 + random_below(&random, 8441)
				   : 512 + random_below(&random, 1000)));
		fixture.records = records;
		// n % 10 of 1: a stream of IPFIX.
		uint32_t packets = n % 10 == 1 ? 0 : 1 + random_below(&random, 30);
		struct encoder *encoder = open_encoder(&fixture, &profile, packets);
		if (n % 4 >= 2)
			encoder_set_interfaces(encoder, two, 2);
		if (n % 8 >= 4)
			encoder_set_counts(encoder, &(struct export_counts){n, 2 * n});
		for (unsigned at = 0, these; at < N_RECORDS; at += these) {
			these = 1 + random_below(&random, 100);
			if (these > N_RECORDS - at)
				these = N_RECORDS - at;
			encoder_add(encoder, records + at, these, MS_2026 + at);
			if (random_below(&random, 10) == 0)
				encoder_flush(encoder, MS_2026 + at + these);
		}
		encoder_flush(encoder, MS_2026 + N_RECORDS);
		assert_int_equal(fixture.n_records[0] + fixture.n_records[1], N_RECORDS);

		struct encoder_stats stats;
		struct flow_decode_stats seen;
		encoder_stats(encoder, &stats);
		flow_decode_stats(fixture.decoder, &seen);
		assert_int_equal(stats.datagrams, seen.datagrams);
		assert_int_equal(stats.octets, seen.octets);
		assert_int_equal(stats.records, seen.records);
		assert_int_equal(stats.templates, seen.templates);
		assert_int_equal(stats.options, seen.options);
		end(&fixture, encoder);
	}
}

static void records_give_the_same_octets_however_they_are_cut_into_calls(void **state) {
	static struct flow_record records[N_RECORDS];
	struct random random = {2};
	(void)state;

	make_records(records, N_RECORDS, &random);
	for (unsigned i = 0; i < 3 * sizeof(profiles) / sizeof(profiles[0]); i++) {
		struct field_profile profile;
		char error[FIELD_PROFILE_ERROR_BYTES];
		uint64_t checksums[3];
		assert_int_equal(
			field_profile_parse(&profile, profiles[i / 3], FIELD_UPTIME, error), 0
		);
		for (unsigned cut = 0; cut < 3; cut++) {
			struct fixture fixture;
			begin(&fixture, i % 3 == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 700);
			fixture.records = records;
			struct encoder *encoder =
				open_encoder(&fixture, &profile, i % 3 == 2 ? 0 : 7);
			encoder_set_interfaces(encoder, two, 2);
			for (unsigned at = 0, these; at < N_RECORDS; at += these) {
				// Time stands still for 50 records.
				unsigned left = 50 - at % 50;
				these = cut == 0   ? left
					: cut == 1 ? 1
						   : 1 + random_below(&random, left);
				encoder_add(encoder, records + at, these, MS_2026 + at / 50);
			}
			encoder_flush(encoder, MS_2026 + 1000);
			checksums[cut] = fixture.checksum;
			assert_int_equal(fixture.n_records[0] + fixture.n_records[1], N_RECORDS);
			end(&fixture, encoder);
		}
		assert_true(checksums[1] == checksums[0]);
		assert_true(checksums[2] == checksums[0]);
	}
}

// A flush and what a datagram of it says.
static void send_one(struct fixture *fixture, struct encoder *encoder, int64_t now_ms) {
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

static void keep_first(const struct export_run *run, void *arg) {
	uint8_t *first = arg;
	if (wire_get16(first) == 0)
		memcpy(first, run->octets, 512);
}

static void count_is_the_number_of_records_of_every_kind(void **state) {
	uint8_t first[512] = {0};
	const struct flow_record record = {
		.key = {.family = FLOW_IPV4},
		.first_ticks = (uint64_t)MS_2026 * TICKS_PER_MS,
		.last_ticks = (uint64_t)MS_2026 * TICKS_PER_MS,
		.in_if = 1,
	};
	(void)state;

	struct encoder *encoder = encoder_new(
		&(struct encoder_config
		){.source_id = SOURCE_ID, .datagram_bytes = 1400, .sampling_interval = 1},
		keep_first,
		first
	);
	assert_non_null(encoder);
	encoder_add(encoder, &record, 1, MS_2026);
	encoder_flush(encoder, MS_2026);
	// Templates of IPv4 and IPv6, three of options and a record of each, a flow.
	assert_int_equal(wire_get16(first + 2), 2 + 3 + 3 + 1);
	assert_int_equal(wire_get32(first + 12), 0);
	assert_int_equal(wire_get32(first + 16), SOURCE_ID);
	encoder_free(encoder);
}

// nfdump counts every other distance as a failure.
static void sequence_of_v9_counts_packets_also_those_of_options_alone(void **state) {
	struct export_interface many[EXPORT_MOST_INTERFACES] = {0};
	struct fixture fixture;
	(void)state;

	begin(&fixture, ENCODER_NETFLOW9, 512);
	struct encoder *encoder = open_encoder(&fixture, NULL, 4800);
	encoder_set_interfaces(encoder, many, EXPORT_MOST_INTERFACES);
	send_one(&fixture, encoder, MS_2026);
	assert_in_range(fixture.n_datagrams, 8, 12);
	assert_int_equal(fixture.sequence, fixture.n_datagrams);
	end(&fixture, encoder);
}

static void options_tell_the_interfaces_each_in_a_set_of_its_own(void **state) {
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 1400);
		struct encoder *encoder = open_encoder(&fixture, NULL, 100);
		encoder_set_interfaces(encoder, two, 2);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_interfaces, 2);
		assert_int_equal(fixture.interfaces[0], 1);
		assert_int_equal(fixture.interfaces[1], 7);
		assert_string_equal(fixture.names[1], "eth1");
		assert_string_equal(fixture.descriptions[0], "to the internet");
		assert_string_equal(fixture.descriptions[1], "");
		assert_int_equal(fixture.n_advice[FLOW_ADVICE_OPTIONS_TOGETHER], 0);
		// Others are told at once.
		encoder_set_interfaces(encoder, two + 1, 1);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_interfaces, 3);
		assert_int_equal(fixture.interfaces[2], 7);
		end(&fixture, encoder);
	}
}

static void text_is_cut_where_a_character_ends(void **state) {
	char out[8];
	(void)state;

	export_text(out, sizeof(out), "lan");
	assert_memory_equal(out, "lan\0\0\0\0\0", 8);
	export_text(out, sizeof(out), "1234567");
	assert_string_equal(out, "1234567");
	export_text(out, sizeof(out), "12345678");
	assert_string_equal(out, "1234567");
	export_text(out, sizeof(out), "12345\xc3\xa4"); // seven octets, the last two an umlaut
	assert_string_equal(out, "12345\xc3\xa4");
	export_text(out, sizeof(out), "123456\xc3\xa4");
	assert_memory_equal(out, "123456\0\0", 8);
	export_text(out, sizeof(out), "1234\xf0\x9f\x90\x9f");
	assert_memory_equal(out, "1234\0\0\0\0", 8);
	export_text(out, sizeof(out), "1\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac");
	assert_string_equal(out, "1\xe2\x82\xac\xe2\x82\xac");
	export_text(out, sizeof(out), "\x80\x80\x80\x80\x80\x80\x80\x80\x80");
	assert_memory_equal(out, "\0\0\0\0\0\0\0\0", 8);
}

// More interfaces than go into the smallest datagram: all are told before the first record.
static void options_that_do_not_fit_go_in_several_datagrams(void **state) {
	struct export_interface many[EXPORT_MOST_INTERFACES + 1] = {0};
	(void)state;

	for (unsigned i = 0; i < EXPORT_MOST_INTERFACES + 1; i++)
		many[i] = (struct export_interface){i + 1, "eth", "x"};
	for (unsigned i = 0; i < 3; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 512);
		struct encoder *encoder = open_encoder(&fixture, NULL, i == 2 ? 0 : 100);
		encoder_set_interfaces(encoder, many, EXPORT_MOST_INTERFACES + 1);
		encoder_set_counts(encoder, &(struct export_counts){0});
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_interfaces, EXPORT_MOST_INTERFACES);
		assert_int_equal(fixture.interfaces[63], 64);
		assert_in_range(fixture.n_datagrams, 9, 12);
		assert_int_equal(
			fixture.n_before_data, EXPORT_MOST_INTERFACES + (i == 0 ? 2 : 1) + 3
		);
		end(&fixture, encoder);
	}
}

static void exporter_statistics_are_what_was_handed_over_before(void **state) {
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 1400);
		struct encoder *encoder = open_encoder(&fixture, NULL, 10);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_statistics, 1);
		assert_int_equal(fixture.told_messages, 0);
		for (unsigned n = 1; n < 10; n++)
			send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_statistics, 1);
		uint64_t octets = fixture.octets;
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_statistics, 2);
		assert_int_equal(fixture.told_octets, octets);
		assert_int_equal(fixture.told_messages, 10);
		assert_int_equal(fixture.told_flows, 10);
		end(&fixture, encoder);
	}
}

static void losses_are_told_once_somebody_counts_them(void **state) {
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 1400);
		struct encoder *encoder = open_encoder(&fixture, NULL, 1);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_packets_dropped + fixture.n_flows_dropped, 0);
		encoder_set_counts(encoder, &(struct export_counts){UINT64_C(5) << 40, 6});
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_packets_dropped, 1);
		assert_int_equal(fixture.n_flows_dropped, 1);
		assert_true(fixture.packets_dropped == UINT64_C(5) << 40);
		assert_int_equal(fixture.flows_dropped, 6);
		end(&fixture, encoder);
	}
}

// A stream gets templates once, and counts whenever they are others.
static void a_stream_is_told_counts_without_their_templates(void **state) {
	struct fixture fixture;
	struct flow_decode_stats before, after;
	(void)state;

	begin(&fixture, ENCODER_IPFIX, 1400);
	struct encoder *encoder = open_encoder(&fixture, NULL, 0);
	encoder_set_counts(encoder, &(struct export_counts){1, 2});
	send_one(&fixture, encoder, MS_2026);
	flow_decode_stats(fixture.decoder, &before);
	send_one(&fixture, encoder, MS_2026 + 3600000);
	assert_int_equal(fixture.n_flows_dropped, 1);
	encoder_set_counts(encoder, &(struct export_counts){1, 3});
	send_one(&fixture, encoder, MS_2026 + 3600000);
	flow_decode_stats(fixture.decoder, &after);
	assert_int_equal(after.templates, before.templates);
	assert_int_equal(fixture.n_flows_dropped, 2);
	assert_int_equal(fixture.flows_dropped, 3);
	assert_int_equal(fixture.n_statistics, 2);
	assert_int_equal(fixture.told_flows, 2);
	// Another session.
	encoder_renew_templates(encoder);
	send_one(&fixture, encoder, MS_2026 + 3600000);
	flow_decode_stats(fixture.decoder, &after);
	assert_int_equal(after.templates, 2 * before.templates);
	end(&fixture, encoder);
}

// A collector that skips what is sampled unannounced loses all of it.
static void sampling_is_announced_also_when_every_packet_counts(void **state) {
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 1400);
		struct encoder *encoder = open_encoder(&fixture, NULL, i == 2 ? 0 : 100);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_sampling, i == 0 ? 2 : 1);
		assert_int_equal(fixture.sampling, 1);
		assert_int_equal(fixture.algorithm, 1);
		encoder_set_sampling(encoder, 512, 2);
		send_one(&fixture, encoder, MS_2026);
		assert_int_equal(fixture.n_sampling, i == 0 ? 4 : 2);
		assert_int_equal(fixture.sampling, 512);
		assert_int_equal(fixture.algorithm, 2);
		end(&fixture, encoder);
	}
}

// The collector reads what was before sampling, and that nothing was sampled.
static void counters_are_scaled_where_it_is_asked_for(void **state) {
	static struct flow_record records[N_RECORDS], expected[N_RECORDS];
	struct random random = {4};
	(void)state;

	make_records(records, N_RECORDS, &random);
	for (unsigned i = 0; i < 2; i++) {
		struct fixture fixture;
		begin(&fixture, i == 0 ? ENCODER_NETFLOW9 : ENCODER_IPFIX, 1400);
		fixture.records = expected;
		struct encoder *encoder = encoder_new(
			&(struct encoder_config){
				.protocol = fixture.protocol,
				.source_id = SOURCE_ID,
				.datagram_bytes = fixture.datagram_bytes,
				.template_packets = 100,
				.sampling_interval = 10,
				.scale_counters = true,
			},
			take,
			&fixture
		);
		assert_non_null(encoder);
		for (unsigned n = 0; n < N_RECORDS; n++) {
			uint64_t scale = n < N_RECORDS / 2 ? 10 : 1000;
			records[n].packets >>= 20; // no overflow; one below
			records[n].octets >>= 20;
			expected[n] = records[n];
			expected[n].packets *= scale;
			expected[n].octets *= scale;
		}
		records[N_RECORDS - 1].octets = UINT64_MAX / 2;
		expected[N_RECORDS - 1].octets = UINT64_MAX;
		encoder_add(encoder, records, N_RECORDS / 2, MS_2026);
		encoder_set_sampling(encoder, 1000, 2);
		encoder_add(encoder, records + N_RECORDS / 2, N_RECORDS - N_RECORDS / 2, MS_2026);
		encoder_flush(encoder, MS_2026);
		assert_int_equal(fixture.n_records[0] + fixture.n_records[1], N_RECORDS);
		assert_int_equal(fixture.sampling, 1);
		end(&fixture, encoder);
	}
}

// What people who run collectors would be advised of an exporter.
static void the_default_gives_no_reason_for_advice(void **state) {
	static struct flow_record records[N_RECORDS];
	struct random random = {3};
	struct fixture fixture;
	(void)state;

	make_records(records, N_RECORDS, &random);
	begin(&fixture, ENCODER_NETFLOW9, 1400);
	fixture.records = records;
	struct encoder *encoder = open_encoder(&fixture, NULL, 4800);
	encoder_set_interfaces(encoder, two, 2);
	encoder_add(encoder, records, N_RECORDS, MS_2026);
	encoder_flush(encoder, MS_2026);
	flow_decode_finish(fixture.decoder);
	for (unsigned kind = 0; kind < FLOW_PROBLEM_KINDS; kind++)
		if (fixture.n_advice[kind] > 0)
			fail_msg("%s", flow_problem_name(kind));
	end(&fixture, encoder);
}

static void wrong_settings_are_refused(void **state) {
	const struct encoder_config right = {
		.source_id = 1, .datagram_bytes = 1400, .sampling_interval = 1};
	struct encoder_config wrong[] = {right, right, right, right};
	(void)state;

	wrong[0].protocol = ENCODER_IPFIX + 100;
	wrong[1].datagram_bytes = 511;
	wrong[2].protocol = ENCODER_IPFIX;
	wrong[2].sampling_interval = 0;
	wrong[3].sampling_algorithm = 3;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		assert_null(encoder_new(&wrong[i], take, NULL));
		assert_int_equal(errno, i == 0 ? EPROTONOSUPPORT : EINVAL);
	}
	errno = 0;
	assert_null(encoder_new(&right, NULL, NULL));
	assert_int_equal(errno, EINVAL);
	encoder_free(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_arrive_as_they_were_whatever_profile_and_size),
		cmocka_unit_test(records_give_the_same_octets_however_they_are_cut_into_calls),
		cmocka_unit_test(count_is_the_number_of_records_of_every_kind),
		cmocka_unit_test(sequence_of_v9_counts_packets_also_those_of_options_alone),
		cmocka_unit_test(options_tell_the_interfaces_each_in_a_set_of_its_own),
		cmocka_unit_test(text_is_cut_where_a_character_ends),
		cmocka_unit_test(options_that_do_not_fit_go_in_several_datagrams),
		cmocka_unit_test(exporter_statistics_are_what_was_handed_over_before),
		cmocka_unit_test(losses_are_told_once_somebody_counts_them),
		cmocka_unit_test(a_stream_is_told_counts_without_their_templates),
		cmocka_unit_test(sampling_is_announced_also_when_every_packet_counts),
		cmocka_unit_test(counters_are_scaled_where_it_is_asked_for),
		cmocka_unit_test(the_default_gives_no_reason_for_advice),
		cmocka_unit_test(wrong_settings_are_refused),
	};
	return cmocka_run_group_tests_name("encoder", tests, NULL, NULL);
}
