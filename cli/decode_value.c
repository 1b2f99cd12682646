#include "decode_value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "wire.h"

#define NTP_1970_S INT64_C(2208988800)

// Fields that weir has a name of its own for.
static const struct {
	uint16_t id;
	const char *name;
} own_names[] = {
	{ELEMENT_SRC4, "src_addr"},
	{ELEMENT_SRC6, "src_addr"},
	{ELEMENT_DST4, "dst_addr"},
	{ELEMENT_DST6, "dst_addr"},
	{ELEMENT_PROTOCOL, "proto"},
	{ELEMENT_SRC_PORT, "src_port"},
	{ELEMENT_DST_PORT, "dst_port"},
	{ELEMENT_OCTET_DELTA, "bytes"},
	{ELEMENT_PACKET_DELTA, "packets"},
	{ELEMENT_TCP_FLAGS, "tcp_flags"},
	{ELEMENT_TOS, "ip_tos"},
	{ELEMENT_IN_IF, "in_if"},
	{ELEMENT_OUT_IF, "out_if"},
	{ELEMENT_SRC_MAC, "src_mac"},
	{ELEMENT_DST_MAC, "dst_mac"},
	{ELEMENT_VLAN, "vlan_id"},
	{ELEMENT_ICMP4_TYPE, "icmp_type"},
	{ELEMENT_ICMP6_TYPE, "icmp_type"},
	{ELEMENT_ICMP4_CODE, "icmp_code"},
	{ELEMENT_ICMP6_CODE, "icmp_code"},
	{ELEMENT_ETHER_TYPE, "etype"},
	{ELEMENT_TTL_MIN, "ip_ttl"},
	{ELEMENT_TTL, "ip_ttl"},
	{ELEMENT_TTL_MAX, "ip_ttl_max"},
	{ELEMENT_END_REASON, "flow_end_reason"},
};

enum {
	N_OWN_NAMES = sizeof(own_names) / sizeof(own_names[0]),
};

// Where a record is written, and which of weir's names it has had.
struct row {
	FILE *out;
	bool json;
	bool is_taken[N_OWN_NAMES];
	bool has_icmp;
};

void decode_field_name(
	char *name, uint32_t enterprise, uint16_t id, const struct element *element, bool v9_scope
) {
	const char *scope = v9_scope ? element_scope_name(id) : NULL;

	if (scope != NULL)
		snprintf(name, DECODE_NAME_BYTES, "%s", scope);
	else if (v9_scope)
		snprintf(name, DECODE_NAME_BYTES, "scope_%u", id);
	else if (element != NULL && enterprise == ENTERPRISE_REVERSE)
		snprintf(
			name,
			DECODE_NAME_BYTES,
			"reverse%c%s",
			toupper((unsigned char)element->name[0]),
			element->name + 1
		);
	else if (element != NULL)
		snprintf(name, DECODE_NAME_BYTES, "%s", element->name);
	else if (enterprise != 0)
		snprintf(name, DECODE_NAME_BYTES, "enterprise_%" PRIu32 "_%u", enterprise, id);
	else
		snprintf(name, DECODE_NAME_BYTES, "element_%u", id);
}

// The octets of a UTF-8 character at `at` (RFC 3629), 0 where there is none.
static unsigned utf8_bytes(const uint8_t *at, size_t left) {
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned n = at[0] < 0x80       ? 1
		     : at[0] >> 5 == 6  ? 2
		     : at[0] >> 4 == 14 ? 3
		     : at[0] >> 3 == 30 ? 4
					: 0;
	uint32_t code = n == 1 ? at[0] : at[0] & (0x7fu >> n);

	if (n == 0 || n > left)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if (at[i] >> 6 != 2)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	return code >= least[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? n : 0;
}

void decode_string_put(FILE *out, const char *text, size_t bytes) {
	const uint8_t *at = (const uint8_t *)text, *end = at + bytes;

	putc('"', out);
	while (at < end) {
		unsigned n = utf8_bytes(at, (size_t)(end - at));
		if (n == 0) {
			fputs("\\ufffd", out);
			n = 1;
		} else if (*at == '"' || *at == '\\') {
			fprintf(out, "\\%c", *at);
		} else if (*at < 0x20 || *at == 0x7f) {
			fprintf(out, "\\u%04x", *at);
		} else {
			fwrite(at, 1, n, out);
		}
		at += n;
	}
	putc('"', out);
}

void decode_time_put(FILE *out, int64_t time_ns) {
	int64_t seconds = time_ns / NS_PER_S, ns = time_ns % NS_PER_S;
	char text[32] = "?";
	struct tm tm;

	if (ns < 0) {
		ns += NS_PER_S;
		seconds--;
	}
	time_t time = (time_t)seconds;
	if (gmtime_r(&time, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	if (ns % NS_PER_MS == 0)
		fprintf(out, "%s.%03" PRId64 "Z", text, ns / NS_PER_MS);
	else if (ns % NS_PER_US == 0)
		fprintf(out, "%s.%06" PRId64 "Z", text, ns / NS_PER_US);
	else
		fprintf(out, "%s.%09" PRId64 "Z", text, ns);
}

void decode_from_text(char *text, const struct flow_decode_from *from, bool with_port) {
	char host[INET6_ADDRSTRLEN];

	if (from->family == 0) {
		*text = '\0';
		return;
	}
	inet_ntop(from->family == 6 ? AF_INET6 : AF_INET, from->address, host, sizeof(host));
	if (!with_port)
		snprintf(text, DECODE_FROM_BYTES, "%s", host);
	else
		snprintf(
			text,
			DECODE_FROM_BYTES,
			from->family == 6 ? "[%s]:%u" : "%s:%u",
			host,
			from->port
		);
}

static void put_quoted_time(const struct row *row, int64_t time_ns) {
	if (row->json)
		putc('"', row->out);
	decode_time_put(row->out, time_ns);
	if (row->json)
		putc('"', row->out);
}

static void put_hex(const struct row *row, const struct flow_field *field) {
	fputs(row->json ? "\"0x" : "0x", row->out);
	for (unsigned i = 0; i < field->bytes; i++)
		fprintf(row->out, "%02x", field->octets[i]);
	if (row->json)
		putc('"', row->out);
}

static void put_float(const struct row *row, const struct flow_field *field) {
	double value;

	if (field->bytes == 4) {
		uint32_t bits = wire_get32(field->octets);
		float single;
		memcpy(&single, &bits, sizeof(single));
		value = (double)single;
	} else {
		uint64_t bits = wire_get64(field->octets);
		memcpy(&value, &bits, sizeof(value));
	}
	if (!isfinite(value) && row->json)
		fputs("null", row->out);
	else
		fprintf(row->out, "%.*g", field->bytes == 4 ? 9 : 17, value);
}

static void put_signed(const struct row *row, const struct flow_field *field) {
	uint64_t value = flow_field_number(field), sign = UINT64_C(1) << (8 * field->bytes - 1);

	fprintf(row->out, "%" PRId64, (int64_t)((value ^ sign) - sign));
}

static void put_text(const struct row *row, const struct flow_field *field) {
	size_t bytes = field->bytes;

	// v9 fills up with zeros.
	while (bytes > 0 && field->octets[bytes - 1] == 0)
		bytes--;
	decode_string_put(row->out, (const char *)field->octets, bytes);
}

static void put_address(const struct row *row, const struct flow_field *field) {
	char text[INET6_ADDRSTRLEN];

	inet_ntop(field->bytes == 16 ? AF_INET6 : AF_INET, field->octets, text, sizeof(text));
	fprintf(row->out, row->json ? "\"%s\"" : "%s", text);
}

static void put_mac(const struct row *row, const uint8_t *mac) {
	fprintf(row->out,
		row->json ? "\"%02x:%02x:%02x:%02x:%02x:%02x\"" : "%02x:%02x:%02x:%02x:%02x:%02x",
		mac[0],
		mac[1],
		mac[2],
		mac[3],
		mac[4],
		mac[5]);
}

static void put_ntp(const struct row *row, uint64_t value) {
	int64_t seconds = (int64_t)(value >> 32);
	int64_t ns = (int64_t)((value & UINT32_MAX) * (uint64_t)NS_PER_S >> 32);

	if (seconds < NTP_1970_S)
		seconds += INT64_C(1) << 32;
	put_quoted_time(row, (seconds - NTP_1970_S) * NS_PER_S + ns);
}

static void put_value(const struct row *row, const struct flow_field *field) {
	uint64_t number = flow_field_number(field);

	switch (field->element != NULL ? field->element->type : ELEMENT_OCTETS) {
	case ELEMENT_UNSIGNED:
	case ELEMENT_UPTIME:
		fprintf(row->out, "%" PRIu64, number);
		return;
	case ELEMENT_SIGNED:
		put_signed(row, field);
		return;
	case ELEMENT_FLOAT:
		put_float(row, field);
		return;
	case ELEMENT_BOOLEAN:
		// RFC 7011 section 6.1.5.
		fputs(number == 1 ? "true" : number == 2 ? "false" : "null", row->out);
		return;
	case ELEMENT_MAC:
		put_mac(row, field->octets);
		return;
	case ELEMENT_IPV4:
	case ELEMENT_IPV6:
		put_address(row, field);
		return;
	case ELEMENT_TEXT:
		put_text(row, field);
		return;
	case ELEMENT_SECONDS:
		put_quoted_time(row, (int64_t)number * NS_PER_S);
		return;
	case ELEMENT_MILLISECONDS:
		if (number <= (uint64_t)(INT64_MAX / NS_PER_MS))
			put_quoted_time(row, (int64_t)number * NS_PER_MS);
		else
			fprintf(row->out, "%" PRIu64, number);
		return;
	case ELEMENT_NTP:
		put_ntp(row, number);
		return;
	default:
		put_hex(row, field);
		return;
	}
}

static void put_name(const struct row *row, const char *name) {
	fprintf(row->out, row->json ? ",\"%s\":" : " %s=", name);
}

static void put_number(const struct row *row, const char *name, uint64_t value) {
	put_name(row, name);
	fprintf(row->out, "%" PRIu64, value);
}

// weir's name for the field, once a record; NULL where it has none or had it already.
static const char *own_name(struct row *row, const struct flow_field *field) {
	for (unsigned i = 0; i < N_OWN_NAMES; i++) {
		if (own_names[i].id != field->id)
			continue;
		for (unsigned j = 0; j < N_OWN_NAMES; j++)
			if (row->is_taken[j] && strcmp(own_names[j].name, own_names[i].name) == 0)
				return NULL;
		row->is_taken[i] = true;
		return own_names[i].name;
	}
	return NULL;
}

static bool is_zero(const struct flow_field *field) {
	for (unsigned i = 0; i < field->bytes; i++)
		if (field->octets[i] != 0)
			return false;
	return true;
}

// Templates for both families leave the other one's addresses 0.
static bool is_left_zero(const struct flow_decoded *record, const struct flow_field *field) {
	uint16_t other = field->id == ELEMENT_SRC4   ? ELEMENT_SRC6
			 : field->id == ELEMENT_SRC6 ? ELEMENT_SRC4
			 : field->id == ELEMENT_DST4 ? ELEMENT_DST6
			 : field->id == ELEMENT_DST6 ? ELEMENT_DST4
						     : 0;
	const struct flow_field *there = other != 0 ? flow_decoded_find(record, other) : NULL;

	return there != NULL && is_zero(field) && !is_zero(there);
}

// How many fields before `index` are of the same element.
static unsigned n_before(const struct flow_decoded *record, unsigned index) {
	const struct flow_field *field = &record->fields[index];
	unsigned n = 0;

	for (unsigned i = 0; i < index; i++)
		n += record->fields[i].id == field->id && record->fields[i].scope == field->scope
		     && record->fields[i].enterprise == field->enterprise;
	return n;
}

static void put_icmp(struct row *row, const struct flow_field *field) {
	uint64_t number = flow_field_number(field);

	row->has_icmp = true;
	put_number(row, "icmp_type", number >> 8);
	put_number(row, "icmp_code", number & 0xff);
}

static void put_field(
	struct row *row,
	const struct flow_datagram *datagram,
	const struct flow_decoded *record,
	unsigned index
) {
	const struct flow_field *field = &record->fields[index];
	unsigned again = n_before(record, index);
	char name[DECODE_NAME_BYTES + 8];
	const char *own = NULL;

	if (field->element != NULL && field->enterprise == 0 && !field->scope
	    && record->n_scopes == 0) {
		if ((field->id == ELEMENT_ICMP4 || field->id == ELEMENT_ICMP6) && !row->has_icmp) {
			put_icmp(row, field);
			return;
		}
		if (!is_left_zero(record, field))
			own = own_name(row, field);
	}
	if (own == NULL) {
		decode_field_name(
			name,
			field->enterprise,
			field->id,
			field->element,
			field->scope && datagram->version == 9
		);
		if (again > 0)
			snprintf(name + strlen(name), 8, "_%u", again + 1);
	}
	put_name(row, own != NULL ? own : name);
	if (field->scope && datagram->version == 9 && field->bytes <= 8)
		fprintf(row->out, "%" PRIu64, flow_field_number(field));
	else
		put_value(row, field);
}

static void put_times(const struct row *row, const struct flow_decoded *record) {
	if (record->has_first) {
		put_name(row, row->json ? "time_flow_start_ns" : "start");
		if (row->json)
			fprintf(row->out, "%" PRId64, record->first_ns);
		else
			decode_time_put(row->out, record->first_ns);
	}
	if (record->has_last) {
		put_name(row, row->json ? "time_flow_end_ns" : "end");
		if (row->json)
			fprintf(row->out, "%" PRId64, record->last_ns);
		else
			decode_time_put(row->out, record->last_ns);
	}
}

// What follows from the record and its exporter.
static void put_derived(
	const struct row *row,
	const struct flow_datagram *datagram,
	const struct flow_decoded *record
) {
	const struct flow_field *version = flow_decoded_find(record, ELEMENT_IP_VERSION);
	uint64_t family = version != NULL ? flow_field_number(version) : 0;
	char sampler[DECODE_FROM_BYTES];

	if (family == 0 && flow_decoded_find(record, ELEMENT_SRC4) != NULL
	    && flow_decoded_find(record, ELEMENT_SRC6) == NULL)
		family = 4;
	if (family == 0 && flow_decoded_find(record, ELEMENT_SRC6) != NULL
	    && flow_decoded_find(record, ELEMENT_SRC4) == NULL)
		family = 6;
	if (flow_decoded_find(record, ELEMENT_ETHER_TYPE) == NULL && (family == 4 || family == 6))
		put_number(row, "etype", family == 6 ? 0x86dd : 0x0800);
	put_number(row, "sampling_rate", record->sampling_rate);
	decode_from_text(sampler, &datagram->from, false);
	put_name(row, "sampler_address");
	fprintf(row->out, row->json ? "\"%s\"" : "%s", sampler);
}

void decode_fields_put(
	FILE *out,
	const struct flow_datagram *datagram,
	const struct flow_decoded *record,
	bool json
) {
	struct row row = {.out = out, .json = json};

	if (record->n_scopes == 0)
		put_times(&row, record);
	for (unsigned i = 0; i < record->n_fields; i++)
		put_field(&row, datagram, record, i);
	if (record->n_scopes == 0 && json)
		put_derived(&row, datagram, record);
}
