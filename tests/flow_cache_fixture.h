// A flow cache in memory of its own, and the records that left it.

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow_cache.h"

struct fixture {
	struct flow_cache *cache;
	struct flow_record *records;
	size_t n_records;
	size_t n_room;
};

// Room for one more record.
static inline struct flow_record *next_record(void *arg) {
	struct fixture *fixture = arg;

	if (fixture->n_records == fixture->n_room) {
		fixture->n_room = fixture->n_room * 2 + 64;
		fixture->records =
			realloc(fixture->records, fixture->n_room * sizeof(fixture->records[0]));
		assert_non_null(fixture->records);
	}
	return &fixture->records[fixture->n_records++];
}

// For records that nobody looks at: `arg` is the place of one.
static inline struct flow_record *spare_record(void *arg) {
	return arg;
}

// As a flow model hands them over.
static inline void keep_record(const struct flow_record *record, void *arg) {
	*next_record(arg) = *record;
}

static inline int by_content(const void *a, const void *b) {
	return memcmp(a, b, sizeof(struct flow_record));
}

// In whatever order. Sorts both.
static inline void assert_same_records(struct fixture *left, struct fixture *right) {
	assert_int_equal(left->n_records, right->n_records);
	qsort(left->records, left->n_records, sizeof(left->records[0]), by_content);
	qsort(right->records, right->n_records, sizeof(right->records[0]), by_content);
	assert_memory_equal(
		left->records, right->records, left->n_records * sizeof(left->records[0])
	);
}

// Zeroed memory, aligned to a line, the caller's to free.
static inline void *zeroed_memory(size_t bytes) {
	bytes = (bytes + 63) & ~(size_t)63;
	void *memory = aligned_alloc(64, bytes);
	assert_non_null(memory);
	return memset(memory, 0, bytes);
}

// On the packet path of that name, NULL = the fastest.
static inline struct fixture *fixture_new_with(
	const char *path,
	uint32_t n_flows,
	time_ns_t active_timeout_ns,
	time_ns_t idle_timeout_ns,
	const struct flow_secret *secret
) {
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	assert_non_null(fixture);
	struct flow_cache_config config = {
		.n_flows = n_flows,
		.active_timeout_ns = active_timeout_ns,
		.idle_timeout_ns = idle_timeout_ns,
		.secret = *secret,
		.on_evict = next_record,
		.arg = fixture,
		.path = path,
	};
	fixture->cache = flow_cache_init(zeroed_memory(flow_cache_size(&config)), &config);
	assert_non_null(fixture->cache);
	return fixture;
}

static inline struct fixture *fixture_new_on(
	const char *path, uint32_t n_flows, time_ns_t active_timeout_ns, time_ns_t idle_timeout_ns
) {
	return fixture_new_with(
		path, n_flows, active_timeout_ns, idle_timeout_ns, &flow_secret_fixed
	);
}

static inline struct fixture *
fixture_new(uint32_t n_flows, time_ns_t active_timeout_ns, time_ns_t idle_timeout_ns) {
	return fixture_new_on(NULL, n_flows, active_timeout_ns, idle_timeout_ns);
}

static inline void fixture_free(struct fixture *fixture) {
	free(fixture->cache); // the memory it was made in
	free(fixture->records);
	free(fixture);
}

// A TCP packet of 100 octets of flow `id`.
static inline struct packet packet_of(uint32_t id, time_ns_t time_ns) {
	struct packet packet = {
		.time_ns = time_ns,
		.octets = 100,
		.tcp_flags = 0x10,
		.ttl = 64,
		.in_if = 1,
	};
	packet.key.proto = 6;
	packet.key.family = FLOW_IPV4;
	memcpy(packet.key.src4, &id, sizeof(id));
	packet.key.dst_port = 80;
	return packet;
}

static inline uint32_t id_of(const struct flow_record *record) {
	uint32_t id;
	memcpy(&id, record->key.src4, sizeof(id));
	return id;
}

static inline void push(struct fixture *fixture, const struct packet *packet) {
	flow_cache_push(fixture->cache, packet, 1);
}

// Pushes one, and has it counted at once.
static inline void add(struct fixture *fixture, struct packet packet) {
	push(fixture, &packet);
	flow_cache_drain(fixture->cache);
}

static inline unsigned age_all(struct fixture *fixture, time_ns_t now_ns) {
	flow_cache_advance(fixture->cache, now_ns);
	return flow_cache_age(fixture->cache, flow_cache_blocks(fixture->cache));
}
