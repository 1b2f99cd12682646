// Port spec: what a user writes for a port, taken apart.
//
//   0000:03:00.0, 03:00.0     a PCI device that is bound to a driver of DPDK
//   af_packet:eth1            a network interface of the kernel, through a packet socket
//   af_xdp:eth1               the same through DPDK's AF_XDP driver
//   eth1                      the same, weir chooses
//   vdev:net_pcap0,rx_pcap=F  any virtual device of DPDK with its arguments
//
// Threads and time: pure.

#pragma once

enum {
	PORT_SPEC_BYTES = 256,
	PORT_ERROR_BYTES = 512,
};

enum port_driver {
	PORT_CHOOSE, // the interface is known, the driver is weir's choice
	PORT_AF_PACKET,
	PORT_AF_XDP,
	PORT_PCI,
	PORT_VDEV,
};

struct port_spec {
	enum port_driver driver;
	char name[PORT_SPEC_BYTES];      // as written
	char device[PORT_SPEC_BYTES];    // interface, PCI address or virtual device
	char arguments[PORT_SPEC_BYTES]; // of a virtual device, "" = none
};

// Returns 0, or -EINVAL with one line in `error` (PORT_ERROR_BYTES) that says what would do.
// Whether there is such a device is not looked at.
[[nodiscard]] int port_spec_parse(struct port_spec *spec, const char *text, char *error);
