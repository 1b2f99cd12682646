#include <errno.h>
#include <stdlib.h>

#include <netinet/in.h>

#include "address_text.h"
#include "clock.h"
#include "parquet_internal.h"
#include "radix_sort.h"
#include "wire.h"

enum {
	LEAST_SIZE = 1024,
	IPV6_NUMBER = INT32_MIN, // the bit that tells numbers in `pairs`
};

void parquet_rows_init(struct parquet_rows *rows, uint64_t secret) {
	*rows = (struct parquet_rows){0};
	value_table_init(&rows->ip.low, false, secret);
	value_table_init(&rows->ip.pairs, true, secret);
	value_table_init(&rows->mac.low, false, secret);
	value_table_init(&rows->mac.pairs, true, secret);
}

static void addresses_done(struct parquet_addresses *addresses) {
	value_table_done(&addresses->low);
	value_table_done(&addresses->pairs);
	free(addresses->rank);
	free(addresses->sorted);
}

void parquet_rows_done(struct parquet_rows *rows) {
	for (unsigned i = 0; i < WIDE_COUNT; i++)
		free(rows->wide[i]);
	for (unsigned i = 0; i < NARROW_COUNT; i++)
		free(rows->narrow[i]);
	for (unsigned i = 0; i < ADDRESS_COUNT; i++) {
		free(rows->address[i]);
		free(rows->numbers[i]);
	}
	addresses_done(&rows->ip);
	addresses_done(&rows->mac);
	free(rows->icmp);
	free(rows->order);
	free(rows->spare_order);
	free(rows->keys);
	free(rows->spare_keys);
	*rows = (struct parquet_rows){0};
}

static bool resize(void *array, size_t n, size_t value_bytes) {
	void **pointer = array, *grown = realloc(*pointer, n * value_bytes);
	if (grown == NULL)
		return false;
	*pointer = grown;
	return true;
}

static int make_room(struct parquet_rows *rows, uint32_t n) {
	bool enough = true;

	if (n <= rows->size)
		return 0;
	n = n < LEAST_SIZE ? LEAST_SIZE : n;
	for (unsigned i = 0; enough && i < WIDE_COUNT; i++)
		enough = resize(&rows->wide[i], n, sizeof(int64_t));
	for (unsigned i = 0; enough && i < NARROW_COUNT; i++)
		enough = resize(&rows->narrow[i], n, sizeof(uint16_t));
	for (unsigned i = 0; enough && i < ADDRESS_COUNT; i++)
		enough = resize(&rows->address[i], n, sizeof(uint32_t))
			 && resize(&rows->numbers[i], n, sizeof(uint32_t));
	enough = enough && resize(&rows->icmp, n, 1) && resize(&rows->order, n, sizeof(uint32_t))
		 && resize(&rows->spare_order, n, sizeof(uint32_t))
		 && resize(&rows->keys, n, sizeof(uint64_t))
		 && resize(&rows->spare_keys, n, sizeof(uint64_t));
	if (!enough)
		return -ENOMEM;
	rows->size = n;
	return 0;
}

static uint64_t word48(const uint8_t *octets) {
	return (uint64_t)wire_get16(octets) << 32 | wire_get32(octets + 2);
}

static uint32_t number_ip(struct parquet_addresses *ip, bool ipv6, const uint8_t *octets) {
	if (!ipv6)
		return value_table_of(&ip->low, wire_get32(octets));
	uint32_t number =
		value_table_of_pair(&ip->pairs, wire_get64(octets + 8), wire_get64(octets));
	return number == VALUE_TABLE_FULL ? number : number | (uint32_t)IPV6_NUMBER;
}

static int
number_addresses(struct parquet_rows *rows, const struct flow_record *records, uint32_t n) {
	uint32_t **numbers = rows->numbers;

	value_table_reset(&rows->ip.low);
	value_table_reset(&rows->ip.pairs);
	value_table_reset(&rows->mac.low);
	for (uint32_t i = 0; i < n; i++) {
		const struct flow_record *record = &records[i];
		const struct flow_key *key = &record->key;
		bool ipv6 = key->family == FLOW_IPV6;
		uint32_t src = number_ip(&rows->ip, ipv6, ipv6 ? key->src6 : key->src4);
		uint32_t dst = number_ip(&rows->ip, ipv6, ipv6 ? key->dst6 : key->dst4);
		uint32_t src_mac = value_table_of(&rows->mac.low, word48(record->src_mac));
		uint32_t dst_mac = value_table_of(&rows->mac.low, word48(record->dst_mac));
		if (src == VALUE_TABLE_FULL || dst == VALUE_TABLE_FULL
		    || src_mac == VALUE_TABLE_FULL || dst_mac == VALUE_TABLE_FULL)
			return -ENOMEM;
		numbers[ADDRESS_SRC][i] = src;
		numbers[ADDRESS_DST][i] = dst;
		numbers[ADDRESS_SRC_MAC][i] = src_mac;
		numbers[ADDRESS_DST_MAC][i] = dst_mac;
	}
	return 0;
}

// Ascending: IPv4 by the address, then IPv6 by the address.
static int rank_addresses(struct parquet_addresses *addresses) {
	uint32_t n_low = addresses->low.n, n_pairs = addresses->pairs.n;
	uint32_t n = n_low + n_pairs, most = n_low > n_pairs ? n_low : n_pairs;
	uint32_t *rank = addresses->rank, *sorted = addresses->sorted;

	addresses->n = n;
	if (n > addresses->size) {
		if (!resize(&addresses->rank, n, sizeof(*rank))
		    || !resize(&addresses->sorted, n, sizeof(*sorted)))
			return -ENOMEM;
		addresses->size = n;
		rank = addresses->rank;
		sorted = addresses->sorted;
	}
	uint64_t *keys = malloc((size_t)most * 2 * sizeof(*keys));
	if (keys == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = i < n_low ? i : i - n_low;
	// `rank` is not made yet and is the spare room.
	for (uint32_t i = 0; i < n_low; i++)
		keys[i] = addresses->low.low[i];
	radix_sort(sorted, rank, keys, keys + most, n_low);
	for (uint32_t i = 0; i < n_pairs; i++)
		keys[i] = addresses->pairs.low[i];
	radix_sort(sorted + n_low, rank, keys, keys + most, n_pairs);
	for (uint32_t i = 0; i < n_pairs; i++)
		keys[i] = addresses->pairs.high[sorted[n_low + i]];
	radix_sort(sorted + n_low, rank, keys, keys + most, n_pairs);
	free(keys);
	for (uint32_t i = n_low; i < n; i++)
		sorted[i] += n_low;
	for (uint32_t i = 0; i < n; i++)
		rank[sorted[i]] = i;
	return 0;
}

static uint32_t rank_of(const struct parquet_addresses *addresses, uint32_t number) {
	bool ipv6 = (number & (uint32_t)IPV6_NUMBER) != 0;
	return addresses->rank[ipv6 ? addresses->low.n + (number & INT32_MAX) : number];
}

static bool is_instant(const struct flow_record *record) {
	return record->first_ticks == record->last_ticks;
}

// What a row lies with. Flows that took no time come first: there both times are one series, and
// differ little from row to row. Then whether it asks a service or is the answer, by which of the
// ports is lower, and which service: that says most about all the other columns.
static uint64_t group_key(const struct flow_record *record) {
	uint64_t src_port = rte_be_to_cpu_16(record->key.src_port);
	uint64_t dst_port = rte_be_to_cpu_16(record->key.dst_port);
	bool answer = src_port < dst_port;

	return (uint64_t)!is_instant(record) << 17 | (uint64_t)answer << 16
	       | (answer ? src_port : dst_port);
}

static void sort_by_keys(struct parquet_rows *rows, uint32_t n) {
	radix_sort(rows->order, rows->spare_order, rows->keys, rows->spare_keys, n);
}

// Within a group by the end. To sort by addresses instead makes those columns smaller, but the
// times larger by more: of a time that follows no other only the 16 bits that all multiples of
// a tick share could be saved, and no encoding of Parquet does.
static void
make_order(struct parquet_rows *rows, const struct flow_record *records, uint32_t n, bool sort) {
	rows->n_instant = 0;
	for (uint32_t i = 0; i < n; i++)
		rows->order[i] = i;
	if (!sort)
		return;
	for (uint32_t i = 0; i < n; i++)
		rows->keys[i] = records[i].last_ticks;
	sort_by_keys(rows, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct flow_record *record = &records[rows->order[i]];
		rows->keys[i] = group_key(record);
		rows->n_instant += is_instant(record);
	}
	sort_by_keys(rows, n);
}

static bool is_icmp(const struct flow_key *key) {
	return key->proto == (key->family == FLOW_IPV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static void take_row(struct parquet_rows *rows, uint32_t i, const struct flow_record *record) {
	const struct flow_key *key = &record->key;
	uint16_t **narrow = rows->narrow;

	rows->wide[WIDE_START][i] = ns_of_ticks(record->first_ticks);
	rows->wide[WIDE_END][i] = ns_of_ticks(record->last_ticks);
	rows->wide[WIDE_BYTES][i] = (int64_t)record->octets;
	rows->wide[WIDE_PACKETS][i] = (int64_t)record->packets;
	narrow[NARROW_PROTO][i] = key->proto;
	narrow[NARROW_SRC_PORT][i] = rte_be_to_cpu_16(key->src_port);
	narrow[NARROW_DST_PORT][i] = rte_be_to_cpu_16(key->dst_port);
	narrow[NARROW_TCP_FLAGS][i] = record->tcp_flags;
	narrow[NARROW_TOS][i] = record->tos;
	narrow[NARROW_IF][i] = record->in_if;
	narrow[NARROW_VLAN][i] = key->vlan_id;
	narrow[NARROW_INNER_VLAN][i] = record->inner_vlan_id;
	narrow[NARROW_ICMP][i] = rte_be_to_cpu_16(key->dst_port);
	narrow[NARROW_ETYPE][i] = key->family == FLOW_IPV6 ? 0x86dd : 0x0800;
	narrow[NARROW_TTL][i] = record->ttl_min;
	narrow[NARROW_TTL_MAX][i] = record->ttl_max;
	narrow[NARROW_END][i] = record->end;
	rows->icmp[i] = is_icmp(key);
}

int parquet_rows_take(
	struct parquet_rows *rows, const struct flow_record *records, uint32_t n, bool sort
) {
	int rc = make_room(rows, n);
	if (rc == 0)
		rc = number_addresses(rows, records, n);
	if (rc == 0)
		rc = rank_addresses(&rows->ip);
	if (rc == 0)
		rc = rank_addresses(&rows->mac);
	if (rc != 0)
		return rc;
	rows->n = n;
	make_order(rows, records, n, sort);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t from = rows->order[i];
		take_row(rows, i, &records[from]);
		for (unsigned a = 0; a < ADDRESS_COUNT; a++)
			rows->address[a][i] =
				rank_of(a < ADDRESS_SRC_MAC ? &rows->ip : &rows->mac,
					rows->numbers[a][from]);
	}
	return 0;
}

unsigned parquet_rows_text(
	const struct parquet_rows *rows, enum parquet_address which, uint32_t rank, char *text
) {
	uint8_t octets[16];

	if (which >= ADDRESS_SRC_MAC) {
		uint64_t mac = rows->mac.low.low[rows->mac.sorted[rank]];
		wire_put64(octets, mac << 16);
		return address_text_mac(octets, text);
	}
	uint32_t number = rows->ip.sorted[rank], n_low = rows->ip.low.n;
	if (number < n_low) {
		wire_put32(octets, (uint32_t)rows->ip.low.low[number]);
		return address_text_ipv4(octets, text);
	}
	wire_put64(octets, rows->ip.pairs.high[number - n_low]);
	wire_put64(octets + 8, rows->ip.pairs.low[number - n_low]);
	return address_text_ipv6(octets, text);
}
