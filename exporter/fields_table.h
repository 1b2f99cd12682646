// Fields table: every element that weir can tell of a flow, once. Templates, lengths of records,
// template ids and encoders are all made from it, so they cannot drift apart.
//
// FIELD(id, octets, families in NetFlow v9, families in IPFIX, how to put it)
//
// The order is that of every record: a field list is a set, and however it was written down it
// gives one layout. `r` is the record, `boot_ms` the epoch of v9's header; the putters are in
// fields.c. Ids are IANA's, which NetFlow v9 shares (RFC 3954 section 8); what collectors make of
// each is told in docs/netflow.md.

#pragma once

#define FIELD_NOWHERE 0
#define FIELD_IPV4 1
#define FIELD_IPV6 2
#define FIELD_BOTH 3

// clang-format off
#define FIELD_TABLE(FIELD) \
	FIELD(8, 4, FIELD_IPV4, FIELD_IPV4, OCTETS(r->key.src4)) \
	FIELD(12, 4, FIELD_IPV4, FIELD_IPV4, OCTETS(r->key.dst4)) \
	FIELD(27, 16, FIELD_IPV6, FIELD_IPV6, OCTETS(r->key.src6)) \
	FIELD(28, 16, FIELD_IPV6, FIELD_IPV6, OCTETS(r->key.dst6)) \
	FIELD(31, 4, FIELD_IPV6, FIELD_IPV6, NUMBER(0)) /* not kept */ \
	FIELD(7, 2, FIELD_BOTH, FIELD_BOTH, OCTETS(&r->key.src_port)) \
	FIELD(11, 2, FIELD_BOTH, FIELD_BOTH, OCTETS(&r->key.dst_port)) \
	FIELD(4, 1, FIELD_BOTH, FIELD_BOTH, NUMBER(r->key.proto)) \
	FIELD(5, 1, FIELD_BOTH, FIELD_BOTH, NUMBER(r->tos)) \
	FIELD(6, 1, FIELD_BOTH, FIELD_BOTH, NUMBER(r->tcp_flags)) \
	FIELD(32, 2, FIELD_BOTH, FIELD_IPV4, NUMBER(icmp_type(r))) \
	FIELD(139, 2, FIELD_NOWHERE, FIELD_IPV6, NUMBER(icmp_type(r))) \
	FIELD(10, 4, FIELD_BOTH, FIELD_BOTH, NUMBER(r->in_if)) \
	FIELD(14, 4, FIELD_BOTH, FIELD_BOTH, NUMBER(r->in_if)) /* 0 makes collectors drop it */ \
	FIELD(22, 4, FIELD_BOTH, FIELD_NOWHERE, NUMBER(uptime(r->first_ticks, boot_ms, 0))) \
	FIELD(21, 4, FIELD_BOTH, FIELD_NOWHERE, NUMBER(uptime(r->last_ticks, boot_ms, 1))) \
	FIELD(150, 4, FIELD_BOTH, FIELD_BOTH, NUMBER(seconds(r->first_ticks))) \
	FIELD(151, 4, FIELD_BOTH, FIELD_BOTH, NUMBER(seconds(r->last_ticks))) \
	FIELD(152, 8, FIELD_BOTH, FIELD_BOTH, NUMBER((uint64_t)ms_of_ticks(r->first_ticks))) \
	FIELD(153, 8, FIELD_BOTH, FIELD_BOTH, NUMBER((uint64_t)ms_of_ticks(r->last_ticks))) \
	FIELD(161, 4, FIELD_BOTH, FIELD_BOTH, NUMBER(duration(r))) \
	FIELD(243, 2, FIELD_BOTH, FIELD_BOTH, NUMBER(r->key.vlan_id)) \
	FIELD(245, 2, FIELD_BOTH, FIELD_BOTH, NUMBER(r->inner_vlan_id)) \
	FIELD(1, 8, FIELD_BOTH, FIELD_BOTH, NUMBER(r->octets)) \
	FIELD(2, 8, FIELD_BOTH, FIELD_BOTH, NUMBER(r->packets)) \
	FIELD(61, 1, FIELD_BOTH, FIELD_BOTH, NUMBER(0)) /* ingress */ \
	FIELD(136, 1, FIELD_BOTH, FIELD_BOTH, NUMBER(r->end)) \
	FIELD(60, 1, FIELD_BOTH, FIELD_BOTH, NUMBER(r->key.family)) \
	FIELD(52, 1, FIELD_BOTH, FIELD_BOTH, NUMBER(r->ttl_min)) \
	FIELD(53, 1, FIELD_BOTH, FIELD_BOTH, NUMBER(r->ttl_max)) \
	FIELD(58, 2, FIELD_BOTH, FIELD_BOTH, NUMBER(r->key.vlan_id)) \
	FIELD(56, 6, FIELD_BOTH, FIELD_BOTH, OCTETS(r->src_mac)) \
	FIELD(80, 6, FIELD_BOTH, FIELD_BOTH, OCTETS(r->dst_mac)) \
	FIELD(70, 3, FIELD_BOTH, FIELD_BOTH, OCTETS(r->mpls_label)) \
	FIELD(195, 1, FIELD_BOTH, FIELD_BOTH, NUMBER(r->tos >> 2)) \
	FIELD(176, 1, FIELD_IPV4, FIELD_IPV4, NUMBER(icmp_type(r) >> 8)) \
	FIELD(177, 1, FIELD_IPV4, FIELD_IPV4, NUMBER(icmp_type(r))) \
	FIELD(178, 1, FIELD_IPV6, FIELD_IPV6, NUMBER(icmp_type(r) >> 8)) \
	FIELD(179, 1, FIELD_IPV6, FIELD_IPV6, NUMBER(icmp_type(r)))
// clang-format on

#define FIELD_AS_ROW(id, bytes, families9, families10, put) FIELD_ROW_##id,
enum { FIELD_TABLE(FIELD_AS_ROW) FIELD_ROWS };

// A set of fields, by their rows in the table.
#define FIELD_BIT(id) (UINT64_C(1) << FIELD_ROW_##id)

// clang-format off
#define FIELDS_TIMES (FIELD_BIT(22) | FIELD_BIT(21) | FIELD_BIT(152) | FIELD_BIT(153))
#define FIELDS_MINIMAL \
	(FIELD_BIT(8) | FIELD_BIT(12) | FIELD_BIT(27) | FIELD_BIT(28) | FIELD_BIT(7) | \
	 FIELD_BIT(11) | FIELD_BIT(4) | FIELD_BIT(32) | FIELD_BIT(139) | FIELD_BIT(10) | \
	 FIELD_BIT(14) | FIELD_BIT(1) | FIELD_BIT(2) | FIELD_BIT(58) | FIELD_BIT(22) | FIELD_BIT(21))
#define FIELDS_STANDARD \
	(FIELDS_MINIMAL | FIELD_BIT(31) | FIELD_BIT(5) | FIELD_BIT(6) | FIELD_BIT(61) | \
	 FIELD_BIT(136) | FIELD_BIT(60) | FIELD_BIT(52) | FIELD_BIT(53) | FIELD_BIT(56) | \
	 FIELD_BIT(80))
#define FIELDS_QINQ (FIELD_BIT(243) | FIELD_BIT(245))
#define FIELDS_MPLS FIELD_BIT(70)
// clang-format on
