// From a wish to the whole report: reads the facts that it needs and runs the checks.

#include "doctor_checks.h"

#include <errno.h>
#include <string.h>

// Facts, and what they are for.
struct examination {
	const char *root;
	struct doctor_machine machine;
	struct doctor_report *report;
};

static void examine_interface(struct examination *examination, const struct doctor_port *port) {
	struct doctor_interface interface;

	doctor_interface_read(examination->root, port->name, &interface);
	if (examination->root[0] == '\0')
		doctor_interface_probe(&interface);
	doctor_check_interface(&examination->machine, port, &interface, examination->report);
}

static void examine_pci(struct examination *examination, const struct doctor_port *port) {
	struct doctor_pci pci;

	doctor_pci_read(examination->root, &examination->machine, port->name, &pci);
	if (examination->root[0] == '\0')
		doctor_pci_probe(&pci);
	doctor_check_pci(&examination->machine, port, &pci, examination->report);
}

// "librte_net_af_xdp.so" is in Debian's package "librte-net-af-xdp23".
static void package_of(const char *file, unsigned abi, char package[DOCTOR_NAME_BYTES]) {
	snprintf(package, DOCTOR_NAME_BYTES, "%.*s", (int)strcspn(file, "."), file);
	for (char *at = package; *at != '\0'; at++)
		if (*at == '_')
			*at = '-';
	size_t used = strlen(package);
	snprintf(package + used, DOCTOR_NAME_BYTES - used, "%u", abi);
}

// The driver of a device that libdpdk makes, not the machine.
static void examine_driver(
	struct examination *examination, const struct doctor_port *port, const char *device
) {
	const struct doctor_machine *machine = &examination->machine;
	char file[DOCTOR_NAME_BYTES], package[DOCTOR_NAME_BYTES];

	if (machine->drivers_path[0] == '\0')
		return;
	if (doctor_has_driver(examination->root, machine, device, file)) {
		doctor_add(examination->report, DOCTOR_OK, "driver", port->text, "%s", file);
		return;
	}
	struct doctor_line *line = doctor_add(
		examination->report,
		DOCTOR_NO,
		"driver",
		port->text,
		"libdpdk has no driver '%.*s' (no %s in %s)",
		(int)strcspn(device, ",0123456789"),
		device,
		file,
		machine->drivers_path
	);
	// Debian has the drivers of others, but none of an unknown name.
	static const char *const debian[] = {
		"af_packet", "af_xdp", "memif", "null", "pcap", "ring", "tap", "vhost", "virtio"};
	for (size_t i = 0; i < sizeof(debian) / sizeof(debian[0]); i++)
		if (strncmp(file + strlen("librte_net_"), debian[i], strlen(debian[i])) == 0) {
			package_of(file, machine->drivers_abi, package);
			doctor_mend(line, "apt-get install %s", package);
			return;
		}
	doctor_mend(
		line,
		"ls %s | grep librte_net   # shows those that there are",
		machine->drivers_path
	);
}

static void examine_port(struct examination *examination, const struct doctor_port *port) {
	switch (port->kind) {
	case DOCTOR_AF_PACKET:
	case DOCTOR_INTERFACE:
		// weir has packet sockets of its own; DPDK's driver is in use where it is named.
		if (strncmp(port->text, "vdev:", 5) == 0)
			examine_driver(examination, port, "net_af_packet");
		examine_interface(examination, port);
		break;
	case DOCTOR_AF_XDP:
		examine_driver(examination, port, "net_af_xdp");
		examine_interface(examination, port);
		break;
	case DOCTOR_PCI:
		examine_pci(examination, port);
		break;
	case DOCTOR_VDEV:
		examine_driver(examination, port, port->name);
		break;
	}
}

// One line for an interface that could be a port.
static void offer_interface(const char *name, void *arg) {
	struct examination *examination = arg;
	struct doctor_interface interface;

	doctor_interface_read(examination->root, name, &interface);
	if (examination->root[0] == '\0')
		doctor_interface_probe(&interface);
	if (!interface.exists || strcmp(name, "lo") == 0)
		return;
	doctor_mend(
		doctor_add(
			examination->report,
			DOCTOR_HINT,
			"port",
			name,
			"%s%s, MTU %u, %u queue%s%s%s%s",
			interface.flags & IFF_UP ? "up" : "down",
			interface.flags & IFF_UP && !(interface.flags & IFF_RUNNING)
				? " without a carrier"
				: "",
			interface.mtu,
			interface.n_queues,
			interface.n_queues == 1 ? "" : "s",
			interface.kernel_driver[0] != '\0' ? ", " : "",
			interface.kernel_driver,
			interface.has_addresses ? ", in use by this machine" : ""
		),
		"%s%s%sweir run --port %s ...",
		interface.flags & IFF_UP ? "" : "ip link set dev ",
		interface.flags & IFF_UP ? "" : name,
		interface.flags & IFF_UP ? "" : " up && ",
		name
	);
}

static void offer_device(const char *name, void *arg) {
	struct examination *examination = arg;

	doctor_mend(
		doctor_add(examination->report, DOCTOR_HINT, "port", name, "bound to vfio-pci"),
		"weir run --port %s ...",
		name
	);
}

void doctor_examine(
	const char *root, const struct doctor_wish *wish, struct doctor_report *report
) {
	struct examination examination = {.root = root, .report = report};
	struct doctor_port ports[DOCTOR_MAX_PORTS];
	struct doctor_wish known = *wish;

	report->n_lines = 0;
	known.n_ports = 0;
	for (unsigned i = 0; i < wish->n_ports && i < DOCTOR_MAX_PORTS; i++) {
		if (doctor_port_parse(wish->ports[i], &ports[known.n_ports]) == 0) {
			known.n_ports++;
			continue;
		}
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_NO,
				"port",
				wish->ports[i],
				"is neither an interface, a PCI address nor a virtual device"
			),
			"weir doctor   # shows what can be a port"
		);
	}
	doctor_machine_read(root, &examination.machine);
	if (root[0] == '\0')
		doctor_machine_probe(&examination.machine);
	doctor_check_machine(&examination.machine, &known, ports, report);
	for (unsigned i = 0; i < known.n_ports; i++)
		examine_port(&examination, &ports[i]);
	if (wish->n_ports == 0) {
		doctor_interfaces(root, offer_interface, &examination);
		doctor_bound_devices(root, offer_device, &examination);
	}
}

bool doctor_possible(const struct doctor_report *report) {
	for (unsigned i = 0; i < report->n_lines; i++)
		if (report->lines[i].verdict == DOCTOR_NO)
			return false;
	return true;
}

static void
line_text(const struct doctor_line *line, const char *verdict, char *text, size_t size) {
	snprintf(
		text,
		size,
		"%s%s%s%s: %s%s%s",
		verdict,
		line->port,
		line->port[0] != '\0' ? ": " : "",
		line->check,
		line->text,
		line->remedy[0] != '\0' ? ": " : "",
		line->remedy
	);
}

void doctor_line_text(const struct doctor_line *line, char *text, size_t size) {
	static const char *const verdicts[] = {
		[DOCTOR_OK] = "ok  ",
		[DOCTOR_HINT] = "--  ",
		[DOCTOR_NO] = "NO  ",
	};

	line_text(line, verdicts[line->verdict], text, size);
}

bool doctor_explain(const struct doctor_wish *wish, char *text, size_t size) {
	static struct doctor_report report; // too large for a stack; a start fails once
	const struct doctor_line *found = NULL;

	doctor_examine("", wish, &report);
	for (unsigned i = 0; i < report.n_lines; i++) {
		const struct doctor_line *line = &report.lines[i];
		// A missing interface explains more than a missing right.
		if (line->verdict == DOCTOR_NO
		    && (found == NULL || (found->port[0] == '\0' && line->port[0] != '\0')))
			found = line;
	}
	if (found == NULL)
		return false;
	line_text(found, "", text, size);
	return true;
}
