#include "flow_columns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

const struct flow_column_info flow_columns[FLOW_COLUMN_COUNT] = {
	[COLUMN_TIME_FLOW_START_NS] = {"time_flow_start_ns", COLUMN_TIME, false},
	[COLUMN_TIME_FLOW_END_NS] = {"time_flow_end_ns", COLUMN_TIME, false},
	[COLUMN_SRC_ADDR] = {"src_addr", COLUMN_TEXT, false},
	[COLUMN_DST_ADDR] = {"dst_addr", COLUMN_TEXT, false},
	[COLUMN_PROTO] = {"proto", COLUMN_INT32, false},
	[COLUMN_SRC_PORT] = {"src_port", COLUMN_INT32, false},
	[COLUMN_DST_PORT] = {"dst_port", COLUMN_INT32, false},
	[COLUMN_BYTES] = {"bytes", COLUMN_INT64, false},
	[COLUMN_PACKETS] = {"packets", COLUMN_INT64, false},
	[COLUMN_TCP_FLAGS] = {"tcp_flags", COLUMN_INT32, false},
	[COLUMN_IP_TOS] = {"ip_tos", COLUMN_INT32, false},
	[COLUMN_IN_IF] = {"in_if", COLUMN_INT32, false},
	[COLUMN_OUT_IF] = {"out_if", COLUMN_INT32, false},
	[COLUMN_SRC_MAC] = {"src_mac", COLUMN_TEXT, false},
	[COLUMN_DST_MAC] = {"dst_mac", COLUMN_TEXT, false},
	[COLUMN_VLAN_ID] = {"vlan_id", COLUMN_INT32, false},
	[COLUMN_INNER_VLAN_ID] = {"inner_vlan_id", COLUMN_INT32, false},
	[COLUMN_ICMP_TYPE] = {"icmp_type", COLUMN_INT32, true},
	[COLUMN_ICMP_CODE] = {"icmp_code", COLUMN_INT32, true},
	[COLUMN_ETYPE] = {"etype", COLUMN_INT32, false},
	[COLUMN_IP_TTL] = {"ip_ttl", COLUMN_INT32, false},
	[COLUMN_IP_TTL_MAX] = {"ip_ttl_max", COLUMN_INT32, false},
	[COLUMN_SAMPLING_RATE] = {"sampling_rate", COLUMN_INT64, false},
	[COLUMN_SAMPLER_ADDRESS] = {"sampler_address", COLUMN_TEXT, true},
	[COLUMN_FLOW_END_REASON] = {"flow_end_reason", COLUMN_INT32, false},
};

int flow_column_find(const char *name) {
	for (int i = 0; i < FLOW_COLUMN_COUNT; i++)
		if (strcmp(flow_columns[i].name, name) == 0)
			return i;
	return -ENOENT;
}

static bool is_icmp(const struct flow_key *key) {
	return key->proto == (key->family == FLOW_IPV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

int64_t flow_column_number(
	const struct flow_record *record,
	const struct flow_source *source,
	enum flow_column column,
	bool *null
) {
	const struct flow_key *key = &record->key;

	*null = false;
	switch (column) {
	case COLUMN_TIME_FLOW_START_NS:
		return ns_of_ticks(record->first_ticks);
	case COLUMN_TIME_FLOW_END_NS:
		return ns_of_ticks(record->last_ticks);
	case COLUMN_PROTO:
		return key->proto;
	case COLUMN_SRC_PORT:
		return rte_be_to_cpu_16(key->src_port);
	case COLUMN_DST_PORT:
		return rte_be_to_cpu_16(key->dst_port);
	case COLUMN_BYTES:
		return (int64_t)record->octets;
	case COLUMN_PACKETS:
		return (int64_t)record->packets;
	case COLUMN_TCP_FLAGS:
		return record->tcp_flags;
	case COLUMN_IP_TOS:
		return record->tos;
	case COLUMN_IN_IF:
	case COLUMN_OUT_IF: // a mirror port does not say where a packet goes
		return record->in_if;
	case COLUMN_VLAN_ID:
		return key->vlan_id;
	case COLUMN_INNER_VLAN_ID:
		return record->inner_vlan_id;
	case COLUMN_ICMP_TYPE:
		*null = !is_icmp(key);
		return *null ? 0 : rte_be_to_cpu_16(key->dst_port) >> 8;
	case COLUMN_ICMP_CODE:
		*null = !is_icmp(key);
		return *null ? 0 : rte_be_to_cpu_16(key->dst_port) & 0xff;
	case COLUMN_ETYPE:
		return key->family == FLOW_IPV6 ? 0x86dd : 0x0800;
	case COLUMN_IP_TTL:
		return record->ttl_min;
	case COLUMN_IP_TTL_MAX:
		return record->ttl_max;
	case COLUMN_SAMPLING_RATE:
		return source->sampling_rate;
	case COLUMN_FLOW_END_REASON:
		return record->end;
	default:
		*null = true;
		return 0;
	}
}

static int mac_text(const uint8_t *mac, char *text) {
	return snprintf(
		text,
		FLOW_COLUMN_TEXT_BYTES,
		"%02x:%02x:%02x:%02x:%02x:%02x",
		mac[0],
		mac[1],
		mac[2],
		mac[3],
		mac[4],
		mac[5]
	);
}

int flow_column_text(
	const struct flow_record *record,
	const struct flow_source *source,
	enum flow_column column,
	char *text
) {
	const struct flow_key *key = &record->key;
	bool ipv6 = key->family == FLOW_IPV6;
	const uint8_t *address = NULL;

	switch (column) {
	case COLUMN_SRC_ADDR:
		address = ipv6 ? key->src6 : key->src4;
		break;
	case COLUMN_DST_ADDR:
		address = ipv6 ? key->dst6 : key->dst4;
		break;
	case COLUMN_SRC_MAC:
		return mac_text(record->src_mac, text);
	case COLUMN_DST_MAC:
		return mac_text(record->dst_mac, text);
	case COLUMN_SAMPLER_ADDRESS:
		if (source->sampler_address == NULL)
			return -1;
		return snprintf(text, FLOW_COLUMN_TEXT_BYTES, "%s", source->sampler_address);
	default:
		return -1;
	}
	inet_ntop(ipv6 ? AF_INET6 : AF_INET, address, text, FLOW_COLUMN_TEXT_BYTES);
	return (int)strlen(text);
}
