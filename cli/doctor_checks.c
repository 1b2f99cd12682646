#include "doctor_checks.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BIT(capability) (UINT64_C(1) << (capability))

#define MIB (UINT64_C(1) << 20)

// What af_xdp and vfio lock of one port's memory, and then some.
#define LOCKED_BYTES (256 * MIB)

static const struct {
	unsigned number;
	const char *name;
} capability_names[] = {
	{CAP_NET_ADMIN, "cap_net_admin"},
	{CAP_NET_RAW, "cap_net_raw"},
	{CAP_IPC_LOCK, "cap_ipc_lock"},
	{CAP_SYS_RAWIO, "cap_sys_rawio"},
	{CAP_SYS_ADMIN, "cap_sys_admin"},
	{CAP_DAC_OVERRIDE, "cap_dac_override"},
	{CAP_BPF, "cap_bpf"},
};

static void capability_list(char *text, size_t size, uint64_t set) {
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(capability_names) / sizeof(capability_names[0]); i++)
		if (set & BIT(capability_names[i].number) && used < size)
			used += (size_t)snprintf(
				text + used,
				size - used,
				"%s%s",
				used > 0 ? "," : "",
				capability_names[i].name
			);
}

struct doctor_line *doctor_add(
	struct doctor_report *report,
	enum doctor_verdict verdict,
	const char *check,
	const char *port,
	const char *format,
	...
) {
	va_list args;

	// The last place is overwritten rather than one more written.
	if (report->n_lines == DOCTOR_MAX_LINES)
		report->n_lines--;
	struct doctor_line *line = &report->lines[report->n_lines++];
	*line = (struct doctor_line){.verdict = verdict, .check = check};
	if (port != NULL)
		snprintf(line->port, sizeof(line->port), "%s", port);
	va_start(args, format);
	vsnprintf(line->text, sizeof(line->text), format, args);
	va_end(args);
	return line;
}

void doctor_mend(struct doctor_line *line, const char *format, ...) {
	va_list args;

	va_start(args, format);
	vsnprintf(line->remedy, sizeof(line->remedy), format, args);
	va_end(args);
}

static bool is_pci_address(const char *text) {
	static const char pattern[] = "xxxx:xx:xx.x";

	for (size_t i = 0; i < sizeof(pattern) - 1; i++)
		if (pattern[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != pattern[i])
			return false;
	return text[sizeof(pattern) - 1] == '\0';
}

// Of "net_af_packet0,iface=eth1,qpairs=2" the interface, as a port of its own kind.
static void parse_vdev(const char *text, struct doctor_port *port) {
	static const struct {
		const char *driver;
		enum doctor_port_kind kind;
	} known[] = {{"net_af_packet", DOCTOR_AF_PACKET}, {"net_af_xdp", DOCTOR_AF_XDP}};
	const char *name = strstr(text, ",iface=");

	port->kind = DOCTOR_VDEV;
	snprintf(port->name, sizeof(port->name), "%s", text);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && name != NULL; i++)
		if (strncmp(text, known[i].driver, strlen(known[i].driver)) == 0) {
			name += strlen(",iface=");
			port->kind = known[i].kind;
			snprintf(
				port->name,
				sizeof(port->name),
				"%.*s",
				(int)strcspn(name, ","),
				name
			);
			return;
		}
}

int doctor_port_parse(const char *text, struct doctor_port *port) {
	*port = (struct doctor_port){.text = text};
	if (strlen(text) >= sizeof(port->name))
		return -EINVAL;
	if (is_pci_address(text)) {
		port->kind = DOCTOR_PCI;
		snprintf(port->name, sizeof(port->name), "%s", text);
	} else if (strncmp(text, "vdev:", 5) == 0) {
		parse_vdev(text + 5, port);
	} else {
		port->kind = DOCTOR_INTERFACE;
		if (strncmp(text, "af_packet:", 10) == 0)
			port->kind = DOCTOR_AF_PACKET;
		else if (strncmp(text, "af_xdp:", 7) == 0)
			port->kind = DOCTOR_AF_XDP;
		const char *name = port->kind == DOCTOR_INTERFACE ? text : strchr(text, ':') + 1;
		snprintf(port->name, sizeof(port->name), "%s", name);
	}
	// What is left of a port that was cut short, or that can be neither name nor address.
	if (port->name[0] == '\0' || strpbrk(port->name, " \t\n") != NULL)
		return -EINVAL;
	return 0;
}

uint64_t doctor_needed_capabilities(
	const struct doctor_machine *machine, const struct doctor_port *ports, unsigned n_ports
) {
	uint64_t set = n_ports == 0 ? BIT(CAP_NET_RAW) | BIT(CAP_NET_ADMIN) : 0;

	for (unsigned i = 0; i < n_ports; i++)
		switch (ports[i].kind) {
		case DOCTOR_AF_XDP:
			// Loading the program, finding its map by its number, and libxdp's locks
			// in /run/xdp.
			set |= BIT(CAP_BPF) | BIT(CAP_SYS_ADMIN) | BIT(CAP_DAC_OVERRIDE);
			set |= BIT(CAP_IPC_LOCK);
			[[fallthrough]];
		case DOCTOR_INTERFACE:
		case DOCTOR_AF_PACKET:
			// The socket, and promiscuous mode.
			set |= BIT(CAP_NET_RAW) | BIT(CAP_NET_ADMIN);
			break;
		case DOCTOR_PCI:
			set |= BIT(CAP_IPC_LOCK);
			if (machine->vfio_no_iommu)
				set |= BIT(CAP_SYS_RAWIO) | BIT(CAP_SYS_ADMIN);
			break;
		case DOCTOR_VDEV:
			break;
		}
	return set;
}

static void check_privileges(
	const struct doctor_machine *machine,
	const struct doctor_port *ports,
	unsigned n_ports,
	struct doctor_report *report
) {
	uint64_t needed = doctor_needed_capabilities(machine, ports, n_ports);
	uint64_t missing = needed & ~machine->capabilities;
	char list[160], missing_list[160];

	// Kernels before 5.8 have no CAP_BPF, and CAP_SYS_ADMIN covers it in any.
	if (machine->capabilities & BIT(CAP_SYS_ADMIN))
		missing &= ~BIT(CAP_BPF);
	capability_list(list, sizeof(list), needed);
	capability_list(missing_list, sizeof(missing_list), missing);
	if (needed == 0)
		doctor_add(report, DOCTOR_OK, "privileges", NULL, "these ports need none");
	else if (missing == 0)
		doctor_add(
			report,
			DOCTOR_OK,
			"privileges",
			NULL,
			"%s%s",
			machine->root ? "root, with " : "",
			list
		);
	else
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_NO,
				"privileges",
				NULL,
				"%s without %s",
				machine->root ? "root, but" : "neither root nor a program",
				missing_list
			),
			machine->root ? "docker run --privileged ...   # or the like of what "
					"confines this root (%s)"
				      : "sudo setcap %s=ep %s",
			list,
			machine->program
		);
}

static void check_hugepages(
	const struct doctor_machine *machine,
	const struct doctor_wish *wish,
	bool required,
	struct doctor_report *report
) {
	enum doctor_verdict lacking = required ? DOCTOR_NO : DOCTOR_HINT;
	const char *without = required ? "" : "; weir runs without, slower";
	uint64_t total_bytes = 0, free_bytes = 0, page_bytes = machine->default_page_bytes;
	uint64_t default_total = 0, default_free = 0;
	struct doctor_line *line;

	for (unsigned i = 0; i < machine->n_hugepages; i++) {
		const struct doctor_hugepages *pages = &machine->hugepages[i];
		total_bytes += pages->total * pages->page_bytes;
		free_bytes += pages->free * pages->page_bytes;
		if (pages->page_bytes == page_bytes) {
			default_total += pages->total;
			default_free += pages->free;
		}
	}
	if (page_bytes == 0) {
		line = doctor_add(
			report,
			lacking,
			"hugepages",
			NULL,
			"this kernel has none (CONFIG_HUGETLBFS)%s",
			without
		);
		if (required)
			doctor_mend(line, "apt-get install linux-image-amd64 && reboot");
		return;
	}
	if (free_bytes >= wish->memory_bytes && free_bytes > 0) {
		doctor_add(
			report,
			DOCTOR_OK,
			"hugepages",
			NULL,
			"%" PRIu64 " of %" PRIu64 " MiB free",
			free_bytes / MIB,
			total_bytes / MIB
		);
		return;
	}
	if (total_bytes == 0)
		line = doctor_add(
			report,
			lacking,
			"hugepages",
			NULL,
			"none are set aside, %" PRIu64 " MiB are needed%s",
			wish->memory_bytes / MIB,
			without
		);
	else
		line = doctor_add(
			report,
			lacking,
			"hugepages",
			NULL,
			"exhausted: %" PRIu64 " of %" PRIu64 " MiB free, %" PRIu64
			" MiB are needed%s",
			free_bytes / MIB,
			total_bytes / MIB,
			wish->memory_bytes / MIB,
			without
		);
	uint64_t missing = wish->memory_bytes - (free_bytes - default_free * page_bytes);
	uint64_t needed = default_total - default_free + (missing + page_bytes - 1) / page_bytes;
	doctor_mend(line, "sysctl vm.nr_hugepages=%" PRIu64, needed);
}

static void
check_memlock(const struct doctor_machine *machine, bool locks, struct doctor_report *report) {
	if (machine->capabilities & BIT(CAP_IPC_LOCK))
		doctor_add(report, DOCTOR_OK, "memlock", NULL, "cap_ipc_lock: no limit applies");
	else if (machine->memlock_bytes == UINT64_MAX)
		doctor_add(report, DOCTOR_OK, "memlock", NULL, "unlimited");
	else if (machine->memlock_bytes >= LOCKED_BYTES)
		doctor_add(
			report,
			DOCTOR_OK,
			"memlock",
			NULL,
			"%" PRIu64 " MiB",
			machine->memlock_bytes / MIB
		);
	else
		doctor_mend(
			doctor_add(
				report,
				locks ? DOCTOR_NO : DOCTOR_HINT,
				"memlock",
				NULL,
				"at most %" PRIu64 " KiB may be locked, %" PRIu64
				" MiB are needed by af_xdp and PCI ports",
				machine->memlock_bytes / 1024,
				LOCKED_BYTES / MIB
			),
			"sudo prlimit --memlock=unlimited --pid $$   # systemd: "
			"LimitMEMLOCK=infinity"
		);
}

static void check_memory(
	const struct doctor_machine *machine,
	const struct doctor_wish *wish,
	struct doctor_report *report
) {
	uint64_t available = machine->available_bytes, needed = wish->memory_bytes / MIB;
	uint64_t free_bytes = 0;

	// It comes from hugepages where those suffice, and they do not count as available.
	for (unsigned i = 0; i < machine->n_hugepages; i++)
		free_bytes += machine->hugepages[i].free * machine->hugepages[i].page_bytes;
	if (free_bytes > available)
		available = free_bytes;
	available /= MIB;
	if (available >= needed)
		doctor_add(
			report,
			DOCTOR_OK,
			"memory",
			NULL,
			"%" PRIu64 " MiB available, %" PRIu64 " MiB needed",
			available,
			needed
		);
	else
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_NO,
				"memory",
				NULL,
				"%" PRIu64 " MiB available, %" PRIu64 " MiB needed",
				available,
				needed
			),
			"weir run --cache-memory %" PRIu64 "MiB ...",
			available > 192 ? (available - 128) / 2 : 32
		);
}

// "0-3,5" of a set.
static void cpu_text(char *text, size_t size, const cpu_set_t *set) {
	size_t used = 0;

	text[0] = '\0';
	for (int first = 0; first < CPU_SETSIZE && used < size; first++) {
		int last = first;
		if (!CPU_ISSET(first, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		used += (size_t)snprintf(
			text + used,
			size - used,
			last > first ? "%s%d-%d" : "%s%d",
			used > 0 ? "," : "",
			first,
			last
		);
		first = last;
	}
}

static void check_cores(
	const struct doctor_machine *machine,
	const struct doctor_wish *wish,
	struct doctor_report *report
) {
	cpu_set_t usable, wanted;
	char online[128], allowed[128];

	CPU_AND(&usable, &machine->online, &machine->allowed);
	cpu_text(online, sizeof(online), &machine->online);
	cpu_text(allowed, sizeof(allowed), &usable);
	if (wish->cores != NULL) {
		if (doctor_cpu_list(wish->cores, &wanted) < 0 || CPU_COUNT(&wanted) == 0) {
			doctor_mend(
				doctor_add(
					report,
					DOCTOR_NO,
					"cores",
					NULL,
					"'%s' is no list of cores",
					wish->cores
				),
				"weir run --cores %s ...",
				allowed
			);
			return;
		}
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (!CPU_ISSET(cpu, &wanted) || CPU_ISSET(cpu, &usable))
				continue;
			bool is_online = CPU_ISSET(cpu, &machine->online);
			doctor_mend(
				doctor_add(
					report,
					DOCTOR_NO,
					"cores",
					NULL,
					is_online ? "core %d is not given to this process, cores "
						    "%s are"
						  : "core %d does not exist or is offline, cores "
						    "%s are there",
					cpu,
					is_online ? allowed : online
				),
				"weir run --cores %s ...",
				allowed
			);
			return;
		}
	}

	unsigned n = (unsigned)CPU_COUNT(&usable);
	if (n == 1)
		doctor_add(
			report,
			DOCTOR_HINT,
			"cores",
			NULL,
			"one alone (%s): workers and exporter share it; --idle=adaptive lets them",
			allowed
		);
	else
		doctor_add(
			report,
			DOCTOR_OK,
			"cores",
			NULL,
			"%u may be used: %s; %u NUMA node%s",
			n,
			allowed,
			machine->n_nodes,
			machine->n_nodes == 1 ? "" : "s"
		);
	if (CPU_COUNT(&machine->isolated) > 0) {
		cpu_text(allowed, sizeof(allowed), &machine->isolated);
		doctor_add(report, DOCTOR_OK, "isolation", NULL, "isolated: %s", allowed);
	} else if (n > 1) {
		// All but the first, which the rest of the machine keeps.
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &usable)) {
				CPU_CLR(cpu, &usable);
				break;
			}
		cpu_text(allowed, sizeof(allowed), &usable);
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_HINT,
				"isolation",
				NULL,
				"no core is kept free of other work, which line rate profits from"
			),
			"add isolcpus=%s to GRUB_CMDLINE_LINUX in /etc/default/grub; "
			"update-grub; reboot",
			allowed
		);
	}
}

static void check_clock(const struct doctor_machine *machine, struct doctor_report *report) {
	if (!machine->invariant_tsc)
		doctor_add(
			report,
			DOCTOR_HINT,
			"clock",
			NULL,
			"the TSC is not told to be invariant: times lean on re-disciplining (%s)",
			machine->clock_source
		);
	else if (strcmp(machine->clock_source, "tsc") != 0)
		doctor_add(
			report,
			DOCTOR_HINT,
			"clock",
			NULL,
			"invariant TSC; the kernel reads %s, with which weir disciplines it",
			machine->clock_source
		);
	else
		doctor_add(report, DOCTOR_OK, "clock", NULL, "invariant TSC, also the kernel's");
}

static void check_drivers(
	const struct doctor_machine *machine,
	bool kinds[static DOCTOR_VDEV + 1],
	struct doctor_report *report
) {
	struct doctor_line *line;

	// Where they are linked in, or stand elsewhere, nothing can be said.
	if (machine->drivers_path[0] == '\0')
		line = doctor_add(
			report,
			DOCTOR_HINT,
			"drivers",
			NULL,
			"no folder /usr/lib/*/dpdk/pmds-*: libdpdk is not Debian's"
		);
	else if (machine->n_drivers == 0)
		line = doctor_add(
			report,
			DOCTOR_NO,
			"drivers",
			NULL,
			"no Ethernet driver in %s",
			machine->drivers_path
		);
	else {
		doctor_add(
			report,
			DOCTOR_OK,
			"drivers",
			NULL,
			"%u Ethernet drivers in %s",
			machine->n_drivers,
			machine->drivers_path
		);
		line = NULL;
	}
	if (line != NULL)
		doctor_mend(line, "apt-get install libdpdk-dev");

	switch (machine->af_xdp_error) {
	case 0:
		doctor_add(report, DOCTOR_OK, "af_xdp", NULL, "the kernel has it");
		break;
	case EPERM:
	case EACCES:
		doctor_add(
			report, DOCTOR_HINT, "af_xdp", NULL, "cannot be tried without cap_net_raw"
		);
		break;
	default:
		line = doctor_add(
			report,
			kinds[DOCTOR_AF_XDP] ? DOCTOR_NO : DOCTOR_HINT,
			"af_xdp",
			NULL,
			"not in this kernel (CONFIG_XDP_SOCKETS): %s",
			strerror(machine->af_xdp_error)
		);
		if (kinds[DOCTOR_AF_XDP])
			doctor_mend(line, "weir run --port af_packet:IFACE ...");
	}
}

void doctor_check_vfio(
	const struct doctor_machine *machine, bool required, struct doctor_report *report
) {
	enum doctor_verdict lacking = required ? DOCTOR_NO : DOCTOR_HINT;

	if (!machine->vfio) {
		doctor_mend(
			doctor_add(
				report,
				lacking,
				"vfio",
				NULL,
				"the driver vfio-pci is not loaded; only PCI ports need it"
			),
			"modprobe vfio-pci"
		);
		return;
	}
	if (machine->iommu)
		doctor_add(report, DOCTOR_OK, "vfio", NULL, "vfio-pci with an IOMMU");
	else if (machine->vfio_no_iommu)
		doctor_mend(
			doctor_add(
				report,
				DOCTOR_HINT,
				"vfio",
				NULL,
				"vfio-pci without an IOMMU: a port can write all memory"
			),
			"add intel_iommu=on iommu=pt to GRUB_CMDLINE_LINUX in /etc/default/grub; "
			"update-grub; reboot"
		);
	else
		doctor_mend(
			doctor_add(
				report,
				lacking,
				"vfio",
				NULL,
				"no IOMMU is on, and vfio was not told to do without"
			),
			"echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
		);
}

void doctor_check_machine(
	const struct doctor_machine *machine,
	const struct doctor_wish *wish,
	const struct doctor_port *ports,
	struct doctor_report *report
) {
	bool kinds[DOCTOR_VDEV + 1] = {false};

	for (unsigned i = 0; i < wish->n_ports; i++)
		kinds[ports[i].kind] = true;
	check_privileges(machine, ports, wish->n_ports, report);
	check_hugepages(machine, wish, wish->hugepages || kinds[DOCTOR_PCI], report);
	check_memlock(machine, kinds[DOCTOR_PCI] || kinds[DOCTOR_AF_XDP], report);
	check_memory(machine, wish, report);
	check_cores(machine, wish, report);
	check_clock(machine, report);
	check_drivers(machine, kinds, report);
	// Whether a PCI port needs it is seen at the port.
	if (!kinds[DOCTOR_PCI])
		doctor_check_vfio(machine, false, report);
}
