#include "doctor_facts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE_BYTES 65536

// The file at the path that is printed, up to `size` - 1 octets, without a newline at its end.
// False and "" where it cannot be read.
[[gnu::format(printf, 3, 4)]] static bool
read_text(char *text, size_t size, const char *format, ...) {
	char path[PATH_MAX];
	va_list args;
	size_t used = 0;
	ssize_t n;

	text[0] = '\0';
	va_start(args, format);
	int length = vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (length >= (int)sizeof(path))
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while (used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = '\0';
	if (used > 0 && text[used - 1] == '\n')
		text[used - 1] = '\0';
	return used > 0;
}

// The last part of where a symbolic link leads.
[[gnu::format(printf, 3, 4)]] static bool
read_link(char *name, size_t size, const char *format, ...) {
	char path[PATH_MAX], target[PATH_MAX];
	va_list args;

	name[0] = '\0';
	va_start(args, format);
	int length = vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (length >= (int)sizeof(path))
		return false;
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	const char *last = strrchr(target, '/');
	last = last != NULL ? last + 1 : target;
	snprintf(name, size, "%.*s", (int)size - 1, last);
	return true;
}

[[gnu::format(printf, 2, 3)]] static bool read_number(uint64_t *number, const char *format, ...) {
	char path[PATH_MAX], text[64], *end;
	va_list args;

	va_start(args, format);
	int length = vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (length >= (int)sizeof(path) || !read_text(text, sizeof(text), "%s", path))
		return false;
	uint64_t value = strtoull(text, &end, 0);
	if (end == text)
		return false;
	*number = value;
	return true;
}

// Calls back with each name of a folder but the hidden ones.
[[gnu::format(printf, 3, 4)]] static void
each_name(doctor_name_fn on_name, void *arg, const char *format, ...) {
	char path[PATH_MAX];
	va_list args;

	va_start(args, format);
	int length = vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	DIR *folder = length < (int)sizeof(path) ? opendir(path) : NULL;
	if (folder == NULL)
		return;
	for (const struct dirent *item; (item = readdir(folder)) != NULL;)
		if (item->d_name[0] != '.')
			on_name(item->d_name, arg);
	closedir(folder);
}

// What stands behind `key` at the beginning of a line.
static const char *behind(const char *text, const char *key) {
	size_t length = strlen(key);

	while (text != NULL && strncmp(text, key, length) != 0) {
		text = strchr(text, '\n');
		if (text != NULL)
			text++;
	}
	return text != NULL ? text + length + strspn(text + length, " \t") : NULL;
}

int doctor_cpu_list(const char *text, cpu_set_t *set) {
	CPU_ZERO(set);
	while (*text != '\0') {
		char *end;
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		unsigned long first = strtoul(text, &end, 10), last = first;
		if (*end == '-') {
			text = end + 1;
			if (!isdigit((unsigned char)*text))
				return -EINVAL;
			last = strtoul(text, &end, 10);
		}
		if (last < first)
			return -EINVAL;
		if (last >= CPU_SETSIZE)
			return -ERANGE;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, set);
		if (*end == ',' && end[1] != '\0')
			end++;
		else if (*end != '\0')
			return -EINVAL;
		text = end;
	}
	return 0;
}

static void read_cpus(const char *root, struct doctor_machine *machine, const char *status) {
	char text[4096];

	if (!read_text(text, sizeof(text), "%s/sys/devices/system/cpu/online", root)
	    || doctor_cpu_list(text, &machine->online) < 0)
		CPU_ZERO(&machine->online);
	if (!read_text(text, sizeof(text), "%s/sys/devices/system/cpu/isolated", root)
	    || doctor_cpu_list(text, &machine->isolated) < 0)
		CPU_ZERO(&machine->isolated);

	const char *allowed = behind(status, "Cpus_allowed_list:");
	if (allowed != NULL) {
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(allowed, "\n"), allowed);
		if (doctor_cpu_list(text, &machine->allowed) == 0)
			return;
	}
	machine->allowed = machine->online;
}

static void read_privileges(const char *root, struct doctor_machine *machine) {
	char status[8192];

	read_text(status, sizeof(status), "%s/proc/self/status", root);
	const char *uid = behind(status, "Uid:");
	if (uid != NULL) {
		// Real, effective, saved, file system's.
		char *end;
		strtoul(uid, &end, 10);
		machine->root = strtoul(end, NULL, 10) == 0;
	}
	const char *effective = behind(status, "CapEff:");
	if (effective != NULL)
		machine->capabilities = strtoull(effective, NULL, 16);
	read_cpus(root, machine, status);

	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/proc/self/exe", root);
	ssize_t n = readlink(path, machine->program, sizeof(machine->program) - 1);
	if (n <= 0)
		snprintf(machine->program, sizeof(machine->program), "weir");
}

static void read_memory(const char *root, struct doctor_machine *machine) {
	char text[MAX_FILE_BYTES];
	const char *value;

	read_text(text, sizeof(text), "%s/proc/meminfo", root);
	if ((value = behind(text, "MemAvailable:")) != NULL)
		machine->available_bytes = strtoull(value, NULL, 10) * 1024;
	if ((value = behind(text, "Hugepagesize:")) != NULL)
		machine->default_page_bytes = strtoull(value, NULL, 10) * 1024;

	machine->memlock_bytes = UINT64_MAX;
	read_text(text, sizeof(text), "%s/proc/self/limits", root);
	value = behind(text, "Max locked memory");
	if (value != NULL && isdigit((unsigned char)*value))
		machine->memlock_bytes = strtoull(value, NULL, 10);
}

struct hugepage_walk {
	const char *root;
	struct doctor_machine *machine;
	unsigned node;
};

static void on_page_size(const char *name, void *arg) {
	const struct hugepage_walk *walk = arg;
	struct doctor_machine *machine = walk->machine;
	uint64_t total, free_pages;

	if (strncmp(name, "hugepages-", 10) != 0 || machine->n_hugepages == DOCTOR_MAX_HUGEPAGES)
		return;
	static const char format[] = "%s/sys/devices/system/node/node%u/hugepages/%s/%s";
	if (!read_number(&total, format, walk->root, walk->node, name, "nr_hugepages")
	    || !read_number(&free_pages, format, walk->root, walk->node, name, "free_hugepages"))
		return;
	machine->hugepages[machine->n_hugepages++] = (struct doctor_hugepages){
		.node = walk->node,
		.page_bytes = strtoull(name + 10, NULL, 10) * 1024,
		.total = total,
		.free = free_pages,
	};
}

static void on_node(const char *name, void *arg) {
	struct hugepage_walk *walk = arg;

	if (strncmp(name, "node", 4) != 0 || !isdigit((unsigned char)name[4]))
		return;
	walk->machine->n_nodes++;
	walk->node = (unsigned)strtoul(name + 4, NULL, 10);
	each_name(on_page_size, walk, "%s/sys/devices/system/node/%s/hugepages", walk->root, name);
}

static void read_clock(const char *root, struct doctor_machine *machine) {
	char text[MAX_FILE_BYTES];

	read_text(
		machine->clock_source,
		sizeof(machine->clock_source),
		"%s/sys/devices/system/clocksource/clocksource0/current_clocksource",
		root
	);
	machine->clock_source[strcspn(machine->clock_source, " \n")] = '\0';
	read_text(text, sizeof(text), "%s/proc/cpuinfo", root);
	machine->invariant_tsc =
		strstr(text, " constant_tsc") != NULL && strstr(text, " nonstop_tsc") != NULL;
}

static void on_any(const char *name, void *arg) {
	(void)name;
	*(bool *)arg = true;
}

static void read_vfio(const char *root, struct doctor_machine *machine) {
	char text[16], path[PATH_MAX];

	each_name(on_any, &machine->iommu, "%s/sys/kernel/iommu_groups", root);
	snprintf(path, sizeof(path), "%s/sys/bus/pci/drivers/vfio-pci", root);
	machine->vfio = access(path, F_OK) == 0;
	machine->vfio_no_iommu = read_text(
					 text,
					 sizeof(text),
					 "%s/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
					 root
				 )
				 && text[0] == 'Y';
}

// A folder of libraries below /usr/lib, and what was found in it.
struct driver_walk {
	const char *root;
	const char *libraries;
	struct doctor_machine *machine;
};

static void on_driver(const char *name, void *arg) {
	struct doctor_machine *machine = arg;
	size_t length = strlen(name);

	if (strncmp(name, "librte_net_", 11) == 0 && length > 3
	    && strcmp(name + length - 3, ".so") == 0)
		machine->n_drivers++;
}

static void on_driver_folder(const char *name, void *arg) {
	const struct driver_walk *walk = arg;
	struct doctor_machine *machine = walk->machine;

	if (strncmp(name, "pmds-", 5) != 0)
		return;
	unsigned abi = (unsigned)strtoul(name + 5, NULL, 10);
	if (abi < machine->drivers_abi)
		return;
	int n = snprintf(
		machine->drivers_path,
		sizeof(machine->drivers_path),
		"%s/dpdk/%s",
		walk->libraries,
		name
	);
	if (n >= (int)sizeof(machine->drivers_path)) {
		machine->drivers_path[0] = '\0';
		return;
	}
	machine->drivers_abi = abi;
	machine->n_drivers = 0;
	each_name(on_driver, machine, "%s%s", walk->root, machine->drivers_path);
}

static void on_library_folder(const char *name, void *arg) {
	struct driver_walk *walk = arg;
	char libraries[PATH_MAX];

	snprintf(libraries, sizeof(libraries), "/usr/lib/%s", name);
	walk->libraries = libraries;
	each_name(on_driver_folder, walk, "%s%s/dpdk", walk->root, libraries);
}

void doctor_machine_read(const char *root, struct doctor_machine *machine) {
	*machine = (struct doctor_machine){0};
	read_privileges(root, machine);
	read_memory(root, machine);
	each_name(
		on_node,
		&(struct hugepage_walk){.root = root, .machine = machine},
		"%s/sys/devices/system/node",
		root
	);
	read_clock(root, machine);
	read_vfio(root, machine);
	each_name(
		on_library_folder,
		&(struct driver_walk){.root = root, .machine = machine},
		"%s/usr/lib",
		root
	);
}

static void on_rx_queue(const char *name, void *arg) {
	if (strncmp(name, "rx-", 3) == 0)
		++*(unsigned *)arg;
}

// Whether the name can be one of a file in sysfs, and not a way out of it.
static bool is_plain(const char *name) {
	return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static int numa_node_of(const char *root, const char *device) {
	char text[32];

	// -1 where the firmware does not say.
	if (!read_text(text, sizeof(text), "%s%s/numa_node", root, device))
		return -1;
	return (int)strtol(text, NULL, 10);
}

void doctor_interface_read(const char *root, const char *name, struct doctor_interface *interface) {
	char path[PATH_MAX], bus[DOCTOR_NAME_BYTES];
	uint64_t number;

	*interface = (struct doctor_interface){.numa_node = -1};
	snprintf(interface->name, sizeof(interface->name), "%s", name);
	if (!is_plain(name) || strlen(name) >= IFNAMSIZ)
		return;
	if (read_number(&number, "%s/sys/class/net/%s/ifindex", root, name)) {
		interface->exists = true;
		interface->index = (unsigned)number;
	}
	if (read_number(&number, "%s/sys/class/net/%s/flags", root, name))
		interface->flags = (unsigned)number;
	// sysfs shows the flags without what the kernel adds for users.
	if (read_number(&number, "%s/sys/class/net/%s/carrier", root, name) && number == 1)
		interface->flags |= IFF_RUNNING;
	if (read_number(&number, "%s/sys/class/net/%s/mtu", root, name))
		interface->mtu = (unsigned)number;
	each_name(on_rx_queue, &interface->n_queues, "%s/sys/class/net/%s/queues", root, name);

	snprintf(path, sizeof(path), "/sys/class/net/%s/device", name);
	interface->numa_node = numa_node_of(root, path);
	read_link(
		interface->kernel_driver,
		sizeof(interface->kernel_driver),
		"%s%s/driver",
		root,
		path
	);
	// A virtio device hangs below the PCI device; the others are it.
	read_link(bus, sizeof(bus), "%s%s/subsystem", root, path);
	if (strcmp(bus, "pci") == 0) {
		read_link(interface->pci, sizeof(interface->pci), "%s%s", root, path);
	} else if (strcmp(bus, "virtio") == 0) {
		char target[2 * PATH_MAX];
		snprintf(target, sizeof(target), "%s%s/..", root, path);
		char *real = realpath(target, NULL);
		if (real != NULL)
			snprintf(
				interface->pci,
				sizeof(interface->pci),
				"%.63s",
				strrchr(real, '/') + 1
			);
		free(real);
	}
}

struct group_walk {
	const char *root;
	struct doctor_pci *pci;
};

static void on_group_device(const char *name, void *arg) {
	const struct group_walk *walk = arg;
	struct doctor_pci *pci = walk->pci;
	char driver[DOCTOR_NAME_BYTES];

	if (strcmp(name, pci->address) == 0 || pci->n_held == DOCTOR_MAX_GROUP)
		return;
	// A bridge's driver may stay: vfio counts it as harmless.
	if (read_link(driver, sizeof(driver), "%s/sys/bus/pci/devices/%s/driver", walk->root, name)
	    && strcmp(driver, "vfio-pci") != 0 && strcmp(driver, "pcieport") != 0)
		snprintf(pci->held[pci->n_held++], DOCTOR_NAME_BYTES, "%s", name);
}

static void on_interface_of_device(const char *name, void *arg) {
	struct doctor_pci *pci = arg;
	snprintf(pci->interface, sizeof(pci->interface), "%.15s", name);
}

static void on_child_of_device(const char *name, void *arg) {
	const struct group_walk *walk = arg;

	if (strncmp(name, "virtio", 6) == 0)
		each_name(
			on_interface_of_device,
			walk->pci,
			"%s/sys/bus/pci/devices/%s/%s/net",
			walk->root,
			walk->pci->address,
			name
		);
}

struct match_walk {
	const char *root;
	const struct doctor_machine *machine;
	struct doctor_pci *pci;
};

// Reads one "PMD_INFO_STRING= {...}" that a driver carries for its users: what it is called,
// which kernel modules it works with, and the devices it knows, numbers in decimal.
static void match_info(const char *info, size_t length, struct doctor_pci *pci) {
	char wanted[64], text[MAX_FILE_BYTES];
	const char *end = memchr(info, '\0', length);
	size_t n = end != NULL ? (size_t)(end - info) : length;

	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	memcpy(text, info, n);
	text[n] = '\0';
	snprintf(wanted, sizeof(wanted), "[%u, %u, ", pci->vendor, pci->device);
	const char *name = strstr(text, "\"name\": \"");
	if (name == NULL || strstr(text, wanted) == NULL)
		return;
	name += 9;
	snprintf(
		pci->dpdk_driver, sizeof(pci->dpdk_driver), "%.*s", (int)strcspn(name, "\""), name
	);
	pci->bifurcated = strstr(text, "ib_uverbs") != NULL;
}

static void on_driver_file(const char *name, void *arg) {
	const struct match_walk *walk = arg;
	static const char mark[] = "PMD_INFO_STRING= ";
	char path[PATH_MAX];
	size_t length = strlen(name);

	if (walk->pci->dpdk_driver[0] != '\0' || strncmp(name, "librte_net_", 11) != 0
	    || strcmp(name + length - 3, ".so") != 0)
		return;
	int n = snprintf(
		path, sizeof(path), "%s%s/%s", walk->root, walk->machine->drivers_path, name
	);
	FILE *file = n < (int)sizeof(path) ? fopen(path, "re") : NULL;
	if (file == NULL)
		return;
	fseek(file, 0, SEEK_END);
	long size = ftell(file);
	rewind(file);
	char *octets = size > 0 ? malloc((size_t)size) : NULL;
	size_t left = octets != NULL ? fread(octets, 1, (size_t)size, file) : 0;
	fclose(file);

	const char *at = octets;
	const char *found;
	while (left > 0 && (found = memmem(at, left, mark, sizeof(mark) - 1)) != NULL) {
		left -= (size_t)(found - at) + sizeof(mark) - 1;
		at = found + sizeof(mark) - 1;
		match_info(at, left, walk->pci);
	}
	free(octets);
}

void doctor_pci_read(
	const char *root,
	const struct doctor_machine *machine,
	const char *address,
	struct doctor_pci *pci
) {
	char path[PATH_MAX], group[32];
	uint64_t number;

	*pci = (struct doctor_pci){.iommu_group = -1, .numa_node = -1};
	snprintf(pci->address, sizeof(pci->address), "%s", address);
	if (!is_plain(address)
	    || !read_number(&number, "%s/sys/bus/pci/devices/%s/class", root, address))
		return;
	pci->exists = true;
	pci->class = (unsigned)number;
	if (read_number(&number, "%s/sys/bus/pci/devices/%s/vendor", root, address))
		pci->vendor = (unsigned)number;
	if (read_number(&number, "%s/sys/bus/pci/devices/%s/device", root, address))
		pci->device = (unsigned)number;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	pci->numa_node = numa_node_of(root, path);
	read_link(pci->kernel_driver, sizeof(pci->kernel_driver), "%s%s/driver", root, path);
	each_name(on_interface_of_device, pci, "%s%s/net", root, path);
	struct group_walk walk = {.root = root, .pci = pci};
	each_name(on_child_of_device, &walk, "%s%s", root, path);
	if (read_link(group, sizeof(group), "%s%s/iommu_group", root, path)) {
		pci->iommu_group = (int)strtol(group, NULL, 10);
		each_name(
			on_group_device, &walk, "%s/sys/kernel/iommu_groups/%s/devices", root, group
		);
	}
	if (machine->drivers_path[0] != '\0')
		each_name(
			on_driver_file,
			&(struct match_walk){.root = root, .machine = machine, .pci = pci},
			"%s%s",
			root,
			machine->drivers_path
		);
}

bool doctor_has_driver(
	const char *root,
	const struct doctor_machine *machine,
	const char *device,
	char file[DOCTOR_NAME_BYTES]
) {
	// Names that are not those of their files.
	static const struct {
		const char *device;
		const char *driver;
	} others[] = {
		{"net_virtio_user", "virtio"},
		{"net_bonding", "bond"},
		{"net_tun", "tap"},
	};
	char path[PATH_MAX], driver[DOCTOR_NAME_BYTES];
	size_t length = strcspn(device, ",");

	while (length > 0 && isdigit((unsigned char)device[length - 1]))
		length--;
	snprintf(driver, sizeof(driver), "%.*s", (int)length, device);
	const char *name = driver;
	if (strncmp(name, "net_", 4) == 0 || strncmp(name, "eth_", 4) == 0)
		name += 4;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(driver, others[i].device) == 0)
			name = others[i].driver;
	snprintf(file, DOCTOR_NAME_BYTES, "librte_net_%.40s.so", name);
	int n = snprintf(path, sizeof(path), "%s%s/%s", root, machine->drivers_path, file);
	return is_plain(name) && n < (int)sizeof(path) && access(path, R_OK) == 0;
}

void doctor_interfaces(const char *root, doctor_name_fn on_name, void *arg) {
	if (root[0] != '\0') {
		each_name(on_name, arg, "%s/sys/class/net", root);
		return;
	}
	// sysfs may be that of another network namespace; the kernel's answer is not.
	struct if_nameindex *names = if_nameindex();
	if (names == NULL)
		return;
	for (const struct if_nameindex *item = names; item->if_index != 0; item++)
		on_name(item->if_name, arg);
	if_freenameindex(names);
}

struct bound_walk {
	const char *root;
	doctor_name_fn on_name;
	void *arg;
};

static void on_bound_device(const char *name, void *arg) {
	const struct bound_walk *walk = arg;
	uint64_t class;

	if (read_number(&class, "%s/sys/bus/pci/devices/%s/class", walk->root, name)
	    && class >> 16 == 2)
		walk->on_name(name, walk->arg);
}

void doctor_bound_devices(const char *root, doctor_name_fn on_name, void *arg) {
	each_name(
		on_bound_device,
		&(struct bound_walk){.root = root, .on_name = on_name, .arg = arg},
		"%s/sys/bus/pci/drivers/vfio-pci",
		root
	);
}
