#include "doctor_checks.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

// The most that drivers take natively with an XDP program: a page, less headroom and the
// skb_shared_info that the kernel keeps at its end.
#define AF_XDP_MAX_MTU 3498

// An interface's state, and whether it can be opened.
static bool check_link(
	const struct doctor_port *port,
	const struct doctor_interface *interface,
	struct doctor_report *report
) {
	if (!interface->exists) {
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_NO,
				"interface",
				port->text,
				"there is no interface '%s' in this network namespace",
				port->name
			),
			"ip -brief link   # shows those that there are"
		);
		return false;
	}
	if (!(interface->flags & IFF_UP))
		doctor_mend(
			doctor_add(report, DOCTOR_NO, "link", port->text, "the interface is down"),
			"ip link set dev %s up",
			interface->name
		);
	else if (!(interface->flags & IFF_RUNNING))
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_HINT,
				"link",
				port->text,
				"up, but without a carrier: nothing arrives until the other end is "
				"up"
			),
			"ethtool %s   # and look at the cable or the mirror's configuration",
			interface->name
		);
	else
		doctor_add(report, DOCTOR_OK, "link", port->text, "up, with a carrier");
	return true;
}

static void check_mtu(
	const struct doctor_port *port,
	const struct doctor_interface *interface,
	struct doctor_report *report
) {
	bool too_long = interface->mtu > AF_XDP_MAX_MTU;

	if (too_long && port->kind == DOCTOR_AF_XDP && !(interface->flags & IFF_LOOPBACK))
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_NO,
				"mtu",
				port->text,
				"%u, and af_xdp takes no more than %u",
				interface->mtu,
				AF_XDP_MAX_MTU
			),
			"ip link set dev %s mtu %u   # or: weir run --port af_packet:%s",
			interface->name,
			AF_XDP_MAX_MTU,
			interface->name
		);
	else
		doctor_add(report, DOCTOR_OK, "mtu", port->text, "%u octets", interface->mtu);
}

static void check_promiscuous(
	const struct doctor_machine *machine,
	const struct doctor_port *port,
	const struct doctor_interface *interface,
	struct doctor_report *report
) {
	if (interface->flags & IFF_PROMISC)
		doctor_add(report, DOCTOR_OK, "promiscuous", port->text, "is on already");
	else if (interface->flags & IFF_LOOPBACK)
		doctor_add(report, DOCTOR_OK, "promiscuous", port->text, "not needed on loopback");
	else if (machine->capabilities >> CAP_NET_ADMIN & 1)
		doctor_add(report, DOCTOR_OK, "promiscuous", port->text, "can be switched on");
	else
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_NO,
				"promiscuous",
				port->text,
				"is off and cannot be switched on without cap_net_admin"
			),
			"sudo ip link set dev %s promisc on",
			interface->name
		);
}

static void check_queues(
	const struct doctor_port *port,
	const struct doctor_interface *interface,
	struct doctor_report *report
) {
	doctor_add(
		report,
		DOCTOR_OK,
		"queues",
		port->text,
		interface->max_queues > 0 ? "%u for reception, of %u" : "%u for reception",
		interface->n_queues,
		interface->max_queues
	);
	if (interface->ring_slots > 0 && interface->ring_slots < interface->max_ring_slots)
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_HINT,
				"ring",
				port->text,
				"%u slots for reception: a longer ring holds longer bursts",
				interface->ring_slots
			),
			"ethtool -G %s rx %u",
			interface->name,
			interface->max_ring_slots
		);
}

// What the kernel or the device merges before weir sees it. The octets stay right or nearly so,
// the packets do not.
static void check_offloads(
	const struct doctor_port *port,
	const struct doctor_interface *interface,
	struct doctor_report *report
) {
	const struct {
		const char *feature; // as ethtool -K takes it
		enum doctor_switch is;
	} merging[] = {
		{"gro", interface->gro},
		{"lro", interface->lro},
		{"rx-gro-hw", interface->gro_hardware},
	};
	char on[64] = "", off[96] = "";

	for (size_t i = 0; i < sizeof(merging) / sizeof(merging[0]); i++)
		if (merging[i].is == SWITCH_ON) {
			size_t used = strlen(on);
			snprintf(
				on + used,
				sizeof(on) - used,
				"%s%s",
				used > 0 ? ", " : "",
				merging[i].feature
			);
			used = strlen(off);
			snprintf(off + used, sizeof(off) - used, " %s off", merging[i].feature);
		}
	if (on[0] != '\0')
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_HINT,
				"offloads",
				port->text,
				"%s on: segments are merged before weir counts them as packets",
				on
			),
			"ethtool -K %s%s",
			interface->name,
			off
		);
	else if (interface->gro == SWITCH_UNKNOWN && interface->lro == SWITCH_UNKNOWN)
		doctor_add(
			report, DOCTOR_OK, "offloads", port->text, "the interface tells of none"
		);
	else
		doctor_add(
			report,
			DOCTOR_OK,
			"offloads",
			port->text,
			"gro and lro are off: packets as sent"
		);

	// On a wire, segments are cut before they leave; here they arrive as the sender's stack
	// made them, up to 64 KiB each.
	if (interface->is_veth)
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_HINT,
				"offloads",
				port->text,
				"a veth brings its peer's tso and gso segments uncut"
			),
			"ethtool -K PEER tso off gso off   # where the peer of %s is",
			interface->name
		);
}

static void check_others(
	const struct doctor_port *port,
	const struct doctor_interface *interface,
	struct doctor_report *report
) {
	if (interface->has_xdp_program)
		doctor_mend(
			doctor_add(
				report,
				port->kind == DOCTOR_AF_XDP ? DOCTOR_NO : DOCTOR_HINT,
				"use",
				port->text,
				"another program has its XDP program there%s",
				port->kind == DOCTOR_AF_XDP ? ", and there is room for one"
							    : ", which may take packets away"
			),
			"ip link set dev %s xdp off   # after stopping that program",
			interface->name
		);
	else if (interface->n_packet_sockets > 0)
		doctor_add(
			report,
			DOCTOR_OK,
			"use",
			port->text,
			"%u packet socket%s of others; each gets its own copy of every packet",
			interface->n_packet_sockets,
			interface->n_packet_sockets == 1 ? "" : "s"
		);
	else
		doctor_add(report, DOCTOR_OK, "use", port->text, "nobody else reads there");
}

static void check_numa(
	const struct doctor_machine *machine,
	const char *text,
	int node,
	struct doctor_report *report
) {
	uint64_t on_node = 0, elsewhere = 0;

	if (node < 0 || machine->n_nodes < 2)
		return;
	for (unsigned i = 0; i < machine->n_hugepages; i++)
		*((int)machine->hugepages[i].node == node ? &on_node : &elsewhere) +=
			machine->hugepages[i].free;
	if (on_node == 0 && elsewhere > 0)
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_HINT,
				"numa",
				text,
				"it is on node %d, where no hugepage is free",
				node
			),
			"echo 512 > "
			"/sys/devices/system/node/node%d/hugepages/hugepages-%llukB/nr_hugepages",
			node,
			(unsigned long long)machine->default_page_bytes / 1024
		);
	else
		doctor_add(report, DOCTOR_OK, "numa", text, "node %d", node);
}

// Which ways there are to read the interface, where weir was left the choice.
static void check_choice(
	const struct doctor_machine *machine,
	const struct doctor_port *port,
	const struct doctor_interface *interface,
	struct doctor_report *report
) {
	bool af_xdp = machine->af_xdp_error == 0 && !interface->has_xdp_program
		      && interface->mtu <= AF_XDP_MAX_MTU && !(interface->flags & IFF_LOOPBACK);

	doctor_add(
		report,
		DOCTOR_OK,
		"driver",
		port->text,
		"%s%s",
		interface->kernel_driver,
		af_xdp ? " through af_packet or af_xdp" : " through af_packet"
	);
	if (interface->pci[0] == '\0')
		return;
	if (interface->has_addresses)
		doctor_add(
			report,
			DOCTOR_HINT,
			"line rate",
			port->text,
			"%s has addresses, so this machine uses it: it cannot be a bound port",
			interface->pci
		);
	else
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_HINT,
				"line rate",
				port->text,
				"takes %s from the kernel, for weir alone",
				interface->pci
			),
			"dpdk-devbind.py --bind=vfio-pci %s && weir run --port %s ...",
			interface->pci,
			interface->pci
		);
}

void doctor_check_interface(
	const struct doctor_machine *machine,
	const struct doctor_port *port,
	const struct doctor_interface *interface,
	struct doctor_report *report
) {
	if (!check_link(port, interface, report))
		return;
	check_promiscuous(machine, port, interface, report);
	check_mtu(port, interface, report);
	check_queues(port, interface, report);
	check_offloads(port, interface, report);
	check_others(port, interface, report);
	check_numa(machine, port->text, interface->numa_node, report);
	if (port->kind == DOCTOR_INTERFACE)
		check_choice(machine, port, interface, report);
}

static void check_group(
	const struct doctor_port *port, const struct doctor_pci *pci, struct doctor_report *report
) {
	struct doctor_line *line;

	if (pci->n_held > 0) {
		line = doctor_add(
			report,
			DOCTOR_NO,
			"iommu",
			port->text,
			"group %d is shared with %s%s, which a kernel driver holds",
			pci->iommu_group,
			pci->held[0],
			pci->n_held > 1 ? " and others" : ""
		);
		doctor_mend(line, "dpdk-devbind.py --bind=vfio-pci %s", pci->held[0]);
		return;
	}
	switch (pci->vfio_error) {
	case 0:
		doctor_add(
			report,
			DOCTOR_OK,
			"iommu",
			port->text,
			"group %d is its own and free",
			pci->iommu_group
		);
		break;
	case EBUSY:
		line = doctor_add(
			report,
			DOCTOR_NO,
			"use",
			port->text,
			"another program has the device (IOMMU group %d)",
			pci->iommu_group
		);
		doctor_mend(line, "fuser -v /dev/vfio/%d   # names it", pci->iommu_group);
		break;
	default:
		line = doctor_add(
			report,
			DOCTOR_NO,
			"iommu",
			port->text,
			"/dev/vfio/%d cannot be opened: %s",
			pci->iommu_group,
			strerror(pci->vfio_error)
		);
		doctor_mend(line, "sudo chown $(id -u) /dev/vfio/%d", pci->iommu_group);
	}
}

static void check_binding(
	const struct doctor_port *port, const struct doctor_pci *pci, struct doctor_report *report
) {
	struct doctor_line *line;

	const char *driver = pci->kernel_driver;
	bool uio = strcmp(driver, "igb_uio") == 0 || strcmp(driver, "uio_pci_generic") == 0;

	if (strcmp(driver, "vfio-pci") == 0) {
		doctor_add(report, DOCTOR_OK, "binding", port->text, "vfio-pci holds it");
		check_group(port, pci, report);
		return;
	}
	if (uio) {
		doctor_add(report, DOCTOR_OK, "binding", port->text, "%s holds it", driver);
		return;
	}
	if (pci->bifurcated && driver[0] != '\0') {
		doctor_add(
			report,
			DOCTOR_OK,
			"binding",
			port->text,
			"%s stays, and libdpdk works beside it",
			driver
		);
		return;
	}
	line = doctor_add(
		report,
		DOCTOR_NO,
		"binding",
		port->text,
		"%s holds it%s%s%s",
		driver[0] != '\0' ? driver : "no driver",
		pci->interface[0] != '\0' ? " as interface " : "",
		pci->interface,
		pci->in_use ? ", whose addresses this machine uses" : ""
	);
	// Binding it would cut off whoever is logged in over it.
	if (pci->in_use)
		doctor_mend(line, "weir run --port %s ...", pci->interface);
	else
		doctor_mend(line, "dpdk-devbind.py --bind=vfio-pci %s", pci->address);
}

void doctor_check_pci(
	const struct doctor_machine *machine,
	const struct doctor_port *port,
	const struct doctor_pci *pci,
	struct doctor_report *report
) {
	struct doctor_line *line;

	if (!pci->exists) {
		line = doctor_add(
			report, DOCTOR_NO, "device", port->text, "there is no such PCI device"
		);
		doctor_mend(
			line, "dpdk-devbind.py --status-dev net   # shows those that there are"
		);
		return;
	}
	if (pci->class >> 16 != 2) {
		line = doctor_add(
			report,
			DOCTOR_NO,
			"device",
			port->text,
			"is no network device (class 0x%06x)",
			pci->class
		);
		doctor_mend(
			line, "dpdk-devbind.py --status-dev net   # shows those that there are"
		);
		return;
	}
	if (pci->dpdk_driver[0] != '\0') {
		doctor_add(
			report,
			DOCTOR_OK,
			"device",
			port->text,
			"%04x:%04x, driver %s",
			pci->vendor,
			pci->device,
			pci->dpdk_driver
		);
	} else if (machine->drivers_path[0] != '\0') {
		line = doctor_add(
			report,
			DOCTOR_NO,
			"device",
			port->text,
			"no driver in %s knows %04x:%04x",
			machine->drivers_path,
			pci->vendor,
			pci->device
		);
		if (pci->interface[0] != '\0')
			doctor_mend(line, "weir run --port %s ...", pci->interface);
		else
			doctor_mend(line, "apt-get install libdpdk-dev   # if some are missing");
	}
	doctor_check_vfio(machine, !pci->bifurcated, report);
	check_binding(port, pci, report);
	check_numa(machine, port->text, pci->numa_node, report);
}
