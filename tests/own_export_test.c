// The sensor's own export packets, told from all others.

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "own_export.h"

static struct sockaddr_storage address(const char *text, uint16_t port) {
	struct sockaddr_storage storage = {0};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		memcpy(&storage, &in, sizeof(in));
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
		memcpy(&storage, &in6, sizeof(in6));
	}
	return storage;
}

static void add(struct own_export *own, const char *from, uint16_t port, const char *to) {
	struct sockaddr_storage source = address(from, port), destination = address(to, 2055);
	assert_int_equal(own_export_add(own, &source, &destination), 0);
}

// A frame of an export packet, with `n_tags` tags. Returns its length.
static uint32_t
make(uint8_t *frame, unsigned n_tags, const char *from, uint16_t port, const char *to) {
	static const uint8_t tag[] = {0x81, 0, 0, 100};
	uint32_t at = 12;
	bool v6 = strchr(to, ':') != NULL;

	memset(frame, 0, 128);
	for (unsigned i = 0; i < n_tags; i++, at += 4)
		memcpy(frame + at, tag, 4);
	frame[at] = v6 ? 0x86 : 0x08;
	frame[at + 1] = v6 ? 0xdd : 0;
	at += 2;
	frame[at] = v6 ? 0x60 : 0x45;
	frame[at + (v6 ? 6 : 9)] = 17;
	inet_pton(v6 ? AF_INET6 : AF_INET, from, frame + at + (v6 ? 8 : 12));
	inet_pton(v6 ? AF_INET6 : AF_INET, to, frame + at + (v6 ? 24 : 16));
	at += v6 ? 40 : 20;
	frame[at] = (uint8_t)(port >> 8);
	frame[at + 1] = (uint8_t)port;
	frame[at + 2] = 2055 >> 8;
	frame[at + 3] = 2055 & 255;
	return at + 8;
}

static struct own_export ours(void) {
	struct own_export own = {0};
	add(&own, "192.0.2.1", 40000, "198.51.100.9");
	add(&own, "2001:db8::1", 40001, "2001:db8::9");
	add(&own, "::ffff:192.0.2.1", 40002, "::ffff:198.51.100.10");
	return own;
}

static void ours_are_found_behind_tags_too(void **state) {
	struct own_export own = ours();
	uint8_t frame[128];
	(void)state;

	for (unsigned tags = 0; tags <= 2; tags++) {
		uint32_t n = make(frame, tags, "192.0.2.1", 40000, "198.51.100.9");
		assert_true(own_export_matches(&own, frame, n));
		n = make(frame, tags, "192.0.2.1", 40002, "198.51.100.10");
		assert_true(own_export_matches(&own, frame, n));
		n = make(frame, tags, "2001:db8::1", 40001, "2001:db8::9");
		assert_true(own_export_matches(&own, frame, n));
	}
}

static void those_of_other_exporters_are_not(void **state) {
	struct own_export own = ours();
	struct own_export none = {0};
	uint8_t frame[128];
	uint32_t n;
	(void)state;

	n = make(frame, 0, "192.0.2.1", 40001, "198.51.100.9");
	assert_false(own_export_matches(&own, frame, n));
	n = make(frame, 0, "192.0.2.2", 40000, "198.51.100.9");
	assert_false(own_export_matches(&own, frame, n));
	n = make(frame, 0, "2001:db8::1", 40000, "2001:db8::9");
	assert_false(own_export_matches(&own, frame, n));
	n = make(frame, 0, "192.0.2.1", 40000, "198.51.100.9");
	assert_false(own_export_matches(&none, frame, n));
	frame[14 + 9] = 6; // TCP
	assert_false(own_export_matches(&own, frame, n));
	n = make(frame, 0, "192.0.2.1", 40000, "198.51.100.9");
	frame[14 + 7] = 1; // a fragment behind the first
	assert_false(own_export_matches(&own, frame, n));
}

static void sessions_are_ours_both_ways_from_any_port(void **state) {
	struct sockaddr_storage here = address("192.0.2.1", 5),
				there = address("198.51.100.9", 2055);
	struct sockaddr_storage here6 = address("2001:db8::1", 0),
				there6 = address("2001:db8::9", 2055);
	struct own_export own = {0};
	uint8_t frame[128];
	(void)state;

	assert_int_equal(own_export_add_sessions(&own, &here, &there), 0);
	assert_int_equal(own_export_add_sessions(&own, &here6, &there6), 0);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		const char *from = v6 ? "2001:db8::1" : "192.0.2.1";
		const char *to = v6 ? "2001:db8::9" : "198.51.100.9";
		uint8_t *proto = frame + 14 + (v6 ? 6 : 9), *ports = frame + 14 + (v6 ? 40 : 20);
		for (uint16_t port = 40000; port < 40002; port++) {
			uint32_t n = make(frame, 0, from, port, to);
			assert_false(own_export_matches(&own, frame, n)); // UDP
			*proto = 6;
			assert_true(own_export_matches(&own, frame, n));
			ports[3]++; // another port there
			assert_false(own_export_matches(&own, frame, n));
			n =
				make(frame, 0, to, port, from
				); // from the collector, but not of its port
			*proto = 6;
			assert_false(own_export_matches(&own, frame, n));
			memcpy(ports, (uint8_t[]){2055 >> 8, 2055 & 255, 0x9c, 0x40}, 4);
			assert_true(own_export_matches(&own, frame, n));
			n = make(frame, 0, v6 ? "2001:db8::2" : "192.0.2.2", port, to);
			*proto = 6;
			assert_false(own_export_matches(&own, frame, n));
		}
	}
}

static void nothing_is_read_beyond_what_was_captured(void **state) {
	struct own_export own = ours();
	uint8_t frame[128];
	(void)state;

	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned tags = 0; tags <= 2; tags++) {
			uint32_t n = v6 ? make(frame, tags, "2001:db8::1", 40001, "2001:db8::9")
					: make(frame, tags, "192.0.2.1", 40000, "198.51.100.9");
			// Up to the ports, which is where it can be told.
			for (uint32_t cut = 0; cut < n - 4; cut++) {
				uint8_t *exact = test_malloc(cut + 1);
				memcpy(exact, frame, cut);
				assert_false(own_export_matches(&own, exact, cut));
				test_free(exact);
			}
		}
}

static void there_is_room_for_every_collector_and_no_more(void **state) {
	struct own_export own = {0};
	struct sockaddr_storage source = address("192.0.2.1", 1);
	struct sockaddr_storage v6 = address("2001:db8::1", 1);
	(void)state;

	assert_int_equal(own_export_add(&own, &source, &v6), -EAFNOSUPPORT);
	for (unsigned i = 0; i < OWN_EXPORT_MAX; i++)
		assert_int_equal(own_export_add(&own, &source, &source), 0);
	assert_int_equal(own_export_add(&own, &source, &source), -ENOSPC);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ours_are_found_behind_tags_too),
		cmocka_unit_test(those_of_other_exporters_are_not),
		cmocka_unit_test(sessions_are_ours_both_ways_from_any_port),
		cmocka_unit_test(nothing_is_read_beyond_what_was_captured),
		cmocka_unit_test(there_is_room_for_every_collector_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
