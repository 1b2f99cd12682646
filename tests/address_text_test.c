// Address text: inet_ntop() is the judge.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "address_text.h"
#include "random.h"

static void check(int family, const uint8_t *address) {
	char wanted[INET6_ADDRSTRLEN], text[ADDRESS_TEXT_BYTES];
	assert_non_null(inet_ntop(family, address, wanted, sizeof(wanted)));
	unsigned n = family == AF_INET ? address_text_ipv4(address, text)
				       : address_text_ipv6(address, text);
	assert_true(n < sizeof(text));
	text[n] = 0;
	assert_string_equal(text, wanted);
}

static void every_octet_of_ipv4(void **state) {
	(void)state;
	for (unsigned i = 0; i < 256; i++)
		check(AF_INET, (uint8_t[]){(uint8_t)i, (uint8_t)(255 - i), 0, (uint8_t)i});
}

static void every_pattern_of_zero_groups(void **state) {
	(void)state;
	static const uint8_t groups[][2] = {{0, 1}, {0, 0x23}, {4, 0x56}, {0x78, 0x9a}};
	for (unsigned mask = 0; mask < 256; mask++)
		for (unsigned shift = 0; shift < 4; shift++) {
			uint8_t address[16] = {0};
			for (unsigned i = 0; i < 8; i++)
				if ((mask >> i & 1) != 0)
					memcpy(address + 2 * i, groups[(i + shift) % 4], 2);
			check(AF_INET6, address);
		}
}

static void addresses_that_hold_one_of_ipv4(void **state) {
	(void)state;
	static const char *const texts[] = {
		"::ffff:192.0.2.1",
		"::ffff:0.0.0.0",
		"::ffff:0.1.0.0",
		"::192.0.2.1",
		"::1",
		"::",
		"::fffe:1.2.3.4",
		"::ffff:0:1.2.3.4",
		"64:ff9b::192.0.2.1",
		"::1:0",
		"::1:2:3",
		"fe80::",
		"2001:db8::1:0:0:1",
		"2001:0:0:1::1",
		"1:2:3:4:5:6:7:8",
		"1::8",
		"0:1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:0",
		"1:0:3:4:5:6:7:8",
		"::2:3:4:5:6:7:8",
		"1:2:3:4:5:6::",
	};
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint8_t address[16];
		assert_int_equal(inet_pton(AF_INET6, texts[i], address), 1);
		check(AF_INET6, address);
	}
}

static void any_address(void **state) {
	(void)state;
	struct random random = {1};
	for (unsigned i = 0; i < TEST_ROUNDS(200000); i++) {
		uint8_t address[16];
		random_fill(&random, address, 16);
		uint64_t zero = random64(&random); // half of the octets
		for (unsigned j = 0; j < 16; j++)
			if ((zero >> (j + 20) & 1) != 0)
				address[j] = 0;
		check(AF_INET6, address);
		check(AF_INET, address);
	}
}

static void macs_are_six_pairs(void **state) {
	(void)state;
	char text[ADDRESS_TEXT_BYTES];
	assert_int_equal(address_text_mac((const uint8_t *)"\x02\x00\xab\xcd\xef\x9f", text), 17);
	assert_memory_equal(text, "02:00:ab:cd:ef:9f", 17);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_octet_of_ipv4),
		cmocka_unit_test(every_pattern_of_zero_groups),
		cmocka_unit_test(addresses_that_hold_one_of_ipv4),
		cmocka_unit_test(any_address),
		cmocka_unit_test(macs_are_six_pairs),
	};
	return cmocka_run_group_tests_name("address_text", tests, NULL, NULL);
}
