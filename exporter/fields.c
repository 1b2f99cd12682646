#include "fields.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "clock.h"
#include "wire.h"

// What is encoded, beside the record itself.
struct source {
	const struct flow_record *record;
	int64_t boot_ms;
};

// The putters, one for each kind of content. Inlined with a constant place and length, so that
// the encoder of a template is a straight line of loads, byte swaps and stores.
static inline void put_number(uint8_t *out, unsigned bytes, uint64_t value) {
	switch (bytes) {
	case 1:
		*out = (uint8_t)value;
		break;
	case 2:
		wire_put16(out, (uint16_t)value);
		break;
	case 4:
		wire_put32(out, (uint32_t)value);
		break;
	case 8:
		wire_put64(out, value);
		break;
	}
}

// Milliseconds of uptime; what lies before the epoch or beyond 32 bits is held at the edge.
static inline uint64_t uptime(const struct source *source, uint64_t ticks, int64_t least) {
	int64_t ms = ms_of_ticks(ticks) - source->boot_ms;
	return (uint64_t)(ms < least ? least : ms > UINT32_MAX ? UINT32_MAX : ms);
}

static inline uint16_t icmp_type(const struct flow_record *record) {
	bool icmp = record->key.proto == (record->key.family == FLOW_IPV6 ? 58 : 1);
	return icmp ? rte_be_to_cpu_16(record->key.dst_port) : 0;
}

#define NUMBER(value) put_number(out, bytes, (value))
#define OCTETS(from) memcpy(out, (from), bytes)

// The table: element id, length on the wire, content. `r` is the record, `s` the source. NetFlow v9
// and IPFIX differ in the elements for times and, over IPv6, for the type of ICMP.
#define FIELDS_COMMON(FIELD, ICMP, TIMES)                                                          \
	FIELD(7, 2, OCTETS(&r->key.src_port))  /* L4_SRC_PORT */                                   \
	FIELD(11, 2, OCTETS(&r->key.dst_port)) /* L4_DST_PORT */                                   \
	FIELD(4, 1, NUMBER(r->key.proto))      /* PROTOCOL */                                      \
	FIELD(5, 1, NUMBER(r->tos))            /* SRC_TOS */                                       \
	FIELD(6, 1, NUMBER(r->tcp_flags))      /* TCP_FLAGS */                                     \
	FIELD(ICMP, 2, NUMBER(icmp_type(r)))   /* ICMP_TYPE */                                     \
	FIELD(10, 4, NUMBER(r->in_if))         /* INPUT_SNMP */                                    \
	FIELD(14, 4, NUMBER(r->in_if))         /* OUTPUT_SNMP: collectors drop records with 0 */   \
	TIMES(FIELD)                                                                               \
	FIELD(1, 8, NUMBER(r->octets))       /* IN_BYTES */                                        \
	FIELD(2, 8, NUMBER(r->packets))      /* IN_PKTS */                                         \
	FIELD(61, 1, NUMBER(0))              /* DIRECTION: ingress */                              \
	FIELD(136, 1, NUMBER(r->end))        /* flowEndReason */                                   \
	FIELD(60, 1, NUMBER(r->key.family))  /* IP_PROTOCOL_VERSION */                             \
	FIELD(52, 1, NUMBER(r->ttl_min))     /* MIN_TTL */                                         \
	FIELD(53, 1, NUMBER(r->ttl_max))     /* MAX_TTL */                                         \
	FIELD(58, 2, NUMBER(r->key.vlan_id)) /* SRC_VLAN */                                        \
	FIELD(56, 6, OCTETS(r->src_mac))     /* IN_SRC_MAC */                                      \
	FIELD(80, 6, OCTETS(r->dst_mac))     /* IN_DST_MAC */

#define UPTIMES(FIELD)                                                                             \
	FIELD(22, 4, NUMBER(uptime(s, r->first_ticks, 0))) /* FIRST_SWITCHED */                    \
	FIELD(21, 4, NUMBER(uptime(s, r->last_ticks, 1)))  /* LAST_SWITCHED: 0 reads as absent */

#define ABSOLUTE_TIMES(FIELD)                                                                      \
	FIELD(152, 8, NUMBER((uint64_t)ms_of_ticks(r->first_ticks))) /* flowStartMilliseconds */   \
	FIELD(153, 8, NUMBER((uint64_t)ms_of_ticks(r->last_ticks)))  /* flowEndMilliseconds */     \
	FIELD(245, 2, NUMBER(r->inner_vlan_id))                      /* dot1qCustomerVlanId */

#define ADDRESSES_IPV4(FIELD)                                                                      \
	FIELD(8, 4, OCTETS(r->key.src4))  /* IPV4_SRC_ADDR */                                      \
	FIELD(12, 4, OCTETS(r->key.dst4)) /* IPV4_DST_ADDR */

#define ADDRESSES_IPV6(FIELD)                                                                      \
	FIELD(27, 16, OCTETS(r->key.src6)) /* IPV6_SRC_ADDR */                                     \
	FIELD(28, 16, OCTETS(r->key.dst6)) /* IPV6_DST_ADDR */                                     \
	FIELD(31, 4, NUMBER(0))            /* IPV6_FLOW_LABEL: not kept */

#define FIELDS_IPV4(FIELD) ADDRESSES_IPV4(FIELD) FIELDS_COMMON(FIELD, 32, UPTIMES)
#define FIELDS_IPV6(FIELD) ADDRESSES_IPV6(FIELD) FIELDS_COMMON(FIELD, 32, UPTIMES)
#define IPFIX_IPV4(FIELD) ADDRESSES_IPV4(FIELD) FIELDS_COMMON(FIELD, 32, ABSOLUTE_TIMES)
#define IPFIX_IPV6(FIELD) ADDRESSES_IPV6(FIELD) FIELDS_COMMON(FIELD, 139, ABSOLUTE_TIMES)

#define AS_ENTRY(id, length, put) {id, length},
#define AS_LENGTH(id, length, put) +length
#define AS_CODE(id, length, put)                                                                   \
	{                                                                                          \
		enum { bytes = length };                                                           \
		put;                                                                               \
		out += bytes;                                                                      \
	}

static const struct field ipv4_fields[] = {FIELDS_IPV4(AS_ENTRY)};
static const struct field ipv6_fields[] = {FIELDS_IPV6(AS_ENTRY)};

static const struct field ipfix_ipv4_fields[] = {IPFIX_IPV4(AS_ENTRY)};
static const struct field ipfix_ipv6_fields[] = {IPFIX_IPV6(AS_ENTRY)};

static_assert(FIELDS_IPFIX_IPV4_BYTES == 0 IPFIX_IPV4(AS_LENGTH), "the table says so");
static_assert(FIELDS_IPFIX_IPV6_BYTES == 0 IPFIX_IPV6(AS_LENGTH), "the table says so");
static_assert(FIELDS_IPV4_BYTES == 0 FIELDS_IPV4(AS_LENGTH), "the table says so");
static_assert(FIELDS_IPV6_BYTES == 0 FIELDS_IPV6(AS_LENGTH), "the table says so");
static_assert(FIELDS_IPV4_BYTES % 4 == 0 && FIELDS_IPV6_BYTES % 4 == 0, "no padding, ever");

void fields_encode_ipv4(uint8_t *out, const struct flow_record *r, int64_t boot_ms) {
	const struct source source = {r, boot_ms}, *s = &source;
	FIELDS_IPV4(AS_CODE)
}

void fields_encode_ipv6(uint8_t *out, const struct flow_record *r, int64_t boot_ms) {
	const struct source source = {r, boot_ms}, *s = &source;
	FIELDS_IPV6(AS_CODE)
}

void fields_encode_ipfix_ipv4(uint8_t *out, const struct flow_record *r) {
	IPFIX_IPV4(AS_CODE)
}

void fields_encode_ipfix_ipv6(uint8_t *out, const struct flow_record *r){IPFIX_IPV6(AS_CODE)}

// FNV-1a over ids and lengths, folded to 16 bits: the same list gives the same id everywhere.
uint16_t fields_template_id(const struct field *fields, unsigned n_fields) {
	uint32_t hash = UINT32_C(2166136261);

	for (unsigned i = 0; i < n_fields; i++) {
		const uint8_t octets[] = {
			(uint8_t)(fields[i].id >> 8),
			(uint8_t)fields[i].id,
			(uint8_t)(fields[i].bytes >> 8),
			(uint8_t)fields[i].bytes,
		};
		for (unsigned j = 0; j < sizeof(octets); j++)
			hash = (hash ^ octets[j]) * UINT32_C(16777619);
	}
	hash = (hash ^ hash >> 16) & 0xffff;
	return (uint16_t)(hash >= 256 ? hash : hash + 256);
}

#define TEMPLATE(list, length)                                                                     \
	{                                                                                          \
		.fields = (list), .n_fields = sizeof(list) / sizeof((list)[0]),                    \
		.record_bytes = (length),                                                          \
		.id = fields_template_id((list), sizeof(list) / sizeof((list)[0])),                \
	}

struct field_template fields_ipv4(void) {
	return (struct field_template)TEMPLATE(ipv4_fields, FIELDS_IPV4_BYTES);
}

struct field_template fields_ipv6(void) {
	return (struct field_template)TEMPLATE(ipv6_fields, FIELDS_IPV6_BYTES);
}

struct field_template fields_ipfix_ipv4(void) {
	return (struct field_template)TEMPLATE(ipfix_ipv4_fields, FIELDS_IPFIX_IPV4_BYTES);
}

struct field_template fields_ipfix_ipv6(void) {
	return (struct field_template)TEMPLATE(ipfix_ipv6_fields, FIELDS_IPFIX_IPV6_BYTES);
}
