// What users write for a port.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "port_spec.h"

static void assert_spec(const char *text, enum port_driver driver, const char *device) {
	struct port_spec spec;
	char error[PORT_ERROR_BYTES];

	assert_int_equal(port_spec_parse(&spec, text, error), 0);
	assert_int_equal(spec.driver, driver);
	assert_string_equal(spec.name, text);
	assert_string_equal(spec.device, device);
}

static void assert_mistake(const char *text, const char *says) {
	struct port_spec spec;
	char error[PORT_ERROR_BYTES];

	assert_int_equal(port_spec_parse(&spec, text, error), -EINVAL);
	assert_non_null(strstr(error, says));
}

static void interfaces_may_name_their_driver(void **state) {
	(void)state;
	assert_spec("eth1", PORT_CHOOSE, "eth1");
	assert_spec("af_packet:eth1", PORT_AF_PACKET, "eth1");
	assert_spec("af_xdp:enp3s0f0np0", PORT_AF_XDP, "enp3s0f0np0");
	assert_spec("eth0.100", PORT_CHOOSE, "eth0.100");
	// No PCI address, however much it looks like one.
	assert_spec("af_packet:03", PORT_AF_PACKET, "03");
}

static void pci_addresses_are_completed(void **state) {
	(void)state;
	assert_spec("0000:03:00.0", PORT_PCI, "0000:03:00.0");
	assert_spec("03:00.1", PORT_PCI, "0000:03:00.1");
	assert_spec("10000:e1:00.7", PORT_PCI, "10000:e1:00.7");
	assert_mistake("0000:03:00.8", "driver not known");
	assert_mistake("03:00", "driver not known");
	assert_mistake("3:00.0", "driver not known");
}

static void virtual_devices_keep_their_arguments(void **state) {
	struct port_spec spec;
	char error[PORT_ERROR_BYTES];
	(void)state;

	assert_spec("vdev:net_ring0", PORT_VDEV, "net_ring0");
	assert_int_equal(
		port_spec_parse(&spec, "vdev:net_pcap0,rx_pcap=/a:b,infinite_rx=1", error), 0
	);
	assert_string_equal(spec.device, "net_pcap0");
	assert_string_equal(spec.arguments, "rx_pcap=/a:b,infinite_rx=1");
	assert_mistake("vdev:", "begins with its driver");
	assert_mistake("vdev:crypto_null0", "begins with its driver");
}

static void what_cannot_be_a_port_is_refused_with_what_would_do(void **state) {
	char longest[PORT_SPEC_BYTES + 1];
	(void)state;

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_mistake("", "no name of an interface");
	assert_mistake("..", "no name of an interface");
	assert_mistake("a/b", "no name of an interface");
	assert_mistake("name of an if", "no name of an interface");
	assert_mistake("sixteen_octets_x", "no name of an interface");
	assert_mistake("af_packet:", "no name of an interface");
	assert_mistake("dpdk:eth1", "driver not known");
	assert_mistake(longest, "too long");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interfaces_may_name_their_driver),
		cmocka_unit_test(pci_addresses_are_completed),
		cmocka_unit_test(virtual_devices_keep_their_arguments),
		cmocka_unit_test(what_cannot_be_a_port_is_refused_with_what_would_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
