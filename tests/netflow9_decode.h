// A collector for tests: decodes NetFlow v9 by RFC 3954 alone, sharing nothing with the encoder,
// and refuses whatever some real collector would refuse or misread (docs/netflow.md).

#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	DECODE_MAX_TEMPLATES = 16,
	DECODE_MAX_FIELDS = 64,
	DECODE_MAX_ELEMENT = 256,
	DECODE_MAX_INTERFACES = 64,
};

struct decode_template {
	uint16_t id;
	uint16_t n_fields;
	uint16_t n_scopes; // > 0: options template
	uint32_t record_bytes;
	struct {
		uint16_t id, bytes;
	} fields[DECODE_MAX_FIELDS];
};

// A data record, by element id.
struct decode_record {
	uint16_t template_id;
	uint64_t values[DECODE_MAX_ELEMENT + 1]; // of elements of up to 8 octets
	uint8_t has[DECODE_MAX_ELEMENT + 1];     // length, 0 = absent
	uint8_t src6[16], dst6[16];
	int64_t first_ms, last_ms; // since 1970, as collectors compute them
};

struct decoder {
	struct decode_template templates[DECODE_MAX_TEMPLATES];
	unsigned n_templates;
	uint64_t n_datagrams;
	uint64_t n_with_templates;
	uint32_t next_sequence;
	uint32_t source_id;
	uint32_t sysuptime_ms, unix_secs; // of the last datagram
	uint32_t sampling_intervals[2];   // of the options with one and with two fields
	uint8_t sampling_algorithm;
	uint64_t octets, messages, flows; // exported, as it says of itself
	uint64_t packets_dropped, flows_dropped;
	unsigned n_exporter, n_dropped; // options records of the two above
	unsigned n_interfaces;          // records, of whatever interface
	struct {
		uint32_t index;
		char name[16], description[32];
	} interfaces[DECODE_MAX_INTERFACES];
	struct decode_record *records;
	size_t n_records, capacity;
};

// Returns NULL, or what is wrong with the datagram.
const char *decode_datagram(struct decoder *decoder, const uint8_t *in, size_t bytes);

void decoder_free(struct decoder *decoder);
