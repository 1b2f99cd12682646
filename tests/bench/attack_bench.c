// Attacks: what traffic that is made to hurt a flow cache does to weir's, and to the flows that
// were there before. One row of CSV for each attack.
//
//   attack_bench [--chunks N]
//
// Half of the packets belong to flows that were there before, in turn; the other half are the
// attack's: keys that collide under the hashes that others use, keys of one bucket for who knows
// the secret, or a new flow with each packet. An attack that succeeds would cost time, or evict
// the flows that were there. Beside each stands the same load of keys by chance.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attack_keys.h"
#include "measure.h"
#include "wire.h"

enum {
	CHUNK = 8192,
	BURST = 64,
	FRAME_BYTES = 128,
	FLOOD_KEYS = 1 << 22,
};

struct load {
	const char *name;
	enum attack attack;
	uint32_t n_slots;
	uint32_t n_before; // flows that were there
	uint32_t n_keys;   // of the attack
};

static const struct load loads[] = {
	{"none", ATTACK_NONE, 131072, 32768, 65536},
	{NULL, ATTACK_CRC32C, 131072, 32768, 65536},
	{NULL, ATTACK_TOEPLITZ, 131072, 32768, 65536},
	{NULL, ATTACK_XOR, 131072, 32768, 65536},
	{NULL, ATTACK_XXHASH, 131072, 32768, 65536},
	{"none (small cache)", ATTACK_NONE, 1024, 256, 64},
	{NULL, ATTACK_BUCKET, 1024, 256, 64},
	{"flood of new flows", ATTACK_NONE, 131072, 32768, FLOOD_KEYS},
};

struct records {
	struct flow_record place;
	bool any;
	uint64_t packets;
	uint64_t split;   // evicted flows that were there before
	uint64_t evicted; // evicted flows of the attack
};

// Flows that were there before have this port.
#define BEFORE_PORT RTE_BE16(443)

static void read_record(struct records *records) {
	const struct flow_record *record = &records->place;

	if (!records->any)
		return;
	records->packets += record->packets;
	if (record->end == FLOW_END_RESOURCES) {
		bool before = record->key.dst_port == BEFORE_PORT && record->key.proto == 6;
		records->split += before;
		records->evicted += !before;
	}
	records->any = false;
}

static struct flow_record *place_record(void *arg) {
	struct records *records = arg;
	read_record(records);
	records->any = true;
	return &records->place;
}

static void put_frame(uint8_t *frame, const struct flow_key *key) {
	bool ipv6 = key->family == FLOW_IPV6;
	uint8_t *ip = frame + 14, *l4 = ip + (ipv6 ? 40 : 20);

	memset(frame, 0, FRAME_BYTES);
	wire_put16(frame + 12, ipv6 ? 0x86dd : 0x0800);
	if (ipv6) {
		ip[0] = 0x60;
		wire_put16(ip + 4, 20);
		ip[6] = key->proto;
		memcpy(ip + 8, key->src6, 32);
	} else {
		ip[0] = 0x45;
		wire_put16(ip + 2, 40);
		ip[9] = key->proto;
		memcpy(ip + 12, key->src4, 8);
	}
	memcpy(l4, &key->src_port, 4);
}

static struct flow_key key_before(uint32_t i) {
	struct flow_key key = {
		.src_port = (uint16_t)i,
		.dst_port = BEFORE_PORT,
		.proto = 6,
		.family = FLOW_IPV4,
	};
	memcpy(key.src4, &i, sizeof(i));
	return key;
}

static bool run(const struct load *load, unsigned n_chunks) {
	static uint8_t octets[CHUNK][FRAME_BYTES];
	static struct frame frames[CHUNK];
	const struct meter meter = {.link = LINK_ETHERNET, .in_if = 1};
	struct records records = {0};
	struct meter_counts counts = {0};
	struct flow_cache_config config = {
		.n_flows = load->n_slots,
		.active_timeout_ns = 3600 * NS_PER_S,
		.idle_timeout_ns = 15 * NS_PER_S,
		.secret = flow_secret_fixed,
		.on_evict = place_record,
		.arg = &records,
	};
	size_t bytes = flow_cache_size(&config);
	void *memory = pages_map(bytes, PAGES_THP);
	struct flow_key *keys = calloc(load->n_keys, sizeof(keys[0]));
	double *ns = calloc(n_chunks, sizeof(ns[0]));
	struct flow_cache *cache = memory != NULL ? flow_cache_init(memory, &config) : NULL;
	time_ns_t now = 1700000000 * NS_PER_S;

	if (cache == NULL || keys == NULL || ns == NULL) {
		fprintf(stderr, "no memory\n");
		return false;
	}
	if (!attack_keys(load->attack, cache, keys, load->n_keys))
		return false;
	flow_cache_restart(cache, now);

	// Until every flow and key has been met once, then timed.
	uint64_t n_warm =
		2 * (load->n_keys < 100000 ? load->n_keys : 2 * load->n_slots) / CHUNK + 1;
	for (uint64_t chunk = 0, i = 0; chunk < n_warm + n_chunks; chunk++) {
		for (unsigned j = 0; j < CHUNK; j++, i++) {
			struct flow_key before = key_before((uint32_t)(i / 2 % load->n_before));
			put_frame(octets[j], i % 2 ? &keys[i / 2 % load->n_keys] : &before);
			now += 100;
			frames[j] = (struct frame){
				.data = octets[j],
				.captured_bytes = 74,
				.wire_bytes = 74,
				.time_ns = now,
			};
		}
		if (chunk == n_warm)
			records.split = records.evicted = 0;
		int64_t begin = measure_now();
		for (unsigned j = 0; j < CHUNK; j += BURST)
			flow_cache_meter(cache, &meter, frames + j, BURST, &counts);
		if (chunk >= n_warm)
			ns[chunk - n_warm] = (double)(measure_now() - begin) / CHUNK;
	}
	uint64_t split = records.split, evicted = records.evicted;
	double attack_packets = (double)n_chunks * CHUNK / 2;
	flow_cache_flush(cache);
	read_record(&records);
	bool good = records.packets == counts.received.packets;
	if (!good)
		fprintf(stderr, "%s: packets were lost\n", attack_name(load->attack));
	else
		printf("%s,%u,%u,%u,%.2f,%.2f,%.6f,%.6f,%zu\n",
		       load->name != NULL ? load->name : attack_name(load->attack),
		       load->n_slots,
		       load->n_before,
		       load->n_keys,
		       measure_median(ns, n_chunks),
		       1e3 / measure_median(ns, n_chunks),
		       (double)split / attack_packets,
		       (double)evicted / attack_packets,
		       bytes);
	fflush(stdout);
	free(ns);
	free(keys);
	pages_unmap(memory, bytes, PAGES_THP);
	return good;
}

int main(int argc, char **argv) {
	unsigned n_chunks = 300;

	if (argc == 3 && strcmp(argv[1], "--chunks") == 0)
		n_chunks = (unsigned)strtoul(argv[2], NULL, 10);
	if (n_chunks < 10 || n_chunks > 100000 || (argc != 1 && argc != 3)) {
		fprintf(stderr, "usage: attack_bench [--chunks N]\n");
		return 2;
	}
	measure_pin(0);
	puts("attack,slots,flows_before,keys,ns,mpps,split_per_attack_packet,evicted_per_attack_"
	     "packet,bytes");
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		if (!run(&loads[i], n_chunks))
			return 1;
	return 0;
}
