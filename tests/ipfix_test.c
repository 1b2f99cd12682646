// The IPFIX encoder through a decoder that knows RFC 7011 alone: it takes field lists from the
// templates, and nothing from the encoder's table.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "ipfix.h"
#include "random.h"
#include "wire.h"

#define MS_2026 INT64_C(1795000000000)

enum {
	MOST_TEMPLATES = 8,
	MOST_FIELDS = 40,
	MOST_ID = 512,
};

struct template {
	uint16_t id, n_fields, record_bytes;
	bool options;
	struct {
		uint16_t id, bytes;
	} fields[MOST_FIELDS];
};

struct decoder {
	struct template templates[MOST_TEMPLATES];
	unsigned n_templates, n_messages;
	uint32_t sequence; // wanted next
	uint32_t seconds;
	uint64_t n_records, n_options, n_template_sets;
	uint64_t n_statistics; // options records of anything but sampling
	size_t largest, message_bytes;
	unsigned longest_run;
	uint64_t values[MOST_ID]; // of the last data record, up to 8 octets
	uint64_t sampling_interval, sampling_algorithm, domain;
};

static uint64_t number(const uint8_t *octets, unsigned n) {
	uint64_t value = 0;
	for (unsigned i = 0; i < n; i++)
		value = value << 8 | octets[i];
	return value;
}

static const struct template *find(const struct decoder *decoder, uint16_t id) {
	for (unsigned i = 0; i < decoder->n_templates; i++)
		if (decoder->templates[i].id == id)
			return &decoder->templates[i];
	return NULL;
}

static void
decode_templates(struct decoder *decoder, const uint8_t *at, const uint8_t *end, bool options) {
	decoder->n_template_sets += !options;
	// Fewer octets than a template has are padding.
	while (end - at >= 8) {
		const struct template *known = find(decoder, wire_get16(at));
		struct template *template =
			&decoder->templates
				 [known != NULL ? (unsigned)(known - decoder->templates)
						: decoder->n_templates++];
		assert_in_range(decoder->n_templates, 1, MOST_TEMPLATES);
		*template = (struct template){0};
		template->id = wire_get16(at);
		template->n_fields = wire_get16(at + 2);
		template->options = options;
		assert_in_range(template->id, 256, 65535);
		assert_in_range(template->n_fields, 1, MOST_FIELDS);
		at += 4;
		if (options) {
			assert_in_range(wire_get16(at), 1, template->n_fields);
			at += 2;
		}
		for (unsigned i = 0; i < template->n_fields; i++, at += 4) {
			assert_true(end - at >= 4);
			template->fields[i].id = wire_get16(at);
			template->fields[i].bytes = wire_get16(at + 2);
			assert_in_range(template->fields[i].id, 1, MOST_ID - 1);
			template->record_bytes += template->fields[i].bytes;
		}
	}
	assert_ptr_equal(at, end);
}

static unsigned decode_data(
	struct decoder *decoder,
	const struct template *template,
	const uint8_t *at,
	const uint8_t *end
) {
	unsigned n = 0;

	for (; end - at >= template->record_bytes; n++) {
		memset(decoder->values, 0, sizeof(decoder->values));
		for (unsigned i = 0; i < template->n_fields; i++) {
			unsigned bytes = template->fields[i].bytes;
			decoder->values[template->fields[i].id] = number(at, bytes < 8 ? bytes : 8);
			at += bytes;
		}
		if (!template->options) {
			decoder->n_records++;
			continue;
		}
		if (decoder->values[149] != 7 && decoder->values[144] != 7)
			fail_msg("options of another domain");
		if (template->fields[1].id != 34) {
			decoder->n_statistics++;
			continue;
		}
		decoder->n_options++;
		decoder->domain = decoder->values[149];
		decoder->sampling_interval = decoder->values[34];
		decoder->sampling_algorithm = decoder->values[35];
	}
	assert_true(end - at < 4);
	return n;
}

static void decode(const struct ipfix_message *message, void *arg) {
	struct decoder *decoder = arg;
	const uint8_t *octets = message->octets, *end = octets + message->n;
	uint64_t records_before = decoder->n_records;
	unsigned n_data = 0;

	assert_in_range(message->n, 16, decoder->message_bytes);
	assert_int_equal(wire_get16(octets), 10);
	assert_int_equal(wire_get16(octets + 2), message->n);
	assert_int_equal(wire_get32(octets + 8), decoder->sequence);
	assert_int_equal(wire_get32(octets + 12), 7);
	decoder->seconds = wire_get32(octets + 4);
	for (const uint8_t *set = octets + 16; set < end;) {
		uint16_t id = wire_get16(set), bytes = wire_get16(set + 2);
		assert_in_range(bytes, 5, end - set);
		if (id == 2 || id == 3) {
			decode_templates(decoder, set + 4, set + bytes, id == 3);
		} else {
			const struct template *template = find(decoder, id);
			assert_non_null(template);
			n_data += decode_data(decoder, template, set + 4, set + bytes);
		}
		set += bytes;
	}
	assert_int_equal(decoder->n_records - records_before, message->n_records);
	decoder->sequence += n_data;
	decoder->n_messages++;
	if (message->n > decoder->largest)
		decoder->largest = message->n;
}

static struct ipfix *open_encoder(struct decoder *decoder, uint16_t message_bytes) {
	memset(decoder, 0, sizeof(*decoder));
	decoder->message_bytes = message_bytes;
	struct ipfix *encoder = ipfix_new(
		&(struct ipfix_config){
			.domain = 7,
			.message_bytes = message_bytes,
			.sampling_interval = 1,
			.sampling_algorithm = 1,
		},
		decode,
		decoder
	);
	assert_non_null(encoder);
	return encoder;
}

static struct flow_record record_of(uint8_t family) {
	return (struct flow_record){
		.key = {.family = family,
			.proto = family == FLOW_IPV6 ? 58 : 6,
			.src_port = rte_cpu_to_be_16(1025),
			.dst_port = rte_cpu_to_be_16(0x8700),
			.vlan_id = 12},
		.first_ticks = (uint64_t)MS_2026 * TICKS_PER_MS + 3,
		.last_ticks = (uint64_t)(MS_2026 + 1500) * TICKS_PER_MS + 15,
		.packets = UINT64_C(0x100000002),
		.octets = UINT64_C(0x300000004),
		.src_mac = {2, 0, 0, 0, 0, 1},
		.dst_mac = {2, 0, 0, 0, 0, 2},
		.inner_vlan_id = 34,
		.in_if = 5,
		.tcp_flags = 0x1b,
		.tos = 0xb8,
		.ttl_min = 60,
		.ttl_max = 64,
		.end = FLOW_END_ACTIVE,
	};
}

static void values_arrive_under_the_elements_of_iana(void **state) {
	struct decoder decoder;
	struct ipfix *encoder = open_encoder(&decoder, 1400);
	struct flow_record record = record_of(FLOW_IPV4);
	const uint64_t *value = decoder.values;
	(void)state;

	memcpy(record.key.src4, (const uint8_t[]){192, 0, 2, 1}, 4);
	memcpy(record.key.dst4, (const uint8_t[]){192, 0, 2, 2}, 4);
	ipfix_add(encoder, &record, 1, MS_2026);
	assert_int_equal(decoder.n_messages, 0);
	ipfix_flush(encoder);
	assert_int_equal(decoder.n_messages, 1);
	assert_int_equal(value[8], 0xc0000201);
	assert_int_equal(value[12], 0xc0000202);
	assert_int_equal(value[7], 1025);
	assert_int_equal(value[11], 0x8700);
	assert_int_equal(value[4], 6);
	assert_int_equal(value[5], 0xb8);
	assert_int_equal(value[6], 0x1b);
	assert_int_equal(value[10], 5);
	assert_int_equal(value[152], MS_2026);
	assert_int_equal(value[153], MS_2026 + 1500);
	assert_int_equal(value[1], UINT64_C(0x300000004));
	assert_int_equal(value[2], UINT64_C(0x100000002));
	assert_int_equal(value[136], FLOW_END_ACTIVE);
	assert_int_equal(value[60], 4);
	assert_int_equal(value[52], 60);
	assert_int_equal(value[53], 64);
	assert_int_equal(value[58], 12);
	assert_int_equal(value[245], 34);
	assert_int_equal(value[56], UINT64_C(0x020000000001));
	assert_int_equal(value[80], UINT64_C(0x020000000002));
	// All had ended by then.
	assert_int_equal(decoder.seconds, MS_2026 / 1000 + 2);

	record = record_of(FLOW_IPV6);
	ipfix_add(encoder, &record, 1, MS_2026);
	ipfix_flush(encoder);
	assert_int_equal(value[139], 0x8700);
	assert_int_equal(value[60], 6);
	ipfix_flush(encoder); // there is nothing
	assert_int_equal(decoder.n_messages, 2);
	ipfix_free(encoder);
}

static void messages_are_filled_and_never_too_long(void **state) {
	const uint16_t sizes[] = {
		IPFIX_MIN_MESSAGE_BYTES, 600, 1400, 8192, IPFIX_MAX_MESSAGE_BYTES};
	struct random random = {1};
	struct decoder decoder;
	(void)state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ipfix *encoder = open_encoder(&decoder, sizes[i]);
		for (unsigned n = 0; n < 3000; n++) {
			struct flow_record record =
				record_of(random_below(&random, 4) == 0 ? FLOW_IPV6 : FLOW_IPV4);
			ipfix_add(encoder, &record, 1, MS_2026 + n);
		}
		ipfix_flush(encoder);
		assert_int_equal(decoder.n_records, 3000);
		assert_int_equal(decoder.n_templates, 4);
		assert_int_equal(decoder.n_options, 1);
		assert_in_range(decoder.largest, sizes[i] - 110, sizes[i]);
		ipfix_free(encoder);
	}
}

static void another_sampling_is_announced_before_its_records(void **state) {
	struct decoder decoder;
	struct ipfix *encoder = open_encoder(&decoder, 1400);
	struct flow_record record = record_of(FLOW_IPV4);
	(void)state;

	ipfix_add(encoder, &record, 1, MS_2026);
	ipfix_set_sampling(encoder, 1, 1);
	assert_int_equal(decoder.n_messages, 0);
	ipfix_set_sampling(encoder, 100, 2);
	assert_int_equal(decoder.n_records, 1);
	assert_int_equal(decoder.sampling_interval, 1);
	assert_int_equal(decoder.domain, 7);
	ipfix_add(encoder, &record, 1, MS_2026);
	ipfix_flush(encoder);
	assert_int_equal(decoder.sampling_interval, 100);
	assert_int_equal(decoder.sampling_algorithm, 2);
	assert_int_equal(decoder.n_options, 2);
	assert_int_equal(decoder.n_templates, 4); // templates are said once
	ipfix_free(encoder);
}

static void decode_run(const struct export_run *run, void *arg) {
	struct decoder *decoder = arg;

	// UDP_SEGMENT wants no longer one behind the others.
	assert_true(run->n_datagrams == 1 || run->last_bytes <= run->datagram_bytes);
	if (run->n_datagrams > decoder->longest_run)
		decoder->longest_run = run->n_datagrams;
	for (unsigned i = 0; i < run->n_datagrams; i++) {
		struct export_run one = export_run_part(run, i, 1);
		decode(&(struct ipfix_message
		       ){one.octets, export_run_bytes(&one), export_run_records(&one)},
		       decoder);
	}
}

static struct encoder *open_datagrams(struct decoder *decoder) {
	*decoder = (struct decoder){.message_bytes = 1400};
	struct encoder *encoder = encoder_new(
		&(struct encoder_config){
			.protocol = ENCODER_IPFIX,
			.source_id = 7,
			.datagram_bytes = 1400,
			.template_interval_ms = 30000,
			.template_packets = 10,
			.sampling_interval = 1,
		},
		decode_run,
		decoder
	);
	assert_non_null(encoder);
	return encoder;
}

static void over_udp_templates_come_again(void **state) {
	struct decoder decoder;
	struct flow_record record = record_of(FLOW_IPV4);
	struct encoder *encoder = open_datagrams(&decoder);
	(void)state;

	// By number: in the 1st, 11th and 21st message; with each the sampling.
	for (unsigned i = 0; i < 21; i++) {
		encoder_add(encoder, &record, 1, MS_2026);
		encoder_flush(encoder, MS_2026);
	}
	assert_int_equal(decoder.n_template_sets, 3);
	assert_int_equal(decoder.n_options, 3);
	// By time, and when a clock was set back.
	const int64_t later_ms[] = {29999, 30000, 59999, 60000, -1};
	const unsigned wanted[] = {3, 4, 4, 5, 6};
	for (unsigned i = 0; i < 5; i++) {
		encoder_add(encoder, &record, 1, MS_2026 + later_ms[i]);
		encoder_flush(encoder, MS_2026 + later_ms[i]);
		assert_int_equal(decoder.n_template_sets, wanted[i]);
	}
	// Because a collector was seen to start anew.
	encoder_renew_templates(encoder);
	encoder_add(encoder, &record, 1, MS_2026);
	encoder_flush(encoder, MS_2026);
	assert_int_equal(decoder.n_template_sets, 7);
	assert_int_equal(decoder.n_templates, 4);
	encoder_free(encoder);
}

static void over_udp_full_messages_of_a_family_are_alike_and_go_in_runs(void **state) {
	struct decoder decoder;
	struct random random = {3};
	struct encoder *encoder = open_datagrams(&decoder);
	(void)state;

	for (unsigned n = 0; n < 3000; n++) {
		struct flow_record record =
			record_of(random_below(&random, 4) == 0 ? FLOW_IPV6 : FLOW_IPV4);
		encoder_add(encoder, &record, 1, MS_2026 + n);
	}
	encoder_flush(encoder, MS_2026 + 3000);
	assert_int_equal(decoder.n_records, 3000);
	assert_in_range(decoder.longest_run, 6, 10);
	assert_true(decoder.seconds >= MS_2026 / 1000 + 3);
	encoder_free(encoder);
}

// Its header says how many data records came before, those of options among them: RFC 7011
// section 3.1. The decoder checks it; here that it checks something.
static void sequence_counts_data_records_those_of_options_too(void **state) {
	struct decoder decoder;
	struct flow_record record = record_of(FLOW_IPV4);
	struct encoder *encoder = open_datagrams(&decoder);
	(void)state;

	encoder_add(encoder, &record, 1, MS_2026);
	encoder_flush(encoder, MS_2026);
	assert_int_equal(decoder.sequence, 3); // a flow, sampling, statistics
	encoder_add(encoder, &record, 1, MS_2026);
	encoder_flush(encoder, MS_2026);
	assert_int_equal(decoder.sequence, 4);
	encoder_free(encoder);
}

static void wrong_settings_are_refused(void **state) {
	const struct ipfix_config wrong[] = {
		{.message_bytes = 511, .sampling_interval = 1, .sampling_algorithm = 1},
		{.message_bytes = 1400, .sampling_interval = 0, .sampling_algorithm = 1},
		{.message_bytes = 1400, .sampling_interval = 1, .sampling_algorithm = 3},
		{.message_bytes = 1400, .sampling_interval = 1, .sampling_algorithm = 0},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		assert_null(ipfix_new(&wrong[i], decode, NULL));
		assert_int_equal(errno, EINVAL);
	}
	ipfix_free(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_arrive_under_the_elements_of_iana),
		cmocka_unit_test(messages_are_filled_and_never_too_long),
		cmocka_unit_test(another_sampling_is_announced_before_its_records),
		cmocka_unit_test(over_udp_templates_come_again),
		cmocka_unit_test(over_udp_full_messages_of_a_family_are_alike_and_go_in_runs),
		cmocka_unit_test(sequence_counts_data_records_those_of_options_too),
		cmocka_unit_test(wrong_settings_are_refused),
	};
	return cmocka_run_group_tests_name("ipfix", tests, NULL, NULL);
}
