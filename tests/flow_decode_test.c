// The flow decoder on the examples of RFC 7011 appendix A and RFC 3954, and on what the encoder
// sends.

#include "encoder.h"
#include "flow_decode_fixture.h"
#include "netflow9.h"

// RFC 7011 appendix A: a template, an options template with an enterprise's scope, their data.
static void the_examples_of_rfc_7011_are_read(void **state) {
	struct fixture *fixture = *state;
	static const char message[] =
		"000a0098 6b49d200 00000000 00000001"
		// A.2.1
		"0002001c 01000005 00080004 000c0004 000f0004 00020004 00010004"
		// A.3
		"01000040 c000020c c00002fe c0000201 00001391 005198a2 c000021b c0000217 c0000202 "
		"0000035c 000aa815 c0000238 c0000241 c0000203 00000005 00000592"
		// A.4.1, with its padding
		"00030018 01020003 0001008d 00040029 0002002a 00020000"
		// A.4.3
		"01020014 00000001 01592756 00000002 017723a4";
	put_hex(fixture, message);
	assert_int_equal(fixture->n, 0x98);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(fixture->n_templates, 2);
	assert_int_equal(fixture->n_records, 5);
	assert_int_equal(value(&fixture->records[0], 8), 0xc000020c);
	assert_int_equal(value(&fixture->records[0], 2), 5009);
	assert_int_equal(value(&fixture->records[0], 1), 5347490);
	assert_int_equal(value(&fixture->records[1], 15), 0xc0000202);
	assert_int_equal(value(&fixture->records[1], 1), 698389);
	assert_int_equal(value(&fixture->records[2], 2), 5);
	assert_int_equal(fixture->records[3].record.n_scopes, 1);
	assert_int_equal(value(&fixture->records[3], 141), 1);
	assert_int_equal(value(&fixture->records[3], 41), 345);
	assert_int_equal(value(&fixture->records[4], 42), 9124);
}

// RFC 7011 appendix A.5: lengths of one and of three octets.
static void fields_of_variable_length_are_read(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	begin_set(fixture, 2);
	put_template(fixture, 256, (const uint16_t[]){82, 65535, 83, 65535, 2, 4, 0});
	end_set(fixture);
	begin_set(fixture, 256);
	put8(fixture, 5);
	memcpy(fixture->out + fixture->n, "5hell", 5);
	fixture->n += 5;
	put8(fixture, 255);
	put16(fixture, 300);
	memset(fixture->out + fixture->n, 'x', 300);
	fixture->n += 300;
	put32(fixture, 77);
	end_set(fixture);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(fixture->n_records, 1);
	assert_int_equal(flow_decoded_find(&fixture->records[0].record, 82)->bytes, 5);
	assert_int_equal(flow_decoded_find(&fixture->records[0].record, 83)->bytes, 300);
	assert_int_equal(value(&fixture->records[0], 2), 77);
}

static void enterprise_numbers_keep_elements_apart(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	begin_set(fixture, 2);
	put16(fixture, 256);
	put16(fixture, 3);
	put16(fixture, 0x8000 | 33); // A.2.2: CERT's silkAppLabel here
	put16(fixture, 2);
	put32(fixture, 6871);
	put16(fixture, 0x8000 | 2); // RFC 5103
	put16(fixture, 4);
	put32(fixture, ENTERPRISE_REVERSE);
	put16(fixture, 2);
	put16(fixture, 4);
	end_set(fixture);
	begin_set(fixture, 256);
	put16(fixture, 443);
	put32(fixture, 20);
	put32(fixture, 10);
	end_set(fixture);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(fixture->records[0].fields[0].enterprise, 6871);
	assert_string_equal(fixture->records[0].fields[0].element->name, "silkAppLabel");
	assert_int_equal(flow_field_number(&fixture->records[0].fields[1]), 20);
	assert_int_equal(value(&fixture->records[0], 2), 10);
}

static void a_withdrawn_template_is_gone_in_a_file_and_stays_over_udp(void **state) {
	struct fixture *fixture = *state;

	for (unsigned family = 0; family <= 4; family += 4) {
		fixture->from.family = (uint8_t)family;
		begin_ipfix(fixture, 0);
		begin_set(fixture, 2);
		put_template(fixture, 256, simple);
		put16(fixture, 256);
		put16(fixture, 0);
		end_set(fixture);
		begin_set(fixture, 256);
		put_simple(fixture, 1, 2);
		end_set(fixture);
		send_it(fixture);
		assert_int_equal(fixture->n_withdrawn, 1);
		assert_int_equal(fixture->n_records, family == 0 ? 0 : 1);
		assert_int_equal(fixture->problems[FLOW_PROBLEM_NO_TEMPLATE], 1);
		assert_int_equal(fixture->problems[FLOW_PROBLEM_WITHDRAWAL], family == 0 ? 0 : 1);
	}
}

// RFC 3954 sections 5 and 6: times from sysUptime, sampling of an options record.
static void v9_is_read_with_its_options_and_times(void **state) {
	struct fixture *fixture = *state;

	begin_v9(fixture, 4, 0);
	begin_set(fixture, 0);
	put_template(fixture, 256, simple);
	end_set(fixture);
	begin_set(fixture, 1);
	put16(fixture, 257);
	put16(fixture, 4);
	put16(fixture, 8);
	for (const uint16_t *at = (const uint16_t[]){1, 4, 34, 2, 35, 1, 0}; *at != 0; at += 2) {
		put16(fixture, at[0]);
		put16(fixture, at[1]);
	}
	put16(fixture, 0);
	end_set(fixture);
	begin_set(fixture, 257);
	put32(fixture, 7);
	put16(fixture, 100);
	put8(fixture, 2);
	put8(fixture, 0);
	end_set(fixture);
	begin_set(fixture, 256);
	put_simple(fixture, UPTIME_MS - 5000, UPTIME_MS - 1);
	end_set(fixture);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(fixture->n_records, 2);
	const struct flow_decoded *record = &fixture->records[1].record;
	assert_int_equal(record->sampling_rate, 100);
	assert_true(record->first_ns == (NOW_S - 5) * NS_PER_S);
	assert_true(record->last_ns == NOW_S * NS_PER_S - NS_PER_MS);
}

static void v5_is_read_with_the_names_of_v9(void **state) {
	struct fixture *fixture = *state;

	put16(fixture, 5);
	put16(fixture, 1);
	put32(fixture, UPTIME_MS);
	put32(fixture, NOW_S);
	put32(fixture, 500000000);
	put32(fixture, 10);
	put16(fixture, 0x0102);
	put16(fixture, 0x4064); // one of 100
	put32(fixture, 0xc0000201);
	put32(fixture, 0xc0000202);
	put32(fixture, 0);
	put16(fixture, 3);
	put16(fixture, 4);
	put32(fixture, 10);
	put32(fixture, 1000);
	put32(fixture, UPTIME_MS - 1000);
	put32(fixture, UPTIME_MS);
	put16(fixture, 1024);
	put16(fixture, 80);
	put32(fixture, 0x001b0600);
	put32(fixture, 0);
	put32(fixture, 0);
	send_it(fixture);
	assert_clean(fixture);
	assert_int_equal(value(&fixture->records[0], 1), 1000);
	assert_int_equal(value(&fixture->records[0], 2), 10);
	assert_int_equal(value(&fixture->records[0], 6), 0x1b);
	assert_int_equal(value(&fixture->records[0], 4), 6);
	assert_int_equal(value(&fixture->records[0], 11), 80);
	assert_int_equal(fixture->records[0].record.sampling_rate, 100);
	assert_true(fixture->records[0].record.last_ns == NOW_S * NS_PER_S + 500000000);
}

static void times_of_ntp_are_ns_since_1970(void **state) {
	struct fixture *fixture = *state;

	begin_ipfix(fixture, 0);
	begin_set(fixture, 2);
	put_template(fixture, 256, (const uint16_t[]){156, 8, 157, 8, 0});
	end_set(fixture);
	begin_set(fixture, 256);
	put64(fixture, (UINT64_C(2208988800) + NOW_S) << 32);
	put64(fixture, (UINT64_C(2208988800) + NOW_S) << 32 | UINT64_C(0x80000000));
	end_set(fixture);
	send_it(fixture);
	assert_clean(fixture);
	assert_true(fixture->records[0].record.first_ns == NOW_S * NS_PER_S);
	assert_true(fixture->records[0].record.last_ns == NOW_S * NS_PER_S + NS_PER_S / 2);
}

static void receive(const struct export_run *run, void *arg) {
	struct fixture *fixture = arg;

	for (unsigned i = 0; i < run->n_datagrams; i++) {
		struct export_run one = export_run_part(run, i, 1);
		flow_decode_datagram(
			fixture->decoder, &fixture->from, one.octets, export_run_bytes(&one)
		);
	}
}

static struct flow_record made_record(unsigned i) {
	struct flow_record record = {
		.first_ticks = (uint64_t)(INT64_C(1795000000000) + i) * TICKS_PER_MS,
		.last_ticks = (uint64_t)(INT64_C(1795000000500) + 2 * i) * TICKS_PER_MS,
		.packets = 1 + i,
		.octets = UINT64_C(5000000000) + i,
		.src_mac = {2, 0, 0, 0, 0, 1},
		.dst_mac = {2, 0, 0, 0, 0, 2},
		.in_if = (uint16_t)(1 + i % 3),
		.tcp_flags = (uint8_t)i,
		.tos = (uint8_t)(i * 7),
		.ttl_min = 60,
		.ttl_max = 64,
		.end = FLOW_END_IDLE,
	};
	record.key.family = i % 2 == 0 ? FLOW_IPV4 : FLOW_IPV6;
	record.key.proto = i % 5 == 0 ? (i % 2 == 0 ? 1 : 58) : 6;
	record.key.src_port = rte_cpu_to_be_16((uint16_t)(1024 + i));
	record.key.dst_port = rte_cpu_to_be_16((uint16_t)(80 + i));
	record.key.vlan_id = (uint16_t)(i % 4096);
	if (record.key.family == FLOW_IPV4) {
		memcpy(record.key.src4, (const uint8_t[]){10, 0, 0, (uint8_t)i}, 4);
		memcpy(record.key.dst4, (const uint8_t[]){10, 0, 1, (uint8_t)i}, 4);
	} else {
		memset(record.key.src6, 0x20, 16);
		memset(record.key.dst6, (int)(i & 0xff) | 1, 16);
	}
	return record;
}

static bool is_of_record(const struct kept *kept, const struct flow_record *record) {
	return value(kept, 2) == record->packets && kept->record.n_fields >= 22
	       && value(kept, 1) == record->octets;
}

static void assert_equal_record(const struct kept *kept, const struct flow_record *record) {
	bool ipv6 = record->key.family == FLOW_IPV6;
	const struct flow_field *src = flow_decoded_find(&kept->record, ipv6 ? 27 : 8),
				*dst = flow_decoded_find(&kept->record, ipv6 ? 28 : 12);
	bool icmp = record->key.proto == (ipv6 ? 58 : 1);

	assert_non_null(src);
	assert_non_null(dst);
	assert_memory_equal(src->octets, ipv6 ? record->key.src6 : record->key.src4, ipv6 ? 16 : 4);
	assert_memory_equal(dst->octets, ipv6 ? record->key.dst6 : record->key.dst4, ipv6 ? 16 : 4);
	assert_int_equal(value(kept, 7), rte_be_to_cpu_16(record->key.src_port));
	assert_int_equal(value(kept, 11), rte_be_to_cpu_16(record->key.dst_port));
	assert_int_equal(value(kept, 4), record->key.proto);
	assert_int_equal(value(kept, 5), record->tos);
	assert_int_equal(value(kept, 6), record->tcp_flags);
	assert_int_equal(value(kept, 32), icmp ? rte_be_to_cpu_16(record->key.dst_port) : 0);
	assert_int_equal(value(kept, 10), record->in_if);
	assert_int_equal(value(kept, 136), record->end);
	assert_int_equal(value(kept, 60), record->key.family);
	assert_int_equal(value(kept, 52), record->ttl_min);
	assert_int_equal(value(kept, 53), record->ttl_max);
	assert_int_equal(value(kept, 58), record->key.vlan_id);
	assert_memory_equal(flow_decoded_find(&kept->record, 56)->octets, record->src_mac, 6);
	assert_memory_equal(flow_decoded_find(&kept->record, 80)->octets, record->dst_mac, 6);
	assert_true(kept->record.first_ns == ms_of_ticks(record->first_ticks) * NS_PER_MS);
	assert_true(kept->record.last_ns == ms_of_ticks(record->last_ticks) * NS_PER_MS);
	assert_int_equal(kept->record.sampling_rate, 10);
}

static void what_the_encoder_sends_comes_back_field_for_field(void **state) {
	enum { N = 1000 };
	struct fixture *fixture = *state;
	struct encoder *encoder = encoder_new(
		&(struct encoder_config){
			.source_id = 42,
			.datagram_bytes = NETFLOW9_DEFAULT_DATAGRAM_BYTES,
			.template_interval_ms = 30000,
			.template_packets = 7,
			.sampling_interval = 10,
		},
		receive,
		fixture
	);
	bool found[N] = {false};
	unsigned n_found = 0;

	assert_non_null(encoder);
	for (unsigned i = 0; i < N; i++) {
		struct flow_record record = made_record(i);
		encoder_add(encoder, &record, 1, 1795000002500);
	}
	encoder_flush(encoder, 1795000002500);
	encoder_free(encoder);
	flow_decode_finish(fixture->decoder);
	assert_clean(fixture);
	assert_int_equal(n_problems(fixture, true), 0);
	for (unsigned i = 0; i < fixture->n_records; i++) {
		const struct kept *kept = &fixture->records[i];
		if (kept->record.n_scopes > 0)
			continue;
		unsigned which = (unsigned)value(kept, 2) - 1;
		assert_in_range(which, 0, N - 1);
		struct flow_record record = made_record(which);
		assert_true(is_of_record(kept, &record));
		assert_equal_record(kept, &record);
		assert_false(found[which]);
		found[which] = true;
		n_found++;
	}
	assert_int_equal(n_found, N);
}

static void elements_are_found_by_number(void **state) {
	static const uint16_t sent[] = {8,  12, 27, 28, 31,  7,  11, 4,  5,  6,  32, 10, 14, 22,
					21, 1,  2,  61, 136, 60, 52, 53, 58, 56, 80, 34, 35};
	uint16_t before = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(sent) / sizeof(sent[0]); i++)
		assert_non_null(element_find(0, sent[i]));
	for (uint32_t id = 0; id <= UINT16_MAX; id++) {
		const struct element *element = element_find(0, (uint16_t)id);
		if (element == NULL)
			continue;
		assert_int_equal(element->id, id);
		before++;
	}
	assert_in_range(before, 440, 491);
	assert_null(element_find(0, 0));
	assert_null(element_find(0, 499));
	assert_string_equal(element_find(0, 152)->name, "flowStartMilliseconds");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(the_examples_of_rfc_7011_are_read),
		TEST(fields_of_variable_length_are_read),
		TEST(enterprise_numbers_keep_elements_apart),
		TEST(a_withdrawn_template_is_gone_in_a_file_and_stays_over_udp),
		TEST(v9_is_read_with_its_options_and_times),
		TEST(v5_is_read_with_the_names_of_v9),
		TEST(times_of_ntp_are_ns_since_1970),
		TEST(what_the_encoder_sends_comes_back_field_for_field),
		TEST(elements_are_found_by_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
