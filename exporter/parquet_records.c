// Flow records from the columns of a row group.

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "parquet_reader_internal.h"

// A number of a record that is a column as it is.
struct field {
	uint16_t offset;
	uint8_t bytes;
	bool big_endian;
	uint64_t most;
};

#define FIELD(member, most_)                                                                       \
	{                                                                                          \
		.offset = offsetof(struct flow_record, member),                                    \
		.bytes = sizeof(((struct flow_record *)NULL)->member), .most = (most_)             \
	}
#define PORT(member)                                                                               \
	{                                                                                          \
		.offset = offsetof(struct flow_record, member), .bytes = 2, .big_endian = true,    \
		.most = UINT16_MAX                                                                 \
	}

// The columns that are not here follow from others, or are text, or of the source.
static const struct field fields[FLOW_COLUMN_COUNT] = {
	[COLUMN_TIME_FLOW_START_NS] = FIELD(first_ticks, INT64_MAX),
	[COLUMN_TIME_FLOW_END_NS] = FIELD(last_ticks, INT64_MAX),
	[COLUMN_PROTO] = FIELD(key.proto, UINT8_MAX),
	[COLUMN_SRC_PORT] = PORT(key.src_port),
	[COLUMN_DST_PORT] = PORT(key.dst_port),
	[COLUMN_BYTES] = FIELD(octets, UINT64_MAX),
	[COLUMN_PACKETS] = FIELD(packets, UINT64_MAX),
	[COLUMN_TCP_FLAGS] = FIELD(tcp_flags, UINT8_MAX),
	[COLUMN_IP_TOS] = FIELD(tos, UINT8_MAX),
	[COLUMN_IN_IF] = FIELD(in_if, UINT16_MAX),
	[COLUMN_VLAN_ID] = FIELD(key.vlan_id, UINT16_MAX),
	[COLUMN_INNER_VLAN_ID] = FIELD(inner_vlan_id, UINT16_MAX),
	[COLUMN_IP_TTL] = FIELD(ttl_min, UINT8_MAX),
	[COLUMN_IP_TTL_MAX] = FIELD(ttl_max, UINT8_MAX),
	[COLUMN_FLOW_END_REASON] = FIELD(end, FLOW_END_COUNT - 1),
};

struct reading {
	struct parquet_reader *reader;
	unsigned group;
	uint32_t n;
	struct flow_record *records;
	char *error;
};

static int fail(const struct reading *reading, enum flow_column column, const char *what) {
	return parquet_fail(
		reading->error,
		EBADMSG,
		"column %s, row group %u: %s",
		flow_columns[column].name,
		reading->group,
		what
	);
}

static int read_vector(const struct reading *reading, enum flow_column column) {
	struct parquet_reader *reader = reading->reader;
	return parquet_reader_column(
		reader, reading->group, column, &reader->vector, reading->error
	);
}

static int put_numbers(const struct reading *reading, enum flow_column column) {
	const struct field *field = &fields[column];
	const int64_t *values = reading->reader->vector.values;
	uint8_t *out = (uint8_t *)reading->records + field->offset;
	bool good = true;

	for (uint32_t i = 0; i < reading->n; i++, out += sizeof(struct flow_record)) {
		uint64_t value = (uint64_t)values[i];
		good &= value <= field->most;
		if (field->bytes == 1) {
			*out = (uint8_t)value;
		} else if (field->bytes == 2) {
			uint16_t v = field->big_endian ? rte_cpu_to_be_16((uint16_t)value)
						       : (uint16_t)value;
			memcpy(out, &v, sizeof(v));
		} else {
			if (flow_columns[column].type == COLUMN_TIME)
				value = ticks_of_ns((time_ns_t)value);
			memcpy(out, &value, sizeof(value));
		}
	}
	return good ? 0 : fail(reading, column, "a number that no flow record has");
}

static int put_families(const struct reading *reading) {
	const int64_t *values = reading->reader->vector.values;

	for (uint32_t i = 0; i < reading->n; i++)
		if (values[i] == 0x0800)
			reading->records[i].key.family = FLOW_IPV4;
		else if (values[i] == 0x86dd)
			reading->records[i].key.family = FLOW_IPV6;
		else
			return fail(reading, COLUMN_ETYPE, "neither IPv4 nor IPv6");
	return 0;
}

// An address of the dictionary.
struct address {
	uint8_t family; // 0 = MAC
	uint8_t octets[16];
};

static bool parse_mac(const char *text, uint8_t *mac) {
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < 17; i++) {
		const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
		if (i % 3 == 2 ? text[i] != ':' : digit == NULL)
			return false;
		if (i % 3 != 2)
			mac[i / 3] = (uint8_t)(mac[i / 3] << 4 | (digit - digits));
	}
	return true;
}

static bool parse_address(struct address *address, const char *text, uint32_t n, bool is_mac) {
	char ended[FLOW_COLUMN_TEXT_BYTES];

	*address = (struct address){0};
	if (n >= sizeof(ended) || memchr(text, 0, n) != NULL)
		return false;
	memcpy(ended, text, n);
	ended[n] = '\0';
	if (is_mac)
		return n == 17 && parse_mac(ended, address->octets);
	address->family = strchr(ended, ':') != NULL ? FLOW_IPV6 : FLOW_IPV4;
	return inet_pton(address->family == FLOW_IPV6 ? AF_INET6 : AF_INET, ended, address->octets)
	       == 1;
}

// Returns false where it is not of the record's family.
static bool
put_address(struct flow_record *record, enum flow_column column, const struct address *address) {
	struct flow_key *key = &record->key;

	switch (column) {
	case COLUMN_SRC_MAC:
		memcpy(record->src_mac, address->octets, sizeof(record->src_mac));
		return true;
	case COLUMN_DST_MAC:
		memcpy(record->dst_mac, address->octets, sizeof(record->dst_mac));
		return true;
	default:
		break;
	}
	if (key->family == 0)
		key->family = address->family;
	if (address->family == FLOW_IPV6)
		memcpy(column == COLUMN_SRC_ADDR ? key->src6 : key->dst6, address->octets, 16);
	else
		memcpy(column == COLUMN_SRC_ADDR ? key->src4 : key->dst4, address->octets, 4);
	return key->family == address->family;
}

// Each text of the dictionary is parsed once.
static int put_addresses(const struct reading *reading, enum flow_column column) {
	const struct parquet_vector *vector = &reading->reader->vector;
	bool is_mac = column == COLUMN_SRC_MAC || column == COLUMN_DST_MAC;
	struct address *addresses = calloc((size_t)vector->n_texts + 1, sizeof(*addresses));
	int rc = 0;

	if (addresses == NULL)
		return parquet_fail(reading->error, ENOMEM, "%s", strerror(ENOMEM));
	for (uint32_t i = 0; i < vector->n_texts && rc == 0; i++)
		if (!parse_address(&addresses[i], vector->texts[i], vector->text_bytes[i], is_mac))
			rc = fail(reading, column, "a text that is no address");
	for (uint32_t i = 0; i < reading->n && rc == 0; i++) {
		if (vector->valid != NULL && vector->valid[i] == 0)
			continue;
		if (!put_address(&reading->records[i], column, &addresses[vector->index[i]]))
			rc = fail(reading, column, "an address of another family than its row");
	}
	free(addresses);
	return rc;
}

static int take_source(const struct reading *reading, struct flow_source *source) {
	struct parquet_reader *reader = reading->reader;
	const struct parquet_vector *vector = &reader->vector;
	int rc;

	*source = (struct flow_source){0};
	if (parquet_reader_has(reader, COLUMN_SAMPLING_RATE)) {
		rc = read_vector(reading, COLUMN_SAMPLING_RATE);
		if (rc < 0)
			return rc;
		if (vector->values[0] < 0 || vector->values[0] > UINT32_MAX)
			return fail(reading, COLUMN_SAMPLING_RATE, "a rate that there is not");
		source->sampling_rate = (uint32_t)vector->values[0];
	}
	if (parquet_reader_has(reader, COLUMN_SAMPLER_ADDRESS)) {
		rc = read_vector(reading, COLUMN_SAMPLER_ADDRESS);
		if (rc < 0)
			return rc;
		if (vector->valid != NULL && vector->valid[0] == 0)
			return 0;
		uint32_t text = vector->index[0], n = vector->text_bytes[text];
		memcpy(reader->sampler_address, vector->texts[text], n);
		reader->sampler_address[n] = '\0';
		source->sampler_address = reader->sampler_address;
	}
	return 0;
}

static int take_column(const struct reading *reading, enum flow_column column) {
	int rc;

	if (!parquet_reader_has(reading->reader, column))
		return 0;
	rc = read_vector(reading, column);
	if (rc < 0)
		return rc;
	if (column == COLUMN_ETYPE)
		return put_families(reading);
	return flow_columns[column].type == COLUMN_TEXT ? put_addresses(reading, column)
							: put_numbers(reading, column);
}

int parquet_reader_records(
	struct parquet_reader *reader,
	unsigned group,
	struct flow_record *records,
	struct flow_source *source,
	char *error
) {
	// The family first: the addresses are then checked against it.
	static const enum flow_column others[] = {
		COLUMN_ETYPE, COLUMN_SRC_ADDR, COLUMN_DST_ADDR, COLUMN_SRC_MAC, COLUMN_DST_MAC};
	struct reading reading = {
		.reader = reader, .group = group, .records = records, .error = error};
	int rc = 0;

	if (group >= reader->footer.n_groups)
		return parquet_fail(error, EINVAL, "there is no row group %u", group);
	reading.n = reader->footer.group_rows[group];
	memset(records, 0, reading.n * sizeof(*records));
	for (unsigned i = 0; i < RTE_DIM(others) && rc == 0; i++)
		rc = take_column(&reading, others[i]);
	for (int column = 0; column < FLOW_COLUMN_COUNT && rc == 0; column++)
		if (fields[column].bytes != 0)
			rc = take_column(&reading, column);
	return rc == 0 ? take_source(&reading, source) : rc;
}
